#include "config/plan/likeness.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "config/compose/free_ports.h"
#include "config/plan/evaluator_config.h"
#include "config/text/tree.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define SPACE " \t\r\n"

struct maker {
	const struct eval_plan *plan;
	const char *(*secret)(const char *name, void *arg);
	void *arg;
	json_t *checkpoint; /* parts that all jobs have; server and judges are bounded */
	json_t *server;
	json_t *judges;
};

/* --- images --- */

static void add_image(json_t *images, const char *image)
{
	size_t i = 0;
	const json_t *known = NULL;
	if (image == NULL || image[0] == '\0')
		return;
	json_array_foreach(images, i, known) {
		if (strcmp(json_string_value(known), image) == 0)
			return;
	}
	json_array_append_new(images, json_string(image));
}

json_t *likeness_images(const struct eval_plan *plan)
{
	json_t *images = json_array();
	if (plan->deployment != NULL)
		add_image(images, plan->deployment->image);
	for (size_t i = 0; i < plan->auxiliary_count; i++)
		add_image(images, plan->auxiliaries[i].image);
	for (size_t i = 0; i < plan->job_count; i++)
		add_image(images, plan->jobs[i].container);
	return images;
}

/* --- parts --- */

/* The part itself, or its hash when it is long; takes part over. *ret_hash, unless NULL, is that hash in any case. */
static json_t *bounded(json_t *part, char ret_hash[SECRET_HASH_SIZE])
{
	/* A byte becomes six at most, between quotes. */
	if (ret_hash == NULL && json_is_string(part) && 6 * json_string_length(part) + 2 <= LIKENESS_PART_MAX)
		return part;
	CLEANUP(mem_freep) char *text = json_dumps(part, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	size_t size = text != NULL ? strlen(text) : 0;
	char hash[SECRET_HASH_SIZE];
	if (size > LIKENESS_PART_MAX || ret_hash != NULL)
		secret_hash(text != NULL ? text : "", hash);
	if (ret_hash != NULL)
		memcpy(ret_hash, hash, sizeof hash);
	if (size <= LIKENESS_PART_MAX)
		return part;
	json_decref(part);
	return json_pack("{s:s}", "sha256", hash);
}

static bool is_empty(const json_t *part)
{
	return part == NULL || json_is_null(part) || (json_is_string(part) && json_string_length(part) == 0) ||
	       ((json_is_object(part) || json_is_array(part)) && json_object_size(part) + json_array_size(part) == 0);
}

/* What is null or empty is not there. */
static void set_part(json_t *parts, const char *name, json_t *part)
{
	if (is_empty(part))
		json_decref(part);
	else
		json_object_set_new(parts, name, bounded(part, NULL));
}

/* The same of a part that all jobs have, and which was bounded once. */
static void set_common(json_t *parts, const char *name, json_t *part)
{
	if (!is_empty(part))
		json_object_set(parts, name, part);
}

static json_t *text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static bool is_cache(const char *target)
{
	for (const char *at = target; at != NULL; at = strchr(at, '/')) {
		at += *at == '/';
		size_t size = strcspn(at, "/");
		if ((size == 5 && strncmp(at, "cache", size) == 0) || (size == 6 && strncmp(at, ".cache", size) == 0))
			return true;
	}
	return false;
}

/* checkpoint: of a server, whose own mount needs no second mention; or NULL. */
static json_t *mounts_of(const struct mount_list *mounts, const json_t *checkpoint)
{
	const char *known = json_string_value(checkpoint);
	json_t *list = json_array();
	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount *mount = &mounts->items[i];
		bool own =
		    known != NULL && strcmp(mount->source, known) == 0 && strcmp(mount->target, "/checkpoint") == 0;
		if (!own && !is_cache(mount->target))
			json_array_append_new(list, json_sprintf("%s:%s", mount->source, mount->target));
	}
	return list;
}

static int compare_variables(const void *name, const void *var)
{
	return strcmp(name, ((const struct env_var *)var)->name);
}

