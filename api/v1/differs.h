/* By which of their named parts two likenesses differ (config/plan/likeness.h). Pure. */
#ifndef NEL_API_V1_DIFFERS_H
#define NEL_API_V1_DIFFERS_H

#include "base/json_out.h"

#include <jansson.h>

/* Adds the names to the object `names`; NULL is a likeness that is not known. */
void differs_add(json_t *names, const json_t *a, const json_t *b);

void differs_render(struct json_out *out, const char *name, const json_t *names); /* an array */

/* " name=value" of each, as a person reads it. */
void differs_append_text(struct str *s, const json_t *names, const json_t *parts);

#endif
