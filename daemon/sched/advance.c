#include "sched/advance.h"

#include "base/clock.h"
#include "base/mem.h"
#include "db/failures.h"
#include "db/totals.h"
#include "sched/event_log.h"
#include "sched/ledger.h"
#include "sched/transition.h"
#include "slurm/advice.h"

#include <stdio.h>
#include <string.h>

#define FAILURE_LINES 20 /* of the log, kept with a chain that failed */

/* What a chain in this state needs, as far as the store tells. */
static enum chain_action pending_of(const struct active_chain *chain)
{
	switch (chain->job.state) {
	case CHAIN_SUBMITTING: return ACTION_SUBMIT;
	/* An attempt whose id is not known may be on its way to Slurm: sending it again, under its name, gives the id
	 * that is then cancelled. */
	case CHAIN_CANCELLING: return chain->common->attempt.slurm_job_id == NULL ? ACTION_SUBMIT : ACTION_CANCEL;
	case CHAIN_QUEUED:
	case CHAIN_PENDING:
	case CHAIN_RUNNING:
	case CHAIN_RESUMING: return ACTION_NONE;
	case CHAIN_SUCCEEDED:
	case CHAIN_FAILED:
	case CHAIN_CANCELLED:
	case CHAIN_BUDGET_EXHAUSTED: return chain->job.collected ? ACTION_NONE : ACTION_COLLECT;
	}
	return ACTION_NONE;
}

/* The newest one, and how long those before it ran. */
static int read_attempt(struct scheduler *s, struct chain_common *common, struct nel_err *err)
{
	const struct chain_row *row = &common->row;
	int64_t elapsed_s = 0;
	attempt_row_done(&common->attempt);
	common->attempt = (struct attempt_row){0};
	if (row->attempt > 0 && (attempts_get(s->db, row->seq, row->attempt, &common->attempt, err) != 0 ||
				 attempts_elapsed(s->db, row->seq, row->budget_from_attempt, &elapsed_s, err) != 0))
		return -1;
	bool counts = common->attempt.elapsed_s > 0 && common->attempt.number >= row->budget_from_attempt;
	common->used_before_s = elapsed_s - (counts ? common->attempt.elapsed_s : 0);
	common->known = true;
	return 0;
}

int advance_attach(struct scheduler *s, struct active_chain *chain, struct nel_err *err)
{
	if (!chain->common->known && read_attempt(s, chain->common, err) != 0)
		return -1;
	chain->stale = false;
	chain->observed = false;
	chain->ending = false;
	chain->first_send = false;
	chain->limited = false;
	if (chain->in_flight == NULL)
		active_chain_set_pending(chain, pending_of(chain));
	return 0;
}

static const char *last_lines(const char *text, int count)
{
	const char *at = text + strlen(text);
	if (at > text && at[-1] == '\n')
		at--;
	while (at > text && (at[-1] != '\n' || --count > 0))
		at--;
	return at;
}

int advance_note_failure(struct scheduler *s, const struct active_chain *chain, const char *log, const char *lines,
			 struct nel_err *err)
{
	if (chain->job.state == CHAIN_SUCCEEDED)
		return 0;
	/* The last lines of a chain that somebody cancelled tell of no fault. */
	if (chain->job.cancel_requested_at != 0)
		return failures_delete(s->db, chain->job.seq, err);
	/* Nor what was in the log when the attempt was cut off. */
	if (active_chain_was_cut_off(chain))
		lines = NULL;
	const char *shown = lines != NULL && lines[0] != '\0' ? last_lines(lines, FAILURE_LINES) : NULL;
	return failures_set(s->db, chain->job.seq, shown != NULL ? log : NULL, shown,
			    advice_for(chain->job.reason, lines), err);
}

int advance_apply(struct scheduler *s, struct active_chain *chain, enum chain_event event, const char *reason,
		  const char *waiting_on, struct nel_err *err)
{
	enum chain_action action = ACTION_NONE;
	enum chain_state from = chain->job.state;
	if (transition_apply(s->db, chain, event, reason, waiting_on, clock_now_s(), &action, err) != 0)
		return -1;
	switch (action) {
	case ACTION_SUBMIT: active_chain_set_pending(chain, ACTION_SUBMIT); break;
	case ACTION_CANCEL: active_chain_set_pending(chain, pending_of(chain)); break;
	case ACTION_WITHDRAW:
	case ACTION_COLLECT:
	case ACTION_NONE: break;
	}
	if (chain_state_is_end(chain->job.state))
		active_chain_set_pending(chain, action == ACTION_COLLECT ? ACTION_COLLECT : ACTION_NONE);
	struct cluster_watch *watch = cluster_watch_of(&s->watches, chain);
	if (from != chain->job.state)
		cluster_watch_quicken(watch);
	if (watch != NULL && (chain->job.state == CHAIN_RESUMING || chain_state_is_end(chain->job.state)))
		watch->freed++;
	if (!chain_state_is_end(chain->job.state) || action == ACTION_COLLECT)
		return 0;
	chain->job.collected = true;
	if (advance_note_failure(s, chain, NULL, NULL, err) != 0)
		return -1;
	return jobs_set_collected(s->db, chain->job.seq, err);
}

