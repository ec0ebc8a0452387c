/* The execution section: where a job runs and what its batch script asks Slurm for. All of it ends in headers of
 * run.sub, so nothing passes that could end one line and begin another. */
#include "config/plan/plan_parts.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/plan/plan_mounts.h"
#include "config/plan/walltime.h"

#include <string.h>

#define BASE "/execution"
#define TASKS_PER_NODE_MAX 1024
#define ATTEMPTS_MAX 100000
#define IDLE_LIMIT_MIN_S 20 /* two samples of run_body/10_use.sh */
#define SBATCH_FLAGS_MAX 100
#define OUTPUT_DIR_REFUSED ",:%\\'\"`$" /* mounts, sbatch --output patterns (sbatch(1), filename pattern), quoting */

static const char *const resume_states[] = {"TIMEOUT", "PREEMPTED",     "NODE_FAIL", "BOOT_FAIL",
					    "FAILED",  "OUT_OF_MEMORY", "DEADLINE",  NULL};
static const char *const resume_default[] = {"TIMEOUT", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", NULL};

static const struct {
	const char *name;
	enum resume_mode mode;
} resume_modes[] = {{"daemon", RESUME_DAEMON}, {"in_job", RESUME_IN_JOB}, {"off", RESUME_OFF}};

/* Flags that would take the chain out of the daemon's hands, and what to set in their place. */
static const struct {
	const char *flag;
	const char *instead;
} owned_flags[] = {
    {"time", "set execution.walltime"},
    {"job-name", "the daemon finds its jobs by their names; set execution.subproject"},
    {"output", "the logs are read from where the daemon puts them"},
    {"error", "the logs are read from where the daemon puts them"},
    {"open-mode", "the logs are read from where the daemon puts them"},
    {"dependency", "the daemon orders the attempts of a job"},
    {"array", "the daemon submits one job a task"},
    {"requeue", "set execution.auto_resume"},
    {"no-requeue", "it is always given"},
    {"wrap", "the daemon writes the script"},
    {"parsable", "the daemon reads sbatch's answer"},
    {"quiet", "the daemon reads sbatch's answer"},
    {"test-only", "use dry_run"},
    {"wait", "the daemon does not wait"},
    {"chdir", "set execution.output_dir"},
    {"uid", "the job runs as the daemon's identity on the cluster"},
    {"gid", "the job runs as the daemon's identity on the cluster"},
    {"help", "it submits nothing"},
    {"usage", "it submits nothing"},
    {"version", "it submits nothing"},
};

static void read_place(struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	struct eval_plan *plan = ctx->plan;
	CLEANUP(mem_freep) char *type = reader_need_text(r, ctx->execution, BASE, "type", READER_TOKEN);
	if (type != NULL && strcmp(type, "slurm") != 0)
		reader_error(r, BASE "/type", "This service runs Slurm only, not execution type '%s'", type);
	plan->cluster = reader_text(r, ctx->execution, BASE, "cluster", READER_TOKEN);
	if (ctx->need_hostname && plan->cluster == NULL)
		plan->hostname = reader_need_text(r, ctx->execution, BASE, "hostname", READER_TOKEN);
	else
		plan->hostname = reader_text(r, ctx->execution, BASE, "hostname", READER_TOKEN);
	plan->username = reader_text(r, ctx->execution, BASE, "username", READER_LINE);
	plan->account = reader_need_text(r, ctx->execution, BASE, "account", READER_TOKEN);
	plan->partition = reader_text_or(r, ctx->execution, BASE, "partition", READER_TOKEN, "batch");
	plan->output_dir = reader_need_text(r, ctx->execution, BASE, "output_dir", READER_ANY);
	if (plan->output_dir != NULL && reader_check_path(r, plan->output_dir, BASE "/output_dir", OUTPUT_DIR_REFUSED))
		plan_mounts_path_ok(r, plan->output_dir, "output_dir, which is mounted into containers,",
				    BASE "/output_dir");
}

/* A walltime of the config in seconds; fallback when absent or wrong. */
static int64_t read_walltime(const struct plan_ctx *ctx, const char *key, int64_t fallback)
{
	const json_t *value = reader_get(ctx->execution, key);
	CLEANUP(mem_freep) char *pointer = reader_join(BASE, key);
	int64_t seconds;
	if (value == NULL)
		return fallback;
	if (!json_is_string(value))
		reader_error(&ctx->reader, pointer, "%s: write execution.%s as text, such as \"01:00:00\" (HH:MM:SS)%s",
			     json_is_number(value) ? "A bare number is ambiguous" : "Not a time", key,
			     strcmp(key, "max_walltime") == 0 ? "; null is no limit" : "");
	else if (walltime_parse(json_string_value(value), &seconds) < 0)
		reader_error(&ctx->reader, pointer,
			     "execution.%s is no time limit of Slurm's: write MM, MM:SS, HH:MM:SS, D-HH, D-HH:MM, or "
			     "D-HH:MM:SS%s",
			     key, strcmp(key, "walltime") == 0 ? "; or auto" : "");
	else
		return seconds;
	return fallback;
}

static void read_times(struct plan_ctx *ctx)
{
	struct eval_plan *plan = ctx->plan;
	int64_t walltime_default_s = 3600;
	(void)walltime_parse(PLAN_WALLTIME_DEFAULT, &walltime_default_s);
	bool unlimited = json_is_null(json_object_get(ctx->execution, "max_walltime"));
	plan->max_walltime_s = unlimited ? -1 : read_walltime(ctx, "max_walltime", PLAN_MAX_WALLTIME_DEFAULT_S);
	if (plan->max_walltime_s >= 0 && plan->max_walltime_s < PLAN_MAX_WALLTIME_MIN_S)
		reader_error(
		    &ctx->reader, BASE "/max_walltime",
		    "execution.max_walltime is %lld s, and no attempt of less than %d s is started: Slurm counts "
		    "time limits in minutes",
		    (long long)plan->max_walltime_s, PLAN_MAX_WALLTIME_MIN_S);
	const char *walltime = json_string_value(reader_get(ctx->execution, "walltime"));
	plan->walltime_auto = walltime != NULL && strcmp(walltime, "auto") == 0;
	if (!plan->walltime_auto)
		plan->walltime_s = read_walltime(ctx, "walltime", walltime_default_s);
	else if (plan->max_walltime_s >= 0 && plan->max_walltime_s < PLAN_WALLTIME_AUTO_MAX_S)
		plan->walltime_s = plan->max_walltime_s;
	else
		plan->walltime_s = PLAN_WALLTIME_AUTO_MAX_S;
	plan->readiness_timeout_s = reader_int(&ctx->reader, ctx->execution, BASE, "endpoint_readiness_timeout", 1,
					       WALLTIME_MAX_S, plan->walltime_s);
}

/* Off when null, false, 0 or "". */
static void read_idle_limit(struct plan_ctx *ctx)
{
	if (reader_is_falsy(reader_get(ctx->execution, "idle_limit")))
		return;
	int64_t limit_s = read_walltime(ctx, "idle_limit", 0);
	if (limit_s > 0 && limit_s < IDLE_LIMIT_MIN_S)
		reader_error(&ctx->reader, BASE "/idle_limit",
			     "execution.idle_limit is %lld s, and nothing is called idle before %d s",
			     (long long)limit_s, IDLE_LIMIT_MIN_S);
	ctx->plan->idle_limit_s = ctx->deployment_none ? 0 : limit_s;
}

/* Likewise. */
static void read_move_after(struct plan_ctx *ctx)
{
	if (!reader_is_falsy(reader_get(ctx->execution, "move_after")))
		ctx->plan->move_after_s = read_walltime(ctx, "move_after", 0);
}

/* A text that null, false, 0 and "" switch off. */
static char *read_falsy(const struct plan_ctx *ctx, const char *key, enum reader_text kind)
{
	if (reader_is_falsy(reader_get(ctx->execution, key)))
		return NULL;
	return reader_text(&ctx->reader, ctx->execution, BASE, key, kind);
}

static void read_resources(struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	struct eval_plan *plan = ctx->plan;
	plan->ntasks_per_node = (int)reader_int(r, ctx->execution, BASE, "ntasks_per_node", 1, TASKS_PER_NODE_MAX, 1);
	plan->gres = read_falsy(ctx, "gres", READER_TOKEN);
	plan->gpus_per_node = reader_text(r, ctx->execution, BASE, "gpus_per_node", READER_TOKEN);
	plan->subproject =
	    reader_text_or(r, ctx->execution, BASE, "subproject", READER_TOKEN, "nemo-evaluator-launcher");
	plan->comment = read_falsy(ctx, "sbatch_comment", READER_LINE);
	if (json_object_get(ctx->execution, "mpi") == NULL)
		plan->mpi = mem_strdup("pmix");
	else
		plan->mpi = read_falsy(ctx, "mpi", READER_TOKEN);
	const json_t *proxy = reader_object(r, ctx->execution, BASE, "proxy");
	CLEANUP(mem_freep) char *type = reader_text_or(r, proxy, BASE "/proxy", "type", READER_TOKEN, "haproxy");
	if (type != NULL && strcmp(type, "haproxy") != 0)
		reader_error(r, BASE "/proxy/type", "The only proxy is haproxy");
	plan->proxy_image = reader_text_or(r, proxy, BASE "/proxy", "image", READER_TOKEN, "haproxy:latest");
}

static bool is_flag_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	return *name != '\0' && strchr(letters, *name) != NULL &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")] == '\0';
}

