/* What a webhook's receiver sees and how patient the daemon is. Pure.
 *
 * Signing follows Standard Webhooks (https://www.standardwebhooks.com): the header webhook-signature is
 * "v1,<base64 of HMAC-SHA256(secret, webhook-id + "." + webhook-timestamp + "." + body)>". */
#ifndef NEL_SERVICE_WEBHOOK_RULES_H
#define NEL_SERVICE_WEBHOOK_RULES_H

#include "base/network.h"
#include "config/settings/settings.h"

#include <stdint.h>

#define WEBHOOK_SECRET_SIZE 64    /* "whsec_", 44 base64 digits of 32 random bytes, and a NUL, with room */
#define WEBHOOK_SIGNATURE_SIZE 64 /* "v1,", 44 digits, and a NUL, with room */
#define WEBHOOK_URL_MAX 2048

/* An event is tried again for this long after it happened, and at least once. */
#define WEBHOOK_PATIENCE_S (24 * 3600)
/* A receiver that has taken nothing for this long is given up. */
#define WEBHOOK_GIVE_UP_S (5 * 24 * 3600)

void webhook_new_secret(char ret_secret[WEBHOOK_SECRET_SIZE]);

/* -1 when the secret has not the shape that webhook_new_secret() gives it. */
int webhook_sign(const char *secret, const char *id, int64_t timestamp_s, const char *body,
		 char ret_signature[WEBHOOK_SIGNATURE_SIZE]);

/* Seconds until the next try after `tries` of them: 2, 4, 8, ... up to half an hour, less up to a quarter. */
int64_t webhook_retry_s(int tries, uint32_t random);

/* May the daemon connect to this address? */
bool webhook_address_ok(const struct settings_webhooks *rules, const struct sockaddr *address);

/* INVALID, saying why, when the URL cannot be one of a webhook: another scheme than https (http by the settings), no
 * host, user or password in it, an address that is not permitted. Names are looked up when they are used. */
int webhook_check_url(const struct settings_webhooks *rules, const char *url, struct nel_err *err);

#endif
