#include "sched/ledger.h"

#include "slurm/slurm_state.h"

bool ledger_is_lost(const struct active_chain *chain)
{
	const struct attempt_row *attempt = &chain->attempt;
	const char *state = attempt->slurm_state != NULL ? attempt->slurm_state : "";
	return slurm_state_class(state) != SLURM_SUCCEEDED && chain->job.progress <= attempt->progress_before;
}

static bool has_end(const struct observation *o)
{
	return o->sacct == SIGHT_SEEN && o->acct_ended;
}

/* GPU seconds by sacct: where it does not say, the GPUs that were asked for count. */
static int64_t gpu_s_of(const struct observation *o, int64_t gpus)
{
	return o->gpu_s + o->gpus_untold_s * gpus;
}

int ledger_settle(struct db *db, const struct unsettled_row *row, const struct observation *o, struct nel_err *err)
{
	if (has_end(o))
		return usage_settle(db, row->attempt, o->acct_elapsed_s, gpu_s_of(o, row->gpus), err);
	return o->sacct == SIGHT_UNOBSERVABLE ? 0 : usage_asked(db, row->attempt, err);
}

int ledger_attempt_ended(struct db *db, const struct active_chain *chain, const struct observation *o,
			 struct nel_err *err)
{
	const struct attempt_row *attempt = &chain->attempt;
	const struct job_row *job = &chain->job;
	bool by_sacct = has_end(o);
	int64_t run_s = by_sacct ? o->acct_elapsed_s : attempt->elapsed_s > 0 ? attempt->elapsed_s : 0;
	int64_t gpu_s = by_sacct ? gpu_s_of(o, attempt->gpus) : run_s * attempt->gpus;
	bool waited = attempt->submitted_at != 0 && attempt->started_at > attempt->submitted_at;
	const struct usage_row row = {
	    .attempt = attempt->job_name,
	    .slurm_job_id = attempt->slurm_job_id,
	    .slurm_state = attempt->slurm_state,
	    .ended_at = attempt->ended_at,
	    .run_s = run_s,
	    .queue_s = waited ? attempt->started_at - attempt->submitted_at : 0,
	    .gpu_s = gpu_s,
	    .start_up_s = o->start_up_s > 0 ? o->start_up_s : 0,
	    .idle_s = attempt->use.still_s,
	    .lost = ledger_is_lost(chain),
	    .by_sacct = by_sacct,
	};
	return usage_put(db, &row, &job, 1, err);
}
