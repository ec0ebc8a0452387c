#include "base/secret.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_SIZE crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_SIZE crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HASH_MEMOS 16 /* a thread's */

struct secret_key {
	unsigned char bytes[KEY_SIZE];
};

int secret_init(struct nel_err *err)
{
	return sodium_init() < 0 ? err_set(err, NEL_INTERNAL, "libsodium cannot be initialised") : 0;
}

int secret_keygen(const char *path, struct nel_err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno == EEXIST ? NEL_CONFLICT : NEL_INTERNAL, errno, "cannot make %s", path);
	unsigned char bytes[KEY_SIZE];
	char line[KEY_SIZE * 2 + 2];
	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2hex(line, sizeof line, bytes, sizeof bytes);
	line[KEY_SIZE * 2] = '\n';
	ssize_t written = write(fd, line, KEY_SIZE * 2 + 1);
	int sys = written < 0 ? errno : ENOSPC;
	sodium_memzero(bytes, sizeof bytes);
	sodium_memzero(line, sizeof line);
	if (written != (ssize_t)(KEY_SIZE * 2 + 1))
		return err_sys(err, NEL_INTERNAL, sys, "cannot write %s", path);
	if (fsync(fd) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot write %s", path);
	return file_sync_name(path, err);
}

/* systemd.exec(5), Credentials: its directory lets in nobody but the service's account. Where the file system has ACLs
 * (tmpfs, with systemd 257), the right of that account shows in the mode as one of the group. */
static bool is_credential(const char *path)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	size_t length = directory == NULL ? 0 : strlen(directory);
	return length > 0 && strncmp(path, directory, length) == 0 && path[length] == '/';
}

int secret_key_load(const char *path, struct secret_key **ret_key, struct nel_err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno == ENOENT ? NEL_NOTFOUND : NEL_DENIED, errno,
			       "cannot read the master key %s (nel-slurmd keygen makes one)", path);
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_sys(err, NEL_DENIED, errno, "cannot read the master key %s", path);
	if ((st.st_mode & (is_credential(path) ? 027 : 077)) != 0)
		return err_set(err, NEL_DENIED, "the master key %s may be read by others: chmod 600 it", path);
	char line[KEY_SIZE * 2 + 2];
	ssize_t n = read(fd, line, sizeof line);
	/* What cannot be read is not yet a wrong key: rotate-key removes those. */
	if (n < 0)
		return err_sys(err, NEL_DENIED, errno, "cannot read the master key %s", path);
	struct secret_key *key = sodium_malloc(sizeof *key);
	size_t size = 0;
	if (key == NULL) {
		sodium_memzero(line, sizeof line);
		return err_sys(err, NEL_NOMEM, errno, "no memory that can be guarded for the master key");
	}
	int bad = n < (ssize_t)KEY_SIZE * 2 ||
		  sodium_hex2bin(key->bytes, KEY_SIZE, line, KEY_SIZE * 2, NULL, &size, NULL) != 0 || size != KEY_SIZE;
	sodium_memzero(line, sizeof line);
	if (bad) {
		secret_key_free(key);
		return err_set(err, NEL_INVALID, "%s is not a master key: %d hex digits are wanted", path,
			       (int)KEY_SIZE * 2);
	}
	sodium_mprotect_readonly(key);
	*ret_key = key;
	return 0;
}

void secret_key_free(struct secret_key *key)
{
	if (key != NULL)
		sodium_free(key); /* wipes */
}

int secret_seal(const struct secret_key *key, const char *label, const void *data, size_t size,
		unsigned char **ret_data, size_t *ret_size, struct nel_err *err)
{
	unsigned char *out = mem_calloc(NONCE_SIZE + size + TAG_SIZE, 1);
	randombytes_buf(out, NONCE_SIZE);
	unsigned long long box_size = 0;
	if (crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_SIZE, &box_size, data, size,
						       (const unsigned char *)label, strlen(label), NULL, out,
						       key->bytes) != 0) {
		free(out);
		return err_set(err, NEL_INTERNAL, "cannot seal %s", label);
	}
	*ret_data = out;
	*ret_size = NONCE_SIZE + (size_t)box_size;
	return 0;
}

