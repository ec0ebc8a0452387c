/* The value grammar of overrides and resolver arguments: a recursive-descent reader. */
#include "config/text/value_grammar.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/text/scalar.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip_space(struct value_scan *s)
{
	while (s->at < s->end && is_space(*s->at))
		s->at++;
}

const char *value_interpolation_end(const char *text, const char *end)
{
	int depth = 0;
	for (const char *p = text + 1; p < end; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		else if (*p == '{' && ++depth > INTERPOLATION_BRACES_MAX)
			return NULL;
		else if (*p == '}' && --depth == 0)
			return p + 1;
	}
	return NULL;
}

/* Digits with single underscores between them; returns the end, or p when there is no digit. */
static const char *skip_digits(const char *p)
{
	if (!digit(*p))
		return p;
	while (digit(*p) || (*p == '_' && digit(p[1])))
		p++;
	return p;
}

static bool is_int(const char *text)
{
	const char *p = *text == '-' || *text == '+' ? text + 1 : text;
	if (*p == '0')
		return p[1] == '\0';
	const char *end = skip_digits(p);
	return end != p && *end == '\0';
}

static bool is_real(const char *text)
{
	const char *p = *text == '-' || *text == '+' ? text + 1 : text;
	const char *whole = skip_digits(p);
	const char *end = whole;
	if (*p == '0' && whole - p > 1)
		return false;
	if (*whole == '.')
		end = skip_digits(whole + 1);
	if (whole == p && end <= whole + 1)
		return false; /* neither digits before nor after a dot */
	bool real = end != whole;
	if (*end == 'e' || *end == 'E') {
		const char *exponent = end[1] == '-' || end[1] == '+' ? end + 2 : end + 1;
		end = skip_digits(exponent);
		real = end != exponent;
	}
	return real && *end == '\0';
}

static bool is_not_finite(const char *word)
{
	const char *p = *word == '-' || *word == '+' ? word + 1 : word;
	return strcasecmp(p, "inf") == 0 || strcasecmp(p, "nan") == 0;
}

/* What an unquoted word means. */
static json_t *word_value(const char *word, struct nel_err *err)
{
	if (strcasecmp(word, "null") == 0)
		return json_null();
	if (strcasecmp(word, "true") == 0)
		return json_true();
	if (strcasecmp(word, "false") == 0)
		return json_false();
	if (is_not_finite(word)) {
		err_set(err, NEL_INVALID, "%s " SCALAR_NO_VALUE, word);
		return NULL;
	}
	if (!is_int(word) && !is_real(word))
		return json_string(word);
	CLEANUP(str_done) struct str digits = {0};
	for (const char *p = word; *p != '\0'; p++)
		if (*p != '_')
			str_append_c(&digits, *p);
	errno = 0;
	long long number = strtoll(str_text(&digits), NULL, 10);
	if (is_int(word) && errno != ERANGE)
		return json_integer(number);
	if (is_int(word)) {
		err_set(err, NEL_INVALID, "%s " SCALAR_TOO_LARGE, word);
		return NULL;
	}
	double real = strtod(str_text(&digits), NULL);
	if (!isfinite(real)) {
		err_set(err, NEL_INVALID, "%s " SCALAR_NO_VALUE, word);
		return NULL;
	}
	return json_real(real);
}

/* A string in quotes. Backslashes mean something before the quote character only; interpolations are replaced when a
 * hook is there. */
static json_t *quoted(struct value_scan *s, struct nel_err *err)
{
	CLEANUP(str_done) struct str out = {0};
	char quote = *s->at++;
	while (s->at < s->end && *s->at != quote) {
		size_t slashes = 0;
		while (s->at + slashes < s->end && s->at[slashes] == '\\')
			slashes++;
		if (slashes > 0) {
			bool before_quote = s->at + slashes < s->end && s->at[slashes] == quote;
			str_append_n(&out, s->at, before_quote ? slashes / 2 : slashes);
			s->at += slashes;
			if (before_quote && slashes % 2 == 1)
				str_append_c(&out, *s->at++);
			continue;
		}
		const char *end = str_starts_with(s->at, "${") && s->interpolation != NULL
				      ? value_interpolation_end(s->at, s->end)
				      : NULL;
		if (end == NULL) {
			str_append_c(&out, *s->at++);
			continue;
		}
		CLEANUP(json_freep) json_t *value = s->interpolation(s->at, (size_t)(end - s->at), s->arg, err);
		if (value == NULL)
			return NULL;
		CLEANUP(mem_freep) char *text = value_to_text(value);
		str_append(&out, text);
		s->at = end;
	}
	if (s->at == s->end) {
		err_set(err, NEL_INVALID, "a quoted string has no end (%c is missing)", quote);
		return NULL;
	}
	s->at++;
	return json_string(str_text(&out));
}

