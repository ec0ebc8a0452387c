/* config_ef.yaml: the merge of the global and the task's nemo_evaluator_config, and the values that only the planner
 * knows. A URL that is known at run time only stands in it as ${PREFIX_ENDPOINT_URL}; the job's script puts it in. */
#include "config/plan/evaluator_config.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/text/tree.h"

#include <ctype.h>
#include <string.h>

#define KEY "nemo_evaluator_config"
#define REFERENCE "auxiliary_deployments."
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

/* Where a reference is resolved, and where it is complained of. */
struct place {
	const struct plan_ctx *ctx;
	const char *pointer;
};

/* The task's values over the global ones. What only one of them has is shared with it, not copied: a global config goes
 * into up to EVAL_JOBS_MAX of these. */
static json_t *merge(const json_t *under, const json_t *over)
{
	json_t *merged = json_copy((json_t *)under);
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)over, key, value) {
		const json_t *old = json_object_get(under, key);
		if (json_is_object(old) && json_is_object(value))
			json_object_set_new(merged, key, merge(old, value));
		else
			json_object_set(merged, key, value);
	}
	return merged;
}

static const json_t *follow(const json_t *object, const char *const *path)
{
	object = reader_get(object, KEY);
	for (; object != NULL && *path != NULL; path++)
		object = json_object_get(object, *path);
	return object;
}

const json_t *evaluator_config_given(const json_t *evaluation, const json_t *task, const char *const *path)
{
	const json_t *own = follow(task, path);
	return own != NULL ? own : follow(evaluation, path);
}

/* Sets object[path...] unless it is there; a step that is null becomes an object. Takes value over. */
static void set_default(const struct reader *r, json_t *object, const char *const *path, json_t *value,
			const char *pointer)
{
	for (; path[1] != NULL; path++) {
		json_t *next = json_object_get(object, path[0]);
		if (next == NULL || json_is_null(next)) {
			json_object_set_new(object, path[0], json_object());
			next = json_object_get(object, path[0]);
		}
		if (!json_is_object(next)) {
			reader_error(r, pointer, KEY ": %s must be a mapping", path[0]);
			json_decref(value);
			return;
		}
		object = next;
	}
	if (json_object_get(object, path[0]) == NULL)
		json_object_set_new(object, path[0], value);
	else
		json_decref(value);
}

#define SET(...) set_default(r, config, (const char *const[]){__VA_ARGS__, NULL}, value, pointer)

static const struct server *find_auxiliary(const struct eval_plan *plan, const char *name, size_t size)
{
	for (size_t i = 0; i < plan->auxiliary_count; i++) {
		const struct server *s = &plan->auxiliaries[i];
		if (strlen(s->name) == size && strncmp(s->name, name, size) == 0)
			return s;
	}
	return NULL;
}

static void append_upper(struct str *out, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		str_append_c(out, (char)toupper((unsigned char)text[i]));
}

/* Appends what field of server s stands for; false when it has no such field. */
static bool append_field(struct str *out, const struct server *s, const char *field, size_t size)
{
	static const char url[] = "_url";
	size_t suffix = sizeof url - 1;
	if (size == strlen("model_id") && strncmp(field, "model_id", size) == 0) {
		str_append(out, s->served_model_name == NULL ? "" : s->served_model_name);
		return true;
	}
	if (size <= suffix || strncmp(field + size - suffix, url, suffix) != 0)
		return false;
	for (size_t i = 0; i < s->endpoint_count; i++) {
		const char *name = s->endpoints[i].name;
		if (strlen(name) != size - suffix || strncmp(name, field, size - suffix) != 0 ||
		    strcmp(name, "health") == 0)
			continue;
		str_appendf(out, "${%s_", s->env_prefix == NULL ? "" : s->env_prefix);
		append_upper(out, name, strlen(name));
		str_append(out, "_URL}");
		return true;
	}
	return false;
}

