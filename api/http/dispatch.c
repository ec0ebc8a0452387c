/* Owns the order of what happens to a request, and its log line. */
#include "api/http/dispatch.h"

#include "api/http/auth.h"
#include "api/http/cors.h"
#include "api/http/counters.h"
#include "api/http/problem_details.h"
#include "api/http/reply.h"
#include "api/http/request.h"
#include "api/http/request_audit.h"
#include "api/http/request_db.h"
#include "api/http/router.h"
#include "api/http/wait_room.h"
#include "base/clock.h"
#include "base/log.h"

#include <string.h>
#include <strings.h>

static struct dispatch_connection *connection_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info->socket_context;
}

static void set_reading_since(struct MHD_Connection *connection, int64_t at_ms)
{
	atomic_store_explicit(&connection_of(connection)->reading_since_ms, at_ms, memory_order_relaxed);
}

/* libmicrohttpd would keep a record of each parameter in the connection's memory; where that is too small for them
 * (0.9.75: some 500), the request is neither answered nor ended. It is given none: request_new() has a copy, and
 * query.h reads that. The text is libmicrohttpd's buffer, which it writes to itself right after this. */
static void hide_query(const char *uri)
{
	char *query = strchr((char *)uri, '?');
	if (query != NULL)
		query[1] = '\0';
}

void *dispatch_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct dispatch *dispatch = cls;
	struct dispatch_connection *kept = connection_of(connection);
	dispatch_abandon(kept);
	atomic_fetch_add(&dispatch->active, 1);
	struct request *request = request_new(dispatch->server, dispatch->service, connection, uri);
	request->on_unix = dispatch->on_unix;
	kept->dispatch = dispatch;
	kept->request = request;
	kept->target = framing_target(uri);
	hide_query(uri);
	return request;
}

static enum MHD_Result send_reply(struct request *request)
{
	request->phase = REQUEST_REPLIED;
	counters_reply(request->route, request->status, clock_mono_us() - request->started_us);
	return MHD_queue_response(request->connection, (unsigned)request->status, request->response);
}

static enum MHD_Result send_problem(struct request *request)
{
	if (problem_reply(request) != 0)
		return MHD_NO;
	return send_reply(request);
}

/* After a handler or what it left to be resumed: there is a reply, an error, or a lane was asked. */
static enum MHD_Result after_handler(struct request *request, int result)
{
	if (result != 0)
		return send_problem(request);
	if (request->response != NULL)
		return send_reply(request);
	request->phase = REQUEST_WAITING;
	return MHD_YES;
}

/* Everything that can be said before the body is there. */
static int check_head(struct request *request, bool on_unix, struct nel_err *err)
{
	request->body_limit = (size_t)request->service->settings->limits.config_bytes;
	request->keys_missing = false;
	if (request->route == NULL && router_find(request, err) != 0)
		return -1;
	if (auth_check(request, on_unix, err) != 0 && !request->keys_missing)
		return -1;
	return request_check_encoding(request, err) != 0 ? -1 : request_check_length(request, err);
}

/* What every handler may rely on. */
static int check_input(struct request *request, struct nel_err *err)
{
	if (request_check_query(request, request->route->query, err) != 0)
		return -1;
	return request->route->body == BODY_EMPTY ? request_no_body(request, err) : 0;
}

/* A refused body is not waited for when the client asks first, or when it is too long to read for nothing. */
static bool refuse_at_once(const struct request *request)
{
	const char *expect = request_header(request, MHD_HTTP_HEADER_EXPECT);
	const char *text = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
	long long length = 0;
	if (expect != NULL && strcasecmp(expect, "100-continue") == 0)
		return true;
	return text != NULL && str_to_int(text, 0, INT64_MAX, &length) && length > REQUEST_DRAIN_MAX;
}

/* A write is checked before its body comes. Others are checked when they are complete, so that the look at the token
 * and what the handler reads are one read transaction (but for a search, whose handler may write first). */
