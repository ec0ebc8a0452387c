#include "service/people.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "db/audit.h"
#include "db/secrets.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

int service_add_user(struct db *db, const struct actor *actor, const char *name, enum role role,
		     const struct idempotency *idempotency, struct user_row *ret_user, bool *ret_clash,
		     struct nel_err *err)
{
	char made[IDEMPOTENCY_MADE_SIZE];
	int64_t now_s = clock_now_s();
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0)
		return -1;
	int found = service_find_idempotent(db, actor->name, idempotency, now_s, made, ret_clash, err);
	if (found < 0)
		return -1;
	if (found > 0)
		return users_get(db, made, ret_user, err);
	audit_say(db, name, role_name(role));
	if (users_insert(db, name, role, now_s, err) != 0 ||
	    service_note_idempotent(db, actor->name, idempotency, name, now_s, err) != 0 ||
	    users_get(db, name, ret_user, err) != 0 || db_commit(db, err) != 0)
		return -1;
	fault_point("create-committed");
	log_info("user added", LOG_S("user", actor->name), LOG_S("name", name), LOG_S("role", role_name(role)));
	return 0;
}

static int apply(struct db *db, const char *name, const struct user_change *change, struct nel_err *err)
{
	int64_t now_s = clock_now_s();
	if (change->has_role && (users_set_role(db, name, change->role, now_s, err) != 0 ||
				 tokens_narrow_made(db, name, change->role, err) != 0))
		return -1;
	if (change->has_suspended && users_set_suspended(db, name, change->suspended ? now_s : 0, err) != 0)
		return -1;
	return change->forget_subject ? users_set_subject(db, name, NULL, NULL, err) : 0;
}

int service_change_user(struct db *db, const char *name, const struct user_change *change, struct user_row *ret_user,
			struct nel_err *err)
{
	char detail[AUDIT_DETAIL_MAX];
	const char *suspended = change->suspended ? "suspended" : "not suspended";
	snprintf(detail, sizeof detail, "%s%s%s%s%s", change->has_role ? role_name(change->role) : "",
		 change->has_role && change->has_suspended ? ", " : "", change->has_suspended ? suspended : "",
		 change->forget_subject && (change->has_role || change->has_suspended) ? ", " : "",
		 change->forget_subject ? "subject forgotten" : "");
	CLEANUP(db_rollbackp) struct db *tx = db;
	audit_say(db, name, detail);
	if (db_begin(db, err) != 0 || apply(db, name, change, err) != 0 || users_get(db, name, ret_user, err) != 0)
		return -1;
	return db_commit(db, err);
}

int service_remove_user(struct db *db, const char *name, struct nel_err *err)
{
	CLEANUP(db_rollbackp) struct db *tx = db;
	audit_say(db, name, NULL);
	if (db_begin(db, err) != 0 || users_remove(db, name, clock_now_s(), err) != 0 ||
	    secrets_delete_all(db, name, err) != 0)
		return -1;
	return db_commit(db, err);
}

/* Who leaves the issuer keeps no token for good: one's own that was made with the issuer's ends after oidc.token_days.
 */
static int end_with_issuer(const struct actor *actor, struct token_order *order, struct nel_err *err)
{
	if (actor->tokens_end_at <= clock_now_s())
		return err_set(err, NEL_DENIED, "who is signed in by the issuer may make no tokens (oidc.token_days)");
	if (order->expires_at > actor->tokens_end_at)
		return err_set(err, NEL_INVALID,
			       "the token would live longer than oidc.token_days permits: leave the expiry out");
	if (order->expires_at == 0)
		order->expires_at = actor->tokens_end_at;
	return 0;
}

/* A token that is made with another ends with it at the latest, and never gives more, whatever its user's role becomes.
 */
static int take_after_parent(struct db *db, const struct actor *actor, struct token_order *order, struct nel_err *err)
{
	struct token_row parent;
	if (actor->sign_in == SIGN_IN_OIDC && strcmp(order->user, actor->name) == 0)
		return end_with_issuer(actor, order, err);
	if (actor->token == 0)
		return 0;
	if (tokens_get(db, actor->token, &parent, err) != 0)
		return -1;
	if (parent.expires_at != 0 && order->expires_at > parent.expires_at)
		return err_set(err, NEL_INVALID, "the token would outlive the one that makes it: leave the expiry out");
	if (order->expires_at == 0)
		order->expires_at = parent.expires_at;
	order->narrow = order->narrow || parent.narrow;
	order->parent = parent.id;
	return 0;
}

