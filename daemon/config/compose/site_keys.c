#include "config/compose/site_keys.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/text/reader.h"

#include <string.h>

#define OPENING "${site:"

/* The key with each ${site:NAME} replaced; NULL with *err when one cannot be. */
static char *resolve(const char *key, const struct interpolate_env *env, struct nel_err *err)
{
	CLEANUP(str_done) struct str text = {0};
	for (const char *at = key;;) {
		const char *found = strstr(at, OPENING);
		const char *end = found != NULL ? strchr(found, '}') : NULL;
		if (end == NULL) {
			str_append(&text, at);
			return str_take(&text);
		}
		const char *begin = found + strlen(OPENING);
		CLEANUP(mem_freep) char *name = mem_strndup(begin, (size_t)(end - begin));
		const char *path = env->site_path(name, env->site_arg, err);
		if (path == NULL)
			return NULL;
		str_append_n(&text, at, (size_t)(found - at));
		str_append(&text, path);
		at = end + 1;
	}
}

static void resolve_keys(json_t *parent, const char *member, const char *base, const struct interpolate_env *env,
			 const struct source_map *map, struct problems *problems)
{
	json_t *mounts = json_object_get(parent, member);
	CLEANUP(mem_freep) char *place = reader_join(base, member);
	CLEANUP(json_freep) json_t *renamed = json_object();
	const char *key;
	json_t *value;
	json_object_foreach(mounts, key, value) {
		struct nel_err err;
		CLEANUP(mem_freep) char *path = resolve(key, env, &err);
		if (path == NULL) {
			CLEANUP(mem_freep) char *pointer = reader_join(place, key);
			int line = 0;
			int column = 0;
			source_map_find(map, pointer, &line, &column);
			problems_add(problems, pointer, line, column, "%s", err.msg);
		} else {
			json_object_set(renamed, path, value);
		}
	}
	if (json_is_object(mounts))
		json_object_set(parent, member, renamed);
}

void site_keys_resolve(json_t *composed, const struct interpolate_env *env, const struct source_map *map,
		       struct problems *problems)
{
	static const char base[] = "/execution/mounts";
	json_t *mounts = json_object_get(json_object_get(composed, "execution"), "mounts");
	json_t *auxiliary = json_object_get(mounts, "auxiliary");
	const char *name;
	json_t *unused;
	void *next;
	if (env->site_path == NULL)
		return;
	resolve_keys(mounts, "deployment", base, env, map, problems);
	resolve_keys(mounts, "evaluation", base, env, map, problems);
	json_object_foreach_safe(auxiliary, next, name, unused)
		resolve_keys(auxiliary, name, "/execution/mounts/auxiliary", env, map, problems);
}
