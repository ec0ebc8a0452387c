/* Owns the rules by which a token is taken, and by which its claims become a user and a role. */
#include "service/oidc/oidc_token.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <cjose/cjose.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>

#define TIME_MAX 253402300799LL /* 9999-12-31T23:59:59Z */
#define VALUE_SHOWN 64          /* bytes of a claim in a message */

struct header {
	json_t *json;
	const char *algorithm;
	const char *key_id; /* NULL: none */
};

static void header_done(struct header *header)
{
	json_decref(header->json);
}

/* The first of three parts, which alone is needed to find the key. */
static int decode_header(const char *token, json_t **ret_header, struct nel_err *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	char text[OIDC_TOKEN_SIZE_MAX];
	size_t size = 0;
	const char *first = strchr(token, '.');
	const char *second = first != NULL ? strchr(first + 1, '.') : NULL;
	if (strlen(token) > OIDC_TOKEN_SIZE_MAX)
		return err_set(err, NEL_INVALID, "the token is larger than %d bytes", OIDC_TOKEN_SIZE_MAX);
	if (second == NULL || strchr(second + 1, '.') != NULL || token[strspn(token, letters)] != '\0')
		return err_set(err, NEL_INVALID, "the token is neither one of this service nor a signed JWT");
	if (sodium_base642bin((unsigned char *)text, sizeof text, token, (size_t)(first - token), NULL, &size, NULL,
			      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return err_set(err, NEL_INVALID, "the token's header is no base64url");
	CLEANUP(json_freep) json_t *header = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(header))
		return err_set(err, NEL_INVALID, "the token's header is no JSON object");
	*ret_header = TAKE(header);
	return 0;
}

/* An access token (RFC 9068) or an ID token, which has no type of its own; not a logout token or another of the many
 * that issuers sign with the same key (RFC 8725, section 3.11). */
static bool type_ok(const json_t *header)
{
	const json_t *typ = json_object_get(header, "typ");
	if (typ == NULL)
		return true;
	const char *text = json_is_string(typ) ? json_string_value(typ) : "";
	if (strncasecmp(text, "application/", 12) == 0)
		text += 12;
	return strcasecmp(text, "JWT") == 0 || strcasecmp(text, "at+jwt") == 0;
}

static int read_header(const char *token, struct header *ret_header, struct nel_err *err)
{
	if (decode_header(token, &ret_header->json, err) != 0)
		return -1;
	const json_t *algorithm = json_object_get(ret_header->json, "alg");
	const json_t *key_id = json_object_get(ret_header->json, "kid");
	if (!json_is_string(algorithm) || !oidc_algorithm_ok(json_string_value(algorithm)))
		return err_set(
		    err, NEL_INVALID,
		    "the token's algorithm is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 "
		    "and ES512");
	/* Whoever does not understand what is critical must refuse (RFC 7515, section 4.1.11). */
	if (json_object_get(ret_header->json, "crit") != NULL)
		return err_set(err, NEL_INVALID, "the token has critical extensions, and none is known here");
	if (!type_ok(ret_header->json))
		return err_set(err, NEL_INVALID, "the token's type is neither JWT nor at+jwt");
	if (key_id != NULL && (!json_is_string(key_id) || json_string_length(key_id) > OIDC_KEY_ID_MAX))
		return err_set(err, NEL_INVALID, "the token's kid is no text of at most %d bytes", OIDC_KEY_ID_MAX);
	ret_header->algorithm = json_string_value(algorithm);
	ret_header->key_id = json_string_value(key_id);
	return 0;
}

static void release_jws(cjose_jws_t **jws)
{
	if (*jws != NULL)
		cjose_jws_release(*jws);
}

static int verify(const char *token, const cjose_jwk_t *jwk, json_t **ret_claims, struct nel_err *err)
{
	cjose_err fault = {0};
	uint8_t *text = NULL;
	size_t size = 0;
	CLEANUP(release_jws) cjose_jws_t *jws = cjose_jws_import(token, strlen(token), &fault);
	if (jws == NULL)
		return err_set(err, NEL_INVALID, "the token is no signed JWT");
	if (!cjose_jws_verify(jws, jwk, &fault) || !cjose_jws_get_plaintext(jws, &text, &size, &fault))
		return err_set(err, NEL_INVALID, "the token's signature is wrong");
	CLEANUP(json_freep) json_t *claims = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(claims))
		return err_set(err, NEL_INVALID, "the token's claims are no JSON object, or one stands twice");
	*ret_claims = TAKE(claims);
	return 0;
}

