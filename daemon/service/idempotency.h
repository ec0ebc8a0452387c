/* Requests that may come twice: with an Idempotency-Key, what the first one made is the answer to its repeats, for 24
 * h. Keys are each person's own, over all kinds of requests. */
#ifndef NEL_SERVICE_IDEMPOTENCY_H
#define NEL_SERVICE_IDEMPOTENCY_H

#include "db/idempotency.h"

struct idempotency {
	const char *key;          /* NULL: none, nothing is looked for or noted */
	const char *request_hash; /* of the operation and everything the client sent */
};

/* 1: the key is known, *ret_made has the id or name. 0: it is new, or there is none. -1: an error; CONFLICT with
 * *ret_clash set when the key belongs to another request. Once before the work and once within its transaction: two
 * requests with one key may be under way. */
int service_find_idempotent(struct db *db, const char *user, const struct idempotency *idempotency, int64_t now_s,
			    char ret_made[IDEMPOTENCY_MADE_SIZE], bool *ret_clash, struct nel_err *err);

/* Within the transaction that makes it. */
int service_note_idempotent(struct db *db, const char *user, const struct idempotency *idempotency, const char *made,
			    int64_t now_s, struct nel_err *err);

#endif
