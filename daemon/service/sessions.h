/* Sessions of the page: a token of its own behind the cookie, made from the credentials that somebody signed in with,
 * or from a code that they made for it. It ends with them, and is listed and revoked as any token is. */
#ifndef NEL_SERVICE_SESSIONS_H
#define NEL_SERVICE_SESSIONS_H

#include "base/ids.h"
#include "service/service.h"

#define SESSION_LIFE_S (12 * 60 * 60)
#define SESSION_LABEL "the page"
#define SIGN_IN_CODE_LIFE_S (10 * 60)

/* What the session may do is what the actor may now. `code`: that the actor comes from, which is used up; NULL: none.
 * ret_secret goes into the cookie; secret_wipe() it. The user's oldest sessions end where there are too many. NOTFOUND:
 * the code was used meanwhile. DENIED: the actor came with a session. */
int service_begin_session(struct db *db, const struct actor *actor, const char *code, char ret_secret[IDS_TOKEN_SIZE],
			  int64_t *ret_expires_at, struct nel_err *err);

/* Ends the session that the actor came with. */
int service_end_session(struct db *db, const struct actor *actor, struct nel_err *err);

/* A code with which whoever has it may begin one session as the actor, within SIGN_IN_CODE_LIFE_S. secret_wipe() it.
 * DENIED: the actor came with a session. */
int service_make_sign_in_code(struct db *db, const struct actor *actor, char ret_code[IDS_CODE_SIZE],
			      int64_t *ret_expires_at, struct nel_err *err);

/* Who made the code, with no more rights than then or now. NOTFOUND when it is no valid one. */
int service_authenticate_code(struct db *db, const char *code, struct actor *ret_actor, struct nel_err *err);

#endif
