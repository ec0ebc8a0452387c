/* Handler of POST /v1/jobs/{id}/results: reads the scores again from the cluster, and says what has changed. */
#include "service/refresh.h"
#include "api/http/handlers.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/server_internal.h"
#include "api/http/wait_room.h"
#include "api/v1/read.h"
#include "api/v1/render.h"
#include "base/json_out.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

/* The handler's state while a lane reads. */
static void state_free(void *state)
{
	job_row_done(state);
	free(state);
}

static void render_value(struct json_out *out, const char *name, const struct score *row)
{
	if (row == NULL) {
		out_null(out, name);
		return;
	}
	out_object(out, name);
	out_double(out, "value", row->value);
	out_double(out, "stderr", row->stderr_);
	out_int_or_null(out, "count", row->count, row->count >= 0);
	out_end(out);
}

static bool same_value(const struct score *a, const struct score *b)
{
	bool same_error = a->stderr_ == b->stderr_ || (a->stderr_ != a->stderr_ && b->stderr_ != b->stderr_);
	return a->value == b->value && same_error && a->count == b->count;
}

struct tally {
	int added;
	int changed;
	int removed;
	int unchanged;
};

/* row: one of the two, either of which may be NULL. */
static void render_change(struct json_out *out, const struct score *row, const struct score *before,
			  const struct score *after)
{
	out_object(out, NULL);
	out_string(out, "task", row->task);
	out_bool(out, "group", row->group);
	out_string(out, "metric", row->metric);
	out_string(out, "score", row->score);
	render_value(out, "before", before);
	render_value(out, "after", after);
	out_end(out);
}

/* Both lists have the same order, so one walk over the two finds what differs. */
static struct tally render_changes(struct json_out *out, const struct refresh *refresh)
{
	struct tally tally = {0};
	size_t b = 0;
	size_t a = 0;
	out_array(out, NULL);
	while (b < refresh->before.count || a < refresh->after.count) {
		const struct score *before = b < refresh->before.count ? &refresh->before.items[b] : NULL;
		const struct score *after = a < refresh->after.count ? &refresh->after.items[a] : NULL;
		int order = before == NULL ? 1 : after == NULL ? -1 : score_compare_names(before, after);
		b += order <= 0;
		a += order >= 0;
		if (order == 0 && same_value(before, after)) {
			tally.unchanged++;
			continue;
		}
		tally.removed += order < 0;
		tally.added += order > 0;
		tally.changed += order == 0;
		render_change(out, order > 0 ? after : before, order > 0 ? NULL : before, order < 0 ? NULL : after);
	}
	out_end(out);
	return tally;
}

static void render_refresh(struct json_out *out, const struct job_row *job, const struct refresh *refresh,
			   int64_t modified_at, struct tally *ret_tally)
{
	CLEANUP(json_out_done) struct json_out changes = {0};
	struct tally tally = render_changes(&changes, refresh);
	out_object(out, NULL);
	out_string(out, "job", job->id);
	out_string(out, "state", chain_state_name(job->state));
	out_bool(out, "partial", job->state != CHAIN_SUCCEEDED);
	out_time(out, "modified_at", modified_at);
	out_object(out, "counts");
	out_int(out, "added", tally.added);
	out_int(out, "changed", tally.changed);
	out_int(out, "removed", tally.removed);
	out_int(out, "unchanged", tally.unchanged);
	out_end(out);
	out_json_n(out, "changes", changes.text.data, changes.text.len);
	out_array(out, "items");
	const struct render_score_of of = render_score_of_job(job, &refresh->basis);
	for (size_t i = 0; i < refresh->after.count; i++)
		render_score(out, &of, &refresh->after.items[i]);
	out_end(out);
	out_end(out);
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
	struct json_out body = {0};
	struct tally tally = {0};
	render_refresh(&body, job, &refresh, answer->modified_at, &tally);
	log_info("scores read again", LOG_S("request", request->id), LOG_S("job", job->id),
		 LOG_S("user", request->actor.name), LOG_N("added", tally.added), LOG_N("changed", tally.changed),
		 LOG_N("removed", tally.removed));
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

int api_refreshJobResults(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	bool changed = false;
	if (query_get_bool(&request->query, "changed", false, &changed, err) != 0 ||
	    request_read_db(request, &db, err) != 0)
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
