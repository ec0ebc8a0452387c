/* Secrets at rest: sealing with the master key, and the hash under which a token is stored. Uses libsodium. */
#ifndef NEL_BASE_SECRET_H
#define NEL_BASE_SECRET_H

#include "base/err.h"

#include <jansson.h>
#include <stddef.h>

struct secret_key; /* in locked, guarded memory */

#define SECRET_HASH_SIZE 65 /* 64 hex digits and a NUL */

/* Once, before everything else here. */
int secret_init(struct nel_err *err);

/* Writes a new key file (mode 0600, 64 hex digits), durably with its name; CONFLICT when the file exists. */
int secret_keygen(const char *path, struct nel_err *err);

/* Reads a key file; DENIED when it cannot be read, or others may read it (in
 * $CREDENTIALS_DIRECTORY the group may, for so an ACL shows), INVALID when it is no key. Free with
 * secret_key_free(). */
int secret_key_load(const char *path, struct secret_key **ret_key, struct nel_err *err);
void secret_key_free(struct secret_key *key);

/* Seals size bytes for storage: nonce and XChaCha20-Poly1305 box; *ret_data is free()d by the caller. `label` is bound
 * into the box: opening with another label fails, so a sealed value cannot be moved to another row. */
int secret_seal(const struct secret_key *key, const char *label, const void *data, size_t size,
		unsigned char **ret_data, size_t *ret_size, struct nel_err *err);

/* Opens what secret_seal() made. *ret_data has a NUL byte behind it; give it to secret_free(). */
int secret_open(const struct secret_key *key, const char *label, const unsigned char *sealed, size_t sealed_size,
		char **ret_data, size_t *ret_size, struct nel_err *err);

/* The same of a JSON object; secret_free_json(). */
int secret_open_json(const struct secret_key *key, const char *label, const unsigned char *sealed, size_t sealed_size,
		     json_t **ret_object, struct nel_err *err);

#define SECRET_FINGERPRINT_SIZE 33

/* Equal for equal texts under the same key, and of no use to whoever has not the key: 32 hex digits. */
void secret_fingerprint(const struct secret_key *key, const char *text, size_t size,
			char ret_fingerprint[SECRET_FINGERPRINT_SIZE]);

void secret_free(char *data, size_t size); /* wipes, then frees */
void secret_wipe(char *text);              /* wipes a NUL-terminated string in place; accepts NULL */

/* Wipes the texts of a JSON object's members, then json_decref()s it; accepts NULL. */
void secret_free_json(json_t *object);

static inline void secret_json_freep(json_t **object)
{
	secret_free_json(*object);
	*object = NULL;
}

/* SHA-256, in hex. */
void secret_hash(const char *text, char ret_hash[SECRET_HASH_SIZE]);

/* The same of a token. Tokens have 256 random bits, so a plain hash is enough, and so is a plain search for it: how
 * long that takes tells at most how a hash begins, which is of no use for finding a token with another hash. Each
 * thread remembers the hashes of some tokens (not the tokens) by their keyed hashes, which cost a tenth. */
void secret_token_hash(const char *token, char ret_hash[SECRET_HASH_SIZE]);

#endif
