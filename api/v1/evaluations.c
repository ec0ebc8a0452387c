/* Handlers of /v1/evaluations but for submitting, which is in submissions.c. */
#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/v1/read.h"
#include "base/json_out.h"
#include "service/defaulted.h"
#include "service/lifecycle.h"

#include <string.h>

#define ID_START_MIN 4
#define LIST_SIZE_MAX \
	(2 * 1024 * 1024) /* bytes at which a page ends, whatever its limit: one evaluation may have 0.5 MB */

int api_getEvaluation(struct request *request, struct nel_err *err)
{
	CLEANUP(str_done) struct str body = {0};
	if (read_evaluation_text(request, request->captures[0], &body, err) != 0)
		return -1;
	return reply_json_text(request, MHD_HTTP_OK, &body, err);
}

static int parse_state(const struct request *request, const char **ret_state, struct nel_err *err)
{
	static const char *const states[] = {"queued", "running", "succeeded", "failed", "cancelled", NULL};
	const char *state = query_get(&request->query, "state");
	if (state != NULL && !str_in(state, states))
		return err_set(
		    err, NEL_INVALID,
		    "query parameter \"state\" must be one of queued, running, succeeded, failed, cancelled");
	*ret_state = state;
	return 0;
}

/* *ret_label_key is what filter->label_key points to; the caller frees it. */
static int parse_filter(const struct request *request, struct evaluation_filter *filter, char **ret_label_key,
			struct nel_err *err)
{
	const struct query *query = &request->query;
	if (parse_state(request, &filter->state, err) != 0 || read_sort(request, &filter->sort, err) != 0 ||
	    query_get_span(query, &filter->since_s, &filter->until_s, err) != 0 ||
	    query_get_label(query, ret_label_key, &filter->label_value, err) != 0)
		return -1;
	filter->id_start = query_get(query, "id");
	size_t id_size = filter->id_start == NULL ? ID_START_MIN : strlen(filter->id_start);
	if (id_size < ID_START_MIN || id_size >= IDS_EVALUATION_SIZE ||
	    (filter->id_start != NULL && strspn(filter->id_start, "0123456789abcdef") != id_size))
		return err_set(err, NEL_INVALID,
			       "query parameter \"id\" must be the first %d to %d digits (0-9, a-f) of an id",
			       ID_START_MIN, IDS_EVALUATION_SIZE - 1);
	filter->label_key = *ret_label_key;
	filter->user = query_get(query, "user");
	filter->cluster = query_get(query, "cluster");
	filter->task = query_get(query, "task");
	filter->model = query_get(query, "model");
	return 0;
}

/* The list has one row more than the page when there is a next one. */
static int render_list(struct request *request, struct db *db, const struct page *page, const struct seq_list *list,
		       int64_t total, bool capped, struct json_out *out, struct nel_err *err)
{
	CLEANUP(str_done) struct str text = {0};
	size_t most = list->count > (size_t)page->limit ? (size_t)page->limit : list->count;
	size_t count = 0;
	out_object(out, NULL);
	out_array(out, "items");
	while (count < most && out->text.len < LIST_SIZE_MAX) {
		str_clear(&text);
		if (read_evaluation_text_at(request, db, list->seqs[count++], &text, err) != 0)
			return -1;
		out_json_n(out, NULL, text.data, text.len);
	}
	out_end(out);
	page_next(request, page, count < list->count ? list->positions[count - 1] : list->next, out);
	page_total(page, total, capped, out);
	out_end(out);
	return 0;
}

/* The evaluation that those of the list are to be like; nothing when none is named. */
static int find_like(const struct request *request, struct db *db, struct evaluation_row *ret_row, struct nel_err *err)
{
	const char *like = query_get(&request->query, "like");
	if (like == NULL || read_evaluation(db, like, false, ret_row, err) == 0)
		return 0;
	return err->kind == NEL_NOTFOUND
		   ? err_set(err, NEL_INVALID, "query parameter \"like\": there is no evaluation \"%.64s\"", like)
		   : -1;
}

int api_listEvaluations(struct request *request, struct nel_err *err)
{
	CLEANUP(mem_freep) char *label_key = NULL;
	struct evaluation_filter filter = {0};
	struct page page = {0};
	struct db *db = NULL;
	CLEANUP(mem_freep) char *search = NULL;
	if (page_parse(request, CURSOR_EVALUATIONS, &page, err) != 0 ||
	    parse_filter(request, &filter, &label_key, err) != 0 || read_search(request, &search, err) != 0 ||
	    request_read_db(request, &db, err) != 0)
		return -1;
	if (read_list_is_known(request))
		return 0;
	filter.search = search;
	filter.position = page.position;
	filter.limit = page.limit + 1;
	CLEANUP(evaluation_row_done) struct evaluation_row like = {0};
	if (find_like(request, db, &like, err) != 0)
		return -1;
	filter.config_hash = like.config_hash;
	struct seq_list list = {0};
	CLEANUP(json_out_done) struct json_out body = {0};
	int64_t total = 0;
	bool capped = false;
	if (evaluations_list(db, &filter, &list, err) != 0 ||
	    (page.total && evaluations_total(db, &filter, &total, &capped, err) != 0) ||
	    render_list(request, db, &page, &list, total, capped, &body, err) != 0)
		return -1;
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

int api_getEvaluationConfig(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	if (request_read_db(request, &db, err) != 0)
		return -1;
	const char *form = query_get(&request->query, "form");
	bool resolved = form != NULL && strcmp(form, "resolved") == 0;
	bool defaulted = form != NULL && strcmp(form, "defaulted") == 0;
	if (form != NULL && !resolved && !defaulted && strcmp(form, "submitted") != 0)
		return err_set(err, NEL_INVALID, "query parameter \"form\" must be submitted, resolved or defaulted");
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	if (read_evaluation(db, request->captures[0], true, &row, err) != 0)
		return -1;
	CLEANUP(mem_freep) char *items = defaulted ? service_defaulted(&row) : NULL;
	bool yaml = !resolved && !defaulted && strcmp(row.submitted_type, "application/yaml") == 0;
	struct str body = {0};
	str_append(&body, defaulted ? items : resolved ? row.resolved : row.submitted_text);
	return reply_text(request, MHD_HTTP_OK, yaml ? "application/yaml" : "application/json", &body, err);
}

int api_cancelEvaluation(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	const char *id = request->captures[0];
	if (request_db(request, &db, err) != 0)
		return -1;
	if (!ids_is_evaluation(id))
		return err_set(err, NEL_NOTFOUND, "no evaluation \"%.64s\"", id);
	if (service_cancel_evaluation(request->service, db, &request->actor, id, err) != 0)
		return -1;
	return read_reply_evaluation(request, db, MHD_HTTP_ACCEPTED, id, err);
}

int api_resumeEvaluation(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	bool reset_budget = false;
	const char *id = request->captures[0];
	CLEANUP(secret_json_freep) json_t *env = NULL;
	if (body_resume(request, &reset_budget, &env, err) != 0 || request_db(request, &db, err) != 0)
		return -1;
	if (!ids_is_evaluation(id))
		return err_set(err, NEL_NOTFOUND, "no evaluation \"%.64s\"", id);
	if (service_resume_evaluation(request->service, db, &request->actor, id, reset_budget, env, err) != 0) {
		if (err->kind == NEL_INVALID)
			request->fail_status = MHD_HTTP_UNPROCESSABLE_CONTENT;
		return -1;
	}
	return read_reply_evaluation(request, db, MHD_HTTP_ACCEPTED, id, err);
}
