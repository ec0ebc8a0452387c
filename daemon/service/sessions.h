/* Sessions of the page: a token of its own behind the cookie, made from the credentials that somebody signed in with.
 * It ends with them, and is listed and revoked as any token is. */
#ifndef NEL_SERVICE_SESSIONS_H
#define NEL_SERVICE_SESSIONS_H

#include "base/ids.h"
#include "service/service.h"

#define SESSION_LIFE_S (12 * 60 * 60)
#define SESSION_LABEL "the page"

/* What the session may do is what the actor may now. ret_secret goes into the cookie; secret_wipe() it. CONFLICT: the
 * user has too many tokens. */
int service_begin_session(struct db *db, const struct actor *actor, char ret_secret[IDS_TOKEN_SIZE],
			  int64_t *ret_expires_at, struct nel_err *err);

/* Ends the session that the actor came with. */
int service_end_session(struct db *db, const struct actor *actor, struct nel_err *err);

#endif
