/* Handlers of scores: of a job, and across evaluations; as JSON or CSV. */
#include "db/results.h"
#include "api/handlers.h"
#include "api/json_out.h"
#include "api/media.h"
#include "api/page.h"
#include "api/read.h"
#include "api/render.h"
#include "api/reply.h"

#include <string.h>

#define CSV_TYPE "text/csv; charset=utf-8"

static int parse_format(const struct request *request, bool *ret_csv, struct nel_err *err)
{
	const char *format = query_get(&request->query, "format");
	if (format == NULL)
		*ret_csv =
		    media_prefers(request_header(request, MHD_HTTP_HEADER_ACCEPT), "text/csv", "application/json");
	else if (strcmp(format, "csv") == 0 || strcmp(format, "json") == 0)
		*ret_csv = strcmp(format, "csv") == 0;
	else
		return err_set(err, NEL_INVALID, "query parameter \"format\" must be json or csv");
	return 0;
}

static void render_rows(struct str *body, bool csv, const struct render_score_of *of, const struct result_row *row,
			bool first)
{
	if (csv) {
		render_score_csv(body, of, row);
		return;
	}
	if (!first)
		OUT(body, ",");
	render_score(body, of, row);
}

static void open_body(struct str *body, bool csv)
{
	if (csv)
		render_score_csv_heading(body);
	else
		OUT(body, "{\"items\":[");
}

int api_getJobResults(struct request *request, struct nel_err *err)
{
	static const struct query_rule rules[] = {{"format", false}};
	CLEANUP(job_row_done) struct job_row job = {0};
	CLEANUP(result_list_done) struct result_list list = {0};
	struct db *db = NULL;
	bool csv = false;
	if (request_check_query(request, rules, QUERY_RULES(rules), err) != 0 ||
	    parse_format(request, &csv, err) != 0 || request_read_db(request, &db, err) != 0 ||
	    read_job(db, request->captures[0], &job, err) != 0 || results_of_job(db, job.seq, &list, err) != 0)
		return -1;
	const struct render_score_of of = {
	    .job = job.id,
	    .evaluation = job.evaluation,
	    .user = job.user,
	    .model = job.model,
	    .ended_at = job.ended_at,
	};
	struct str body = {0};
	open_body(&body, csv);
	for (size_t i = 0; i < list.count; i++)
		render_rows(&body, csv, &of, &list.items[i], i == 0);
	if (csv)
		return reply_text(request, MHD_HTTP_OK, CSV_TYPE, &body, err);
	OUT(&body, "],\"next\":null}");
	return reply_json_text(request, MHD_HTTP_OK, &body, err);
}

static int reply_list(struct request *request, const struct page *page, bool csv, const struct result_of_job_list *list,
		      struct nel_err *err)
{
	struct str body = {0};
	open_body(&body, csv);
	for (size_t i = 0; i < list->count; i++) {
		const struct result_of_job *item = &list->items[i];
		const struct render_score_of of = {
		    .job = item->job,
		    .evaluation = item->evaluation,
		    .user = item->user,
		    .model = item->model,
		    .ended_at = item->ended_at,
		};
		render_rows(&body, csv, &of, &item->row, i == 0);
	}
	if (csv) {
		page_link(request, page, list->last_job_seq);
		return reply_text(request, MHD_HTTP_OK, CSV_TYPE, &body, err);
	}
	OUT(&body, "],");
	page_next(request, page, list->last_job_seq, &body);
	OUT(&body, "}");
	return reply_json_text(request, MHD_HTTP_OK, &body, err);
}

int api_listResults(struct request *request, struct nel_err *err)
{
	static const struct query_rule rules[] = {
	    {"task", false}, {"metric", false}, {"model", false}, {"label", false}, {"format", false}, PAGE_RULES,
	};
	CLEANUP(mem_freep) char *label_key = NULL;
	CLEANUP(result_of_job_list_done) struct result_of_job_list list = {0};
	struct result_filter filter = {0};
	struct page page = {0};
	struct db *db = NULL;
	bool csv = false;
	if (request_check_query(request, rules, QUERY_RULES(rules), err) != 0 ||
	    page_parse(request, CURSOR_RESULTS, &page, err) != 0 || parse_format(request, &csv, err) != 0 ||
	    query_get_label(&request->query, &label_key, &filter.label_value, err) != 0 ||
	    request_read_db(request, &db, err) != 0)
		return -1;
	filter.label_key = label_key;
	filter.task = query_get(&request->query, "task");
	filter.metric = query_get(&request->query, "metric");
	filter.model = query_get(&request->query, "model");
	filter.before_seq = page.position;
	filter.limit = page.limit;
	if (results_list(db, &filter, &list, err) != 0)
		return -1;
	request_add_header(request, MHD_HTTP_HEADER_VARY, "Accept");
	return reply_list(request, &page, csv, &list, err);
}
