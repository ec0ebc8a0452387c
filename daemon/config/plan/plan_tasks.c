/* The evaluation section: one job a task, with its container, environment, mounts, and evaluator config. */
#include "base/mem.h"
#include "base/str.h"
#include "config/plan/evaluator_config.h"
#include "config/plan/plan_env.h"
#include "config/plan/plan_mounts.h"
#include "config/plan/plan_parts.h"
#include "config/text/tree.h"

#include <string.h>

#define EVALUATION "/evaluation"
#define DATASET_VARIABLE "NEMO_EVALUATOR_DATASET_DIR"
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

char *plan_shell_code(const struct plan_ctx *ctx, const json_t *object, const char *base, const char *key)
{
	char *code = reader_text_or(&ctx->reader, object, base, key, READER_ANY, "");
	if (code == NULL)
		return mem_strdup("");
	str_unix_lines(
	    code); /* as YAML does to its own lines; bash would take the CR for a part of the word before it */
	if (*code != '\0' && !ctx->allow_commands) {
		CLEANUP(mem_freep) char *pointer = reader_join(base, key);
		reader_error(
		    &ctx->reader, pointer,
		    "%s runs shell code in the container, which this service's settings permit to some roles only "
		    "(allow.commands), not to yours",
		    key);
	}
	return code;
}

/* The task's own code, or that of the evaluation. */
static char *shell_code(const struct plan_ctx *ctx, const json_t *task, const char *base, const char *key)
{
	char *code = plan_shell_code(ctx, task, base, key);
	if (*code != '\0')
		return code;
	free(code);
	return plan_shell_code(ctx, ctx->evaluation, EVALUATION, key);
}

/* A task's name where only [A-Za-z0-9_.-] may stand; never ".", "..", or an option. */
static char *make_file_name(const char *task)
{
	char *name = mem_strdup(task);
	for (char *p = name; *p != '\0'; p++)
		if (strchr(NAME_BYTES ".-", *p) == NULL)
			*p = '_';
	if (*name == '.' || *name == '-')
		*name = '_';
	return name;
}

static void read_name(const struct plan_ctx *ctx, const json_t *task, const char *base, struct plan_job *job)
{
	job->task = reader_need_text(&ctx->reader, task, base, "name", READER_TOKEN);
	if (job->task != NULL && strlen(job->task) > PLAN_NAME_MAX) {
		CLEANUP(mem_freep) char *pointer = reader_join(base, "name");
		reader_error(&ctx->reader, pointer, "A task's name has at most %d bytes", PLAN_NAME_MAX);
	}
	job->file_name = make_file_name(job->task == NULL ? "unnamed" : job->task);
}

static void read_endpoint_type(const struct plan_ctx *ctx, const json_t *task, const char *base, struct plan_job *job)
{
	job->endpoint_type = reader_text_or(&ctx->reader, task, base, "endpoint_type", READER_TOKEN, "chat");
	if (job->endpoint_type == NULL || job->endpoint_type[strspn(job->endpoint_type, NAME_BYTES)] == '\0')
		return;
	CLEANUP(mem_freep) char *pointer = reader_join(base, "endpoint_type");
	reader_error(&ctx->reader, pointer, "endpoint_type is a word such as chat or completions");
}

/* Last wins: top, evaluation, task; then the API key, and the dataset's place, unless they are there. */
static void read_env(const struct plan_ctx *ctx, const json_t *task, const char *base, struct plan_job *job)
{
	const struct reader *r = &ctx->reader;
	const json_t *target = reader_get(ctx->target, "api_endpoint");
	plan_env_add(r, ctx->root, "", "env_vars", &job->env);
	plan_env_add(r, ctx->evaluation, EVALUATION, "env_vars", &job->env);
	plan_env_add(r, task, base, "env_vars", &job->env);
	CLEANUP(mem_freep) char *key = reader_text(r, target, "/target/api_endpoint", "api_key_name", READER_LINE);
	if (key == NULL || *key == '\0')
		return;
	if (plan_env_is_name(key))
		plan_env_default(&job->env, key, ENV_HOST, key);
	else
		reader_error(r, "/target/api_endpoint/api_key_name",
			     "api_key_name is the name of a variable ([A-Za-z_][A-Za-z0-9_]*), never the key itself");
}

static void read_dataset(const struct plan_ctx *ctx, const json_t *task, const char *base, struct plan_job *job)
{
	const struct reader *r = &ctx->reader;
	CLEANUP(mem_freep)
	char *target = reader_text_or(r, task, base, "dataset_mount_path", READER_ANY, "/datasets");
	plan_mounts_add_all(r, ctx->mounts, "/execution/mounts", "evaluation", &job->mounts);
	if (reader_get(task, "dataset_dir") == NULL || target == NULL)
		return;
	CLEANUP(mem_freep) char *path = mem_strndup(target, strcspn(target, ":"));
	plan_mounts_add_key(r, task, base, "dataset_dir", target, &job->mounts);
	plan_env_default(&job->env, DATASET_VARIABLE, ENV_LITERAL, path);
}

