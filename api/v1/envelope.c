/* Owns the shape of the envelope, and finding the config in its text. */
#include "api/v1/envelope.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#include <string.h>

static void add_error(json_t *errors, const char *pointer, const char *message)
{
	/* A message may quote the first bytes of a name, cut within a character; then it is no JSON string. */
	json_t *text = json_string(message);
	if (text == NULL)
		text = json_string("not a value that can stand here");
	json_array_append_new(errors,
			      json_pack("{s:s, s:o, s:n, s:n}", "pointer", pointer, "message", text, "line", "column"));
}

static void add_member_error(json_t *errors, const char *parent, const char *name, const char *message)
{
	struct str pointer = {0};
	str_append(&pointer, parent);
	str_append_pointer(&pointer, name);
	add_error(errors, str_text(&pointer), message);
	str_done(&pointer);
}

/* The index of the first byte behind the string that begins at text[i]. */
static size_t skip_string(const char *text, size_t size, size_t i)
{
	for (i++; i < size && text[i] != '"'; i++)
		if (text[i] == '\\')
			i++;
	return i + 1;
}

/* The index of the ',' or '}' that ends the value beginning at text[i]. */
static size_t skip_value(const char *text, size_t size, size_t i)
{
	int depth = 0;
	while (i < size) {
		char c = text[i];
		if (c == '"') {
			i = skip_string(text, size, i);
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}'))
			break;
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		i++;
	}
	return i;
}

static size_t skip_space(const char *text, size_t size, size_t i)
{
	while (i < size && strchr(" \t\r\n", text[i]) != NULL && text[i] != '\0')
		i++;
	return i;
}

/* Finds the value of a member of the outermost object in well-formed JSON text, byte for byte; false when the name does
 * not stand there as written. */
static bool find_member(const char *text, size_t size, const char *name, size_t *ret_start, size_t *ret_size)
{
	size_t name_size = strlen(name);
	size_t i = skip_space(text, size, 0);
	while (i < size && (text[i] == '{' || text[i] == ',')) {
		i = skip_space(text, size, i + 1);
		if (i >= size || text[i] != '"')
			return false;
		size_t key_end = skip_string(text, size, i);
		bool found =
		    key_end - i == name_size + 2 && key_end <= size && memcmp(text + i + 1, name, name_size) == 0;
		i = skip_space(text, size, key_end);
		if (i >= size || text[i] != ':')
			return false;
		size_t start = skip_space(text, size, i + 1);
		i = skip_value(text, size, start);
		if (found && i < size) {
			size_t end = i;
			while (end > start && strchr(" \t\r\n", text[end - 1]) != NULL)
				end--;
			*ret_start = start;
			*ret_size = end - start;
			return true;
		}
	}
	return false;
}

static void take_config_text(const char *text, size_t size, struct submission *s)
{
	s->text = mem_dup(text, size);
	s->size = size;
}

/* An object is taken as its bytes in the body, so that numbers stay as written and errors show true places. */
static void parse_config(const char *body, size_t size, const json_t *config, struct submission *s, json_t *errors)
{
	if (config == NULL) {
		add_error(errors, "/config", "is missing: an object or a string of YAML");
		return;
	}
	if (json_is_string(config)) {
		take_config_text(json_string_value(config), json_string_length(config), s);
		return;
	}
	size_t start = 0;
	size_t length = 0;
	if (!json_is_object(config)) {
		add_error(errors, "/config", "must be an object or a string of YAML");
	} else if (!find_member(body, size, "config", &start, &length)) {
		add_error(errors, "/config", "the name must be written without escapes");
	} else {
		take_config_text(body + start, length, s);
		s->json = true;
		for (size_t i = 0; i < start; i++) {
			s->line_offset += body[i] == '\n';
			s->column_offset = body[i] == '\n' ? 0 : s->column_offset + 1;
		}
	}
}

static void parse_overrides(const json_t *overrides, struct submission *s, json_t *errors)
{
	if (overrides != NULL && !json_is_array(overrides)) {
		add_error(errors, "/overrides", "must be an array of strings");
		return;
	}
	size_t i = 0;
	const json_t *item = NULL;
	json_array_foreach(overrides, i, item) {
		CLEANUP(mem_freep) char *pointer = mem_printf("/overrides/%zu", i);
		struct nel_err err = {0};
		if (!json_is_string(item))
			add_error(errors, pointer, "must be a string");
		else if (submission_add_override(s, json_string_value(item), &err) != 0)
			add_error(errors, pointer, err.msg);
		if (i >= SUBMIT_OVERRIDES_MAX)
			return;
	}
}

