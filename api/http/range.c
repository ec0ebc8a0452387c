/* Owns the reading of Range headers. */
#include "api/http/range.h"

#include <string.h>
#include <strings.h>

#define DIGITS_MAX 18 /* every number of so many digits fits int64_t */

/* Reads the digits at *p and moves behind them; false when there are none or too many. */
static bool take_number(const char **p, int64_t *ret_value)
{
	size_t n = strspn(*p, "0123456789");
	if (n == 0 || n > DIGITS_MAX)
		return false;
	int64_t value = 0;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + ((*p)[i] - '0');
	*p += n;
	*ret_value = value;
	return true;
}

struct range range_parse(const char *text)
{
	const struct range none = {.kind = RANGE_NONE};
	if (text == NULL || strncasecmp(text, "bytes=", 6) != 0)
		return none;
	const char *p = text + 6;
	p += strspn(p, " \t");
	struct range range = {.kind = RANGE_FROM, .last = INT64_MAX};
	if (*p == '-') {
		p++;
		range.kind = RANGE_SUFFIX;
		if (!take_number(&p, &range.suffix))
			return none;
	} else {
		if (!take_number(&p, &range.first) || *p++ != '-')
			return none;
		if (*p >= '0' && *p <= '9' && !take_number(&p, &range.last))
			return none;
		if (range.last < range.first)
			return none;
	}
	p += strspn(p, " \t");
	return *p == '\0' ? range : none;
}

bool range_resolve(const struct range *range, int64_t file_size, int64_t *ret_offset, int64_t *ret_length)
{
	int64_t offset = 0;
	int64_t end = file_size;
	switch (range->kind) {
	case RANGE_NONE: break;
	case RANGE_FROM:
		if (range->first >= file_size)
			return false;
		offset = range->first;
		end = range->last < file_size ? range->last + 1 : file_size;
		break;
	case RANGE_SUFFIX:
		if (range->suffix == 0 || file_size == 0)
			return false;
		offset = range->suffix < file_size ? file_size - range->suffix : 0;
		break;
	}
	*ret_offset = offset;
	*ret_length = end - offset;
	return true;
}
