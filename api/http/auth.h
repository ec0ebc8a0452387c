/* Who asks: a bearer token, of this service or of the issuer, the cookie of a session, or the peer of a unix socket. */
#ifndef NEL_API_HTTP_AUTH_H
#define NEL_API_HTTP_AUTH_H

#include "api/http/request.h"

/* Sets request->actor. Status 401 with WWW-Authenticate without valid credentials, 429 with Retry-After when there were
 * too many requests or failed logins; DENIED when the role is below the route's. Routes without a role are let through.
 * `on_unix`: the connection came over a unix socket, whose peer's uid counts when there is no Authorization header. */
int auth_check(struct request *request, bool on_unix, struct nel_err *err);

/* Sets request->actor from a token that came in a body, as auth_check() does from one in the header. -1 with
 * request->keys_missing: auth_wait_for(). */
int auth_take_token(struct request *request, const char *token, struct nel_err *err);

/* The same from a code that signs in to the page. */
int auth_take_code(struct request *request, const char *code, struct nel_err *err);

/* Status 401, counted as a failed login: what a sign-in came with was none. */
int auth_refuse_sign_in(struct request *request, const char *message, struct nel_err *err);

/* auth_check() or auth_take_token() failed with request->keys_missing: the token's key is being fetched from the
 * issuer. Suspends the connection until that has ended, and then calls `handle`, unless the keys cannot be had. Once a
 * request only: later they are there. BUSY: it cannot wait. */
int auth_wait_for(struct request *request, int (*handle)(struct request *request, struct nel_err *err),
		  struct nel_err *err);

/* Once the reply is out: notes in the store that the token was used, at most once a minute. */
void auth_note_use(struct request *request);

#endif