/* getopt_long(3), which sbatch reads its options with, takes the beginning of a name for the name. Of what was accepted
 * before, only whole names are asked. */
static bool is_owned_flag(const struct plan_ctx *ctx, const char *name, const char *pointer)
{
	const struct reader *r = &ctx->reader;
	static const char clusters[] =
	    "clusters"; /* remote_submit.sh reads its value, and needs it by its whole name */
	for (size_t i = 0; i < sizeof owned_flags / sizeof owned_flags[0]; i++) {
		const char *flag = owned_flags[i].flag;
		if (strncmp(name, flag, ctx->stored ? strlen(flag) + 1 : strlen(name)) != 0)
			continue;
		if (strcmp(name, flag) == 0)
			reader_error(r, pointer, "sbatch's --%s is the daemon's: %s", flag, owned_flags[i].instead);
		else
			reader_error(
			    r, pointer,
			    "To sbatch --%s can be short for --%s, which is the daemon's (%s): write the whole "
			    "name of the option that is meant",
			    name, flag, owned_flags[i].instead);
		return true;
	}
	if (!ctx->stored && strncmp(name, clusters, strlen(name)) == 0 && strcmp(name, clusters) != 0) {
		reader_error(r, pointer, "To sbatch --%s can be short for --%s: write the whole name of the option",
			     name, clusters);
		return true;
	}
	return false;
}

