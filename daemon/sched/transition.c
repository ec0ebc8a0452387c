#include "sched/transition.h"

#include "base/log.h"
#include "base/mem.h"
#include "db/evaluations.h"
#include "sched/event_log.h"

#include <string.h>

static bool text_equal(const char *a, const char *b)
{
	return (a == NULL && b == NULL) || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The evaluation's state from its jobs', and its version, which every change of a job moves. */
static int sum_up(struct db *db, const struct job_row *job, int64_t now_s, struct nel_err *err)
{
	int counts[CHAIN_STATE_COUNT];
	CLEANUP(evaluation_row_done) struct evaluation_row evaluation = {0};
	if (jobs_counts(db, job->evaluation_seq, counts, err) != 0 ||
	    evaluations_get(db, job->evaluation, false, &evaluation, err) != 0)
		return -1;
	const char *state = chain_sum_up(counts);
	if (strcmp(state, evaluation.state) == 0)
		return evaluations_touch(db, evaluation.seq, now_s, err);
	bool ended = strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
	if (evaluations_set_state(db, evaluation.seq, state, now_s, ended, err) != 0)
		return -1;
	log_info("evaluation changed", LOG_S("eval", job->evaluation), LOG_S("from", evaluation.state),
		 LOG_S("to", state));
	return journal_evaluation(db, job, evaluation.state, state, counts, ended, now_s, err);
}

int mover_move(struct db *db, struct live *live, enum chain_event event, const char *reason, const char *waiting_on,
	       int64_t now_s, enum chain_action *ret_action, struct nel_err *err)
{
	struct job_row *job = &live->job;
	const struct chain_rule *rule = chain_rule_for(job->state, event);
	*ret_action = ACTION_NONE;
	live->touched = true;
	if (rule->ignored)
		return mover_store(db, live, now_s, err);
	*ret_action = rule->action;
	if (rule->to == job->state)
		return mover_store(db, live, now_s, err);
	enum chain_state from = job->state;
	int64_t ended_at = chain_state_is_end(rule->to) ? now_s : 0;
	if (jobs_set_state(db, job->seq, from, rule->to, reason, waiting_on, ended_at, now_s, err) != 0)
		return err_prefix(err, "job %s: %s", job->id, chain_event_name(event));
	job->state = rule->to;
	job->ended_at = ended_at;
	CLEANUP(mem_freep) char *old_reason = job->reason; /* what was given may be these */
	CLEANUP(mem_freep) char *old_waiting_on = job->waiting_on;
	job->reason = mem_strdup(reason);
	job->waiting_on = mem_strdup(waiting_on);
	if (mover_store(db, live, now_s, err) != 0)
		return -1;
	const char *from_name = chain_state_name(from);
	const char *to_name = chain_state_name(rule->to);
	if (journal_job(db, live, from, now_s, err) != 0)
		return -1;
	log_info("job changed", LOG_S("job", job->id), LOG_S("cluster", job->cluster), LOG_S("from", from_name),
		 LOG_S("to", to_name), LOG_N("attempt", live->attempt.number),
		 LOG_S("slurm_job_id", live->attempt.slurm_job_id), LOG_S("reason", reason));
	return sum_up(db, job, now_s, err);
}

int mover_store(struct db *db, struct live *live, int64_t now_s, struct nel_err *err)
{
	live->touched = true;
	live->job.updated_at = now_s;
	if (jobs_update(db, &live->job, err) != 0 ||
	    (live->attempt.number > 0 && attempts_update(db, &live->attempt, err) != 0))
		return err_prefix(err, "job %s", live->job.id);
	return evaluations_touch(db, live->job.evaluation_seq, now_s, err);
}

int mover_waiting_on(struct db *db, struct live *live, const char *waiting_on, int64_t now_s, struct nel_err *err)
{
	if (text_equal(live->job.waiting_on, waiting_on))
		return 0;
	free(live->job.waiting_on);
	live->job.waiting_on = mem_strdup(waiting_on);
	return mover_store(db, live, now_s, err);
}
