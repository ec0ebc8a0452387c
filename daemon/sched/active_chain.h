/* Active chains: the rows of jobs that have not ended, or whose end is not collected, with what pends for each. Owned
 * by the scheduler thread alone. */
#ifndef NEL_SCHED_ACTIVE_CHAIN_H
#define NEL_SCHED_ACTIVE_CHAIN_H

#include "chain/chain.h"
#include "db/attempts.h"
#include "db/jobs.h"

#include <uthash.h>

struct cluster_watch;
struct settings;

struct active_chain {
	int64_t seq;                 /* the hash key */
	struct cluster_watch *watch; /* NULL: not known yet */
	struct active_chain *next_observable;
	struct job_row job;
	struct attempt_row attempt; /* the newest; number 0: none yet */
	int64_t used_before_s;      /* elapsed time of the attempts before it */
	enum chain_action pending;  /* remote work that it waits for */
	bool in_flight;             /* a lane has it */
	bool stale;                 /* memory and store may differ: to be read again */
	bool first_send;            /* this process intended the attempt and has not sent it before */
	int tries;                  /* of what pends, failed in a row */
	int64_t due_ms;             /* monotonic: what pends waits until then */
	bool ending;                /* the end below is known and waits for ACTION_COLLECT */
	enum chain_event end_event;
	char *end_reason;
	int64_t results_since_ms;         /* monotonic: so long it has been looked for its results.yml; 0: not yet */
	int export_misses;                /* its export was not found, in a row */
	int64_t seen_alive_ms;            /* monotonic: squeue had it then */
	bool observed;                    /* by the answer that is being taken */
	bool touched;                     /* by the open transaction */
	bool limited;                     /* Slurm refused the attempt for a limit of its own, and it is tried again */
	uint64_t labels;                  /* of the settings' labels with a quota, those that it has */
	const struct settings *labels_of; /* these settings; NULL: not known yet */
	size_t person;                    /* fair_share.c's number of its user; 0: not known yet */
	int64_t turn;                     /* among those that go now, from 1; 0: it was sent before */
	UT_hash_handle hh;
};

/* A zeroed struct is an empty set. */
struct active_chains {
	struct active_chain *by_seq; /* uthash */
};

/* Chains of a set, in the order in which they are handled. Zeroed it is empty; items are freed by its owner. */
struct chain_list {
	struct active_chain **items;
	size_t count;
	size_t capacity;
};

void chain_list_add(struct chain_list *list, struct active_chain *chain);

/* Takes row's contents over (row is zeroed). An entry that was there is replaced. */
struct active_chain *active_chains_put(struct active_chains *set, struct job_row *row);
struct active_chain *active_chains_find(const struct active_chains *set, int64_t seq);
/* Only when it still has that attempt, and memory is what the store has: the chain that an answer is about. */
struct active_chain *active_chains_find_attempt(const struct active_chains *set, int64_t seq, int attempt);
void active_chains_remove(struct active_chains *set, struct active_chain *chain);
void active_chains_done(struct active_chains *set);
/* A transaction is about to change them: to be called before it does, by whoever began it. */
void active_chains_touch(struct active_chain *const *chains, size_t count);
/* After a failed transaction: what it touched is read again from the store before it is used. */
void active_chains_mark_stale(struct active_chains *set);

/* What it waits for from now on, at once. */
void active_chain_set_pending(struct active_chain *chain, enum chain_action pending);
/* What pends has failed: it waits, longer each time. */
void active_chain_back_off(struct active_chain *chain, int64_t base_s, int64_t max_s);

/* May its next attempt go when its turn comes? */
bool active_chain_awaits_turn(const struct active_chain *chain, int64_t now_s);
/* Does an attempt queue the next one itself? */
bool active_chain_resumes_in_job(const struct active_chain *chain);
/* Did Slurm end the attempt in the middle of its work (time limit, preemption, a dead node)? */
bool active_chain_was_cut_off(const struct active_chain *chain);
/* Why it ends: of one that is being cancelled, the cancellation. Borrowed. */
const char *active_chain_end_reason(const struct active_chain *chain, const char *reason);
/* Does Slurm know, or perhaps know, an attempt of it that has not ended? */
bool active_chain_is_observable(const struct active_chain *chain);

#endif
