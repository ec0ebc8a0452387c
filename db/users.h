/* Table users: who may ask, and what for. */
#ifndef NEL_DB_USERS_H
#define NEL_DB_USERS_H

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

/* By name, from position `offset` on, at most `limit`; *ret_rows is free()d by the caller. */
int users_list(struct db *db, int64_t offset, int limit, struct user_row **ret_rows, size_t *ret_count,
	       struct nel_err *err);

int users_set_role(struct db *db, const char *name, enum role role, struct nel_err *err); /* NOTFOUND */

/* Removes the user and the tokens; evaluations stay under the name. NOTFOUND; CONFLICT while jobs of the user have not
 * ended. */
int users_remove(struct db *db, const char *name, struct nel_err *err);

#endif
