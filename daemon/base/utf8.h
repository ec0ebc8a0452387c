/* UTF-8 as RFC 3629 defines it: one code point at a time. No I/O. */
#ifndef NEL_BASE_UTF8_H
#define NEL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the code point that starts at text (1 to 4 bytes, at most size), or 0 when the bytes are not UTF-8
 * (overlong forms and surrogates are not). */
size_t utf8_decode(const char *text, size_t size, uint32_t *ret_code);

/* Is all of it UTF-8? */
bool utf8_ok(const char *text, size_t size);

/* The size of the byte order mark (U+FEFF) that the text begins with, as some editors write it; 0: there is none. */
size_t utf8_mark_size(const char *text, size_t size);

#endif