/* A NumericDate, which may have a fraction (RFC 7519, section 2). */
static bool read_time(const json_t *claims, const char *name, int64_t *ret_time)
{
	const json_t *value = json_object_get(claims, name);
	double number = json_number_value(value);
	if (!json_is_number(value) || !(number >= 0 && number <= (double)TIME_MAX))
		return false;
	*ret_time = json_is_integer(value) ? json_integer_value(value) : (int64_t)number;
	return true;
}

static int check_times(const struct settings_oidc *oidc, const json_t *claims, int64_t now_s, struct nel_err *err)
{
	int64_t issued_at = 0;
	int64_t expires_at = 0;
	int64_t not_before = 0;
	char text[CLOCK_RFC3339_SIZE];
	if (!read_time(claims, "exp", &expires_at))
		return err_set(err, NEL_INVALID, "the token does not say when it expires (exp)");
	if (!read_time(claims, "iat", &issued_at))
		return err_set(err, NEL_INVALID, "the token does not say when it was issued (iat)");
	if (now_s >= expires_at + oidc->leeway_s)
		return err_set(err, NEL_INVALID, "the token expired at %s", clock_rfc3339(expires_at, text));
	if (issued_at > now_s + oidc->leeway_s)
		return err_set(err, NEL_INVALID, "the token was issued in the future, at %s: a clock is wrong",
			       clock_rfc3339(issued_at, text));
	if (json_object_get(claims, "nbf") == NULL)
		return 0;
	if (!read_time(claims, "nbf", &not_before))
		return err_set(err, NEL_INVALID, "the token's nbf is no time");
	if (not_before > now_s + oidc->leeway_s)
		return err_set(err, NEL_INVALID, "the token is not valid before %s", clock_rfc3339(not_before, text));
	return 0;
}

static bool is_for_us(const struct settings_oidc *oidc, const json_t *audience)
{
	size_t i = 0;
	json_t *value = NULL;
	if (json_is_string(audience))
		return str_in(json_string_value(audience), (const char *const *)oidc->audiences);
	json_array_foreach((json_t *)audience, i, value)
		if (json_is_string(value) && str_in(json_string_value(value), (const char *const *)oidc->audiences))
			return true;
	return false;
}

int oidc_token_check(const struct settings_oidc *oidc, const struct oidc_keys *keys, const char *token, int64_t now_s,
		     json_t **ret_claims, struct nel_err *err)
{
	CLEANUP(header_done) struct header header = {0};
	CLEANUP(json_freep) json_t *claims = NULL;
	const void *jwk = NULL;
	if (read_header(token, &header, err) != 0 ||
	    oidc_keys_find(keys, header.key_id, header.algorithm, &jwk, err) != 0 ||
	    verify(token, jwk, &claims, err) != 0)
		return -1;
	const json_t *issuer = json_object_get(claims, "iss");
	if (!json_is_string(issuer) || strcmp(json_string_value(issuer), oidc->issuer) != 0)
		return err_set(err, NEL_INVALID, "the token is of another issuer");
	if (!is_for_us(oidc, json_object_get(claims, "aud")))
		return err_set(err, NEL_INVALID, "the token is not for this service (aud)");
	/* Of a logout, for one (OpenID Connect Back-Channel Logout, section 2.4): nobody signs in with that. */
	if (json_object_get(claims, "events") != NULL)
		return err_set(err, NEL_INVALID, "the token tells of events, and is none to sign in with");
	if (check_times(oidc, claims, now_s, err) != 0)
		return -1;
	*ret_claims = TAKE(claims);
	return 0;
}

/* By its whole name, else, where that has dots, through the objects on the way: realm_access.roles. NULL: none. */
static const json_t *find_claim(const json_t *claims, const char *name)
{
	const json_t *whole = json_object_get(claims, name);
	while (whole == NULL && claims != NULL) {
		size_t size = strcspn(name, ".");
		CLEANUP(mem_freep) char *part = mem_strndup(name, size);
		claims = json_object_get(claims, part);
		if (name[size] == '\0')
			return claims;
		name += size + 1;
	}
	return whole;
}

/* For a message, which may end in a header: only what is visible in ASCII. */
static const char *shown(const char *text, char buf[VALUE_SHOWN + 1])
{
	size_t i = 0;
	for (; text[i] != '\0' && i < VALUE_SHOWN; i++)
		buf[i] = text[i] > ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\' ? text[i] : '?';
	buf[i] = '\0';
	return buf;
}

