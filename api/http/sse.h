/* Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.5): the text of a
 * stream, and whether a client wants one. Pure. */
#ifndef NEL_API_HTTP_SSE_H
#define NEL_API_HTTP_SSE_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define SSE_TYPE "text/event-stream"

/* A listener gets a byte at least this often, so that proxies keep the connection and a dead one is found out. */
#define SSE_HEARTBEAT_MS 10000

/* Appends one event: its id (NULL: none), its name (NULL: "message"), its data. Line breaks within data (LF, CR, CRLF)
 * become further data lines; in id and name they would end the field, so what follows them is left out. */
void sse_event(struct str *s, const char *id, const char *name, const char *data);

/* Appends a comment, which clients ignore: a sign of life. With an id (NULL: none), which they keep as the last one. */
void sse_heartbeat(struct str *s, const char *id);

/* Appends how long a client waits before it connects again. */
void sse_retry(struct str *s, int64_t retry_ms);

/* Does a request with this Accept header (NULL: none) want a stream rather than JSON? */
bool sse_wanted(const char *accept);

#endif
