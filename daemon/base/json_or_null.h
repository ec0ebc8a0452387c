/* JSON values of what may not be known. */
#ifndef NEL_BASE_JSON_OR_NULL_H
#define NEL_BASE_JSON_OR_NULL_H

#include <jansson.h>
#include <stdint.h>

/* null for NULL. What a cluster said may be any bytes, and JSON has UTF-8 only: other bytes become '?'. */
json_t *json_or_null_text(const char *text);

/* As clock_rfc3339(); null for 0. */
json_t *json_or_null_time(int64_t at_s);

/* null for what is not finite. */
json_t *json_or_null_number(double number);

#endif
