/* Handler of POST /v1/jobs/{id}/results: reads the scores again from the cluster, and says what has changed. */
#include "service/refresh.h"
#include "api/http/handlers.h"
#include "api/http/json_out.h"
#include "api/http/reply.h"
#include "api/http/server_internal.h"
#include "api/http/wait_room.h"
#include "api/v1/read.h"
#include "api/v1/render.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

/* The handler's state while a lane reads. */
static void state_free(void *state)
{
	job_row_done(state);
	free(state);
}

static void render_value(struct str *s, const struct result_row *row)
{
	if (row == NULL) {
		OUT(s, "null");
		return;
	}
	OUT(s, "{\"value\":");
	out_double(s, row->value);
	OUT(s, ",\"stderr\":");
	out_double(s, row->stderr_);
	OUT(s, ",\"count\":");
	out_int_or_null(s, row->count, row->count >= 0);
	OUT(s, "}");
}

static bool same_value(const struct result_row *a, const struct result_row *b)
{
	bool same_error = a->stderr_ == b->stderr_ || (a->stderr_ != a->stderr_ && b->stderr_ != b->stderr_);
	return a->value == b->value && same_error && a->count == b->count;
}

/* The order of results_of_job(). */
static int compare_names(const struct result_row *a, const struct result_row *b)
{
	if (a->group != b->group)
		return (int)a->group - (int)b->group;
	int order = strcmp(a->task, b->task);
	if (order == 0)
		order = strcmp(a->metric, b->metric);
	return order != 0 ? order : strcmp(a->score, b->score);
}

struct tally {
	int added;
	int changed;
	int removed;
	int unchanged;
};

/* row: one of the two, either of which may be NULL. */
static void render_change(struct str *s, const struct result_row *row, const struct result_row *before,
			  const struct result_row *after)
{
	OUT(s, "{\"task\":");
	out_string(s, row->task);
	OUT(s, ",\"group\":");
	out_bool(s, row->group);
	OUT(s, ",\"metric\":");
	out_string(s, row->metric);
	OUT(s, ",\"score\":");
	out_string(s, row->score);
	OUT(s, ",\"before\":");
	render_value(s, before);
	OUT(s, ",\"after\":");
	render_value(s, after);
	OUT(s, "}");
}

/* Both lists have the same order, so one walk over the two finds what differs. */
static struct tally render_changes(struct str *s, const struct refresh *refresh)
{
	struct tally tally = {0};
	size_t b = 0;
	size_t a = 0;
	while (b < refresh->before.count || a < refresh->after.count) {
		const struct result_row *before = b < refresh->before.count ? &refresh->before.items[b] : NULL;
		const struct result_row *after = a < refresh->after.count ? &refresh->after.items[a] : NULL;
		int order = before == NULL ? 1 : after == NULL ? -1 : compare_names(before, after);
		b += order <= 0;
		a += order >= 0;
		if (order == 0 && same_value(before, after)) {
			tally.unchanged++;
			continue;
		}
		tally.removed += order < 0;
		tally.added += order > 0;
		tally.changed += order == 0;
		if (tally.removed + tally.added + tally.changed > 1)
			OUT(s, ",");
		render_change(s, order > 0 ? after : before, order > 0 ? NULL : before, order < 0 ? NULL : after);
	}
	return tally;
}

static void render_refresh(struct str *s, const struct job_row *job, const struct refresh *refresh, int64_t modified_at,
			   struct tally *ret_tally)
{
	CLEANUP(str_done) struct str changes = {0};
	struct tally tally = render_changes(&changes, refresh);
	OUT(s, "{\"job\":");
	out_string(s, job->id);
	OUT(s, ",\"state\":");
	out_string(s, chain_state_name(job->state));
	OUT(s, ",\"partial\":");
	out_bool(s, job->state != CHAIN_SUCCEEDED);
	OUT(s, ",\"modified_at\":");
	out_time(s, modified_at);
	str_appendf(s, ",\"counts\":{\"added\":%d,\"changed\":%d,\"removed\":%d,\"unchanged\":%d}", tally.added,
		    tally.changed, tally.removed, tally.unchanged);
	OUT(s, ",\"changes\":[");
	str_append(s, str_text(&changes));
	OUT(s, "],\"items\":[");
	const struct render_score_of of = render_score_of_job(job, &refresh->basis);
	for (size_t i = 0; i < refresh->after.count; i++) {
		str_append(s, i > 0 ? "," : "");
		render_score(s, &of, &refresh->after.items[i]);
	}
	OUT(s, "]}");
	*ret_tally = tally;
}

/* The file is not one that scores can be read from, however often it is asked for. */
static int unreadable(struct request *request, const char *why, struct nel_err *err)
{
	char reason[NEL_ERR_MSG_MAX];
	snprintf(reason, sizeof reason, "%s", why);
	return request_fail(request, MHD_HTTP_UNPROCESSABLE_CONTENT, err, NEL_INVALID,
			    "the scores stay as they were: %.900s", reason);
}

static int file_came(struct request *request, struct nel_err *err)
{
	const struct wait_answer *answer = waiter_answer(request->waiter);
	const struct job_row *job = request->state;
	CLEANUP(refresh_done) struct refresh refresh = {0};
	struct db *db = NULL;
	if (answer->failed) {
		*err = answer->err;
		if (err->kind == NEL_NOTFOUND)
			err_set(err, NEL_NOTFOUND, "job %s has no artifacts/" REFRESH_PATH " on the cluster", job->id);
		return -1;
	}
	if ((int64_t)answer->size < answer->file_size)
		return unreadable(request, REFRESH_PATH " is larger than 4 MiB", err);
	if (request_db(request, &db, err) != 0)
		return -1;
	const char *changed = query_get(&request->query, "changed");
	const struct refresh_order order = {.by = request->actor.name,
					    .accept_changed = changed != NULL && strcmp(changed, "true") == 0};
	if (service_refresh_results(request->service, db, job, answer->data != NULL ? answer->data : "", answer->size,
				    &order, &refresh, err) != 0)
		return err->kind == NEL_INVALID ? unreadable(request, err->msg, err) : -1;
	struct str body = {0};
	struct tally tally = {0};
	render_refresh(&body, job, &refresh, answer->modified_at, &tally);
	log_info("scores read again", LOG_S("request", request->id), LOG_S("job", job->id),
		 LOG_S("user", request->actor.name), LOG_N("added", tally.added), LOG_N("changed", tally.changed),
		 LOG_N("removed", tally.removed));
	return reply_json_text(request, MHD_HTTP_OK, &body, err);
}

int api_refreshJobResults(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	static const struct query_rule rules[] = {{"changed", false}};
	bool changed = false;
	if (request_check_query(request, rules, QUERY_RULES(rules), err) != 0 ||
	    query_get_bool(&request->query, "changed", false, &changed, err) != 0 ||
	    request_no_body(request, err) != 0 || request_read_db(request, &db, err) != 0)
		return -1;
	struct job_row *job = mem_calloc(1, sizeof *job);
	request->state = job;
	request->state_free = state_free;
	request->resume = file_came;
	if (read_job(db, request->captures[0], job, err) != 0 || service_may_refresh(&request->actor, job, err) != 0)
		return -1;
	if (waiter_new(server_wait_room(request->server), request->connection, &request->waiter, err) != 0)
		return -1;
	struct nel_err refused = {0};
	if (service_read_file(request->service, job, REMOTE_ARTIFACTS, REFRESH_PATH, 0, REMOTE_CHUNK_MAX, 0,
			      wait_callback, request->waiter, &refused) != 0)
		waiter_refused(request->waiter, &refused);
	return 0;
}
