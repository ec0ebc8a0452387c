/* Owns what counts as credentials, and the challenges that ask for them. */
#include "api/http/auth.h"

#include "api/http/limiter.h"
#include "api/http/peer.h"
#include "api/http/proxy.h"
#include "api/http/request_db.h"
#include "api/http/router.h"
#include "api/http/server_internal.h"
#include "api/http/session.h"
#include "api/http/wait_room.h"
#include "base/clock.h"
#include "base/log.h"
#include "service/oidc/oidc_issuer.h"
#include "service/sessions.h"
#include "service/sign_in.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TOKEN_SIZE_MAX 256
#define CHALLENGE_SIZE 512
#define KEYS_RETRY_S "5"

static const char challenge[] = "Bearer realm=\"nel-slurmd\"";

static int too_many(struct request *request, const char *what, int64_t wait_ms, struct nel_err *err)
{
	char seconds[24];
	snprintf(seconds, sizeof seconds, "%" PRId64, (wait_ms + 999) / 1000);
	request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	return request_fail(request, MHD_HTTP_TOO_MANY_REQUESTS, err, NEL_BUSY, "%s; try again in %s s", what, seconds);
}

static int unauthorized(struct request *request, const char *how, const char *message, struct nel_err *err)
{
	request_add_header(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, how);
	return request_fail(request, MHD_HTTP_UNAUTHORIZED, err, NEL_DENIED, "%s", message);
}

/* Counts a failed login; -1 when there were too many. */
static int count_failure(struct request *request, const char *message, struct nel_err *err)
{
	char source[PEER_NAME_SIZE];
	int64_t wait_ms = 0;
	if (!limiter_take(server_limiter(request->server), LIMIT_LOGIN, peer_number(request),
			  request->service->settings->limits.failed_logins_per_minute, 60 * 1000, clock_mono_ms(),
			  &wait_ms))
		return too_many(request, "too many failed logins (limits.failed_logins_per_minute)", wait_ms, err);
	peer_name(request, source);
	log_warning("login failed", LOG_S("request", request->id), LOG_S("address", source), LOG_S("error", message));
	return 0;
}

/* Credentials that are none. Those that are good are never held up by it, whatever others behind the same address or
 * proxy send: guessing a token is hopeless at any speed, so the limit is there to spare the store and the log. */
static int login_failed(struct request *request, const char *how, const char *message, struct nel_err *err)
{
	if (count_failure(request, message, err) != 0)
		return -1;
	return unauthorized(request, how, message, err);
}

/* limits.requests_per_second, of who asks: a token, an account on a unix socket, a user whom a proxy names, or, without
 * credentials, an address. */
static int check_rate(struct request *request, enum limiter_kind kind, uint64_t number, struct nel_err *err)
{
	int64_t wait_ms = 0;
	if (limiter_take(server_limiter(request->server), kind, number,
			 request->service->settings->limits.requests_per_second, 1000, clock_mono_ms(), &wait_ms))
		return 0;
	return too_many(request, "too many requests (limits.requests_per_second)", wait_ms, err);
}

static const char invalid[] = "Bearer realm=\"nel-slurmd\", error=\"invalid_token\"";

static int check_own_token(struct request *request, const char *token, struct nel_err *err)
{
	struct db *db = NULL;
	if (strlen(token) > TOKEN_SIZE_MAX)
		return login_failed(request, invalid, "the token is not a valid one", err);
	if (server_db(request->server, &db, err) != 0)
		return -1;
	if (service_authenticate_token(request->service, db, token, &request->actor, err) == 0)
		return check_rate(request, LIMIT_TOKEN, (uint64_t)request->actor.token, err);
	if (err->kind == NEL_DENIED || err->kind == NEL_NOTFOUND)
		return login_failed(request, invalid, "the token is not a valid one", err);
	return -1;
}

