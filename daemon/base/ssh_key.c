/* Owns the format of new private keys: openssh-key-v1 around an ed25519 pair. */
#include "base/ssh_key.h"

#include "base/mem.h"
#include "base/secret.h"

#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TYPE "ssh-ed25519"
#define COMMENT_MAX 200
#define BLOCK 8 /* the private part is padded to this when it is not encrypted */
#define LINE_WIDTH 70
#define BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----\n"
#define END "-----END OPENSSH PRIVATE KEY-----\n"

/* Enough for either part of a key: magic and names, two keys, a comment. */
#define BUFFER_SIZE 1024

/* Bytes of a fixed room, so that no copy of a key is left behind by a growing one. */
struct buffer {
	size_t len;
	unsigned char data[BUFFER_SIZE];
};

static void put(struct buffer *b, const void *data, size_t size)
{
	memcpy(b->data + b->len, data, size);
	b->len += size;
}

static void put_number(struct buffer *b, uint32_t number)
{
	const unsigned char bytes[] = {(unsigned char)(number >> 24), (unsigned char)(number >> 16),
				       (unsigned char)(number >> 8), (unsigned char)number};
	put(b, bytes, sizeof bytes);
}

/* RFC 4251, section 5: "string". */
static void put_string(struct buffer *b, const void *data, size_t size)
{
	put_number(b, (uint32_t)size);
	put(b, data, size);
}

/* RFC 8709, section 4. */
static void put_public(struct buffer *b, const unsigned char *public_key)
{
	put_string(b, TYPE, strlen(TYPE));
	put_string(b, public_key, crypto_sign_PUBLICKEYBYTES);
}

static void put_private(struct buffer *b, const unsigned char *public_key, const unsigned char *secret_key,
			const char *comment)
{
	uint32_t check = randombytes_random();
	put_number(b, check);
	put_number(b, check);
	put_public(b, public_key);
	put_string(b, secret_key, crypto_sign_SECRETKEYBYTES);
	put_string(b, comment, strnlen(comment, COMMENT_MAX));
	for (unsigned char pad = 1; b->len % BLOCK != 0; pad++)
		put(b, &pad, 1);
}

static void put_key(struct buffer *b, const struct buffer *public_part, const struct buffer *private_part)
{
	static const char magic[] = "openssh-key-v1"; /* with its NUL */
	put(b, magic, sizeof magic);
	put_string(b, "none", 4); /* cipher */
	put_string(b, "none", 4); /* key derivation */
	put_string(b, "", 0);
	put_number(b, 1);
	put_string(b, public_part->data, public_part->len);
	put_string(b, private_part->data, private_part->len);
}

/* base64 in lines, between the two marks. */
static char *armor(const struct buffer *key, size_t *ret_size)
{
	char base64[BUFFER_SIZE * 2];
	sodium_bin2base64(base64, sizeof base64, key->data, key->len, sodium_base64_VARIANT_ORIGINAL);
	size_t width = strlen(base64);
	char *text = mem_calloc(1, sizeof BEGIN + sizeof END + width + width / LINE_WIDTH + 2);
	size_t len = strlen(BEGIN);
	memcpy(text, BEGIN, len);
	for (size_t at = 0; at < width; at += LINE_WIDTH) {
		size_t n = width - at < LINE_WIDTH ? width - at : LINE_WIDTH;
		memcpy(text + len, base64 + at, n);
		len += n;
		text[len++] = '\n';
	}
	memcpy(text + len, END, strlen(END));
	*ret_size = len + strlen(END);
	sodium_memzero(base64, sizeof base64);
	return text;
}

void ssh_key_new(const char *comment, char **ret_public, char **ret_private, size_t *ret_private_size)
{
	unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
	unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
	struct buffer public_part = {0};
	struct buffer private_part = {0};
	struct buffer key = {0};
	char base64[128];
	crypto_sign_keypair(public_key, secret_key);
	put_public(&public_part, public_key);
	put_private(&private_part, public_key, secret_key, comment);
	put_key(&key, &public_part, &private_part);
	sodium_bin2base64(base64, sizeof base64, public_part.data, public_part.len, sodium_base64_VARIANT_ORIGINAL);
	*ret_public = mem_printf(TYPE " %s", base64);
	*ret_private = armor(&key, ret_private_size);
	sodium_memzero(secret_key, sizeof secret_key);
	sodium_memzero(&private_part, sizeof private_part);
	sodium_memzero(&key, sizeof key);
}
