/* Owns the reading of SSH's strings. */
#include "ssh/blob.h"

#include <string.h>

bool blob_take_number(struct blob *from, uint32_t *ret)
{
	if (from->size < 4)
		return false;
	const unsigned char *p = from->data;
	*ret = ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
	from->data += 4;
	from->size -= 4;
	return true;
}

bool blob_take_string(struct blob *from, struct blob *ret)
{
	struct blob rest = *from;
	uint32_t size;
	if (!blob_take_number(&rest, &size) || size > rest.size)
		return false;
	*ret = (struct blob){rest.data, size};
	*from = (struct blob){rest.data + size, rest.size - size};
	return true;
}

bool blob_is(struct blob blob, const char *word)
{
	return blob.size == strlen(word) && memcmp(blob.data, word, blob.size) == 0;
}