int advance_end(struct scheduler *s, struct active_chain *chain, enum chain_event event, const char *reason,
		struct nel_err *err)
{
	const struct chain_rule *rule = chain_rule_for(chain->job.state, event);
	char waiting_on[64] = "its turn";
	char until[CLOCK_RFC3339_SIZE];
	if (chain->common->row.not_before > clock_now_s())
		snprintf(waiting_on, sizeof waiting_on, "a back-off until %s",
			 clock_rfc3339(chain->common->row.not_before, until));
	if (rule->action != ACTION_COLLECT)
		return advance_apply(s, chain, event, reason, rule->to == CHAIN_RESUMING ? waiting_on : NULL, err);
	/* The scores are stored together with the end, so that whoever sees the end finds them. */
	chain->touched = true;
	chain->ending = true;
	chain->end_event = event;
	free(chain->end_reason);
	chain->end_reason = mem_strdup(reason);
	active_chain_set_pending(chain, ACTION_COLLECT);
	return transition_store(s->db, chain, clock_now_s(), err);
}

int advance_end_waiting(struct scheduler *s, const struct chain_common *common, enum chain_event event,
			const char *reason, struct nel_err *err)
{
	for (size_t i = 0; i < common->member_count; i++)
		if (active_chain_waits(common->members[i]) &&
		    advance_end(s, common->members[i], event, reason, err) != 0)
			return -1;
	return 0;
}

int advance_drop(struct scheduler *s, struct active_chain *chain, const char *reason, struct nel_err *err)
{
	if (advance_apply(s, chain, EVENT_REFUSED, reason, NULL, err) != 0)
		return -1;
	active_chain_set_pending(chain, ACTION_NONE);
	chain->job.collected = true;
	if (advance_note_failure(s, chain, NULL, NULL, err) != 0)
		return -1;
	return jobs_set_collected(s->db, chain->job.seq, err);
}

int advance_resume(struct scheduler *s, struct active_chain *chain, const char *reason, struct nel_err *err)
{
	struct job_row *job = &chain->job;
	chain->common->row.failures = 0;
	chain->common->row.not_before = 0;
	chain->common->attempt.idle = false;
	chain->common->attempt.idle_before = 0;
	free(job->export_);
	job->export_ = NULL;
	if (jobs_set_results(s->db, chain->job.seq, NULL, NULL, err) != 0 ||
	    failures_delete(s->db, chain->job.seq, err) != 0 ||
	    advance_apply(s, chain, EVENT_RESUME, reason, "its turn", err) != 0)
		return -1;
	/* What was stored of the end no longer holds. */
	chain->ending = false;
	job->collected = false;
	chain->export_misses = 0;
	chain->results_since_ms = 0;
	job->cancel_requested_at = 0;
	active_chain_set_pending(chain, ACTION_NONE);
	return 0;
}

static int count_use(struct db *db, const struct active_chain *chain, struct nel_err *err)
{
	const struct gpu_use *use = &chain->common->attempt.use;
	const char *cluster = chain->job.cluster;
	if (use->samples == 0)
		return 0;
	if (totals_add(db, "gpu_samples", cluster, "", use->samples, err) != 0 ||
	    totals_add(db, "gpu_percents", cluster, "", use->percents, err) != 0 ||
	    totals_add(db, "gpu_low_samples", cluster, "", use->low_samples, err) != 0)
		return -1;
	return totals_add(db, "gpu_seconds_idle", cluster, "", use->still_s * chain->common->attempt.gpus, err);
}

int advance_count_end(struct scheduler *s, const struct active_chain *chain, const struct observation *o,
		      struct nel_err *err)
{
	const struct attempt_row *attempt = &chain->common->attempt;
	const char *state = attempt->slurm_state != NULL ? attempt->slurm_state : "UNKNOWN";
	const char *cluster = chain->job.cluster;
	int64_t elapsed_s = attempt->elapsed_s > 0 ? attempt->elapsed_s : 0;
	bool lost = false;
	if (ledger_attempt_ended(s->db, chain, o, &lost, err) != 0 ||
	    totals_add(s->db, "attempts_ended", cluster, state, 1, err) != 0 ||
	    totals_add(s->db, "attempt_seconds", cluster, "", elapsed_s, err) != 0 ||
	    totals_add(s->db, "gpu_seconds", cluster, "", elapsed_s * attempt->gpus, err) != 0)
		return -1;
	if (count_use(s->db, chain, err) != 0)
		return -1;
	return totals_add(s->db, "gpu_seconds_wasted", cluster, "", lost ? elapsed_s * attempt->gpus : 0, err);
}

int advance_count_submitted(struct scheduler *s, const struct active_chain *chain, struct nel_err *err)
{
	if (event_log_attempt(s->db, chain, "attempt.submitted", clock_now_s(), err) != 0 ||
	    totals_add(s->db, "attempts_submitted", chain->job.cluster, "", 1, err) != 0)
		return -1;
	return totals_add(s->db, "gpu_seconds_submitted", chain->job.cluster, "",
			  chain->common->attempt.gpus * chain->common->attempt.time_limit_s, err);
}
