/* The Range header (RFC 9110, section 14): one range of bytes. Pure. */
#ifndef NEL_API_HTTP_RANGE_H
#define NEL_API_HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

enum range_kind {
	RANGE_NONE,  /* no header, or one that the RFC lets a server ignore: other units, several ranges, bad syntax */
	RANGE_FROM,  /* first-last, or first- with last INT64_MAX */
	RANGE_SUFFIX /* -suffix: the last bytes */
};

struct range {
	enum range_kind kind;
	int64_t first;
	int64_t last; /* inclusive */
	int64_t suffix;
};

/* text may be NULL. */
struct range range_parse(const char *text);

/* The bytes that the range names in a file of that size: [*ret_offset, *ret_offset + *ret_length). False when it names
 * none (416). RANGE_NONE is the whole file. */
bool range_resolve(const struct range *range, int64_t file_size, int64_t *ret_offset, int64_t *ret_length);

#endif
