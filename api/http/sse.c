/* Owns the framing of Server-Sent Events. */
#include "api/http/sse.h"

#include "api/http/media.h"

#include <inttypes.h>
#include <string.h>

/* One line: up to a line break, which ends a field. */
static void append_field(struct str *s, const char *name, const char *value)
{
	str_append(s, name);
	str_append(s, ": ");
	str_append_n(s, value, strcspn(value, "\r\n"));
	str_append_c(s, '\n');
}

void sse_event(struct str *s, const char *id, const char *name, const char *data)
{
	if (id != NULL)
		append_field(s, "id", id);
	if (name != NULL)
		append_field(s, "event", name);
	for (;;) {
		size_t size = strcspn(data, "\r\n");
		append_field(s, "data", data);
		if (data[size] == '\0')
			break;
		data += size + (data[size] == '\r' && data[size + 1] == '\n' ? 2 : 1);
	}
	str_append_c(s, '\n');
}

void sse_heartbeat(struct str *s, const char *id)
{
	str_append(s, ":\n");
	if (id != NULL)
		append_field(s, "id", id);
	str_append_c(s, '\n');
}

void sse_retry(struct str *s, int64_t retry_ms)
{
	str_appendf(s, "retry: %" PRId64 "\n\n", retry_ms);
}

bool sse_wanted(const char *accept)
{
	return media_prefers(accept, SSE_TYPE, "application/json");
}
