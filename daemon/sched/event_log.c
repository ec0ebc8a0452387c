/* Owns the data of the scheduler's events. */
#include "sched/event_log.h"

#include "base/clock.h"
#include "base/json_or_null.h"
#include "base/mem.h"
#include "base/str.h"
#include "db/evaluations.h"
#include "db/events.h"

#include <string.h>

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

static json_t *budget_of(const struct chain_row *chain)
{
	bool limited = chain->budget_limit_s >= 0;
	int64_t remaining = chain->budget_limit_s - chain->budget_used_s;
	return json_pack("{s:o, s:I, s:o}", "limit_s", int_or_null(chain->budget_limit_s, limited), "used_s",
			 (json_int_t)chain->budget_used_s, "remaining_s",
			 int_or_null(remaining > 0 ? remaining : 0, limited));
}

/* What tells whose job it is, without another look. */
static json_t *job_data(const struct job_row *job)
{
	return json_pack("{s:o, s:o, s:o, s:i}", "cluster", json_or_null_text(job->cluster), "model",
			 json_or_null_text(job->model), "task", json_or_null_text(job->task), "index", job->index);
}

int event_log_job(struct db *db, const struct active_chain *chain, enum chain_state from, int64_t now_s,
		  struct nel_err *err)
{
	const struct job_row *job = &chain->job;
	json_t *data = job_data(job);
	json_t *progress = json_null();
	int64_t total = progress_total(job->progress, job->progress_total);
	if (job->progress >= 0) /* at the moment of a change there is no rate */
		progress = json_pack("{s:I, s:o, s:n, s:n}", "requests", (json_int_t)job->progress, "total",
				     int_or_null(total, total >= 0), "rate_per_s", "eta_s");
	json_t *change =
	    json_pack("{s:s, s:s, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "from", chain_state_name(from), "to",
		      chain_state_name(job->state), "reason", json_or_null_text(job->reason), "waiting_on",
		      json_or_null_text(job->waiting_on), "attempt", chain->common->attempt.number, "slurm_job_id",
		      json_or_null_text(chain->common->attempt.slurm_job_id), "progress", progress, "budget",
		      budget_of(&chain->common->row), "started_at", json_or_null_time(job->started_at), "ended_at",
		      json_or_null_time(job->ended_at));
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
	    json_pack("{s:s, s:s, s:o, s:o, s:o}", "from", from, "to", to, "cluster", json_or_null_text(job->cluster),
		      "model", json_or_null_text(job->model), "counts", counts_of(counts));
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
	const struct attempt_row *attempt = &chain->common->attempt;
	bool exited = attempt->exit_code >= 0;
	json_t *data = job_data(&chain->job);
	json_t *facts = json_pack(
	    "{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "attempt", attempt->number, "slurm_job_id",
	    json_or_null_text(attempt->slurm_job_id), "slurm_state", json_or_null_text(attempt->slurm_state),
	    "exit_code", int_or_null(attempt->exit_code, exited), "signal", int_or_null(attempt->signal, exited),
	    "nodes", json_or_null_text(attempt->nodes), "submitted_at", json_or_null_time(attempt->submitted_at),
	    "started_at", json_or_null_time(attempt->started_at), "ended_at", json_or_null_time(attempt->ended_at),
	    "elapsed_s", int_or_null(attempt->elapsed_s, attempt->elapsed_s >= 0), "time_limit_s",
	    (json_int_t)attempt->time_limit_s);
	json_object_update(data, facts);
	json_decref(facts);
	return insert(db, kind, &chain->job, chain->job.id, data, now_s, err);
}

int event_log_placed(struct db *db, const struct job_row *job, const char *from, const char *reason, json_t *candidates,
		     int64_t now_s, struct nel_err *err)
{
	json_t *data = json_pack("{s:o, s:o, s:o, s:o, s:O}", "cluster", json_or_null_text(job->cluster), "model",
				 json_or_null_text(job->model), "from", json_or_null_text(from), "reason",
				 json_or_null_text(reason), "candidates", candidates);
	return insert(db, "evaluation.placed", job, NULL, data, now_s, err);
}

int event_log_adopted(struct db *db, const char *evaluation, const char *user, const char *rundir, int64_t now_s,
		      struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	if (evaluations_get(db, evaluation, false, &row, err) != 0)
		return -1;
	CLEANUP(json_freep)
	json_t *data = json_pack("{s:s, s:s, s:s}", "cluster", row.cluster, "model", row.model, "rundir", rundir);
	CLEANUP(mem_freep) char *text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "the event of an adoption is no JSON");
	return events_insert(db, now_s, "evaluation.adopted", user, evaluation, NULL, text, err);
}

int event_log_results(struct db *db, const struct active_chain *chain, const struct scores *scores, int64_t now_s,
		      struct nel_err *err)
{
	json_t *data = job_data(&chain->job);
	json_object_set_new(data, "count", json_integer((json_int_t)scores->count));
	json_object_set_new(data, "scores", score_list_json(scores->items, scores->count));
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
	json_t *data = json_pack("{s:o, s:o}", "cluster", json_or_null_text(cluster), "error", json_or_null_text(why));
	return insert(db, why == NULL ? "cluster.reachable" : "cluster.unreachable", NULL, NULL, data, now_s, err);
}

int event_log_expiry(struct db *db, const char *cluster, const char *user, const char *username,
		     const char *certificate, int64_t expires_at, int64_t now_s, struct nel_err *err)
{
	CLEANUP(json_freep)
	json_t *data = json_pack("{s:s, s:s, s:o, s:o}", "cluster", cluster, "username", username, "certificate",
				 json_or_null_text(certificate), "expires_at", json_or_null_time(expires_at));
	CLEANUP(mem_freep) char *text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "an event identity.expiring is no JSON");
	return events_insert(db, now_s, "identity.expiring", user, NULL, NULL, text, err);
}
