/* The servers of the allocation: the deployment, the auxiliary deployments after it, and the nodes of each. */
#include "base/mem.h"
#include "base/str.h"
#include "config/compose/free_ports.h"
#include "config/plan/plan_env.h"
#include "config/plan/plan_mounts.h"
#include "config/plan/plan_parts.h"

#include <ctype.h>
#include <string.h>

#define DEPLOYMENT "/deployment"
#define AUXILIARIES "/auxiliary_deployments"
#define AUXILIARIES_MAX 32
#define ENDPOINTS_MAX 32
#define MODEL_NAME_MAX 512
#define TASKS_MAX 65536
#define PARALLEL_MAX 65536 /* of each kind */
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define HEALTH_DEFAULT "/health"

static const char *const server_types[] = {"none", "vllm", "vllm_ray", "sglang", "nim", "trtllm", "generic", NULL};
static const char *const reserved_prefixes[] = {"SLURM", "PRIMARY", "MODEL", "SERVER", NULL};

static bool is_url_path(const char *path)
{
	return *path == '/' && !str_has_control(path) && strpbrk(path, " '\"\\`$") == NULL;
}

static void add_endpoint(const struct reader *r, struct server *s, const char *name, const json_t *path,
			 const char *pointer)
{
	if (json_is_null(path))
		return;
	if (reader_is_missing(path)) {
		reader_missing(r, pointer);
	} else if (*name == '\0' || name[strspn(name, NAME_BYTES)] != '\0') {
		reader_error(r, pointer, "The name of an endpoint is letters, digits and '_'");
	} else if (!json_is_string(path) || !is_url_path(json_string_value(path))) {
		reader_error(r, pointer, "An endpoint is a path that begins with '/', such as /v1/chat/completions");
	} else if (s->endpoint_count >= ENDPOINTS_MAX) {
		reader_error(r, pointer, "More than %d endpoints", ENDPOINTS_MAX);
	} else {
		s->endpoints = mem_realloc(s->endpoints, s->endpoint_count + 1, sizeof *s->endpoints);
		s->endpoints[s->endpoint_count++] =
		    (struct endpoint){.name = mem_strdup(name), .path = mem_strdup(json_string_value(path))};
	}
}

/* How the launcher's commands of these types spread a server over GPUs; others may read such a key as they like. What
 * was accepted before is not asked again. */
static void check_parallel_sizes(const struct plan_ctx *ctx, const json_t *config, const char *base, bool own_command,
				 const struct server *s)
{
	static const char *const types[] = {"vllm", "vllm_ray", "sglang", "trtllm", NULL};
	static const char *const keys[] = {"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"};
	if (ctx->stored || (own_command && !str_in(s->type, types)))
		return;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const char *text = json_string_value(reader_get(config, keys[i]));
		if (text == NULL || strpbrk(text, "$`") == NULL) /* else the shell says it, in the command */
			reader_int(&ctx->reader, config, base, keys[i], 1, PARALLEL_MAX, 1);
	}
}

static void read_endpoints(const struct plan_ctx *ctx, const json_t *config, const char *base, struct server *s)
{
	const struct reader *r = &ctx->reader;
	const json_t *endpoints = reader_object(r, config, base, "endpoints");
	CLEANUP(mem_freep) char *place = reader_join(base, "endpoints");
	const char *name;
	json_t *path;
	if (endpoints == NULL)
		reader_missing(r, place);
	json_object_foreach((json_t *)endpoints, name, path) {
		CLEANUP(mem_freep) char *pointer = reader_join(place, name);
		add_endpoint(r, s, name, path, pointer);
		if (strcmp(name, "health") == 0 && json_is_string(path) && s->health_path == NULL)
			s->health_path = mem_strdup(json_string_value(path));
	}
	if (s->health_path == NULL)
		s->health_path = mem_strdup(HEALTH_DEFAULT);
}

/* Where the container has the checkpoint, or below? */
static bool is_in_checkpoint(const json_t *handle)
{
	const char *path = json_string_value(handle);
	return path != NULL && (strcmp(path, "/checkpoint") == 0 || str_starts_with(path, "/checkpoint/"));
}

