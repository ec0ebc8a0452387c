/* JSON text written straight into a buffer: what has a known shape needs no tree, and a tree is written, too. The
 * writer knows nesting and commas; `name` is the member's in an object, ours and plain ASCII, and NULL for an array's
 * item, for the outermost value, and behind out_name() or out_key(). */
#ifndef NEL_BASE_JSON_OUT_H
#define NEL_BASE_JSON_OUT_H

#include "base/str.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>

#define JSON_OUT_DEPTH_MAX 16

/* A zeroed one has written nothing. text is the JSON, whole once everything has been ended. */
struct json_out {
	struct str text;
	unsigned depth;
	char ends[JSON_OUT_DEPTH_MAX]; /* what ends each that is open */
	bool comma;                    /* the next member or item comes after another */
};

void json_out_done(struct json_out *out);

/* The name of a member whose value comes next. */
void out_name_n(struct json_out *out, const char *name, size_t size);
static inline void out_name(struct json_out *out, const char *name)
{
	out_name_n(out, name, strlen(name));
}
void out_key(struct json_out *out, const char *key); /* any text */

void out_object(struct json_out *out, const char *name);
void out_array(struct json_out *out, const char *name);
void out_end(struct json_out *out); /* of the object or array that was begun last */

/* A JSON string; NULL gives null. Bytes that are not UTF-8 (a cluster may send them) become U+FFFD. */
void out_string(struct json_out *out, const char *name, const char *text);
void out_int(struct json_out *out, const char *name, int64_t number);
void out_int_or_null(struct json_out *out, const char *name, int64_t number, bool known);
void out_double(struct json_out *out, const char *name, double number); /* null when not finite */
void out_bool(struct json_out *out, const char *name, bool value);
void out_null(struct json_out *out, const char *name);
void out_time(struct json_out *out, const char *name, int64_t at_s); /* RFC 3339; null for 0 */

/* A whole value that is JSON already; NULL gives null. */
void out_json(struct json_out *out, const char *name, const char *json);
void out_json_n(struct json_out *out, const char *name, const char *json, size_t size);

/* A tree, of any depth; its reals are finite. It takes a fraction of json_dumps()'s time for long texts. */
void out_value(struct json_out *out, const char *name, const json_t *value);
/* The same alone. free() it. */
char *json_out_text(const json_t *value);

/* A finite number as text: the shortest of 15 to 17 digits that reads back as the same. */
void out_digits(struct str *s, double number);

#endif
