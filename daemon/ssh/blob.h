/* The strings of SSH's binary formats (RFC 4251, 5): a length of four bytes, the most significant first, and as many
 * bytes. No I/O. */
#ifndef NEL_SSH_BLOB_H
#define NEL_SSH_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of somebody else's that are still to be read. */
struct blob {
	const unsigned char *data;
	size_t size;
};

/* Takes a number or a string from the front; false, with nothing taken, when there is not a whole one. *ret points into
 * the same bytes. */
bool blob_take_number(struct blob *from, uint32_t *ret);
bool blob_take_string(struct blob *from, struct blob *ret);

bool blob_is(struct blob blob, const char *word);

/* The bytes of a line "type base64 [comment]", as in a .pub file; NULL when it is none. free() */
unsigned char *blob_from_line(const char *line, size_t *ret_size);

#endif