/* Marks in used the group's secrets that the text refers to. */
static void find_secrets(const struct env_group *env, const char *text, json_t *used)
{
	for (const char *at = text; at != NULL && (at = strchr(at, '$')) != NULL;) {
		at += at[1] == '{' ? 2 : 1;
		size_t size = strspn(at, NAME_BYTES);
		CLEANUP(mem_freep) char *name = mem_strndup(at, size);
		const struct env_var *var = size > 0 && env->count > 0 ? bsearch(name, env->vars, env->count,
										 sizeof *env->vars, compare_variables)
								       : NULL;
		if (var != NULL && var->source == ENV_HOST)
			json_object_set_new(used, name, json_true());
		at += size;
	}
}

static bool has_secrets(const struct env_group *env)
{
	for (size_t i = 0; i < env->count; i++)
		if (env->vars[i].source == ENV_HOST)
			return true;
	return false;
}

/* The same of all texts in a value: what a reader built has a bounded depth. */
static void find_secrets_in(const struct env_group *env, const json_t *value, json_t *used)
{
	const char *key = NULL;
	json_t *member = NULL;
	size_t i = 0;
	find_secrets(env, json_string_value(value), used);
	json_array_foreach(value, i, member)
		find_secrets_in(env, member, used);
	json_object_foreach((json_t *)value, key, member) {
		find_secrets(env, key, used);
		find_secrets_in(env, member, used);
	}
}

/* A text with the groups' numbers of ports in it, whatever is chosen on the node. */
static json_t *numbered(const char *text)
{
	CLEANUP(mem_freep) char *out = free_ports_numbers(text != NULL ? text : "");
	return json_string(out);
}

static json_t *variable(const struct maker *m, const struct env_var *var, const json_t *used)
{
	switch (var->source) {
	case ENV_LITERAL: return numbered(var->value);
	case ENV_RUNTIME: return json_pack("{s:s}", "runtime", var->value);
	case ENV_HOST: break;
	}
	bool counts = json_object_get(used, var->name) != NULL;
	return json_pack("{s:s?}", "secret", counts ? m->secret(var->value, m->arg) : NULL);
}

static json_t *environment_of(const struct maker *m, const struct env_group *env, const json_t *used)
{
	json_t *variables = json_object();
	for (size_t i = 0; i < env->count; i++)
		json_object_set_new(variables, env->vars[i].name, variable(m, &env->vars[i], used));
	return variables;
}

/* The length of an option that only says where the server listens or how it is spread, with its value; 0: another. */
static size_t layout_option(const char *at)
{
	static const char *const names[] = {"--port", "--tensor-parallel-size", "--pipeline-parallel-size",
					    "--data-parallel-size", "--gpu-memory-utilization"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t size = strlen(names[i]);
		if (strncmp(at, names[i], size) != 0)
			continue;
		if (at[size] == '=')
			return size + strcspn(at + size, SPACE);
		size_t space = strspn(at + size, SPACE);
		if (space > 0)
			return size + space + strcspn(at + size + space, SPACE);
	}
	return 0;
}

static json_t *command_of(const char *given)
{
	CLEANUP(str_done) struct str text = {0};
	CLEANUP(mem_freep) char *command = free_ports_numbers(given != NULL ? given : "");
	for (const char *at = command; *at != '\0';) {
		bool begins = at == command || strchr(SPACE, at[-1]) != NULL;
		size_t skip = begins && *at == '-' ? layout_option(at) : 0;
		if (skip == 0) {
			str_append_c(&text, *at++);
			continue;
		}
		at += skip;
		at += strspn(at, SPACE);
	}
	while (text.len > 0 && strchr(SPACE, text.data[text.len - 1]) != NULL)
		text.data[--text.len] = '\0';
	return json_string(str_text(&text));
}

static json_t *checkpoint_of(const json_t *config)
{
	const json_t *path = json_object_get(config, "checkpoint_path");
	const json_t *handle = json_object_get(config, "hf_model_handle");
	return json_incref((json_t *)(json_is_string(path) ? path : json_is_string(handle) ? handle : NULL));
}