static void parse_pairs(const json_t *object, const char *pointer,
			int (*add)(struct submission *, const char *, const char *, struct nel_err *),
			struct submission *s, json_t *errors)
{
	if (object != NULL && !json_is_object(object)) {
		add_error(errors, pointer, "must be an object of strings");
		return;
	}
	const char *name = NULL;
	json_t *value = NULL;
	json_object_foreach((json_t *)object, name, value) {
		struct nel_err err = {0};
		if (!json_is_string(value))
			add_member_error(errors, pointer, name, "must be a string");
		else if (add(s, name, json_string_value(value), &err) != 0)
			add_member_error(errors, pointer, name, err.msg);
		if (json_array_size(errors) > SUBMIT_ENV_MAX)
			return;
	}
}

static const char *const members[] = {"config", "overrides", "env", "labels", NULL};

static const char *nearest_member(const char *name)
{
	return str_nearest(name, members, sizeof members / sizeof *members - 1);
}

/* An object without a config is an envelope when it has, perhaps mistyped, what an envelope has, and no section of a
 * config. */
static bool is_envelope(const json_t *root)
{
	static const char *const sections[] = {"defaults",   "execution", "deployment", "auxiliary_deployments",
					       "evaluation", "target",    "export",     "env_vars",
					       NULL};
	const char *name = NULL;
	json_t *value = NULL;
	bool found = false;
	if (json_object_get(root, "config") != NULL)
		return true;
	json_object_foreach((json_t *)root, name, value) {
		if (str_in(name, sections))
			return false;
		found = found || str_in(name, members) || nearest_member(name) != NULL;
	}
	return found;
}

static void check_members(const json_t *envelope, json_t *errors)
{
	const char *name = NULL;
	json_t *value = NULL;
	json_object_foreach((json_t *)envelope, name, value) {
		const char *near = nearest_member(name);
		CLEANUP(mem_freep)
		char *message =
		    mem_printf("unknown field;%s%s%s known are config, overrides, env, labels",
			       near != NULL ? " did you mean " : "", near != NULL ? near : "", near != NULL ? "?" : "");
		if (!str_in(name, members))
			add_member_error(errors, "", name, message);
		if (json_array_size(errors) > SUBMIT_ENV_MAX)
			return;
	}
}

static int say_what_is_wrong(const json_t *errors, struct nel_err *err)
{
	const json_t *first = json_array_get(errors, 0);
	return err_set(err, NEL_INVALID, "%s: %s%s", json_string_value(json_object_get(first, "pointer")),
		       json_string_value(json_object_get(first, "message")),
		       json_array_size(errors) > 1 ? " (and more, see errors)" : "");
}

/* Takes the errors, to which it adds. */
static int take_members(const char *body, size_t size, const json_t *root, json_t *found,
			struct submission *ret_submission, json_t **ret_errors, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *errors = found;
	struct submission s = {0};
	parse_config(body, size, json_object_get(root, "config"), &s, errors);
	parse_overrides(json_object_get(root, "overrides"), &s, errors);
	parse_pairs(json_object_get(root, "env"), "/env", submission_add_env, &s, errors);
	parse_pairs(json_object_get(root, "labels"), "/labels", submission_add_label, &s, errors);
	if (json_array_size(errors) > 0) {
		say_what_is_wrong(errors, err);
		*ret_errors = TAKE(errors);
		submission_done(&s);
		return -1;
	}
	*ret_submission = s;
	return 0;
}

int envelope_take(const char *body, size_t size, const json_t *root, struct submission *ret_submission,
		  json_t **ret_errors, struct nel_err *err)
{
	return take_members(body, size, root, json_array(), ret_submission, ret_errors, err);
}

int envelope_parse(const char *body, size_t size, struct submission *ret_submission, json_t **ret_errors,
		   struct nel_err *err)
{
	size_t mark_size = utf8_mark_size(body, size);
	body += mark_size;
	size -= mark_size;
	CLEANUP(json_freep) json_t *root = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
	if (!is_envelope(root)) {
		struct submission s = {.json = true};
		take_config_text(body, size, &s);
		*ret_submission = s;
		return 0;
	}
	json_t *errors = json_array();
	check_members(root, errors);
	return take_members(body, size, root, errors, ret_submission, ret_errors, err);
}

void envelope_shift_places(json_t *errors, const struct submission *submission)
{
	size_t i = 0;
	json_t *error = NULL;
	json_array_foreach(errors, i, error) {
		json_t *line = json_object_get(error, "line");
		json_t *column = json_object_get(error, "column");
		if (json_integer_value(line) == 1 && json_is_integer(column))
			json_integer_set(column, json_integer_value(column) + submission->column_offset);
		if (json_integer_value(line) >= 1)
			json_integer_set(line, json_integer_value(line) + submission->line_offset);
	}
}
