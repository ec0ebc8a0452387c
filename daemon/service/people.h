/* Users and their tokens: who may make, change and remove what. HTTP threads; each call is one transaction. */
#ifndef NEL_SERVICE_PEOPLE_H
#define NEL_SERVICE_PEOPLE_H

#include "base/ids.h"
#include "db/tokens.h"
#include "service/idempotency.h"
#include "service/service.h"

#define TOKEN_LIFE_MAX_S (10LL * 366 * 24 * 3600)

/* CONFLICT: the name is taken, or *ret_clash: the Idempotency-Key belongs to another request. INVALID: the name. */
int service_add_user(struct db *db, const struct actor *actor, const char *name, enum role role,
		     const struct idempotency *idempotency, struct user_row *ret_user, bool *ret_clash,
		     struct nel_err *err);

/* What is to be changed of a user. */
struct user_change {
	bool has_role;
	enum role role;
	bool has_suspended;
	bool suspended;
	bool forget_subject; /* the next person of the issuer who comes under the name has it */
};

/* All or nothing. NOTFOUND. */
int service_change_user(struct db *db, const char *name, const struct user_change *change, struct user_row *ret_user,
			struct nel_err *err);

/* With the tokens. CONFLICT while the user's jobs are alive; NOTFOUND. */
int service_remove_user(struct db *db, const char *name, struct nel_err *err);

struct token_request {
	const char *user; /* NULL: the actor's own */
	bool has_role;    /* narrower than the user's */
	enum role role;
	const char *label;
	int64_t expires_at; /* 0: never */
	struct idempotency idempotency;
};

struct new_token {
	struct token_row row;
	char secret[IDS_TOKEN_SIZE]; /* empty for a repeat: it is shown once; to be wiped */
	bool clash;                  /* set on CONFLICT: the Idempotency-Key belongs to another request */
};

/* DENIED: somebody else's, or a wider role than the actor has. INVALID: the user has not the role, or the time is
 * past or too far. CONFLICT: too many valid ones, or the key. NOTFOUND: no such user. */
int service_make_token(struct db *db, const struct actor *actor, const struct token_request *wanted,
		       struct new_token *ret_token, struct nel_err *err);

/* DENIED when it is somebody else's and the actor no admin; NOTFOUND. Revoking twice is no error. */
int service_get_token(struct db *db, const struct actor *actor, int64_t id, struct token_row *ret_token,
		      struct nel_err *err);
int service_revoke_token(struct db *db, const struct actor *actor, int64_t id, struct nel_err *err);

#endif
