/* Owns a request: its text, its body up to the limit, what a reply will carry. */
#include "api/http/request.h"

#include "api/http/media.h"
#include "api/http/wait_room.h"
#include "base/clock.h"
#include "base/mem.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Unique, not secret: a thread counts on from a random number, and mixing (splitmix64's, which maps no two numbers to
 * one) makes the ids look unlike each other. No system call for each request. */
static void make_id(char id[REQUEST_ID_SIZE_MAX + 1])
{
	static const char digits[] = "0123456789abcdef";
	static _Thread_local uint64_t next;
	if (next == 0)
		randombytes_buf(&next, sizeof next);
	uint64_t x = next++;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	x ^= x >> 31;
	for (int i = 0; i < 16; i++, x >>= 4)
		id[i] = digits[x & 15];
	id[16] = '\0';
}

struct request *request_new(struct api_server *server, struct service *service, struct MHD_Connection *connection,
			    const char *uri)
{
	size_t size = strlen(uri) + 1;
	struct request *request = mem_calloc(1, sizeof *request + 2 * size);
	request->server = server;
	request->service = service;
	request->connection = connection;
	request->started_us = clock_mono_us();
	make_id(request->id);
	memcpy(request->text, uri, size);
	memcpy(request->text + size, uri, size);
	request->path_copy = request->text + size;
	size_t path_size = strcspn(uri, "?");
	if (uri[path_size] == '?') {
		request->text[path_size] = '\0';
		request->path_copy[path_size] = '\0';
		request->raw_query = request->path_copy + path_size + 1;
	}
	request->path = request->text;
	return request;
}

void request_free(struct request *request)
{
	if (request == NULL)
		return;
	waiter_release(request->waiter);
	if (request->state_free != NULL)
		request->state_free(request->state);
	if (request->response != NULL)
		MHD_destroy_response(request->response);
	for (size_t i = 0; i < request->header_count; i++)
		free(request->headers[i].value);
	if (request->body.data != NULL)
		secret_wipe(request->body.data);
	str_done(&request->body);
	query_params_done(&request->query);
	json_decref(request->errors);
	json_decref(request->warnings);
	free(request);
}

void request_take_id(struct request *request)
{
	static const char sane[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	const char *id = request_header(request, "X-Request-Id");
	if (id == NULL)
		return;
	size_t size = strlen(id);
	if (size > 0 && size <= REQUEST_ID_SIZE_MAX && strspn(id, sane) == size)
		memcpy(request->id, id, size + 1);
}

bool request_is_head(const struct request *request)
{
	return strcmp(request->method, MHD_HTTP_METHOD_HEAD) == 0;
}

bool request_is_write(const struct request *request)
{
	return strcmp(request->method, MHD_HTTP_METHOD_GET) != 0 && !request_is_head(request);
}

const char *request_header(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

void request_add_header(struct request *request, const char *name, const char *value)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (strcmp(request->headers[i].name, name) == 0) {
			free(request->headers[i].value);
			request->headers[i].value = mem_strdup(value);
			return;
		}
	}
	if (request->header_count < REQUEST_HEADERS_MAX)
		request->headers[request->header_count++] =
		    (struct request_header){.name = name, .value = mem_strdup(value)};
}

void request_drop_header(struct request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (strcmp(request->headers[i].name, name) == 0) {
			free(request->headers[i].value);
			request->headers[i] = request->headers[--request->header_count];
			return;
		}
	}
}

int request_fail(struct request *request, int status, struct nel_err *err, enum nel_err_kind kind, const char *fmt, ...)
{
	char text[NEL_ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	request->fail_status = status;
	return err_set(err, kind, "%s", text);
}

static int too_large(struct request *request, struct nel_err *err)
{
	return request_fail(request, MHD_HTTP_CONTENT_TOO_LARGE, err, NEL_INVALID,
			    "the body is larger than %zu bytes (limits.config_bytes)", request->body_limit);
}

int request_check_length(struct request *request, struct nel_err *err)
{
	const char *text = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
	long long length = 0;
	if (request_is_write(request) && text != NULL && str_to_int(text, 0, INT64_MAX, &length) &&
	    (unsigned long long)length > request->body_limit)
		return too_large(request, err);
	return 0;
}

int request_check_encoding(struct request *request, struct nel_err *err)
{
	const char *encoding = request_header(request, MHD_HTTP_HEADER_CONTENT_ENCODING);
	if (!request_is_write(request) || encoding == NULL || strcasecmp(encoding, "identity") == 0)
		return 0;
	request_add_header(request, MHD_HTTP_HEADER_ACCEPT_ENCODING, "identity");
	return request_fail(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, err, NEL_INVALID,
			    "Content-Encoding %.64s is not understood here: send the body as it is, without one",
			    encoding);
}

int request_take_body(struct request *request, const char *data, size_t size, struct nel_err *err)
{
	request->body_seen += size;
	if (request->refused || !request_is_write(request))
		return 0;
	if (request->body_seen > request->body_limit) {
		if (request->body.data != NULL)
			secret_wipe(request->body.data);
		str_done(&request->body);
		return too_large(request, err);
	}
	str_append_n(&request->body, data, size);
	return 0;
}

int request_wants_csv(struct request *request, bool *ret_csv, struct nel_err *err)
{
	const char *format = query_get(&request->query, "format");
	request_add_header(request, MHD_HTTP_HEADER_VARY, "Accept");
	if (format == NULL)
		*ret_csv =
		    media_prefers(request_header(request, MHD_HTTP_HEADER_ACCEPT), "text/csv", "application/json");
	else if (strcmp(format, "csv") == 0 || strcmp(format, "json") == 0)
		*ret_csv = strcmp(format, "csv") == 0;
	else
		return err_set(err, NEL_INVALID, "query parameter \"format\" must be json or csv");
	return 0;
}

int request_check_query(struct request *request, const char *known, struct nel_err *err)
{
	if (request->raw_query == NULL)
		return 0;
	if (query_parse(request->raw_query, &request->query, err) != 0)
		return -1;
	return query_check(&request->query, known, err);
}

int request_read_object(struct request *request, json_t **ret_object, struct nel_err *err)
{
	*ret_object = NULL;
	if (request->body.len == 0)
		return 0;
	if (media_kind_of(request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE)) != MEDIA_JSON) {
		CLEANUP(str_done) struct str types = {0};
		str_append(&types, "application/json");
		if (request->other_type != NULL)
			str_appendf(&types, ", %s", request->other_type);
		request_add_header(request, "Accept-Post", str_text(&types));
		return request_fail(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, err, NEL_INVALID,
				    "a body must be application/json%s%s here",
				    request->other_type != NULL ? " or " : "",
				    request->other_type != NULL ? request->other_type : "");
	}
	CLEANUP(json_freep)
	json_t *body = json_loadb(request->body.data, request->body.len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(body))
		return err_set(err, NEL_INVALID, "the body must be empty or a JSON object");
	*ret_object = TAKE(body);
	return 0;
}

int request_no_body(struct request *request, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *body = NULL;
	if (request_read_object(request, &body, err) != 0)
		return -1;
	const char *name = NULL;
	json_t *value = NULL;
	json_object_foreach(body, name, value)
		return err_set(err, NEL_INVALID, "unknown field \"%.64s\": no field is known here", name);
	return 0;
}
