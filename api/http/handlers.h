/* The handlers, one for each row of routes.def. Each makes one reply, or fails, or asks a lane and sets
 * request->resume. What routes.def says of query and body has been checked. */
#ifndef NEL_API_HTTP_HANDLERS_H
#define NEL_API_HTTP_HANDLERS_H

#include "api/http/request.h"

#define ROUTE(method, path, operation, role, access, body, query) \
	int api_##operation(struct request *request, struct nel_err *err);
#include "api/routes.def"
#undef ROUTE

#endif
