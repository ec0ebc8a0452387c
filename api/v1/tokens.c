/* Handlers of /v1/tokens. */
#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "service/people.h"

#include <inttypes.h>
#include <string.h>

static const char *state_of(const struct token_row *token, int64_t now_s)
{
	if (token->revoked_at != 0)
		return "revoked";
	return token->expires_at != 0 && token->expires_at <= now_s ? "expired" : "active";
}

static void token_members(struct json_out *out, const struct token_row *token, int64_t now_s)
{
	out_int(out, "id", token->id);
	out_string(out, "user", token->user);
	out_string(out, "role", role_name(token->role));
	out_string(out, "label", token->label);
	out_string(out, "state", state_of(token, now_s));
	out_time(out, "created_at", token->created_at);
	out_time(out, "expires_at", token->expires_at);
	out_time(out, "last_used_at", token->last_used_at);
	out_time(out, "revoked_at", token->revoked_at);
}

/* The ids are numbers from 1 on. */
static int parse_id(const char *text, int64_t *ret_id, struct nel_err *err)
{
	long long id = 0;
	if (!str_to_int(text, 1, INT64_MAX, &id))
		return err_set(err, NEL_NOTFOUND, "there is no token \"%.64s\"", text);
	*ret_id = id;
	return 0;
}

/* Whose tokens are listed: an admin's choice, others' own. */
static int parse_user(struct request *request, const char **ret_user, struct nel_err *err)
{
	const char *user = query_get(&request->query, "user");
	if (request->actor.role != ROLE_ADMIN) {
		if (user != NULL && strcmp(user, request->actor.name) != 0)
			return err_set(err, NEL_DENIED, "only an admin may see the tokens of others");
		user = request->actor.name;
	}
	*ret_user = user;
	return 0;
}

int api_listTokens(struct request *request, struct nel_err *err)
{
	struct page page = {0};
	struct db *db = NULL;
	const char *user = NULL;
	CLEANUP(mem_freep) struct token_row *rows = NULL;
	size_t count = 0;
	if (page_parse(request, CURSOR_TOKENS, &page, err) != 0 || parse_user(request, &user, err) != 0 ||
	    request_read_db(request, &db, err) != 0 ||
	    tokens_list(db, user, page.position, page.limit + 1, &rows, &count, err) != 0)
		return -1;
	bool more = count > (size_t)page.limit;
	size_t shown = more ? (size_t)page.limit : count;
	struct json_out body = {0};
	out_object(&body, NULL);
	out_array(&body, "items");
	for (size_t i = 0; i < shown; i++) {
		out_object(&body, NULL);
		token_members(&body, &rows[i], clock_now_s());
		out_end(&body);
	}
	out_end(&body);
	page_next(request, &page, more ? rows[shown - 1].id : 0, &body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

int api_getToken(struct request *request, struct nel_err *err)
{
	struct token_row token;
	struct db *db = NULL;
	int64_t id = 0;
	if (parse_id(request->captures[0], &id, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    service_get_token(db, &request->actor, id, &token, err) != 0)
		return -1;
	struct json_out body = {0};
	out_object(&body, NULL);
	token_members(&body, &token, clock_now_s());
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

static int parse_wanted(struct request *request, const json_t *body, struct token_request *wanted, struct nel_err *err)
{
	if (body_text(body, "user", false, 1, USER_NAME_MAX, &wanted->user, err) != 0 ||
	    body_role(body, "role", false, &wanted->has_role, &wanted->role, err) != 0 ||
	    body_text(body, "label", false, 0, TOKEN_LABEL_MAX, &wanted->label, err) != 0 ||
	    body_expiry(body, clock_now_s(), &wanted->expires_at, err) != 0)
		return -1;
	if (wanted->label == NULL)
		wanted->label = "";
	return body_idempotency_key(request, &wanted->idempotency.key, err);
}

int api_createToken(struct request *request, struct nel_err *err)
{
	static const char *const fields[] = {"user", "role", "label", "expires_in", "expires_at", NULL};
	CLEANUP(json_freep) json_t *body = NULL;
	char hash[SECRET_HASH_SIZE];
	struct token_request wanted = {.idempotency = {.request_hash = hash}};
	struct new_token token = {0};
	struct db *db = NULL;
	if (body_object(request, fields, &body, err) != 0 || parse_wanted(request, body, &wanted, err) != 0 ||
	    request_db(request, &db, err) != 0)
		return -1;
	body_hash(request, body, hash);
	if (service_make_token(db, &request->actor, &wanted, &token, err) != 0) {
		if (token.clash)
			request->fail_status = MHD_HTTP_UNPROCESSABLE_CONTENT;
		return -1;
	}
	CLEANUP(mem_freep) char *location = mem_printf("/v1/tokens/%" PRId64, token.row.id);
	request_add_header(request, MHD_HTTP_HEADER_LOCATION, location);
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	struct json_out text = {0};
	reply_secret_room(&text.text);
	out_object(&text, NULL);
	token_members(&text, &token.row, clock_now_s());
	out_string(&text, "token", token.secret[0] != '\0' ? token.secret : NULL);
	out_end(&text);
	secret_wipe(token.secret);
	return reply_json_secret(request, MHD_HTTP_CREATED, &text.text, err);
}

int api_revokeToken(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	int64_t id = 0;
	if (parse_id(request->captures[0], &id, err) != 0 || request_db(request, &db, err) != 0 ||
	    service_revoke_token(db, &request->actor, id, err) != 0)
		return -1;
	return reply_nothing(request, err);
}
