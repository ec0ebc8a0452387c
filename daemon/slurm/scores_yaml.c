/* A lenient reader over libyaml's events. The strict one, of people's configs, is config/yaml_json. */
#include "slurm/scores_yaml.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "config/text/scalar.h"

#include <string.h>
#include <uthash.h>
#include <yaml.h>

#define CORE_TAG "tag:yaml.org,2002:"

struct anchor {
	UT_hash_handle hh;
	json_t *value; /* NULL while it is being read, and of what is left out */
	size_t nodes;
	char name[];
};

struct salvage {
	yaml_parser_t parser;
	struct anchor *anchors;
	size_t nodes;
	size_t lost;
	struct nel_err *err;
};

static void event_done(yaml_event_t *event)
{
	yaml_event_delete(event);
}

static int next_event(struct salvage *s, yaml_event_t *event)
{
	if (yaml_parser_parse(&s->parser, event) == 1)
		return 0;
	return err_set(s->err, NEL_INVALID, "line %d, column %d: not valid YAML: %s",
		       (int)s->parser.problem_mark.line + 1, (int)s->parser.problem_mark.column + 1,
		       s->parser.problem != NULL ? s->parser.problem : "unreadable");
}

/* The rest of the node that starts with `start`. */
static int skip(struct salvage *s, const yaml_event_t *start)
{
	int depth = start->type == YAML_MAPPING_START_EVENT || start->type == YAML_SEQUENCE_START_EVENT;
	while (depth > 0) {
		CLEANUP(event_done) yaml_event_t event = {0};
		if (next_event(s, &event) != 0)
			return -1;
		depth += event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT;
		depth -= event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
	}
	return 0;
}

/* Leaves a node out: *ret_value is NULL. */
static int lose(struct salvage *s, const yaml_event_t *start, json_t **ret_value)
{
	*ret_value = NULL;
	s->lost++;
	return skip(s, start);
}

/* "!!python/..." is a tag of YAML's own name space, too. */
static bool is_core_tag(const yaml_char_t *tag)
{
	static const char *const names[] = {"null", "bool", "int", "float", "str", "seq", "map", NULL};
	const char *text = (const char *)tag;
	return text == NULL || strcmp(text, "!") == 0 ||
	       (str_starts_with(text, CORE_TAG) && str_in(text + strlen(CORE_TAG), names));
}

static json_t *scalar_of(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	bool plain =
	    tag == NULL ? event->data.scalar.plain_implicit : strcmp(tag, "!") != 0 && strcmp(tag, CORE_TAG "str") != 0;
	if (!is_core_tag(event->data.scalar.tag) || strlen(text) != event->data.scalar.length)
		return NULL;
	if (!plain)
		return json_string(text);
	enum scalar_kind kind = scalar_kind(text);
	return kind == SCALAR_NOT_FINITE ? json_null() : scalar_value(text, kind);
}

static int read_node(struct salvage *s, const yaml_event_t *event, int depth, json_t **ret_value);

static int read_sequence(struct salvage *s, int depth, json_t **ret_value)
{
	CLEANUP(json_freep) json_t *list = json_array();
	for (;;) {
		CLEANUP(event_done) yaml_event_t event = {0};
		json_t *item = NULL;
		if (next_event(s, &event) != 0)
			return -1;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (read_node(s, &event, depth + 1, &item) != 0)
			return -1;
		json_array_append_new(list, item != NULL ? item : json_null());
	}
	*ret_value = TAKE(list);
	return 0;
}

/* The name of a key; NULL when it can be none. */
static const char *key_of(const yaml_event_t *event)
{
	if (event->type != YAML_SCALAR_EVENT || !is_core_tag(event->data.scalar.tag))
		return NULL;
	const char *text = (const char *)event->data.scalar.value;
	bool null = event->data.scalar.plain_implicit && scalar_kind(text) == SCALAR_NULL;
	return null || strlen(text) != event->data.scalar.length ? NULL : text;
}

/* depth 1: the outermost mapping, of which two keys are wanted. */
static bool is_wanted(const char *key, int depth)
{
	return depth > 1 || strcmp(key, "results") == 0 || strcmp(key, "n-samples") == 0;
}

/* The value of a key into `own`; `seen` has all keys, also those whose values were left out. */
static int read_member(struct salvage *s, const yaml_event_t *key_event, int depth, json_t *own, json_t *seen)
{
	CLEANUP(event_done) yaml_event_t event = {0};
	CLEANUP(json_freep) json_t *value = NULL;
	const char *key = key_of(key_event);
	if (skip(s, key_event) != 0 || next_event(s, &event) != 0)
		return -1;
	if (key == NULL)
		return lose(s, &event, &value);
	if (!is_wanted(key, depth))
		return skip(s, &event);
	if (json_object_get(seen, key) != NULL) {
		json_object_del(own, key);
		return lose(s, &event, &value);
	}
	json_object_set_new(seen, key, json_true());
	if (read_node(s, &event, depth + 1, &value) != 0)
		return -1;
	if (value != NULL)
		json_object_set(own, key, value);
	return 0;
}

static int read_mapping(struct salvage *s, int depth, json_t **ret_value)
{
	CLEANUP(json_freep) json_t *own = json_object();
	CLEANUP(json_freep) json_t *seen = json_object();
	for (;;) {
		CLEANUP(event_done) yaml_event_t event = {0};
		if (next_event(s, &event) != 0)
			return -1;
		if (event.type == YAML_MAPPING_END_EVENT)
			break;
		if (read_member(s, &event, depth, own, seen) != 0)
			return -1;
	}
	*ret_value = TAKE(own);
	return 0;
}

