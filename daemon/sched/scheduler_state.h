/* What the scheduler's files share: its state, and the steps of one tick. Scheduler thread only. */
#ifndef NEL_SCHED_SCHEDULER_STATE_H
#define NEL_SCHED_SCHEDULER_STATE_H

#include "sched/actions.h"
#include "sched/active_chain.h"
#include "sched/cluster_watch.h"
#include "sched/fair_share.h"
#include "sched/scheduler.h"
#include "sched/transition.h"

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

/* Reads the newest attempt and sets what the chain needs, after its job row was (re)read from the store. */
int core_attach(struct scheduler *s, struct active_chain *chain, struct nel_err *err);

/* What pends has failed: it waits, longer each time. */
void core_back_off(struct active_chain *chain, int64_t base_s, int64_t max_s);

/* The end of an attempt or chain is known: stores it at once, or first has results and log collected. */
int core_end(struct scheduler *s, struct active_chain *chain, enum chain_event event, const char *reason,
	     struct nel_err *err);

/* The intended attempt is refused, and nothing of it has reached the cluster: no cluster is needed to end the chain. */
int core_drop(struct scheduler *s, struct active_chain *chain, const char *reason, struct nel_err *err);

/* Did Slurm end the attempt in the middle of its work (time limit, preemption, a dead node)? */
bool core_was_cut_off(const struct active_chain *chain);

/* A chain has ended without success (one that succeeded is left alone): stores the end of the log that matters, or NULL
 * and NULL, and what to try. */
int core_note_failure(struct scheduler *s, const struct active_chain *chain, const char *log, const char *lines,
		      struct nel_err *err);

/* Applies an event and follows the table's action. */
int core_move(struct scheduler *s, struct active_chain *chain, enum chain_event event, const char *reason,
	      const char *waiting_on, struct nel_err *err);

/* After a failed transaction: what it touched is read again from the store before it is used. */
void core_mark_stale(struct scheduler *s);

/* dispatch.c: hands out the remote work that is due. */
void dispatch_all(struct scheduler *s);

/* answers.c: one answer of a lane, in one transaction. Frees the action. */
void answers_take(struct scheduler *s, struct action *action);

#endif
