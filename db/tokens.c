/* Owns the table tokens. */
#include "db/tokens.h"

#include "base/mem.h"
#include "db/scope.h"
#include "db/statement.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TOUCH_INTERVAL_S 60
#define SESSION_KEPT_S (24 * 3600) /* after its end */
#define MEMOS 16                   /* tokens that a connection remembers */

static struct statement count_valid = {
    .sql = "SELECT count(*) FROM tokens INDEXED BY tokens_user"
	   " WHERE user = ?1 AND session = 0 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)",
};

static int check_count(struct db *db, const char *user, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count_valid);
	bool found = false;
	query_bind_text(&q, user);
	query_bind_int(&q, now_s);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (query_int(&q) < TOKENS_PER_USER_MAX)
		return 0;
	return err_set(err, NEL_CONFLICT, "user %s has %d valid tokens, which is the most: revoke one first", user,
		       TOKENS_PER_USER_MAX);
}

static struct statement forget_sessions = {
    .sql = "DELETE FROM tokens WHERE id IN"
	   " (SELECT id FROM tokens INDEXED BY tokens_session WHERE user = ?1 AND session = 1 AND expires_at <= ?2)",
};
/* With what was made from them. */
static struct statement end_oldest_sessions = {
    .sql = "WITH RECURSIVE family (id) AS"
	   " (SELECT id FROM tokens INDEXED BY tokens_session WHERE user = ?1 AND session = 1 AND id <="
	   " (SELECT id FROM tokens INDEXED BY tokens_session WHERE user = ?1 AND session = 1"
	   " AND revoked_at IS NULL AND expires_at > ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)"
	   " UNION SELECT t.id FROM tokens t INDEXED BY tokens_parent JOIN family ON t.parent = family.id)"
	   " UPDATE tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE id IN (SELECT id FROM family)",
};

/* For one session more: whoever signs in is let in, and what has long ended does not pile up. */
static int make_room_for_session(struct db *db, const char *user, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query forget = query_start(db, &forget_sessions);
	query_bind_text(&forget, user);
	query_bind_int(&forget, now_s - SESSION_KEPT_S);
	if (query_run(&forget, err) != 0)
		return -1;
	CLEANUP(query_done) struct query q = query_start(db, &end_oldest_sessions);
	query_bind_text(&q, user);
	query_bind_int(&q, now_s);
	query_bind_int(&q, SESSIONS_PER_USER_MAX - 1);
	return query_run(&q, err);
}

static int make_room(struct db *db, const struct token_order *order, int64_t now_s, struct nel_err *err)
{
	return order->session ? make_room_for_session(db, order->user, now_s, err)
			      : check_count(db, order->user, now_s, err);
}

static struct statement insert_token = {
    .sql = "INSERT INTO tokens (user, hash, created_at, expires_at, role, label, parent, session)"
	   " SELECT name, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM users WHERE name = ?1",
};

static int insert_row(struct db *db, const struct token_order *order, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_token);
	query_bind_text(&q, order->user);
	query_bind_text(&q, order->hash);
	query_bind_int(&q, now_s);
	query_bind_int_or_null(&q, order->expires_at, 0);
	query_bind_text(&q, order->narrow ? role_name(order->role) : NULL);
	query_bind_text(&q, order->label);
	query_bind_int_or_null(&q, order->parent, 0);
	query_bind_int(&q, order->session ? 1 : 0);
	if (query_run(&q, err) != 0)
		return -1;
	return query_changes(&q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "there is no user %s", order->user);
}

int tokens_insert(struct db *db, const struct token_order *order, int64_t now_s, int64_t *ret_id, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 || make_room(db, order, now_s, err) != 0 ||
	    insert_row(db, order, now_s, err) != 0)
		return -1;
	int64_t id = sqlite3_last_insert_rowid(db->sqlite);
	if (scope_commit(&scope, err) != 0)
		return -1;
	*ret_id = id;
	return 0;
}

/* A token never gives more than its user has now. */
#define ROW_COLUMNS \
	"t.id, t.user, u.role, coalesce(t.role, u.role), t.label, t.created_at, t.expires_at, t.last_used_at, " \
	"t.revoked_at, t.role IS NOT NULL, t.session"

