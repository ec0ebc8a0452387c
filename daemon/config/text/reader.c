/* Typed reading of parsed JSON, with every problem collected. Knows nothing of what the keys mean. */
#include "config/text/reader.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/str_list.h"
#include "config/text/value_grammar.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 512
#define MISSING_MARK "???"

/* Takes an incomplete UTF-8 sequence off the end of a text that was cut: what is no UTF-8 cannot go into a reply. */
static void cut_at_character(char *text)
{
	size_t size = strlen(text);
	size_t start = size;
	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start > 0 && (unsigned char)text[start - 1] >= 0xc0)
		text[start - 1] = '\0';
}

__attribute__((format(printf, 4, 0))) static void add(const struct reader *r, struct problems *to, const char *pointer,
						      const char *fmt, va_list ap)
{
	char message[MESSAGE_MAX];
	int line = 0, column = 0;
	if (to == NULL)
		return;
	if (vsnprintf(message, sizeof message, fmt, ap) >= (int)sizeof message)
		cut_at_character(message);
	source_map_find(r->map, pointer, &line, &column);
	problems_add(to, pointer, line, column, "%s", message);
}

void reader_error(const struct reader *r, const char *pointer, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(r, r->errors, pointer, fmt, ap);
	va_end(ap);
}

void reader_warn(const struct reader *r, const char *pointer, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(r, r->warnings, pointer, fmt, ap);
	va_end(ap);
}

char *reader_join(const char *base, const char *key)
{
	struct str s = {0};
	str_append(&s, base);
	str_append_pointer(&s, key);
	return str_take(&s);
}

char *reader_join_index(const char *base, size_t index)
{
	struct str s = {0};
	str_append(&s, base);
	str_append_pointer_index(&s, index);
	return str_take(&s);
}

static void append_pointer(struct str *s, const struct reader_step *step)
{
	if (step == NULL)
		return;
	append_pointer(s, step->parent);
	if (step->key != NULL)
		str_append_pointer(s, step->key);
	else
		str_append_pointer_index(s, step->index);
}

char *reader_pointer(const struct reader_step *step)
{
	struct str s = {0};
	append_pointer(&s, step);
	return str_take(&s);
}

static void append_step(struct str *s, const char *step, size_t size)
{
	if (size != 0 && strspn(step, "0123456789") >= size) {
		str_append_c(s, '[');
		str_append_n(s, step, size);
		str_append_c(s, ']');
		return;
	}
	if (s->len != 0)
		str_append_c(s, '.');
	for (size_t i = 0; i < size; i++) {
		char c = step[i];
		if (c == '~' && i + 1 < size)
			c = step[++i] == '1' ? '/' : '~';
		str_append_c(s, c);
	}
}

char *reader_dotted(const char *pointer)
{
	struct str s = {0};
	while (*pointer == '/') {
		size_t size = strcspn(pointer + 1, "/");
		append_step(&s, pointer + 1, size);
		pointer += 1 + size;
	}
	return str_take(&s);
}

void reader_missing(const struct reader *r, const char *pointer)
{
	CLEANUP(mem_freep) char *dotted = reader_dotted(pointer);
	if (!r->incomplete)
		reader_error(r, pointer, "Missing mandatory value: %s", dotted);
}

bool reader_is_missing(const json_t *value)
{
	return json_is_string(value) && strcmp(json_string_value(value), MISSING_MARK) == 0;
}

const json_t *reader_get(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return value == NULL || json_is_null(value) || reader_is_missing(value) ? NULL : value;
}

bool reader_is_falsy(const json_t *value)
{
	return value == NULL || json_is_null(value) || json_is_false(value) ||
	       (json_is_integer(value) && json_integer_value(value) == 0) ||
	       (json_is_string(value) && json_string_length(value) == 0);
}

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return "a mapping";
	case JSON_ARRAY: return "a list";
	case JSON_STRING: return "text";
	case JSON_INTEGER: return "an integer";
	case JSON_REAL: return "a number";
	case JSON_TRUE: return "true";
	case JSON_FALSE: return "false";
	case JSON_NULL: return "null";
	}
	return "something else";
}

