#include "sched/active_chain.h"

#include "base/mem.h"

#include <string.h>

static void live_free(struct live *live)
{
	job_row_done(&live->job);
	attempt_row_done(&live->attempt);
	free(live->end_reason);
	free(live);
}

struct live *live_set_find(const struct live_set *set, int64_t seq)
{
	struct live *live = NULL;
	HASH_FIND(hh, set->by_seq, &seq, sizeof seq, live);
	return live;
}

struct live *live_set_put(struct live_set *set, struct job_row *row)
{
	struct live *live = live_set_find(set, row->seq);
	if (live != NULL) {
		job_row_done(&live->job);
	} else {
		live = mem_calloc(1, sizeof *live);
		live->seq = row->seq;
		HASH_ADD(hh, set->by_seq, seq, sizeof live->seq, live);
	}
	live->job = *row;
	*row = (struct job_row){0};
	return live;
}

void live_set_remove(struct live_set *set, struct live *live)
{
	HASH_DELETE(hh, set->by_seq, live);
	live_free(live);
}

void live_set_done(struct live_set *set)
{
	struct live *live = NULL;
	struct live *next = NULL;
	HASH_ITER(hh, set->by_seq, live, next)
		live_set_remove(set, live);
}

bool live_is_observable(const struct live *live)
{
	switch (live->job.state) {
	case CHAIN_PENDING:
	case CHAIN_RUNNING:
	case CHAIN_CANCELLING: return live->attempt.slurm_job_id != NULL && !live->ending;
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
