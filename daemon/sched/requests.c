#include "sched/requests.h"

#include "sched/advance.h"
#include "sched/placement.h"

#include <inttypes.h>
#include <stdio.h>

/* A person asked for the end of a chain. */
static int cancel(struct scheduler *s, struct active_chain *chain, struct nel_err *err)
{
	char reason[128];
	snprintf(reason, sizeof reason, "cancelled by %s",
		 chain->job.cancel_requested_by != NULL ? chain->job.cancel_requested_by : "a user");
	if (chain_rule_for(chain->job.state, EVENT_CANCEL)->to != CHAIN_CANCELLING)
		return advance_end(s, chain, EVENT_CANCEL, reason, err);
	if (advance_apply(s, chain, EVENT_CANCEL, reason, "the cluster to end the job", err) != 0)
		return -1;
	if (!chain->first_send || chain->in_flight)
		return 0;
	/* This attempt was never sent. Only of the first one does that mean that nothing is on the cluster. */
	return chain->common->attempt.number == 1 ? advance_drop(s, chain, reason, err)
						  : advance_end(s, chain, EVENT_REFUSED, reason, err);
}

/* A person asked that an ended chain goes on. */
static int resume(struct scheduler *s, struct active_chain *chain, struct nel_err *err)
{
	struct job_row *job = &chain->job;
	char reason[256];
	if (job->resume_resets_budget) {
		chain->common->row.budget_from_attempt = chain->common->row.attempt + 1;
		chain->common->row.budget_used_s = 0;
		chain->common->used_before_s = 0;
		snprintf(reason, sizeof reason, "resumed by %s with a new walltime budget", job->resume_requested_by);
	} else {
		snprintf(reason, sizeof reason, "resumed by %s; %" PRId64 " s of the walltime budget are used",
			 job->resume_requested_by, chain->common->row.budget_used_s);
	}
	if (active_chain_is_shared(chain))
		job->from_attempt = chain->common->row.attempt + 1;
	chain->end_attempt = 0;
	return jobs_clear_resume(s->db, chain->job.seq, err) != 0 ? -1 : advance_resume(s, chain, reason, err);
}

static int carry_out(struct scheduler *s, struct active_chain *chain, struct nel_err *err)
{
	bool ended = chain_state_is_end(chain->job.state);
	if (chain->job.resume_requested_at != 0)
		return ended && chain->job.state != CHAIN_SUCCEEDED ? resume(s, chain, err)
								    : jobs_clear_resume(s->db, chain->job.seq, err);
	if (chain->job.cancel_requested_at != 0 && !ended && chain->job.state != CHAIN_CANCELLING)
		return cancel(s, chain, err);
	return 0;
}

int requests_take(struct scheduler *s, struct nel_err *err)
{
	CLEANUP(job_list_done) struct job_list list = {0};
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	if (db_begin(s->db, err) != 0 || jobs_take_attention(s->db, s->taken_job_seq, &list, err) != 0)
		return -1;
	int64_t newest = list.count != 0 ? list.items[list.count - 1].seq : 0;
	for (size_t i = 0; i < list.count; i++) {
		bool ending = false;
		struct active_chain *known = active_chains_find_job(&s->chains, list.items[i].seq);
		if (known != NULL)
			ending = known->ending;
		struct active_chain *chain = active_chains_put(&s->chains, &list.items[i]);
		chain->touched = true;
		if ((known == NULL && advance_attach(s, chain, err) != 0) || placement_attach(s, chain, err) != 0)
			return -1;
		if (!ending && carry_out(s, chain, err) != 0)
			return -1;
	}
	if (db_commit(s->db, err) != 0)
		return -1;
	if (newest > s->taken_job_seq)
		s->taken_job_seq = newest;
	return 0;
}
