/* YAML text to a JSON value: libyaml's events, resolved and checked as PyYAML's safe loader would, within limits.
 * Strict JSON goes to config/json_places, single scalars to config/scalar. */
#include "config/text/yaml_json.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "config/text/json_places.h"
#include "config/text/scalar.h"
#include "config/text/tree.h"

#include <stdarg.h>
#include <string.h>
#include <uthash.h>
#include <yaml.h>

/* Bytes of all scalars after aliases are expanded: 100,000 aliases of one long string are a bomb as well. */
#define YAML_TEXT_BYTES_MAX (4 * 1024 * 1024)

#define CORE_TAG "tag:yaml.org,2002:"

struct anchor {
	UT_hash_handle hh;
	json_t *value; /* NULL while the anchored node is being read */
	size_t nodes;
	size_t bytes;
	int depth; /* levels of the value: 1 for a scalar */
	char name[];
};

struct yaml_reader {
	yaml_parser_t parser;
	const char *text;
	size_t size;
	struct anchor *anchors;
	struct source_map *map; /* NULL: not wanted */
	struct str pointer;
	size_t nodes;
	size_t bytes;
	int deepest; /* the deepest level reached, for measuring anchored values */
	struct problems *problems;
	struct nel_err *err;
};

static void event_done(yaml_event_t *event)
{
	yaml_event_delete(event);
}

/* Reports a problem at a mark of the text (libyaml counts from 0). */
static int fail(struct yaml_reader *r, yaml_mark_t mark, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail(struct yaml_reader *r, yaml_mark_t mark, const char *fmt, ...)
{
	CLEANUP(mem_freep) char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	int line = (int)mark.line + 1;
	int column = (int)mark.column + 1;
	problems_add(r->problems, str_text(&r->pointer), line, column, "%s", text);
	return err_set(r->err, NEL_INVALID, "line %d, column %d: %s", line, column, text);
}

/* libyaml counts characters. */
static bool is_tab_at(const struct yaml_reader *r, size_t index)
{
	size_t at = 0;
	uint32_t code = 0;
	for (; index > 0 && at < r->size; index--) {
		size_t length = utf8_decode(r->text + at, r->size - at, &code);
		at += length > 0 ? length : 1;
	}
	return at < r->size && r->text[at] == '\t';
}

static int next_event(struct yaml_reader *r, yaml_event_t *event)
{
	if (yaml_parser_parse(&r->parser, event) == 1)
		return 0;
	const char *context = r->parser.context;
	const char *problem = r->parser.problem == NULL ? "unreadable" : r->parser.problem;
	if (is_tab_at(r, r->parser.problem_mark.index))
		return fail(r, r->parser.problem_mark, "not valid YAML: a tab stands here, where YAML wants spaces");
	return fail(r, r->parser.problem_mark, "not valid YAML: %s%s%s", context == NULL ? "" : context,
		    context == NULL ? "" : ", ", problem);
}

static void cut_pointer(struct yaml_reader *r, size_t length)
{
	r->pointer.len = length;
	if (r->pointer.data != NULL)
		r->pointer.data[length] = '\0';
}

static int count(struct yaml_reader *r, yaml_mark_t mark, size_t nodes, size_t bytes)
{
	r->nodes += nodes;
	r->bytes += bytes;
	if (r->nodes > YAML_NODES_MAX)
		return fail(r, mark, "more than %d values after aliases are expanded", YAML_NODES_MAX);
	if (r->bytes > YAML_TEXT_BYTES_MAX)
		return fail(r, mark, "more than %d bytes of text after aliases are expanded", YAML_TEXT_BYTES_MAX);
	return 0;
}

static int check_depth(struct yaml_reader *r, yaml_mark_t mark, int depth)
{
	if (depth > YAML_DEPTH_MAX)
		return fail(r, mark, "nested more than %d levels deep", YAML_DEPTH_MAX);
	if (depth > r->deepest)
		r->deepest = depth;
	return 0;
}

static int anchor_open(struct yaml_reader *r, yaml_mark_t mark, const char *name, struct anchor **ret_anchor)
{
	size_t size = strlen(name);
	struct anchor *anchor = NULL;
	HASH_FIND(hh, r->anchors, name, size, anchor);
	if (anchor != NULL)
		return fail(r, mark, "the anchor &%s is defined twice", name);
	anchor = mem_calloc(1, sizeof *anchor + size + 1);
	memcpy(anchor->name, name, size + 1);
	HASH_ADD_KEYPTR(hh, r->anchors, anchor->name, size, anchor);
	*ret_anchor = anchor;
	return 0;
}

static void anchors_free(struct anchor *anchors)
{
	struct anchor *anchor = NULL;
	struct anchor *next = NULL;
	HASH_ITER(hh, anchors, anchor, next) {
		HASH_DEL(anchors, anchor);
		json_decref(anchor->value);
		free(anchor);
	}
}

static int read_alias(struct yaml_reader *r, const yaml_event_t *event, int depth, json_t **ret_value)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct anchor *anchor = NULL;
	HASH_FIND(hh, r->anchors, name, strlen(name), anchor);
	if (anchor == NULL)
		return fail(r, event->start_mark, "the alias *%s has no anchor before it", name);
	if (anchor->value == NULL)
		return fail(r, event->start_mark, "the alias *%s stands inside its own anchor", name);
	if (count(r, event->start_mark, anchor->nodes, anchor->bytes) != 0 ||
	    check_depth(r, event->start_mark, depth + anchor->depth - 1) != 0)
		return -1;
	*ret_value = tree_copy(anchor->value);
	return 0;
}

