#include "service/webhook_rules.h"

#include "base/str.h"
#include "chain/budget.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <netdb.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "whsec_"
#define SECRET_BYTES 32
#define RETRY_BASE_S 2
#define RETRY_MAX_S 1800

void webhook_new_secret(char ret_secret[WEBHOOK_SECRET_SIZE])
{
	unsigned char bytes[SECRET_BYTES];
	randombytes_buf(bytes, sizeof bytes);
	memcpy(ret_secret, PREFIX, sizeof PREFIX);
	sodium_bin2base64(ret_secret + sizeof PREFIX - 1, WEBHOOK_SECRET_SIZE - sizeof PREFIX, bytes, sizeof bytes,
			  sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(bytes, sizeof bytes);
}

int webhook_sign(const char *secret, const char *id, int64_t timestamp_s, const char *body,
		 char ret_signature[WEBHOOK_SIGNATURE_SIZE])
{
	unsigned char key[64];
	size_t key_size = 0;
	unsigned char hash[crypto_auth_hmacsha256_BYTES];
	char timestamp[24];
	if (!str_starts_with(secret, PREFIX) ||
	    sodium_base642bin(key, sizeof key, secret + sizeof PREFIX - 1, strlen(secret) - sizeof PREFIX + 1, NULL,
			      &key_size, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return -1;
	snprintf(timestamp, sizeof timestamp, "%" PRId64, timestamp_s);
	const char *const parts[] = {id, ".", timestamp, ".", body};
	crypto_auth_hmacsha256_state state;
	crypto_auth_hmacsha256_init(&state, key, key_size);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		crypto_auth_hmacsha256_update(&state, (const unsigned char *)parts[i], strlen(parts[i]));
	crypto_auth_hmacsha256_final(&state, hash);
	sodium_memzero(key, sizeof key);
	sodium_memzero(&state, sizeof state);
	memcpy(ret_signature, "v1,", 3);
	sodium_bin2base64(ret_signature + 3, WEBHOOK_SIGNATURE_SIZE - 3, hash, sizeof hash,
			  sodium_base64_VARIANT_ORIGINAL);
	return 0;
}

int64_t webhook_retry_s(int tries, uint32_t random)
{
	return backoff_s(tries, RETRY_BASE_S, RETRY_MAX_S, random);
}

bool webhook_address_ok(const struct settings_webhooks *rules, const struct sockaddr *address)
{
	if (network_is_public(address))
		return true;
	if (rules->allow_private)
		return address->sa_family == AF_INET || address->sa_family == AF_INET6;
	for (size_t i = 0; i < rules->network_count; i++)
		if (network_range_has(&rules->networks[i], address))
			return true;
	return false;
}

/* A host that is an address, with any of the notations that a resolver takes ("127.1", "0x7f000001"). */
static int check_literal(const struct settings_webhooks *rules, const char *host, struct nel_err *err)
{
	char bare[NETWORK_TEXT_SIZE];
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	size_t size = strlen(host);
	bool bracketed = size > 2 && host[0] == '[' && host[size - 1] == ']';
	if (size >= sizeof bare)
		return 0;
	snprintf(bare, sizeof bare, "%.*s", (int)(bracketed ? size - 2 : size), host + (bracketed ? 1 : 0));
	if (getaddrinfo(bare, NULL, &hints, &found) != 0)
		return 0; /* a name */
	bool ok = webhook_address_ok(rules, found->ai_addr);
	freeaddrinfo(found);
	return ok ? 0
		  : err_set(err, NEL_INVALID,
			    "url: %s is not a public address; webhooks.allow_private of the settings permits others",
			    host);
}

static int check_parts(const struct settings_webhooks *rules, const char *scheme, const char *host, bool has_user,
		       struct nel_err *err)
{
	if (scheme == NULL || (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0))
		return err_set(err, NEL_INVALID, "url: it must begin with https://");
	if (strcmp(scheme, "http") == 0 && !rules->allow_http)
		return err_set(err, NEL_INVALID,
			       "url: it must begin with https://; webhooks.allow_http of the settings permits http");
	if (host == NULL || host[0] == '\0')
		return err_set(err, NEL_INVALID, "url: it has no host");
	if (has_user)
		return err_set(
		    err, NEL_INVALID,
		    "url: it has a user or password, which everybody who sees the webhook would read; check the "
		    "signature instead");
	return check_literal(rules, host, err);
}

static char *part_of(CURLU *parsed, CURLUPart part)
{
	char *text = NULL;
	return curl_url_get(parsed, part, &text, 0) == CURLUE_OK ? text : NULL;
}

int webhook_check_url(const struct settings_webhooks *rules, const char *url, struct nel_err *err)
{
	if (strlen(url) > WEBHOOK_URL_MAX)
		return err_set(err, NEL_INVALID, "url: more than %d bytes", WEBHOOK_URL_MAX);
	for (const char *p = url; *p != '\0'; p++)
		if (*p <= ' ' || *p == 0x7f)
			return err_set(err, NEL_INVALID, "url: spaces and control characters must stand as %%XX");
	CURLU *parsed = curl_url();
	if (parsed == NULL)
		return err_set(err, NEL_NOMEM, "no memory");
	CURLUcode code = curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
	int result = -1;
	if (code != CURLUE_OK) {
		err_set(err, NEL_INVALID, "url: it is no absolute URL (%s)", curl_url_strerror(code));
	} else {
		char *scheme = part_of(parsed, CURLUPART_SCHEME);
		char *host = part_of(parsed, CURLUPART_HOST);
		char *user = part_of(parsed, CURLUPART_USER);
		char *password = part_of(parsed, CURLUPART_PASSWORD);
		result = check_parts(rules, scheme, host, user != NULL || password != NULL, err);
		curl_free(scheme);
		curl_free(host);
		curl_free(user);
		curl_free(password);
	}
	curl_url_cleanup(parsed);
	return result;
}
