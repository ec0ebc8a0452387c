/* Replies that tell of an error: RFC 9457 problem documents. Here alone error kinds become HTTP statuses. */
#ifndef NEL_API_HTTP_PROBLEM_DETAILS_H
#define NEL_API_HTTP_PROBLEM_DETAILS_H

#include "api/http/request.h"
#include "base/json_out.h"

/* Makes the reply for request->err, with request->fail_status and request->errors where they are set. 0, or -1 when not
 * even that can be made. */
int problem_reply(struct request *request);

/* The HTTP status of an error. */
int problem_status(const struct nel_err *err, bool has_errors);

/* An array of {"pointer","message","line","column"}; members that an item lacks become null. */
void problem_list(struct json_out *out, const char *name, const json_t *problems);

#endif