/* RFC 6750, section 3: the description has visible ASCII and spaces, no quotes and backslashes. */
static void describe(const char *code, const char *message, char ret_challenge[CHALLENGE_SIZE])
{
	int size = snprintf(ret_challenge, CHALLENGE_SIZE, "%s, error=\"%s\", error_description=\"", challenge, code);
	size_t used = (size_t)size;
	for (const char *p = message; *p != '\0' && used < CHALLENGE_SIZE - 2; p++)
		ret_challenge[used++] = *p >= ' ' && *p < 0x7f ? (*p != '"' && *p != '\\' ? *p : '\'') : '?';
	ret_challenge[used] = '"';
	ret_challenge[used + 1] = '\0';
}

/* 401 for what is no valid token, 403 for a valid one of nobody here, 503 when that cannot be told now. */
static int refuse_foreign(struct request *request, struct nel_err *err)
{
	char how[CHALLENGE_SIZE];
	char message[NEL_ERR_MSG_MAX];
	memcpy(message, err->msg, sizeof message);
	if (err->kind == NEL_INVALID) {
		describe("invalid_token", message, how);
		return login_failed(request, how, message, err);
	}
	if (err->kind == NEL_BUSY)
		request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, KEYS_RETRY_S);
	if (err->kind != NEL_DENIED)
		return -1;
	if (count_failure(request, message, err) != 0)
		return -1;
	describe("insufficient_scope", message, how);
	request_add_header(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, how);
	return err_set(err, NEL_DENIED, "%s", message);
}

/* What the store has to note is seldom: the first time, and when the role changes. */
static int note_person(struct request *request, const struct settings *settings, const struct oidc_person *person,
		       struct nel_err *err)
{
	char source[PEER_NAME_SIZE];
	struct db *db = NULL;
	request_end_read(request);
	peer_name(request, source);
	return server_db(request->server, &db, err) != 0
		   ? -1
		   : sign_in_store(db, settings, person, source, request->id, err);
}

static int find_person(struct request *request, const struct settings *settings, const struct oidc_person *person,
		       struct nel_err *err)
{
	struct db *db = NULL;
	bool store = false;
	if (request_read_db(request, &db, err) != 0 ||
	    sign_in_actor(db, settings, person, &request->actor, &store, err) != 0)
		return -1;
	if (!store)
		return 0;
	return note_person(request, settings, person, err) != 0 || request_read_db(request, &db, err) != 0
		   ? -1
		   : sign_in_actor(db, settings, person, &request->actor, &store, err);
}

static int check_foreign_token(struct request *request, const char *token, struct nel_err *err)
{
	const struct settings *settings = request->service->settings;
	struct oidc_person person;
	bool wait = false;
	if (sign_in_verify(request->service, settings, token, &person, &wait, err) != 0) {
		request->keys_missing = wait && !request->keys_awaited;
		return request->keys_missing ? -1 : refuse_foreign(request, err);
	}
	if (find_person(request, settings, &person, err) != 0)
		return refuse_foreign(request, err);
	return check_rate(request, LIMIT_NAME, peer_name_number(request->actor.name), err);
}

static int check_token(struct request *request, const char *authorization, struct nel_err *err)
{
	if (strncasecmp(authorization, "Bearer ", 7) != 0)
		return login_failed(request, challenge, "the Authorization header is not \"Bearer <token>\"", err);
	const char *token = authorization + 7;
	token += strspn(token, " ");
	if (*token == '\0')
		return login_failed(request, invalid, "the token is not a valid one", err);
	return auth_take_token(request, token, err);
}

int auth_take_token(struct request *request, const char *token, struct nel_err *err)
{
	request->keys_missing = false;
	return sign_in_is_foreign(token) ? check_foreign_token(request, token, err)
					 : check_own_token(request, token, err);
}

int auth_refuse_sign_in(struct request *request, const char *message, struct nel_err *err)
{
	return login_failed(request, challenge, message, err);
}

int auth_take_code(struct request *request, const char *code, struct nel_err *err)
{
	struct db *db = NULL;
	if (request_read_db(request, &db, err) != 0)
		return -1;
	if (service_authenticate_code(db, code, &request->actor, err) == 0)
		return 0;
	return err->kind == NEL_NOTFOUND
		   ? auth_refuse_sign_in(request, "the sign-in code is used, expired or no valid one: make another",
					 err)
		   : -1;
}

