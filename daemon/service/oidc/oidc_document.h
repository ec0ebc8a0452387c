/* What an issuer publishes of itself (OpenID Connect Discovery 1.0). Pure. */
#ifndef NEL_SERVICE_OIDC_OIDC_DOCUMENT_H
#define NEL_SERVICE_OIDC_OIDC_DOCUMENT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define OIDC_DOCUMENT_SIZE_MAX (256 * 1024) /* bytes, of it and of the JWK set */

struct oidc_document {
	char *jwks_uri;
	bool has_device_flow; /* RFC 8628 */
};

void oidc_document_done(struct oidc_document *document);

/* Where it stands: the issuer and "/.well-known/openid-configuration"; free(). */
char *oidc_document_url(const char *issuer);

/* INVALID: it is not a discovery document, or not this issuer's (section 4.3), or names keys at a URL that may not be
 * used. */
int oidc_document_parse(const char *text, size_t size, const char *issuer, struct oidc_document *ret_document,
			struct nel_err *err);

#endif
