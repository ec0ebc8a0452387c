/* Owns the layout of cursors. */
#include "api/http/cursor.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

/* Layout: kind (1 byte), position (8, most significant first), check (4). The check guards against mistakes, not
 * against malice: a forged cursor shows nothing that a plain list would not. */
#define BODY_SIZE 9
#define CHECK_SIZE 4
#define RAW_SIZE (BODY_SIZE + CHECK_SIZE)
#define BASE64_VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

static void compute_check(const unsigned char body[BODY_SIZE], unsigned char ret_check[CHECK_SIZE])
{
	static const unsigned char key[crypto_shorthash_KEYBYTES + 1] = "nel list cursors";
	unsigned char hash[crypto_shorthash_BYTES];
	crypto_shorthash(hash, body, BODY_SIZE, key);
	memcpy(ret_check, hash, CHECK_SIZE);
}

void cursor_format(enum cursor_kind kind, int64_t position, char ret_cursor[CURSOR_SIZE])
{
	unsigned char raw[RAW_SIZE];
	raw[0] = (unsigned char)kind;
	for (int i = 0; i < 8; i++)
		raw[1 + i] = (unsigned char)((uint64_t)position >> (56 - 8 * i));
	compute_check(raw, raw + BODY_SIZE);
	sodium_bin2base64(ret_cursor, CURSOR_SIZE, raw, sizeof raw, BASE64_VARIANT);
}

int cursor_parse(enum cursor_kind kind, const char *cursor, int64_t *ret_position, struct nel_err *err)
{
	unsigned char raw[RAW_SIZE];
	unsigned char check[CHECK_SIZE];
	size_t size = 0;
	const char *end = NULL;
	bool decoded =
	    sodium_base642bin(raw, sizeof raw, cursor, strlen(cursor), NULL, &size, &end, BASE64_VARIANT) == 0;
	if (decoded && size == sizeof raw && *end == '\0') {
		compute_check(raw, check);
		uint64_t position = 0;
		for (int i = 0; i < 8; i++)
			position = position << 8 | raw[1 + i];
		if (memcmp(check, raw + BODY_SIZE, CHECK_SIZE) == 0 && raw[0] == (unsigned char)kind &&
		    position <= INT64_MAX) {
			*ret_position = (int64_t)position;
			return 0;
		}
	}
	return err_set(err, NEL_INVALID, "query parameter \"cursor\" is not one that this list gave");
}
