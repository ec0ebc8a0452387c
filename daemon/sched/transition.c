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
	return event_log_evaluation(db, job, evaluation.state, state, counts, ended, now_s, err);
}

int transition_apply(struct db *db, struct active_chain *chain, enum chain_event event, const char *reason,
		     const char *waiting_on, int64_t now_s, enum chain_action *ret_action, struct nel_err *err)
{
	struct job_row *job = &chain->job;
	const struct chain_rule *rule = chain_rule_for(job->state, event);
	*ret_action = ACTION_NONE;
	chain->touched = true;
	if (rule->ignored)
		return transition_store(db, chain, now_s, err);
	*ret_action = rule->action;
	if (rule->to == job->state)
		return transition_store(db, chain, now_s, err);
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
	if (transition_store(db, chain, now_s, err) != 0)
		return -1;
	const char *from_name = chain_state_name(from);
	const char *to_name = chain_state_name(rule->to);
	if (event_log_job(db, chain, from, now_s, err) != 0)
		return -1;
	log_info("job changed", LOG_S("job", job->id), LOG_S("cluster", job->cluster), LOG_S("from", from_name),
		 LOG_S("to", to_name), LOG_N("attempt", chain->common->attempt.number),
		 LOG_S("slurm_job_id", chain->common->attempt.slurm_job_id), LOG_S("reason", reason));
	return sum_up(db, job, now_s, err);
}

int transition_store(struct db *db, struct active_chain *chain, int64_t now_s, struct nel_err *err)
{
	chain->touched = true;
	chain->job.updated_at = now_s;
	if (jobs_update(db, &chain->job, err) != 0 || chains_update(db, &chain->common->row, err) != 0 ||
	    (chain->common->attempt.number > 0 && attempts_update(db, &chain->common->attempt, err) != 0))
		return err_prefix(err, "job %s", chain->job.id);
	chain->job.observation = 0;
	return evaluations_touch(db, chain->job.evaluation_seq, now_s, err);
}

int transition_waiting_on(struct db *db, struct active_chain *chain, const char *waiting_on, int64_t now_s,
			  struct nel_err *err)
{
	if (text_equal(chain->job.waiting_on, waiting_on))
		return 0;
	free(chain->job.waiting_on);
	chain->job.waiting_on = mem_strdup(waiting_on);
	return transition_store(db, chain, now_s, err);
}