static json_t *server_of(const struct maker *m, const struct server *server, const json_t *checkpoint)
{
	json_t *parts = json_object();
	CLEANUP(json_freep) json_t *used = json_object();
	find_secrets(&server->env, server->command, used);
	find_secrets(&server->env, server->pre_cmd, used);
	set_part(parts, "type", text_or_null(server->type));
	set_part(parts, "image", text_or_null(server->image));
	set_part(parts, "command", command_of(server->command));
	set_part(parts, "pre_cmd", numbered(server->pre_cmd));
	set_part(parts, "environment", environment_of(m, &server->env, used));
	set_part(parts, "mounts", mounts_of(&server->mounts, checkpoint));
	return parts;
}

static json_t *judges_of(const struct maker *m)
{
	json_t *judges = json_object();
	const json_t *configs = json_object_get(m->plan->resolved, "auxiliary_deployments");
	for (size_t i = 0; i < m->plan->auxiliary_count; i++) {
		const struct server *server = &m->plan->auxiliaries[i];
		json_t *checkpoint = checkpoint_of(json_object_get(configs, server->name));
		json_t *judge = server_of(m, server, checkpoint);
		set_part(judge, "model", text_or_null(server->served_model_name));
		set_part(judge, "checkpoint", checkpoint);
		json_object_set_new(judges, server->name, judge);
	}
	return judges;
}

/* --- a job --- */

/* The evaluator's config without what the daemon notes there for people. */
static json_t *evaluator_config(const struct plan_job *job)
{
	json_t *config = json_copy(job->evaluator_config);
	json_object_del(config, "metadata");
	return config;
}

static json_t *endpoint_of(const struct maker *m, const json_t *endpoint)
{
	const char *url = json_string_value(json_object_get(endpoint, "url"));
	if (url == NULL || (m->plan->deployment != NULL && str_starts_with(url, EVALUATOR_CONFIG_HERE)))
		return NULL;
	return json_string(url);
}

static json_t *params_of(const json_t *config)
{
	static const char *const ignored[] = {"parallelism", "request_timeout", "max_retries"};
	json_t *params = json_copy(json_object_get(json_object_get(config, "config"), "params"));
	for (size_t i = 0; params != NULL && i < sizeof ignored / sizeof ignored[0]; i++)
		json_object_del(params, ignored[i]);
	return params;
}

/* The rest of the evaluator's config: the endpoint's type, its adapter, and what it may have of its own. */
static json_t *request_of(const struct maker *m, const json_t *config)
{
	static const char *const elsewhere[] = {"type", "params", "output_dir"};
	json_t *request = json_copy((json_t *)config);
	json_t *task = tree_own(request, "config");
	json_t *endpoint = tree_own(tree_own(request, "target"), "api_endpoint");
	const char *model = json_string_value(json_object_get(endpoint, "model_id"));
	for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
		json_object_del(task, elsewhere[i]);
	if (json_object_size(task) == 0)
		json_object_del(request, "config");
	json_object_del(endpoint, "url");
	json_object_del(endpoint, "api_key_name");
	if (model != NULL && m->plan->model != NULL && strcmp(model, m->plan->model) == 0)
		json_object_del(endpoint, "model_id");
	return request;
}

static json_t *commands_of(const struct plan_job *job)
{
	json_t *commands = json_object();
	set_part(commands, "pre_cmd", numbered(job->pre_cmd));
	set_part(commands, "post_cmd", numbered(job->post_cmd));
	return commands;
}

static json_t *subject_of(const struct maker *m, const json_t *config)
{
	json_t *parts = json_object();
	const json_t *endpoint = json_object_get(json_object_get(config, "target"), "api_endpoint");
	set_part(parts, "checkpoint", json_incref(m->checkpoint));
	set_common(parts, "server", m->server);
	set_part(parts, "endpoint", endpoint_of(m, endpoint));
	return parts;
}

/* Takes params over. */
static void set_params(json_t *parts, json_t *params)
{
	char hash[SECRET_HASH_SIZE];
	if (json_object_size(params) == 0) {
		json_decref(params);
		return;
	}
	json_object_set_new(parts, "params", bounded(params, hash));
	json_object_set_new(parts, "params_hash", json_stringn(hash, 16));
}

