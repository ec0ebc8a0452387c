#include "sched/active_chain.h"

#include "base/mem.h"

#include <string.h>

static void active_chain_free(struct active_chain *chain)
{
	job_row_done(&chain->job);
	attempt_row_done(&chain->attempt);
	free(chain->end_reason);
	free(chain);
}

struct active_chain *active_chains_find(const struct active_chains *set, int64_t seq)
{
	struct active_chain *chain = NULL;
	HASH_FIND(hh, set->by_seq, &seq, sizeof seq, chain);
	return chain;
}

struct active_chain *active_chains_put(struct active_chains *set, struct job_row *row)
{
	struct active_chain *chain = active_chains_find(set, row->seq);
	if (chain != NULL) {
		job_row_done(&chain->job);
	} else {
		chain = mem_calloc(1, sizeof *chain);
		chain->seq = row->seq;
		HASH_ADD(hh, set->by_seq, seq, sizeof chain->seq, chain);
	}
	chain->job = *row;
	*row = (struct job_row){0};
	return chain;
}

void active_chains_remove(struct active_chains *set, struct active_chain *chain)
{
	HASH_DELETE(hh, set->by_seq, chain);
	active_chain_free(chain);
}

void active_chains_done(struct active_chains *set)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, set->by_seq, chain, next)
		active_chains_remove(set, chain);
}

bool active_chain_is_observable(const struct active_chain *chain)
{
	switch (chain->job.state) {
	case CHAIN_PENDING:
	case CHAIN_RUNNING:
	case CHAIN_CANCELLING: return chain->attempt.slurm_job_id != NULL && !chain->ending;
	case CHAIN_QUEUED:
	case CHAIN_SUBMITTING:
	case CHAIN_RESUMING:
	case CHAIN_SUCCEEDED:
	case CHAIN_FAILED:
	case CHAIN_CANCELLED:
	case CHAIN_BUDGET_EXHAUSTED: return false;
	}
	return false;
}
