/* The page's session: a token in a cookie that scripts cannot read, and that other sites' pages cannot use. */
#ifndef NEL_API_HTTP_SESSION_H
#define NEL_API_HTTP_SESSION_H

#include "api/http/request.h"

/* The token in the request's cookie, or NULL; libmicrohttpd's, until the request ends. */
const char *session_cookie(const struct request *request);

/* A write that a browser sends without a header of the page's own must come from the page itself: DENIED when
 * Sec-Fetch-Site (Fetch Metadata) or Origin (RFC 6454) says that it comes from elsewhere. `wanted`: one of them must be
 * there, as browsers send them with every write. Reads are let through. */
int session_check_origin(const struct request *request, bool wanted, struct nel_err *err);

/* Adds the header that sets the cookie, or, with NULL, takes it away. */
void session_set_cookie(struct request *request, const char *token, int64_t life_s);

#endif
