/* Handler of /v1/summary: how many there are, for overviews. */
#include "db/summary.h"
#include "api/http/handlers.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/v1/read.h"
#include "base/clock.h"
#include "base/json_out.h"

#include <string.h>

#define LAST_DAY_MAX 2932896 /* 9999-12-31 */

/* Whole days: that of `since`, to the last that begins before `until`. */
static int parse_filter(const struct query *query, struct summary_filter *filter, struct nel_err *err)
{
	const struct query_word words[] = {{"state", &filter->by_state},
					   {"cluster", &filter->by_cluster},
					   {"user", &filter->by_user},
					   {"day", &filter->by_day}};
	int64_t since_s = 0;
	int64_t until_s = 0;
	const char *time = query_get(query, "time");
	if (query_get_words(query, "by", "state", words, sizeof words / sizeof words[0], NULL, err) != 0 ||
	    query_get_span(query, &since_s, &until_s, err) != 0)
		return -1;
	filter->ended = time != NULL && strcmp(time, "ended") == 0;
	if (time != NULL && !filter->ended && strcmp(time, "created") != 0)
		return err_set(err, NEL_INVALID, "query parameter \"time\" must be created or ended");
	filter->first_day = since_s / SUMMARY_DAY_S;
	filter->last_day = until_s != 0 ? (until_s + SUMMARY_DAY_S - 1) / SUMMARY_DAY_S - 1 : LAST_DAY_MAX;
	filter->cluster = query_get(query, "cluster");
	filter->user = query_get(query, "user");
	return 0;
}

static void render_day(struct json_out *out, int64_t day)
{
	char text[CLOCK_RFC3339_SIZE];
	if (day < 0) {
		out_null(out, "day");
		return;
	}
	clock_rfc3339(day * SUMMARY_DAY_S, text);
	*strchr(text, 'T') = '\0';
	out_string(out, "day", text);
}

static void render(struct json_out *out, const struct summary_list *list, const struct failure_count_list *failures)
{
	out_object(out, NULL);
	out_array(out, "items");
	for (size_t i = 0; i < list->count; i++) {
		const struct summary_row *row = &list->items[i];
		out_object(out, NULL);
		render_day(out, row->day);
		out_string(out, "cluster", row->cluster);
		out_string(out, "user", row->user);
		out_string(out, "state", row->state);
		out_int(out, "evaluations", row->evaluations);
		out_int(out, "jobs", row->jobs);
		out_end(out);
	}
	out_end(out);
	out_array(out, "failures");
	for (size_t i = 0; i < failures->count; i++) {
		out_object(out, NULL);
		out_string(out, "cause", failures->items[i].cause);
		out_int(out, "jobs", failures->items[i].jobs);
		out_end(out);
	}
	out_end(out);
	out_bool(out, "failures_capped", failures->capped);
	out_end(out);
}

int api_getSummary(struct request *request, struct nel_err *err)
{
	struct summary_filter filter = {0};
	struct db *db = NULL;
	CLEANUP(summary_list_done) struct summary_list list = {0};
	CLEANUP(failure_count_list_done) struct failure_count_list failures = {0};
	if (parse_filter(&request->query, &filter, err) != 0 || request_read_db(request, &db, err) != 0)
		return -1;
	if (read_list_is_known(request))
		return 0;
	if (summary_count(db, &filter, &list, err) != 0 || summary_failures(db, &filter, &failures, err) != 0)
		return -1;
	if (list.count > SUMMARY_ROWS_MAX)
		return err_set(err, NEL_INVALID,
			       "the summary has more than %d rows: give `since` and `until`, or fewer words in `by`",
			       SUMMARY_ROWS_MAX);
	struct json_out body = {0};
	render(&body, &list, &failures);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}
