/* Strict JSON: jansson reads the value; a second walk over the (then known to be valid) text notes the places. */
#include "config/text/json_places.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/text/limits.h"

#include <string.h>

struct walk {
	const char *at;
	const char *end;
	int line;
	int column; /* of `counted`, which trails `at` */
	const char *counted;
	struct source_map *map; /* NULL: only the limits are checked */
	struct str pointer;
	size_t nodes;
	const char *problem; /* what limit was passed, at the present place */
};

/* The column of `at`, in characters. */
static int column(struct walk *w)
{
	for (; w->counted < w->at; w->counted++)
		if (((unsigned char)*w->counted & 0xc0) != 0x80)
			w->column++;
	return w->column;
}

static void skip_space(struct walk *w)
{
	for (; w->at < w->end && strchr(" \t\r\n", *w->at) != NULL && *w->at != '\0'; w->at++)
		if (*w->at == '\n') {
			w->line++;
			w->column = 1;
			w->counted = w->at + 1;
		}
}

static void skip_string(struct walk *w)
{
	for (w->at++; *w->at != '"'; w->at++)
		if (*w->at == '\\')
			w->at++;
	w->at++;
}

/* The key of size bytes, its quotes included. */
static void append_key(struct str *pointer, const char *quoted, size_t size)
{
	bool escaped = memchr(quoted, '\\', size) != NULL;
	CLEANUP(json_freep) json_t *key = escaped ? json_loadb(quoted, size, JSON_DECODE_ANY, NULL) : NULL;
	CLEANUP(mem_freep) char *plain = escaped ? NULL : mem_strndup(quoted + 1, size - 2);
	const char *text = escaped ? json_string_value(key) : plain;
	str_append_pointer(pointer, text == NULL ? "" : text);
}

static void put(struct walk *w, int line, int at_column)
{
	if (w->map != NULL)
		source_map_put(w->map, str_text(&w->pointer), line, at_column);
}

static void cut(struct walk *w, size_t length)
{
	w->pointer.len = length;
	if (w->pointer.data != NULL)
		w->pointer.data[length] = '\0';
}

static bool walk_value(struct walk *w, int depth);

/* One member or element, with the place of its key or value; at is behind the opening bracket or the comma. */
static bool walk_item(struct walk *w, bool object, size_t index, int depth)
{
	size_t length = w->pointer.len;
	skip_space(w);
	int line = w->line;
	int at_column = column(w);
	if (object) {
		const char *start = w->at;
		skip_string(w);
		append_key(&w->pointer, start, (size_t)(w->at - start));
		skip_space(w);
		w->at++; /* ':' */
		skip_space(w);
	} else {
		str_append_pointer_index(&w->pointer, index);
	}
	put(w, line, at_column);
	bool ok = walk_value(w, depth + 1);
	if (ok) {
		cut(w, length);
		skip_space(w);
	}
	return ok;
}

static bool walk_value(struct walk *w, int depth)
{
	if (depth > YAML_DEPTH_MAX || ++w->nodes > YAML_NODES_MAX) {
		w->problem = depth > YAML_DEPTH_MAX ? "nested too deeply" : "too many values";
		return false;
	}
	if (*w->at == '"') {
		skip_string(w);
		return true;
	}
	if (*w->at != '{' && *w->at != '[') {
		while (w->at < w->end && strchr(",]} \t\r\n", *w->at) == NULL)
			w->at++;
		return true;
	}
	bool object = *w->at++ == '{';
	skip_space(w);
	for (size_t index = 0; *w->at != '}' && *w->at != ']'; index++) {
		if (!walk_item(w, object, index, depth))
			return false;
		if (*w->at == ',')
			w->at++;
	}
	w->at++;
	return true;
}

int json_places_parse(const char *text, size_t size, json_t **ret_value, struct source_map **ret_map,
		      struct problems *problems, struct nel_err *err)
{
	json_error_t wrong;
	CLEANUP(json_freep)
	json_t *value = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &wrong);
	if (value == NULL) {
		int at_column = wrong.column > 0 ? wrong.column : 1;
		problems_add(problems, "", wrong.line, at_column, "not valid JSON: %s", wrong.text);
		return err_set(err, NEL_INVALID, "line %d, column %d: not valid JSON: %s", wrong.line, at_column,
			       wrong.text);
	}
	CLEANUP(source_map_freep) struct source_map *map = ret_map == NULL ? NULL : source_map_new();
	CLEANUP(mem_freep) char *copy = mem_dup(text, size); /* a NUL ends every loop above */
	struct walk w = {.at = copy, .end = copy + size, .counted = copy, .line = 1, .column = 1, .map = map};
	skip_space(&w);
	put(&w, w.line, column(&w));
	bool ok = walk_value(&w, 1);
	CLEANUP(mem_freep) char *pointer = str_take(&w.pointer);
	if (!ok) {
		problems_add(problems, pointer, w.line, column(&w), "%s (limits: depth %d, %d values)", w.problem,
			     YAML_DEPTH_MAX, YAML_NODES_MAX);
		return err_set(err, NEL_INVALID, "line %d, column %d: %s", w.line, column(&w), w.problem);
	}
	*ret_value = TAKE(value);
	if (ret_map != NULL)
		*ret_map = TAKE(map);
	return 0;
}
