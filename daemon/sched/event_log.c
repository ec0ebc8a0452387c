/* Owns the data of the scheduler's events. */
#include "sched/event_log.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "db/events.h"

#include <math.h>
#include <string.h>

#define SCORES_MAX 50 /* in one event */

/* What a cluster said may be any bytes, and JSON has UTF-8 only: other bytes become '?'. */
static json_t *text_or_null(const char *text)
{
	if (text == NULL)
		return json_null();
	size_t size = strlen(text);
	struct str clean = {0};
	for (size_t at = 0; at < size;) {
		uint32_t code = 0;
		size_t length = utf8_decode(text + at, size - at, &code);
		if (length == 0)
			str_append_c(&clean, '?');
		else
			str_append_n(&clean, text + at, length);
		at += length == 0 ? 1 : length;
	}
	json_t *json = json_string(str_text(&clean));
	str_done(&clean);
	return json;
}

static json_t *time_or_null(int64_t at_s)
{
	char text[CLOCK_RFC3339_SIZE];
	return at_s == 0 ? json_null() : json_string(clock_rfc3339(at_s, text));
}

static json_t *int_or_null(int64_t number, bool known)
{
	return known ? json_integer(number) : json_null();
}

/* Takes data over. */
static int insert(struct db *db, const char *kind, const struct job_row *job, const char *job_id, json_t *data,
		  int64_t now_s, struct nel_err *err)
{
	CLEANUP(mem_freep) char *text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;
	json_decref(data);
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "an event %s is no JSON", kind);
	return events_insert(db, now_s, kind, job != NULL ? job->user : NULL, job != NULL ? job->evaluation : NULL,
			     job_id, text, err);
}

static json_t *budget_of(const struct job_row *job)
{
	bool limited = job->budget_limit_s >= 0;
	int64_t remaining = job->budget_limit_s - job->budget_used_s;
	return json_pack("{s:o, s:I, s:o}", "limit_s", int_or_null(job->budget_limit_s, limited), "used_s",
			 (json_int_t)job->budget_used_s, "remaining_s",
			 int_or_null(remaining > 0 ? remaining : 0, limited));
}

/* What tells whose job it is, without another look. */
static json_t *job_data(const struct job_row *job)
{
	return json_pack("{s:o, s:o, s:o, s:i}", "cluster", text_or_null(job->cluster), "model",
			 text_or_null(job->model), "task", text_or_null(job->task), "index", job->index);
}

int event_log_job(struct db *db, const struct active_chain *chain, enum chain_state from, int64_t now_s,
		  struct nel_err *err)
{
	const struct job_row *job = &chain->job;
	json_t *data = job_data(job);
	json_t *progress = job->progress >= 0 ? json_pack("{s:I}", "requests", (json_int_t)job->progress) : json_null();
	json_t *change =
	    json_pack("{s:s, s:s, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "from", chain_state_name(from), "to",
		      chain_state_name(job->state), "reason", text_or_null(job->reason), "waiting_on",
		      text_or_null(job->waiting_on), "attempt", chain->attempt.number, "slurm_job_id",
		      text_or_null(chain->attempt.slurm_job_id), "progress", progress, "budget", budget_of(job),
		      "started_at", time_or_null(job->started_at), "ended_at", time_or_null(job->ended_at));
	json_object_update(data, change);
	json_decref(change);
	return insert(db, "job.state", job, job->id, data, now_s, err);
}

static json_t *counts_of(const int counts[CHAIN_STATE_COUNT])
{
	json_t *json = json_object();
	int total = 0;
	for (int state = 0; state < CHAIN_STATE_COUNT; state++)
		total += counts[state];
	json_object_set_new(json, "total", json_integer(total));
	for (int state = 0; state < CHAIN_STATE_COUNT; state++)
		json_object_set_new(json, chain_state_name((enum chain_state)state), json_integer(counts[state]));
	return json;
}

int event_log_evaluation(struct db *db, const struct job_row *job, const char *from, const char *to,
			 const int counts[CHAIN_STATE_COUNT], bool ended, int64_t now_s, struct nel_err *err)
{
	json_t *data =
	    json_pack("{s:s, s:s, s:o, s:o, s:o}", "from", from, "to", to, "cluster", text_or_null(job->cluster),
		      "model", text_or_null(job->model), "counts", counts_of(counts));
	json_incref(data);
	int rc = insert(db, "evaluation.state", job, NULL, data, now_s, err);
	if (rc == 0 && ended)
		return insert(db, "evaluation.ended", job, NULL, data, now_s, err);
	json_decref(data);
	return rc;
}

int event_log_attempt(struct db *db, const struct active_chain *chain, const char *kind, int64_t now_s,
		      struct nel_err *err)
{
	const struct attempt_row *attempt = &chain->attempt;
	bool exited = attempt->exit_code >= 0;
	json_t *data = job_data(&chain->job);
	json_t *facts = json_pack(
	    "{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "attempt", attempt->number, "slurm_job_id",
	    text_or_null(attempt->slurm_job_id), "slurm_state", text_or_null(attempt->slurm_state), "exit_code",
	    int_or_null(attempt->exit_code, exited), "signal", int_or_null(attempt->signal, exited), "nodes",
	    text_or_null(attempt->nodes), "submitted_at", time_or_null(attempt->submitted_at), "started_at",
	    time_or_null(attempt->started_at), "ended_at", time_or_null(attempt->ended_at), "elapsed_s",
	    int_or_null(attempt->elapsed_s, attempt->elapsed_s >= 0), "time_limit_s",
	    (json_int_t)attempt->time_limit_s);
	json_object_update(data, facts);
	json_decref(facts);
	return insert(db, kind, &chain->job, chain->job.id, data, now_s, err);
}

static json_t *number_or_null(double number)
{
	return isfinite(number) ? json_real(number) : json_null();
}

int event_log_results(struct db *db, const struct active_chain *chain, const struct scores *scores, int64_t now_s,
		      struct nel_err *err)
{
	json_t *data = job_data(&chain->job);
	json_t *list = json_array();
	for (size_t i = 0; i < scores->count && i < SCORES_MAX; i++) {
		const struct score *score = &scores->items[i];
		json_array_append_new(list, json_pack("{s:o, s:b, s:o, s:o, s:o, s:o}", "task",
						      text_or_null(score->task), "group", (int)score->group, "metric",
						      text_or_null(score->metric), "score", text_or_null(score->score),
						      "value", number_or_null(score->value), "stderr",
						      number_or_null(score->stderr_)));
	}
	json_object_set_new(data, "count", json_integer((json_int_t)scores->count));
	json_object_set_new(data, "scores", list);
	return insert(db, "results.recorded", &chain->job, chain->job.id, data, now_s, err);
}

int event_log_warnings(struct db *db, const struct active_chain *chain, const json_t *warnings, int64_t now_s,
		       struct nel_err *err)
{
	json_t *data = job_data(&chain->job);
	json_object_set_new(data, "warnings", json_deep_copy(warnings));
	return insert(db, "job.warning", &chain->job, chain->job.id, data, now_s, err);
}

int event_log_cluster(struct db *db, const char *cluster, const char *why, int64_t now_s, struct nel_err *err)
{
	json_t *data = json_pack("{s:o, s:o}", "cluster", text_or_null(cluster), "error", text_or_null(why));
	return insert(db, why == NULL ? "cluster.reachable" : "cluster.unreachable", NULL, NULL, data, now_s, err);
}
