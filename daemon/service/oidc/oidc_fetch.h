/* Fetches what an issuer publishes: its discovery document, then its keys. */
#ifndef NEL_SERVICE_OIDC_OIDC_FETCH_H
#define NEL_SERVICE_OIDC_OIDC_FETCH_H

#include "config/settings/settings.h"
#include "service/oidc/oidc_keys.h"

#include <curl/curl.h>
#include <stdatomic.h>

#define OIDC_FETCH_TIMEOUT_MS 5000 /* of both together */

/* Takes at most OIDC_FETCH_TIMEOUT_MS, and less once *stopping is set and `multi` woken. REMOTE: the issuer cannot be
 * reached, or does not answer so; INVALID: what it answers is of no use; the message names the URL. *ret_device_flow:
 * it offers RFC 8628. */
int oidc_fetch(CURLM *multi, const atomic_bool *stopping, const struct settings_oidc *oidc, struct oidc_keys **ret_keys,
	       bool *ret_device_flow, struct nel_err *err);

/* The same on its own, for `nel-slurmd check`. */
int oidc_fetch_once(const struct settings_oidc *oidc, size_t *ret_keys, bool *ret_device_flow, struct nel_err *err);

#endif
