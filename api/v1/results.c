/* Handlers of scores: of a job, and across evaluations; as a list or a matrix, as JSON or CSV. */
#include "db/results.h"
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/v1/matrix.h"
#include "api/v1/read.h"
#include "api/v1/render.h"
#include "base/json_out.h"

#include <string.h>

static void render_rows(struct json_out *out, bool csv, const struct render_score_of *of, const struct score *row)
{
	if (csv) {
		render_score_csv(&out->text, of, row);
		return;
	}
	render_score(out, of, row);
}

static void open_body(struct json_out *out, bool csv)
{
	if (csv) {
		render_score_csv_heading(&out->text);
		return;
	}
	out_object(out, NULL);
	out_array(out, "items");
}

int api_getJobResults(struct request *request, struct nel_err *err)
{
	CLEANUP(job_row_done) struct job_row job = {0};
	CLEANUP(result_list_done) struct result_list list = {0};
	CLEANUP(job_basis_done) struct job_basis basis = {0};
	struct page page;
	struct db *db = NULL;
	bool csv = false;
	if (request_wants_csv(request, &csv, err) != 0 || page_parse_whole(request, &page, err) != 0 ||
	    request_read_db(request, &db, err) != 0 || read_job(db, request->captures[0], &job, err) != 0 ||
	    results_of_job(db, job.seq, &list, err) != 0 || likenesses_basis(db, job.seq, &basis, err) != 0)
		return -1;
	const struct render_score_of of = render_score_of_job(&job, &basis);
	struct json_out body = {0};
	open_body(&body, csv);
	for (size_t i = 0; i < list.count; i++)
		if (page_has(&page, i))
			render_rows(&body, csv, &of, &list.items[i]);
	if (csv) {
		page_link(request, &page, page_after(&page, list.count));
		return reply_text(request, MHD_HTTP_OK, REQUEST_CSV_TYPE, &body.text, err);
	}
	out_end(&body);
	page_next(request, &page, page_after(&page, list.count), &body);
	if (list.count > 0) {
		out_name(&body, "basis");
		render_basis(&body, &basis);
	}
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

/* page NULL: the list is all there is. */
static int reply_list(struct request *request, const struct page *page, bool csv, const struct result_of_job_list *list,
		      struct nel_err *err)
{
	struct json_out body = {0};
	int64_t next = page != NULL ? list->last_job_seq : 0;
	open_body(&body, csv);
	for (size_t i = 0; i < list->count; i++) {
		const struct result_of_job *item = &list->items[i];
		const struct render_score_of of = {
		    .job = item->job,
		    .evaluation = item->evaluation,
		    .user = item->user,
		    .model = item->model,
		    .state = item->state,
		    .ended_at = item->ended_at,
		    .basis = item->basis,
		};
		render_rows(&body, csv, &of, &item->row);
	}
	if (csv) {
		page_link(request, page, next);
		return reply_text(request, MHD_HTTP_OK, REQUEST_CSV_TYPE, &body.text, err);
	}
	out_end(&body);
	page_next(request, page, next, &body);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

static int reply_matrix(struct request *request, struct db *db, bool csv, const struct result_of_job_list *list,
			struct nel_err *err)
{
	CLEANUP(matrix_freep) struct matrix *matrix = NULL;
	if (matrix_new(db, list, query_get(&request->query, "baseline"), &matrix, err) != 0)
		return -1;
	struct json_out body = {0};
	if (csv) {
		matrix_render_csv(&body.text, matrix);
		return reply_text(request, MHD_HTTP_OK, REQUEST_CSV_TYPE, &body.text, err);
	}
	matrix_render(&body, matrix);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

/* Which of the three forms of the list is asked for. */
struct wanted {
	bool matrix;
	bool latest;
	bool csv;
};

static int parse_wanted(struct request *request, struct wanted *ret_request, struct nel_err *err)
{
	const struct query *query = &request->query;
	const char *form = query_get(query, "form");
	struct wanted wanted = {.matrix = form != NULL && strcmp(form, "matrix") == 0};
	if (form != NULL && !wanted.matrix && strcmp(form, "list") != 0)
		return err_set(err, NEL_INVALID, "query parameter \"form\" must be list or matrix");
	if (query_get_bool(query, "latest", wanted.matrix, &wanted.latest, err) != 0 ||
	    request_wants_csv(request, &wanted.csv, err) != 0)
		return -1;
	if (wanted.matrix && !wanted.latest)
		return err_set(err, NEL_INVALID, "form=matrix shows the latest scores: leave latest=false out");
	if (!wanted.matrix && query_get(query, "baseline") != NULL)
		return err_set(err, NEL_INVALID, "query parameter \"baseline\" belongs to form=matrix");
	if (wanted.latest && (query_get(query, "limit") != NULL || query_get(query, "cursor") != NULL))
		return err_set(err, NEL_INVALID, "the latest scores come on one page: leave limit and cursor out");
	*ret_request = wanted;
	return 0;
}

/* *ret_label_key is what filter->label_key points to; the caller frees it. */
static int parse_filter(const struct request *request, struct result_filter *filter, char **ret_label_key,
			struct nel_err *err)
{
	const struct query *query = &request->query;
	long long since_s = 0;
	long long until_s = 0;
	if (query_get_time(query, "since", &since_s, err) != 0 || query_get_time(query, "until", &until_s, err) != 0 ||
	    query_get_label(query, ret_label_key, &filter->label_value, err) != 0)
		return -1;
	enum chain_state ignored;
	const char *state = query_get(query, "state");
	if (state != NULL && chain_state_from_name(state, &ignored) != 0)
		return err_set(err, NEL_INVALID, "query parameter \"state\" must be a job's state, such as failed");
	filter->label_key = *ret_label_key;
	filter->task = query_get(query, "task");
	filter->metric = query_get(query, "metric");
	filter->score = query_get(query, "score");
	filter->model = query_get(query, "model");
	filter->user = query_get(query, "user");
	filter->cluster = query_get(query, "cluster");
	filter->evaluation = query_get(query, "evaluation");
	filter->state = query_get(query, "state");
	filter->since_s = since_s;
	filter->until_s = until_s;
	return 0;
}

static int reply_latest(struct request *request, struct db *db, const struct wanted *wanted,
			const struct result_filter *filter, struct nel_err *err)
{
	CLEANUP(result_of_job_list_done) struct result_of_job_list list = {0};
	if (results_newest(db, filter, &list, err) != 0)
		return -1;
	if (list.truncated)
		return err_set(err, NEL_INVALID,
			       "there are more than %d latest scores: narrow them down by model, task or metric",
			       RESULTS_NEWEST_MAX);
	return wanted->matrix ? reply_matrix(request, db, wanted->csv, &list, err)
			      : reply_list(request, NULL, wanted->csv, &list, err);
}

int api_listResults(struct request *request, struct nel_err *err)
{
	CLEANUP(mem_freep) char *label_key = NULL;
	CLEANUP(result_of_job_list_done) struct result_of_job_list list = {0};
	struct result_filter filter = {0};
	struct page page = {0};
	struct wanted wanted = {0};
	struct db *db = NULL;
	if (page_parse(request, CURSOR_RESULTS, &page, err) != 0 || parse_wanted(request, &wanted, err) != 0 ||
	    parse_filter(request, &filter, &label_key, err) != 0 || request_read_db(request, &db, err) != 0)
		return -1;
	if (read_list_is_known(request))
		return 0;
	if (wanted.latest)
		return reply_latest(request, db, &wanted, &filter, err);
	filter.before_seq = page.position;
	filter.limit = page.limit;
	return results_list(db, &filter, &list, err) != 0 ? -1 : reply_list(request, &page, wanted.csv, &list, err);
}
