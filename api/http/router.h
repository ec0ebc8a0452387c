/* Which handler a request goes to. The table of routes is routes.def. */
#ifndef NEL_API_HTTP_ROUTER_H
#define NEL_API_HTTP_ROUTER_H

#include "api/http/request.h"

#define ROUTE_ROLE_NONE (-1)

/* As routes.def explains them. */
enum route_access { ACCESS_LOGIN, ACCESS_OPEN, ACCESS_ALWAYS, ACCESS_METRICS };
enum route_body { BODY_NONE, BODY_EMPTY, BODY_READ };

struct route {
	const char *method;
	const char *path;
	const char *operation;
	int role; /* the least enum role, or ROUTE_ROLE_NONE */
	enum route_access access;
	enum route_body body;
	const char *query; /* for query_check() */
	int (*handle)(struct request *request, struct nel_err *err);
};

/* Sets request->route and its captures (decoded). NOTFOUND: no such path; status 405 with Allow: another method. HEAD
 * is served as GET. */
int router_find(struct request *request, struct nel_err *err);

/* The route's place in the table, and the other way round (NULL: there are not so many). */
size_t router_index(const struct route *route);
const struct route *router_at(size_t index);

#endif
