/* Owns what pages of other origins are told. */
#include "api/http/cors.h"

#include "base/str.h"

#include <string.h>

#define METHODS "GET, HEAD, POST, PUT, PATCH, DELETE"
#define REQUEST_HEADERS \
	"Accept, Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Last-Event-ID, Range, " \
	"X-Request-Id"
#define REPLY_HEADERS \
	"Accept-Ranges, Content-Disposition, Content-Location, Content-Range, ETag, Link, Location, Nel-Kept-From, " \
	"Retry-After, X-Request-Id"
#define MAX_AGE_S "600" /* a browser asks again after this */

static bool is_any(char **origins)
{
	return strcmp(origins[0], "*") == 0;
}

/* The setting's list; NULL: nobody's pages. */
static char **permitted(const struct request *request)
{
	char **origins = request->service->settings->cors_origins;
	return origins != NULL && origins[0] != NULL ? origins : NULL;
}

/* The origin that the request is of, when it is permitted; else NULL. */
static const char *permitted_origin(const struct request *request)
{
	char **origins = permitted(request);
	const char *origin = request_header(request, MHD_HTTP_HEADER_ORIGIN);
	if (origins == NULL || origin == NULL)
		return NULL;
	return is_any(origins) || str_in(origin, (const char *const *)origins) ? origin : NULL;
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
	return MHD_add_response_header(response, name, value) == MHD_YES;
}

bool cors_add_headers(const struct request *request, struct MHD_Response *response)
{
	char **origins = permitted(request);
	const char *origin = permitted_origin(request);
	bool any = origins != NULL && is_any(origins);
	if (origins == NULL)
		return true;
	/* A cache must not give one origin's reply to another, which may not read it. */
	if (!any && !add(response, MHD_HTTP_HEADER_VARY, "Origin"))
		return false;
	if (origin == NULL)
		return true;
	/* With credentials "*" would be every page's way in with the cookies of whoever looks at it. */
	return add(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, any ? "*" : origin) &&
	       (any || add(response, "Access-Control-Allow-Credentials", "true")) &&
	       add(response, "Access-Control-Expose-Headers", REPLY_HEADERS);
}

bool cors_is_preflight(const struct request *request)
{
	return strcmp(request->method, MHD_HTTP_METHOD_OPTIONS) == 0 &&
	       request_header(request, "Access-Control-Request-Method") != NULL && permitted_origin(request) != NULL;
}

void cors_answer_preflight(struct request *request)
{
	request_add_header(request, "Access-Control-Allow-Methods", METHODS);
	request_add_header(request, "Access-Control-Allow-Headers", REQUEST_HEADERS);
	request_add_header(request, "Access-Control-Max-Age", MAX_AGE_S);
}