/* The kind that a core tag asks for; false for any other tag. */
static bool tagged_kind(const char *tag, enum scalar_kind *ret_kind)
{
	static const struct {
		const char *name;
		enum scalar_kind kind;
	} tags[] = {{"null", SCALAR_NULL},
		    {"bool", SCALAR_BOOL},
		    {"int", SCALAR_INT},
		    {"float", SCALAR_REAL},
		    {"str", SCALAR_STRING}};
	if (strcmp(tag, "!") == 0) {
		*ret_kind = SCALAR_STRING;
		return true;
	}
	if (!str_starts_with(tag, CORE_TAG))
		return false;
	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
		if (strcmp(tag + strlen(CORE_TAG), tags[i].name) == 0) {
			*ret_kind = tags[i].kind;
			return true;
		}
	return false;
}

/* Rounded, it would be another number than the config's. */
static int fail_too_large(struct yaml_reader *r, const yaml_event_t *event)
{
	return fail(r, event->start_mark, "%s " SCALAR_TOO_LARGE, (const char *)event->data.scalar.value);
}

/* A tagged scalar: the text must be of the tag's kind, an integer being a float as well. */
static int tagged_value(struct yaml_reader *r, const yaml_event_t *event, const char *text, json_t **ret_value)
{
	const char *tag = (const char *)event->data.scalar.tag;
	enum scalar_kind wanted = SCALAR_STRING;
	if (!tagged_kind(tag, &wanted))
		return fail(r, event->start_mark, "the tag %s is not supported", tag);
	if (wanted == SCALAR_STRING || wanted == SCALAR_NULL) {
		*ret_value = wanted == SCALAR_NULL ? json_null() : json_string(text);
		return 0;
	}
	enum scalar_kind kind = scalar_kind(text);
	if (kind != wanted && !(wanted == SCALAR_REAL && kind == SCALAR_INT))
		return fail(r, event->start_mark, "\"%s\" is not a value for the tag !!%s", text,
			    tag + strlen(CORE_TAG));
	CLEANUP(json_freep) json_t *value = scalar_value(text, kind);
	if (wanted == SCALAR_INT && json_is_real(value))
		return fail_too_large(r, event);
	*ret_value = wanted == SCALAR_REAL ? json_real(json_number_value(value)) : TAKE(value);
	return 0;
}

static int check_scalar(struct yaml_reader *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	if (memchr(text, '\0', event->data.scalar.length) != NULL)
		return fail(r, event->start_mark, "a NUL character in a value");
	return count(r, event->start_mark, 1, event->data.scalar.length);
}

