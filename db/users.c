/* Owns the tables users and tokens. */
#include "db/users.h"

#include "db/statement.h"

#include <string.h>

#define TOUCH_INTERVAL_S 60

static const char *const role_names[] = {
    [ROLE_VIEWER] = "viewer",
    [ROLE_USER] = "user",
    [ROLE_ADMIN] = "admin",
};

const char *role_name(enum role role)
{
	return role_names[role];
}

int role_from_name(const char *name, enum role *ret_role)
{
	for (int i = 0; i <= ROLE_ADMIN; i++) {
		if (strcmp(name, role_names[i]) == 0) {
			*ret_role = (enum role)i;
			return 0;
		}
	}
	return -1;
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

bool user_name_ok(const char *name)
{
	if (!is_lower(name[0]) && name[0] != '_')
		return false;
	size_t len = 1;
	for (; name[len] != '\0' && len <= USER_NAME_MAX; len++) {
		char c = name[len];
		if (!is_lower(c) && !(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '-')
			return false;
	}
	return len <= USER_NAME_MAX;
}

static struct statement insert_user = {.sql = "INSERT INTO users (name, role, created_at) VALUES (?, ?, ?)"};

int users_insert(struct db *db, const char *name, enum role role, int64_t now_s, struct nel_err *err)
{
	if (!user_name_ok(name))
		return err_set(err, NEL_INVALID,
			       "a user's name is a lower-case letter or '_', then letters, digits, '_', '.' and '-', "
			       "at most %d in all",
			       USER_NAME_MAX);
	CLEANUP(query_done) struct query q = query_start(db, &insert_user);
	query_bind_text(&q, name);
	query_bind_text(&q, role_name(role));
	query_bind_int(&q, now_s);
	if (query_run(&q, err) == 0)
		return 0;
	return err != NULL && err->kind == NEL_CONFLICT ? err_set(err, NEL_CONFLICT, "user %s exists already", name)
							: -1;
}

static int read_user(struct query *q, struct user_row *ret_user, struct nel_err *err)
{
	struct user_row user = {0};
	char role[16];
	query_text_into(q, user.name, sizeof user.name);
	query_text_into(q, role, sizeof role);
	user.created_at = query_int(q);
	if (role_from_name(role, &user.role) != 0)
		return err_set(err, NEL_DB, "user %s has the unknown role %s", user.name, role);
	*ret_user = user;
	return 0;
}

static struct statement find_user = {.sql = "SELECT name, role, created_at FROM users WHERE name = ?"};

int users_get(struct db *db, const char *name, struct user_row *ret_user, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_user);
	bool found = false;
	query_bind_text(&q, name);
	if (query_step(&q, &found, err) != 0)
		return -1;
	return found ? read_user(&q, ret_user, err) : err_set(err, NEL_NOTFOUND, "there is no user %s", name);
}

static struct statement insert_token = {
    .sql = "INSERT INTO tokens (user, hash, created_at, expires_at)"
	   " SELECT name, ?2, ?3, ?4 FROM users WHERE name = ?1",
};

int tokens_insert(struct db *db, const char *user, const char *hash, int64_t now_s, int64_t expires_at,
		  struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_token);
	query_bind_text(&q, user);
	query_bind_text(&q, hash);
	query_bind_int(&q, now_s);
	query_bind_int_or_null(&q, expires_at, 0);
	if (query_run(&q, err) != 0)
		return -1;
	return query_changes(&q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "there is no user %s", user);
}

static struct statement find_token_user = {
    .sql = "SELECT u.name, u.role, u.created_at FROM tokens t CROSS JOIN users u ON u.name = t.user"
	   " WHERE t.hash = ?1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?2)",
};

int tokens_find_user(struct db *db, const char *hash, int64_t now_s, struct user_row *ret_user, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_token_user);
	bool found = false;
	query_bind_text(&q, hash);
	query_bind_int(&q, now_s);
	if (query_step(&q, &found, err) != 0)
		return -1;
	return found ? read_user(&q, ret_user, err)
		     : err_set(err, NEL_NOTFOUND, "the token is unknown, revoked or expired");
}

static struct statement token_is_stale = {
    .sql = "SELECT 1 FROM tokens WHERE hash = ?1 AND (last_used_at IS NULL OR last_used_at <= ?2)",
};

/* Asked first, since an UPDATE waits for the write lock even when it changes nothing. */
static int is_stale(struct db *db, const char *hash, int64_t before_s, bool *ret_stale, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &token_is_stale);
	query_bind_text(&q, hash);
	query_bind_int(&q, before_s);
	return query_step(&q, ret_stale, err);
}

static struct statement touch_token = {.sql = "UPDATE tokens SET last_used_at = ?1 WHERE hash = ?2"};

int tokens_touch(struct db *db, const char *hash, int64_t now_s, struct nel_err *err)
{
	bool stale = false;
	if (is_stale(db, hash, now_s - TOUCH_INTERVAL_S, &stale, err) != 0)
		return -1;
	if (!stale)
		return 0;
	CLEANUP(query_done) struct query q = query_start(db, &touch_token);
	query_bind_int(&q, now_s);
	query_bind_text(&q, hash);
	return query_run(&q, err);
}

struct statement *const users_statements[] = {&insert_user,    &find_user,   &insert_token, &find_token_user,
					      &token_is_stale, &touch_token, NULL};
