/* Handlers of /v1/identities: the keys with which the daemon logs in for a person, where each has one of his own. */
#include "service/identities.h"
#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/server_internal.h"
#include "api/http/wait_room.h"
#include "base/mem.h"
#include "base/secret.h"

int api_listIdentities(struct request *request, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *list = NULL;
	struct page page;
	struct db *db = NULL;
	if (page_parse_whole(request, &page, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    service_identities(request->service, db, &request->actor, &list, err) != 0)
		return -1;
	page_cut(request, &page, list);
	return reply_json(request, MHD_HTTP_OK, list, err);
}

static const char *user_of(const struct request *request)
{
	return query_get(&request->query, "user");
}

int api_getIdentity(struct request *request, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *identity = NULL;
	struct db *db = NULL;
	if (request_read_db(request, &db, err) != 0 ||
	    service_identity(request->service, db, &request->actor, user_of(request), request->captures[0], &identity,
			     err) != 0)
		return -1;
	return reply_json(request, MHD_HTTP_OK, identity, err);
}

int api_putIdentity(struct request *request, struct nel_err *err)
{
	static const char *const fields[] = {"username", NULL};
	CLEANUP(json_freep) json_t *body = NULL;
	CLEANUP(json_freep) json_t *identity = NULL;
	const char *username = NULL;
	struct db *db = NULL;
	bool made = false;
	if (body_object(request, fields, &body, err) != 0 ||
	    body_text(body, "username", false, 1, IDENTITY_USERNAME_MAX, &username, err) != 0 ||
	    request_db(request, &db, err) != 0 ||
	    service_put_identity(request->service, db, &request->actor, request->captures[0], username, &made,
				 &identity, err) != 0)
		return -1;
	return reply_json(request, made ? MHD_HTTP_CREATED : MHD_HTTP_OK, identity, err);
}

int api_putIdentityCertificate(struct request *request, struct nel_err *err)
{
	static const char *const fields[] = {"certificate", "private_key", NULL};
	json_t *body = NULL;
	CLEANUP(json_freep) json_t *identity = NULL;
	const char *certificate = NULL;
	const char *private_key = NULL;
	struct db *db = NULL;
	int rc = -1;
	if (body_object(request, fields, &body, err) == 0 &&
	    body_lines(body, "certificate", true, 1, IDENTITY_CERTIFICATE_MAX, &certificate, err) == 0 &&
	    body_lines(body, "private_key", false, 1, IDENTITY_KEY_MAX, &private_key, err) == 0 &&
	    request_db(request, &db, err) == 0)
		rc = service_put_certificate(request->service, db, &request->actor, request->captures[0], certificate,
					     private_key, &identity, err);
	secret_free_json(body);
	return rc == 0 ? reply_json(request, MHD_HTTP_OK, identity, err) : -1;
}

int api_deleteIdentityCertificate(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	if (request_db(request, &db, err) != 0 ||
	    service_delete_certificate(request->service, db, &request->actor, user_of(request), request->captures[0],
				       err) != 0)
		return -1;
	return reply_response(request, MHD_HTTP_NO_CONTENT, NULL,
			      MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT), err);
}

int api_deleteIdentity(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	if (request_db(request, &db, err) != 0 ||
	    service_delete_identity(request->service, db, &request->actor, user_of(request), request->captures[0],
				    err) != 0)
		return -1;
	return reply_response(request, MHD_HTTP_NO_CONTENT, NULL,
			      MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT), err);
}

/* The handler's state while a lane tries. */
static void row_free(void *arg)
{
	struct identity_row *row = arg;
	if (row != NULL)
		identity_row_done(row);
	free(row);
}

static int tried(struct request *request, struct nel_err *err)
{
	const struct wait_answer *answer = waiter_answer(request->waiter);
	CLEANUP(json_freep) json_t *identity = NULL;
	struct db *db = NULL;
	if (answer->failed) {
		*err = answer->err;
		return -1;
	}
	if (request_db(request, &db, err) != 0 ||
	    service_tried_identity(request->service, db, request->state, answer->data, answer->size, &identity, err) !=
		0)
		return -1;
	return reply_json(request, MHD_HTTP_OK, identity, err);
}

int api_checkIdentity(struct request *request, struct nel_err *err)
{
	struct cluster_check *check = NULL;
	struct db *db = NULL;
	struct identity_row *row = mem_calloc(1, sizeof *row);
	request->state = row;
	request->state_free = row_free;
	request->resume = tried;
	if (request_db(request, &db, err) != 0 ||
	    service_try_identity(request->service, db, &request->actor, user_of(request), request->captures[0], row,
				 &check, err) != 0)
		return -1;
	if (waiter_new(server_wait_room(request->server), request->connection, &request->waiter, err) != 0) {
		cluster_check_free(check);
		return -1;
	}
	service_check_cluster(request->service, check, wait_callback, request->waiter);
	return 0;
}
