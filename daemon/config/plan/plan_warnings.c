/* Configs that are allowed but rarely what was meant. Adds warnings only. */
#include "config/plan/plan_parts.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/compose/free_ports.h"
#include "config/compose/overrides.h"
#include "config/plan/plan_env.h"
#include "config/plan/walltime.h"

#include <inttypes.h>
#include <string.h>

#define PARALLEL_MAX 65536 /* of each kind */

/* 1 where the key is absent; false where it has another thing than a number of GPUs. */
static bool read_factor(const json_t *config, const char *key, int64_t *ret_factor)
{
	CLEANUP(problems_done) struct problems errors = {0};
	const struct reader r = {.errors = &errors};
	*ret_factor = reader_int(&r, config, "", key, 1, PARALLEL_MAX, 1);
	return errors.count == 0;
}

static void warn_parallelism(const struct plan_ctx *ctx, const json_t *config, const char *base, const struct server *s)
{
	int64_t gpus = eval_plan_gpus_per_node(ctx->plan) * (s->num_nodes / s->num_instances);
	if (gpus <= 0 || reader_get(config, "tensor_parallel_size") == NULL)
		return;
	int64_t tensor = 0, pipeline = 0, data = 0;
	if (!read_factor(config, "tensor_parallel_size", &tensor) ||
	    !read_factor(config, "pipeline_parallel_size", &pipeline) ||
	    !read_factor(config, "data_parallel_size", &data))
		return;
	int64_t used = tensor * pipeline * data;
	if (used == gpus)
		return;
	CLEANUP(mem_freep) char *pointer = reader_join(base, "tensor_parallel_size");
	reader_warn(
	    &ctx->reader, pointer,
	    "%s: tensor x pipeline x data parallel (%lld x %lld x %lld) uses %lld GPU%s, but each instance holds %lld",
	    s->name, (long long)tensor, (long long)pipeline, (long long)data, (long long)used, used == 1 ? "" : "s",
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

/* A server whose command reads /checkpoint must have something there; where something is missing, that was said. */
static void warn_no_model(const struct plan_ctx *ctx, const char *base, const struct server *s)
{
	if (s->command == NULL || strstr(s->command, "/checkpoint") == NULL || ctx->reader.errors->count > 0)
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

static void warn_ray_ports(const struct plan_ctx *ctx, const json_t *config, const char *base, const struct server *s)
{
	const char *key;
	json_t *port;
	if (s->ray_port_references[0] == NULL) {
		reader_warn(
		    &ctx->reader, base,
		    "Others may share the nodes and use Ray's ports, which are those of the config: leave command and "
		    "ray_ports to the group, and free ones are chosen, or ask for whole nodes "
		    "(sbatch_extra_flags.exclusive: true)");
		return;
	}
	json_object_foreach(json_object_get(config, FREE_PORTS_RAY), key, port) {
		CLEANUP(mem_freep) char *ports = reader_join(base, FREE_PORTS_RAY);
		CLEANUP(mem_freep) char *pointer = reader_join(ports, key);
		if (json_is_integer(port))
			reader_warn(&ctx->reader, pointer,
				    "Others may share the nodes and use port %" JSON_INTEGER_FORMAT
				    ": leave it out, and a "
				    "free one is chosen, or ask for whole nodes (sbatch_extra_flags.exclusive: true)",
				    json_integer_value(port));
	}
}

/* A number of the config's own may be anybody's on a node that others share. */
static void warn_port(const struct plan_ctx *ctx, const json_t *config, const char *base, const struct server *s)
{
	if (free_ports_exclusive(ctx->execution))
		return;
	CLEANUP(mem_freep) char *pointer = reader_join(base, "port");
	if (s->port_reference == NULL)
		reader_warn(
		    &ctx->reader, pointer,
		    "Others may share the nodes and use port %d of %s, which then does not start: leave port out and "
		    "let the command say ${%s.port}, and a free one is chosen, or ask for whole nodes "
		    "(sbatch_extra_flags.exclusive: true)",
		    s->port, s->name, s->env_prefix == NULL ? "deployment" : "auxiliary_deployments.NAME");
	if (strcmp(s->type, "vllm_ray") == 0 || json_object_get(config, FREE_PORTS_RAY) != NULL)
		warn_ray_ports(ctx, config, base, s);
}

static void warn_server(const struct plan_ctx *ctx, const json_t *config, const char *base, const struct server *s)
{
	warn_parallelism(ctx, config, base, s);
	warn_latest(ctx, s->image, base, "image");
	warn_no_model(ctx, base, s);
	warn_port(ctx, config, base, s);
}

static void warn_execution(const struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	const struct eval_plan *plan = ctx->plan;
	if (plan->deployment == NULL && ctx->deployment_none && plan->auxiliary_count == 0 &&
	    eval_plan_gpus_per_node(plan) != 0)
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

/* Variables of one place in the config, as written there. */
static void warn_variables(const struct plan_ctx *ctx, const json_t *object, const char *base)
{
	CLEANUP(mem_freep) char *place = reader_join(base, "env_vars");
	const char *name;
	json_t *given;
	json_object_foreach(json_object_get(object, "env_vars"), name, given) {
		CLEANUP(str_done) struct str advice = {0};
		CLEANUP(mem_freep) char *pointer = reader_join(place, name);
		enum env_source source;
		const char *value;
		if (json_is_string(given) && plan_env_parse(json_string_value(given), &source, &value, &advice) &&
		    source == ENV_LITERAL && strpbrk(value, "$`") != NULL)
			reader_warn(
			    &ctx->reader, pointer,
			    "%s arrives as it is written: '$' and '`' in a lit: value are not expanded here, as the "
			    "launcher's shell does",
			    name);
	}
}

static bool has_variable(const struct env_group *group, const char *name)
{
	for (size_t i = 0; i < group->count; i++)
		if (strcmp(group->vars[i].name, name) == 0)
			return true;
	return false;
}

/* The launcher exports the server's variables past the server; here each container has its own only. */
static void warn_server_secrets(const struct plan_ctx *ctx)
{
	const struct eval_plan *plan = ctx->plan;
	if (plan->deployment == NULL)
		return;
	const struct env_group *group = &plan->deployment->env;
	for (size_t i = 0; i < group->count; i++) {
		bool elsewhere = plan->job_count == 0;
		for (size_t k = 0; k < plan->job_count && !elsewhere; k++)
			elsewhere = has_variable(&plan->jobs[k].env, group->vars[i].name);
		if (elsewhere || group->vars[i].source != ENV_HOST)
			continue;
		CLEANUP(mem_freep) char *pointer = reader_join("/deployment/env_vars", group->vars[i].name);
		reader_warn(&ctx->reader, pointer,
			    "Only the server gets %s: put it into evaluation.env_vars too if the evaluations need it",
			    group->vars[i].name);
	}
}

static void warn_no_gpu(const struct plan_ctx *ctx)
{
	const struct eval_plan *plan = ctx->plan;
	if (plan->deployment == NULL || eval_plan_gpus_per_node(plan) == 0 ||
	    reader_get(ctx->execution, "evaluation_gpu_visible") != NULL)
		return;
	for (size_t i = 0; i < plan->job_count; i++)
		if (has_variable(&plan->jobs[i].env, "NVIDIA_VISIBLE_DEVICES"))
			return;
	reader_warn(
	    &ctx->reader, "/execution/evaluation_gpu_visible",
	    "Evaluations see no GPU (NVIDIA_VISIBLE_DEVICES is void in them, whatever their image says): true shows "
	    "them, false says that none is needed");
}

/* What a config says that the launcher would not understand, where somebody takes it back there. */
static void warn_not_launchers(const struct plan_ctx *ctx)
{
	struct str names = {0};
	const json_t *resume = json_object_get(ctx->execution, "auto_resume");
	const json_t *mpi = json_object_get(ctx->execution, "mpi");
	const char *mode = json_string_value(json_object_get(resume, "mode"));
	if (reader_get(ctx->execution, "cluster") != NULL)
		str_append(&names, ", execution.cluster");
	if (mpi != NULL && (!json_is_string(mpi) || strcmp(json_string_value(mpi), "pmix") != 0))
		str_append(&names, ", execution.mpi");
	if (resume != NULL && (mode == NULL || strcmp(mode, "daemon") != 0))
		str_append(&names, ", execution.auto_resume");
	for (const char *const *key = override_own_keys; *key != NULL; key++)
		if (reader_get(ctx->execution, *key) != NULL)
			str_appendf(&names, ", execution.%s", *key);
	if (names.len > 0)
		reader_warn(&ctx->reader, "/execution", "NVIDIA's launcher does not read %s",
			    str_text(&names) + strlen(", "));
	str_done(&names);
}

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Keys that are as good as left out here when they are null, and where the launcher ends with an error. */
static void warn_nulls(const struct plan_ctx *ctx, const json_t *object, const char *base, const char *const *keys,
		       const char *instead)
{
	for (; *keys != NULL; keys++) {
		CLEANUP(mem_freep) char *pointer = reader_join(base, *keys);
		if (json_is_null(json_object_get(object, *keys)))
			reader_warn(&ctx->reader, pointer, "NVIDIA's launcher ends with an error where %s is null: %s",
				    *keys, instead);
	}
}

/* An auxiliary without a command gets vLLM's; the launcher's text of it wants each of these, and is written with "None"
 * where one is null. */
static void warn_vllm_keys(const struct plan_ctx *ctx, const json_t *config, const char *base)
{
	static const char *const keys[] = {"hf_model_handle",    "tensor_parallel_size",   "pipeline_parallel_size",
					   "data_parallel_size", "gpu_memory_utilization", "extra_args"};
	CLEANUP(str_done) struct str names = {0};
	if (reader_get(config, "command") != NULL || reader_get(config, "command_template") != NULL)
		return;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (reader_get(config, keys[i]) == NULL)
			str_appendf(&names, ", %s", keys[i]);
	if (names.len > 0)
		reader_warn(&ctx->reader, base,
			    "NVIDIA's launcher has no command for it without %s: set them, or command",
			    str_text(&names) + strlen(", "));
}

/* What a config says that ends the launcher, where somebody takes it back there. */
static void warn_ends_launcher(const struct plan_ctx *ctx)
{
	static const char omit[] = "leave it out";
	const char *name;
	json_t *member;
	size_t i;
	warn_nulls(ctx, ctx->execution, "/execution", KEYS("sbatch_extra_flags"), "{exclusive: false} means the same");
	warn_nulls(ctx, ctx->execution, "/execution", KEYS("num_nodes", "num_instances", "deployment", "mounts"), omit);
	warn_nulls(ctx, ctx->mounts, "/execution/mounts", KEYS("deployment", "evaluation", "auxiliary", "mount_home"),
		   omit);
	warn_nulls(ctx, ctx->root, "", KEYS("auxiliary_deployments", "target", "export"), omit);
	warn_nulls(ctx, ctx->target, "/target", KEYS("api_endpoint"), omit);
	warn_nulls(ctx, ctx->evaluation, "/evaluation",
		   KEYS("env_vars", "nemo_evaluator_config", "pre_cmd", "post_cmd"), omit);
	json_array_foreach(json_object_get(ctx->evaluation, "tasks"), i, member) {
		CLEANUP(mem_freep) char *base = reader_join_index("/evaluation/tasks", i);
		warn_nulls(ctx, member, base,
			   KEYS("env_vars", "nemo_evaluator_config", "pre_cmd", "post_cmd", "dataset_mount_path"),
			   omit);
	}
	json_object_foreach((json_t *)ctx->auxiliaries, name, member) {
		CLEANUP(mem_freep) char *base = reader_join("/auxiliary_deployments", name);
		const char *type = json_string_value(json_object_get(member, "type"));
		if (json_is_null(member))
			warn_nulls(ctx, ctx->auxiliaries, "/auxiliary_deployments", KEYS(name), omit);
		if (type == NULL || strcmp(type, "none") == 0)
			continue;
		warn_nulls(ctx, member, base, KEYS("num_nodes", "num_instances"), omit);
		warn_vllm_keys(ctx, member, base);
	}
}

/* A limit whose form is Slurm's, and perhaps not what was meant by it. */
static void warn_walltime(const struct plan_ctx *ctx, const char *key)
{
	const char *text = json_string_value(reader_get(ctx->execution, key));
	const char *colon = text == NULL ? NULL : strchr(text, ':');
	CLEANUP(mem_freep) char *pointer = reader_join("/execution", key);
	int64_t seconds;
	if (text != NULL && text[strspn(text, "0123456789")] == '\0' && walltime_parse(text, &seconds) == 0)
		reader_warn(&ctx->reader, pointer,
			    "'%s' is minutes to Slurm and here, %" PRId64
			    " s; to the launcher digits alone are seconds of "
			    "max_walltime and no walltime: write HH:MM:SS",
			    text, seconds);
	if (colon == NULL || walltime_parse(text, &seconds) != 0)
		return;
	if (strchr(colon + 1, ':') == NULL && strchr(text, '-') == NULL) {
		reader_warn(&ctx->reader, pointer,
			    "'%s' is minutes and seconds to Slurm, %" PRId64 " s; hours are written as HH:MM:SS", text,
			    seconds);
		return;
	}
	for (; colon != NULL; colon = strchr(colon + 1, ':')) {
		if (strtol(colon + 1, NULL, 10) < 60)
			continue;
		reader_warn(&ctx->reader, pointer,
			    "'%s' has more than 59 minutes or seconds; it counts as %" PRId64 " s", text, seconds);
		return;
	}
}

struct task_text {
	char *text;
	size_t index;
};

static int compare_task_texts(const void *a, const void *b)
{
	const struct task_text *left = a, *right = b;
	int order = strcmp(left->text, right->text);
	return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

/* The same task with the same settings twice costs twice and says nothing new. */
static void warn_repeated_tasks(const struct plan_ctx *ctx)
{
	const json_t *tasks = json_object_get(ctx->evaluation, "tasks");
	size_t count = json_array_size(tasks);
	if (count < 2 || count > EVAL_JOBS_MAX)
		return;
	struct task_text *texts = mem_calloc(count, sizeof *texts);
	for (size_t i = 0; i < count; i++)
		texts[i] = (struct task_text){
		    json_dumps(json_array_get(tasks, i), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY), i};
	qsort(texts, count, sizeof *texts, compare_task_texts);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(texts[i].text, texts[i - 1].text) != 0)
			continue;
		CLEANUP(mem_freep) char *pointer = reader_join_index("/evaluation/tasks", texts[i].index);
		reader_warn(&ctx->reader, pointer, "The same task with the same settings as evaluation.tasks[%zu]",
			    texts[i - 1].index);
	}
	for (size_t i = 0; i < count; i++)
		free(texts[i].text);
	free(texts);
}

static void warn_environments(const struct plan_ctx *ctx)
{
	const char *name;
	json_t *member;
	size_t i;
	warn_variables(ctx, ctx->root, "");
	warn_variables(ctx, ctx->deployment, "/deployment");
	warn_variables(ctx, ctx->evaluation, "/evaluation");
	warn_variables(ctx, json_object_get(ctx->root, "export"), "/export");
	json_object_foreach((json_t *)ctx->auxiliaries, name, member) {
		CLEANUP(mem_freep) char *base = reader_join("/auxiliary_deployments", name);
		warn_variables(ctx, member, base);
	}
	json_array_foreach(json_object_get(ctx->evaluation, "tasks"), i, member) {
		CLEANUP(mem_freep) char *base = reader_join_index("/evaluation/tasks", i);
		warn_variables(ctx, member, base);
	}
}

static void warn_share(const struct plan_ctx *ctx)
{
	if (ctx->deployment_none && !reader_is_falsy(reader_get(ctx->execution, "idle_limit")))
		reader_warn(&ctx->reader, "/execution/idle_limit",
			    "Without a deployment idle_limit has no effect: it is about the GPUs and servers of one");
	const json_t *share = reader_get(ctx->execution, "share_deployment");
	bool shares = share != NULL && !json_is_false(share);
	if (shares && ctx->deployment_none)
		reader_warn(&ctx->reader, "/execution/share_deployment",
			    "There is no deployment to share: each task gets a Slurm job of its own");
	if (!shares && reader_get(ctx->execution, "share_order") != NULL)
		reader_warn(&ctx->reader, "/execution/share_order",
			    "Without share_deployment the tasks have no order: each gets a Slurm job of its own");
}

void plan_warnings(struct plan_ctx *ctx)
{
	const struct eval_plan *plan = ctx->plan;
	warn_execution(ctx);
	warn_environments(ctx);
	warn_server_secrets(ctx);
	warn_no_gpu(ctx);
	warn_walltime(ctx, "walltime");
	warn_walltime(ctx, "max_walltime");
	warn_repeated_tasks(ctx);
	warn_share(ctx);
	warn_not_launchers(ctx);
	warn_ends_launcher(ctx);
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