/* With both set, the server would quietly load the handle's model and leave the checkpoint alone; but the handle may be
 * the checkpoint's place in the container: the launcher's default command of auxiliaries knows no other. */
static void check_one_model(const struct plan_ctx *ctx, const json_t *config, const char *base)
{
	const json_t *handle = reader_get(config, "hf_model_handle");
	if (reader_get(config, "checkpoint_path") == NULL || handle == NULL || is_in_checkpoint(handle))
		return;
	CLEANUP(mem_freep) char *pointer = reader_join(base, "hf_model_handle");
	reader_error(&ctx->reader, pointer,
		     "Do NOT set hf_model_handle when using checkpoint_path: set one of them to null");
}

/* A port, or the reference to one that is chosen on the node. */
static int read_port(const struct reader *r, const json_t *config, const char *base, const char *key, int fallback,
		     char **ret_reference)
{
	const char *text = json_string_value(reader_get(config, key));
	int number;
	if (!free_ports_parse(text, &number))
		return (int)reader_int(r, config, base, key, 1, PLAN_PORT_MAX, fallback);
	*ret_reference = mem_strdup(text);
	return number;
}

static void read_ray_ports(const struct reader *r, const json_t *config, const char *base, struct server *s)
{
	json_t *ports = (json_t *)(uintptr_t)reader_object(r, config, base, FREE_PORTS_RAY);
	CLEANUP(mem_freep) char *place = reader_join(base, FREE_PORTS_RAY);
	size_t count = 0;
	const char *key;
	json_t *port;
	s->ray_port_references = mem_calloc(json_object_size(ports) + 1, sizeof *s->ray_port_references);
	json_object_foreach(ports, key, port) {
		char *reference = NULL;
		read_port(r, ports, place, key, 0, &reference);
		if (reference != NULL)
			s->ray_port_references[count++] = reference;
	}
}

/* What the deployment and the auxiliaries have in common. */
static void read_common(struct plan_ctx *ctx, const json_t *config, const char *base, struct server *s)
{
	const struct reader *r = &ctx->reader;
	s->image = reader_need_text(r, config, base, "image", READER_TOKEN);
	s->served_model_name = reader_need_text(r, config, base, "served_model_name", READER_LINE);
	s->port = read_port(r, config, base, "port", 8000, &s->port_reference);
	read_ray_ports(r, config, base, s);
	s->pre_cmd = plan_shell_code(ctx, config, base, "pre_cmd");
	read_endpoints(ctx, config, base, s);
	check_one_model(ctx, config, base);
	plan_env_add(r, ctx->root, "", "env_vars", &s->env);
	plan_env_add(r, config, base, "env_vars", &s->env);
	plan_env_settle(&s->env);
	plan_mounts_add_key(r, config, base, "checkpoint_path", "/checkpoint:ro", &s->mounts);
	plan_mounts_add_key(r, config, base, "cache_path", "/cache", &s->mounts);
	s->mount_home = reader_bool(r, ctx->mounts, "/execution/mounts", "mount_home", true);
	if (!str_in(s->type, server_types)) {
		CLEANUP(mem_freep) char *pointer = reader_join(base, "type");
		const char *near = str_nearest(s->type, server_types, sizeof server_types / sizeof *server_types - 1);
		reader_warn(r, pointer, "Unknown deployment type '%s', treated as generic%s%s", s->type,
			    near == NULL ? "" : "; did you mean ", near == NULL ? "" : near);
	}
}

/* Checks how nodes, instances and tasks of a server fit; `where` is the place of the topology's keys. */
static void check_topology(const struct reader *r, const struct server *s, const char *nodes_pointer,
			   const char *tasks_pointer)
{
	if (s->num_nodes % s->num_instances != 0)
		reader_error(r, nodes_pointer, "%s: num_nodes (%d) must be divisible by num_instances (%d)", s->name,
			     s->num_nodes, s->num_instances);
	if (s->n_tasks < s->num_instances)
		reader_error(r, tasks_pointer,
			     "%s: n_tasks (%d) counts the tasks of all instances, so it must be at least num_instances "
			     "(%d)",
			     s->name, s->n_tasks, s->num_instances);
	else if (s->n_tasks % s->num_instances != 0)
		reader_warn(r, tasks_pointer,
			    "%s: n_tasks (%d) is no multiple of num_instances (%d); each instance "
			    "gets %d",
			    s->name, s->n_tasks, s->num_instances, s->n_tasks / s->num_instances);
}