/* Nobody gives more than he has, and no token more than its user may do. */
static int check_request(struct db *db, const struct actor *actor, const struct token_request *wanted, int64_t now_s,
			 struct token_order *order, struct nel_err *err)
{
	struct user_row user;
	if (service_check_owner(actor, order->user, err) != 0)
		return -1;
	if (users_get(db, order->user, &user, err) != 0)
		return -1;
	order->role = wanted->has_role ? wanted->role : user.role;
	if (!wanted->has_role && actor->role < user.role)
		order->role = actor->role;
	order->narrow = order->role < user.role;
	if (order->role > user.role)
		return err_set(err, NEL_INVALID, "role is wider than what user %s has (%s)", user.name,
			       role_name(user.role));
	if (order->role > actor->role)
		return err_set(err, NEL_DENIED, "the role %s may not give the role %s", role_name(actor->role),
			       role_name(order->role));
	if (wanted->expires_at != 0 && (wanted->expires_at <= now_s || wanted->expires_at > now_s + TOKEN_LIFE_MAX_S))
		return err_set(err, NEL_INVALID, "the token must expire after now, and within 10 years");
	return take_after_parent(db, actor, order, err);
}

/* A repeat shows what was made, without the secret. */
static int show_repeated(struct db *db, const char *made, struct new_token *ret_token, struct nel_err *err)
{
	long long id = 0;
	if (!str_to_int(made, 1, INT64_MAX, &id))
		return err_set(err, NEL_DB, "the Idempotency-Key made no token, but %s", made);
	ret_token->secret[0] = '\0';
	return tokens_get(db, id, &ret_token->row, err);
}

static int insert(struct db *db, const struct actor *actor, const struct token_request *wanted,
		  struct token_order *order, int64_t now_s, int64_t *ret_id, struct nel_err *err)
{
	char made[IDEMPOTENCY_MADE_SIZE];
	char detail[AUDIT_DETAIL_MAX];
	if (check_request(db, actor, wanted, now_s, order, err) != 0 ||
	    tokens_insert(db, order, now_s, ret_id, err) != 0)
		return -1;
	snprintf(made, sizeof made, "%" PRId64, *ret_id);
	snprintf(detail, sizeof detail, "of %s, role %s%s", order->user, role_name(order->role),
		 order->expires_at != 0 ? ", expires" : "");
	audit_say(db, made, detail);
	return service_note_idempotent(db, actor->name, &wanted->idempotency, made, now_s, err);
}

int service_make_token(struct db *db, const struct actor *actor, const struct token_request *wanted,
		       struct new_token *ret_token, struct nel_err *err)
{
	char made[IDEMPOTENCY_MADE_SIZE];
	char hash[SECRET_HASH_SIZE];
	int64_t now_s = clock_now_s();
	int64_t id = 0;
	struct new_token token = {0};
	struct token_order order = {.user = wanted->user != NULL ? wanted->user : actor->name,
				    .hash = hash,
				    .label = wanted->label,
				    .expires_at = wanted->expires_at};
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0)
		return -1;
	int found = service_find_idempotent(db, actor->name, &wanted->idempotency, now_s, made, &ret_token->clash, err);
	if (found < 0)
		return -1;
	if (found > 0)
		return show_repeated(db, made, ret_token, err);
	ids_new_token(token.secret);
	secret_token_hash(token.secret, hash);
	if (insert(db, actor, wanted, &order, now_s, &id, err) != 0 || tokens_get(db, id, &token.row, err) != 0 ||
	    db_commit(db, err) != 0) {
		secret_wipe(token.secret);
		return -1;
	}
	fault_point("create-committed");
	*ret_token = token;
	secret_wipe(token.secret);
	log_info("token made", LOG_S("user", actor->name), LOG_S("name", order.user), LOG_N("token", id));
	return 0;
}

static int check_reader(const struct actor *actor, const struct token_row *row, struct nel_err *err)
{
	if (actor->role == ROLE_ADMIN || strcmp(actor->name, row->user) == 0)
		return 0;
	return err_set(err, NEL_DENIED, "only the token's user or an admin may do this");
}

int service_get_token(struct db *db, const struct actor *actor, int64_t id, struct token_row *ret_token,
		      struct nel_err *err)
{
	struct token_row row;
	if (tokens_get(db, id, &row, err) != 0 || check_reader(actor, &row, err) != 0)
		return -1;
	*ret_token = row;
	return 0;
}

/* Else a token that was made narrow to be given away could take away those that it was made from. */
static int check_revoker(const struct actor *actor, const struct token_row *row, struct nel_err *err)
{
	if (row->role <= actor->role)
		return 0;
	return err_set(err, NEL_DENIED, "the role %s may not revoke a token of the role %s", role_name(actor->role),
		       role_name(row->role));
}

int service_revoke_token(struct db *db, const struct actor *actor, int64_t id, struct nel_err *err)
{
	struct token_row row;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || service_get_token(db, actor, id, &row, err) != 0 ||
	    check_revoker(actor, &row, err) != 0 || tokens_revoke(db, id, clock_now_s(), err) != 0)
		return -1;
	char detail[AUDIT_DETAIL_MAX];
	char target[24];
	snprintf(target, sizeof target, "%" PRId64, id);
	snprintf(detail, sizeof detail, "of %s", row.user);
	audit_say(db, target, detail);
	return db_commit(db, err);
}
