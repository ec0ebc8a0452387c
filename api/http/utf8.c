/* Owns what well-formed UTF-8 is. */
#include "api/http/utf8.h"

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

size_t utf8_character(const unsigned char *p, size_t size)
{
	if (size == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		return size >= 2 && is_continuation(p[1]) ? 2 : 0;
	if (p[0] >= 0xe0 && p[0] <= 0xef) {
		if (size < 3 || !is_continuation(p[1]) || !is_continuation(p[2]))
			return 0;
		bool overlong = p[0] == 0xe0 && p[1] < 0xa0;
		bool surrogate = p[0] == 0xed && p[1] > 0x9f;
		return overlong || surrogate ? 0 : 3;
	}
	if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		if (size < 4 || !is_continuation(p[1]) || !is_continuation(p[2]) || !is_continuation(p[3]))
			return 0;
		bool overlong = p[0] == 0xf0 && p[1] < 0x90;
		bool too_large = p[0] == 0xf4 && p[1] > 0x8f;
		return overlong || too_large ? 0 : 4;
	}
	return 0;
}

bool utf8_ok(const char *data, size_t size)
{
	const unsigned char *p = (const unsigned char *)data;
	for (size_t i = 0; i < size;) {
		size_t n = utf8_character(p + i, size - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}
