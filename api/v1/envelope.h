/* JSON bodies of a submission: either the config itself or an envelope {"config", "overrides", "env", "labels"} around
 * it. An object with a member "config" is an envelope; no config has one. Pure. */
#ifndef NEL_API_V1_ENVELOPE_H
#define NEL_API_V1_ENVELOPE_H

#include "api/v1/submission.h"

/* Fills the submission. A text that is no JSON is taken for a config, whose checks then say what is wrong with it.
 * INVALID with *ret_errors, an array of {"pointer","message","line","column"} (the caller's): unknown members, wrong
 * types, limits. */
int envelope_parse(const char *body, size_t size, struct submission *ret_submission, json_t **ret_errors,
		   struct nel_err *err);

/* Finds the value of a member of the outermost object in well-formed JSON text, byte for byte; false when the name does
 * not stand there as written. */
bool envelope_find_member(const char *text, size_t size, const char *name, size_t *ret_start, size_t *ret_size);

#endif
