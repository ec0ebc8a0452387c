/* The resolvers that OmegaConf and Hydra bring (omegaconf.readthedocs.io, "Resolvers"), as far as configs for this
 * service may use them, and the launcher's select_not_null. */
#include "config/compose/resolvers.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/text/value_grammar.h"
#include "config/text/yaml_json.h"

#include <string.h>
#include <time.h>

#define NOW_BYTES_MAX 256

typedef json_t *resolver_fn(const struct resolver_call *call, struct nel_err *err);

static json_t *refuse(struct nel_err *err, const char *message)
{
	err_set(err, NEL_INVALID, "%s", message);
	return NULL;
}

static bool is_missing(const json_t *value)
{
	return json_is_string(value) && strcmp(json_string_value(value), "???") == 0;
}

/* The first argument as a key, looked up. */
static enum resolver_lookup lookup_first(const struct resolver_call *call, json_t **ret_value, struct nel_err *err)
{
	CLEANUP(mem_freep) char *key = value_to_text(call->args[0].value);
	return call->lookup(key, call->arg, ret_value, err);
}

static json_t *run_select(const struct resolver_call *call, struct nel_err *err)
{
	json_t *value = NULL;
	enum resolver_lookup found = lookup_first(call, &value, err);
	if (found == LOOKUP_FAILED)
		return NULL;
	if (found == LOOKUP_FOUND && !is_missing(value))
		return value;
	json_decref(value);
	return call->count == 2 ? json_incref(call->args[1].value) : json_null();
}

/* What an argument of select_not_null that is no known key stands for: itself, when it cannot be meant as a key (a
 * quoted text, a path, a number) or when it is the last one, the launcher's default; else nothing. */
static json_t *literal(const struct resolver_call *call, size_t index)
{
	const struct resolver_arg *arg = &call->args[index];
	const char *text = json_string_value(arg->value);
	bool itself = arg->quoted || text == NULL || *text == '/' || index + 1 == call->count;
	return itself ? json_incref(arg->value) : NULL;
}

static json_t *run_select_not_null(const struct resolver_call *call, struct nel_err *err)
{
	for (size_t i = 0; i < call->count; i++) {
		const struct resolver_arg *arg = &call->args[i];
		const char *key = json_string_value(arg->value);
		CLEANUP(json_freep) json_t *value = NULL;
		enum resolver_lookup found = LOOKUP_ABSENT;
		if (key != NULL && *key != '/' && !arg->quoted)
			found = call->lookup(key, call->arg, &value, err);
		if (found == LOOKUP_FAILED)
			return NULL;
		if (found == LOOKUP_ABSENT)
			value = literal(call, i);
		if (value != NULL && !json_is_null(value) && !is_missing(value))
			return TAKE(value);
	}
	return json_null();
}

static json_t *run_env(const struct resolver_call *call, struct nel_err *err)
{
	CLEANUP(mem_freep) char *name = value_to_text(call->args[0].value);
	const char *value = NULL;
	if (strcmp(name, "USER") == 0) {
		value = call->env->username;
		if (value == NULL && call->count == 1)
			return json_string("???"); /* not known here: as good as not given */
	} else if (call->env->allowed_env != NULL && str_in(name, call->env->allowed_env)) {
		value = getenv(name);
	} else if (call->count == 1) {
		err_set(err, NEL_INVALID,
			"${oc.env:%s} would read the daemon's environment, not yours: write the value, or host:%s in "
			"env_vars",
			name, name);
		return NULL;
	}
	if (value != NULL)
		return json_string(value);
	if (call->count == 1) {
		err_set(err, NEL_INVALID, "the variable %s is not set in the daemon's environment", name);
		return NULL;
	}
	if (json_is_null(call->args[1].value))
		return json_null();
	CLEANUP(mem_freep) char *text = value_to_text(call->args[1].value);
	return json_string(text);
}

/* The value of the new key; the message, for whoever reads the config, is not shown. */
static json_t *run_deprecated(const struct resolver_call *call, struct nel_err *err)
{
	json_t *value = NULL;
	enum resolver_lookup found = lookup_first(call, &value, err);
	if (found == LOOKUP_ABSENT)
		return refuse(err, "oc.deprecated takes the key that is used instead, and there is none of that name");
	return found == LOOKUP_FAILED ? NULL : value;
}

static json_t *run_decode(const struct resolver_call *call, struct nel_err *err)
{
	const json_t *value = call->args[0].value;
	if (json_is_null(value))
		return json_null();
	if (!json_is_string(value))
		return refuse(err, "oc.decode takes a string");
	return value_parse(json_string_value(value), err);
}

