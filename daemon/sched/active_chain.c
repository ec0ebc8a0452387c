#include "sched/active_chain.h"

#include "base/clock.h"
#include "base/mem.h"
#include "chain/budget.h"
#include "slurm/slurm_state.h"

#include <sodium.h>
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

struct active_chain *active_chains_find_attempt(const struct active_chains *set, int64_t seq, int attempt)
{
	struct active_chain *chain = active_chains_find(set, seq);
	return chain != NULL && !chain->stale && chain->attempt.number == attempt ? chain : NULL;
}

void active_chains_touch(struct active_chain *const *chains, size_t count)
{
	for (size_t i = 0; i < count; i++)
		chains[i]->touched = true;
}

void active_chains_mark_stale(struct active_chains *set)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, set->by_seq, chain, next) {
		if (chain->touched)
			chain->stale = true;
		chain->touched = false;
	}
}

void active_chain_set_pending(struct active_chain *chain, enum chain_action pending)
{
	chain->pending = pending;
	chain->tries = 0;
	chain->due_ms = 0;
}

void active_chain_back_off(struct active_chain *chain, int64_t base_s, int64_t max_s)
{
	chain->tries++;
	chain->due_ms = clock_mono_ms() + backoff_s(chain->tries, base_s, max_s, randombytes_random()) * 1000;
}

bool active_chain_awaits_turn(const struct active_chain *chain, int64_t now_s)
{
	return (chain->job.state == CHAIN_QUEUED || chain->job.state == CHAIN_RESUMING) && !chain->ending &&
	       chain->job.not_before <= now_s;
}

bool active_chain_resumes_in_job(const struct active_chain *chain)
{
	return strcmp(chain->job.resume_mode, "in_job") == 0;
}

bool active_chain_was_cut_off(const struct active_chain *chain)
{
	return chain->attempt.slurm_state != NULL && slurm_state_class(chain->attempt.slurm_state) == SLURM_RESUMABLE;
}

const char *active_chain_end_reason(const struct active_chain *chain, const char *reason)
{
	return chain->job.state == CHAIN_CANCELLING && chain->job.reason != NULL ? chain->job.reason : reason;
}

void chain_list_add(struct chain_list *list, struct active_chain *chain)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
		list->items = mem_realloc(list->items, list->capacity, sizeof(struct active_chain *));
	}
	list->items[list->count++] = chain;
}