/* An unquoted word while it is read. */
struct word {
	struct str text;
	size_t solid;   /* length up to the last character that is not trailing white space */
	bool is_text;   /* an escape or an interpolation among other characters: a string whatever it looks like */
	json_t *single; /* the value of the one interpolation that is all of the word */
};

static int word_interpolation(struct value_scan *s, struct word *w, struct nel_err *err)
{
	const char *end = value_interpolation_end(s->at, s->end);
	if (end == NULL)
		return err_set(err, NEL_INVALID, "an interpolation has no end (} is missing, or more than %d are open)",
			       INTERPOLATION_BRACES_MAX);
	bool first = w->text.len == 0 && !w->is_text;
	w->is_text = true;
	if (s->interpolation == NULL) {
		str_append_n(&w->text, s->at, (size_t)(end - s->at));
	} else {
		CLEANUP(json_freep) json_t *value = s->interpolation(s->at, (size_t)(end - s->at), s->arg, err);
		if (value == NULL)
			return -1;
		CLEANUP(mem_freep) char *text = value_to_text(value);
		str_append(&w->text, text);
		json_decref(w->single);
		w->single = first ? TAKE(value) : NULL;
	}
	s->at = end;
	w->solid = w->text.len;
	return 0;
}

static int word_char(struct value_scan *s, struct word *w, struct nel_err *err)
{
	char c = *s->at;
	if (c == '$' && s->at + 1 < s->end && s->at[1] == '{')
		return word_interpolation(s, w, err);
	if (strchr("{[()'\"", c) != NULL)
		return err_set(err, NEL_INVALID, "%c is not expected here: put the value into quotes%s", c,
			       c == '(' ? " (functions such as choice() have no place here)" : "");
	if (!is_space(c)) {
		json_decref(w->single);
		w->single = NULL;
	}
	if (c == '\\' && s->at + 1 < s->end && strchr("\\()[]{}:=, \t", s->at[1]) != NULL) {
		c = *++s->at;
		w->is_text = true;
		str_append_c(&w->text, c);
		w->solid = w->text.len;
	} else {
		str_append_c(&w->text, c);
		if (!is_space(c))
			w->solid = w->text.len;
	}
	s->at++;
	return 0;
}

/* An unquoted word up to one of the characters in `stops`, not trimmed of what escapes protect. */
static int read_word(struct value_scan *s, const char *stops, struct word *w, struct nel_err *err)
{
	skip_space(s);
	while (s->at < s->end && strchr(stops, *s->at) == NULL)
		if (word_char(s, w, err) != 0)
			return -1;
	if (w->text.data != NULL)
		w->text.data[w->solid] = '\0';
	return 0;
}

static void word_done(struct word *w)
{
	str_done(&w->text);
	json_decref(w->single);
}

static json_t *unquoted(struct value_scan *s, struct nel_err *err)
{
	CLEANUP(word_done) struct word w = {0};
	if (read_word(s, ",]}", &w, err) != 0)
		return NULL;
	if (w.single != NULL)
		return TAKE(w.single);
	const char *text = str_text(&w.text);
	if (*text == '\0' && s->depth > 1) {
		err_set(err, NEL_INVALID, "a value is missing in a list or a mapping");
		return NULL;
	}
	return w.is_text || *text == '\0' ? json_string(text) : word_value(text, err);
}

/* After an item: a comma (then there must be another item) or the closing bracket. */
static int next_item(struct value_scan *s, char close, bool *ret_more, struct nel_err *err)
{
	skip_space(s);
	if (s->at < s->end && *s->at == close) {
		s->at++;
		*ret_more = false;
		return 0;
	}
	if (s->at == s->end || *s->at != ',')
		return err_set(err, NEL_INVALID, "a comma or %c is missing", close);
	s->at++;
	*ret_more = true;
	return 0;
}

static json_t *list(struct value_scan *s, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *items = json_array();
	s->at++;
	skip_space(s);
	bool more = true;
	if (s->at < s->end && *s->at == ']') {
		s->at++;
		more = false;
	}
	while (more) {
		json_t *item = value_element(s, NULL, err);
		if (item == NULL)
			return NULL;
		json_array_append_new(items, item);
		if (next_item(s, ']', &more, err) != 0)
			return NULL;
	}
	return TAKE(items);
}

