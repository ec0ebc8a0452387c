/* Where a request ends and which headers are its own: what two readers of one connection could read differently (a
 * proxy and this daemon, RFC 9112 section 11.2) is refused. */
#ifndef NEL_API_HTTP_FRAMING_H
#define NEL_API_HTTP_FRAMING_H

#include "base/err.h"

#include <microhttpd.h>
#include <stdbool.h>

/* What the URI callback sees of a request's target, before libmicrohttpd takes it apart. */
struct framing_target {
	const char *end; /* in libmicrohttpd's buffer */
	bool has_control;
};

struct framing_target framing_target(const char *uri);

/* In the first call of the access handler, before anything of the request is believed: INVALID when its line or headers
 * are not as RFC 9112 writes them: bare CR or LF, NUL or other control characters, names that are no tokens, Host
 * missing or repeated, Content-Length repeated or beside Transfer-Encoding, a Transfer-Encoding other than chunked.
 * *ret_last, set in every case: whatever follows on the connection is not to be read as a request. */
int framing_check(struct MHD_Connection *connection, const struct framing_target *target, const char *version,
		  bool *ret_last, struct nel_err *err);

#endif
