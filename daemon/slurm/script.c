/* The names of a job on the cluster, and the #SBATCH options of run.sub. Its data is script_data.c's. */
#include "slurm/script.h"

#include "base/cleanup.h"
#include "base/embed.h"
#include "base/mem.h"
#include "config/plan/plan_convert.h"
#include "slurm/script_data.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#define BODY_PATH "daemon/slurm/script/run_body.sh"
#define SHARED_BODY_PATH "daemon/slurm/script/run_shared.sh"
#define SHARED "shared"
#define JOB_ID_BYTES "0123456789_"
#define LETTERS_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define FLAG_BYTES LETTERS_DIGITS "-"
#define NAME_BYTES LETTERS_DIGITS "_.-"
#define NODE_BYTES NAME_BYTES "[],"
#define BARE_BYTES NAME_BYTES "/:=,@%+"

static bool consists_of(const char *text, const char *bytes)
{
	return *text != '\0' && text[strspn(text, bytes)] == '\0';
}

/* squeue --name takes a list with commas, and a name with spaces splits its output: everything unusual becomes '_'. A
 * '%' means something in names of files only. */
static void append_name(struct str *s, const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		str_append_c(s, strchr(NAME_BYTES "%", *p) != NULL ? *p : '_');
}

static char *attempt_name(const struct eval_plan *plan, const char *what, int number, const char *evaluation,
			  int attempt)
{
	struct str name = {0};
	append_name(&name, plan->account);
	str_append_c(&name, '-');
	append_name(&name, plan->subproject);
	str_append_c(&name, '.');
	append_name(&name, what);
	str_appendf(&name, ".%d-%s.%d", number, evaluation, attempt);
	return str_take(&name);
}

struct attempt_order script_first_order(const struct eval_plan *plan, int job_index, const char *job_name)
{
	bool clipped = plan->max_walltime_s >= 0 && plan->max_walltime_s < plan->walltime_s;
	return (struct attempt_order){.job_index = job_index,
				      .number = 1,
				      .job_name = job_name,
				      .time_limit_s = clipped ? plan->max_walltime_s : plan->walltime_s,
				      .budget_from = 1,
				      .budget_left_s = plan->max_walltime_s};
}

char *script_job_name(const struct eval_plan *plan, const struct plan_job *job, const char *evaluation, int attempt)
{
	return attempt_name(plan, job->file_name, job->index, evaluation, attempt);
}

char *script_shared_name(const struct eval_plan *plan, int number, const char *evaluation, int attempt)
{
	return attempt_name(plan, SHARED, number, evaluation, attempt);
}

char *script_rundir(const struct eval_plan *plan, const char *evaluation, int64_t created_s)
{
	time_t at = (time_t)created_s;
	struct tm utc;
	char stamp[32] = "";
	if (gmtime_r(&at, &utc) != NULL)
		strftime(stamp, sizeof stamp, "%Y%m%d_%H%M%S", &utc);
	CLEANUP(mem_freep) char *output_dir = str_tidy_path(plan->output_dir);
	return mem_printf("%s/%s-%s", strcmp(output_dir, "/") == 0 ? "" : output_dir, stamp, evaluation);
}

char *script_job_dir(const char *rundir, const struct plan_job *job)
{
	return mem_printf("%s/%s.%d", rundir, job->file_name, job->index);
}

char *script_converted(const char *rundir, const char *output)
{
	return mem_printf("%s/" PLAN_CONVERT_TASK ".0/converted%s%s", rundir, *output != '\0' ? "/" : "", output);
}

char *script_shared_dir(const char *rundir, int number)
{
	return mem_printf("%s/" SHARED ".%d", rundir, number);
}

char *script_rundir_of(const char *job_dir)
{
	return mem_strndup(job_dir, (size_t)(strrchr(job_dir, '/') - job_dir));
}

char *script_shared_dir_of(const char *job_dir, int number)
{
	CLEANUP(mem_freep) char *rundir = script_rundir_of(job_dir);
	return script_shared_dir(rundir, number);
}

int script_shared_number(const struct eval_plan *plan)
{
	int number = 1;
	for (const struct plan_job *job = eval_plan_job(plan, number);
	     job != NULL && strcmp(job->file_name, SHARED) == 0;)
		job = eval_plan_job(plan, ++number);
	return number;
}

char *script_chain_dir(const struct eval_plan *plan, const char *rundir, const struct attempt_order *order,
		       struct nel_err *err)
{
	if (order->share != NULL)
		return script_shared_dir(rundir, order->share->number);
	const struct plan_job *job = eval_plan_job(plan, order->job_index);
	if (job != NULL)
		return script_job_dir(rundir, job);
	err_set(err, NEL_INVALID, "there is no job %d", order->job_index);
	return NULL;
}