static json_t *run_create(const struct resolver_call *call, struct nel_err *err)
{
	const json_t *value = call->args[0].value;
	if (json_is_string(value)) {
		json_t *parsed = NULL;
		const char *text = json_string_value(value);
		size_t size = strlen(text);
		if (size > RESOLVER_CREATE_MAX - *call->created) {
			err_set(err, NEL_INVALID,
				"oc.create has parsed %zu bytes of YAML in this config already, and these %zu go over "
				"the limit of %d; write the value itself",
				*call->created, size, RESOLVER_CREATE_MAX);
			return NULL;
		}
		*call->created += size;
		if (yaml_json_parse(text, size, false, &parsed, NULL, NULL, err) != 0) {
			err_prefix(err, "oc.create");
			return NULL;
		}
		return parsed;
	}
	if (!json_is_object(value) && !json_is_array(value) && !json_is_null(value))
		return refuse(err, "oc.create takes a mapping, a list, or YAML text");
	return json_incref(call->args[0].value);
}

/* The mapping that oc.dict.keys and oc.dict.values look into: a key of the config, or a mapping itself. */
static json_t *dict_argument(const struct resolver_call *call, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *value = NULL;
	enum resolver_lookup found = LOOKUP_FOUND;
	if (json_is_object(call->args[0].value))
		value = json_incref(call->args[0].value);
	else
		found = lookup_first(call, &value, err);
	if (found == LOOKUP_FAILED)
		return NULL;
	if (!json_is_object(value)) {
		err_set(err, NEL_INVALID, "%s takes the key of a mapping", call->name);
		return NULL;
	}
	return TAKE(value);
}

static json_t *run_dict_keys(const struct resolver_call *call, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *dict = dict_argument(call, err);
	json_t *list = dict == NULL ? NULL : json_array();
	const char *key = NULL;
	json_t *value = NULL;
	json_object_foreach(dict, key, value)
		json_array_append_new(list, json_string(key));
	return list;
}

static json_t *run_dict_values(const struct resolver_call *call, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *dict = dict_argument(call, err);
	json_t *list = dict == NULL ? NULL : json_array();
	const char *key = NULL;
	json_t *value = NULL;
	json_object_foreach(dict, key, value)
		json_array_append(list, value);
	return list;
}

static json_t *run_now(const struct resolver_call *call, struct nel_err *err)
{
	CLEANUP(mem_freep) char *format = value_to_text(call->args[0].value);
	char text[NOW_BYTES_MAX];
	struct tm tm;
	time_t now = (time_t)call->env->now_s;
	if (*format == '\0' || gmtime_r(&now, &tm) == NULL)
		return refuse(err, "now takes a format, as strftime does");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	size_t size = strftime(text, sizeof text, format, &tm);
#pragma GCC diagnostic pop
	return size == 0 ? refuse(err, "the format of now gives no text, or too much") : json_string(text);
}

static json_t *run_site(const struct resolver_call *call, struct nel_err *err)
{
	CLEANUP(mem_freep) char *name = value_to_text(call->args[0].value);
	if (call->env->site_path == NULL)
		return refuse(err, "site takes the name of a path of a cluster, and none is known here");
	const char *path = call->env->site_path(name, call->env->site_arg, err);
	return path != NULL ? json_string(path) : NULL;
}

static const struct {
	const char *name;
	size_t least; /* arguments */
	size_t most;
	resolver_fn *run;
} resolvers[] = {
    {"select_not_null", 1, RESOLVER_ARGS_MAX, run_select_not_null},
    {"oc.select", 1, 2, run_select},
    {"oc.env", 1, 2, run_env},
    {"oc.deprecated", 1, 2, run_deprecated},
    {"oc.decode", 1, 1, run_decode},
    {"oc.create", 1, 1, run_create},
    {"oc.dict.keys", 1, 1, run_dict_keys},
    {"oc.dict.values", 1, 1, run_dict_values},
    {"now", 1, 1, run_now},
    {"site", 1, 1, run_site},
};

#define RESOLVER_COUNT (sizeof resolvers / sizeof resolvers[0])

static json_t *unknown(const struct resolver_call *call, struct nel_err *err)
{
	const char *names[RESOLVER_COUNT];
	for (size_t i = 0; i < RESOLVER_COUNT; i++)
		names[i] = resolvers[i].name;
	const char *nearest = str_nearest(call->name, names, RESOLVER_COUNT);
	err_set(err, NEL_INVALID, "there is no resolver \"%s\"%s%s%s; for a shell expansion write \\${%s:...}",
		call->name, nearest == NULL ? "" : " (did you mean ", nearest == NULL ? "" : nearest,
		nearest == NULL ? "" : "?)", call->name);
	return NULL;
}

json_t *resolver_run(const struct resolver_call *call, struct nel_err *err)
{
	for (size_t i = 0; i < RESOLVER_COUNT; i++) {
		if (strcmp(resolvers[i].name, call->name) != 0)
			continue;
		if (call->count >= resolvers[i].least && call->count <= resolvers[i].most)
			return resolvers[i].run(call, err);
		err_set(err, NEL_INVALID, "%s takes %zu to %zu arguments, not %zu", call->name, resolvers[i].least,
			resolvers[i].most, call->count);
		return NULL;
	}
	return unknown(call, err);
}