/* NAME@domain: people write both parts in either case. */
static int take_domain_off(const struct settings_oidc *oidc, const char *value, char ret_name[USER_NAME_MAX + 1],
			   struct nel_err *err)
{
	char buf[VALUE_SHOWN + 1];
	const char *at = strrchr(value, '@');
	if (at == NULL || strcasecmp(at + 1, oidc->user_domain) != 0)
		return err_set(err, NEL_DENIED, "%s is not at %s (oidc.user_domain)", shown(value, buf),
			       oidc->user_domain);
	size_t size = (size_t)(at - value);
	if (size > USER_NAME_MAX)
		return err_set(err, NEL_DENIED, "%s is longer than a user's name may be", shown(value, buf));
	for (size_t i = 0; i < size; i++)
		ret_name[i] = value[i] >= 'A' && value[i] <= 'Z' ? (char)(value[i] - 'A' + 'a') : value[i];
	ret_name[size] = '\0';
	return 0;
}

static int find_name(const struct settings_oidc *oidc, const json_t *claims, char ret_name[USER_NAME_MAX + 1],
		     struct nel_err *err)
{
	char buf[VALUE_SHOWN + 1];
	const char *value = json_string_value(find_claim(claims, oidc->user_claim));
	if (value == NULL || value[0] == '\0')
		return err_set(err, NEL_DENIED, "the token has no claim %s, which names the user (oidc.user_claim)",
			       oidc->user_claim);
	if (oidc->user_domain != NULL) {
		if (take_domain_off(oidc, value, ret_name, err) != 0)
			return -1;
	} else if (strlen(value) > USER_NAME_MAX) {
		return err_set(err, NEL_DENIED, "%s is longer than a user's name may be", shown(value, buf));
	} else {
		memcpy(ret_name, value, strlen(value) + 1);
	}
	if (user_name_ok(ret_name))
		return 0;
	return err_set(
	    err, NEL_DENIED,
	    "%s is no user's name here: a lower-case letter or _, then letters, digits, _, . and -, at most %d "
	    "in all%s",
	    shown(ret_name, buf), USER_NAME_MAX,
	    strchr(ret_name, '@') != NULL ? " (oidc.user_domain takes off what stands behind an @)" : "");
}

/* Scopes are one text of words (RFC 6749, section 3.3); elsewhere a text is one value, spaces or not. */
static bool has_word(const char *text, char *const *values)
{
	while (*text != '\0') {
		size_t size = strcspn(text, " ");
		for (char *const *value = values; *value != NULL; value++)
			if (size > 0 && strlen(*value) == size && strncmp(*value, text, size) == 0)
				return true;
		text += size + strspn(text + size, " ");
	}
	return false;
}

static bool has_value(const char *name, const json_t *claim, char *const *values)
{
	bool words = strcmp(name, "scope") == 0 || strcmp(name, "scp") == 0;
	const char *text = json_string_value(claim);
	if (text != NULL)
		return words ? has_word(text, values) : str_in(text, (const char *const *)values);
	for (size_t i = 0; i < json_array_size(claim) && i < OIDC_VALUES_MAX; i++) {
		const char *value = json_string_value(json_array_get(claim, i));
		if (value != NULL && str_in(value, (const char *const *)values))
			return true;
	}
	return false;
}

/* The highest of those that the claim gives. */
static int find_role(const struct settings_oidc *oidc, const json_t *claims, enum role *ret_role, struct nel_err *err)
{
	const json_t *claim = find_claim(claims, oidc->role_claim);
	const char *name = oidc->other_role;
	for (size_t i = 0; i < SETTINGS_ROLES; i++) {
		if (has_value(oidc->role_claim, claim, oidc->role_values[i])) {
			name = settings_roles[i];
			break;
		}
	}
	if (name != NULL && role_from_name(name, ret_role) == 0)
		return 0;
	return err_set(err, NEL_DENIED, "the token's claim %s gives no role here (oidc.roles)", oidc->role_claim);
}

int oidc_token_person(const struct settings_oidc *oidc, const json_t *claims, struct oidc_person *ret_person,
		      struct nel_err *err)
{
	struct oidc_person person = {.has_role = oidc->has_roles};
	const char *subject = json_string_value(json_object_get(claims, "sub"));
	if (subject == NULL || subject[0] == '\0' || strlen(subject) >= sizeof person.subject)
		return err_set(err, NEL_DENIED, "the token's subject (sub) is no text of 1 to %d bytes",
			       USER_SUBJECT_SIZE - 1);
	memcpy(person.subject, subject, strlen(subject) + 1);
	memcpy(person.issuer, oidc->issuer, strlen(oidc->issuer) + 1);
	if (find_name(oidc, claims, person.name, err) != 0 ||
	    (oidc->has_roles && find_role(oidc, claims, &person.role, err) != 0))
		return -1;
	if (!read_time(claims, "iat", &person.issued_at) || !read_time(claims, "exp", &person.expires_at))
		return err_set(err, NEL_DENIED, "the token has no times");
	*ret_person = person;
	return 0;
}
