/* Signing in with a bearer token of the issuer (settings' oidc): what it proves, whom it stands for, and what the store
 * notes of that. Where the token came from, a header or a page's sign-in, is the caller's. */
#ifndef NEL_SERVICE_SIGN_IN_H
#define NEL_SERVICE_SIGN_IN_H

#include "service/oidc/oidc_token.h"
#include "service/service.h"

/* Is the text for the issuer to vouch for? What is not has the prefix of this service's own tokens, with which no JWT
 * begins: a JWT's first letter is that of a "{" or a blank in base64. */
bool sign_in_is_foreign(const char *token);

/* The person whom the token stands for. INVALID: it is no valid token. DENIED: it is, of nobody here. BUSY: it cannot
 * be told now. *ret_wait: the issuer's keys are being fetched, so that another try after oidc_issuer_wait() may go
 * otherwise. No I/O; settings: those of the request. */
int sign_in_verify(struct service *service, const struct settings *settings, const char *token,
		   struct oidc_person *ret_person, bool *ret_wait, struct nel_err *err);

/* Who asks, when it is that person. *ret_store: sign_in_store() is to be called first, and then this again. DENIED: not
 * a user here, removed, suspended, or somebody else's name. */
int sign_in_actor(struct db *db, const struct settings *settings, const struct oidc_person *person,
		  struct actor *ret_actor, bool *ret_store, struct nel_err *err);

/* Makes the user, notes which subject it is, takes over the role; one transaction, and a row of the audit by
 * `request` from `source`. */
int sign_in_store(struct db *db, const struct settings *settings, const struct oidc_person *person, const char *source,
		  const char *request, struct nel_err *err);

#endif
