/* multipart/form-data (RFC 7578) in memory. Pure. */
#ifndef NEL_API_V1_MULTIPART_H
#define NEL_API_V1_MULTIPART_H

#include "api/v1/submission.h"

#define MULTIPART_PARTS_MAX (SUBMIT_OVERRIDES_MAX + SUBMIT_LABELS_MAX + 16)

/* Names are owned; data points into the body. */
struct multipart_part {
	char *name;
	char *filename;     /* or NULL */
	char *content_type; /* or NULL */
	const char *data;
	size_t size;
};

struct multipart {
	struct multipart_part *parts;
	size_t count;
};

void multipart_done(struct multipart *m);

/* Splits the body by the boundary that the Content-Type header names. INVALID when it is not well-formed. */
int multipart_split(const char *content_type, const char *body, size_t size, struct multipart *ret_parts,
		    struct nel_err *err);

/* The parts `config` (once), `env_file`, `label` and `override` (any number of times) as a submission. INVALID for
 * others. */
int multipart_parse(const char *content_type, const char *body, size_t size, struct submission *ret_submission,
		    struct nel_err *err);

#endif
