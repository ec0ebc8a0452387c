/* What a client sent to be evaluated, whatever the form it came in: the config's text, overrides, env and labels, all
 * owned, and held to the limits of service/submit.h. */
#ifndef NEL_API_V1_SUBMISSION_H
#define NEL_API_V1_SUBMISSION_H

#include "base/secret.h"
#include "service/submit.h"

/* A zeroed struct is an empty one. */
struct submission {
	char *text; /* NUL-terminated */
	size_t size;
	bool json;
	/* Where the text begins in the request's body, counted from 0: errors show the place in what was sent. */
	int64_t line_offset;
	int64_t column_offset; /* of its first line */
	char **overrides;
	size_t override_count;
	char **tasks;
	size_t task_count;
	struct name_value *env;
	size_t env_count;
	struct name_value *labels;
	size_t label_count;
};

void submission_done(struct submission *s); /* wipes the env's values */

/* Each copies. INVALID: over a limit, or a name or value that cannot be; values of env are never in a message. A second
 * env value of the same name replaces the first. */
int submission_add_override(struct submission *s, const char *text, struct nel_err *err);
int submission_add_task(struct submission *s, const char *name, struct nel_err *err);
int submission_add_env(struct submission *s, const char *name, const char *value, struct nel_err *err);
int submission_add_label(struct submission *s, const char *key, const char *value, struct nel_err *err);

/* The hash of everything that makes two submissions the same one, for Idempotency-Key. */
void submission_hash(const struct submission *s, bool strict, bool reuse, char ret_hash[SECRET_HASH_SIZE]);

#endif
