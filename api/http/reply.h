/* Replies that went well: JSON, text, nothing changed. Each adds the headers that every reply has. A handler makes
 * exactly one; they return 0, or -1 when libmicrohttpd fails. */
#ifndef NEL_API_HTTP_REPLY_H
#define NEL_API_HTTP_REPLY_H

#include "api/http/request.h"

/* Takes what `body` holds. A GET's or HEAD's 200 gets the request's etag, or else one from its content, and becomes 304
 * when the client has it already. type is static. */
int reply_text(struct request *request, int status, const char *type, struct str *body, struct nel_err *err);

#define REPLY_ETAG_SIZE REQUEST_ETAG_SIZE

/* A strong entity tag: bodies with another content have another one. */
void reply_etag(const char *data, size_t size, char ret_etag[REPLY_ETAG_SIZE]);

/* JSON text. */
int reply_json_text(struct request *request, int status, struct str *body, struct nel_err *err);

/* JSON text with a secret in it: it is wiped when it has been sent. reply_secret_room() first, so that no copy stays
 * behind where it has grown. */
int reply_json_secret(struct request *request, int status, struct str *body, struct nel_err *err);
void reply_secret_room(struct str *body);

/* A JSON tree; borrowed. */
int reply_json(struct request *request, int status, const json_t *json, struct nel_err *err);

/* 204: done, and there is nothing to say. */
int reply_nothing(struct request *request, struct nel_err *err);

/* A made response, which becomes the request's. type NULL: none. */
int reply_response(struct request *request, int status, const char *type, struct MHD_Response *response,
		   struct nel_err *err);

/* If-None-Match names the tag (with quotes): then 304 is the reply, and true is returned. Adds the ETag header either
 * way. */
bool reply_not_modified(struct request *request, const char *etag);

#endif