/* These print a text, submit nothing and succeed. */
static bool asks_for_help(const struct reader *r, const char *name, const char *value, const char *pointer)
{
	static const char *const helpful[] = {"hint", "mem-bind", "cpu-bind", "gpu-bind", "gres", NULL};
	if (strcmp(value, "help") != 0 || !str_in(name, helpful))
		return false;
	reader_error(r, pointer, "sbatch --%s=help prints its values and submits nothing", name);
	return true;
}

/* true is a bare flag, false and null are left out, all else (0 and "" too) is a value: as the launcher has it. */
static void read_flag(struct plan_ctx *ctx, const char *name, const json_t *given, const char *pointer)
{
	const struct reader *r = &ctx->reader;
	CLEANUP(mem_freep) char *value = NULL;
	if (json_is_null(given) || json_is_false(given))
		return;
	if (!is_flag_name(name)) {
		reader_error(r, pointer, "Not the name of an sbatch option: letters, digits and '-' only");
		return;
	}
	if (is_owned_flag(ctx, name, pointer))
		return;
	if (reader_is_missing(given)) {
		reader_missing(r, pointer);
		return;
	}
	if (!json_is_true(given)) {
		value = reader_value_text(r, given, pointer, READER_LINE);
		if (value == NULL || (!ctx->stored && asks_for_help(r, name, value, pointer)))
			return;
	}
	struct eval_plan *plan = ctx->plan;
	if (plan->sbatch_flag_count >= SBATCH_FLAGS_MAX) {
		reader_error(r, pointer, "More than %d extra flags", SBATCH_FLAGS_MAX);
		return;
	}
	plan->sbatch_flags = mem_realloc(plan->sbatch_flags, plan->sbatch_flag_count + 1, sizeof *plan->sbatch_flags);
	plan->sbatch_flags[plan->sbatch_flag_count++] =
	    (struct sbatch_flag){.name = mem_strdup(name), .value = TAKE(value)};
}

static void read_flags(struct plan_ctx *ctx)
{
	const json_t *flags = reader_object(&ctx->reader, ctx->execution, BASE, "sbatch_extra_flags");
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)flags, name, value) {
		CLEANUP(mem_freep) char *pointer = reader_join(BASE "/sbatch_extra_flags", name);
		read_flag(ctx, name, value, pointer);
	}
}

