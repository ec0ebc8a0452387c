/* Handlers of /v1/webhooks. */
#include "service/webhooks.h"
#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/json_out.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "base/mem.h"
#include "db/events.h"

#include <string.h>

/* ",a,b," as an array; null when every kind is wanted. */
static void render_kinds(struct str *s, const char *kinds)
{
	if (kinds[0] == '\0') {
		OUT(s, "null");
		return;
	}
	OUT(s, "[");
	for (const char *p = kinds + 1; *p != '\0';) {
		size_t size = strcspn(p, ",");
		if (p > kinds + 1)
			OUT(s, ",");
		OUT(s, "\"");
		str_append_n(s, p, size); /* names of event_kinds */
		OUT(s, "\"");
		p += size + (p[size] == ',' ? 1 : 0);
	}
	OUT(s, "]");
}

/* Without the closing brace. */
static void render_open(struct str *s, const struct webhook_row *row)
{
	OUT(s, "{\"id\":");
	out_string(s, row->id);
	OUT(s, ",\"user\":");
	out_string(s, row->user);
	OUT(s, ",\"url\":");
	out_string(s, row->url);
	OUT(s, ",\"kinds\":");
	render_kinds(s, row->kinds);
	OUT(s, ",\"scope\":");
	out_string(s, row->all ? "all" : "own");
	OUT(s, ",\"state\":");
	out_string(s, row->disabled_at != 0 ? "disabled" : row->failing_since != 0 ? "failing" : "active");
	OUT(s, ",\"disabled_reason\":");
	out_string(s, row->disabled_reason);
	OUT(s, ",\"created_at\":");
	out_time(s, row->created_at);
	OUT(s, ",\"failing_since\":");
	out_time(s, row->failing_since);
	OUT(s, ",\"disabled_at\":");
	out_time(s, row->disabled_at);
}

static void render_delivery(struct str *s, const struct delivery_row *row)
{
	OUT(s, "{\"seq\":");
	out_int(s, row->seq);
	OUT(s, ",\"event\":");
	out_int_or_null(s, row->event, row->event != 0);
	OUT(s, ",\"kind\":");
	out_string(s, row->kind);
	OUT(s, ",\"state\":");
	out_string(s, delivery_state_name(row->state));
	OUT(s, ",\"happened_at\":");
	out_time(s, row->happened_at);
	OUT(s, ",\"tries\":");
	out_int(s, row->tries);
	OUT(s, ",\"last_at\":");
	out_time(s, row->last_at);
	OUT(s, ",\"next_at\":");
	out_time(s, row->next_at);
	OUT(s, ",\"status\":");
	out_int_or_null(s, row->status, row->status != 0);
	OUT(s, ",\"error\":");
	out_string(s, row->error);
	OUT(s, ",\"took_ms\":");
	out_int_or_null(s, row->took_ms, row->took_ms >= 0);
	OUT(s, "}");
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
	struct str body;
	reply_secret_room(&body);
	CLEANUP(mem_freep) char *location = mem_printf("/v1/webhooks/%s", made->row.id);
	request_add_header(request, MHD_HTTP_HEADER_LOCATION, location);
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	render_open(&body, &made->row);
	OUT(&body, ",\"secret\":");
	out_string(&body, made->secret[0] != '\0' ? made->secret : NULL);
	OUT(&body, "}");
	return reply_json_secret(request, MHD_HTTP_CREATED, &body, err);
}

