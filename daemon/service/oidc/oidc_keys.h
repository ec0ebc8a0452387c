/* The public keys of an issuer, from its JWK set (RFC 7517). Read-only once made, shared by any threads. Keys that are
 * not for the signatures that we take (symmetric, for encryption, too short) are left out. */
#ifndef NEL_SERVICE_OIDC_OIDC_KEYS_H
#define NEL_SERVICE_OIDC_OIDC_KEYS_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define OIDC_KEYS_MAX 100      /* of one set; more are not looked at */
#define OIDC_KEY_ID_MAX 512    /* bytes */
#define OIDC_RSA_BITS_MIN 2048 /* RFC 7518, section 3.3 */
#define OIDC_RSA_BITS_MAX 8192

struct oidc_keys;

/* The keys of the document, which belongs to `issuer`. INVALID: it is no JWK set, or has no key that can be used. */
int oidc_keys_parse(const char *text, size_t size, const char *issuer, struct oidc_keys **ret_keys,
		    struct nel_err *err);

struct oidc_keys *oidc_keys_hold(struct oidc_keys *keys); /* another holder */
void oidc_keys_release(struct oidc_keys *keys);           /* the last one frees; accepts NULL */
DEFINE_FREEP(struct oidc_keys, oidc_keys, oidc_keys_release)

const char *oidc_keys_issuer(const struct oidc_keys *keys);
size_t oidc_keys_count(const struct oidc_keys *keys);

/* The algorithms of signatures that are taken: those of RSA and elliptic curves in RFC 7518. */
bool oidc_algorithm_ok(const char *algorithm);

/* The key with that id (NULL: any) that the algorithm is for: its type, its curve, and its own `alg`
 * if it has one. A cjose_jwk_t. NOTFOUND: no key has the id; others may have been published since. INVALID: the key is
 * not for this algorithm, or there are several and no id says which. */
int oidc_keys_find(const struct oidc_keys *keys, const char *id, const char *algorithm, const void **ret_jwk,
		   struct nel_err *err);

#endif