static enum MHD_Result head_came(struct request *request, const char *method, const char *version, bool on_unix)
{
	const struct dispatch_connection *kept = connection_of(request->connection);
	bool last = false;
	request->method = method;
	request->phase = REQUEST_READING;
	if (framing_check(request->connection, &kept->target, version, &last, &request->err) != 0) {
		request_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close");
		return send_problem(request);
	}
	if (last)
		request_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close");
	request_take_id(request);
	if (!request_is_write(request) || cors_is_preflight(request))
		return MHD_YES;
	request->refused = check_head(request, on_unix, &request->err) != 0;
	return request->refused && refuse_at_once(request) ? send_problem(request) : MHD_YES;
}

static enum MHD_Result body_came(struct request *request, const char *data, size_t size)
{
	if (request_take_body(request, data, size, &request->err) != 0)
		request->refused = true;
	bool endless = request->body_seen > REQUEST_DRAIN_MAX && request->body_seen > request->body_limit;
	return endless ? MHD_NO : MHD_YES;
}

/* A write begins its own transaction, which the look at who asks must not hold open. */
static int handle(struct request *request, struct nel_err *err)
{
	if (request_is_write(request))
		request_end_read(request);
	return check_input(request, err) != 0 ? -1 : request->route->handle(request, err);
}

/* The issuer's keys have come: who asks is looked at again, and for the last time. */
static int head_again(struct request *request, struct nel_err *err)
{
	return check_head(request, request->on_unix, err) != 0 ? -1 : handle(request, err);
}

static enum MHD_Result request_is_complete(struct request *request, bool on_unix)
{
	set_reading_since(request->connection, -1);
	if (cors_is_preflight(request)) {
		cors_answer_preflight(request);
		return after_handler(request, reply_nothing(request, &request->err));
	}
	if (!request_is_write(request) || request->keys_missing)
		request->refused = request->refused || check_head(request, on_unix, &request->err) != 0;
	if (request->refused)
		return send_problem(request);
	return after_handler(request, request->keys_missing ? auth_wait_for(request, head_again, &request->err)
							    : handle(request, &request->err));
}

static enum MHD_Result go_on(struct request *request, const char *method, const char *version, const char *data,
			     size_t size, bool on_unix)
{
	switch (request->phase) {
	case REQUEST_NEW: return head_came(request, method, version, on_unix);
	case REQUEST_READING: return size > 0 ? body_came(request, data, size) : request_is_complete(request, on_unix);
	case REQUEST_WAITING: return after_handler(request, request->resume(request, &request->err));
	case REQUEST_REPLIED: break;
	}
	return MHD_YES;
}

enum MHD_Result dispatch_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
				const char *version, const char *data, size_t *data_size, void **request)
{
	const struct dispatch *dispatch = cls;
	(void)connection;
	(void)url;
	enum MHD_Result result = go_on(*request, method, version, data, *data_size, dispatch->on_unix);
	request_end_read(*request);
	request_audit_end(*request);
	*data_size = 0;
	return result;
}

/* One line a request. The query is left out: overrides may hold what is nobody else's business. */
static void log_request(const struct request *request, bool aborted)
{
	enum log_level level = LOG_LEVEL_INFO;
	if (request->status >= 500)
		level = LOG_LEVEL_WARNING;
	else if (request->status < 400 && !request_is_write(request))
		level = LOG_LEVEL_DEBUG;
	LOG_AT(level, aborted ? "request aborted" : "request", LOG_S("request", request->id),
	       LOG_S("user", request->actor.name), LOG_S("method", request->method), LOG_S("path", request->path),
	       LOG_N("status", request->status), LOG_N("ms", (clock_mono_us() - request->started_us) / 1000));
}

static void end_request(struct dispatch_connection *kept, bool aborted)
{
	struct request *request = kept->request;
	if (request->actor.token_stale)
		auth_note_use(request);
	if (request->method != NULL)
		log_request(request, aborted);
	kept->request = NULL;
	request_free(request);
	atomic_fetch_sub(&kept->dispatch->active, 1);
}

void dispatch_abandon(struct dispatch_connection *kept)
{
	if (kept->request != NULL)
		end_request(kept, true);
}

void dispatch_completed(void *cls, struct MHD_Connection *connection, void **request,
			enum MHD_RequestTerminationCode why)
{
	struct dispatch_connection *kept = connection_of(connection);
	(void)cls;
	*request = NULL;
	if (kept->request == NULL)
		return;
	end_request(kept, why != MHD_REQUEST_TERMINATED_COMPLETED_OK);
	set_reading_since(connection, clock_mono_ms());
}
