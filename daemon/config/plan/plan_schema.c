/* The keys of each section, unknown ones, and keys that were something once. What a key means is read elsewhere. */
#include "config/plan/plan_parts.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define DEPLOYMENT_KEYS \
	"type", "image", "command", "base_command", "port", "served_model_name", "endpoints", "env_vars", "pre_cmd", \
	    "checkpoint_path", "cache_path", "extra_args", "hf_model_handle", "tensor_parallel_size", \
	    "pipeline_parallel_size", "data_parallel_size", "gpu_memory_utilization", "distributed_executor_backend", \
	    "ray_ports", "max_model_len", "n_tasks"

/* One section: where it is, what it may hold, and whether anything else is an error. */
struct section {
	const char *pointer;
	const char *const *keys;
	bool strict;
};

static const struct section sections[] = {
    {"",
     KEYS("execution", "deployment", "auxiliary_deployments", "evaluation", "target", "export", "env_vars",
	  "user_config_path"), /* the launcher notes in it where it read a config */
     false},
    {"/execution",
     KEYS("type", "hostname", "cluster", "username", "account", "output_dir", "partition", "cpu_partition", "num_nodes",
	  "num_instances", "ntasks_per_node", "gres", "gpus_per_node", "walltime", "max_walltime",
	  "endpoint_readiness_timeout", "subproject", "sbatch_comment", "sbatch_extra_flags", "deployment", "mounts",
	  "proxy", "evaluation_gpu_visible", "auto_export", "auto_resume", "mpi", "env_vars", "share_deployment",
	  "share_order", "idle_limit", "move_after"),
     false},
    {"/execution/deployment", KEYS("n_tasks"), false},
    {"/execution/mounts", KEYS("deployment", "evaluation", "auxiliary", "mount_home"), true},
    {"/execution/proxy", KEYS("type", "image", "config"), false},
    {"/execution/proxy/config", KEYS("haproxy_port", "health_check_path", "health_check_status"), false},
    {"/execution/auto_export",
     KEYS("destinations", "launcher_install_cmd", "export_image", "export_mounts", "partition"), false},
    {"/execution/auto_resume", KEYS("mode", "on", "max_attempts"), true},
    {"/deployment", KEYS(DEPLOYMENT_KEYS, "multiple_instances"), false},
    {"/evaluation", KEYS("tasks", "nemo_evaluator_config", "env_vars", "pre_cmd", "post_cmd", "overrides"), true},
    {"/target", KEYS("api_endpoint"), false},
    {"/target/api_endpoint", KEYS("url", "model_id", "api_key_name"), false},
    {"/export", KEYS("env_vars", "mlflow", "wandb", "gsheets", "local", "huggingface"), false},
};

static const char *const task_keys[] = {
    "name",    "container", "endpoint_type", "env_vars", "nemo_evaluator_config", "dataset_dir", "dataset_mount_path",
    "pre_cmd", "post_cmd",  "overrides",     NULL};

static const char *const auxiliary_keys[] = {DEPLOYMENT_KEYS, "num_nodes",        "num_instances",
					     "env_prefix",    "command_template", NULL};

/* The member at an RFC 6901 pointer whose steps need no unescaping. */
static const json_t *at(const json_t *root, const char *pointer)
{
	while (root != NULL && *pointer == '/') {
		size_t size = strcspn(pointer + 1, "/");
		CLEANUP(mem_freep) char *key = mem_strndup(pointer + 1, size);
		root = json_object_get(root, key);
		pointer += 1 + size;
	}
	return root;
}

static bool is_empty(const json_t *value)
{
	return value == NULL || json_is_null(value) || (json_is_object(value) && json_object_size(value) == 0);
}

static void check_gone(const struct plan_ctx *ctx, const char *base, const char *key, const char *advice)
{
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	if (!is_empty(at(ctx->root, pointer)))
		reader_error(&ctx->reader, pointer, "%s", advice);
}

static const char overrides_advice[] = "'overrides' is not read any more: write 'config.params.x: 1' of it as "
				       "nemo_evaluator_config: {config: {params: {x: "
				       "1}}}";

static void check_tasks(const struct plan_ctx *ctx)
{
	const json_t *tasks = json_object_get(ctx->evaluation, "tasks");
	size_t i;
	json_t *task;
	json_array_foreach((json_t *)tasks, i, task) {
		CLEANUP(mem_freep) char *base = reader_join_index("/evaluation/tasks", i);
		CLEANUP(mem_freep) char *overrides = reader_join(base, "overrides");
		reader_keys(&ctx->reader, task, base, task_keys, true);
		if (!is_empty(json_object_get(task, "overrides")))
			reader_error(&ctx->reader, overrides, "%s", overrides_advice);
	}
}

static void check_auxiliaries(const struct plan_ctx *ctx, bool strict)
{
	const char *name;
	json_t *auxiliary;
	json_object_foreach((json_t *)ctx->auxiliaries, name, auxiliary) {
		CLEANUP(mem_freep) char *base = reader_join("/auxiliary_deployments", name);
		reader_keys(&ctx->reader, auxiliary, base, auxiliary_keys, strict);
	}
}

static bool lies_in(const struct reader_step *at, const char *section)
{
	if (at->parent == NULL)
		return false;
	while (at->parent != NULL)
		at = at->parent;
	return at->key != NULL && strcmp(at->key, section) == 0;
}

/* Interpolation leaves references to auxiliary deployments to the evaluator config; anywhere else they would survive.
 */
static void check_references(const struct reader *r, const json_t *value, const struct reader_step *at)
{
	const char *key;
	json_t *member;
	size_t i;
	if (at != NULL && at->key != NULL && strcmp(at->key, "nemo_evaluator_config") == 0 && lies_in(at, "evaluation"))
		return;
	if (json_is_string(value) && strstr(json_string_value(value), "${auxiliary_deployments.") != NULL) {
		CLEANUP(mem_freep) char *pointer = reader_pointer(at);
		reader_error(
		    r, pointer,
		    "URL and model_id of an auxiliary deployment can be named in nemo_evaluator_config only; shell "
		    "code in the evaluation has them as variables such as JUDGE_CHAT_URL");
	}
	json_object_foreach((json_t *)value, key, member) {
		const struct reader_step step = {.parent = at, .key = key};
		check_references(r, member, &step);
	}
	json_array_foreach((json_t *)value, i, member) {
		const struct reader_step step = {.parent = at, .index = i};
		check_references(r, member, &step);
	}
}

void plan_check_keys(const struct plan_ctx *ctx, bool strict)
{
	for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
		const struct section *s = &sections[i];
		reader_keys(&ctx->reader, at(ctx->root, s->pointer), s->pointer, s->keys, s->strict || strict);
	}
	check_references(&ctx->reader, ctx->root, NULL);
	check_tasks(ctx);
	check_auxiliaries(ctx, strict);
	check_gone(ctx, "/evaluation", "overrides", overrides_advice);
	check_gone(ctx, "/execution", "env_vars",
		   "execution.env_vars is not read: use env_vars (everywhere), evaluation.env_vars, or "
		   "deployment.env_vars");
	check_gone(ctx, "", "convert",
		   "convert is no part of a config: it stands beside the config in POST /v1/campaigns");
	check_gone(ctx, "/deployment", "multiple_instances",
		   "deployment.multiple_instances is not read any more: set execution.num_instances, which divides "
		   "execution.num_nodes");
}