static int read_alias(struct salvage *s, const yaml_event_t *event, json_t **ret_value)
{
	struct anchor *anchor = NULL;
	HASH_FIND_STR(s->anchors, (const char *)event->data.alias.anchor, anchor);
	if (anchor == NULL || anchor->value == NULL || s->nodes + anchor->nodes > SCORES_YAML_NODES_MAX)
		return lose(s, event, ret_value);
	s->nodes += anchor->nodes;
	*ret_value = json_incref(anchor->value); /* nothing here changes a value that has been read */
	return 0;
}

static int read_content(struct salvage *s, const yaml_event_t *event, int depth, json_t **ret_value)
{
	if (event->type == YAML_ALIAS_EVENT)
		return read_alias(s, event, ret_value);
	if (depth > SCORES_YAML_DEPTH_MAX || s->nodes == SCORES_YAML_NODES_MAX)
		return lose(s, event, ret_value);
	s->nodes++;
	if (event->type == YAML_SCALAR_EVENT) {
		*ret_value = scalar_of(event);
		s->lost += *ret_value == NULL;
		return 0;
	}
	bool mapping = event->type == YAML_MAPPING_START_EVENT;
	if (!is_core_tag(mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag))
		return lose(s, event, ret_value);
	return mapping ? read_mapping(s, depth, ret_value) : read_sequence(s, depth, ret_value);
}

static const char *anchor_name(const yaml_event_t *event)
{
	return (const char *)(event->type == YAML_SCALAR_EVENT           ? event->data.scalar.anchor
			      : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
			      : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.anchor
									 : NULL);
}

/* *ret_value is NULL when the node is left out. */
static int read_node(struct salvage *s, const yaml_event_t *event, int depth, json_t **ret_value)
{
	const char *name = anchor_name(event);
	if (name == NULL)
		return read_content(s, event, depth, ret_value);
	struct anchor *anchor = NULL;
	HASH_FIND_STR(s->anchors, name, anchor);
	if (anchor == NULL) {
		anchor = mem_calloc(1, sizeof *anchor + strlen(name) + 1);
		memcpy(anchor->name, name, strlen(name) + 1);
		HASH_ADD_STR(s->anchors, name, anchor);
	}
	json_decref(anchor->value); /* YAML lets a later anchor take an earlier one's name */
	anchor->value = NULL;
	size_t nodes = s->nodes;
	if (read_content(s, event, depth, ret_value) != 0)
		return -1;
	json_decref(anchor->value); /* within itself the name may have been given again */
	anchor->value = json_incref(*ret_value);
	anchor->nodes = s->nodes - nodes + 1;
	return 0;
}

/* libyaml reads nothing of a text that has a byte it does not take: such bytes become '?'. */
static void clean(char *text, size_t size)
{
	for (size_t i = 0, length = 0; i < size; i += length) {
		uint32_t code = 0;
		length = utf8_decode(text + i, size - i, &code);
		bool allowed = length > 0 && (code >= 0xa0 || code == 0x85 || (code >= 0x20 && code < 0x7f) ||
					      code == '\t' || code == '\n' || code == '\r');
		length = length > 0 ? length : 1;
		if (!allowed || code == 0xfffe || code == 0xffff)
			memset(text + i, '?', length);
	}
}

static int read_document(struct salvage *s, json_t **ret_document)
{
	for (;;) {
		CLEANUP(event_done) yaml_event_t event = {0};
		if (next_event(s, &event) != 0)
			return -1;
		if (event.type == YAML_STREAM_END_EVENT)
			return 0;
		if (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT ||
		    event.type == YAML_DOCUMENT_END_EVENT)
			continue;
		if (*ret_document != NULL)
			return err_set(s->err, NEL_INVALID, "it has more than one document");
		if (event.type != YAML_MAPPING_START_EVENT)
			return err_set(s->err, NEL_INVALID, "it is no mapping");
		if (read_node(s, &event, 1, ret_document) != 0)
			return -1;
		if (*ret_document == NULL)
			return err_set(s->err, NEL_INVALID, "its outermost mapping has a tag");
	}
}

int scores_yaml_read(const char *text, size_t size, json_t **ret_document, size_t *ret_lost, struct nel_err *err)
{
	struct salvage s = {.err = err};
	struct anchor *anchor = NULL;
	struct anchor *next = NULL;
	CLEANUP(json_freep) json_t *document = NULL;
	CLEANUP(mem_freep) char *copy = mem_dup(text, size);
	clean(copy, size);
	if (yaml_parser_initialize(&s.parser) != 1)
		return err_set(err, NEL_NOMEM, "no memory for a YAML parser");
	yaml_parser_set_input_string(&s.parser, (const unsigned char *)copy, size);
	int rc = read_document(&s, &document);
	yaml_parser_delete(&s.parser);
	HASH_ITER(hh, s.anchors, anchor, next) {
		HASH_DEL(s.anchors, anchor);
		json_decref(anchor->value);
		free(anchor);
	}
	if (rc != 0)
		return -1;
	*ret_document = document != NULL ? TAKE(document) : json_object();
	*ret_lost = s.lost;
	return 0;
}
