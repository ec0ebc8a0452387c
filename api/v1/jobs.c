/* Handlers of /v1/jobs but for logs and artifacts, which are in files.c, and results. */
#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/v1/read.h"
#include "api/v1/render.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "db/attempts.h"
#include "service/lifecycle.h"

static int parse_state(const struct request *request, const char **ret_state, struct nel_err *err)
{
	enum chain_state ignored;
	const char *state = query_get(&request->query, "state");
	if (state != NULL && chain_state_from_name(state, &ignored) != 0)
		return err_set(err, NEL_INVALID,
			       "query parameter \"state\" must be one of queued, submitting, pending, running, "
			       "resuming, cancelling, succeeded, failed, cancelled, budget_exhausted");
	*ret_state = state;
	return 0;
}

/* *ret_label_key is what filter->label_key points to; the caller frees it. */
static int parse_filter(const struct request *request, struct job_filter *filter, char **ret_label_key,
			struct nel_err *err)
{
	const struct query *query = &request->query;
	if (parse_state(request, &filter->state, err) != 0 || read_sort(request, &filter->sort, err) != 0 ||
	    query_get_span(query, &filter->since_s, &filter->until_s, err) != 0 ||
	    query_get_label(query, ret_label_key, &filter->label_value, err) != 0)
		return -1;
	filter->label_key = *ret_label_key;
	filter->evaluation = query_get(query, "evaluation");
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
	size_t count = list->count > (size_t)page->limit ? (size_t)page->limit : list->count;
	out_object(out, NULL);
	out_array(out, "items");
	for (size_t i = 0; i < count; i++) {
		CLEANUP(job_row_done) struct job_row job = {0};
		if (jobs_get_seq(db, list->seqs[i], &job, err) != 0)
			return -1;
		service_show_queue_position(request->service, &job);
		render_job(out, &job);
	}
	out_end(out);
	page_next(request, page, count < list->count ? list->positions[count - 1] : list->next, out);
	page_total(page, total, capped, out);
	out_end(out);
	return 0;
}

int api_listJobs(struct request *request, struct nel_err *err)
{
	CLEANUP(mem_freep) char *label_key = NULL;
	CLEANUP(mem_freep) char *search = NULL;
	struct job_filter filter = {0};
	struct page page = {0};
	struct db *db = NULL;
	if (page_parse(request, CURSOR_JOBS, &page, err) != 0 || parse_filter(request, &filter, &label_key, err) != 0 ||
	    read_search(request, &search, err) != 0 || request_read_db(request, &db, err) != 0)
		return -1;
	if (read_list_is_known(request))
		return 0;
	filter.search = search;
	filter.position = page.position;
	filter.limit = page.limit + 1;
	struct seq_list list = {0};
	CLEANUP(json_out_done) struct json_out body = {0};
	int64_t total = 0;
	bool capped = false;
	if (jobs_list(db, &filter, &list, err) != 0 ||
	    (page.total && jobs_total(db, &filter, &total, &capped, err) != 0) ||
	    render_list(request, db, &page, &list, total, capped, &body, err) != 0)
		return -1;
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

static int reply_job(struct request *request, struct db *db, int status, struct nel_err *err)
{
	CLEANUP(job_row_done) struct job_row job = {0};
	CLEANUP(attempt_list_done) struct attempt_list attempts = {0};
	CLEANUP(history_list_done) struct history_list history = {0};
	CLEANUP(failure_row_done) struct failure_row failure = {0};
	CLEANUP(evaluation_row_done) struct evaluation_row evaluation = {0};
	if (read_job(db, request->captures[0], &job, err) != 0 ||
	    evaluations_get_at(db, job.evaluation_seq, &evaluation, err) != 0 ||
	    attempts_of_chain(db, job.chain.seq, &attempts, err) != 0 ||
	    history_of_job(db, job.seq, &history, err) != 0 || failures_get(db, job.seq, &failure, err) != 0)
		return -1;
	service_show_queue_position(request->service, &job);
	struct json_out body = {0};
	render_job_detail(&body, &job, &attempts, &history, &failure, evaluation.placement);
	return reply_json_text(request, status, &body.text, err);
}

int api_getJob(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	struct revision revision = {0};
	const char *id = request->captures[0];
	if (request_read_db(request, &db, err) != 0)
		return -1;
	if (revisions_job(db, id, &revision, err) == 0) {
		if (read_is_known(request, &revision, id))
			return 0;
	} else if (err->kind != NEL_NOTFOUND) {
		return -1;
	}
	return reply_job(request, db, MHD_HTTP_OK, err);
}

int api_cancelJob(struct request *request, struct nel_err *err)
{
	char evaluation[IDS_EVALUATION_SIZE];
	int index = 0;
	struct db *db = NULL;
	const char *id = request->captures[0];
	if (request_db(request, &db, err) != 0)
		return -1;
	if (!ids_parse_job(id, evaluation, &index))
		return err_set(err, NEL_NOTFOUND, "no job \"%.64s\"", id);
	if (service_cancel_job(request->service, db, &request->actor, id, err) != 0)
		return -1;
	return reply_job(request, db, MHD_HTTP_ACCEPTED, err);
}

int api_resumeJob(struct request *request, struct nel_err *err)
{
	char evaluation[IDS_EVALUATION_SIZE];
	int index = 0;
	bool reset_budget = false;
	struct db *db = NULL;
	const char *id = request->captures[0];
	CLEANUP(secret_json_freep) json_t *env = NULL;
	if (body_resume(request, &reset_budget, &env, err) != 0 || request_db(request, &db, err) != 0)
		return -1;
	if (!ids_parse_job(id, evaluation, &index))
		return err_set(err, NEL_NOTFOUND, "no job \"%.64s\"", id);
	if (service_resume_job(request->service, db, &request->actor, id, reset_budget, env, err) != 0) {
		if (err->kind == NEL_INVALID)
			request->fail_status = MHD_HTTP_UNPROCESSABLE_CONTENT;
		return -1;
	}
	return reply_job(request, db, MHD_HTTP_ACCEPTED, err);
}

int api_getJobScript(struct request *request, struct nel_err *err)
{
	CLEANUP(job_row_done) struct job_row job = {0};
	struct db *db = NULL;
	long long number = 0;
	if (query_get_int(&request->query, "attempt", 1, INT32_MAX, 0, &number, err) != 0 ||
	    request_read_db(request, &db, err) != 0 || read_job(db, request->captures[0], &job, err) != 0)
		return -1;
	if (number == 0)
		number = job.chain.attempt;
	if (number == 0)
		return err_set(err, NEL_NOTFOUND, "job %s has no attempt yet", job.id);
	char *text = NULL;
	if (attempts_script(db, job.chain.seq, (int)number, &text, err) != 0)
		return err->kind == NEL_NOTFOUND
			   ? err_set(err, NEL_NOTFOUND, "job %s has no attempt %lld", job.id, number)
			   : -1;
	struct str body = {0};
	str_append(&body, text);
	free(text);
	return reply_text(request, MHD_HTTP_OK, "text/x-shellscript; charset=utf-8", &body, err);
}