static const char *embedded(const char *path)
{
	const struct embed_file *file = embed_find(path);
	assert(file != NULL);
	return file->data;
}

const char *script_body(void)
{
	return embedded(BODY_PATH);
}

const char *script_shared_body(void)
{
	return embedded(SHARED_BODY_PATH);
}

/* One #SBATCH line. sbatch splits it into words as a shell would, but knows no variables: within double quotes only '"'
 * and '\' are special (src/sbatch/opt.c of Slurm 22.05, _get_argument()). value NULL: a bare flag. */
static int append_option(struct str *s, const char *name, const char *value, struct nel_err *err)
{
	if (!consists_of(name, FLAG_BYTES))
		return err_set(err, NEL_INVALID, "'%s' is no name of an sbatch option", name);
	if (value != NULL && str_has_control(value))
		return err_set(err, NEL_INVALID, "the value of sbatch --%s has control characters", name);
	str_append(s, "#SBATCH --");
	str_append(s, name);
	if (value != NULL)
		str_append_c(s, '=');
	if (value != NULL && *value != '\0' && !consists_of(value, BARE_BYTES)) {
		str_append_c(s, '"');
		for (const char *p = value; *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				str_append_c(s, '\\');
			str_append_c(s, *p);
		}
		str_append_c(s, '"');
	} else if (value != NULL) {
		str_append(s, value);
	}
	str_append_c(s, '\n');
	return 0;
}

static int append_number(struct str *s, const char *name, int value, struct nel_err *err)
{
	CLEANUP(mem_freep) char *text = mem_printf("%d", value);
	return append_option(s, name, text, err);
}

/* Slurm counts time limits in minutes and rounds up (sbatch(1), --time). A limit that the budget set must not grow by
 * that, so it is rounded down; one below a minute cannot be, since 0 means none. */
static int append_time(struct str *s, const struct eval_plan *plan, const struct attempt_order *order,
		       struct nel_err *err)
{
	int64_t limit_s = order->time_limit_s;
	if (limit_s <= 0)
		return err_set(err, NEL_INVALID, "a time limit of %lld s is none", (long long)limit_s);
	if (plan->walltime_auto) {
		str_appendf(s,
			    "# execution.walltime is auto: sbatch is given a --time of %lld s at most, by when it "
			    "would start\n",
			    (long long)limit_s);
		return 0;
	}
	bool bounded = limit_s < plan->walltime_s || (plan->max_walltime_s >= 0 && limit_s + 60 > plan->max_walltime_s);
	if (bounded && limit_s >= 60)
		limit_s -= limit_s % 60;
	CLEANUP(mem_freep)
	char *text =
	    mem_printf("%02lld:%02d:%02d", (long long)(limit_s / 3600), (int)(limit_s / 60 % 60), (int)(limit_s % 60));
	return append_option(s, "time", text, err);
}

static int append_flags(struct str *s, const struct eval_plan *plan, struct nel_err *err)
{
	for (size_t i = 0; i < plan->sbatch_flag_count; i++)
		if (append_option(s, plan->sbatch_flags[i].name, plan->sbatch_flags[i].value, err) != 0)
			return -1;
	return 0;
}

/* sbatch replaces %A and the like in the name of the log, and nothing at all after a '\'. */
static int append_output(struct str *s, const char *job_dir, struct nel_err *err)
{
	struct str path = {0};
	for (const char *p = job_dir; *p != '\0'; p++)
		str_append(&path, *p == '%' ? "%%" : (char[2]){*p, '\0'});
	str_append(&path, "/logs/slurm-%A.log");
	int rc = append_option(s, "output", str_text(&path), err);
	str_done(&path);
	return rc;
}

static int append_chain(struct str *s, const struct attempt_order *order, struct nel_err *err)
{
	if (order->after_job != NULL) {
		if (!consists_of(order->after_job, JOB_ID_BYTES))
			return err_set(err, NEL_INVALID, "'%s' is no Slurm job id", order->after_job);
		str_appendf(s, "#SBATCH --dependency=afterany:%s\n", order->after_job);
	}
	if (order->exclude_node != NULL) {
		if (!consists_of(order->exclude_node, NODE_BYTES))
			return err_set(err, NEL_INVALID, "'%s' is no name of a node", order->exclude_node);
		str_appendf(s, "#SBATCH --exclude=%s\n", order->exclude_node);
	}
	return 0;
}

