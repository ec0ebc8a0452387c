/* Owns the reading of SSH's strings, and of the lines that keys are written as. */
#include "ssh/blob.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <sodium.h>
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

unsigned char *blob_from_line(const char *line, size_t *ret_size)
{
	const char *body = line + strcspn(line, " \t");
	body += strspn(body, " \t");
	size_t room = strcspn(body, " \t\r\n");
	CLEANUP(mem_freep) unsigned char *data = mem_calloc(room + 1, 1);
	const char *end = NULL;
	struct blob blob, type;
	if (sodium_base642bin(data, room, body, room, NULL, ret_size, &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != body + room)
		return NULL;
	blob = (struct blob){data, *ret_size};
	size_t type_size = strcspn(line, " \t");
	if (!blob_take_string(&blob, &type) || type.size != type_size || memcmp(type.data, line, type_size) != 0)
		return NULL;
	return TAKE(data);
}
