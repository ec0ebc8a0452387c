/* Handlers of /v1/campaigns. */
#include "service/campaigns.h"

#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/v1/curves.h"
#include "api/v1/envelope.h"
#include "api/v1/submission.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define ENTRIES_SHOWN_MAX 200

static void campaign_members(struct json_out *out, const struct campaign_row *row)
{
	out_string(out, "id", row->id);
	out_string(out, "user", row->user);
	out_string(out, "name", row->name);
	out_string(out, "state", campaign_state_name(row->state));
	out_string(out, "reason", row->reason);
	out_string(out, "parameter", row->parameter);
	out_string(out, "order", campaign_order_name(row->order));
	out_int(out, "live", row->live);
	out_bool(out, "reuse", row->reuse);
	out_json(out, "convert", row->convert != NULL ? row->convert : "null");
	out_json(out, "overrides", row->overrides); /* the service's own JSON */
	out_json(out, "labels", row->labels);
	out_time(out, "created_at", row->created_at);
	out_time(out, "updated_at", row->updated_at);
}

static void render_conversion(struct json_out *out, const struct campaign_value *value)
{
	char job[IDS_JOB_SIZE];
	if (value->conversion[0] == '\0') {
		out_string(out, "conversion", NULL);
		return;
	}
	ids_format_job(value->conversion, 0, job);
	out_object(out, "conversion");
	out_string(out, "job", job);
	out_string(out, "state", value->conversion_state != NULL ? value->conversion_state : "pruned");
	out_string(out, "reason", value->conversion_reason);
	out_string(out, "waiting_on", value->conversion_waiting_on);
	out_end(out);
}

/* What a value that has no evaluation waits for. */
static void render_wait(struct json_out *out, const struct campaign_value *value, const char *state)
{
	CLEANUP(mem_freep) char *wait = NULL;
	if (strcmp(state, "converting") == 0)
		wait = mem_printf("conversion %s.0, which is %s", value->conversion, value->conversion_state);
	out_string(out, "waiting_on", wait != NULL ? wait : strcmp(state, "waiting") == 0 ? "its turn" : NULL);
}

static void render_value(struct json_out *out, const struct campaign_value *value)
{
	const char *state = campaign_value_state(value);
	out_object(out, NULL);
	out_string(out, "value", value->value);
	out_int_or_null(out, "step", value->step, value->step != CAMPAIGN_NO_STEP);
	out_string(out, "state", state);
	render_wait(out, value, state);
	render_conversion(out, value);
	out_string(out, "evaluation", value->evaluation[0] != '\0' ? value->evaluation : NULL);
	out_time(out, "submitted_at", value->submitted_at);
	out_string(out, "error", value->error);
	out_end(out);
}

static void render_entry(struct json_out *out, const struct campaign_entry *entry)
{
	out_object(out, NULL);
	out_string(out, "name", entry->name);
	out_string(out, "state", campaign_entry_state_name(entry->state));
	out_string(out, "why", entry->why);
	out_end(out);
}

static void render_watch(struct json_out *out, const struct campaign_watch *watch,
			 const struct campaign_entry_list *entries)
{
	if (watch->cluster == NULL) {
		out_string(out, "watch", NULL);
		return;
	}
	size_t shown = entries->count < ENTRIES_SHOWN_MAX ? entries->count : ENTRIES_SHOWN_MAX;
	out_object(out, "watch");
	out_string(out, "cluster", watch->cluster);
	out_string(out, "directory", watch->directory);
	out_string(out, "pattern", watch->pattern);
	out_object(out, "ready");
	out_string(out, "file", watch->ready_file);
	out_int(out, "quiet_s", watch->quiet_s);
	out_end(out);
	out_time(out, "looked_at", watch->looked_at);
	out_string(out, "reason", watch->reason);
	out_array(out, "entries");
	for (size_t i = 0; i < shown; i++)
		render_entry(out, &entries->items[i]);
	out_end(out);
	out_int(out, "entry_count", (int64_t)entries->count);
	out_end(out);
}

static int read_points(const struct request *request, struct db *db, const struct campaign_row *row,
		       struct campaign_point_list *ret_points, struct nel_err *err)
{
	const struct query *query = &request->query;
	return campaign_points(db, row->seq, query_get(query, "task"), query_get(query, "metric"), ret_points, err);
}