/* The user's own flags come before what nel-slurmd depends on: of an option given twice sbatch takes the last. */
static int append_options(struct str *s, const struct eval_plan *plan, const struct attempt_order *order,
			  const char *job_dir, struct nel_err *err)
{
	if (append_time(s, plan, order, err) != 0 || append_option(s, "account", plan->account, err) != 0 ||
	    append_option(s, "partition", plan->partition, err) != 0 ||
	    append_number(s, "nodes", plan->total_nodes, err) != 0 ||
	    append_number(s, "ntasks-per-node", plan->ntasks_per_node, err) != 0)
		return -1;
	if (plan->gpus_per_node != NULL && append_option(s, "gpus-per-node", plan->gpus_per_node, err) != 0)
		return -1;
	if (plan->gres != NULL && append_option(s, "gres", plan->gres, err) != 0)
		return -1;
	if (plan->comment != NULL && append_option(s, "comment", plan->comment, err) != 0)
		return -1;
	if (append_flags(s, plan, err) != 0 || append_option(s, "job-name", order->job_name, err) != 0 ||
	    append_option(s, "no-requeue", NULL, err) != 0 || append_output(s, job_dir, err) != 0 ||
	    append_option(s, "open-mode", "append", err) != 0)
		return -1;
	return append_chain(s, order, err);
}

/* job_dir is part of mounts ("source:target,...") and of the names of logs, which have no way of quoting. */
static int check_job_dir(const char *job_dir, struct nel_err *err)
{
	if (*job_dir != '/')
		return err_set(err, NEL_INVALID, "the run directory '%s' is not absolute", job_dir);
	if (strpbrk(job_dir, ":,\\ \"$`") != NULL || str_has_control(job_dir))
		return err_set(
		    err, NEL_INVALID,
		    "the run directory '%s' has a ':', ',', '\\', '\"', '$', '`', space or control character, which "
		    "a mount or log name cannot hold",
		    job_dir);
	return 0;
}

struct shared_jobs {
	struct script_job *items;
	size_t count;
};

static void shared_jobs_done(struct shared_jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++)
		free(jobs->items[i].dir);
	free(jobs->items);
}

/* The jobs of a share_order, with their directories beside the chain's. */
static int find_shared_jobs(const struct eval_plan *plan, const struct share_order *share, const char *chain_dir,
			    struct shared_jobs *jobs, struct nel_err *err)
{
	CLEANUP(mem_freep) char *rundir = script_rundir_of(chain_dir);
	if (share->job_count < 1 || share->at_once < 1)
		return err_set(err, NEL_INVALID, "a shared deployment without jobs");
	jobs->items = mem_calloc(share->job_count, sizeof *jobs->items);
	for (size_t i = 0; i < share->job_count; i++) {
		const struct plan_job *job = eval_plan_job(plan, share->jobs[i]);
		if (job == NULL)
			return err_set(err, NEL_INVALID, "there is no job %d", share->jobs[i]);
		char *dir = script_job_dir(rundir, job);
		jobs->items[jobs->count++] =
		    (struct script_job){.job = job,
					.dir = dir,
					.folder = strrchr(dir, '/') + 1,
					.resumed_for = share->resumed_for != NULL ? share->resumed_for[i] : 0};
	}
	return 0;
}

int script_render_header(const struct eval_plan *plan, const struct attempt_order *order, const char *evaluation,
			 const char *job_dir, struct str *ret_header, struct nel_err *err)
{
	CLEANUP(shared_jobs_done) struct shared_jobs shared = {0};
	const struct plan_job *job = order->share != NULL ? NULL : eval_plan_job(plan, order->job_index);
	if (job == NULL && order->share == NULL)
		return err_set(err, NEL_INVALID, "there is no job %d", order->job_index);
	if (check_job_dir(job_dir, err) != 0)
		return -1;
	if (order->share != NULL && find_shared_jobs(plan, order->share, job_dir, &shared, err) != 0)
		return -1;
	struct str header = {0};
	str_append(&header, "#!/bin/bash\n");
	int rc = append_options(&header, plan, order, job_dir, err);
	if (rc == 0)
		rc = script_data_append(
		    &(struct script_data){.plan = plan,
					  .job = job,
					  .shared = shared.items,
					  .shared_count = shared.count,
					  .at_once = order->share != NULL ? order->share->at_once : 0,
					  .evaluation = evaluation,
					  .attempt = order->number,
					  .budget_from = order->budget_from,
					  .budget_left_s = order->budget_left_s,
					  .job_name = order->job_name,
					  .job_dir = job_dir},
		    &header, err);
	if (rc == 0)
		str_append_n(ret_header, str_text(&header), header.len);
	str_done(&header);
	return rc;
}
