/* Owns what a session is allowed, and for how long. */
#include "service/sessions.h"

#include "base/clock.h"
#include "db/audit.h"
#include "db/tokens.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Not longer than the credentials that it is made from. */
static int64_t end_of(const struct actor *actor, int64_t now_s)
{
	int64_t end = now_s + SESSION_LIFE_S;
	return actor->expires_at != 0 && actor->expires_at < end ? actor->expires_at : end;
}

static int insert(struct db *db, const struct actor *actor, const struct token_order *order, int64_t now_s,
		  struct nel_err *err)
{
	char target[24];
	int64_t id = 0;
	if (tokens_insert(db, order, now_s, &id, err) != 0)
		return -1;
	snprintf(target, sizeof target, "%" PRId64, id);
	audit_say(db, target, actor->name);
	return 0;
}

int service_begin_session(struct db *db, const struct actor *actor, char ret_secret[IDS_TOKEN_SIZE],
			  int64_t *ret_expires_at, struct nel_err *err)
{
	char secret[IDS_TOKEN_SIZE];
	char hash[SECRET_HASH_SIZE];
	int64_t now_s = clock_now_s();
	struct token_order order = {.user = actor->name,
				    .hash = hash,
				    .narrow = true,
				    .role = actor->role,
				    .label = SESSION_LABEL,
				    .expires_at = end_of(actor, now_s),
				    .parent = actor->token};
	CLEANUP(db_rollbackp) struct db *tx = db;
	ids_new_token(secret);
	secret_token_hash(secret, hash);
	if (db_begin(db, err) != 0 || insert(db, actor, &order, now_s, err) != 0 || db_commit(db, err) != 0) {
		secret_wipe(secret);
		return -1;
	}
	memcpy(ret_secret, secret, sizeof secret);
	secret_wipe(secret);
	*ret_expires_at = order.expires_at;
	return 0;
}

int service_end_session(struct db *db, const struct actor *actor, struct nel_err *err)
{
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || tokens_revoke(db, actor->token, clock_now_s(), err) != 0)
		return -1;
	audit_say(db, NULL, actor->name);
	return db_commit(db, err);
}