static int read_row(struct query *q, struct token_row *ret_row, struct nel_err *err)
{
	struct token_row row = {0};
	enum role own = ROLE_VIEWER;
	char users[16];
	char tokens[16];
	row.id = query_int(q);
	query_text_into(q, row.user, sizeof row.user);
	query_text_into(q, users, sizeof users);
	query_text_into(q, tokens, sizeof tokens);
	query_text_into(q, row.label, sizeof row.label);
	row.created_at = query_int(q);
	row.expires_at = query_int(q);
	row.last_used_at = query_int(q);
	row.revoked_at = query_int(q);
	row.narrow = query_int(q) != 0;
	row.session = query_int(q) != 0;
	if (role_from_name(users, &row.role) != 0 || role_from_name(tokens, &own) != 0)
		return err_set(err, NEL_DB, "token %" PRId64 " has an unknown role", row.id);
	if (own < row.role)
		row.role = own;
	*ret_row = row;
	return 0;
}

static struct statement find_token = {
    .sql = "SELECT " ROW_COLUMNS " FROM tokens t CROSS JOIN users u ON u.name = t.user WHERE t.id = ?",
};

int tokens_get(struct db *db, int64_t id, struct token_row *ret_token, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_token);
	bool found = false;
	query_bind_int(&q, id);
	if (query_step(&q, &found, err) != 0)
		return -1;
	return found ? read_row(&q, ret_token, err) : err_set(err, NEL_NOTFOUND, "there is no token %" PRId64, id);
}

static struct statement list_all = {
    .sql = "SELECT " ROW_COLUMNS " FROM tokens t CROSS JOIN users u ON u.name = t.user WHERE t.id < ?1"
	   " ORDER BY t.id DESC LIMIT ?2",
};
static struct statement list_user = {
    .sql = "SELECT " ROW_COLUMNS " FROM tokens t INDEXED BY tokens_user CROSS JOIN users u ON u.name = t.user"
	   " WHERE t.id < ?1 AND t.user = ?3 ORDER BY t.id DESC LIMIT ?2",
};

int tokens_list(struct db *db, const char *user, int64_t before_id, int limit, struct token_row **ret_rows,
		size_t *ret_count, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, user == NULL ? &list_all : &list_user);
	CLEANUP(mem_freep) struct token_row *rows = NULL;
	size_t count = 0;
	query_bind_int(&q, before_id == 0 ? INT64_MAX : before_id);
	query_bind_int(&q, limit);
	if (user != NULL)
		query_bind_text(&q, user);
	while (query_next(&q, err))
		if (read_row(&q, ROW_ADD(rows, count), err) != 0)
			return -1;
	if (query_failed(&q))
		return -1;
	*ret_rows = TAKE(rows);
	*ret_count = count;
	return 0;
}

/* A token and all that come from it. */
#define FAMILY \
	"WITH RECURSIVE family (id) AS (SELECT id FROM tokens WHERE id = ?1" \
	" UNION SELECT t.id FROM tokens t INDEXED BY tokens_parent JOIN family ON t.parent = family.id) "

static struct statement set_revoked = {
    .sql = FAMILY "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE id IN (SELECT id FROM family)"};

int tokens_revoke(struct db *db, int64_t id, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_revoked);
	query_bind_int(&q, id);
	query_bind_int(&q, now_s);
	if (query_run(&q, err) != 0)
		return -1;
	return query_changes(&q) > 0 ? 0 : err_set(err, NEL_NOTFOUND, "there is no token %" PRId64, id);
}

/* Narrowing what has no role of its own changes nothing where its user has no more. */
static struct statement narrow_made = {
    .sql = "WITH RECURSIVE made (id) AS (SELECT t.id FROM tokens p INDEXED BY tokens_user"
	   " JOIN tokens t INDEXED BY tokens_parent ON t.parent = p.id WHERE p.user = ?1"
	   " UNION SELECT t.id FROM tokens t INDEXED BY tokens_parent JOIN made ON t.parent = made.id)"
	   " UPDATE tokens SET role = ?2 WHERE id IN (SELECT id FROM made) AND user <> ?1"
	   " AND (role IS NULL OR role = 'admin' OR (role = 'user' AND ?2 = 'viewer'))",
};

int tokens_narrow_made(struct db *db, const char *user, enum role role, struct nel_err *err)
{
	if (role == ROLE_ADMIN)
		return 0;
	CLEANUP(query_done) struct query q = query_start(db, &narrow_made);
	query_bind_text(&q, user);
	query_bind_text(&q, role_name(role));
	return query_run(&q, err);
}

