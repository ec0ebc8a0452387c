/* Handlers of /v1/secrets: values go in, only names and times come out. */
#include "service/secrets.h"

#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/media.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/v1/render.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <string.h>
#include <strings.h>

/* Whose: ?scope=user (the one who asks) or ?scope=team. */
static int parse_scope(struct request *request, bool *ret_given, bool *ret_team, struct nel_err *err)
{
	const char *scope = query_get(&request->query, "scope");
	*ret_given = scope != NULL;
	*ret_team = scope != NULL && strcmp(scope, "team") == 0;
	if (scope != NULL && !*ret_team && strcmp(scope, "user") != 0)
		return err_set(err, NEL_INVALID, "query parameter \"scope\" must be user or team");
	return 0;
}

static void render_secret(struct json_out *out, const struct secret_row *row)
{
	out_object(out, NULL);
	out_string(out, "name", row->name);
	out_string(out, "scope", row->owner[0] == '\0' ? "team" : "user");
	if (row->owner[0] == '\0') {
		render_comma_list(out, "users", row->use.users);
		render_comma_list(out, "hosts", row->use.hosts);
	}
	out_time(out, "created_at", row->created_at);
	out_time(out, "updated_at", row->updated_at);
	out_end(out);
}

/* Those of the owner's that are on the page; *row_count: rows of the list so far. */
static int append_owner(struct db *db, const char *owner, const struct page *page, size_t *row_count,
			struct json_out *out, struct nel_err *err)
{
	CLEANUP(mem_freep) struct secret_row *rows = NULL;
	size_t count = 0;
	if (secrets_list(db, owner, &rows, &count, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (page_has(page, (*row_count)++))
			render_secret(out, &rows[i]);
	return 0;
}

int api_listSecrets(struct request *request, struct nel_err *err)
{
	bool given = false;
	bool team = false;
	struct page page;
	size_t count = 0;
	struct db *db = NULL;
	CLEANUP(json_out_done) struct json_out body = {0};
	if (parse_scope(request, &given, &team, err) != 0 || page_parse_whole(request, &page, err) != 0 ||
	    request_read_db(request, &db, err) != 0)
		return -1;
	out_object(&body, NULL);
	out_array(&body, "items");
	if ((!team && append_owner(db, request->actor.name, &page, &count, &body, err) != 0) ||
	    ((team || !given) && append_owner(db, SECRETS_TEAM, &page, &count, &body, err) != 0))
		return -1;
	out_end(&body);
	page_next(request, &page, page_after(&page, count), &body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

/* The object's text, for which the object is to be kept; or the whole body, when it is text. */
static int parse_value(struct request *request, json_t **ret_body, const char **ret_value, size_t *ret_size,
		       struct nel_err *err)
{
	static const char *const fields[] = {"value", "users", "hosts", NULL};
	static const char text_type[] = "text/plain";
	const char *type = request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
	if (type != NULL && strncasecmp(type, text_type, sizeof text_type - 1) == 0) {
		if (!utf8_ok(str_text(&request->body), request->body.len))
			return err_set(err, NEL_INVALID, "a secret's value must be UTF-8 text");
		*ret_value = str_text(&request->body);
		*ret_size = request->body.len;
		return 0;
	}
	request->other_type = text_type;
	if (body_object(request, fields, ret_body, err) != 0)
		return -1;
	const json_t *value = json_object_get(*ret_body, "value");
	if (!json_is_string(value))
		return err_set(err, NEL_INVALID, "the field \"value\" is wanted, with the secret as text");
	*ret_value = json_string_value(value);
	*ret_size = json_string_length(value);
	return 0;
}

/* A list of the body as ",a,b,": null is "", and what is not there is NULL. */
static int parse_list(const json_t *body, const char *field, bool team, struct str *text, const char **ret_text,
		      struct nel_err *err)
{
	const json_t *list = json_object_get(body, field);
	size_t i = 0;
	const json_t *item = NULL;
	*ret_text = NULL;
	if (list == NULL)
		return 0;
	if (!team)
		return err_set(err, NEL_INVALID, "the field \"%s\" is for a secret of the team: scope=team", field);
	if (!json_is_null(list) && json_array_size(list) == 0)
		return err_set(err, NEL_INVALID, "the field \"%s\" must be a list that is not empty, or null", field);
	str_append(text, json_is_null(list) ? "" : ",");
	json_array_foreach(list, i, item) {
		const char *value = json_string_value(item);
		if (value == NULL || value[0] == '\0' || strpbrk(value, ", \"/:@") != NULL || str_has_control(value))
			return err_set(err, NEL_INVALID, "the field \"%s\" has something that is no name", field);
		for (; *value != '\0'; value++) /* hosts in small letters; users have no others' names */
			str_append_c(text, strcmp(field, "hosts") == 0 && *value >= 'A' && *value <= 'Z'
					       ? (char)(*value | 0x20)
					       : *value);
		str_append_c(text, ',');
	}
	if (text->len >= SECRET_LIST_SIZE)
		return err_set(err, NEL_INVALID, "the field \"%s\" has more than %d bytes", field,
			       SECRET_LIST_SIZE - 1);
	*ret_text = str_text(text);
	return 0;
}

static int put(struct request *request, bool team, const json_t *given, const char *value, size_t size,
	       struct nel_err *err)
{
	struct db *db = NULL;
	struct secret_row row = {0};
	bool is_new = false;
	CLEANUP(str_done) struct str users = {0};
	CLEANUP(str_done) struct str hosts = {0};
	struct secret_limits limits = {0};
	if (parse_list(given, "users", team, &users, &limits.users, err) != 0 ||
	    parse_list(given, "hosts", team, &hosts, &limits.hosts, err) != 0)
		return -1;
	if (request_db(request, &db, err) != 0 ||
	    service_put_secret(request->service, db, &request->actor, team, request->captures[0], value, size, &limits,
			       &row, &is_new, err) != 0)
		return -1;
	struct json_out body = {0};
	render_secret(&body, &row);
	return reply_json_text(request, is_new ? MHD_HTTP_CREATED : MHD_HTTP_OK, &body.text, err);
}

int api_putSecret(struct request *request, struct nel_err *err)
{
	bool given = false;
	bool team = false;
	json_t *body = NULL;
	const char *value = NULL;
	size_t size = 0;
	int rc = parse_scope(request, &given, &team, err);
	if (rc == 0)
		rc = parse_value(request, &body, &value, &size, err);
	if (rc == 0)
		rc = put(request, team, body, value, size, err);
	secret_free_json(body);
	return rc;
}

int api_deleteSecret(struct request *request, struct nel_err *err)
{
	bool given = false;
	bool team = false;
	struct db *db = NULL;
	if (parse_scope(request, &given, &team, err) != 0 || request_db(request, &db, err) != 0 ||
	    service_delete_secret(db, &request->actor, team, request->captures[0], err) != 0)
		return -1;
	return reply_nothing(request, err);
}