/* Appends the value of the reference that text begins with ("auxiliary_deployments.NAME.FIELD"), or complains. Returns
 * the bytes it takes, 0 when it is no reference. */
static size_t append_reference(const struct place *at, struct str *out, const char *text)
{
	const struct reader *r = &at->ctx->reader;
	const char *name = text + strlen(REFERENCE);
	size_t name_size = strspn(name, NAME_BYTES "-");
	const char *field = name + name_size + 1;
	if (name_size == 0 || name[name_size] != '.')
		return 0;
	size_t field_size = strspn(field, NAME_BYTES);
	if (field_size == 0)
		return 0;
	const struct server *s = find_auxiliary(at->ctx->plan, name, name_size);
	if (s == NULL)
		reader_error(r, at->pointer,
			     "There is no auxiliary deployment '%.*s' in this config (or its type is none)",
			     (int)name_size, name);
	else if (!append_field(out, s, field, field_size))
		reader_error(r, at->pointer,
			     "auxiliary_deployments.%s has no '%.*s': model_id, or the name of an endpoint and _url",
			     s->name, (int)field_size, field);
	return (size_t)(field + field_size - text);
}

/* References stand bare, as the launcher has them, or as ${auxiliary_deployments.NAME.FIELD}. */
static char *resolve_text(const struct place *at, const char *text)
{
	struct str out = {0};
	while (*text != '\0') {
		bool braced = str_starts_with(text, "${" REFERENCE);
		bool starts = braced || (str_starts_with(text, REFERENCE) &&
					 (out.len == 0 || strchr(NAME_BYTES ".", out.data[out.len - 1]) == NULL));
		size_t used = starts ? append_reference(at, &out, text + (braced ? 2 : 0)) : 0;
		if (used != 0)
			text += used + (braced ? 2 : 0);
		else
			str_append_c(&out, *text++);
		if (used != 0 && braced && *text == '}')
			text++;
	}
	return str_take(&out);
}

static json_t *resolve(const struct place *at, json_t *value);

/* The object with its members resolved; itself, shared, when none has a reference. */
static json_t *resolve_object(const struct place *at, json_t *object)
{
	json_t *resolved = json_incref(object);
	const char *key;
	json_t *member;
	json_object_foreach(object, key, member) {
		CLEANUP(json_freep) json_t *now = resolve(at, member);
		if (now == member)
			continue;
		if (resolved == object) {
			json_decref(resolved);
			resolved = json_copy(object);
		}
		json_object_set(resolved, key, now);
	}
	return resolved;
}

static json_t *resolve_array(const struct place *at, json_t *array)
{
	json_t *resolved = json_incref(array);
	size_t i;
	json_t *item;
	json_array_foreach(array, i, item) {
		CLEANUP(json_freep) json_t *now = resolve(at, item);
		if (now == item)
			continue;
		if (resolved == array) {
			json_decref(resolved);
			resolved = json_copy(array);
		}
		json_array_set(resolved, i, now);
	}
	return resolved;
}

static json_t *resolve(const struct place *at, json_t *value)
{
	if (json_is_string(value) && strstr(json_string_value(value), REFERENCE) != NULL) {
		CLEANUP(mem_freep) char *text = resolve_text(at, json_string_value(value));
		return json_string(text);
	}
	if (json_is_object(value))
		return resolve_object(at, value);
	return json_is_array(value) ? resolve_array(at, value) : json_incref(value);
}

static json_t *resolved_config(const struct plan_ctx *ctx, const json_t *object, const char *base, const char *pointer)
{
	const json_t *config = reader_object(&ctx->reader, object, base, KEY);
	const struct place at = {ctx, pointer};
	return config == NULL ? json_object() : resolve(&at, (json_t *)config);
}

json_t *evaluator_config_global(const struct plan_ctx *ctx)
{
	return resolved_config(ctx, ctx->evaluation, "/evaluation", "/evaluation/" KEY);
}

