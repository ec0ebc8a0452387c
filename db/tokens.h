/* Table tokens: with which bearer token a user may ask. Only their hashes are stored. */
#ifndef NEL_DB_TOKENS_H
#define NEL_DB_TOKENS_H

#include "base/secret.h"
#include "db/users.h"

#define TOKEN_LABEL_MAX 128     /* bytes */
#define TOKENS_PER_USER_MAX 100 /* that are valid, without sessions */
#define SESSIONS_PER_USER_MAX 20

struct token_row {
	int64_t id;
	char user[USER_NAME_MAX + 1];
	enum role role; /* what it gives: the user's, or the narrower one that it was made with */
	bool narrow;    /* it has a role of its own */
	bool session;   /* it stands behind the page's cookie */
	char label[TOKEN_LABEL_MAX + 1];
	int64_t created_at;
	int64_t expires_at;   /* 0: never */
	int64_t last_used_at; /* 0: never; to the minute */
	int64_t revoked_at;   /* 0: not */
};

struct token_order {
	const char *user;
	const char *hash; /* secret_token_hash() */
	bool narrow;      /* it has a role of its own, else the user's */
	enum role role;
	const char *label;  /* at most TOKEN_LABEL_MAX bytes */
	int64_t expires_at; /* 0: never */
	int64_t parent;     /* the token that makes it; 0: none */
	bool session;       /* expires_at is set */
};

/* NOTFOUND when there is no such user; CONFLICT when the user has TOKENS_PER_USER_MAX valid ones. A session always
 * finds room: of more than SESSIONS_PER_USER_MAX the oldest end. */
int tokens_insert(struct db *db, const struct token_order *order, int64_t now_s, int64_t *ret_id, struct nel_err *err);

int tokens_get(struct db *db, int64_t id, struct token_row *ret_token, struct nel_err *err); /* NOTFOUND */

/* Newest first, ids below before_id (0: all), of one user (NULL: everyone's), at most `limit`; *ret_rows is free()d by
 * the caller. */
int tokens_list(struct db *db, const char *user, int64_t before_id, int limit, struct token_row **ret_rows,
		size_t *ret_count, struct nel_err *err);

/* The token is not valid any more, nor are those that it made, and those that they made. Again is no error. NOTFOUND.
 */
int tokens_revoke(struct db *db, int64_t id, int64_t now_s, struct nel_err *err);

/* The token with that hash; NOTFOUND when unknown, revoked or expired, or its user suspended. *ret_stale: its use is to
 * be noted. */
int tokens_authenticate(struct db *db, const char *hash, int64_t now_s, struct token_row *ret_token, bool *ret_stale,
			struct nel_err *err);

/* Narrows what the tokens of the user have made for others, who may do no more than the user from now on. */
int tokens_narrow_made(struct db *db, const char *user, enum role role, struct nel_err *err);

/* Is the token valid now? NOTFOUND when not. */
int tokens_check(struct db *db, int64_t id, int64_t now_s, struct nel_err *err);

/* Notes the use, at most once a minute and token (a write transaction of its own). */
int tokens_touch(struct db *db, int64_t id, int64_t now_s, struct nel_err *err);

#endif
