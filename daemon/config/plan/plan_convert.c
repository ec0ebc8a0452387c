/* A checkpoint's conversion: its config is made of that of the evaluations it is for, and of what a campaign says of it
 * (`convert`); its plan has one job, which runs a command in a container. */
#include "config/plan/plan_convert.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/plan/plan_env.h"
#include "config/plan/plan_mounts.h"
#include "config/plan/plan_parts.h"

#include <string.h>

#define BASE "/convert"
#define CHECKPOINT "/checkpoint"
#define CONVERTED "/results/converted.new" /* run_body/11_conversion.sh has it, too */
#define GPUS_MAX 1024
#define CPUS_MAX 4096

/* What an evaluation asks for, and its conversion does not unless it says so itself. */
static const char *const own_keys[] = {
    "num_nodes",        "num_instances", "ntasks_per_node", "gres",       "gpus_per_node",
    "share_deployment", "share_order",   "idle_limit",      "deployment", "endpoint_readiness_timeout",
    "auto_export",      "proxy",         "mounts",          NULL};

static const char *const fields[] = {"image",     "command", "output",      "env_vars",           "mounts",
				     "gpus",      "gres",    "cpus",        "walltime",           "max_walltime",
				     "partition", "account", "auto_resume", "sbatch_extra_flags", NULL};

/* Those that mean in convert what they mean in execution. */
static const char *const taken_over[] = {"walltime", "max_walltime", "partition", "account",
					 "gres",     "auto_resume",  NULL};

static json_t *copy_of(const json_t *object)
{
	return json_is_object(object) ? json_deep_copy(object) : json_object();
}

static void set_mounts(json_t *execution, const json_t *evaluations, const json_t *convert)
{
	const json_t *home = json_object_get(json_object_get(evaluations, "mounts"), "mount_home");
	json_t *mounts = json_object();
	json_object_set_new(mounts, "evaluation", copy_of(json_object_get(convert, "mounts")));
	if (home != NULL)
		json_object_set(mounts, "mount_home", (json_t *)home);
	json_object_set_new(execution, "mounts", mounts);
}

static json_t *execution_of(const json_t *resolved, const json_t *convert)
{
	const json_t *evaluations = json_object_get(resolved, "execution");
	json_t *execution = copy_of(evaluations);
	json_t *flags = copy_of(json_object_get(execution, "sbatch_extra_flags"));
	for (const char *const *key = own_keys; *key != NULL; key++)
		json_object_del(execution, *key);
	for (const char *const *key = taken_over; *key != NULL; key++)
		if (json_object_get(convert, *key) != NULL)
			json_object_set(execution, *key, json_object_get(convert, *key));
	if (json_object_get(convert, "gpus") != NULL)
		json_object_set(execution, "gpus_per_node", json_object_get(convert, "gpus"));
	if (json_object_get(convert, "sbatch_extra_flags") != NULL)
		json_object_update(flags, json_object_get(convert, "sbatch_extra_flags"));
	if (json_object_get(convert, "cpus") != NULL)
		json_object_set(flags, "cpus-per-task", json_object_get(convert, "cpus"));
	json_object_set_new(execution, "sbatch_extra_flags", flags);
	set_mounts(execution, evaluations, convert);
	return execution;
}

/* As its evaluations have it, so that usage adds up. */
static const json_t *model_of(const json_t *resolved)
{
	const json_t *model = json_object_get(json_object_get(resolved, "deployment"), "served_model_name");
	return json_is_string(model)
		   ? model
		   : json_object_get(json_object_get(json_object_get(resolved, "target"), "api_endpoint"), "model_id");
}

json_t *plan_convert_config(const json_t *resolved, const json_t *convert, const char *checkpoint)
{
	static const char *const kept[] = {"image", "command", "output", "env_vars"};
	json_t *own = json_pack("{s:s}", "checkpoint", checkpoint);
	const json_t *model = model_of(resolved);
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		if (json_object_get(convert, kept[i]) != NULL)
			json_object_set(own, kept[i], json_object_get(convert, kept[i]));
	json_object_set(own, "model", json_is_string(model) ? (json_t *)model : json_object_get(own, "checkpoint"));
	json_t *config = json_pack("{s:o, s:{s:s}, s:o}", "execution", execution_of(resolved, convert), "deployment",
				   "type", "none", "convert", own);
	const json_t *variables = json_object_get(resolved, "env_vars");
	if (variables != NULL)
		json_object_set(config, "env_vars", (json_t *)variables);
	return config;
}