/* true: all GPUs; a text: those; false, null, and numbers, which the launcher does not read: none. */
static char *read_gpu_visible(const struct plan_ctx *ctx, const struct plan_job *job)
{
	const json_t *value = reader_get(ctx->execution, "evaluation_gpu_visible");
	if (json_is_integer(value)) {
		if (job->index == 0)
			reader_warn(
			    &ctx->reader, "/execution/evaluation_gpu_visible",
			    "A number is not read here, so evaluations see no GPU: to show GPU %" JSON_INTEGER_FORMAT
			    ", write \"%" JSON_INTEGER_FORMAT "\"",
			    json_integer_value(value), json_integer_value(value));
		return NULL;
	}
	if (value == NULL || json_is_false(value) || (json_is_string(value) && json_string_length(value) == 0))
		return NULL;
	if (json_is_true(value))
		return mem_strdup("all");
	return reader_text(&ctx->reader, ctx->execution, "/execution", "evaluation_gpu_visible", READER_TOKEN);
}

static void read_task(struct plan_ctx *ctx, const json_t *global, const json_t *task, const char *base,
		      struct plan_job *job)
{
	const struct reader *r = &ctx->reader;
	read_name(ctx, task, base, job);
	job->container = ctx->checked_tasks ? reader_text(r, task, base, "container", READER_TOKEN)
					    : reader_need_text(r, task, base, "container", READER_TOKEN);
	read_endpoint_type(ctx, task, base, job);
	job->pre_cmd = shell_code(ctx, task, base, "pre_cmd");
	job->post_cmd = shell_code(ctx, task, base, "post_cmd");
	job->gpu_visible = read_gpu_visible(ctx, job);
	read_env(ctx, task, base, job);
	read_dataset(ctx, task, base, job);
	plan_env_settle(&job->env);
	job->evaluator_config = evaluator_config_build(ctx, global, task, base, job);
}

static const json_t *find_tasks(const struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	if (reader_is_missing(json_object_get(ctx->evaluation, "tasks"))) {
		reader_missing(r, EVALUATION "/tasks");
		return NULL;
	}
	const json_t *tasks = reader_array(r, ctx->evaluation, EVALUATION, "tasks");
	if (tasks == NULL && reader_get(ctx->evaluation, "tasks") != NULL)
		return NULL;
	if (json_array_size(tasks) == 0)
		reader_error(r, EVALUATION "/tasks", "evaluation.tasks must name at least one task");
	else if (json_array_size(tasks) > EVAL_JOBS_MAX)
		reader_error(r, EVALUATION "/tasks", "More than %d tasks in one evaluation", EVAL_JOBS_MAX);
	else
		return tasks;
	return NULL;
}

struct weight {
	size_t nodes, size; /* size: of its JSON, nearly */
};

static void weigh(const json_t *value, struct weight *w)
{
	size_t i;
	const char *key;
	json_t *member;
	w->nodes += json_is_real(value) ? TREE_REAL : 1;
	w->size += json_is_string(value) ? json_string_length(value) + 3 : 4;
	json_array_foreach(value, i, member)
		weigh(member, w);
	json_object_foreach((json_t *)value, key, member) {
		w->size += strlen(key) + 3;
		weigh(member, w);
	}
}

/* What every task takes from the evaluation is read, hashed and written for each of them. */
static bool shared_fits(const struct plan_ctx *ctx, size_t tasks)
{
	struct weight shared = {0};
	const char *key;
	json_t *member;
	json_object_foreach((json_t *)ctx->evaluation, key, member)
		if (strcmp(key, "tasks") != 0)
			weigh(member, &shared);
	weigh(json_object_get(ctx->root, "env_vars"), &shared);
	weigh(json_object_get(ctx->mounts, "evaluation"), &shared);
	if (shared.size <= PLAN_SHARED_SIZE_MAX / tasks && shared.nodes <= PLAN_SHARED_NODES_MAX / tasks)
		return true;
	reader_error(
	    &ctx->reader, EVALUATION "/tasks",
	    "%zu tasks that each take %zu values (%zu bytes) from evaluation (nemo_evaluator_config, env_vars, "
	    "...) are too much for one evaluation; split it",
	    tasks, shared.nodes, shared.size);
	return false;
}

/* Each job's file carries the whole config: bound what they come to. */
static bool fits(const struct plan_ctx *ctx, size_t tasks)
{
	struct weight whole = {0};
	if (ctx->stored)
		return true;
	weigh(ctx->root, &whole);
	if (whole.nodes > PLAN_NODES_MAX) {
		reader_error(&ctx->reader, "",
			     "A config of more than %d values (a number with a fraction counts as %d)", PLAN_NODES_MAX,
			     TREE_REAL);
		return false;
	}
	if (whole.size <= EVALUATOR_CONFIGS_MAX / tasks)
		return tasks == 1 || shared_fits(ctx, tasks);
	reader_error(&ctx->reader, EVALUATION "/tasks",
		     "%zu tasks with a config of %zu bytes each are too much for one evaluation; split it", tasks,
		     whole.size);
	return false;
}

void plan_tasks(struct plan_ctx *ctx)
{
	struct eval_plan *plan = ctx->plan;
	const json_t *tasks = find_tasks(ctx);
	size_t i;
	json_t *task;
	if (tasks == NULL || !fits(ctx, json_array_size(tasks)))
		return;
	CLEANUP(json_freep) json_t *global = evaluator_config_global(ctx);
	plan->jobs = mem_calloc(json_array_size(tasks), sizeof *plan->jobs);
	json_array_foreach((json_t *)tasks, i, task) {
		CLEANUP(mem_freep) char *base = reader_join_index(EVALUATION "/tasks", i);
		if (!json_is_object(task)) {
			reader_error(&ctx->reader, base, "A task is a mapping with a name, such as {name: mmlu_pro}");
			continue;
		}
		struct plan_job *job = &plan->jobs[plan->job_count++];
		job->index = (int)i;
		read_task(ctx, global, task, base, job);
	}
}