const json_t *reader_object(const struct reader *r, const json_t *object, const char *base, const char *key)
{
	const json_t *value = reader_get(object, key);
	if (value == NULL || json_is_object(value))
		return value;
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	reader_error(r, pointer, "%s must be a mapping, not %s", key, type_name(value));
	return NULL;
}

const json_t *reader_array(const struct reader *r, const json_t *object, const char *base, const char *key)
{
	const json_t *value = reader_get(object, key);
	if (value == NULL || json_is_array(value))
		return value;
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	reader_error(r, pointer, "%s must be a list, not %s", key, type_name(value));
	return NULL;
}

static bool has_any(const char *text, const char *bytes)
{
	return text[strcspn(text, bytes)] != '\0';
}

char *reader_value_text(const struct reader *r, const json_t *value, const char *pointer, enum reader_text kind)
{
	CLEANUP(mem_freep) char *text = NULL;
	CLEANUP(mem_freep) char *name = reader_dotted(pointer);
	if (json_is_string(value))
		text = mem_strdup(json_string_value(value));
	else if (json_is_number(value))
		text = value_to_text(value);
	if (text == NULL) {
		reader_error(r, pointer, "%s must be text, not %s%s", name, type_name(value),
			     json_is_boolean(value) ? " (put it in quotes if that is the text)" : "");
		return NULL;
	}
	size_t size_max = kind == READER_ANY ? READER_TEXT_MAX : READER_LINE_MAX;
	if (strlen(text) > size_max) {
		reader_error(r, pointer, "%s is longer than %zu bytes", name, size_max);
		return NULL;
	}
	if (kind != READER_ANY && str_has_control(text)) {
		reader_error(r, pointer, "%s must be one line without control characters", name);
		return NULL;
	}
	if (kind == READER_TOKEN && *text == '\0') {
		reader_error(r, pointer, "%s must not be empty", name);
		return NULL;
	}
	if (kind == READER_TOKEN && (has_any(text, " '\"\\`") || text[0] == '-')) {
		reader_error(r, pointer, "%s must be one word without quotes or backslashes, and not begin with '-'",
			     name);
		return NULL;
	}
	return TAKE(text);
}

char *reader_text(const struct reader *r, const json_t *object, const char *base, const char *key,
		  enum reader_text kind)
{
	const json_t *value = reader_get(object, key);
	if (value == NULL)
		return NULL;
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	return reader_value_text(r, value, pointer, kind);
}

char *reader_need_text(const struct reader *r, const json_t *object, const char *base, const char *key,
		       enum reader_text kind)
{
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	const json_t *value = reader_get(object, key);
	if (value != NULL && !(json_is_string(value) && json_string_length(value) == 0))
		return reader_value_text(r, value, pointer, kind);
	reader_missing(r, pointer);
	return NULL;
}

char *reader_text_or(const struct reader *r, const json_t *object, const char *base, const char *key,
		     enum reader_text kind, const char *fallback)
{
	return reader_get(object, key) == NULL ? mem_strdup(fallback) : reader_text(r, object, base, key, kind);
}

int64_t reader_int(const struct reader *r, const json_t *object, const char *base, const char *key, int64_t min,
		   int64_t max, int64_t fallback)
{
	const json_t *value = reader_get(object, key);
	long long number;
	if (value == NULL)
		return fallback;
	if (json_is_integer(value) && json_integer_value(value) >= min && json_integer_value(value) <= max)
		return json_integer_value(value);
	if (json_is_string(value) && str_to_int(json_string_value(value), min, max, &number))
		return number;
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	CLEANUP(mem_freep) char *name = reader_dotted(pointer);
	reader_error(r, pointer, "%s must be an integer from %lld to %lld", name, (long long)min, (long long)max);
	return fallback;
}

