/* UTF-8 (RFC 3629): what enters as text must be it, since JSON has no other. Pure. */
#ifndef NEL_API_HTTP_UTF8_H
#define NEL_API_HTTP_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at p, of which `size` are readable: 1 to 4; 0 when it is not well-formed. */
size_t utf8_character(const unsigned char *p, size_t size);

bool utf8_ok(const char *data, size_t size);

#endif