static int reply_campaign(struct request *request, struct db *db, int status, const char *id, struct nel_err *err)
{
	CLEANUP(campaign_row_done) struct campaign_row row = {0};
	CLEANUP(campaign_value_list_done) struct campaign_value_list values = {0};
	CLEANUP(campaign_watch_done) struct campaign_watch watch = {0};
	CLEANUP(campaign_entry_list_done) struct campaign_entry_list entries = {0};
	CLEANUP(campaign_point_list_done) struct campaign_point_list points = {0};
	CLEANUP(mem_freep) char *baseline = NULL;
	struct json_out body = {0};
	if (campaigns_get(db, id, &row, err) != 0 || campaign_values_list(db, row.seq, &values, err) != 0 ||
	    campaign_watches_get(db, row.seq, &watch, err) != 0 ||
	    campaign_entries_list(db, row.seq, &entries, err) != 0)
		return -1;
	if (campaign_baseline_get(db, row.seq, &baseline, err) != 0 ||
	    read_points(request, db, &row, &points, err) != 0)
		return -1;
	out_object(&body, NULL);
	campaign_members(&body, &row);
	out_string(&body, "baseline", baseline);
	render_watch(&body, &watch, &entries);
	out_array(&body, "values");
	for (size_t i = 0; i < values.count; i++)
		render_value(&body, &values.items[i]);
	out_end(&body);
	curves_render(&body, &points);
	out_end(&body);
	return reply_json_text(request, status, &body.text, err);
}

static int take_submission(struct request *request, const json_t *body, struct submission *ret_submission,
			   struct nel_err *err)
{
	if (envelope_take(str_text(&request->body), request->body.len, body, ret_submission, &request->errors, err) ==
	    0)
		return 0;
	request->fail_status = MHD_HTTP_BAD_REQUEST; /* with errors, but not those of a config */
	return -1;
}

static int check_fields(const json_t *object, const char *what, const char *const *fields, struct nel_err *err)
{
	const char *name = NULL;
	json_t *value = NULL;
	if (!json_is_object(object))
		return err_set(err, NEL_INVALID, "%s must be an object", what);
	json_object_foreach((json_t *)object, name, value)
		if (!str_in(name, fields))
			return err_set(err, NEL_INVALID, "%s has no field \"%.64s\"", what, name);
	return 0;
}

static int take_ready(const json_t *ready, struct campaign_watch *watch, struct nel_err *err)
{
	static const char *const fields[] = {"file", "quiet_s", NULL};
	const char *file = NULL;
	watch->quiet_s = CAMPAIGN_QUIET_DEFAULT_S;
	if (ready == NULL)
		return 0;
	if (check_fields(ready, "watch.ready", fields, err) != 0 ||
	    body_text(ready, "file", false, 1, 255, &file, err) != 0)
		return -1;
	watch->ready_file = file != NULL ? mem_strdup(file) : NULL;
	const json_t *quiet = json_object_get(ready, "quiet_s");
	if (quiet == NULL)
		return 0;
	watch->quiet_s = json_integer_value(quiet);
	if (!json_is_integer(quiet) || watch->quiet_s < 1 || watch->quiet_s > CAMPAIGN_QUIET_MAX_S)
		return err_set(err, NEL_INVALID, "watch.ready.quiet_s must be a whole number from 1 to %d",
			       CAMPAIGN_QUIET_MAX_S);
	return 0;
}

static int take_watch(const json_t *watch, struct campaign_watch *ret_watch, struct nel_err *err)
{
	static const char *const fields[] = {"cluster", "directory", "pattern", "ready", NULL};
	const char *cluster = NULL;
	const char *directory = NULL;
	const char *pattern = NULL;
	if (check_fields(watch, "watch", fields, err) != 0 ||
	    body_text(watch, "cluster", true, 1, 255, &cluster, err) != 0 ||
	    body_text(watch, "directory", true, 1, CAMPAIGN_DIRECTORY_MAX, &directory, err) != 0 ||
	    body_text(watch, "pattern", false, 1, 255, &pattern, err) != 0)
		return -1;
	ret_watch->cluster = mem_strdup(cluster);
	ret_watch->directory = directory[0] == '/' ? str_tidy_path(directory) : mem_strdup(directory);
	ret_watch->pattern = mem_strdup(pattern != NULL ? pattern : "*");
	return take_ready(json_object_get(watch, "ready"), ret_watch, err);
}

