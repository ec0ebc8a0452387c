/* What comes from an issuer and with its tokens (service/oidc). The input's parts are the discovery document, the JWK
 * set, a token, and claims, which are signed here with a key of its own, to get behind the signature.
 */
#include "fuzz.h"
#include "service/oidc/oidc_document.h"
#include "service/oidc/oidc_token.h"

#include <cjose/cjose.h>

#define ISSUER "https://i.example"
#define NOW 1700000000
#define PUBLIC_KEY \
	"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"PGSlWE9mv82JmtW7sZi4cIXVENlcNvjweQI95KSaliY\"," \
	"\"y\":\"Xdc4g59jojQXiGvPb68puiuJaFnzFw6AD87EH-xrN8Q\""

static void check_document(const char *text, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(oidc_document_done) struct oidc_document document = {0};
	if (oidc_document_parse(text, size, ISSUER, &document, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		return;
	}
	/* A URL that is fetched: over TLS, or from this machine. */
	const char *url = document.jwks_uri;
	FUZZ_CHECK(strncasecmp(url, "https://", 8) == 0 || strncasecmp(url, "http://", 7) == 0);
	FUZZ_CHECK(!str_has_control(url) && strchr(url, ' ') == NULL && fuzz_is_utf8(url));
}

static void check_person(const struct settings_oidc *oidc, const json_t *claims)
{
	struct nel_err err = {0};
	struct oidc_person person = {0};
	if (oidc_token_person(oidc, claims, &person, &err) != 0) {
		fuzz_check_error(&err, NEL_DENIED);
		return;
	}
	FUZZ_CHECK(user_name_ok(person.name));
	FUZZ_CHECK(strcmp(person.issuer, ISSUER) == 0 && person.subject[0] != '\0' && fuzz_is_utf8(person.subject));
	FUZZ_CHECK(person.issued_at >= 0 && person.expires_at >= 0 && person.has_role == oidc->has_roles);
}

static void check_token(const struct settings_oidc *oidc, const struct oidc_keys *keys, const char *token)
{
	struct nel_err err = {0};
	CLEANUP(json_freep) json_t *claims = NULL;
	if (oidc_token_check(oidc, keys, token, NOW, &claims, &err) != 0) {
		fuzz_check_error(&err, err.kind == NEL_NOTFOUND ? NEL_NOTFOUND : NEL_INVALID);
		FUZZ_CHECK(claims == NULL);
		return;
	}
	FUZZ_CHECK(strcmp(json_string_value(json_object_get(claims, "iss")), ISSUER) == 0);
	double expires_at = json_number_value(json_object_get(claims, "exp"));
	double issued_at = json_number_value(json_object_get(claims, "iat"));
	FUZZ_CHECK(expires_at + 60 > NOW && issued_at < NOW + 61);
	check_person(oidc, claims);
}

static char *sign(const char *claims, size_t size)
{
	static cjose_jwk_t *jwk = NULL;
	static cjose_header_t *header = NULL;
	static const char json[] = "{" PUBLIC_KEY ",\"d\":\"BlLPflkcyuiMZZwljmvVF6Q31WDgqIylyBMCMPYoAO4\"}";
	cjose_err fault = {0};
	const char *text = NULL;
	if (jwk == NULL) {
		jwk = cjose_jwk_import(json, sizeof json - 1, &fault);
		header = cjose_header_new(&fault);
		FUZZ_CHECK(cjose_header_set(header, "alg", "ES256", &fault));
	}
	cjose_jws_t *jws = cjose_jws_sign(jwk, header, (const uint8_t *)claims, size, &fault);
	FUZZ_CHECK(jws != NULL && cjose_jws_export(jws, &text, &fault));
	char *token = mem_strdup(text);
	cjose_jws_release(jws);
	return token;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char set[] = "{\"keys\":[{" PUBLIC_KEY "}]}";
	static char *nel[] = {"nel", NULL}, *admins[] = {"admins", NULL}, *users[] = {"users", NULL}, *none[] = {NULL};
	const struct settings_oidc oidc = {
	    .issuer = ISSUER,
	    .audiences = nel,
	    .user_claim = "name",
	    .user_domain = size % 2 == 0 ? "i.example" : NULL,
	    .has_roles = true,
	    .role_claim = size % 3 == 0 ? "scope" : "realm.roles",
	    .role_values = {admins, users, none},
	    .leeway_s = 60,
	};
	struct nel_err err = {0};
	CLEANUP(fuzz_parts_done) struct fuzz_parts parts = fuzz_split(data, size);
	CLEANUP(oidc_keys_freep) struct oidc_keys *keys = NULL, *own = NULL;
	check_document(parts.texts[0], parts.sizes[0]);
	if (parts.count < 2)
		return 0;
	if (oidc_keys_parse(parts.texts[1], parts.sizes[1], ISSUER, &keys, &err) == 0)
		FUZZ_CHECK(oidc_keys_count(keys) >= 1 && oidc_keys_count(keys) <= OIDC_KEYS_MAX);
	else
		fuzz_check_error(&err, NEL_INVALID);
	if (parts.count > 2 && keys != NULL)
		check_token(&oidc, keys, parts.texts[2]);
	if (parts.count < 4)
		return 0;
	FUZZ_CHECK(oidc_keys_parse(set, sizeof set - 1, ISSUER, &own, &err) == 0);
	CLEANUP(mem_freep) char *token = sign(parts.texts[3], parts.sizes[3]);
	check_token(&oidc, own, token);
	return 0;
}