static int read_scalar(struct yaml_reader *r, const yaml_event_t *event, json_t **ret_value)
{
	const char *text = (const char *)event->data.scalar.value;
	if (check_scalar(r, event) != 0)
		return -1;
	if (event->data.scalar.tag != NULL)
		return tagged_value(r, event, text, ret_value);
	if (!event->data.scalar.plain_implicit) {
		*ret_value = json_string_nocheck(text);
		return 0;
	}
	enum scalar_kind kind = scalar_kind(text);
	if (kind == SCALAR_NOT_FINITE)
		return fail(r, event->start_mark, "%s " SCALAR_NO_VALUE, text);
	*ret_value = scalar_value(text, kind);
	if (kind == SCALAR_INT && json_is_real(*ret_value)) {
		json_decref(*ret_value);
		*ret_value = NULL;
		return fail_too_large(r, event);
	}
	return 0;
}

static int read_node(struct yaml_reader *r, const yaml_event_t *event, int depth, json_t **ret_value);

static int check_collection_tag(struct yaml_reader *r, yaml_mark_t mark, const yaml_char_t *tag, const char *core)
{
	const char *text = (const char *)tag;
	if (text == NULL || strcmp(text, "!") == 0 || strcmp(text, core) == 0)
		return 0;
	return fail(r, mark, "the tag %s is not supported here", text);
}

static int read_sequence(struct yaml_reader *r, const yaml_event_t *start, int depth, json_t **ret_value)
{
	if (check_collection_tag(r, start->start_mark, start->data.sequence_start.tag, CORE_TAG "seq") != 0 ||
	    count(r, start->start_mark, 1, 0) != 0)
		return -1;
	CLEANUP(json_freep) json_t *list = json_array();
	size_t length = r->pointer.len;
	for (;;) {
		CLEANUP(event_done) yaml_event_t event = {0};
		if (next_event(r, &event) != 0)
			return -1;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			break;
		str_append_pointer_index(&r->pointer, json_array_size(list));
		if (r->map != NULL)
			source_map_put(r->map, str_text(&r->pointer), (int)event.start_mark.line + 1,
				       (int)event.start_mark.column + 1);
		json_t *item = NULL;
		if (read_node(r, &event, depth + 1, &item) != 0)
			return -1;
		json_array_append_new(list, item);
		cut_pointer(r, length);
	}
	*ret_value = TAKE(list);
	return 0;
}

/* A key as a string. Numbers take their canonical form, as OmegaConf would show them; booleans keep their spelling, so
 * that the key `on` stays "on". */
static int read_key(struct yaml_reader *r, const yaml_event_t *event, char **ret_key)
{
	CLEANUP(json_freep) json_t *value = NULL;
	if (event->type == YAML_ALIAS_EVENT) {
		if (read_alias(r, event, 1, &value) != 0)
			return -1;
	} else if (event->type == YAML_SCALAR_EVENT) {
		if (read_scalar(r, event, &value) != 0)
			return -1;
	}
	char real[SCALAR_REAL_SIZE];
	switch (value == NULL ? JSON_OBJECT : json_typeof(value)) {
	case JSON_STRING: *ret_key = mem_strdup(json_string_value(value)); return 0;
	case JSON_INTEGER: *ret_key = mem_printf("%lld", (long long)json_integer_value(value)); return 0;
	case JSON_REAL: *ret_key = mem_strdup(scalar_format_real(json_real_value(value), real)); return 0;
	case JSON_TRUE:
	case JSON_FALSE:
		*ret_key = mem_strdup(event->type == YAML_SCALAR_EVENT ? (const char *)event->data.scalar.value
				      : json_is_true(value)            ? "true"
								       : "false");
		return 0;
	case JSON_NULL: return fail(r, event->start_mark, "null cannot be a key: quote it if a string is meant");
	case JSON_OBJECT:
	case JSON_ARRAY: break;
	}
	return fail(r, event->start_mark, "a mapping or a list cannot be a key");
}

static bool is_merge_key(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT && event->data.scalar.plain_implicit &&
	       event->data.scalar.tag == NULL && strcmp((const char *)event->data.scalar.value, "<<") == 0;
}

