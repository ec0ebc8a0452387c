#include "api/v1/log_events.h"

#include "api/http/sse.h"
#include "base/cleanup.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define EVENT_BYTES_MAX 16384 /* of the log, in one event */

/* The size of the character at p; 0 when it is none. */
static size_t character(const unsigned char *p, size_t size)
{
	uint32_t code = 0;
	return utf8_decode((const char *)p, size, &code);
}

/* How many bytes are text; a NUL byte is none. */
static size_t text_length(const unsigned char *p, size_t size)
{
	size_t at = 0;
	while (at < size && at < EVENT_BYTES_MAX) {
		size_t length = p[at] == 0 ? 0 : character(p + at, size - at);
		if (length == 0)
			break;
		at += length;
	}
	return at;
}

/* Could these bytes be the beginning of a character whose rest is to come? */
static bool may_go_on(const unsigned char *p, size_t size)
{
	static const unsigned char fill[] = {0x80, 0xa0, 0x90, 0x8f};
	size_t want = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	unsigned char whole[4];
	if (p[0] < 0xc2 || p[0] > 0xf4 || size >= want)
		return false;
	for (size_t i = 0; i < sizeof fill; i++) { /* some second bytes go with some first ones only */
		memset(whole, 0x80, sizeof whole);
		whole[1] = fill[i];
		memcpy(whole, p, size);
		if (character(whole, want) == want)
			return true;
	}
	return false;
}

static size_t binary_length(const unsigned char *p, size_t size)
{
	size_t at = 1;
	while (at < size && at < EVENT_BYTES_MAX && (p[at] == 0 || character(p + at, size - at) == 0))
		at++;
	return at;
}

static void append_event(struct str *out, const char *prefix, int64_t offset, const char *data, size_t size, bool text)
{
	CLEANUP(json_out_done) struct json_out body = {0};
	CLEANUP(mem_freep) char *value = NULL;
	char id[320];
	out_object(&body, NULL);
	out_int(&body, "offset", offset);
	if (text) {
		value = mem_dup(data, size);
	} else {
		size_t length = sodium_base64_encoded_len(size, sodium_base64_VARIANT_ORIGINAL);
		value = mem_calloc(1, length);
		sodium_bin2base64(value, length, (const unsigned char *)data, size, sodium_base64_VARIANT_ORIGINAL);
	}
	out_string(&body, text ? "text" : "base64", value);
	out_end(&body);
	snprintf(id, sizeof id, "%s%" PRId64, prefix, offset + (int64_t)size);
	sse_event(out, id, NULL, str_text(&body.text));
}

size_t log_events_data(struct str *out, const char *prefix, int64_t offset, const char *data, size_t size, bool all)
{
	const unsigned char *p = (const unsigned char *)data;
	size_t at = 0;
	while (at < size) {
		size_t length = text_length(p + at, size - at);
		bool text = length > 0;
		if (!text && !all && size - at < 4 && may_go_on(p + at, size - at))
			break;
		if (!text)
			length = binary_length(p + at, size - at);
		/* What may become a character is not taken along with bytes that never will. */
		for (size_t i = 1; !text && !all && i < length; i++)
			if (at + length == size && length - i < 4 && may_go_on(p + at + i, length - i))
				length = i;
		append_event(out, prefix, offset + (int64_t)at, data + at, length, text);
		at += length;
	}
	return at;
}