static void check_count(const struct reader *r, const json_t *convert, const char *key, int64_t least, int64_t most)
{
	CLEANUP(mem_freep) char *pointer = reader_join(BASE, key);
	const json_t *value = json_object_get(convert, key);
	if (value != NULL &&
	    (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most))
		reader_error(r, pointer, "%s must be a whole number from %d to %d", key, (int)least, (int)most);
}

/* A path below what the command writes to: it is looked for there once the command has ended. */
static void check_output(const struct reader *r, const json_t *convert)
{
	const json_t *given = json_object_get(convert, "output");
	const char *output = json_string_value(given);
	if (given == NULL)
		return;
	bool fine =
	    output != NULL && *output != '\0' && *output != '/' && strlen(output) <= PLAN_CONVERT_OUTPUT_MAX &&
	    output[strspn(output, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-+=/")] == '\0';
	for (const char *at = output; fine && at != NULL; at = strchr(at, '/')) {
		at += *at == '/';
		size_t size = strcspn(at, "/");
		fine = size > 0 && !(size == 1 && at[0] == '.') && !(size == 2 && at[0] == '.' && at[1] == '.');
	}
	if (!fine)
		reader_error(
		    r, BASE "/output",
		    "output must be a path below NEL_CONVERTED, of letters, digits and . _ = + -, at most %d bytes",
		    PLAN_CONVERT_OUTPUT_MAX);
}

void plan_convert_check(const struct reader *r, const json_t *convert)
{
	reader_keys(r, convert, BASE, fields, true);
	free(reader_need_text(r, convert, BASE, "image", READER_TOKEN));
	free(reader_need_text(r, convert, BASE, "command", READER_ANY));
	(void)reader_object(r, convert, BASE, "env_vars");
	(void)reader_object(r, convert, BASE, "mounts");
	(void)reader_object(r, convert, BASE, "auto_resume");
	(void)reader_object(r, convert, BASE, "sbatch_extra_flags");
	check_count(r, convert, "gpus", 0, GPUS_MAX);
	check_count(r, convert, "cpus", 1, CPUS_MAX);
	check_output(r, convert);
	if (json_integer_value(json_object_get(convert, "gpus")) > 0 &&
	    !reader_is_falsy(json_object_get(convert, "gres")))
		reader_error(r, BASE "/gres", "gpus and gres ask Slurm for the same: give one of them");
}

static void read_variables(const struct plan_ctx *ctx, struct plan_job *job)
{
	plan_env_add(&ctx->reader, ctx->root, "", "env_vars", &job->env);
	plan_env_add(&ctx->reader, ctx->convert, BASE, "env_vars", &job->env);
	for (size_t i = 0; i < job->env.count; i++) {
		const char *name = job->env.vars[i].name;
		if (strcmp(name, "NEL_CHECKPOINT") == 0 || strcmp(name, "NEL_CONVERTED") == 0)
			reader_error(&ctx->reader, BASE "/env_vars", "%s is the conversion's own variable", name);
	}
	plan_env_default(&job->env, "NEL_CHECKPOINT", ENV_LITERAL, CHECKPOINT);
	plan_env_default(&job->env, "NEL_CONVERTED", ENV_LITERAL, CONVERTED);
	plan_env_settle(&job->env);
}

void plan_convert(struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	struct eval_plan *plan = ctx->plan;
	plan->jobs = mem_calloc(1, sizeof *plan->jobs);
	plan->job_count = 1;
	plan->total_nodes = 1;
	plan->model = reader_text(r, ctx->convert, BASE, "model", READER_ANY);
	plan->conversion = reader_text_or(r, ctx->convert, BASE, "output", READER_LINE, "");
	struct plan_job *job = &plan->jobs[0];
	job->task = mem_strdup(PLAN_CONVERT_TASK);
	job->file_name = mem_strdup(PLAN_CONVERT_TASK);
	job->endpoint_type = mem_strdup("");
	job->container = reader_need_text(r, ctx->convert, BASE, "image", READER_TOKEN);
	job->pre_cmd = reader_need_text(r, ctx->convert, BASE, "command", READER_ANY);
	job->post_cmd = mem_strdup("");
	if (job->pre_cmd != NULL)
		str_unix_lines(job->pre_cmd);
	if (plan->gres != NULL || (plan->gpus_per_node != NULL && strcmp(plan->gpus_per_node, "0") != 0))
		job->gpu_visible = mem_strdup("all");
	read_variables(ctx, job);
	plan_mounts_add_all(r, ctx->mounts, "/execution/mounts", "evaluation", &job->mounts);
	plan_mounts_add_key(r, ctx->convert, BASE, "checkpoint", CHECKPOINT ":ro", &job->mounts);
	job->evaluator_config = json_object();
}
