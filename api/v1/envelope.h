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

/* The same of an object that has more members than these, which the caller checks: `root` is what `body` says. */
int envelope_take(const char *body, size_t size, const json_t *root, struct submission *ret_submission,
		  json_t **ret_errors, struct nel_err *err);

/* Places in a config that stood within an envelope become places in the envelope. Accepts NULL. */
void envelope_shift_places(json_t *errors, const struct submission *submission);

#endif