static struct statement check_valid = {
    .sql = "SELECT 1 FROM tokens t CROSS JOIN users u ON u.name = t.user WHERE t.id = ?1 AND t.revoked_at IS NULL"
	   " AND (t.expires_at IS NULL OR t.expires_at > ?2) AND u.suspended_at IS NULL",
};

int tokens_check(struct db *db, int64_t id, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &check_valid);
	bool found = false;
	query_bind_int(&q, id);
	query_bind_int(&q, now_s);
	if (query_step(&q, &found, err) != 0)
		return -1;
	return found ? 0 : err_set(err, NEL_NOTFOUND, "the token is revoked or expired, or its user suspended");
}

static struct statement find_hash = {
    .sql = "SELECT " ROW_COLUMNS " FROM tokens t CROSS JOIN users u ON u.name = t.user"
	   " WHERE t.hash = ?1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?2)"
	   " AND u.suspended_at IS NULL",
};

/* A token as it was while neither another connection nor this one had changed the store. */
struct token_memo {
	char hash[SECRET_HASH_SIZE];
	int64_t data_version;
	int64_t changes;
	struct token_row row;
};

static struct token_memo *memo_of(struct db *db, const char *hash)
{
	if (db->tokens == NULL)
		db->tokens = mem_calloc(MEMOS, sizeof *db->tokens);
	size_t sum = 0;
	for (const char *p = hash; *p != '\0'; p++)
		sum = sum * 31 + (unsigned char)*p;
	return &db->tokens[sum % MEMOS];
}

static int find_valid(struct db *db, const char *hash, int64_t now_s, struct token_row *ret_token, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_hash);
	bool found = false;
	query_bind_text(&q, hash);
	query_bind_int(&q, now_s);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "the token is unknown, revoked or expired, or its user suspended");
	return read_row(&q, ret_token, err);
}

int tokens_authenticate(struct db *db, const char *hash, int64_t now_s, struct token_row *ret_token, bool *ret_stale,
			struct nel_err *err)
{
	struct token_memo *memo = memo_of(db, hash);
	int64_t data_version = 0;
	int64_t changes = sqlite3_total_changes64(db->sqlite);
	if (db_data_version(db, &data_version, err) != 0)
		return -1;
	bool right = memo->data_version == data_version && memo->changes == changes && strcmp(memo->hash, hash) == 0 &&
		     (memo->row.expires_at == 0 || memo->row.expires_at > now_s);
	if (!right) {
		memo->hash[0] = '\0';
		if (find_valid(db, hash, now_s, &memo->row, err) != 0)
			return -1;
		snprintf(memo->hash, sizeof memo->hash, "%s", hash);
		memo->data_version = data_version;
		memo->changes = changes;
	}
	*ret_token = memo->row;
	*ret_stale = ret_token->last_used_at <= now_s - TOUCH_INTERVAL_S;
	return 0;
}

static struct statement token_is_stale = {
    .sql = "SELECT 1 FROM tokens WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at <= ?2)",
};

/* Asked first, since an UPDATE waits for the write lock even when it changes nothing. */
static int is_stale(struct db *db, int64_t id, int64_t before_s, bool *ret_stale, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &token_is_stale);
	query_bind_int(&q, id);
	query_bind_int(&q, before_s);
	return query_step(&q, ret_stale, err);
}

static struct statement touch_token = {.sql = "UPDATE tokens SET last_used_at = ?1 WHERE id = ?2"};

int tokens_touch(struct db *db, int64_t id, int64_t now_s, struct nel_err *err)
{
	bool stale = false;
	if (is_stale(db, id, now_s - TOUCH_INTERVAL_S, &stale, err) != 0)
		return -1;
	if (!stale)
		return 0;
	CLEANUP(query_done) struct query q = query_start(db, &touch_token);
	query_bind_int(&q, now_s);
	query_bind_int(&q, id);
	return query_run(&q, err);
}

struct statement *const tokens_statements[] = {
    &count_valid, &forget_sessions, &end_oldest_sessions, &insert_token, &find_token,     &list_all,    &list_user,
    &set_revoked, &narrow_made,     &check_valid,         &find_hash,    &token_is_stale, &touch_token, NULL};
