/* Paths and query strings: percent-decoding with checks, parameters, templates of paths. Pure. */
#ifndef NEL_API_HTTP_QUERY_H
#define NEL_API_HTTP_QUERY_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_PARAMS_MAX 256

struct query_param {
	const char *name;
	const char *value;
};

/* A zeroed struct is an empty query. Names and values point into the text that query_parse() was given. */
struct query {
	struct query_param *items;
	size_t count;
};

/* Decodes %XX in place (and '+' as a space, when plus_is_space). INVALID: a '%' without two hex digits, or a result
 * that has control characters or is not UTF-8. `what` names the text in the message. */
int query_decode(char *text, bool plus_is_space, const char *what, struct nel_err *err);

/* Splits "a=1&b=2" and decodes names and values in place; `text` must live as long as *ret_query. INVALID as
 * query_decode(), or more than QUERY_PARAMS_MAX parameters. */
int query_parse(char *text, struct query *ret_query, struct nel_err *err);
void query_params_done(struct query *query);

/* known: names with a space between, those that may stand more than once with a '*' behind ("after kind*"). INVALID,
 * naming them, when there are others, or one that is not repeatable stands twice. */
int query_check(const struct query *query, const char *known, struct nel_err *err);

/* The first value of that name, or NULL. */
const char *query_get(const struct query *query, const char *name);

/* "true" or "false"; `fallback` when absent; INVALID otherwise. */
int query_get_bool(const struct query *query, const char *name, bool fallback, bool *ret_value, struct nel_err *err);

/* A decimal integer in [min, max]; `fallback` when absent; INVALID otherwise. */
int query_get_int(const struct query *query, const char *name, long long min, long long max, long long fallback,
		  long long *ret_value, struct nel_err *err);

/* An RFC 3339 time as epoch seconds; 0 when absent; INVALID otherwise. */
int query_get_time(const struct query *query, const char *name, long long *ret_s, struct nel_err *err);

/* query_get_time() of "since" and "until". */
int query_get_span(const struct query *query, int64_t *ret_since_s, int64_t *ret_until_s, struct nel_err *err);

/* "k:v" split at the first colon: *ret_key is free()d by the caller, *ret_value points into the query; both NULL when
 * absent; INVALID without a colon or key. */
int query_get_label(const struct query *query, char **ret_key, const char **ret_value, struct nel_err *err);

/* A word that a list in a query may have. */
struct query_word {
	const char *name;
	bool *wanted;
};

/* A list of words with commas between, each once at most: sets *wanted of those that are there. fallback: the list when
 * there is none, or NULL. ret_label_key: NULL, or one word may be label:KEY, whose key the caller frees (NULL: there is
 * none). INVALID otherwise, an empty list, too. */
int query_get_words(const struct query *query, const char *name, const char *fallback, const struct query_word *words,
		    size_t count, char **ret_label_key, struct nel_err *err);

/* Appends text with everything but RFC 3986's unreserved characters as %XX. */
void query_encode(struct str *s, const char *text);

#define PATH_CAPTURES_MAX 2

struct path_capture {
	size_t start; /* in the path */
	size_t size;
};

/* Does the path have the template's shape ("/v1/jobs/{id}/logs")? A {name} takes one non-empty segment, {path} all that
 * is left. *ret_count captures are in captures then. */
bool path_match(const char *path_template, const char *path, struct path_capture captures[PATH_CAPTURES_MAX],
		size_t *ret_count);

#endif