static json_t *dict_key(struct value_scan *s, struct nel_err *err)
{
	skip_space(s);
	if (s->at < s->end && (*s->at == '"' || *s->at == '\'')) {
		CLEANUP(json_freep) json_t *key = quoted(s, err);
		skip_space(s);
		return TAKE(key);
	}
	CLEANUP(word_done) struct word w = {0};
	if (read_word(s, ":,]}", &w, err) != 0)
		return NULL;
	return json_string(str_text(&w.text));
}

static json_t *dict(struct value_scan *s, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *members = json_object();
	s->at++;
	skip_space(s);
	bool more = true;
	if (s->at < s->end && *s->at == '}') {
		s->at++;
		more = false;
	}
	while (more) {
		CLEANUP(json_freep) json_t *key = dict_key(s, err);
		if (key == NULL)
			return NULL;
		if (s->at == s->end || *s->at != ':') {
			err_set(err, NEL_INVALID, "a mapping's key needs a colon and a value");
			return NULL;
		}
		s->at++;
		json_t *value = value_element(s, NULL, err);
		if (value == NULL)
			return NULL;
		json_object_set_new(members, json_string_value(key), value);
		if (next_item(s, '}', &more, err) != 0)
			return NULL;
	}
	return TAKE(members);
}

json_t *value_element(struct value_scan *s, bool *ret_quoted, struct nel_err *err)
{
	if (ret_quoted != NULL)
		*ret_quoted = false;
	if (++s->depth > VALUE_DEPTH_MAX) {
		err_set(err, NEL_INVALID, "nested more than %d levels deep", VALUE_DEPTH_MAX);
		return NULL;
	}
	skip_space(s);
	json_t *value = NULL;
	char c = s->at < s->end ? *s->at : '\0';
	if (c == '[') {
		value = list(s, err);
	} else if (c == '{') {
		value = dict(s, err);
	} else if (c == '"' || c == '\'') {
		if (ret_quoted != NULL)
			*ret_quoted = true;
		value = quoted(s, err);
	} else {
		value = unquoted(s, err);
	}
	s->depth--;
	skip_space(s);
	return value;
}

json_t *value_parse(const char *text, struct nel_err *err)
{
	struct value_scan s = {.at = text, .end = text + strlen(text)};
	CLEANUP(json_freep) json_t *value = value_element(&s, NULL, err);
	if (value == NULL)
		return NULL;
	if (s.at != s.end) {
		err_set(err, NEL_INVALID, "\"%s\" is left over after the value: put it into quotes%s", s.at,
			*s.at == ',' ? ", or into [] for a list" : "");
		return NULL;
	}
	return TAKE(value);
}

static void append_text(struct str *out, const json_t *value, bool inside);

static void append_repr(struct str *out, const char *text)
{
	char quote = strchr(text, '\'') != NULL && strchr(text, '"') == NULL ? '"' : '\'';
	str_append_c(out, quote);
	const char special[] = {'\n', '\\', quote, '\0'};
	while (*text != '\0') {
		size_t plain = strcspn(text, special);
		str_append_n(out, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		str_append_c(out, '\\');
		str_append_c(out, *text == '\n' ? 'n' : *text);
		text++;
	}
	str_append_c(out, quote);
}

static void append_container(struct str *out, const json_t *value)
{
	const char *key = NULL;
	json_t *item = NULL;
	size_t index = 0;
	const char *separator = "";
	str_append_c(out, json_is_object(value) ? '{' : '[');
	json_object_foreach((json_t *)value, key, item) {
		str_append(out, separator);
		append_repr(out, key);
		str_append(out, ": ");
		append_text(out, item, true);
		separator = ", ";
	}
	json_array_foreach(value, index, item) {
		str_append(out, separator);
		append_text(out, item, true);
		separator = ", ";
	}
	str_append_c(out, json_is_object(value) ? '}' : ']');
}

static void append_text(struct str *out, const json_t *value, bool inside)
{
	char real[SCALAR_REAL_SIZE];
	switch (json_typeof(value)) {
	case JSON_OBJECT:
	case JSON_ARRAY: append_container(out, value); break;
	case JSON_STRING:
		if (inside)
			append_repr(out, json_string_value(value));
		else
			str_append(out, json_string_value(value));
		break;
	case JSON_INTEGER: str_appendf(out, "%lld", (long long)json_integer_value(value)); break;
	case JSON_REAL: str_append(out, scalar_format_real(json_real_value(value), real)); break;
	case JSON_TRUE: str_append(out, "True"); break;
	case JSON_FALSE: str_append(out, "False"); break;
	case JSON_NULL: str_append(out, "None"); break;
	}
}

char *value_to_text(const json_t *value)
{
	CLEANUP(str_done) struct str out = {0};
	append_text(&out, value, false);
	return str_take(&out);
}
