/* Chains in memory: the rows of the live jobs with what is to be done for each next. Owned by the scheduler thread
 * alone. */
#ifndef NEL_SCHED_LIVE_H
#define NEL_SCHED_LIVE_H

#include "chain/chain.h"
#include "db/attempts.h"
#include "db/jobs.h"

#include <uthash.h>

/* Remote work that a chain waits for. */
enum live_need {
	NEED_NONE,
	NEED_SUBMIT, /* the attempt is intended and Slurm's answer is not known */
	NEED_CANCEL, /* Slurm is to be told to end it */
	NEED_COLLECT /* it ended: scores and log are to be read, secrets removed */
};

struct station; /* sched/core.h */

struct live {
	int64_t seq;             /* the hash key */
	struct station *station; /* NULL: not known yet */
	struct live *next_observable;
	struct job_row job;
	struct attempt_row attempt; /* the newest; number 0: none yet */
	int64_t used_before_s;      /* elapsed time of the attempts before it */
	enum live_need need;
	bool in_flight;  /* a lane has it */
	bool stale;      /* memory and store may differ: to be read again */
	bool first_send; /* this process intended the attempt and has not sent it before */
	int tries;       /* of the need, failed in a row */
	int64_t due_ms;  /* monotonic: the need waits until then */
	bool ending;     /* the end below is known and waits for NEED_COLLECT */
	enum chain_event end_event;
	char *end_reason;
	int64_t results_since_ms; /* monotonic: so long it has been looked for its results.yml; 0: not yet */
	int export_misses;        /* its export was not found, in a row */
	int64_t seen_alive_ms;    /* monotonic: squeue had it then */
	bool touched;             /* by the open transaction */
	bool limited;             /* Slurm refused the attempt for a limit of its own, and it is tried again */
	size_t person;            /* turns.c's number of its user; 0: not known yet */
	int64_t turn;             /* among those that go now, from 1; 0: it was sent before */
	UT_hash_handle hh;
};

/* A zeroed struct is an empty set. */
struct live_set {
	struct live *by_seq; /* uthash */
};

/* Takes row's contents over (row is zeroed). An entry that was there is replaced. */
struct live *live_set_put(struct live_set *set, struct job_row *row);
struct live *live_set_find(const struct live_set *set, int64_t seq);
void live_set_remove(struct live_set *set, struct live *live);
void live_set_done(struct live_set *set);

/* Does Slurm know, or perhaps know, an attempt of it that has not ended? */
bool live_is_observable(const struct live *live);

#endif
