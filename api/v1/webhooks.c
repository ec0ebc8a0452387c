/* Handlers of /v1/webhooks. */
#include "service/webhooks.h"

#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/v1/render.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "db/events.h"

#include <string.h>
static void webhook_members(struct json_out *out, const struct webhook_row *row)
{
	out_string(out, "id", row->id);
	out_string(out, "user", row->user);
	out_string(out, "url", row->url);
	render_comma_list(out, "kinds", row->kinds);
	out_string(out, "scope", row->all ? "all" : "own");
	out_string(out, "state", row->disabled_at != 0 ? "disabled" : row->failing_since != 0 ? "failing" : "active");
	out_string(out, "disabled_reason", row->disabled_reason);
	out_time(out, "created_at", row->created_at);
	out_time(out, "failing_since", row->failing_since);
	out_time(out, "disabled_at", row->disabled_at);
}

static void render_delivery(struct json_out *out, const struct delivery_row *row)
{
	out_object(out, NULL);
	out_int(out, "seq", row->seq);
	out_int_or_null(out, "event", row->event, row->event != 0);
	out_string(out, "kind", row->kind);
	out_string(out, "state", delivery_state_name(row->state));
	out_time(out, "happened_at", row->happened_at);
	out_int(out, "tries", row->tries);
	out_time(out, "last_at", row->last_at);
	out_time(out, "next_at", row->next_at);
	out_int_or_null(out, "status", row->status, row->status != 0);
	out_string(out, "error", row->error);
	out_int_or_null(out, "took_ms", row->took_ms, row->took_ms >= 0);
	out_end(out);
}

/* The member kinds, as the store has it. */
static int take_kinds(const json_t *body, struct str *ret_kinds, struct nel_err *err)
{
	const json_t *kinds = json_object_get(body, "kinds");
	size_t i = 0;
	const json_t *value = NULL;
	if (kinds == NULL || json_is_null(kinds))
		return 0;
	if (!json_is_array(kinds) || json_array_size(kinds) == 0 || json_array_size(kinds) > WEBHOOK_KINDS_MAX)
		return err_set(err, NEL_INVALID,
			       "kinds must be a list of kinds of events, or be left out for every kind");
	str_append_c(ret_kinds, ',');
	json_array_foreach(kinds, i, value) {
		const char *kind = json_string_value(value);
		if (kind == NULL || !str_in(kind, event_kinds))
			return err_set(err, NEL_INVALID, "kinds[%zu]: there is no kind \"%.64s\"", i,
				       kind != NULL ? kind : "");
		str_append(ret_kinds, kind);
		str_append_c(ret_kinds, ',');
	}
	return 0;
}

static int take_scope(const json_t *body, bool *ret_all, struct nel_err *err)
{
	const char *scope = NULL;
	if (body_text(body, "scope", false, 1, 8, &scope, err) != 0)
		return -1;
	*ret_all = scope != NULL && strcmp(scope, "all") == 0;
	if (scope != NULL && !*ret_all && strcmp(scope, "own") != 0)
		return err_set(err, NEL_INVALID, "scope must be own or all");
	return 0;
}

static int reply_made(struct request *request, const struct new_webhook *made, struct nel_err *err)
{
	struct json_out body = {0};
	reply_secret_room(&body.text);
	CLEANUP(mem_freep) char *location = mem_printf("/v1/webhooks/%s", made->row.id);
	request_add_header(request, MHD_HTTP_HEADER_LOCATION, location);
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	out_object(&body, NULL);
	webhook_members(&body, &made->row);
	out_string(&body, "secret", made->secret[0] != '\0' ? made->secret : NULL);
	out_end(&body);
	return reply_json_secret(request, MHD_HTTP_CREATED, &body.text, err);
}

