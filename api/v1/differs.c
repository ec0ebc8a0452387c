#include "api/v1/differs.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <string.h>

#define HASH "params_hash" /* params themselves are told of */

static void add_of(json_t *names, const json_t *a, const json_t *b)
{
	const char *name = NULL;
	json_t *part = NULL;
	json_object_foreach((json_t *)a, name, part)
		if (strcmp(name, HASH) != 0 && !json_equal(part, json_object_get(b, name)))
			json_object_set_new(names, name, json_true());
}

void differs_add(json_t *names, const json_t *a, const json_t *b)
{
	if (a == b)
		return;
	if (a == NULL || b == NULL) {
		json_object_set_new(names, "unknown", json_true());
		return;
	}
	add_of(names, a, b);
	add_of(names, b, a);
}

void differs_render(struct json_out *out, const char *name, const json_t *names)
{
	const char *part = NULL;
	json_t *ignored = NULL;
	out_array(out, name);
	json_object_foreach((json_t *)names, part, ignored)
		out_string(out, NULL, part);
	out_end(out);
}

void differs_append_text(struct str *s, const json_t *names, const json_t *parts)
{
	const char *name = NULL;
	json_t *ignored = NULL;
	json_object_foreach((json_t *)names, name, ignored) {
		const json_t *part = json_object_get(parts, name);
		CLEANUP(mem_freep) char *text = json_dumps(part, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
		str_appendf(s, " %s=%s", name,
			    json_is_string(part) ? json_string_value(part)
			    : text != NULL       ? text
						 : "none");
	}
}
