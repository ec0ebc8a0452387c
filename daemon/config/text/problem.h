/* What is wrong (or worth a warning) in a submitted text, and where: a list of messages with JSON pointer, line and
 * column. Owns its strings. */
#ifndef NEL_CONFIG_TEXT_PROBLEM_H
#define NEL_CONFIG_TEXT_PROBLEM_H

#include "base/cleanup.h"

#include <stddef.h>

#define PROBLEMS_MAX 100 /* further ones are dropped */

struct problem {
	char *pointer; /* RFC 6901; "" is the whole document */
	char *message; /* one line, says what to do */
	int line;      /* from 1; 0 when the place is not in the submitted text */
	int column;
};

/* A zeroed struct is an empty list. */
struct problems {
	struct problem *items;
	size_t count;
};

void problems_done(struct problems *p);

/* Adds one; pointer and message are copied. A second problem with the same pointer and message is dropped. */
void problems_add(struct problems *p, const char *pointer, int line, int column, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* A new array of {"pointer","message","line","column"} (line and column left out when unknown). */
json_t *problems_to_json(const struct problems *p);

#endif
