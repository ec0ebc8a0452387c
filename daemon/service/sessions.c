/* Owns what a session is allowed, and for how long. */
#include "service/sessions.h"

#include "base/clock.h"
#include "db/audit.h"
#include "db/sign_in_codes.h"
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

/* A session begets nothing that would outlive its sign-out. */
static int check_maker(struct db *db, const struct actor *actor, struct nel_err *err)
{
	struct token_row token = {0};
	if (actor->token != 0 && tokens_get(db, actor->token, &token, err) != 0)
		return -1;
	return token.session
		   ? err_set(err, NEL_DENIED, "a session of the page makes no other one: sign in with a token")
		   : 0;
}

static int use_up(struct db *db, const char *code, struct nel_err *err)
{
	char hash[SECRET_HASH_SIZE];
	if (code == NULL)
		return 0;
	secret_token_hash(code, hash);
	return sign_in_codes_delete(db, hash, err);
}

int service_begin_session(struct db *db, const struct actor *actor, const char *code, char ret_secret[IDS_TOKEN_SIZE],
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
				    .parent = actor->token,
				    .session = true};
	CLEANUP(db_rollbackp) struct db *tx = db;
	ids_new_token(secret);
	secret_token_hash(secret, hash);
	if (db_begin(db, err) != 0 || check_maker(db, actor, err) != 0 || use_up(db, code, err) != 0 ||
	    insert(db, actor, &order, now_s, err) != 0 || db_commit(db, err) != 0) {
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

int service_make_sign_in_code(struct db *db, const struct actor *actor, char ret_code[IDS_CODE_SIZE],
			      int64_t *ret_expires_at, struct nel_err *err)
{
	char code[IDS_CODE_SIZE];
	char hash[SECRET_HASH_SIZE];
	int64_t now_s = clock_now_s();
	struct sign_in_code row = {.role = actor->role,
				   .parent = actor->token,
				   .ends_at = actor->expires_at,
				   .expires_at = now_s + SIGN_IN_CODE_LIFE_S};
	CLEANUP(db_rollbackp) struct db *tx = db;
	memcpy(row.user, actor->name, sizeof row.user);
	ids_new_code(code);
	secret_token_hash(code, hash);
	audit_say(db, NULL, actor->name);
	if (db_begin(db, err) != 0 || check_maker(db, actor, err) != 0 ||
	    sign_in_codes_insert(db, hash, &row, now_s, err) != 0 || db_commit(db, err) != 0) {
		secret_wipe(code);
		return -1;
	}
	memcpy(ret_code, code, sizeof code);
	secret_wipe(code);
	*ret_expires_at = row.expires_at;
	return 0;
}

int service_authenticate_code(struct db *db, const char *code, struct actor *ret_actor, struct nel_err *err)
{
	char hash[SECRET_HASH_SIZE];
	struct sign_in_code row;
	struct actor actor = {.sign_in = SIGN_IN_TOKEN};
	secret_token_hash(code, hash);
	if (sign_in_codes_get(db, hash, clock_now_s(), &row, err) != 0)
		return -1;
	memcpy(actor.name, row.user, sizeof actor.name);
	actor.role = row.role;
	actor.token = row.parent;
	actor.expires_at = row.ends_at;
	*ret_actor = actor;
	return 0;
}
