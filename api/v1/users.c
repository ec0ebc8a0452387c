/* Handlers of /v1/users. */
#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "service/people.h"

#include <string.h>

static void render_user(struct json_out *out, const struct user_row *user)
{
	out_object(out, NULL);
	out_string(out, "name", user->name);
	out_string(out, "role", role_name(user->role));
	out_time(out, "created_at", user->created_at);
	out_bool(out, "suspended", user->suspended_at != 0);
	out_string(out, "oidc_subject", user->oidc_subject[0] != '\0' ? user->oidc_subject : NULL);
	out_end(out);
}

static int reply_user(struct request *request, int status, const struct user_row *user, struct nel_err *err)
{
	struct json_out body = {0};
	render_user(&body, user);
	return reply_json_text(request, status, &body.text, err);
}

int api_listUsers(struct request *request, struct nel_err *err)
{
	struct page page = {0};
	struct db *db = NULL;
	CLEANUP(mem_freep) struct user_row *rows = NULL;
	size_t count = 0;
	if (page_parse(request, CURSOR_USERS, &page, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    users_list(db, page.position, page.limit + 1, &rows, &count, err) != 0)
		return -1;
	bool more = count > (size_t)page.limit;
	struct json_out body = {0};
	out_object(&body, NULL);
	out_array(&body, "items");
	for (size_t i = 0; i < count - (more ? 1 : 0); i++)
		render_user(&body, &rows[i]);
	out_end(&body);
	page_next(request, &page, more ? page.position + page.limit : 0, &body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

int api_getUser(struct request *request, struct nel_err *err)
{
	struct user_row user;
	struct db *db = NULL;
	const char *name = request->captures[0];
	if (request_read_db(request, &db, err) != 0)
		return -1;
	if (request->actor.role != ROLE_ADMIN && strcmp(request->actor.name, name) != 0)
		return err_set(err, NEL_DENIED, "only the user or an admin may see this");
	if (users_get(db, name, &user, err) != 0)
		return -1;
	return reply_user(request, MHD_HTTP_OK, &user, err);
}

int api_createUser(struct request *request, struct nel_err *err)
{
	static const char *const fields[] = {"name", "role", NULL};
	CLEANUP(json_freep) json_t *body = NULL;
	char hash[SECRET_HASH_SIZE];
	struct idempotency idempotency = {.request_hash = hash};
	const char *name = NULL;
	enum role role = ROLE_USER;
	bool given = false;
	bool clash = false;
	struct user_row user;
	struct db *db = NULL;
	if (body_object(request, fields, &body, err) != 0 ||
	    body_text(body, "name", true, 1, USER_NAME_MAX, &name, err) != 0 ||
	    body_role(body, "role", true, &given, &role, err) != 0 ||
	    body_idempotency_key(request, &idempotency.key, err) != 0 || request_db(request, &db, err) != 0)
		return -1;
	body_hash(request, body, hash);
	if (service_add_user(db, &request->actor, name, role, &idempotency, &user, &clash, err) != 0) {
		if (clash)
			request->fail_status = MHD_HTTP_UNPROCESSABLE_CONTENT;
		return -1;
	}
	CLEANUP(mem_freep) char *location = mem_printf("/v1/users/%s", user.name);
	request_add_header(request, MHD_HTTP_HEADER_LOCATION, location);
	return reply_user(request, MHD_HTTP_CREATED, &user, err);
}

static int read_change(const json_t *body, struct user_change *ret_change, struct nel_err *err)
{
	struct user_change change = {0};
	const json_t *suspended = json_object_get(body, "suspended");
	const json_t *subject = json_object_get(body, "oidc_subject");
	if (body_role(body, "role", false, &change.has_role, &change.role, err) != 0)
		return -1;
	if (suspended != NULL && !json_is_boolean(suspended))
		return err_set(err, NEL_INVALID, "suspended must be true or false");
	if (subject != NULL && !json_is_null(subject))
		return err_set(err, NEL_INVALID,
			       "oidc_subject can only be set to null: the next sign-in notes another");
	change.has_suspended = suspended != NULL;
	change.suspended = json_is_true(suspended);
	change.forget_subject = subject != NULL;
	if (!change.has_role && !change.has_suspended && !change.forget_subject)
		return err_set(err, NEL_INVALID,
			       "nothing is to be changed: role, suspended or oidc_subject is missing");
	*ret_change = change;
	return 0;
}

int api_changeUser(struct request *request, struct nel_err *err)
{
	static const char *const fields[] = {"role", "suspended", "oidc_subject", NULL};
	CLEANUP(json_freep) json_t *body = NULL;
	struct user_change change;
	struct user_row user;
	struct db *db = NULL;
	if (body_object(request, fields, &body, err) != 0 || read_change(body, &change, err) != 0 ||
	    request_db(request, &db, err) != 0 ||
	    service_change_user(db, request->captures[0], &change, &user, err) != 0)
		return -1;
	return reply_user(request, MHD_HTTP_OK, &user, err);
}

int api_removeUser(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	if (request_db(request, &db, err) != 0 || service_remove_user(db, request->captures[0], err) != 0)
		return -1;
	return reply_nothing(request, err);
}