/* Borrows from the body. */
static int take_values(const json_t *body, const char ***ret_values, size_t *ret_count, struct nel_err *err)
{
	const json_t *values = json_object_get(body, "values");
	size_t count = json_array_size(values);
	if ((values != NULL) == (json_object_get(body, "watch") != NULL))
		return err_set(err, NEL_INVALID, "a campaign has values or a watch");
	if (values == NULL)
		return 0;
	if (count == 0 || count > CAMPAIGN_VALUES_MAX)
		return err_set(err, NEL_INVALID, "values must be an array of 1 to %d strings", CAMPAIGN_VALUES_MAX);
	*ret_values = mem_calloc(count, sizeof **ret_values);
	*ret_count = count;
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_array_get(values, i);
		if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
			return err_set(err, NEL_INVALID, "values[%zu] must be a string", i);
		(*ret_values)[i] = json_string_value(value);
	}
	return 0;
}

static int take_turns(const json_t *body, struct campaign_request *wanted, struct nel_err *err)
{
	const json_t *live = json_object_get(body, "live");
	const char *order = NULL;
	wanted->live = CAMPAIGN_LIVE_DEFAULT;
	wanted->order = CAMPAIGN_NEWEST_FIRST;
	if (live != NULL) {
		json_int_t number = json_integer_value(live);
		if (!json_is_integer(live) || number < 1 || number > CAMPAIGN_LIVE_MAX)
			return err_set(err, NEL_INVALID, "live must be a whole number from 1 to %d", CAMPAIGN_LIVE_MAX);
		wanted->live = (int)number;
	}
	if (body_text(body, "order", false, 1, 32, &order, err) != 0)
		return -1;
	if (order != NULL && campaign_order_from_name(order, &wanted->order) != 0)
		return err_set(err, NEL_INVALID, "order must be newest_first or listed");
	return 0;
}

static int check_reuse(const json_t *body, struct nel_err *err)
{
	const json_t *reuse = json_object_get(body, "reuse");
	return reuse == NULL || json_is_boolean(reuse) ? 0 : err_set(err, NEL_INVALID, "reuse must be true or false");
}

/* Borrows from the body. */
static int take_convert(const json_t *body, const json_t **ret_convert, struct nel_err *err)
{
	const json_t *convert = json_object_get(body, "convert");
	if (convert != NULL && !json_is_object(convert))
		return err_set(err, NEL_INVALID, "convert must be an object");
	*ret_convert = convert;
	return 0;
}

static int make(struct request *request, struct db *db, const struct campaign_request *wanted,
		const struct submission *s, struct nel_err *err)
{
	CLEANUP(submit_reply_to_client_done) struct submit_reply_to_client reply = {0};
	if (service_make_campaign(request->service, db, wanted, &reply, err) == 0) {
		CLEANUP(mem_freep) char *location = mem_printf("/v1/campaigns/%s", reply.id);
		request_add_header(request, MHD_HTTP_HEADER_LOCATION, location);
		return reply_campaign(request, db, MHD_HTTP_CREATED, reply.id, err);
	}
	envelope_shift_places(reply.errors, s);
	envelope_shift_places(reply.warnings, s);
	request->errors = TAKE(reply.errors);
	request->warnings = TAKE(reply.warnings);
	if (reply.clash)
		request->fail_status = MHD_HTTP_UNPROCESSABLE_CONTENT;
	return -1;
}