bool reader_bool(const struct reader *r, const json_t *object, const char *base, const char *key, bool fallback)
{
	const json_t *value = reader_get(object, key);
	if (value == NULL)
		return fallback;
	if (json_is_boolean(value))
		return json_is_true(value);
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	CLEANUP(mem_freep) char *name = reader_dotted(pointer);
	reader_error(r, pointer, "%s must be true or false, not %s", name, type_name(value));
	return fallback;
}

static const char *const no_list[] = {NULL};

static char **list_copy(const char *const *from)
{
	size_t count = 0;
	while (from[count] != NULL)
		count++;
	char **list = mem_calloc(count + 1, sizeof *list);
	for (size_t i = 0; i < count; i++)
		list[i] = mem_strdup(from[i]);
	return list;
}

char **reader_list(const struct reader *r, const json_t *object, const char *base, const char *key,
		   enum reader_text kind, const char *const *fallback)
{
	const json_t *value = reader_get(object, key);
	if (value == NULL)
		return list_copy(fallback != NULL ? fallback : no_list);
	CLEANUP(mem_freep) char *pointer = reader_join(base, key);
	if (json_is_object(value)) {
		reader_error(r, pointer, "%s must be a list of texts, not %s", key, type_name(value));
		return list_copy(no_list);
	}
	size_t size = json_is_array(value) ? json_array_size(value) : 1;
	CLEANUP(str_list_freep) char **list = mem_calloc(size + 1, sizeof *list);
	size_t count = 0;
	for (size_t i = 0; i < size; i++) {
		const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
		CLEANUP(mem_freep)
		char *place = json_is_array(value) ? reader_join_index(pointer, i) : mem_strdup(pointer);
		char *text = reader_value_text(r, item, place, kind);
		if (text != NULL)
			list[count++] = text;
	}
	return TAKE(list);
}

void reader_keys(const struct reader *r, const json_t *object, const char *base, const char *const *known, bool strict)
{
	const char *key;
	json_t *value;
	size_t count = 0;
	while (known[count] != NULL)
		count++;
	json_object_foreach((json_t *)object, key, value) {
		if (str_in(key, known) || !reader_has_room(strict ? r->errors : r->warnings))
			continue;
		CLEANUP(mem_freep) char *pointer = reader_join(base, key);
		CLEANUP(mem_freep) char *name = reader_dotted(pointer);
		const char *near = str_nearest(key, known, count);
		struct str hint = {0};
		if (near != NULL)
			str_appendf(&hint, "; did you mean '%s'?", near);
		for (size_t i = 0; near == NULL && i < count; i++)
			str_appendf(&hint, "%s%s", i == 0 ? "; known here: " : ", ", known[i]);
		if (strict)
			reader_error(r, pointer, READER_UNKNOWN_KEY "%s'%s", name, str_text(&hint));
		else
			reader_warn(r, pointer, READER_UNKNOWN_KEY "%s': nothing reads it%s", name, str_text(&hint));
		str_done(&hint);
	}
}

bool reader_has_room(const struct problems *list)
{
	return list != NULL && list->count < PROBLEMS_MAX;
}

static bool has_parent_step(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/..")) != NULL; p += 3) {
		if (p[3] == '\0' || p[3] == '/')
			return true;
	}
	return false;
}

bool reader_check_path(const struct reader *r, const char *path, const char *pointer, const char *refused)
{
	CLEANUP(mem_freep) char *name = reader_dotted(pointer);
	return reader_check_named_path(r, path, name, pointer, refused);
}

bool reader_check_named_path(const struct reader *r, const char *path, const char *name, const char *pointer,
			     const char *refused)
{
	if (path[0] != '/')
		reader_error(r, pointer, "%s must be an absolute path", name);
	else if (str_has_control(path))
		reader_error(r, pointer, "%s must not hold control characters", name);
	else if (has_any(path, refused))
		reader_error(r, pointer, "%s must not hold any of %s", name, refused);
	else if (has_parent_step(path))
		reader_error(r, pointer, "%s must not hold '..' steps", name);
	else
		return true;
	return false;
}