int api_createWebhook(struct request *request, struct nel_err *err)
{
	static const char *const fields[] = {"url", "kinds", "scope", NULL};
	CLEANUP(json_freep) json_t *body = NULL;
	CLEANUP(str_done) struct str kinds = {0};
	CLEANUP(new_webhook_done) struct new_webhook made = {0};
	char hash[SECRET_HASH_SIZE];
	struct webhook_request wanted = {.idempotency = {.request_hash = hash}};
	struct db *db = NULL;
	if (body_object(request, fields, &body, err) != 0 ||
	    body_text(body, "url", true, 1, WEBHOOK_URL_MAX, &wanted.url, err) != 0 ||
	    take_kinds(body, &kinds, err) != 0 || take_scope(body, &wanted.all, err) != 0 ||
	    body_idempotency_key(request, &wanted.idempotency.key, err) != 0 || request_db(request, &db, err) != 0)
		return -1;
	wanted.kinds = str_text(&kinds);
	body_hash(request, body, hash);
	if (service_make_webhook(request->service, db, &request->actor, &wanted, &made, err) != 0) {
		if (made.clash)
			request->fail_status = MHD_HTTP_UNPROCESSABLE_CONTENT;
		return -1;
	}
	return reply_made(request, &made, err);
}

int api_listWebhooks(struct request *request, struct nel_err *err)
{
	CLEANUP(webhook_list_done) struct webhook_list list = {0};
	struct json_out body = {0};
	struct page page;
	struct db *db = NULL;
	if (page_parse_whole(request, &page, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    service_list_webhooks(db, &request->actor, &list, err) != 0)
		return -1;
	out_object(&body, NULL);
	out_array(&body, "items");
	for (size_t i = 0; i < list.count; i++) {
		if (!page_has(&page, i))
			continue;
		out_object(&body, NULL);
		webhook_members(&body, &list.items[i]);
		out_end(&body);
	}
	out_end(&body);
	page_next(request, &page, page_after(&page, list.count), &body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

int api_getWebhook(struct request *request, struct nel_err *err)
{
	CLEANUP(webhook_row_done) struct webhook_row row = {0};
	struct json_out body = {0};
	struct db *db = NULL;
	if (request_read_db(request, &db, err) != 0 ||
	    service_get_webhook(db, &request->actor, request->captures[0], &row, err) != 0)
		return -1;
	out_object(&body, NULL);
	webhook_members(&body, &row);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

int api_removeWebhook(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	if (request_db(request, &db, err) != 0 ||
	    service_remove_webhook(request->service, db, &request->actor, request->captures[0], err) != 0)
		return -1;
	return reply_nothing(request, err);
}

int api_testWebhook(struct request *request, struct nel_err *err)
{
	CLEANUP(delivery_row_done) struct delivery_row delivery = {0};
	struct json_out body = {0};
	struct db *db = NULL;
	if (request_db(request, &db, err) != 0 ||
	    service_test_webhook(request->service, db, &request->actor, request->captures[0], &delivery, err) != 0)
		return -1;
	render_delivery(&body, &delivery);
	return reply_json_text(request, MHD_HTTP_ACCEPTED, &body.text, err);
}

int api_listWebhookDeliveries(struct request *request, struct nel_err *err)
{
	CLEANUP(webhook_row_done) struct webhook_row row = {0};
	CLEANUP(delivery_list_done) struct delivery_list list = {0};
	struct page page = {0};
	struct json_out body = {0};
	struct db *db = NULL;
	if (page_parse(request, CURSOR_DELIVERIES, &page, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    service_get_webhook(db, &request->actor, request->captures[0], &row, err) != 0 ||
	    deliveries_list(db, row.id, page.position, page.limit + 1, &list, err) != 0)
		return -1;
	size_t count = list.count > (size_t)page.limit ? (size_t)page.limit : list.count;
	out_object(&body, NULL);
	out_array(&body, "items");
	for (size_t i = 0; i < count; i++)
		render_delivery(&body, &list.items[i]);
	out_end(&body);
	page_next(request, &page, count < list.count ? list.items[count - 1].seq : 0, &body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}
