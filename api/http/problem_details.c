/* Owns which HTTP status an error has, and what of it a client may read. */
#include "api/http/problem_details.h"

#include "api/http/reply.h"
#include "base/json_out.h"
#include "base/log.h"

#include <errno.h>

#define RETRY_AFTER_S "5"

static void problem_item(struct json_out *out, const json_t *problem)
{
	const json_t *line = json_object_get(problem, "line");
	const json_t *column = json_object_get(problem, "column");
	out_object(out, NULL);
	out_string(out, "pointer", json_string_value(json_object_get(problem, "pointer")));
	out_string(out, "message", json_string_value(json_object_get(problem, "message")));
	out_int_or_null(out, "line", json_integer_value(line), json_is_integer(line));
	out_int_or_null(out, "column", json_integer_value(column), json_is_integer(column));
	out_end(out);
}

void problem_list(struct json_out *out, const char *name, const json_t *problems)
{
	size_t i = 0;
	const json_t *problem = NULL;
	out_array(out, name);
	json_array_foreach(problems, i, problem)
		problem_item(out, problem);
	out_end(out);
}

int problem_status(const struct nel_err *err, bool has_errors)
{
	switch (err->kind) {
	case NEL_INVALID: return has_errors ? MHD_HTTP_UNPROCESSABLE_CONTENT : MHD_HTTP_BAD_REQUEST;
	case NEL_NOTFOUND: return MHD_HTTP_NOT_FOUND;
	case NEL_CONFLICT: return MHD_HTTP_CONFLICT;
	case NEL_DENIED: /* a login at a cluster that fails says nothing of what the client may do */
		return err->reason == NEL_REASON_NONE ? MHD_HTTP_FORBIDDEN : MHD_HTTP_BAD_GATEWAY;
	case NEL_BUSY: return MHD_HTTP_SERVICE_UNAVAILABLE;
	case NEL_REMOTE: return err->sys == ETIMEDOUT ? MHD_HTTP_GATEWAY_TIMEOUT : MHD_HTTP_BAD_GATEWAY;
	case NEL_DB: return MHD_HTTP_SERVICE_UNAVAILABLE;
	case NEL_OK:
	case NEL_NOMEM:
	case NEL_INTERNAL: break;
	}
	return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* What a client may read: faults of the daemon and its store are told in the log only. */
static const char *detail_of(const struct nel_err *err)
{
	switch (err->kind) {
	case NEL_DB: return "the store failed; the daemon's log has this request_id and the reason";
	case NEL_OK:
	case NEL_NOMEM:
	case NEL_INTERNAL: return "a fault of the daemon; its log has this request_id and the reason";
	case NEL_INVALID:
	case NEL_NOTFOUND:
	case NEL_CONFLICT:
	case NEL_DENIED:
	case NEL_BUSY:
	case NEL_REMOTE: break;
	}
	return err->msg;
}

static void log_fault(const struct request *request, int status)
{
	if (status >= 500)
		log_warning("request failed", LOG_S("request", request->id), LOG_N("status", status),
			    LOG_S("kind", err_kind_name(request->err.kind)), LOG_S("error", request->err.msg));
}

int problem_reply(struct request *request)
{
	int status = request->fail_status;
	if (status == 0)
		status = problem_status(&request->err, request->errors != NULL);
	log_fault(request, status);
	request_drop_header(request, MHD_HTTP_HEADER_ETAG); /* both are of what is not in this reply */
	request_drop_header(request, MHD_HTTP_HEADER_CONTENT_LOCATION);
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_S);
	struct json_out body = {0};
	out_object(&body, NULL);
	out_string(&body, "type", "about:blank");
	out_string(&body, "title", MHD_get_reason_phrase_for((unsigned)status));
	out_int(&body, "status", status);
	out_string(&body, "detail", detail_of(&request->err));
	out_string(&body, "request_id", request->id);
	if (request->errors != NULL)
		problem_list(&body, "errors", request->errors);
	if (json_array_size(request->warnings) > 0)
		problem_list(&body, "warnings", request->warnings);
	out_end(&body);
	return reply_text(request, status, "application/problem+json", &body.text, NULL);
}
