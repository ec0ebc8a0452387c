/* JSON text written straight into a buffer, for replies whose shape is known: no tree is built for them. */
#ifndef NEL_API_HTTP_JSON_OUT_H
#define NEL_API_HTTP_JSON_OUT_H

#include "base/str.h"

#include <stdint.h>

/* Appends a string literal as it is: names and punctuation. */
#define OUT(s, literal) str_append_n((s), "" literal, sizeof(literal) - 1)

/* A JSON string; NULL gives null. Bytes that are not UTF-8 (a cluster may send them) become U+FFFD. */
void out_string(struct str *s, const char *text);

void out_int(struct str *s, int64_t number);
void out_int_or_null(struct str *s, int64_t number, bool known);
void out_double(struct str *s, double number); /* null when not finite */
void out_bool(struct str *s, bool value);

/* An RFC 3339 time; null for 0. */
void out_time(struct str *s, int64_t at_s);

#endif
