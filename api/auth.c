/* Owns what counts as credentials, and the challenges that ask for them. */
#include "api/auth.h"

#include "api/peer.h"
#include "api/router.h"
#include "api/server_internal.h"
#include "base/log.h"

#include <string.h>
#include <strings.h>

#define TOKEN_SIZE_MAX 256

static int unauthorized(struct request *request, const char *challenge, const char *message, struct nel_err *err)
{
	request_add_header(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, challenge);
	return request_fail(request, MHD_HTTP_UNAUTHORIZED, err, NEL_DENIED, "%s", message);
}

static int check_token(struct request *request, const char *authorization, struct nel_err *err)
{
	static const char challenge[] = "Bearer realm=\"nel-slurmd\", error=\"invalid_token\"";
	if (strncasecmp(authorization, "Bearer ", 7) != 0)
		return unauthorized(request, "Bearer realm=\"nel-slurmd\"",
				    "the Authorization header is not \"Bearer "
				    "<token>\"",
				    err);
	const char *token = authorization + 7;
	token += strspn(token, " ");
	if (*token == '\0' || strlen(token) > TOKEN_SIZE_MAX)
		return unauthorized(request, challenge, "the token is not a valid one", err);
	struct db *db = NULL;
	if (request_read_db(request, &db, err) != 0)
		return -1;
	if (service_authenticate_token(request->service, db, token, &request->actor, err) == 0)
		return 0;
	if (err->kind == NEL_DENIED || err->kind == NEL_NOTFOUND)
		return unauthorized(request, challenge, "the token is not a valid one", err);
	return -1;
}

static int check_peer(struct request *request, struct nel_err *err)
{
	unsigned uid = 0;
	if (peer_uid(request, &uid) != 0)
		return err_set(err, NEL_INTERNAL, "the peer of the unix socket cannot be known");
	struct db *db = NULL;
	if (request_read_db(request, &db, err) != 0)
		return -1;
	if (service_authenticate_peer(request->service, db, uid, &request->actor, err) == 0)
		return 0;
	if (err->kind != NEL_DENIED && err->kind != NEL_NOTFOUND)
		return -1;
	char message[NEL_ERR_MSG_MAX];
	memcpy(message, err->msg, sizeof message);
	return unauthorized(request, "Bearer realm=\"nel-slurmd\"", message, err);
}

int auth_check(struct request *request, bool on_unix, struct nel_err *err)
{
	bool metrics = strcmp(request->route->operation, "getMetrics") == 0;
	if (request->route->role == ROUTE_ROLE_NONE || (metrics && request->service->settings->metrics_public))
		return 0;
	const char *authorization = request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
	int result = -1;
	if (authorization != NULL)
		result = check_token(request, authorization, err);
	else if (on_unix)
		result = check_peer(request, err);
	else
		result = unauthorized(request, "Bearer realm=\"nel-slurmd\"", "a bearer token is needed", err);
	if (result != 0) {
		request->actor = (struct actor){0};
		return -1;
	}
	if ((int)request->actor.role < request->route->role)
		return err_set(err, NEL_DENIED, "the role %s may not do this", role_name(request->actor.role));
	return 0;
}

void auth_note_use(struct request *request)
{
	struct nel_err err;
	struct db *db = NULL;
	if (server_db(request->server, &db, &err) != 0 || service_note_use(db, &request->actor, &err) != 0)
		log_warning("the use of a token cannot be noted", LOG_S("request", request->id),
			    LOG_S("user", request->actor.name), LOG_S("error", err.msg));
}