static void read_resume_mode(struct plan_ctx *ctx, const json_t *resume)
{
	const struct reader *r = &ctx->reader;
	const json_t *given = json_object_get(resume, "mode");
	ctx->plan->resume_mode = RESUME_DAEMON;
	if (json_is_false(given)) { /* YAML 1.1 reads a plain `off` as false */
		ctx->plan->resume_mode = RESUME_OFF;
		return;
	}
	CLEANUP(mem_freep)
	char *mode = reader_text_or(r, resume, BASE "/auto_resume", "mode", READER_LINE, "daemon");
	for (size_t i = 0; mode != NULL && i < sizeof resume_modes / sizeof resume_modes[0]; i++) {
		if (strcmp(mode, resume_modes[i].name) == 0) {
			ctx->plan->resume_mode = resume_modes[i].mode;
			return;
		}
	}
	if (mode != NULL)
		reader_error(r, BASE "/auto_resume/mode", "auto_resume.mode is daemon, in_job, or off");
}

static void read_resume(struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	const json_t *resume = reader_object(r, ctx->execution, BASE, "auto_resume");
	read_resume_mode(ctx, resume);
	ctx->plan->resume_on = reader_list(r, resume, BASE "/auto_resume", "on", READER_TOKEN, resume_default);
	for (char **state = ctx->plan->resume_on; *state != NULL; state++)
		if (!str_in(*state, resume_states))
			reader_error(r, BASE "/auto_resume/on",
				     "'%s' is no state to resume after: TIMEOUT, PREEMPTED, NODE_FAIL, BOOT_FAIL, "
				     "FAILED, OUT_OF_MEMORY, DEADLINE are",
				     *state);
	ctx->plan->max_attempts = (int)reader_int(r, resume, BASE "/auto_resume", "max_attempts", 1, ATTEMPTS_MAX, 0);
}

/* A short attempt is cheap only where another one follows it; and one that queues its successor when it starts, long
 * before that may start, could not ask for how long that had better be. */
static void check_auto_walltime(struct plan_ctx *ctx)
{
	const struct eval_plan *plan = ctx->plan;
	if (!plan->walltime_auto)
		return;
	if (plan->resume_mode == RESUME_IN_JOB)
		reader_error(&ctx->reader, BASE "/walltime",
			     "execution.walltime: auto is asked of the cluster when an attempt is submitted, and with "
			     "auto_resume.mode: in_job attempts are queued long before they can start: write a time "
			     "limit, or set auto_resume.mode to daemon");
	else if (plan->resume_mode == RESUME_OFF || !str_in("TIMEOUT", (const char *const *)plan->resume_on))
		reader_error(&ctx->reader, BASE "/walltime",
			     "execution.walltime: auto may give an attempt less than the work needs, and "
			     "execution.auto_resume lets none follow one that ended with TIMEOUT: write a time limit, "
			     "or let it resume after TIMEOUT");
}

/* false, true (one at a time), or how many at once. */
static void read_share(struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	const json_t *share = reader_get(ctx->execution, "share_deployment");
	json_int_t count = json_is_integer(share) ? json_integer_value(share) : json_is_true(share) ? 1 : 0;
	if (share != NULL && !json_is_boolean(share) && (count < 1 || count > EVAL_JOBS_MAX))
		reader_error(r, BASE "/share_deployment",
			     "share_deployment is false, true (one task after the other on one deployment), or how "
			     "many tasks at once, from 1 to %d",
			     EVAL_JOBS_MAX);
	else
		ctx->plan->share_at_once = ctx->deployment_none ? 0 : (int)count;
	CLEANUP(mem_freep)
	char *order = reader_text_or(r, ctx->execution, BASE, "share_order", READER_LINE, "as_written");
	if (order == NULL)
		return;
	if (strcmp(order, "shortest_first") == 0)
		ctx->plan->share_order = SHARE_SHORTEST_FIRST;
	else if (strcmp(order, "as_written") != 0)
		reader_error(r, BASE "/share_order", "share_order is as_written or shortest_first");
}

void plan_execution(struct plan_ctx *ctx)
{
	read_place(ctx);
	read_times(ctx);
	read_resources(ctx);
	read_flags(ctx);
	read_resume(ctx);
	check_auto_walltime(ctx);
	read_share(ctx);
	read_idle_limit(ctx);
	read_move_after(ctx);
}
