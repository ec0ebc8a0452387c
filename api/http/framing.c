/* Owns the look at how a request was written. libmicrohttpd's strict mode leaves most of this alone. */
#include "api/http/framing.h"

#include <string.h>
#include <strings.h>

/* From 1.0 on libmicrohttpd itself refuses lines that end in a bare LF and NULs. Before, it overwrites a line's end in
 * its buffer with as many NULs as it had bytes and gives strings that lie in there; what follows a string's own NUL
 * tells whether it ended in CRLF. */
#define LIBRARY_HIDES_LINE_ENDS (MHD_VERSION < 0x01000000)

struct look {
	int hosts, lengths, encodings;
	bool other_encoding;
	const char *end; /* of the last line that was looked at */
	const char *fault;
};

static bool is_token(const char *text, size_t size)
{
	static const char also[] = "!#$%&'*+-.^_`|~";
	for (size_t i = 0; i < size; i++) {
		char c = text[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!letter && (c == '\0' || strchr(also, c) == NULL))
			return false;
	}
	return size > 0;
}

static bool has_control(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
			return true;
	return false;
}

static bool ends_in_crlf(const char *text, size_t size)
{
	return !LIBRARY_HIDES_LINE_ENDS || (text[size] == '\0' && text[size + 1] == '\0');
}

/* The last line and the empty one behind it. What lies behind a bare LF here is the next request. */
static bool ends_in_empty_line(const char *end)
{
	return !LIBRARY_HIDES_LINE_ENDS || (end[2] == '\0' && end[3] == '\0');
}

static const char *fault_of(const char *name, size_t name_size, const char *value, size_t value_size)
{
	if (!is_token(name, name_size))
		return "a header's name is not a token";
	if (value == NULL || has_control(value, value_size))
		return "a header's value has a control character";
	if (!ends_in_crlf(value, value_size))
		return "a header's line has a NUL or does not end in CR LF";
	return NULL;
}

/* MHD_KeyValueIteratorN. */
static enum MHD_Result look_at(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_size,
			       const char *value, size_t value_size)
{
	struct look *look = cls;
	(void)kind;
	look->fault = fault_of(name, name_size, value, value_size);
	if (look->fault != NULL)
		return MHD_NO;
	look->end = value + value_size;
	look->hosts += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
	look->lengths += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
	if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
		look->encodings++;
		look->other_encoding = look->other_encoding || strcasecmp(value, "chunked") != 0;
	}
	return MHD_YES;
}

struct framing_target framing_target(const char *uri)
{
	size_t size = strlen(uri);
	return (struct framing_target){.end = uri + size, .has_control = has_control(uri, size)};
}

static const char *line_fault(const struct framing_target *target, const char *version)
{
	if (target->has_control)
		return "the request's target has a control character";
	if (LIBRARY_HIDES_LINE_ENDS && version != target->end + 1)
		return "the request's line is not a method, a target and a version with one space between them";
	if (!ends_in_crlf(version, strlen(version)))
		return "the request's line has a NUL or does not end in CR LF";
	return NULL;
}

static const char *whole_fault(const struct look *look, const char *version)
{
	bool old = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
	if (!ends_in_empty_line(look->end))
		return "the headers do not end in CR LF CR LF";
	if (look->hosts > 1 || (look->hosts == 0 && !old))
		return "a request must have one Host header";
	if (look->lengths > 1)
		return "Content-Length stands more than once";
	if (look->encodings > 1 || look->other_encoding)
		return "Transfer-Encoding must be chunked, and stand once";
	if (look->encodings > 0 && (look->lengths > 0 || old))
		return "Transfer-Encoding stands beside Content-Length, or in HTTP/1.0";
	return NULL;
}

int framing_check(struct MHD_Connection *connection, const struct framing_target *target, const char *version,
		  bool *ret_last, struct nel_err *err)
{
	struct look look = {.end = version + strlen(version), .fault = line_fault(target, version)};
	if (look.fault == NULL)
		MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look_at, &look);
	if (look.fault == NULL)
		look.fault = whole_fault(&look, version);
	/* Lines within a chunked body are libmicrohttpd's to read, which takes bare LF there. */
	*ret_last = look.fault != NULL || look.encodings > 0;
	return look.fault == NULL ? 0 : err_set(err, NEL_INVALID, "%s", look.fault);
}