static json_t *protocol_of(const struct maker *m, const struct plan_job *job, const json_t *config)
{
	json_t *parts = json_object();
	CLEANUP(json_freep) json_t *used = json_object();
	find_secrets(&job->env, job->pre_cmd, used);
	find_secrets(&job->env, job->post_cmd, used);
	if (has_secrets(&job->env))
		find_secrets_in(&job->env, config, used);
	const json_t *type = json_object_get(json_object_get(config, "config"), "type");
	set_part(parts, "harness", json_incref((json_t *)type));
	set_part(parts, "image", text_or_null(job->container));
	set_params(parts, params_of(config));
	set_part(parts, "request", request_of(m, config));
	set_common(parts, "judges", m->judges);
	set_part(parts, "commands", commands_of(job));
	set_part(parts, "environment", environment_of(m, &job->env, used));
	set_part(parts, "mounts", mounts_of(&job->mounts, NULL));
	return parts;
}

/* Takes parts over. */
static struct likeness_side side_of(json_t *parts)
{
	struct likeness_side side = {.parts = json_dumps(parts, JSON_COMPACT | JSON_SORT_KEYS)};
	json_decref(parts);
	secret_hash(side.parts, side.hash);
	return side;
}

static int compare_hashes(const void *a, const void *b)
{
	return memcmp(a, b, SECRET_HASH_SIZE);
}

/* The jobs' hashes, sorted, and the model's name. */
static void hash_all(const struct eval_plan *plan, struct likeness *likeness)
{
	char(*hashes)[SECRET_HASH_SIZE] = mem_calloc(likeness->count, sizeof *hashes);
	CLEANUP(str_done) struct str all = {0};
	for (size_t i = 0; i < likeness->count; i++) {
		char both[2 * SECRET_HASH_SIZE];
		snprintf(both, sizeof both, "%s%s", likeness->jobs[i].subject.hash, likeness->jobs[i].protocol.hash);
		secret_hash(both, hashes[i]);
	}
	qsort(hashes, likeness->count, sizeof *hashes, compare_hashes);
	for (size_t i = 0; i < likeness->count; i++)
		str_append(&all, hashes[i]);
	str_append(&all, plan->model != NULL ? plan->model : "");
	secret_hash(str_text(&all), likeness->hash);
	free(hashes);
}

void likeness_make(const struct eval_plan *plan, const char *(*secret)(const char *name, void *arg), void *arg,
		   struct likeness *ret_likeness)
{
	struct maker m = {.plan = plan, .secret = secret, .arg = arg};
	struct likeness likeness = {.jobs = mem_calloc(plan->job_count, sizeof *likeness.jobs),
				    .count = plan->job_count};
	CLEANUP(json_freep) json_t *checkpoint = NULL;
	CLEANUP(json_freep) json_t *server = NULL;
	CLEANUP(json_freep) json_t *judges = bounded(judges_of(&m), NULL);
	if (plan->deployment != NULL) {
		checkpoint = checkpoint_of(json_object_get(plan->resolved, "deployment"));
		server = bounded(server_of(&m, plan->deployment, checkpoint), NULL);
	}
	m.checkpoint = checkpoint;
	m.server = server;
	m.judges = judges;
	for (size_t i = 0; i < plan->job_count; i++) {
		CLEANUP(json_freep) json_t *config = evaluator_config(&plan->jobs[i]);
		likeness.jobs[i].subject = side_of(subject_of(&m, config));
		likeness.jobs[i].protocol = side_of(protocol_of(&m, &plan->jobs[i], config));
	}
	hash_all(plan, &likeness);
	*ret_likeness = likeness;
}

void likeness_done(struct likeness *likeness)
{
	for (size_t i = 0; i < likeness->count; i++) {
		free(likeness->jobs[i].subject.parts);
		free(likeness->jobs[i].protocol.parts);
	}
	free(likeness->jobs);
	*likeness = (struct likeness){0};
}
