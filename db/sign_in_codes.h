/* Table sign_in_codes: with which code somebody may sign in to the page, once. Only their hashes are stored. */
#ifndef NEL_DB_SIGN_IN_CODES_H
#define NEL_DB_SIGN_IN_CODES_H

#include "base/secret.h"
#include "db/users.h"

#define SIGN_IN_CODES_PER_USER_MAX 10

struct sign_in_code {
	char user[USER_NAME_MAX + 1];
	enum role role;     /* what it gives: what its maker had, or what the user has now, whichever is less */
	int64_t parent;     /* the token that it was made with; 0: none */
	int64_t ends_at;    /* until when the maker's credentials hold; 0: without an end */
	int64_t expires_at; /* of the code itself */
};

/* Of more than SIGN_IN_CODES_PER_USER_MAX of a user the oldest go. hash: secret_token_hash(). */
int sign_in_codes_insert(struct db *db, const char *hash, const struct sign_in_code *code, int64_t now_s,
			 struct nel_err *err);

/* NOTFOUND when it is unknown, used or expired, its user suspended, or the token that made it not valid any more. */
int sign_in_codes_get(struct db *db, const char *hash, int64_t now_s, struct sign_in_code *ret_code,
		      struct nel_err *err);

/* Uses it up. NOTFOUND when somebody else has. */
int sign_in_codes_delete(struct db *db, const char *hash, struct nel_err *err);

#endif