int api_createWebhook(struct request *request, struct nel_err *err)
{
	static const char *const fields[] = {"url", "kinds", "scope", NULL};
	CLEANUP(json_freep) json_t *body = NULL;
	CLEANUP(str_done) struct str kinds = {0};
	CLEANUP(new_webhook_done) struct new_webhook made = {0};
	char hash[SECRET_HASH_SIZE];
	struct webhook_wish wish = {.repeat = {.request_hash = hash}};
	struct db *db = NULL;
	if (request_no_query(request, err) != 0 || body_object(request, fields, &body, err) != 0 ||
	    body_text(body, "url", true, 1, WEBHOOK_URL_MAX, &wish.url, err) != 0 ||
	    take_kinds(body, &kinds, err) != 0 || take_scope(body, &wish.all, err) != 0 ||
	    body_idempotency_key(request, &wish.repeat.key, err) != 0 || request_db(request, &db, err) != 0)
		return -1;
	wish.kinds = str_text(&kinds);
	body_hash(request, body, hash);
	if (service_make_webhook(request->service, db, &request->actor, &wish, &made, err) != 0) {
		if (made.clash)
			request->fail_status = MHD_HTTP_UNPROCESSABLE_CONTENT;
		return -1;
	}
	return reply_made(request, &made, err);
}

int api_listWebhooks(struct request *request, struct nel_err *err)
{
	CLEANUP(webhook_list_done) struct webhook_list list = {0};
	struct str body = {0};
	struct db *db = NULL;
	if (request_no_query(request, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    service_list_webhooks(db, &request->actor, &list, err) != 0)
		return -1;
	OUT(&body, "{\"items\":[");
	for (size_t i = 0; i < list.count; i++) {
		if (i > 0)
			OUT(&body, ",");
		render_open(&body, &list.items[i]);
		OUT(&body, "}");
	}
	OUT(&body, "],\"next\":null}");
	return reply_json_text(request, MHD_HTTP_OK, &body, err);
}

int api_getWebhook(struct request *request, struct nel_err *err)
{
	CLEANUP(webhook_row_done) struct webhook_row row = {0};
	struct str body = {0};
	struct db *db = NULL;
	if (request_no_query(request, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    service_get_webhook(db, &request->actor, request->captures[0], &row, err) != 0)
		return -1;
	render_open(&body, &row);
	OUT(&body, "}");
	return reply_json_text(request, MHD_HTTP_OK, &body, err);
}

int api_removeWebhook(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	if (request_no_query(request, err) != 0 || request_no_body(request, err) != 0 ||
	    request_db(request, &db, err) != 0 ||
	    service_remove_webhook(request->service, db, &request->actor, request->captures[0], err) != 0)
		return -1;
	return reply_nothing(request, err);
}

int api_testWebhook(struct request *request, struct nel_err *err)
{
	CLEANUP(delivery_row_done) struct delivery_row delivery = {0};
	struct str body = {0};
	struct db *db = NULL;
	if (request_no_query(request, err) != 0 || request_no_body(request, err) != 0 ||
	    request_db(request, &db, err) != 0 ||
	    service_test_webhook(request->service, db, &request->actor, request->captures[0], &delivery, err) != 0)
		return -1;
	render_delivery(&body, &delivery);
	return reply_json_text(request, MHD_HTTP_ACCEPTED, &body, err);
}

int api_listWebhookDeliveries(struct request *request, struct nel_err *err)
{
	static const struct query_rule rules[] = {PAGE_RULES};
	CLEANUP(webhook_row_done) struct webhook_row row = {0};
	CLEANUP(delivery_list_done) struct delivery_list list = {0};
	struct page page = {0};
	struct str body = {0};
	struct db *db = NULL;
	if (request_check_query(request, rules, QUERY_RULES(rules), err) != 0 ||
	    page_parse(request, CURSOR_DELIVERIES, &page, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    service_get_webhook(db, &request->actor, request->captures[0], &row, err) != 0 ||
	    deliveries_list(db, row.id, page.position, page.limit + 1, &list, err) != 0)
		return -1;
	size_t count = list.count > (size_t)page.limit ? (size_t)page.limit : list.count;
	OUT(&body, "{\"items\":[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			OUT(&body, ",");
		render_delivery(&body, &list.items[i]);
	}
	OUT(&body, "],");
	page_next(request, &page, count < list.count ? list.items[count - 1].seq : 0, &body);
	OUT(&body, "}");
	return reply_json_text(request, MHD_HTTP_OK, &body, err);
}
