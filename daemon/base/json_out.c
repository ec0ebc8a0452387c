/* Owns how values are written as JSON text. */
#include "base/json_out.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void json_out_done(struct json_out *out)
{
	str_done(&out->text);
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Appends the character at p, which is not plain; returns its size. */
static size_t append_special(struct str *s, const char *p, size_t left)
{
	uint32_t code = 0;
	if (*p == '"' || *p == '\\' || *p == '\n') {
		str_append_c(s, '\\');
		str_append_c(s, *p == '\n' ? 'n' : *p);
		return 1;
	}
	if ((unsigned char)*p < 0x20) {
		str_appendf(s, "\\u%04x", *p);
		return 1;
	}
	size_t size = utf8_decode(p, left, &code);
	if (size == 0) {
		str_append(s, "\\ufffd");
		return 1;
	}
	str_append_n(s, p, size);
	return size;
}

static void append_string(struct str *s, const char *text, size_t left)
{
	str_append_c(s, '"');
	while (left > 0) {
		size_t plain = 0;
		while (plain < left && is_plain((unsigned char)text[plain]))
			plain++;
		if (plain == 0)
			plain = append_special(s, text, left);
		else
			str_append_n(s, text, plain);
		text += plain;
		left -= plain;
	}
	str_append_c(s, '"');
}

static void append_comma(struct json_out *out)
{
	if (out->comma)
		str_append_c(&out->text, ',');
}

void out_name_n(struct json_out *out, const char *name, size_t size)
{
	append_comma(out);
	str_append_c(&out->text, '"');
	str_append_n(&out->text, name, size);
	str_append_n(&out->text, "\":", 2);
	out->comma = false;
}

void out_key(struct json_out *out, const char *key)
{
	append_comma(out);
	append_string(&out->text, key, strlen(key));
	str_append_c(&out->text, ':');
	out->comma = false;
}

/* What comes before each value, and what it leaves for the next one. */
static struct str *begin_value(struct json_out *out, const char *name)
{
	if (name != NULL)
		out_name(out, name);
	else
		append_comma(out);
	out->comma = true;
	return &out->text;
}

static void begin(struct json_out *out, const char *name, char begin, char end)
{
	assert(out->depth < JSON_OUT_DEPTH_MAX);
	str_append_c(begin_value(out, name), begin);
	out->ends[out->depth++] = end;
	out->comma = false;
}

void out_object(struct json_out *out, const char *name)
{
	begin(out, name, '{', '}');
}

void out_array(struct json_out *out, const char *name)
{
	begin(out, name, '[', ']');
}

void out_end(struct json_out *out)
{
	assert(out->depth > 0);
	str_append_c(&out->text, out->ends[--out->depth]);
	out->comma = true;
}

void out_string(struct json_out *out, const char *name, const char *text)
{
	if (text != NULL)
		append_string(begin_value(out, name), text, strlen(text));
	else
		out_null(out, name);
}

void out_int(struct json_out *out, const char *name, int64_t number)
{
	str_append_int(begin_value(out, name), number);
}

void out_int_or_null(struct json_out *out, const char *name, int64_t number, bool known)
{
	if (known)
		out_int(out, name, number);
	else
		out_null(out, name);
}

void out_digits(struct str *s, double number)
{
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	str_append(s, text);
}

void out_double(struct json_out *out, const char *name, double number)
{
	if (isfinite(number))
		out_digits(begin_value(out, name), number);
	else
		out_null(out, name);
}

void out_bool(struct json_out *out, const char *name, bool value)
{
	str_append(begin_value(out, name), value ? "true" : "false");
}

void out_null(struct json_out *out, const char *name)
{
	str_append_n(begin_value(out, name), "null", 4);
}

void out_time(struct json_out *out, const char *name, int64_t at_s)
{
	char text[CLOCK_RFC3339_SIZE];
	out_string(out, name, at_s != 0 ? clock_rfc3339(at_s, text) : NULL);
}

void out_json(struct json_out *out, const char *name, const char *json)
{
	if (json != NULL)
		out_json_n(out, name, json, strlen(json));
	else
		out_null(out, name);
}

void out_json_n(struct json_out *out, const char *name, const char *json, size_t size)
{
	str_append_n(begin_value(out, name), json, size);
}

static void out_real(struct json_out *out, const char *name, double number)
{
	struct str *s = begin_value(out, name);
	size_t begin = s->len;
	out_digits(s, number);
	if (strpbrk(s->data + begin, ".e") == NULL) /* so that it is read as a real again */
		str_append(s, ".0");
}

static void out_members(struct json_out *out, const json_t *value)
{
	const char *key = NULL;
	json_t *member = NULL;
	size_t i = 0;
	out->comma = false;
	json_object_foreach((json_t *)value, key, member) {
		out_key(out, key);
		out_value(out, NULL, member);
	}
	json_array_foreach(value, i, member)
		out_value(out, NULL, member);
	out->comma = true;
}

/* Not out_object(): a config nests deeper than JSON_OUT_DEPTH_MAX. */
void out_value(struct json_out *out, const char *name, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		str_append_c(begin_value(out, name), '{');
		out_members(out, value);
		str_append_c(&out->text, '}');
		break;
	case JSON_ARRAY:
		str_append_c(begin_value(out, name), '[');
		out_members(out, value);
		str_append_c(&out->text, ']');
		break;
	case JSON_STRING:
		append_string(begin_value(out, name), json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER: out_int(out, name, json_integer_value(value)); break;
	case JSON_REAL: out_real(out, name, json_real_value(value)); break;
	case JSON_TRUE: out_bool(out, name, true); break;
	case JSON_FALSE: out_bool(out, name, false); break;
	case JSON_NULL: out_null(out, name); break;
	}
}

char *json_out_text(const json_t *value)
{
	struct json_out out = {0};
	out_value(&out, NULL, value);
	return str_take(&out.text);
}