static void read_proxy(struct plan_ctx *ctx, struct server *s)
{
	const struct reader *r = &ctx->reader;
	const json_t *config = reader_object(r, reader_get(ctx->execution, "proxy"), "/execution/proxy", "config");
	const char *base = "/execution/proxy/config";
	s->proxy_port = read_port(r, config, base, "haproxy_port", PLAN_PROXY_PORT_DEFAULT, &s->proxy_port_reference);
	s->proxy_health_path = reader_text_or(r, config, base, "health_check_path", READER_LINE, s->health_path);
	s->proxy_health_status = (int)reader_int(r, config, base, "health_check_status", 100, 599, 200);
	bool is_servers = reader_get(config, "health_check_path") == NULL; /* what is wrong with it is said there */
	if (!is_servers && s->proxy_health_path != NULL && !is_url_path(s->proxy_health_path))
		reader_error(r, "/execution/proxy/config/health_check_path",
			     "A health check is a path that begins with '/'");
	if (s->num_instances > 1 && s->proxy_port == s->port && s->port_reference == NULL &&
	    s->proxy_port_reference == NULL)
		reader_error(r, "/execution/proxy/config/haproxy_port",
			     "haproxy_port (%d) must differ from deployment.port: both listen on the first node",
			     s->proxy_port);
}

static void read_deployment(struct plan_ctx *ctx, int num_nodes)
{
	const struct reader *r = &ctx->reader;
	struct server *s = mem_calloc(1, sizeof *s);
	ctx->plan->deployment = s;
	s->name = mem_strdup("deployment");
	s->type = reader_need_text(r, ctx->deployment, DEPLOYMENT, "type", READER_TOKEN);
	if (s->type == NULL)
		s->type = mem_strdup("generic");
	read_common(ctx, ctx->deployment, DEPLOYMENT, s);
	check_parallel_sizes(ctx, ctx->deployment, DEPLOYMENT, true, s);
	plan_mounts_add_all(r, ctx->mounts, "/execution/mounts", "deployment", &s->mounts);
	if (reader_is_missing(json_object_get(ctx->deployment, "command")))
		reader_missing(r, DEPLOYMENT "/command");
	s->command = reader_text_or(r, ctx->deployment, DEPLOYMENT, "command", READER_ANY, "");
	plan_need_command(r, ctx->deployment, DEPLOYMENT);
	str_unix_lines(s->command);
	s->num_nodes = num_nodes;
	s->num_instances = (int)reader_int(r, ctx->execution, "/execution", "num_instances", 1, EVAL_NODES_MAX, 1);
	const json_t *sizes = reader_object(r, ctx->execution, "/execution", "deployment");
	s->n_tasks = (int)reader_int(r, sizes, "/execution/deployment", "n_tasks", 1, TASKS_MAX, num_nodes);
	check_topology(r, s, "/execution/num_nodes", "/execution/deployment/n_tasks");
	read_proxy(ctx, s);
}

