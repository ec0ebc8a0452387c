/* Handlers of /v1/session: signing in to the page, and out. */
#include "service/sessions.h"

#include "api/http/auth.h"
#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/session.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/mem.h"

/* RFC 7519 sets none; as the header's, some room for groups. */
#define SIGN_IN_TOKEN_MAX 16384
#define SIGN_IN_CODE_MAX 64

static int begin_session(struct request *request, const char *code, struct nel_err *err)
{
	char secret[IDS_TOKEN_SIZE];
	int64_t expires_at = 0;
	struct db *db = NULL;
	request_end_read(request);
	if (request_db(request, &db, err) != 0)
		return -1;
	if (service_begin_session(db, &request->actor, code, secret, &expires_at, err) != 0)
		return code != NULL && err->kind == NEL_NOTFOUND
			   ? auth_refuse_sign_in(request, "the sign-in code is used: make another", err)
			   : -1;
	session_set_cookie(request, secret, expires_at - clock_now_s());
	secret_wipe(secret);
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	struct json_out body = {0};
	out_object(&body, NULL);
	out_string(&body, "user", request->actor.name);
	out_string(&body, "role", role_name(request->actor.role));
	out_time(&body, "expires_at", expires_at);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_CREATED, &body.text, err);
}

static int begin_with_token(struct request *request, const char *token, struct nel_err *err)
{
	if (auth_take_token(request, token, err) == 0)
		return begin_session(request, NULL, err);
	if (!request->keys_missing)
		return -1;
	return auth_wait_for(request, api_beginSession, err);
}

int api_beginSession(struct request *request, struct nel_err *err)
{
	static const char *const fields[] = {"token", "code", NULL};
	CLEANUP(json_freep) json_t *body = NULL;
	const char *token = NULL;
	const char *code = NULL;
	if (session_check_origin(request, false, err) != 0 || body_object(request, fields, &body, err) != 0 ||
	    body_text(body, "token", false, 1, SIGN_IN_TOKEN_MAX, &token, err) != 0 ||
	    body_text(body, "code", false, 1, SIGN_IN_CODE_MAX, &code, err) != 0)
		return -1;
	if ((token == NULL) == (code == NULL))
		return err_set(err, NEL_INVALID, "either token or code is needed");
	if (token != NULL)
		return begin_with_token(request, token, err);
	return auth_take_code(request, code, err) != 0 ? -1 : begin_session(request, code, err);
}

int api_createSignInCode(struct request *request, struct nel_err *err)
{
	char code[IDS_CODE_SIZE];
	int64_t expires_at = 0;
	struct db *db = NULL;
	if (request_db(request, &db, err) != 0 ||
	    service_make_sign_in_code(db, &request->actor, code, &expires_at, err) != 0)
		return -1;
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	struct json_out body = {0};
	reply_secret_room(&body.text);
	CLEANUP(mem_freep) char *path = mem_printf("/#/sign-in/%s", code);
	out_object(&body, NULL);
	out_string(&body, "code", code);
	out_string(&body, "path", path);
	out_time(&body, "expires_at", expires_at);
	out_end(&body);
	secret_wipe(path);
	secret_wipe(code);
	return reply_json_secret(request, MHD_HTTP_CREATED, &body.text, err);
}

int api_endSession(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	if (!request->by_cookie)
		return err_set(err, NEL_CONFLICT, "there is no session: the request came without its cookie");
	if (request_db(request, &db, err) != 0 || service_end_session(db, &request->actor, err) != 0)
		return -1;
	session_set_cookie(request, NULL, 0);
	return reply_nothing(request, err);
}
