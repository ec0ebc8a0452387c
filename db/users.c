/* Owns the table users. */
#include "db/users.h"

#include "base/mem.h"
#include "db/scope.h"
#include "db/statement.h"

#include <inttypes.h>
#include <string.h>

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

static int insert_row(struct db *db, const char *name, enum role role, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_user);
	query_bind_text(&q, name);
	query_bind_text(&q, role_name(role));
	query_bind_int(&q, now_s);
	if (query_run(&q, err) == 0)
		return 0;
	return err != NULL && err->kind == NEL_CONFLICT ? err_set(err, NEL_CONFLICT, "user %s exists already", name)
							: -1;
}

static struct statement delete_removal = {.sql = "DELETE FROM removed_users WHERE name = ?"};

static int forget_removal(struct db *db, const char *name, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_removal);
	query_bind_text(&q, name);
	return query_run(&q, err);
}

int users_insert(struct db *db, const char *name, enum role role, int64_t now_s, struct nel_err *err)
{
	if (!user_name_ok(name))
		return err_set(err, NEL_INVALID,
			       "a user's name is a lower-case letter or '_', then letters, digits, '_', '.' and '-', "
			       "at most %d in all",
			       USER_NAME_MAX);
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 || insert_row(db, name, role, now_s, err) != 0 ||
	    forget_removal(db, name, err) != 0)
		return -1;
	return scope_commit(&scope, err);
}

static int read_user(struct query *q, struct user_row *ret_user, struct nel_err *err)
{
	struct user_row user = {0};
	char role[16];
	query_text_into(q, user.name, sizeof user.name);
	query_text_into(q, role, sizeof role);
	user.created_at = query_int(q);
	user.suspended_at = query_int(q);
	query_text_into(q, user.oidc_issuer, sizeof user.oidc_issuer);
	query_text_into(q, user.oidc_subject, sizeof user.oidc_subject);
	user.role_at = query_int(q);
	if (role_from_name(role, &user.role) != 0)
		return err_set(err, NEL_DB, "user %s has the unknown role %s", user.name, role);
	*ret_user = user;
	return 0;
}

#define ROW_COLUMNS "name, role, created_at, suspended_at, oidc_issuer, oidc_subject, role_at"

static struct statement find_user = {.sql = "SELECT " ROW_COLUMNS " FROM users WHERE name = ?"};

int users_get(struct db *db, const char *name, struct user_row *ret_user, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_user);
	bool found = false;
	query_bind_text(&q, name);
	if (query_step(&q, &found, err) != 0)
		return -1;
	return found ? read_user(&q, ret_user, err) : err_set(err, NEL_NOTFOUND, "there is no user %s", name);
}

static struct statement all_users = {.sql = "SELECT " ROW_COLUMNS
					    " FROM users WHERE name > '' ORDER BY name LIMIT ? OFFSET ?"};

int users_list(struct db *db, int64_t offset, int limit, struct user_row **ret_rows, size_t *ret_count,
	       struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &all_users);
	CLEANUP(mem_freep) struct user_row *rows = NULL;
	size_t count = 0;
	query_bind_int(&q, limit);
	query_bind_int(&q, offset);
	while (query_next(&q, err))
		if (read_user(&q, ROW_ADD(rows, count), err) != 0)
			return -1;
	if (query_failed(&q))
		return -1;
	*ret_rows = TAKE(rows);
	*ret_count = count;
	return 0;
}

static int check_found(const struct query *q, const char *name, struct nel_err *err)
{
	return query_changes(q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "there is no user %s", name);
}

static struct statement set_role = {.sql = "UPDATE users SET role = ?2, role_at = ?3 WHERE name = ?1"};

int users_set_role(struct db *db, const char *name, enum role role, int64_t at_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_role);
	query_bind_text(&q, name);
	query_bind_text(&q, role_name(role));
	query_bind_int(&q, at_s);
	return query_run(&q, err) != 0 ? -1 : check_found(&q, name, err);
}

static struct statement set_suspended = {.sql = "UPDATE users SET suspended_at = ?2 WHERE name = ?1"};

int users_set_suspended(struct db *db, const char *name, int64_t at_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_suspended);
	query_bind_text(&q, name);
	query_bind_int_or_null(&q, at_s, 0);
	return query_run(&q, err) != 0 ? -1 : check_found(&q, name, err);
}

static struct statement set_subject = {.sql = "UPDATE users SET oidc_issuer = ?2, oidc_subject = ?3 WHERE name = ?1"};

int users_set_subject(struct db *db, const char *name, const char *issuer, const char *subject, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_subject);
	query_bind_text(&q, name);
	query_bind_text(&q, issuer);
	query_bind_text(&q, subject);
	return query_run(&q, err) != 0 ? -1 : check_found(&q, name, err);
}

static struct statement find_removed = {.sql = "SELECT 1 FROM removed_users WHERE name = ?"};

int users_is_removed(struct db *db, const char *name, bool *ret_removed, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_removed);
	query_bind_text(&q, name);
	return query_step(&q, ret_removed, err);
}

/* The partial index jobs_live leads to the few rows that can count. */
static struct statement live_jobs = {
    .sql = "SELECT count(*) FROM jobs INDEXED BY jobs_live"
	   " WHERE (ended_at IS NULL OR collected = 0) AND ended_at IS NULL AND user = ?",
};

/* Jobs that have not ended would go on in the name of nobody. */
static int check_idle(struct db *db, const char *name, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &live_jobs);
	bool found = false;
	query_bind_text(&q, name);
	if (query_step(&q, &found, err) != 0)
		return -1;
	int64_t jobs = query_int(&q);
	if (jobs == 0)
		return 0;
	return err_set(err, NEL_CONFLICT, "user %s has %" PRId64 " job%s that %s not ended: cancel them, or wait", name,
		       jobs, jobs == 1 ? "" : "s", jobs == 1 ? "has" : "have");
}

/* Tokens go with the user by their foreign key. */
static struct statement delete_user = {.sql = "DELETE FROM users WHERE name = ?"};

static int delete_row(struct db *db, const char *name, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_user);
	query_bind_text(&q, name);
	return query_run(&q, err) != 0 ? -1 : check_found(&q, name, err);
}

static struct statement insert_removal = {.sql =
					      "INSERT OR REPLACE INTO removed_users (name, removed_at) VALUES (?, ?)"};

static int remember_removal(struct db *db, const char *name, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_removal);
	query_bind_text(&q, name);
	query_bind_int(&q, now_s);
	return query_run(&q, err);
}

int users_remove(struct db *db, const char *name, int64_t now_s, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 || check_idle(db, name, err) != 0 ||
	    delete_row(db, name, err) != 0 || remember_removal(db, name, now_s, err) != 0)
		return -1;
	return scope_commit(&scope, err);
}

struct statement *const users_statements[] = {&insert_user, &delete_removal, &find_user,      &all_users,
					      &set_role,    &set_suspended,  &set_subject,    &find_removed,
					      &live_jobs,   &delete_user,    &insert_removal, NULL};
