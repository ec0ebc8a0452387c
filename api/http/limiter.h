/* How often somebody may do something: a bucket for each (token, account, address), of bounded number, shared by all
 * HTTP threads. A bucket holds what a second (or the given time) allows, and fills up at that rate. */
#ifndef NEL_API_HTTP_LIMITER_H
#define NEL_API_HTTP_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

struct limiter;

struct limiter *limiter_new(void);
void limiter_free(struct limiter *limiter); /* accepts NULL */

/* What a key's number is of: the same number of two kinds is two keys. */
enum limiter_kind {
	LIMIT_TOKEN = 1, /* requests with a bearer token, by its id */
	LIMIT_PEER,      /* requests without one, by peer_number() */
	LIMIT_NAME,      /* requests in the name of a user that a proxy gives */
	LIMIT_LOGIN      /* failed logins, by peer_number() */
};

/* Takes one from the bucket: so many in per_ms, all at once or one after the other. False when it is empty;
 * *ret_wait_ms is how long until there is one again. Any thread. When there are more busy keys than buckets, the one
 * that is nearest to being full again is forgotten: a limit may let somebody through, never lock somebody out. */
bool limiter_take(struct limiter *limiter, enum limiter_kind kind, uint64_t number, int64_t most, int64_t per_ms,
		  int64_t now_ms, int64_t *ret_wait_ms);

#endif
