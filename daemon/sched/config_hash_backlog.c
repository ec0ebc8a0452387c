#include "sched/config_hash_backlog.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/plan/eval_config.h"
#include "config/plan/likeness.h"
#include "db/evaluations.h"
#include "db/likenesses.h"

#define BATCH_MS 20
#define RETRY_MS 60000

/* The values of its secrets may be gone: those that its commands refer to equal no others. */
static const char *unknown(const char *name, void *arg)
{
	(void)name;
	return arg;
}

static int work_out(struct db *db, struct evaluation_row *row, const struct eval_plan *plan, struct nel_err *err)
{
	CLEANUP(likeness_done) struct likeness likeness = {0};
	CLEANUP(job_list_done) struct job_list jobs = {0};
	likeness_make(plan, unknown, row->id, &likeness);
	if (jobs_of_evaluation(db, row->id, &jobs, err) != 0)
		return -1;
	for (size_t i = 0; i < jobs.count; i++) {
		int index = jobs.items[i].index;
		if (index < 0 || (size_t)index >= likeness.count)
			continue;
		const struct likeness_job *job = &likeness.jobs[index];
		const struct likeness_row subject = {job->subject.hash, job->subject.parts};
		const struct likeness_row protocol = {job->protocol.hash, job->protocol.parts};
		if (likenesses_set(db, jobs.items[i].seq, &subject, &protocol, err) != 0)
			return -1;
	}
	return evaluations_set_hash(db, row->seq, likeness.hash, err);
}

/* One whose config says nothing to this version stays without. */
static int settle_one(struct db *db, const char *evaluation, struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(eval_plan_freep) struct eval_plan *plan = NULL;
	if (evaluations_get(db, evaluation, true, &row, err) != 0)
		return -1;
	CLEANUP(json_freep) json_t *resolved = json_loads(row.resolved, 0, NULL);
	if (resolved != NULL && eval_config_replan(resolved, &plan, NULL) == 0 && work_out(db, &row, plan, err) != 0)
		return -1;
	return likenesses_settle(db, row.seq, err);
}

static int settle_some(struct db *db, struct nel_err *err)
{
	int64_t until_ms = clock_mono_ms() + BATCH_MS;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0)
		return -1;
	for (char evaluation[IDS_EVALUATION_SIZE]; clock_mono_ms() < until_ms;) {
		if (likenesses_next(db, evaluation, err) != 0)
			return -1;
		if (evaluation[0] == '\0')
			break;
		if (settle_one(db, evaluation, err) != 0)
			return -1;
	}
	return db_commit(db, err);
}

void config_hash_backlog_step(struct scheduler *s)
{
	char evaluation[IDS_EVALUATION_SIZE] = "";
	struct nel_err err = {0};
	if (s->hashes_known || clock_mono_ms() < s->hashes_ms)
		return;
	if (likenesses_next(s->db, evaluation, &err) != 0 || (evaluation[0] != '\0' && settle_some(s->db, &err) != 0)) {
		log_warning("what earlier scores are of cannot be worked out", LOG_S("eval", evaluation),
			    LOG_S("error", err.msg));
		s->hashes_ms = clock_mono_ms() + RETRY_MS;
		return;
	}
	s->hashes_known = evaluation[0] == '\0';
}
