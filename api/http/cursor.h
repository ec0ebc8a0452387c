/* Cursors of lists: a position, opaque to clients, checked when it comes back. Pure. */
#ifndef NEL_API_HTTP_CURSOR_H
#define NEL_API_HTTP_CURSOR_H

#include "base/err.h"

#include <stdint.h>

#define CURSOR_SIZE 24 /* base64url of 13 bytes, and a NUL, with room */

/* Which list a cursor belongs to. */
enum cursor_kind {
	CURSOR_EVALUATIONS = 'e',
	CURSOR_JOBS = 'j',
	CURSOR_RESULTS = 'r',
	CURSOR_TASKS = 't',
	CURSOR_USERS = 'u',
	CURSOR_TOKENS = 'k',
	CURSOR_DELIVERIES = 'd',
	CURSOR_AUDIT = 'a',
	CURSOR_CAMPAIGNS = 'c',
	CURSOR_ORPHANS = 'o',
	CURSOR_SAMPLES = 's',
	CURSOR_WHOLE = 'w' /* of any list that is made whole */
};

void cursor_format(enum cursor_kind kind, int64_t position, char ret_cursor[CURSOR_SIZE]);

/* INVALID when it is not one that cursor_format() made for that kind. */
int cursor_parse(enum cursor_kind kind, const char *cursor, int64_t *ret_position, struct nel_err *err);

#endif
