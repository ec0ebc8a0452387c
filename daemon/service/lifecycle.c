#include "service/lifecycle.h"

#include "base/clock.h"
#include "base/mem.h"
#include "chain/budget.h"
#include "db/evaluations.h"
#include "db/events.h"
#include "db/jobs.h"
#include "sched/scheduler.h"
#include "service/secrets.h"

/* extra: further members of the event's data, taken over; NULL: none. */
static int log_request(struct db *db, const char *kind, const struct job_row *job, const struct actor *actor,
		       json_t *extra, int64_t now_s, struct nel_err *err)
{
	CLEANUP(json_freep)
	json_t *data = json_pack("{s:s, s:s, s:s, s:s, s:i}", "by", actor->name, "cluster", job->cluster, "model",
				 job->model, "task", job->task, "index", job->index);
	if (extra != NULL)
		json_object_update_new(data, extra);
	CLEANUP(mem_freep) char *text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "an event is no JSON");
	return events_insert(db, now_s, kind, job->user, job->evaluation, job->id, text, err);
}

/* The first to ask is told of; asking again changes nothing. */
static int log_cancel(struct db *db, const char *job_id, const struct actor *actor, int64_t now_s, struct nel_err *err)
{
	CLEANUP(job_row_done) struct job_row job = {0};
	if (jobs_get(db, job_id, &job, err) != 0)
		return -1;
	if (job.ended_at != 0 ? job.resume_requested_at == 0 : job.cancel_requested_at != 0)
		return 0;
	return log_request(db, "job.cancel_requested", &job, actor, NULL, now_s, err);
}

static int request_cancel(struct service *service, struct db *db, const struct actor *actor, const struct job_row *jobs,
			  size_t count, struct nel_err *err)
{
	int64_t now_s = clock_now_s();
	int marked = 0;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		int one = 0;
		if (log_cancel(db, jobs[i].id, actor, now_s, err) != 0 ||
		    jobs_request_cancel(db, jobs[i].id, actor->name, now_s, &one, err) != 0)
			return -1;
		marked += one;
	}
	if (db_commit(db, err) != 0)
		return -1;
	if (marked > 0)
		scheduler_wake(service->scheduler);
	return 0;
}

int service_cancel_evaluation(struct service *service, struct db *db, const struct actor *actor, const char *id,
			      struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(job_list_done) struct job_list jobs = {0};
	if (evaluations_get(db, id, false, &row, err) != 0 || service_check_owner(actor, row.user, err) != 0 ||
	    jobs_of_evaluation(db, id, &jobs, err) != 0)
		return -1;
	return request_cancel(service, db, actor, jobs.items, jobs.count, err);
}

int service_cancel_job(struct service *service, struct db *db, const struct actor *actor, const char *job_id,
		       struct nel_err *err)
{
	CLEANUP(job_row_done) struct job_row row = {0};
	if (jobs_get(db, job_id, &row, err) != 0 || service_check_owner(actor, row.user, err) != 0)
		return -1;
	return request_cancel(service, db, actor, &row, 1, err);
}

/* Why the job cannot go on; NULL when it can. */
static const char *refusal(const struct settings *settings, const struct job_row *job, bool reset_budget)
{
	const struct settings_cluster *cluster = settings_cluster_of(settings, job->cluster, job->identity);
	if (!chain_state_is_end(job->state))
		return "is still alive";
	if (job->state == CHAIN_SUCCEEDED)
		return "has succeeded";
	if (cluster != NULL && cluster->draining)
		return "is on a cluster that is draining, which takes no new work";
	if (!reset_budget &&
	    budget_next_time_limit(job->chain.walltime_s, job->chain.budget_limit_s, job->chain.budget_used_s) == 0)
		return "has spent its walltime budget: {\"reset_budget\": true} starts a new one";
	return NULL;
}

static int request_resume(struct service *service, struct db *db, const struct actor *actor, const struct job_row *jobs,
			  size_t count, bool reset_budget, const json_t *env, struct nel_err *err)
{
	int64_t now_s = clock_now_s();
	int marked = 0;
	const char *why = NULL;
	const char *whose = NULL;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		int one = 0;
		const char *no = refusal(service->settings, &jobs[i], reset_budget);
		if (no != NULL) {
			/* Of several reasons a spent budget is the one that the person can do something about. */
			if (why == NULL || jobs[i].state == CHAIN_BUDGET_EXHAUSTED) {
				why = no;
				whose = jobs[i].id;
			}
			continue;
		}
		if (jobs_request_resume(db, jobs[i].id, actor->name, reset_budget, now_s, &one, err) != 0)
			return -1;
		if (one > 0 && log_request(db, "job.resume_requested", &jobs[i], actor,
					   json_pack("{s:b}", "reset_budget", (int)reset_budget), now_s, err) != 0)
			return -1;
		marked += one;
	}
	if (marked == 0)
		return err_set(err, NEL_CONFLICT, "nothing can be resumed: job %s %s", whose != NULL ? whose : "",
			       why != NULL ? why : "changed meanwhile");
	if (secrets_renew_env(service, db, jobs[0].evaluation, env, err) != 0)
		return -1;
	if (db_commit(db, err) != 0)
		return -1;
	scheduler_wake(service->scheduler);
	return 0;
}

int service_resume_evaluation(struct service *service, struct db *db, const struct actor *actor, const char *id,
			      bool reset_budget, const json_t *env, struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(job_list_done) struct job_list jobs = {0};
	if (evaluations_get(db, id, false, &row, err) != 0 || service_check_owner(actor, row.user, err) != 0 ||
	    jobs_of_evaluation(db, id, &jobs, err) != 0)
		return -1;
	return request_resume(service, db, actor, jobs.items, jobs.count, reset_budget, env, err);
}

int service_resume_job(struct service *service, struct db *db, const struct actor *actor, const char *job_id,
		       bool reset_budget, const json_t *env, struct nel_err *err)
{
	CLEANUP(job_row_done) struct job_row row = {0};
	if (jobs_get(db, job_id, &row, err) != 0 || service_check_owner(actor, row.user, err) != 0)
		return -1;
	return request_resume(service, db, actor, &row, 1, reset_budget, env, err);
}
