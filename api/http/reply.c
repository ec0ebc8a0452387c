/* Owns the headers of replies and their entity tags. */
#include "api/http/reply.h"

#include "api/http/cors.h"
#include "api/http/counters.h"
#include "api/http/media.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/secret.h"

#include <sodium.h>
#include <string.h>

#define ETAG_HASH_SIZE ((REPLY_ETAG_SIZE - 3) / 2)

int reply_response(struct request *request, int status, const char *type, struct MHD_Response *response,
		   struct nel_err *err)
{
	if (response == NULL)
		return err_set(err, NEL_INTERNAL, "a response could not be made");
	if (request->response != NULL)
		MHD_destroy_response(request->response);
	request->response = response;
	request->status = status;
	bool ok = MHD_add_response_header(response, "X-Request-Id", request->id) == MHD_YES;
	if (ok && type != NULL)
		ok = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES;
	for (size_t i = 0; i < request->header_count && ok; i++)
		ok = MHD_add_response_header(response, request->headers[i].name, request->headers[i].value) == MHD_YES;
	ok = ok && cors_add_headers(request, response);
	return ok ? 0 : err_set(err, NEL_INTERNAL, "a response header was refused");
}

static struct MHD_Response *empty_response(void)
{
	return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
}

bool reply_not_modified(struct request *request, const char *etag)
{
	request_add_header(request, MHD_HTTP_HEADER_ETAG, etag);
	return media_etag_matches(request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH), etag) &&
	       reply_response(request, MHD_HTTP_NOT_MODIFIED, NULL, empty_response(), NULL) == 0;
}

int reply_nothing(struct request *request, struct nel_err *err)
{
	return reply_response(request, MHD_HTTP_NO_CONTENT, NULL, empty_response(), err);
}

void reply_etag(const char *data, size_t size, char ret_etag[REPLY_ETAG_SIZE])
{
	unsigned char hash[ETAG_HASH_SIZE];
	crypto_generichash(hash, sizeof hash, (const unsigned char *)data, size, NULL, 0);
	ret_etag[0] = '"';
	sodium_bin2hex(ret_etag + 1, 2 * ETAG_HASH_SIZE + 1, hash, sizeof hash);
	ret_etag[REPLY_ETAG_SIZE - 2] = '"';
	ret_etag[REPLY_ETAG_SIZE - 1] = '\0';
}

int reply_text(struct request *request, int status, const char *type, struct str *body, struct nel_err *err)
{
	size_t size = body->len;
	if (status == MHD_HTTP_OK && !request_is_write(request)) {
		if (request->etag[0] == '\0')
			reply_etag(str_text(body), size, request->etag);
		if (reply_not_modified(request, request->etag)) {
			str_done(body);
			return 0;
		}
	}
	char *data = str_take(body);
	struct MHD_Response *response = MHD_create_response_from_buffer(size, data, MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
		free(data);
	return reply_response(request, status, type, response, err);
}

int reply_json_text(struct request *request, int status, struct str *body, struct nel_err *err)
{
	return reply_text(request, status, "application/json", body, err);
}

#define SECRET_ROOM (16 * 1024) /* more than any such reply has */

void reply_secret_room(struct str *body)
{
	*body = (struct str){.data = mem_calloc(SECRET_ROOM, 1), .cap = SECRET_ROOM};
}

static void wipe(void *data)
{
	secret_wipe(data);
	free(data);
}

int reply_json_secret(struct request *request, int status, struct str *body, struct nel_err *err)
{
	size_t size = body->len;
	char *data = str_take(body);
	struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(size, data, wipe);
	if (response == NULL)
		wipe(data);
	return reply_response(request, status, "application/json", response, err);
}

int reply_json(struct request *request, int status, const json_t *json, struct nel_err *err)
{
	if (json == NULL)
		return err_set(err, NEL_INTERNAL, "a reply is no JSON");
	struct json_out body = {0};
	out_value(&body, NULL, json);
	return reply_json_text(request, status, &body.text, err);
}
