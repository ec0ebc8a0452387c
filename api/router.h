/* Which handler a request goes to. The table of routes is routes.def. */
#ifndef NEL_API_ROUTER_H
#define NEL_API_ROUTER_H

#include "api/request.h"

#define ROUTE_ROLE_NONE (-1)

struct route {
	const char *method;
	const char *path;
	const char *operation;
	int role; /* the least enum role, or ROUTE_ROLE_NONE */
	int (*handle)(struct request *request, struct nel_err *err);
};

/* Sets request->route and its captures (decoded). NOTFOUND: no such path; status 405 with Allow: another method. HEAD
 * is served as GET. */
int router_find(struct request *request, struct nel_err *err);

#endif