int secret_open(const struct secret_key *key, const char *label, const unsigned char *sealed, size_t sealed_size,
		char **ret_data, size_t *ret_size, struct nel_err *err)
{
	if (sealed_size < NONCE_SIZE + TAG_SIZE)
		return err_set(err, NEL_DB, "the stored secret %s is too short", label);
	size_t room = sealed_size - NONCE_SIZE - TAG_SIZE + 1;
	char *out = mem_calloc(room, 1);
	unsigned long long size = 0;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)out, &size, NULL, sealed + NONCE_SIZE,
						       sealed_size - NONCE_SIZE, (const unsigned char *)label,
						       strlen(label), sealed, key->bytes) != 0) {
		free(out);
		return err_set(err, NEL_DENIED,
			       "the stored secret %s does not open: is this the master key it was sealed with?", label);
	}
	*ret_data = out;
	*ret_size = (size_t)size;
	return 0;
}

int secret_open_json(const struct secret_key *key, const char *label, const unsigned char *sealed, size_t sealed_size,
		     json_t **ret_object, struct nel_err *err)
{
	char *text = NULL;
	size_t size = 0;
	if (secret_open(key, label, sealed, sealed_size, &text, &size, err) != 0)
		return -1;
	json_t *object = json_loadb(text, size, JSON_ALLOW_NUL, NULL);
	secret_free(text, size);
	if (!json_is_object(object)) {
		json_decref(object);
		return err_set(err, NEL_DB, "the stored secret %s is no JSON object", label);
	}
	*ret_object = object;
	return 0;
}

void secret_fingerprint(const struct secret_key *key, const char *text, size_t size,
			char ret_fingerprint[SECRET_FINGERPRINT_SIZE])
{
	unsigned char hash[(SECRET_FINGERPRINT_SIZE - 1) / 2];
	crypto_generichash(hash, sizeof hash, (const unsigned char *)text, size, key->bytes, sizeof key->bytes);
	sodium_bin2hex(ret_fingerprint, SECRET_FINGERPRINT_SIZE, hash, sizeof hash);
}

void secret_free(char *data, size_t size)
{
	if (data == NULL)
		return;
	sodium_memzero(data, size);
	free(data);
}

void secret_wipe(char *text)
{
	if (text != NULL)
		sodium_memzero(text, strlen(text));
}

void secret_hash(const char *text, char ret_hash[SECRET_HASH_SIZE])
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
	sodium_bin2hex(ret_hash, SECRET_HASH_SIZE, hash, sizeof hash);
}

/* The hash of a token, found by another one, whose key is the thread's own and random: nobody can look for two tokens
 * that have the same. */
struct hash_memo {
	unsigned char keyed[crypto_shorthash_siphashx24_BYTES];
	char hash[SECRET_HASH_SIZE]; /* "": nothing */
};

static struct hash_memo *hash_memo_of(const unsigned char keyed[crypto_shorthash_siphashx24_BYTES])
{
	static _Thread_local struct hash_memo memos[HASH_MEMOS];
	return &memos[keyed[0] % HASH_MEMOS];
}

static void hash_by_own_key(const char *token, size_t size, unsigned char ret_keyed[crypto_shorthash_siphashx24_BYTES])
{
	static _Thread_local unsigned char key[crypto_shorthash_siphashx24_KEYBYTES];
	static _Thread_local bool has_key;
	if (!has_key)
		crypto_shorthash_keygen(key);
	has_key = true;
	crypto_shorthash_siphashx24(ret_keyed, (const unsigned char *)token, size, key);
}

void secret_token_hash(const char *token, char ret_hash[SECRET_HASH_SIZE])
{
	unsigned char keyed[crypto_shorthash_siphashx24_BYTES];
	size_t size = strlen(token);
	hash_by_own_key(token, size, keyed);
	struct hash_memo *memo = hash_memo_of(keyed);
	if (memo->hash[0] == '\0' || sodium_memcmp(memo->keyed, keyed, sizeof keyed) != 0) {
		secret_hash(token, memo->hash);
		memcpy(memo->keyed, keyed, sizeof keyed);
	}
	memcpy(ret_hash, memo->hash, sizeof memo->hash);
}

void secret_free_json(json_t *object)
{
	const char *name = NULL;
	json_t *value = NULL;
	json_object_foreach(object, name, value)
		/* jansson keeps strings in memory of its own that it hands out as const; it is ours to wipe. */
		secret_wipe((char *)(uintptr_t)json_string_value(value));
	json_decref(object);
}
