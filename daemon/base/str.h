/* Growing byte strings, and quoting for the languages that the daemon writes. No I/O. */
#ifndef NEL_BASE_STR_H
#define NEL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed struct str is an empty string. data is NUL-terminated once anything was appended. */
struct str {
	char *data;
	size_t len;
	size_t cap;
};

void str_done(struct str *s);
void str_clear(struct str *s); /* length 0, memory kept */
void str_append(struct str *s, const char *text);
void str_append_n(struct str *s, const void *data, size_t size);
void str_append_c(struct str *s, char c);
void str_append_int(struct str *s, int64_t number);
void str_appendf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The text, "" when nothing was appended; borrowed until the next change. */
const char *str_text(const struct str *s);

/* The text, owned by the caller (free()); s is empty afterwards. Never NULL. */
char *str_take(struct str *s);

/* Appends text as one word of bash, in single quotes, so that any bytes but NUL arrive unchanged. */
void str_append_shell(struct str *s, const char *text);

/* Ends lines that end as on Windows ("\r\n") with a newline alone. In place; NULL is nothing. */
void str_unix_lines(char *text);

/* A path without doubled, trailing and "." parts, and with a "/" in front, so that paths can be compared; free() it. */
char *str_tidy_path(const char *path);

/* Appends token escaped for a JSON pointer (RFC 6901), with a '/' before it. */
void str_append_pointer(struct str *s, const char *token);
void str_append_pointer_index(struct str *s, size_t index);

/* True when text has a byte below 0x20 or 0x7f. */
bool str_has_control(const char *text);
bool str_starts_with(const char *text, const char *prefix);
bool str_ends_with(const char *text, const char *suffix);

/* The same text, or both NULL. */
bool str_equal(const char *a, const char *b);

/* Is text in the NULL-terminated list? */
bool str_in(const char *text, const char *const *list);

/* Parses all of text as a decimal integer within [min, max]; false (and nothing written) otherwise. */
bool str_to_int(const char *text, long long min, long long max, long long *ret_value);

/* The candidate nearest to word by edits (Damerau-Levenshtein, at most a third of its length), or NULL. */
const char *str_nearest(const char *word, const char *const *candidates, size_t count);

#endif