static const char *endpoint_path(const struct server *s, const char *name)
{
	for (size_t i = 0; i < s->endpoint_count; i++)
		if (strcmp(s->endpoints[i].name, name) == 0)
			return s->endpoints[i].path;
	return NULL;
}

/* The URL that the evaluation asks, or NULL (with an error unless the config gives one itself). */
static json_t *endpoint_url(const struct plan_ctx *ctx, const struct plan_job *job, const char *base, bool given)
{
	const struct server *s = ctx->plan->deployment;
	if (s == NULL)
		return json_incref(json_object_get(json_object_get(ctx->target, "api_endpoint"), "url"));
	const char *path = job->endpoint_type == NULL ? NULL : endpoint_path(s, job->endpoint_type);
	const char *reference = s->num_instances > 1 ? s->proxy_port_reference : s->port_reference;
	if (path != NULL && reference != NULL)
		return json_sprintf(EVALUATOR_CONFIG_HERE "%s%s", reference, path);
	if (path != NULL)
		return json_sprintf(EVALUATOR_CONFIG_HERE "%d%s", s->num_instances > 1 ? s->proxy_port : s->port, path);
	if (!given && job->endpoint_type != NULL)
		reader_error(&ctx->reader, base,
			     "deployment.endpoints has no '%s', which this task's endpoint_type asks for; set the "
			     "endpoint, the endpoint_type, or target.api_endpoint.url in its nemo_evaluator_config",
			     job->endpoint_type);
	return NULL;
}

static void set_text(const struct reader *r, json_t *config, const char *const *path, const char *text,
		     const char *pointer)
{
	if (text != NULL && *text != '\0')
		set_default(r, config, path, json_string(text), pointer);
}

#define SET_TEXT(text, ...) set_text(r, config, (const char *const[]){__VA_ARGS__, NULL}, text, pointer)

static void set_target(const struct plan_ctx *ctx, json_t *config, const struct plan_job *job, const char *base,
		       const char *pointer)
{
	const struct reader *r = &ctx->reader;
	const json_t *target = json_object_get(ctx->target, "api_endpoint");
	const json_t *endpoint = json_object_get(json_object_get(config, "target"), "api_endpoint");
	json_t *value = endpoint_url(ctx, job, base, json_object_get(endpoint, "url") != NULL);
	if (value != NULL)
		SET("target", "api_endpoint", "url");
	SET_TEXT(ctx->plan->model, "target", "api_endpoint", "model_id");
	SET_TEXT(job->endpoint_type, "target", "api_endpoint", "type");
	SET_TEXT(json_string_value(reader_get(target, "api_key_name")), "target", "api_endpoint", "api_key_name");
}

json_t *evaluator_config_build(const struct plan_ctx *ctx, const json_t *global, const json_t *task, const char *base,
			       const struct plan_job *job)
{
	const struct reader *r = &ctx->reader;
	CLEANUP(mem_freep) char *pointer = reader_join(base, KEY);
	CLEANUP(json_freep) json_t *of_task = resolved_config(ctx, task, base, pointer);
	CLEANUP(json_freep) json_t *config = merge(global, of_task);
	json_t *value;
	tree_own(tree_own(config, "target"), "api_endpoint");
	tree_own(config, "config");
	tree_own(config, "metadata");
	set_target(ctx, config, job, base, pointer);
	SET_TEXT(job->task, "config", "type");
	SET_TEXT("/results", "config", "output_dir");
	value = json_incref((json_t *)ctx->root);
	SET("metadata", "launcher_resolved_config");
	value = json_pack("{s:s}", "nel_slurmd", NEL_VERSION);
	SET("metadata", "versioning");
	SET_TEXT("nel-slurmd " NEL_VERSION, "metadata", "launcher_command");
	SET_TEXT(job->pre_cmd, "metadata", "pre_cmd");
	SET_TEXT(job->post_cmd, "metadata", "post_cmd");
	return TAKE(config);
}
