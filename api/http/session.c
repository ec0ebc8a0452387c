/* Owns the cookie, and what is believed of where a browser's request comes from. */
#include "api/http/session.h"

#include "base/mem.h"
#include "base/secret.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define COOKIE "nel_session"

const char *session_cookie(const struct request *request)
{
	return MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, COOKIE);
}

/* "https://host:port" against "host:port". */
static bool is_own_origin(const struct request *request, const char *origin)
{
	const char *host = request_header(request, MHD_HTTP_HEADER_HOST);
	const char *authority = strstr(origin, "://");
	return host != NULL && authority != NULL && strcasecmp(authority + 3, host) == 0;
}

int session_check_origin(const struct request *request, bool wanted, struct nel_err *err)
{
	const char *site = request_header(request, "Sec-Fetch-Site");
	const char *origin = request_header(request, MHD_HTTP_HEADER_ORIGIN);
	bool own = !wanted;
	if (!request_is_write(request))
		return 0;
	if (site != NULL)
		own = strcmp(site, "same-origin") == 0;
	else if (origin != NULL)
		own = is_own_origin(request, origin);
	if (own)
		return 0;
	return err_set(err, NEL_DENIED,
		       "what a browser sends must come from the service's own page; others send a token "
		       "in the Authorization header");
}

/* TLS ends here, or at a proxy that says so. */
static bool is_over_tls(const struct request *request)
{
	const char *scheme = request_header(request, "X-Forwarded-Proto");
	return MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) != NULL ||
	       (scheme != NULL && strcasecmp(scheme, "https") == 0);
}

/* Without a Path the cookie goes to what lies beside /v1/session, as the browser sees it: the API, below whatever path
 * a proxy has put it (RFC 6265, section 5.1.4). */
void session_set_cookie(struct request *request, const char *token, int64_t life_s)
{
	CLEANUP(mem_freep)
	char *cookie =
	    mem_printf(COOKIE "=%s; Max-Age=%" PRId64 "; HttpOnly; SameSite=Strict%s", token == NULL ? "" : token,
		       token == NULL ? 0 : life_s, is_over_tls(request) ? "; Secure" : "");
	request_add_header(request, MHD_HTTP_HEADER_SET_COOKIE, cookie);
	secret_wipe(cookie);
}
