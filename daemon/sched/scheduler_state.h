/* What the scheduler's files share: its state. Scheduler thread only, but for what is atomic. */
#ifndef NEL_SCHED_SCHEDULER_STATE_H
#define NEL_SCHED_SCHEDULER_STATE_H

#include "base/queue.h"
#include "base/secret.h"
#include "db/db.h"
#include "remote/look_board.h"
#include "remote/workers.h"
#include "sched/active_chain.h"
#include "sched/cluster_watch.h"
#include "sched/fair_share.h"

#include <pthread.h>
#include <stdatomic.h>

struct scheduler {
	const struct settings *_Atomic settings; /* a reload gives others */
	struct lanes *lanes;
	struct look_board *look_board;
	const struct secret_key *master_key;
	struct db *db;
	struct queue *inbox; /* struct action; NULL items only wake */
	pthread_t thread;
	atomic_bool stopping;
	atomic_bool wanted; /* the store has marks to take */
	atomic_bool nudged; /* a watch is */
	_Atomic int64_t last_tick_ms;
	int64_t started_s;
	int64_t newest_job_seq;      /* at the start: what came later cannot have reached a cluster unseen */
	int64_t taken_job_seq;       /* the newest of whose submission it knows; pruning lowers both */
	int64_t newest_write_s;      /* what the store may lack is from then on */
	bool hashes_known;           /* of all that the store had at the start */
	int64_t hashes_ms;           /* monotonic: after a failure, not before */
	int64_t prune_ms;            /* monotonic: the next pruning is not before */
	int64_t expiry_ms;           /* monotonic: certificates are not looked at before, nor */
	int64_t expiry_people_ms;    /* those of people */
	_Atomic int64_t chain_count; /* as of the last tick */
	struct active_chains chains;
	struct cluster_watches watches;
	struct placement *placements; /* uthash, by evaluation (placement.h) */
	struct fair_share *fair_share;
	bool limits_met; /* a chain may be waiting for a limit of Slurm's own */
};

#endif
