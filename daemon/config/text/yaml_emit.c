/* A JSON value to block-style YAML that people can read: libyaml's emitter, with a style chosen for each string. */
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "config/text/scalar.h"
#include "config/text/yaml_json.h"

#include <string.h>
#include <yaml.h>

static int append_bytes(void *data, unsigned char *buffer, size_t size)
{
	str_append_n(data, buffer, size);
	return 1;
}

static void emit(yaml_emitter_t *emitter, yaml_event_t *event, int made)
{
	if (made != 1 || yaml_emitter_emit(emitter, event) != 1)
		abort(); /* out of memory: the events below are always well-formed */
}

/* Can the text stand as a literal block that every reader takes back byte for byte? */
static bool fits_literal(const char *text)
{
	size_t size = strlen(text);
	const char *line_end = strchr(text, '\n');
	if (line_end == NULL || strchr(" \t\n", *text) != NULL || str_ends_with(text, "\n\n"))
		return false;
	for (; line_end != NULL; line_end = strchr(line_end + 1, '\n'))
		if (strchr(" \t", line_end[-1]) != NULL)
			return false;
	for (const char *p = text; *p != '\0';) {
		uint32_t code = 0;
		size_t length = utf8_decode(p, size - (size_t)(p - text), &code);
		if (length == 0 || (code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7f && code < 0xa0) ||
		    code == 0x2028 || code == 0x2029 || code == 0xfeff || code > 0xffff)
			return false;
		p += length;
	}
	return true;
}

static void emit_scalar(yaml_emitter_t *emitter, const char *text, size_t size, yaml_scalar_style_t style)
{
	yaml_event_t event;
	bool plain = style == YAML_PLAIN_SCALAR_STYLE;
	emit(emitter, &event,
	     yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)size, plain, 1, style));
}

/* Keys are texts in JSON, and integers nearly always where a config has 1: in YAML. */
static bool is_integer_key(const char *text)
{
	const char *digits = *text == '-' ? text + 1 : text;
	size_t size = strlen(digits);
	return size > 0 && size <= 18 && strspn(digits, "0123456789") == size &&
	       (*digits != '0' || strcmp(text, "0") == 0);
}

static void emit_string(yaml_emitter_t *emitter, const char *text, size_t size, bool key)
{
	yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;
	if (!key && fits_literal(text))
		style = YAML_LITERAL_SCALAR_STYLE;
	else if (str_has_control(text))
		style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	else if (scalar_needs_quotes(text) && !(key && is_integer_key(text)))
		style = YAML_SINGLE_QUOTED_SCALAR_STYLE;
	emit_scalar(emitter, text, size, style);
}

static void emit_real(yaml_emitter_t *emitter, double value)
{
	char repr[SCALAR_REAL_SIZE];
	CLEANUP(str_done) struct str text = {0};
	scalar_format_real(value, repr);
	const char *e = strchr(repr, 'e');
	if (e != NULL && strchr(repr, '.') == NULL) { /* YAML 1.1: a float has a dot */
		str_append_n(&text, repr, (size_t)(e - repr));
		str_appendf(&text, ".0%s", e);
	} else {
		str_append(&text, repr);
	}
	emit_scalar(emitter, str_text(&text), text.len, YAML_PLAIN_SCALAR_STYLE);
}

static void emit_node(yaml_emitter_t *emitter, const json_t *value);

static void emit_mapping(yaml_emitter_t *emitter, const json_t *value)
{
	yaml_event_t event;
	const char *key = NULL;
	json_t *member = NULL;
	yaml_mapping_style_t style = json_object_size(value) == 0 ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE;
	emit(emitter, &event, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style));
	json_object_foreach((json_t *)value, key, member) {
		emit_string(emitter, key, strlen(key), true);
		emit_node(emitter, member);
	}
	emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

static void emit_sequence(yaml_emitter_t *emitter, const json_t *value)
{
	yaml_event_t event;
	size_t index = 0;
	json_t *item = NULL;
	yaml_sequence_style_t style =
	    json_array_size(value) == 0 ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE;
	emit(emitter, &event, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style));
	json_array_foreach(value, index, item)
		emit_node(emitter, item);
	emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

static void emit_node(yaml_emitter_t *emitter, const json_t *value)
{
	CLEANUP(mem_freep) char *number = NULL;
	const char *word = "null";
	switch (json_typeof(value)) {
	case JSON_OBJECT: emit_mapping(emitter, value); return;
	case JSON_ARRAY: emit_sequence(emitter, value); return;
	case JSON_STRING: emit_string(emitter, json_string_value(value), json_string_length(value), false); return;
	case JSON_REAL: emit_real(emitter, json_real_value(value)); return;
	case JSON_INTEGER: word = number = mem_printf("%lld", (long long)json_integer_value(value)); break;
	case JSON_TRUE: word = "true"; break;
	case JSON_FALSE: word = "false"; break;
	case JSON_NULL: break;
	}
	emit_scalar(emitter, word, strlen(word), YAML_PLAIN_SCALAR_STYLE);
}

char *yaml_json_emit(const json_t *value)
{
	struct str text = {0};
	yaml_emitter_t emitter;
	yaml_event_t event;
	if (yaml_emitter_initialize(&emitter) != 1)
		abort();
	yaml_emitter_set_output(&emitter, append_bytes, &text);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	emit(&emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	emit(&emitter, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
	emit_node(&emitter, value);
	emit(&emitter, &event, yaml_document_end_event_initialize(&event, 1));
	emit(&emitter, &event, yaml_stream_end_event_initialize(&event));
	yaml_emitter_flush(&emitter);
	yaml_emitter_delete(&emitter);
	return str_take(&text);
}
