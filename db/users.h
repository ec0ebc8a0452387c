/* Table users: who may ask, and what for. */
#ifndef NEL_DB_USERS_H
#define NEL_DB_USERS_H

#include "db/db.h"

enum role { ROLE_VIEWER, ROLE_USER, ROLE_ADMIN };

const char *role_name(enum role role);
int role_from_name(const char *name, enum role *ret_role); /* 0 or -1 */

#define USER_NAME_MAX 64
#define USER_ISSUER_SIZE 513  /* bytes, with a NUL */
#define USER_SUBJECT_SIZE 256 /* the same; OpenID Connect Core 1.0, section 2: at most 255 */

struct user_row {
	char name[USER_NAME_MAX + 1];
	enum role role;
	int64_t created_at;
	int64_t suspended_at;               /* 0: not; a suspended user is let in by no way */
	char oidc_issuer[USER_ISSUER_SIZE]; /* whose subject the user is; "": of none yet */
	char oidc_subject[USER_SUBJECT_SIZE];
	int64_t role_at; /* of what time the role is; 0: of the beginning */
};

bool user_name_ok(const char *name); /* [a-z_][a-z0-9_.-]*, at most USER_NAME_MAX */

int users_insert(struct db *db, const char *name, enum role role, int64_t now_s, struct nel_err *err); /* CONFLICT */
int users_get(struct db *db, const char *name, struct user_row *ret_user, struct nel_err *err);        /* NOTFOUND */

/* By name, from position `offset` on, at most `limit`; *ret_rows is free()d by the caller. */
int users_list(struct db *db, int64_t offset, int limit, struct user_row **ret_rows, size_t *ret_count,
	       struct nel_err *err);

/* at_s: what says so was issued then. NOTFOUND. */
int users_set_role(struct db *db, const char *name, enum role role, int64_t at_s, struct nel_err *err);

int users_set_suspended(struct db *db, const char *name, int64_t at_s, struct nel_err *err); /* 0: not; NOTFOUND */

/* From now on the user is that subject of that issuer; NULL: of none. NOTFOUND. */
int users_set_subject(struct db *db, const char *name, const char *issuer, const char *subject, struct nel_err *err);

/* Was a user of that name removed, and none made since? */
int users_is_removed(struct db *db, const char *name, bool *ret_removed, struct nel_err *err);

/* Removes the user and the tokens; evaluations stay under the name. NOTFOUND; CONFLICT while jobs of the user have not
 * ended. */
int users_remove(struct db *db, const char *name, int64_t now_s, struct nel_err *err);

#endif
