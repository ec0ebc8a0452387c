/* Owns the table sign_in_codes. */
#include "db/sign_in_codes.h"

#include "db/scope.h"
#include "db/statement.h"

/* What has expired, and, of the others, the oldest. */
static struct statement make_room = {
    .sql = "DELETE FROM sign_in_codes WHERE user = ?1 AND (expires_at <= ?2 OR id <="
	   " (SELECT id FROM sign_in_codes INDEXED BY sign_in_codes_user WHERE user = ?1 ORDER BY id DESC LIMIT 1 "
	   "OFFSET ?3))",
};
static struct statement insert_code = {
    .sql = "INSERT INTO sign_in_codes (hash, user, role, parent, ends_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
};

int sign_in_codes_insert(struct db *db, const char *hash, const struct sign_in_code *code, int64_t now_s,
			 struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0)
		return -1;
	CLEANUP(query_done) struct query room = query_start(db, &make_room);
	query_bind_text(&room, code->user);
	query_bind_int(&room, now_s);
	query_bind_int(&room, SIGN_IN_CODES_PER_USER_MAX - 1);
	if (query_run(&room, err) != 0)
		return -1;
	CLEANUP(query_done) struct query q = query_start(db, &insert_code);
	query_bind_text(&q, hash);
	query_bind_text(&q, code->user);
	query_bind_text(&q, role_name(code->role));
	query_bind_int_or_null(&q, code->parent, 0);
	query_bind_int_or_null(&q, code->ends_at, 0);
	query_bind_int(&q, code->expires_at);
	return query_run(&q, err) != 0 ? -1 : scope_commit(&scope, err);
}

static struct statement find_code = {
    .sql =
	"SELECT c.user, u.role, c.role, c.parent, c.ends_at, c.expires_at FROM sign_in_codes c"
	" CROSS JOIN users u ON u.name = c.user LEFT JOIN tokens t ON t.id = c.parent"
	" WHERE c.hash = ?1 AND c.expires_at > ?2 AND u.suspended_at IS NULL AND (c.ends_at IS NULL OR c.ends_at > ?2)"
	" AND (c.parent IS NULL OR t.revoked_at IS NULL)",
};

static int read_code(struct query *q, struct sign_in_code *ret_code, struct nel_err *err)
{
	char users[16];
	char own[16];
	enum role role = ROLE_VIEWER;
	query_text_into(q, ret_code->user, sizeof ret_code->user);
	query_text_into(q, users, sizeof users);
	query_text_into(q, own, sizeof own);
	ret_code->parent = query_int(q);
	ret_code->ends_at = query_int(q);
	ret_code->expires_at = query_int(q);
	if (role_from_name(users, &ret_code->role) != 0 || role_from_name(own, &role) != 0)
		return err_set(err, NEL_DB, "a sign-in code of %s has an unknown role", ret_code->user);
	if (role < ret_code->role)
		ret_code->role = role;
	return 0;
}

int sign_in_codes_get(struct db *db, const char *hash, int64_t now_s, struct sign_in_code *ret_code,
		      struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_code);
	bool found = false;
	query_bind_text(&q, hash);
	query_bind_int(&q, now_s);
	if (query_step(&q, &found, err) != 0)
		return -1;
	return found ? read_code(&q, ret_code, err)
		     : err_set(err, NEL_NOTFOUND, "the sign-in code is unknown, used or expired");
}

static struct statement delete_code = {.sql = "DELETE FROM sign_in_codes WHERE hash = ?"};

int sign_in_codes_delete(struct db *db, const char *hash, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_code);
	query_bind_text(&q, hash);
	if (query_run(&q, err) != 0)
		return -1;
	return query_changes(&q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "the sign-in code is used");
}

struct statement *const sign_in_codes_statements[] = {&make_room, &insert_code, &find_code, &delete_code, NULL};
