/* Owns which public keys are taken, and for which algorithms. */
#include "service/oidc/oidc_keys.h"

#include "base/mem.h"

#include <cjose/cjose.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum key_type { KEY_RSA, KEY_P256, KEY_P384, KEY_P521 };

struct key {
	char *id;        /* NULL: none */
	char *algorithm; /* NULL: any of its type */
	enum key_type type;
	cjose_jwk_t *jwk;
};

struct oidc_keys {
	atomic_int holders;
	char *issuer;
	size_t count;
	struct key keys[OIDC_KEYS_MAX];
};

/* A symmetric algorithm is not here, so that a public key never passes for a shared one; nor is "none". */
static const struct algorithm {
	const char *name;
	enum key_type type;
} algorithms[] = {
    {"RS256", KEY_RSA}, {"RS384", KEY_RSA},  {"RS512", KEY_RSA},  {"PS256", KEY_RSA},  {"PS384", KEY_RSA},
    {"PS512", KEY_RSA}, {"ES256", KEY_P256}, {"ES384", KEY_P384}, {"ES512", KEY_P521},
};

static const struct algorithm *find_algorithm(const char *name)
{
	for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

bool oidc_algorithm_ok(const char *algorithm)
{
	return find_algorithm(algorithm) != NULL;
}

static const char *member(const json_t *jwk, const char *name)
{
	const char *text = json_string_value(json_object_get(jwk, name));
	return text != NULL ? text : "";
}

/* Base64url without padding, as RFC 7518 has it. cjose 0.6.2.1 ends the program over a '=' in the wrong place. */
static bool is_base64url(const char *text)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	return text[0] != '\0' && text[strspn(text, letters)] == '\0';
}

