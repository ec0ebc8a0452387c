/* What a bearer token of an issuer (a signed JWT, RFC 7519) proves, and whom it stands for here. Pure: keys, settings
 * and time are given. Nothing of a token is believed, or told, before its signature is right. */
#ifndef NEL_SERVICE_OIDC_OIDC_TOKEN_H
#define NEL_SERVICE_OIDC_OIDC_TOKEN_H

#include "config/settings/settings.h"
#include "db/users.h"
#include "service/oidc/oidc_keys.h"

#include <stdint.h>

#define OIDC_TOKEN_SIZE_MAX (16 * 1024) /* bytes */
#define OIDC_VALUES_MAX 2000            /* of the role claim; more are not looked at */

/* Whom a token stands for. */
struct oidc_person {
	char name[USER_NAME_MAX + 1];
	char issuer[USER_ISSUER_SIZE];
	char subject[USER_SUBJECT_SIZE];
	bool has_role; /* the issuer says the role */
	enum role role;
	int64_t issued_at;
	int64_t expires_at; /* the leeway is not in it */
};

/* Checks signature, issuer, audience and times. *ret_claims: json_decref(). INVALID: the token is not a valid one, and
 * the message says why; NOTFOUND: its key is not among these. */
int oidc_token_check(const struct settings_oidc *oidc, const struct oidc_keys *keys, const char *token, int64_t now_s,
		     json_t **ret_claims, struct nel_err *err);

/* The person of checked claims. DENIED: nobody here, and the message says why. */
int oidc_token_person(const struct settings_oidc *oidc, const json_t *claims, struct oidc_person *ret_person,
		      struct nel_err *err);

#endif
