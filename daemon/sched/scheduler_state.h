/* What the scheduler's files share: its state, and the steps of one tick. Scheduler thread only. */
#ifndef NEL_SCHED_SCHEDULER_STATE_H
#define NEL_SCHED_SCHEDULER_STATE_H

#include "sched/actions.h"
#include "sched/active_chain.h"
#include "sched/fair_share.h"
#include "sched/scheduler.h"
#include "sched/transition.h"

#include <pthread.h>
#include <stdatomic.h>

/* One identity on one cluster, as the scheduler observes it. Made when a chain of it first needs something, and kept.
 */
struct cluster_watch {
	char *name; /* of the cluster */
	char *identity;
	const struct settings_cluster *cluster; /* as the last settings that had it say */
	bool observing;                         /* an observation is under way */
	int sending; /* submissions with the lane: never all of its sessions, so that nothing else waits for them */
	bool accounting_known;
	bool accounting;
	bool reach_known; /* reachable is what the log of events says */
	bool reachable;
	bool sacct_asked;                /* it is still to answer, while squeue may be asked again */
	int64_t sacct_since_ms;          /* monotonic: since when */
	int sacct_failures;              /* in a row */
	int64_t sacct_ms;                /* monotonic: it is not asked before */
	char sacct_error[256];           /* why not; "" when it has answered */
	int failures;                    /* observations failed in a row */
	int64_t interval_ms;             /* between observations: short after a change, longer when nothing happens */
	struct observation_stats stats;  /* under the scheduler's watch_lock */
	int64_t next_ms;                 /* monotonic: the next one is not before */
	int freed;                       /* jobs that have left its Slurm since limited ones were tried again */
	struct active_chain *observable; /* while observations are handed out: its chains that are to be seen */
	size_t observable_count;
	int refusals;       /* logins that the cluster refused, in a row */
	int64_t refused_ms; /* monotonic: nothing is submitted before, since the login would be refused again */
	char *refused_why;  /* what its chains wait on meanwhile */
	bool nudged;        /* under watch_lock: somebody says that the login may work now */
};

struct scheduler {
	const struct settings *_Atomic settings; /* a reload gives others */
	const struct settings *known_settings;   /* those that the watches have */
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
	struct fair_share *fair_share;
	bool limits_met;            /* a chain may be waiting for a limit of Slurm's own */
	pthread_mutex_t watch_lock; /* for what other threads look at: the list of watches, their stats and nudges */
	struct cluster_watch **watches;
	size_t watch_count;
};

#define TICK_MAX_MS 1000
#define FIRST_OBSERVATION_MS 1000

/* NULL when the settings have no such cluster with such an identity. */
struct cluster_watch *cluster_watch_get(struct scheduler *s, const char *cluster, const char *identity);
struct cluster_watch *cluster_watch_of(struct scheduler *s, struct active_chain *chain);

/* The next observation comes soon: something changed. */
void cluster_watch_quicken(struct cluster_watch *watch);

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

/* watches.c. */
void cluster_watch_take_nudges(struct scheduler *s);
/* Other settings: what is known of each cluster stays, as far as it is the same. */
void cluster_watch_adopt(struct scheduler *s, const struct settings *settings);
void cluster_watch_free(struct scheduler *s);

/* The cluster refused the login: when it is tried again, and what is waited on until then. */
void cluster_watch_refused(struct cluster_watch *watch, const char *why);
/* It let somebody in. */
void cluster_watch_let_in(struct cluster_watch *watch);

/* dispatch.c: hands out the remote work that is due. */
void dispatch_all(struct scheduler *s);

/* answers.c: one answer of a lane, in one transaction. Frees the action. */
void answers_take(struct scheduler *s, struct action *action);

#endif