int api_createCampaign(struct request *request, struct nel_err *err)
{
	static const char *const fields[] = {"name",      "config", "overrides", "env",  "labels",
					     "parameter", "values", "watch",     "live", "order",
					     "baseline",  "reuse",  "convert",   NULL};
	CLEANUP(json_freep) json_t *body = NULL;
	CLEANUP(submission_done) struct submission s = {0};
	CLEANUP(mem_freep) const char **values = NULL;
	CLEANUP(campaign_watch_done) struct campaign_watch watch = {0};
	char hash[SECRET_HASH_SIZE];
	struct submit_request base = {.actor = &request->actor, .idempotency = {.request_hash = hash}};
	struct campaign_request wanted = {.base = &base};
	struct db *db = NULL;
	if (body_object(request, fields, &body, err) != 0 ||
	    body_text(body, "name", true, 1, CAMPAIGN_NAME_MAX, &wanted.name, err) != 0 ||
	    body_text(body, "parameter", true, 1, CAMPAIGN_PARAMETER_MAX, &wanted.parameter, err) != 0 ||
	    take_submission(request, body, &s, err) != 0 || take_values(body, &values, &wanted.value_count, err) != 0 ||
	    (values == NULL && take_watch(json_object_get(body, "watch"), &watch, err) != 0) ||
	    body_text(body, "baseline", false, 1, CAMPAIGN_BASELINE_MAX, &wanted.baseline, err) != 0 ||
	    take_turns(body, &wanted, err) != 0 || check_reuse(body, err) != 0 ||
	    take_convert(body, &wanted.convert, err) != 0 ||
	    body_idempotency_key(request, &base.idempotency.key, err) != 0 || request_db(request, &db, err) != 0)
		return -1;
	body_hash(request, body, hash);
	wanted.values = values;
	wanted.watch = values == NULL ? &watch : NULL;
	base.reuse = json_is_true(json_object_get(body, "reuse"));
	base.text = s.text;
	base.size = s.size;
	base.json = s.json;
	base.overrides = (const char *const *)s.overrides;
	base.override_count = s.override_count;
	base.env = s.env;
	base.env_count = s.env_count;
	base.labels = s.labels;
	base.label_count = s.label_count;
	return make(request, db, &wanted, &s, err);
}

int api_listCampaigns(struct request *request, struct nel_err *err)
{
	CLEANUP(campaign_list_done) struct campaign_list list = {0};
	struct page page = {0};
	struct json_out body = {0};
	struct db *db = NULL;
	if (page_parse(request, CURSOR_CAMPAIGNS, &page, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    campaigns_list(db, query_get(&request->query, "user"), page.position, page.limit + 1, &list, err) != 0)
		return -1;
	size_t count = list.count > (size_t)page.limit ? (size_t)page.limit : list.count;
	out_object(&body, NULL);
	out_array(&body, "items");
	for (size_t i = 0; i < count; i++) {
		out_object(&body, NULL);
		campaign_members(&body, &list.items[i]);
		out_end(&body);
	}
	out_end(&body);
	page_next(request, &page, count < list.count ? list.items[count - 1].seq : 0, &body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

static int reply_curves_csv(struct request *request, struct db *db, const char *id, struct nel_err *err)
{
	CLEANUP(campaign_row_done) struct campaign_row row = {0};
	CLEANUP(campaign_point_list_done) struct campaign_point_list points = {0};
	struct str body = {0};
	if (campaigns_get(db, id, &row, err) != 0 || read_points(request, db, &row, &points, err) != 0)
		return -1;
	curves_render_csv(&body, &points);
	return reply_text(request, MHD_HTTP_OK, REQUEST_CSV_TYPE, &body, err);
}

int api_getCampaign(struct request *request, struct nel_err *err)
{
	bool csv = false;
	struct db *db = NULL;
	if (request_wants_csv(request, &csv, err) != 0 || request_read_db(request, &db, err) != 0)
		return -1;
	return csv ? reply_curves_csv(request, db, request->captures[0], err)
		   : reply_campaign(request, db, MHD_HTTP_OK, request->captures[0], err);
}

static int ask(struct request *request,
	       int (*change)(struct service *, struct db *, const struct actor *, const char *, struct nel_err *),
	       struct nel_err *err)
{
	struct db *db = NULL;
	const char *id = request->captures[0];
	if (request_db(request, &db, err) != 0 || change(request->service, db, &request->actor, id, err) != 0)
		return -1;
	return reply_campaign(request, db, MHD_HTTP_ACCEPTED, id, err);
}

int api_pauseCampaign(struct request *request, struct nel_err *err)
{
	return ask(request, service_pause_campaign, err);
}

int api_resumeCampaign(struct request *request, struct nel_err *err)
{
	return ask(request, service_resume_campaign, err);
}

int api_cancelCampaign(struct request *request, struct nel_err *err)
{
	return ask(request, service_cancel_campaign, err);
}