/* The cookie of a session, which is not looked at when there is an Authorization header. */
static int check_session(struct request *request, const char *cookie, struct nel_err *err)
{
	request->by_cookie = true;
	return session_check_origin(request, true, err) != 0 ? -1 : check_own_token(request, cookie, err);
}

static void keys_came(void *arg)
{
	const struct remote_answer none = {0};
	wait_callback(&none, arg);
}

static int handle_again(struct request *request, struct nel_err *err)
{
	const struct wait_answer *answer = waiter_answer(request->waiter);
	if (answer == NULL)
		return 0;
	if (answer->failed) {
		*err = answer->err;
		return -1;
	}
	waiter_release(request->waiter);
	request->waiter = NULL;
	request->resume = NULL;
	request->waits_for_store = false;
	return request->again(request, err);
}

int auth_wait_for(struct request *request, int (*handle)(struct request *request, struct nel_err *err),
		  struct nel_err *err)
{
	request->again = handle;
	request->resume = handle_again;
	request->waits_for_store = true;
	request->keys_awaited = true;
	if (waiter_new(server_wait_room(request->server), request->connection, &request->waiter, err) != 0)
		return -1;
	struct nel_err refusal = {0};
	if (oidc_issuer_wait(request->service->oidc, keys_came, request->waiter, &refusal) != 0)
		waiter_refused(request->waiter, &refusal);
	return 0;
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
		return check_rate(request, LIMIT_PEER, peer_number(request), err);
	if (err->kind != NEL_DENIED && err->kind != NEL_NOTFOUND)
		return -1;
	char message[NEL_ERR_MSG_MAX];
	memcpy(message, err->msg, sizeof message);
	return login_failed(request, challenge, message, err);
}

/* A trusted proxy names the user; its own account counts for nothing. Without a name, a token may still be there. */
static int check_proxy(struct request *request, const char *authorization, struct nel_err *err)
{
	const char *name = NULL;
	const char *cookie = session_cookie(request);
	struct db *db = NULL;
	char message[NEL_ERR_MSG_MAX];
	if (proxy_user(server_proxy(request->server), request, &name, err) == 0) {
		if (name == NULL && authorization == NULL && cookie != NULL)
			return check_session(request, cookie, err);
		if (name == NULL)
			return authorization != NULL
				   ? check_token(request, authorization, err)
				   : unauthorized(request, challenge, "the proxy names no user, and there is no token",
						  err);
		if (session_check_origin(request, false, err) != 0 || request_read_db(request, &db, err) != 0)
			return -1;
		if (service_authenticate_name(db, name, &request->actor, err) == 0)
			return check_rate(request, LIMIT_NAME, peer_name_number(request->actor.name), err);
		if (err->kind != NEL_DENIED)
			return -1;
	}
	memcpy(message, err->msg, sizeof message);
	return login_failed(request, challenge, message, err);
}

static int check_nobody(struct request *request, struct nel_err *err)
{
	if (check_rate(request, LIMIT_PEER, peer_number(request), err) != 0)
		return -1;
	return unauthorized(request, challenge, "a bearer token is needed", err);
}

static bool is_open(const struct request *request)
{
	enum route_access access = request->route->access;
	return access == ACCESS_OPEN || (access == ACCESS_METRICS && request->service->settings->metrics_public);
}

int auth_check(struct request *request, bool on_unix, struct nel_err *err)
{
	if (request->route->access == ACCESS_ALWAYS)
		return 0;
	if (is_open(request))
		return check_rate(request, LIMIT_PEER, peer_number(request), err);
	const char *authorization = request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
	const char *cookie = session_cookie(request);
	int result = -1;
	if (on_unix && proxy_is_peer(server_proxy(request->server), request))
		result = check_proxy(request, authorization, err);
	else if (authorization != NULL)
		result = check_token(request, authorization, err);
	else if (cookie != NULL)
		result = check_session(request, cookie, err);
	else
		result = on_unix ? check_peer(request, err) : check_nobody(request, err);
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