/* The prefix of an auxiliary's variables: its own, or its name in upper case. */
static char *read_prefix(const struct reader *r, const json_t *config, const char *base, const char *name)
{
	char *prefix = reader_text(r, config, base, "env_prefix", READER_TOKEN);
	if (prefix != NULL || reader_get(config, "env_prefix") != NULL)
		return prefix;
	prefix = mem_strdup(name);
	for (char *p = prefix; *p != '\0'; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	return prefix;
}

static void check_prefix(const struct plan_ctx *ctx, const struct server *s, const char *base)
{
	const struct reader *r = &ctx->reader;
	CLEANUP(mem_freep) char *pointer = reader_join(base, "env_prefix");
	if (s->env_prefix == NULL)
		return;
	if (!plan_env_is_name(s->env_prefix))
		reader_error(r, pointer,
			     "env_prefix must be the beginning of a variable name: letters, digits and '_'");
	if (str_in(s->env_prefix, reserved_prefixes))
		reader_error(r, pointer,
			     "The env_prefix %s is reserved (as are SLURM, PRIMARY, MODEL, SERVER); set "
			     "another",
			     s->env_prefix);
	for (const struct server *other = ctx->plan->auxiliaries; other < s; other++)
		if (other->env_prefix != NULL && strcmp(other->env_prefix, s->env_prefix) == 0)
			reader_error(r, pointer, "%s and %s have the same env_prefix %s; set another for one",
				     other->name, s->name, s->env_prefix);
}

static bool is_auxiliary_name(const char *name)
{
	return *name != '\0' && strlen(name) <= PLAN_NAME_MAX && name[strspn(name, NAME_BYTES "-")] == '\0' &&
	       *name != '-';
}

static void read_auxiliary(struct plan_ctx *ctx, const char *name, const json_t *config, const char *base,
			   struct server *s)
{
	const struct reader *r = &ctx->reader;
	s->name = mem_strdup(name);
	s->type = reader_need_text(r, config, base, "type", READER_TOKEN);
	if (s->type == NULL)
		s->type = mem_strdup("generic");
	if (reader_get(config, "port") == NULL) {
		CLEANUP(mem_freep) char *port = reader_join(base, "port");
		reader_missing(r, port);
	}
	read_common(ctx, config, base, s);
	const json_t *mounts = reader_object(r, ctx->mounts, "/execution/mounts", "auxiliary");
	plan_mounts_add_all(r, mounts, "/execution/mounts/auxiliary", name, &s->mounts);
	s->command = plan_auxiliary_command(ctx, config, base);
	check_parallel_sizes(ctx, config, base, !plan_auxiliary_is_vllm(config), s);
	s->num_nodes = (int)reader_int(r, config, base, "num_nodes", 1, EVAL_NODES_MAX, 1);
	s->num_instances = (int)reader_int(r, config, base, "num_instances", 1, EVAL_NODES_MAX, 1);
	s->n_tasks = (int)reader_int(r, config, base, "n_tasks", 1, TASKS_MAX, s->num_nodes);
	CLEANUP(mem_freep) char *nodes = reader_join(base, "num_nodes");
	CLEANUP(mem_freep) char *tasks = reader_join(base, "n_tasks");
	check_topology(r, s, nodes, tasks);
	s->env_prefix = read_prefix(r, config, base, name);
	check_prefix(ctx, s, base);
	s->proxy_health_path = mem_strdup(s->health_path);
	s->proxy_health_status = 200;
}

static bool is_off(const json_t *config)
{
	const json_t *type = json_object_get(config, "type");
	return json_is_null(config) || (json_is_string(type) && strcmp(json_string_value(type), "none") == 0);
}

static void read_auxiliaries(struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	struct eval_plan *plan = ctx->plan;
	const char *name;
	json_t *config;
	plan->auxiliaries = mem_calloc(AUXILIARIES_MAX, sizeof *plan->auxiliaries);
	json_object_foreach((json_t *)ctx->auxiliaries, name, config) {
		CLEANUP(mem_freep) char *base = reader_join(AUXILIARIES, name);
		if (is_off(config))
			continue;
		if (!is_auxiliary_name(name))
			reader_error(r, base, "The name of an auxiliary deployment is letters, digits, '_' and '-'");
		else if (strcmp(name, "deployment") == 0)
			reader_error(r, base,
				     "An auxiliary deployment cannot be called 'deployment': the model's server is");
		else if (!json_is_object(config))
			reader_error(r, base, "An auxiliary deployment is a mapping");
		else if (plan->auxiliary_count >= AUXILIARIES_MAX)
			reader_error(r, base, "More than %d auxiliary deployments", AUXILIARIES_MAX);
		else
			read_auxiliary(ctx, name, config, base, &plan->auxiliaries[plan->auxiliary_count++]);
	}
}

/* execution.mounts.auxiliary.NAME must name an auxiliary deployment (one that is off may keep its mounts). */
static void check_auxiliary_mounts(const struct plan_ctx *ctx)
{
	const char *name;
	json_t *mounts;
	json_object_foreach(json_object_get(ctx->mounts, "auxiliary"), name, mounts) {
		if (json_object_get(ctx->auxiliaries, name) != NULL)
			continue;
		CLEANUP(mem_freep) char *pointer = reader_join("/execution/mounts/auxiliary", name);
		reader_error(&ctx->reader, pointer, "There is no auxiliary_deployments.%s to mount this into", name);
	}
}

/* Proxies listen on the first node, beside the model's server and its proxy: a port each. */
static void place_auxiliaries(struct plan_ctx *ctx, int first_node)
{
	struct eval_plan *plan = ctx->plan;
	const struct server *model = plan->deployment;
	int port = PLAN_AUXILIARY_PROXY_PORT;
	for (size_t i = 0; i < plan->auxiliary_count; i++) {
		struct server *s = &plan->auxiliaries[i];
		s->first_node = first_node;
		first_node += s->num_nodes;
		if (s->num_instances == 1)
			continue;
		while (model != NULL &&
		       (port == model->port || (model->num_instances > 1 && port == model->proxy_port)))
			port++;
		s->proxy_port = port++;
		if (!free_ports_exclusive(ctx->execution))
			s->proxy_port_reference = free_ports_reference(s->name, s->proxy_port);
	}
	plan->total_nodes = first_node;
	if (plan->total_nodes > EVAL_NODES_MAX)
		reader_error(&ctx->reader, "/execution/num_nodes", "More than %d nodes in one job", EVAL_NODES_MAX);
}

static void read_target(struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	const json_t *endpoint = reader_object(r, ctx->target, "/target", "api_endpoint");
	static const char base[] = "/target/api_endpoint";
	if (!ctx->deployment_none) {
		if (reader_get(endpoint, "url") != NULL || reader_get(endpoint, "model_id") != NULL)
			reader_error(r, base,
				     "target.api_endpoint.url and model_id go with deployment 'none' only: this "
				     "config starts its own server");
		ctx->plan->model = mem_strdup(ctx->plan->deployment->served_model_name);
		return;
	}
	ctx->plan->model = reader_need_text(r, endpoint, base, "model_id", READER_LINE);
	CLEANUP(mem_freep) char *url = reader_need_text(r, endpoint, base, "url", READER_TOKEN);
	if (url != NULL && !str_starts_with(url, "http://") && !str_starts_with(url, "https://"))
		reader_error(r, "/target/api_endpoint/url",
			     "target.api_endpoint.url must begin with http:// or https://");
}

/* The name stands in every event and in every row of scores. */
static void check_model(const struct plan_ctx *ctx)
{
	if (ctx->plan->model != NULL && strlen(ctx->plan->model) > MODEL_NAME_MAX)
		reader_error(&ctx->reader,
			     ctx->deployment_none ? "/target/api_endpoint/model_id" : DEPLOYMENT "/served_model_name",
			     "The name of a model has at most %d bytes", MODEL_NAME_MAX);
}

void plan_servers(struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	int nodes = (int)reader_int(r, ctx->execution, "/execution", "num_nodes", 1, EVAL_NODES_MAX, 1);
	if (ctx->deployment == NULL)
		reader_error(r, DEPLOYMENT,
			     "No deployment is chosen (deployment.type): put a group such as `deployment: vllm` into "
			     "`defaults`, or "
			     "`deployment: none` for a model that is served already");
	else if (!ctx->deployment_none)
		read_deployment(ctx, nodes);
	read_auxiliaries(ctx);
	check_auxiliary_mounts(ctx);
	place_auxiliaries(ctx, nodes);
	if (ctx->deployment != NULL)
		read_target(ctx);
	check_model(ctx);
}
