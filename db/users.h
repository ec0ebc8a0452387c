/* Table users, table tokens: who may ask, and with which bearer token. */
#ifndef NEL_DB_USERS_H
#define NEL_DB_USERS_H

#include "base/secret.h"
#include "db/db.h"

enum role { ROLE_VIEWER, ROLE_USER, ROLE_ADMIN };

const char *role_name(enum role role);
int role_from_name(const char *name, enum role *ret_role); /* 0 or -1 */

#define USER_NAME_MAX 64

struct user_row {
	char name[USER_NAME_MAX + 1];
	enum role role;
	int64_t created_at;
};

bool user_name_ok(const char *name); /* [a-z_][a-z0-9_.-]*, at most USER_NAME_MAX */

int users_insert(struct db *db, const char *name, enum role role, int64_t now_s, struct nel_err *err); /* CONFLICT */
int users_get(struct db *db, const char *name, struct user_row *ret_user, struct nel_err *err);        /* NOTFOUND */

/* expires_at 0: never. NOTFOUND when there is no such user. */
int tokens_insert(struct db *db, const char *user, const char *hash, int64_t now_s, int64_t expires_at,
		  struct nel_err *err);

/* The user that the token's hash belongs to; NOTFOUND when unknown, revoked or expired. */
int tokens_find_user(struct db *db, const char *hash, int64_t now_s, struct user_row *ret_user, struct nel_err *err);

/* Notes the use, at most once a minute and token (a write transaction of its own). */
int tokens_touch(struct db *db, const char *hash, int64_t now_s, struct nel_err *err);

#endif