/* Adds what `<<` brings: a mapping, or a list of mappings of which earlier ones win. */
static int add_merge(struct yaml_reader *r, yaml_mark_t mark, json_t *merged, json_t *value)
{
	if (json_is_object(value)) {
		json_object_update(merged, value);
		return 0;
	}
	if (!json_is_array(value))
		return fail(r, mark, "`<<` takes a mapping or a list of mappings");
	for (size_t i = json_array_size(value); i-- > 0;) {
		if (!json_is_object(json_array_get(value, i)))
			return fail(r, mark, "`<<` takes a mapping or a list of mappings");
		json_object_update(merged, json_array_get(value, i));
	}
	return 0;
}

/* One key (already in *key) and its value, into `own` or, for `<<`, into `merged`. */
static int read_member(struct yaml_reader *r, const yaml_event_t *key_event, int depth, json_t *own, json_t *merged)
{
	CLEANUP(mem_freep) char *key = NULL;
	CLEANUP(json_freep) json_t *value = NULL;
	CLEANUP(event_done) yaml_event_t event = {0};
	bool merge = is_merge_key(key_event);
	if (read_key(r, key_event, &key) != 0)
		return -1;
	if (!merge && json_object_get(own, key) != NULL)
		return fail(r, key_event->start_mark, "the key \"%s\" stands twice in this mapping", key);
	str_append_pointer(&r->pointer, key);
	if (r->map != NULL && !merge)
		source_map_put(r->map, str_text(&r->pointer), (int)key_event->start_mark.line + 1,
			       (int)key_event->start_mark.column + 1);
	if (next_event(r, &event) != 0 || read_node(r, &event, depth + 1, &value) != 0)
		return -1;
	if (merge)
		return add_merge(r, event.start_mark, merged, value);
	json_object_set_new_nocheck(own, key, TAKE(value));
	return 0;
}

static int read_mapping(struct yaml_reader *r, const yaml_event_t *start, int depth, json_t **ret_value)
{
	if (check_collection_tag(r, start->start_mark, start->data.mapping_start.tag, CORE_TAG "map") != 0 ||
	    count(r, start->start_mark, 1, 0) != 0)
		return -1;
	CLEANUP(json_freep) json_t *own = json_object();
	CLEANUP(json_freep) json_t *merged = json_object();
	size_t length = r->pointer.len;
	for (;;) {
		CLEANUP(event_done) yaml_event_t event = {0};
		if (next_event(r, &event) != 0)
			return -1;
		if (event.type == YAML_MAPPING_END_EVENT)
			break;
		if (read_member(r, &event, depth, own, merged) != 0)
			return -1;
		cut_pointer(r, length);
	}
	if (json_object_size(merged) == 0) {
		*ret_value = TAKE(own);
		return 0;
	}
	json_object_update(merged, own);
	*ret_value = TAKE(merged);
	return 0;
}

static const char *anchor_name(const yaml_event_t *event)
{
	const yaml_char_t *name = event->type == YAML_SCALAR_EVENT           ? event->data.scalar.anchor
				  : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
				  : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.anchor
									     : NULL;
	return (const char *)name;
}

static int read_content(struct yaml_reader *r, const yaml_event_t *event, int depth, json_t **ret_value)
{
	if (check_depth(r, event->start_mark, depth) != 0)
		return -1;
	if (event->type == YAML_ALIAS_EVENT)
		return read_alias(r, event, depth, ret_value);
	if (event->type == YAML_SCALAR_EVENT)
		return read_scalar(r, event, ret_value);
	if (event->type == YAML_SEQUENCE_START_EVENT)
		return read_sequence(r, event, depth, ret_value);
	return read_mapping(r, event, depth, ret_value);
}

/* The node that starts with `event`, at `depth` from 1. */
static int read_node(struct yaml_reader *r, const yaml_event_t *event, int depth, json_t **ret_value)
{
	const char *name = anchor_name(event);
	struct anchor *anchor = NULL;
	if (name == NULL)
		return read_content(r, event, depth, ret_value);
	if (anchor_open(r, event->start_mark, name, &anchor) != 0)
		return -1;
	size_t nodes = r->nodes;
	size_t bytes = r->bytes;
	int deepest = r->deepest;
	r->deepest = 0;
	if (read_content(r, event, depth, ret_value) != 0)
		return -1;
	anchor->value = json_incref(*ret_value);
	anchor->nodes = r->nodes - nodes;
	anchor->bytes = r->bytes - bytes;
	anchor->depth = r->deepest - depth + 1;
	if (deepest > r->deepest)
		r->deepest = deepest;
	return 0;
}

