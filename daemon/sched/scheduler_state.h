/* What the scheduler's files share: its state, and the steps of one tick. Scheduler thread only. */
#ifndef NEL_SCHED_SCHEDULER_STATE_H
#define NEL_SCHED_SCHEDULER_STATE_H

#include "sched/action.h"
#include "sched/active_chain.h"
#include "sched/cluster_watch.h"
#include "sched/fair_share.h"
#include "sched/scheduler.h"

#include <pthread.h>
#include <stdatomic.h>

struct scheduler {
	const struct settings *_Atomic settings; /* a reload gives others */
	struct lanes *lanes;
	const struct secret_key *master_key;
	struct db *db;
	struct queue *inbox; /* struct action; NULL items only wake */
	pthread_t thread;
	atomic_bool stopping;
	atomic_bool wanted; /* the store has marks to take */
	atomic_bool nudged; /* a watch is */
	_Atomic int64_t last_tick_ms;
	bool hashes_known;           /* of all that the store had at the start */
	int64_t hashes_ms;           /* monotonic: after a failure, not before */
	int64_t prune_ms;            /* monotonic: the next pruning is not before */
	_Atomic int64_t chain_count; /* as of the last tick */
	struct active_chains chains;
	struct cluster_watches watches;
	struct fair_share *fair_share;
	bool limits_met; /* a chain may be waiting for a limit of Slurm's own */
};

#define TICK_MAX_MS 1000

/* dispatch.c: hands out the remote work that is due. */
void dispatch_all(struct scheduler *s);

/* answers.c: one answer of a lane, in one transaction. Frees the action. */
void answers_take(struct scheduler *s, struct action *action);

#endif