/* How long the modulus is without leading zeros; 0: it is no base64url, or longer than any that is taken. */
static size_t modulus_bits(const char *text)
{
	unsigned char n[OIDC_RSA_BITS_MAX / 8 + 1];
	size_t size = 0;
	size_t first = 0;
	if (sodium_base642bin(n, sizeof n, text, strlen(text), NULL, &size, NULL,
			      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return 0;
	while (first < size && n[first] == 0)
		first++;
	size_t bits = (size - first) * 8;
	for (unsigned char top = first < size ? n[first] : 0x80; (top & 0x80) == 0; top = (unsigned char)(top << 1))
		bits--;
	return bits;
}

/* For signatures, by what RFC 7517 (sections 4.2, 4.3) lets a key say of its use. */
static bool is_for_signatures(const json_t *jwk)
{
	const json_t *operations = json_object_get(jwk, "key_ops");
	const char *use = member(jwk, "use");
	size_t i = 0;
	json_t *operation = NULL;
	if (use[0] != '\0' && strcmp(use, "sig") != 0)
		return false;
	if (operations == NULL)
		return true;
	json_array_foreach((json_t *)operations, i, operation)
		if (json_is_string(operation) && strcmp(json_string_value(operation), "verify") == 0)
			return true;
	return false;
}

static bool find_type(const json_t *jwk, enum key_type *ret_type)
{
	static const char *const curves[] = {[KEY_P256] = "P-256", [KEY_P384] = "P-384", [KEY_P521] = "P-521"};
	const char *kty = member(jwk, "kty");
	if (strcmp(kty, "RSA") == 0) {
		size_t bits = modulus_bits(member(jwk, "n"));
		*ret_type = KEY_RSA;
		return bits >= OIDC_RSA_BITS_MIN && bits <= OIDC_RSA_BITS_MAX;
	}
	if (strcmp(kty, "EC") != 0)
		return false;
	for (int i = KEY_P256; i <= KEY_P521; i++) {
		if (strcmp(member(jwk, "crv"), curves[i]) == 0) {
			*ret_type = (enum key_type)i;
			return true;
		}
	}
	return false;
}

/* Only what makes the public key is handed on. */
static cjose_jwk_t *import(const json_t *jwk, enum key_type type)
{
	static const char *const numbers[][2] = {
	    [KEY_RSA] = {"n", "e"}, [KEY_P256] = {"x", "y"}, [KEY_P384] = {"x", "y"}, [KEY_P521] = {"x", "y"}};
	cjose_err fault = {0};
	CLEANUP(json_freep) json_t *part = NULL;
	if (!is_base64url(member(jwk, numbers[type][0])) || !is_base64url(member(jwk, numbers[type][1])))
		return NULL;
	if (type == KEY_RSA)
		part = json_pack("{s:s, s:s, s:s}", "kty", "RSA", "n", member(jwk, "n"), "e", member(jwk, "e"));
	else
		part = json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", member(jwk, "crv"), "x", member(jwk, "x"),
				 "y", member(jwk, "y"));
	return part == NULL ? NULL : cjose_jwk_import_json(part, &fault);
}

/* What says of a key what it is and is for, is a text (RFC 7517, section 4), or the key is for nothing. */
static bool has_texts(const json_t *jwk)
{
	static const char *const names[] = {"kty", "use", "alg", "kid", "crv"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const json_t *value = json_object_get(jwk, names[i]);
		if (value != NULL && !json_is_string(value))
			return false;
	}
	return true;
}

static void add(struct oidc_keys *keys, const json_t *jwk)
{
	struct key key = {0};
	const char *algorithm = member(jwk, "alg");
	const char *id = json_string_value(json_object_get(jwk, "kid"));
	if (!json_is_object(jwk) || !has_texts(jwk) || !is_for_signatures(jwk) || !find_type(jwk, &key.type) ||
	    (id != NULL && strlen(id) > OIDC_KEY_ID_MAX) || (algorithm[0] != '\0' && !oidc_algorithm_ok(algorithm)))
		return;
	key.jwk = import(jwk, key.type);
	if (key.jwk == NULL)
		return;
	key.id = id != NULL ? mem_strdup(id) : NULL;
	key.algorithm = algorithm[0] != '\0' ? mem_strdup(algorithm) : NULL;
	keys->keys[keys->count++] = key;
}

int oidc_keys_parse(const char *text, size_t size, const char *issuer, struct oidc_keys **ret_keys, struct nel_err *err)
{
	json_error_t fault;
	CLEANUP(json_freep) json_t *set = json_loadb(text, size, JSON_REJECT_DUPLICATES, &fault);
	const json_t *list = json_object_get(set, "keys");
	if (set == NULL)
		return err_set(err, NEL_INVALID, "the issuer's keys are no JSON: %s", fault.text);
	if (!json_is_array(list))
		return err_set(err, NEL_INVALID, "the issuer's keys are no JWK set: there is no list \"keys\"");
	CLEANUP(oidc_keys_freep) struct oidc_keys *keys = mem_calloc(1, sizeof *keys);
	atomic_init(&keys->holders, 1);
	keys->issuer = mem_strdup(issuer);
	for (size_t i = 0; i < json_array_size(list) && keys->count < OIDC_KEYS_MAX; i++)
		add(keys, json_array_get(list, i));
	if (keys->count == 0)
		return err_set(
		    err, NEL_INVALID,
		    "of the issuer's %zu keys none is an RSA key of %d bits or more, or one of the curves P-256, "
		    "P-384 and P-521, for signatures",
		    json_array_size(list), OIDC_RSA_BITS_MIN);
	*ret_keys = TAKE(keys);
	return 0;
}

struct oidc_keys *oidc_keys_hold(struct oidc_keys *keys)
{
	atomic_fetch_add(&keys->holders, 1);
	return keys;
}

void oidc_keys_release(struct oidc_keys *keys)
{
	if (keys == NULL || atomic_fetch_sub(&keys->holders, 1) > 1)
		return;
	for (size_t i = 0; i < keys->count; i++) {
		free(keys->keys[i].id);
		free(keys->keys[i].algorithm);
		cjose_jwk_release(keys->keys[i].jwk);
	}
	free(keys->issuer);
	free(keys);
}

const char *oidc_keys_issuer(const struct oidc_keys *keys)
{
	return keys->issuer;
}

size_t oidc_keys_count(const struct oidc_keys *keys)
{
	return keys->count;
}

static bool has_id(const struct key *key, const char *id)
{
	return id == NULL || (key->id != NULL && strcmp(key->id, id) == 0);
}

int oidc_keys_find(const struct oidc_keys *keys, const char *id, const char *name, const void **ret_jwk,
		   struct nel_err *err)
{
	const struct algorithm *algorithm = find_algorithm(name);
	const struct key *found = NULL;
	size_t named = 0;
	size_t fit = 0;
	for (size_t i = 0; i < keys->count; i++) {
		const struct key *key = &keys->keys[i];
		if (!has_id(key, id))
			continue;
		named++;
		if (algorithm == NULL || key->type != algorithm->type ||
		    (key->algorithm != NULL && strcmp(key->algorithm, name) != 0))
			continue;
		fit++;
		found = key;
	}
	if (named == 0)
		return err_set(err, NEL_NOTFOUND, "the token is signed with a key that the issuer does not publish");
	if (fit == 0)
		return err_set(err, NEL_INVALID, "the issuer's key is not for the token's algorithm");
	if (fit > 1)
		return err_set(err, NEL_INVALID,
			       id != NULL ? "the issuer publishes several keys with the token's kid"
					  : "the issuer has several keys, and the token does not say which one (kid)");
	*ret_jwk = found->jwk;
	return 0;
}
