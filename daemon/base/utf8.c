/* UTF-8 as RFC 3629 defines it. */
#include "base/utf8.h"

#include <string.h>

size_t utf8_decode(const char *text, size_t size, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	if (size == 0)
		return 0;
	size_t length = p[0] < 0x80                   ? 1
			: p[0] >= 0xc2 && p[0] < 0xe0 ? 2
			: p[0] >= 0xe0 && p[0] < 0xf0 ? 3
			: p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						      : 0;
	if (length == 0 || length > size)
		return 0;
	uint32_t code = length == 1 ? p[0] : p[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3fU);
	}
	if (code < least[length] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
		return 0;
	*ret_code = code;
	return length;
}

bool utf8_ok(const char *text, size_t size)
{
	for (size_t i = 0; i < size;) {
		uint32_t code = 0;
		size_t length = utf8_decode(text + i, size - i, &code);
		if (length == 0)
			return false;
		i += length;
	}
	return true;
}

size_t utf8_mark_size(const char *text, size_t size)
{
	static const char mark[] = {'\xef', '\xbb', '\xbf'};
	return size >= sizeof mark && memcmp(text, mark, sizeof mark) == 0 ? sizeof mark : 0;
}
