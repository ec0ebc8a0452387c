/* OmegaConf's merge, packages, and moved references. */
#include "config/compose/merge.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/text/tree.h"
#include "config/text/value_grammar.h"

#include <stdbool.h>
#include <string.h>

static bool is_missing(const json_t *value)
{
	return json_is_string(value) && strcmp(json_string_value(value), "???") == 0;
}

void merge_into(json_t *dst, const json_t *src)
{
	const char *key = NULL;
	json_t *value = NULL;
	json_object_foreach((json_t *)src, key, value) {
		json_t *old = json_object_get(dst, key);
		if (old != NULL && is_missing(value))
			continue;
		if (json_is_object(old) && json_is_object(value))
			merge_into(old, value);
		else
			json_object_set_new(dst, key, tree_copy(value));
	}
}

json_t *merge_package(json_t *config, const char *package)
{
	json_t *node = config;
	while (*package != '\0') {
		size_t size = strcspn(package, ".");
		CLEANUP(mem_freep) char *key = mem_strndup(package, size);
		json_t *next = json_object_get(node, key);
		if (!json_is_object(next)) {
			next = json_object();
			json_object_set_new(node, key, next);
		}
		node = next;
		package += size;
		package += *package == '.';
	}
	return node;
}

/* Does a reference to `from` (or to something in it) start at text? */
static bool refers_to(const char *text, const char *from, size_t from_size)
{
	return strncmp(text, from, from_size) == 0 && strchr(".[},: \t", text[from_size]) != NULL;
}

/* Copies one interpolation ("${...}", up to end) with its references moved. Keys stand behind "${" and as arguments of
 * resolvers. */
static void move_interpolation(struct str *out, const char *text, const char *end, const char *from, const char *to)
{
	size_t from_size = strlen(from);
	bool key_here = false;
	for (const char *p = text; p < end;) {
		if (str_starts_with(p, "${")) {
			str_append(out, "${");
			p += 2;
			key_here = true;
		} else if (key_here && (*p == ' ' || *p == '\t')) {
			str_append_c(out, *p++);
		} else if (key_here && refers_to(p, from, from_size)) {
			p += from_size;
			if (*to == '\0' && *p == '.')
				p++;
			str_append(out, *to == '\0' && p[-1] != '.' ? from : to);
			key_here = false;
		} else {
			key_here = *p == ':' || *p == ',';
			str_append_c(out, *p++);
		}
	}
}

static char *move_text(const char *text, const char *from, const char *to)
{
	CLEANUP(str_done) struct str out = {0};
	const char *text_end = text + strlen(text);
	size_t slashes = 0;
	for (const char *p = text; *p != '\0';) {
		const char *end =
		    str_starts_with(p, "${") && slashes % 2 == 0 ? value_interpolation_end(p, text_end) : NULL;
		slashes = *p == '\\' ? slashes + 1 : 0;
		if (end == NULL) {
			str_append_c(&out, *p++);
			continue;
		}
		move_interpolation(&out, p, end, from, to);
		p = end;
	}
	return str_take(&out);
}

static json_t *moved(json_t *value, const char *from, const char *to)
{
	if (json_is_string(value) && strstr(json_string_value(value), "${") != NULL) {
		CLEANUP(mem_freep) char *text = move_text(json_string_value(value), from, to);
		return json_string(text);
	}
	merge_move_references(value, from, to);
	return json_incref(value);
}

void merge_move_references(json_t *value, const char *from, const char *to)
{
	const char *key = NULL;
	json_t *member = NULL;
	size_t index = 0;
	json_object_foreach(value, key, member)
		json_object_set_new(value, key, moved(member, from, to));
	json_array_foreach(value, index, member)
		json_array_set_new(value, index, moved(member, from, to));
}