/* The text must be what libyaml's reader takes (YAML 1.1, section 5.1), said here because its errors lack a line. */
static int check_characters(struct yaml_reader *r, const char *text, size_t size)
{
	yaml_mark_t mark = {0};
	for (size_t at = 0; at < size;) {
		uint32_t code = 0;
		size_t length = utf8_decode(text + at, size - at, &code);
		if (length == 0)
			return fail(r, mark, "not valid UTF-8 (byte 0x%02x)", (unsigned char)text[at]);
		bool allowed = code == '\t' || code == '\n' || code == '\r' || code == 0x85 ||
			       (code >= 0x20 && code != 0x7f && (code < 0x80 || code >= 0xa0) && code != 0xfffe &&
				code != 0xffff && (code != 0xfeff || at == 0));
		if (!allowed)
			return fail(r, mark, code == 0 ? "a NUL byte" : "the control character U+%04X", (unsigned)code);
		mark.column++;
		if (code == '\n') {
			mark.line++;
			mark.column = 0;
		}
		at += length;
	}
	return 0;
}

static int read_document(struct yaml_reader *r, json_t **ret_value)
{
	CLEANUP(json_freep) json_t *value = NULL;
	{
		CLEANUP(event_done) yaml_event_t stream = {0};
		CLEANUP(event_done) yaml_event_t document = {0};
		CLEANUP(event_done) yaml_event_t root = {0};
		CLEANUP(event_done) yaml_event_t end = {0};
		if (next_event(r, &stream) != 0 || next_event(r, &document) != 0)
			return -1;
		if (document.type == YAML_STREAM_END_EVENT) {
			*ret_value = json_null();
			return 0;
		}
		if (next_event(r, &root) != 0)
			return -1;
		if (r->map != NULL)
			source_map_put(r->map, "", (int)root.start_mark.line + 1, (int)root.start_mark.column + 1);
		if (read_node(r, &root, 1, &value) != 0 || next_event(r, &end) != 0)
			return -1;
	}
	CLEANUP(event_done) yaml_event_t after = {0};
	if (next_event(r, &after) != 0)
		return -1;
	if (after.type != YAML_STREAM_END_EVENT)
		return fail(r, after.start_mark, "a second document starts here: one is expected");
	*ret_value = TAKE(value);
	return 0;
}

static int check_directives(struct yaml_reader *r, const char *text, size_t size)
{
	size_t lines = 0;
	yaml_mark_t mark = {0};
	for (const char *p = text; p != NULL && p < text + size; mark.line++) {
		if (*p == '%' && ++lines > YAML_DIRECTIVES_MAX)
			return fail(r, mark, "more than %d lines that begin with %%", YAML_DIRECTIVES_MAX);
		p = memchr(p, '\n', size - (size_t)(p - text));
		p = p == NULL ? NULL : p + 1;
	}
	return 0;
}

int yaml_json_parse(const char *text, size_t size, bool json, json_t **ret_value, struct source_map **ret_map,
		    struct problems *problems, struct nel_err *err)
{
	CLEANUP(problems_done) struct problems unwanted = {0};
	CLEANUP(source_map_freep) struct source_map *map = ret_map == NULL ? NULL : source_map_new();
	struct yaml_reader r = {.map = map, .problems = problems == NULL ? &unwanted : problems, .err = err};
	size_t mark_size = utf8_mark_size(text, size);
	text += mark_size;
	size -= mark_size;
	r.text = text;
	r.size = size;
	if (check_characters(&r, text, size) != 0)
		return -1;
	if (json)
		return json_places_parse(text, size, ret_value, ret_map, r.problems, err);
	if (check_directives(&r, text, size) != 0) {
		str_done(&r.pointer);
		return -1;
	}
	if (yaml_parser_initialize(&r.parser) != 1)
		return err_set(err, NEL_NOMEM, "no memory for a YAML parser");
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
	int rc = read_document(&r, ret_value);
	yaml_parser_delete(&r.parser);
	anchors_free(r.anchors);
	str_done(&r.pointer);
	if (rc == 0 && ret_map != NULL)
		*ret_map = TAKE(map);
	return rc;
}
