/* Owns the decoding and checking of what stands in a URI. */
#include "api/http/query.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int query_decode(char *text, bool plus_is_space, const char *what, struct nel_err *err)
{
	char *to = text;
	for (const char *from = text; *from != '\0'; from++) {
		if (*from == '+' && plus_is_space) {
			*to++ = ' ';
		} else if (*from == '%') {
			int high = hex_digit(from[1]);
			int low = high < 0 ? -1 : hex_digit(from[2]);
			if (low < 0)
				return err_set(err, NEL_INVALID, "%s has a '%%' without two hexadecimal digits", what);
			if (high == 0 && low == 0)
				return err_set(err, NEL_INVALID, "%s has a NUL byte", what);
			*to++ = (char)(high << 4 | low);
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	if (str_has_control(text))
		return err_set(err, NEL_INVALID, "%s has a control character", what);
	if (!utf8_ok(text, (size_t)(to - text)))
		return err_set(err, NEL_INVALID, "%s is not UTF-8", what);
	return 0;
}

static int parse_param(char *text, struct query_param *ret_param, struct nel_err *err)
{
	char *value = strchr(text, '=');
	if (value == NULL)
		value = text + strlen(text);
	else
		*value++ = '\0';
	if (query_decode(text, true, "the name of a query parameter", err) != 0)
		return -1;
	if (query_decode(value, true, "the value of a query parameter", err) != 0)
		return err_prefix(err, "%.64s", text);
	*ret_param = (struct query_param){.name = text, .value = value};
	return 0;
}

int query_parse(char *text, struct query *ret_query, struct nel_err *err)
{
	*ret_query = (struct query){0};
	if (*text == '\0')
		return 0;
	size_t count = 1;
	for (const char *p = text; *p != '\0'; p++)
		count += *p == '&';
	if (count > QUERY_PARAMS_MAX)
		return err_set(err, NEL_INVALID, "more than %d query parameters", QUERY_PARAMS_MAX);
	struct query query = {.items = mem_calloc(count, sizeof *query.items)};
	for (char *next = text; next != NULL;) {
		char *param = next;
		next = strchr(param, '&');
		if (next != NULL)
			*next++ = '\0';
		if (*param == '\0')
			continue;
		if (parse_param(param, &query.items[query.count], err) != 0) {
			query_params_done(&query);
			return -1;
		}
		query.count++;
	}
	*ret_query = query;
	return 0;
}

void query_params_done(struct query *query)
{
	free(query->items);
	*query = (struct query){0};
}

/* Is `name` one of the words of `known`? *ret_repeatable: it has a '*' there. */
static bool find_known(const char *known, const char *name, bool *ret_repeatable)
{
	size_t size = strlen(name);
	for (const char *word = known; *word != '\0';) {
		size_t length = strcspn(word, " ");
		*ret_repeatable = length > 0 && word[length - 1] == '*';
		if (size > 0 && size == length - *ret_repeatable && memcmp(word, name, size) == 0)
			return true;
		word += length + strspn(word + length, " ");
	}
	return false;
}

static bool stands_before(const struct query *query, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(query->items[i].name, query->items[index].name) == 0)
			return true;
	return false;
}

int query_check(const struct query *query, const char *known, struct nel_err *err)
{
	struct str unknown = {0};
	const char *twice = NULL;
	for (size_t i = 0; i < query->count; i++) {
		const char *name = query->items[i].name;
		bool repeatable = false;
		bool is_known = find_known(known, name, &repeatable);
		if (!is_known && !stands_before(query, i))
			str_appendf(&unknown, "%s\"%.64s\"", unknown.len == 0 ? "" : ", ", name);
		else if (is_known && !repeatable && stands_before(query, i))
			twice = name;
	}
	int result = 0;
	if (unknown.len != 0)
		result = err_set(err, NEL_INVALID, "unknown query parameter: %s", str_text(&unknown));
	else if (twice != NULL)
		result = err_set(err, NEL_INVALID, "query parameter \"%s\" given more than once", twice);
	str_done(&unknown);
	return result;
}

const char *query_get(const struct query *query, const char *name)
{
	for (size_t i = 0; i < query->count; i++)
		if (strcmp(query->items[i].name, name) == 0)
			return query->items[i].value;
	return NULL;
}

int query_get_bool(const struct query *query, const char *name, bool fallback, bool *ret_value, struct nel_err *err)
{
	const char *text = query_get(query, name);
	if (text != NULL && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return err_set(err, NEL_INVALID, "query parameter \"%s\" must be true or false", name);
	*ret_value = text == NULL ? fallback : strcmp(text, "true") == 0;
	return 0;
}

int query_get_int(const struct query *query, const char *name, long long min, long long max, long long fallback,
		  long long *ret_value, struct nel_err *err)
{
	const char *text = query_get(query, name);
	long long value = fallback;
	if (text != NULL && !str_to_int(text, min, max, &value))
		return err_set(err, NEL_INVALID, "query parameter \"%s\" must be an integer from %lld to %lld", name,
			       min, max);
	*ret_value = value;
	return 0;
}

int query_get_time(const struct query *query, const char *name, long long *ret_s, struct nel_err *err)
{
	const char *text = query_get(query, name);
	int64_t at = 0;
	if (text != NULL && clock_parse_rfc3339(text, &at) != 0)
		return err_set(err, NEL_INVALID,
			       "query parameter \"%s\" must be a time as in 2026-01-31T12:00:00Z (in a query '+' is "
			       "written %%2B)",
			       name);
	*ret_s = at;
	return 0;
}

int query_get_span(const struct query *query, int64_t *ret_since_s, int64_t *ret_until_s, struct nel_err *err)
{
	long long since_s = 0;
	long long until_s = 0;
	if (query_get_time(query, "since", &since_s, err) != 0 || query_get_time(query, "until", &until_s, err) != 0)
		return -1;
	*ret_since_s = since_s;
	*ret_until_s = until_s;
	return 0;
}

int query_get_label(const struct query *query, char **ret_key, const char **ret_value, struct nel_err *err)
{
	const char *text = query_get(query, "label");
	*ret_key = NULL;
	*ret_value = NULL;
	if (text == NULL)
		return 0;
	const char *colon = strchr(text, ':');
	if (colon == NULL || colon == text)
		return err_set(err, NEL_INVALID, "query parameter \"label\" must be key:value");
	*ret_key = mem_strndup(text, (size_t)(colon - text));
	*ret_value = colon + 1;
	return 0;
}

static int word_error(const char *name, const struct query_word *words, size_t count, bool label, struct nel_err *err)
{
	struct str known = {0};
	for (size_t i = 0; i < count; i++)
		str_appendf(&known, "%s%s", i > 0 ? ", " : "", words[i].name);
	err_set(err, NEL_INVALID, "query parameter \"%s\" must be of %s%s, each once at most, with commas between",
		name, str_text(&known), label ? " and one label:KEY" : "");
	str_done(&known);
	return -1;
}

/* One word of the list; false: it is none of them, or stands there again. */
static bool take_word(const char *word, size_t size, const struct query_word *words, size_t count, char **label_key)
{
	static const char label[] = "label:";
	const size_t label_size = sizeof label - 1;
	for (size_t i = 0; i < count; i++) {
		if (strlen(words[i].name) != size || memcmp(words[i].name, word, size) != 0)
			continue;
		bool first = !*words[i].wanted;
		*words[i].wanted = true;
		return first;
	}
	if (label_key == NULL || *label_key != NULL || size <= label_size || memcmp(word, label, label_size) != 0)
		return false;
	*label_key = mem_strndup(word + label_size, size - label_size);
	return true;
}

int query_get_words(const struct query *query, const char *name, const char *fallback, const struct query_word *words,
		    size_t count, char **ret_label_key, struct nel_err *err)
{
	const char *text = query_get(query, name);
	CLEANUP(mem_freep) char *label_key = NULL;
	if (text == NULL)
		text = fallback;
	while (text != NULL) {
		size_t size = strcspn(text, ",");
		if (!take_word(text, size, words, count, ret_label_key != NULL ? &label_key : NULL))
			return word_error(name, words, count, ret_label_key != NULL, err);
		text = text[size] == ',' ? text + size + 1 : NULL;
	}
	if (ret_label_key != NULL)
		*ret_label_key = TAKE(label_key);
	return 0;
}

void query_encode(struct str *s, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		bool unreserved = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
				  *p == '-' || *p == '.' || *p == '_' || *p == '~';
		if (unreserved) {
			str_append_c(s, (char)*p);
		} else {
			str_append_c(s, '%');
			str_append_c(s, digits[*p >> 4]);
			str_append_c(s, digits[*p & 15]);
		}
	}
}

bool path_match(const char *path_template, const char *path, struct path_capture captures[PATH_CAPTURES_MAX],
		size_t *ret_count)
{
	size_t count = 0;
	const char *t = path_template;
	const char *p = path;
	while (*t != '\0') {
		if (*t != '{') {
			if (*t++ != *p++)
				return false;
			continue;
		}
		bool rest = str_starts_with(t, "{path}");
		size_t size = rest ? strlen(p) : strcspn(p, "/");
		if (size == 0 || count == PATH_CAPTURES_MAX)
			return false;
		captures[count++] = (struct path_capture){.start = (size_t)(p - path), .size = size};
		p += size;
		t = strchr(t, '}') + 1;
	}
	*ret_count = count;
	return *p == '\0';
}
