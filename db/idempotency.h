/* Table idempotency: which request, by its Idempotency-Key, made what. Kept for 24 h. */
#ifndef NEL_DB_IDEMPOTENCY_H
#define NEL_DB_IDEMPOTENCY_H

#include "db/db.h"

#define IDEMPOTENCY_MADE_SIZE 80 /* an id or a name, and a NUL */

/* *ret_made is filled when the user's key is known and not older than 24 h; NOTFOUND when not; CONFLICT when it was
 * used with another request hash. */
int idempotency_find(struct db *db, const char *user, const char *key, const char *request_hash, int64_t now_s,
		     char ret_made[IDEMPOTENCY_MADE_SIZE], struct nel_err *err);
/* CONFLICT when the key is known and not older than 24 h. */
int idempotency_insert(struct db *db, const char *user, const char *key, const char *request_hash, const char *made,
		       int64_t now_s, struct nel_err *err);

#endif
