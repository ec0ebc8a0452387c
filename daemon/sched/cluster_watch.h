/* What the scheduler knows of each identity on each cluster, from its first chain on: when it is observed next, whether
 * it has accounting, whether it lets the daemon in. Scheduler thread, but for what says otherwise. */
#ifndef NEL_SCHED_CLUSTER_WATCH_H
#define NEL_SCHED_CLUSTER_WATCH_H

#include "config/settings/settings.h"
#include "remote/credentials.h"
#include "sched/active_chain.h"
#include "sched/lost.h"
#include "sched/observation_stats.h"
#include "slurm/observe.h"

#include <pthread.h>

/* One identity on one cluster. Made when a chain of it first needs something, and kept. */
struct cluster_watch {
	char *name; /* of the cluster */
	char *identity;
	const struct settings_cluster *cluster; /* as the last settings that had it say */
	int sending; /* submissions on their way: never all of its sessions, so that nothing else waits for them */
	int freed;   /* jobs that have left its Slurm since limited ones were tried again */

	bool observing;                  /* an observation is under way */
	int failures;                    /* observations failed in a row */
	int64_t interval_ms;             /* between observations: short after a change, longer when nothing happens */
	int64_t next_ms;                 /* monotonic: the next one is not before */
	struct active_chain *observable; /* while observations are handed out: its chains that are to be seen */
	size_t observable_count;

	int64_t settle_ms; /* monotonic: while nothing is observed, what the ledger lacks is not looked for before */

	bool accounting_known;
	bool accounting;
	bool sacct_asked;         /* it is still to answer, while squeue may be asked again */
	int64_t sacct_since_ms;   /* monotonic: since when */
	int sacct_failures;       /* in a row */
	int64_t sacct_ms;         /* monotonic: it is not asked before */
	char sacct_error[256];    /* why not; "" when it has answered */
	int64_t count_ms;         /* monotonic: nodes are not counted before */
	char unknown_states[256]; /* words of its Slurm's that the log has been told of, each with a ' ' behind */

	bool looked;        /* what is there from before is known to the store: jobs may be sent (action_look.c) */
	bool looking;       /* a look is under way */
	bool look_wanted;   /* something waits for it */
	int look_failures;  /* since it began */
	int64_t look_ms;    /* monotonic: the next one is not before */
	int64_t look_since; /* what the store may lack is from then on; 0: not known yet */
	char *look_why;     /* what its chains wait on, when it has failed; NULL: it has not */
	struct lost_evaluations lost; /* found, and not read back yet */
	int64_t look_found;           /* so far */
	bool look_partial;            /* something could not be looked at */

	bool reach_known; /* reachable is what the log of events says */
	bool reachable;
	int refusals;       /* logins that the cluster refused, in a row */
	int64_t refused_ms; /* monotonic: nothing is submitted before, since the login would be refused again */
	char *refused_why;  /* what its chains wait on meanwhile */
	char certificate[CERTIFICATE_ID_SIZE];      /* of the shared account, as last seen; "": none */
	char told_certificate[CERTIFICATE_ID_SIZE]; /* whose end has been told of */

	/* Under the lock of all watches. */
	struct observation_stats stats;
	bool nudged; /* somebody says that the login may work now */
};

struct cluster_watches {
	const struct settings *settings; /* those in force */
	pthread_mutex_t lock;            /* for what other threads look at: the list, its stats and nudges */
	struct cluster_watch **items;
	size_t count;
};

void cluster_watches_init(struct cluster_watches *watches, const struct settings *settings);
void cluster_watches_done(struct cluster_watches *watches);

/* NULL when the settings have no such cluster with such an identity. */
struct cluster_watch *cluster_watch_get(struct cluster_watches *watches, const char *cluster, const char *identity);
struct cluster_watch *cluster_watch_of(struct cluster_watches *watches, struct active_chain *chain);

/* Other settings: what is known of each cluster stays, as far as it is the same. */
void cluster_watches_adopt(struct cluster_watches *watches, const struct settings *settings);

/* The next observation comes soon: something changed. Accepts NULL. */
void cluster_watch_quicken(struct cluster_watch *watch);
bool cluster_watch_is_due(const struct cluster_watch *watch, int64_t now_ms);

/* An answer, or with `early` the part of one that squeue gave, has come: what may be asked again? told_early: that part
 * had come before. */
void cluster_watch_release(struct cluster_watch *watch, bool early, bool told_early);
/* An observation went well: the next one is sooner while things change. */
void cluster_watch_plan(struct cluster_watch *watch, bool changed);
/* It failed: the next one is later each time. */
void cluster_watch_failed(struct cluster_watches *watches, struct cluster_watch *watch, const char *why);
/* A sacct that fails, or hangs, is asked less and less; squeue's answers go on without it. */
void cluster_watch_note_sacct(struct cluster_watch *watch, const struct observe_reply *reply);
/* Newer Slurm has states that are not known here: the log is told of each word once. */
void cluster_watch_note_state(struct cluster_watch *watch, const char *state, const char *job);

/* For those who look at the cluster: how its observation goes, why NULL: well; and what it cost. */
void cluster_watch_note_stats(struct cluster_watches *watches, struct cluster_watch *watch, const char *why);
void cluster_watch_note_cost(struct cluster_watches *watches, struct cluster_watch *watch, bool bad, int64_t took_ms,
			     int64_t bytes);
/* Keeps what was counted; nothing when counts->nodes is 0. */
void cluster_watch_note_counts(struct cluster_watches *watches, struct cluster_watch *watch,
			       const struct node_counts *counts);
/* Any thread. All zero for what was never looked at. identity NULL: of all identities on the cluster the latest good
 * look, and the failures of the one that fails most. */
void cluster_watches_stats(struct cluster_watches *watches, const char *cluster, const char *identity,
			   struct observation_stats *ret_stats);

/* The cluster refused the login: when it is tried again, and what is waited on until then. */
void cluster_watch_refused(struct cluster_watch *watch, const char *why);
/* It let somebody in. */
void cluster_watch_let_in(struct cluster_watch *watch);
/* What could not be done for want of a login may be tried at once: observations, too. */
void cluster_watch_retry(struct cluster_watch *watch);
/* The login may work now; false when there is no such watch. Any thread. */
bool cluster_watches_nudge(struct cluster_watches *watches, const char *cluster, const char *identity);
/* Chains of those that were nudged are tried at once. */
void cluster_watches_take_nudges(struct cluster_watches *watches, const struct active_chains *chains);

#endif
