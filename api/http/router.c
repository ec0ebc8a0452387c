/* Owns the table of routes (routes.def) and the search in it. */
#include "api/http/router.h"

#include "api/http/handlers.h"

#include <string.h>

#define ROLE_NUMBER_NONE ROUTE_ROLE_NONE
#define ROLE_NUMBER_VIEWER ROLE_VIEWER
#define ROLE_NUMBER_USER ROLE_USER
#define ROLE_NUMBER_ADMIN ROLE_ADMIN

static const struct route routes[] = {
#define ROUTE(method, path, operation, role, access, body, query) \
	{#method, path, #operation, ROLE_NUMBER_##role, ACCESS_##access, BODY_##body, query, api_##operation},
#include "api/routes.def"
#undef ROUTE
};

#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

static int decode_captures(struct request *request, const struct path_capture *captures, size_t count,
			   struct nel_err *err)
{
	for (size_t i = 0; i < count; i++) {
		char *text = request->path_copy + captures[i].start;
		text[captures[i].size] = '\0';
		request->captures[i] = text;
	}
	for (size_t i = 0; i < count; i++)
		if (query_decode(request->path_copy + captures[i].start, false, "the path", err) != 0)
			return -1;
	return 0;
}

static void append_method(struct str *allow, const char *method)
{
	str_appendf(allow, "%s%s", allow->len == 0 ? "" : ", ", method);
	if (strcmp(method, MHD_HTTP_METHOD_GET) == 0)
		str_append(allow, ", HEAD");
}

static int refuse(struct request *request, struct str *allow, struct nel_err *err)
{
	if (allow->len == 0)
		return err_set(err, NEL_NOTFOUND, "no such path");
	request_add_header(request, MHD_HTTP_HEADER_ALLOW, str_text(allow));
	return request_fail(request, MHD_HTTP_METHOD_NOT_ALLOWED, err, NEL_INVALID,
			    "the method is not one of those this path has: %s", str_text(allow));
}

int router_find(struct request *request, struct nel_err *err)
{
	const char *method = request_is_head(request) ? MHD_HTTP_METHOD_GET : request->method;
	struct path_capture captures[PATH_CAPTURES_MAX];
	size_t count = 0;
	struct str allow = {0};
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (!path_match(routes[i].path, request->path, captures, &count))
			continue;
		if (strcmp(routes[i].method, method) == 0) {
			str_done(&allow);
			request->route = &routes[i];
			return decode_captures(request, captures, count, err);
		}
		append_method(&allow, routes[i].method);
	}
	int result = refuse(request, &allow, err);
	str_done(&allow);
	return result;
}

size_t router_index(const struct route *route)
{
	return (size_t)(route - routes);
}

const struct route *router_at(size_t index)
{
	return index < ROUTE_COUNT ? &routes[index] : NULL;
}
