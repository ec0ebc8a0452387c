#include "base/json_or_null.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/utf8.h"

#include <math.h>
#include <string.h>

json_t *json_or_null_text(const char *text)
{
	if (text == NULL)
		return json_null();
	size_t size = strlen(text);
	CLEANUP(str_done) struct str clean = {0};
	for (size_t at = 0; at < size;) {
		uint32_t code = 0;
		size_t length = utf8_decode(text + at, size - at, &code);
		if (length == 0)
			str_append_c(&clean, '?');
		else
			str_append_n(&clean, text + at, length);
		at += length == 0 ? 1 : length;
	}
	return json_string(str_text(&clean));
}

json_t *json_or_null_time(int64_t at_s)
{
	char text[CLOCK_RFC3339_SIZE];
	return at_s == 0 ? json_null() : json_string(clock_rfc3339(at_s, text));
}

json_t *json_or_null_number(double number)
{
	return isfinite(number) ? json_real(number) : json_null();
}
