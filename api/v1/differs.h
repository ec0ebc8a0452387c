/* By which of their named parts two likenesses differ (config/plan/likeness.h). Pure. */
#ifndef NEL_API_V1_DIFFERS_H
#define NEL_API_V1_DIFFERS_H

#include "base/str.h"

#include <jansson.h>

/* Adds the names to the object `names`; NULL is a likeness that is not known. */
void differs_add(json_t *names, const json_t *a, const json_t *b);

void differs_render(struct str *s, const json_t *names); /* a JSON array */

/* " name=value" of each, as a person reads it. */
void differs_append_text(struct str *s, const json_t *names, const json_t *parts);

#endif
