/* Cross-origin resource sharing (https://fetch.spec.whatwg.org/#http-cors-protocol): which pages of other origins a
 * browser lets read replies, as the setting cors says. It opens nothing to who has no credentials. */
#ifndef NEL_API_HTTP_CORS_H
#define NEL_API_HTTP_CORS_H

#include "api/http/request.h"

/* Adds the headers that the origin of the request gets, none unless the setting names it. False: out of memory. */
bool cors_add_headers(const struct request *request, struct MHD_Response *response);

/* Does a browser ask whether it may send the request of such a page? */
bool cors_is_preflight(const struct request *request);

/* Adds what it is told, whatever the path; the reply has no body. */
void cors_answer_preflight(struct request *request);

#endif
