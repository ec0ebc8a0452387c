/* Configs that are allowed but rarely what was meant. Adds warnings only. */
#include "config/plan.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define GPUS_MAX 65536

/* The GPUs of one node as execution.gpus_per_node or gres ("gpu:8", "gpu:h100:8") asks for them; 0 when that cannot be
 * read from it. */
static int64_t gpus_per_node(const struct eval_plan *plan)
{
	const char *text = plan->gpus_per_node != NULL ? plan->gpus_per_node : plan->gres;
	long long count;
	if (text == NULL || strchr(text, ',') != NULL)
		return 0;
	if (text == plan->gres && !str_starts_with(text, "gpu"))
		return 0;
	const char *colon = strrchr(text, ':');
	const char *number = colon == NULL ? text : colon + 1;
	return str_to_int(number, 0, GPUS_MAX, &count) ? count : text == plan->gres;
}

static int64_t factor(const json_t *config, const char *key)
{
	const json_t *value = reader_get(config, key);
	long long number;
	if (json_is_string(value) && str_to_int(json_string_value(value), 1, GPUS_MAX, &number))
		return number;
	number = json_integer_value(value);
	return number >= 1 && number <= GPUS_MAX ? number : 1;
}

static void warn_parallelism(const struct plan_ctx *ctx, const json_t *config, const char *base, const struct server *s)
{
	int64_t gpus = gpus_per_node(ctx->plan) * (s->num_nodes / s->num_instances);
	if (gpus == 0 || reader_get(config, "tensor_parallel_size") == NULL)
		return;
	int64_t tensor = factor(config, "tensor_parallel_size");
	int64_t pipeline = factor(config, "pipeline_parallel_size");
	int64_t data = factor(config, "data_parallel_size");
	if (tensor * pipeline * data == gpus)
		return;
	CLEANUP(mem_freep) char *pointer = reader_join(base, "tensor_parallel_size");
	reader_warn(
	    &ctx->reader, pointer,
	    "%s: tensor x pipeline x data parallel (%lld x %lld x %lld) uses %lld GPUs, but each instance holds %lld",
	    s->name, (long long)tensor, (long long)pipeline, (long long)data, (long long)(tensor * pipeline * data),
	    (long long)gpus);
}

/* No tag is the same as `latest`, except for files and digests. */
static bool is_latest(const char *image)
{
	const char *slash = strrchr(image, '/');
	const char *name = slash == NULL ? image : slash + 1;
	const char *tag = strchr(name, ':');
	if (image[0] == '/' || image[0] == '.' || str_ends_with(image, ".sqsh") || strchr(name, '@') != NULL)
		return false;
	return tag == NULL || strcmp(tag, ":latest") == 0;
}

static void warn_latest(const struct plan_ctx *ctx, const char *image, const char *base, const char *key)
{
	if (image == NULL || !is_latest(image))
		return;
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	reader_warn(&ctx->reader, pointer, "The image %s may be another one tomorrow: name a version", image);
}

/* A server whose command reads /checkpoint must have something there. */
static void warn_no_model(const struct plan_ctx *ctx, const char *base, const struct server *s)
{
	if (s->command == NULL || strstr(s->command, "/checkpoint") == NULL)
		return;
	for (size_t i = 0; i < s->mounts.count; i++)
		if (str_starts_with(s->mounts.items[i].target, "/checkpoint"))
			return;
	CLEANUP(mem_freep) char *pointer = reader_join(base, "checkpoint_path");
	reader_warn(&ctx->reader, pointer,
		    "%s reads its model from /checkpoint, where nothing is mounted: set "
		    "checkpoint_path, or hf_model_handle",
		    s->name);
}

static void warn_server(const struct plan_ctx *ctx, const json_t *config, const char *base, const struct server *s)
{
	warn_parallelism(ctx, config, base, s);
	warn_latest(ctx, s->image, base, "image");
	warn_no_model(ctx, base, s);
}

static void warn_execution(const struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	const struct eval_plan *plan = ctx->plan;
	bool gpus = plan->gres != NULL || (plan->gpus_per_node != NULL && strcmp(plan->gpus_per_node, "0") != 0);
	if (plan->deployment == NULL && ctx->deployment_none && plan->auxiliary_count == 0 && gpus)
		reader_warn(
		    r, "/execution/gres",
		    "No server is deployed, yet each job holds GPUs: set execution.gres and execution.gpus_per_node "
		    "to null, sbatch_extra_flags.exclusive to false, and a CPU partition to let them go");
	if (plan->max_walltime_s >= 0 && plan->walltime_s > plan->max_walltime_s)
		reader_warn(
		    r, "/execution/walltime",
		    "walltime (%lld s) is above max_walltime (%lld s), which is the limit of all attempts together",
		    (long long)plan->walltime_s, (long long)plan->max_walltime_s);
	if (plan->readiness_timeout_s > plan->walltime_s)
		reader_warn(r, "/execution/endpoint_readiness_timeout",
			    "The wait for the server is longer than the walltime");
	if (reader_bool(r, ctx->mounts, "/execution/mounts", "mount_home", true))
		reader_warn(r, "/execution/mounts/mount_home",
			    "The home directory is mounted into every container, where its files change what runs: "
			    "mount_home: false keeps it out");
	if (plan->deployment != NULL && plan->deployment->num_instances > 1)
		warn_latest(ctx, plan->proxy_image, "/execution/proxy", "image");
}

void plan_warnings(struct plan_ctx *ctx)
{
	const struct eval_plan *plan = ctx->plan;
	warn_execution(ctx);
	if (plan->deployment != NULL)
		warn_server(ctx, ctx->deployment, "/deployment", plan->deployment);
	for (size_t i = 0; i < plan->auxiliary_count; i++) {
		const struct server *s = &plan->auxiliaries[i];
		CLEANUP(mem_freep) char *base = reader_join("/auxiliary_deployments", s->name);
		warn_server(ctx, json_object_get(ctx->auxiliaries, s->name), base, s);
	}
	for (size_t i = 0; i < plan->job_count; i++) {
		CLEANUP(mem_freep) char *base = reader_join_index("/evaluation/tasks", (size_t)plan->jobs[i].index);
		warn_latest(ctx, plan->jobs[i].container, base, "container");
	}
}
