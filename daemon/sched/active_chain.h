/* Active chains: the rows of jobs that have not ended, or whose end is not collected, with what pends for each. A chain
 * that carries several jobs has an entry for each of them, and what is the chain's stands once. Owned by the scheduler
 * thread alone. */
#ifndef NEL_SCHED_ACTIVE_CHAIN_H
#define NEL_SCHED_ACTIVE_CHAIN_H

#include "chain/chain.h"
#include "db/attempts.h"
#include "db/jobs.h"

#include <uthash.h>

struct action_type;
struct cluster_watch;
struct placement;
struct settings;

/* What the jobs of a chain have in common. */
struct chain_common {
	int64_t seq; /* the hash key */
	struct chain_row row;
	struct attempt_row attempt; /* the newest; number 0: none yet */
	bool known;                 /* the attempt has been read from the store */
	int64_t used_before_s;      /* elapsed time of the attempts before it */
	char *waiting_on;           /* of a shared chain: what its attempt waits on; NULL: nothing */
	struct gpu_use use_added;   /* likewise: what the observation that is being taken has added to the attempt's */
	bool any_lives;             /* likewise: has one of its jobs no end in its attempt, as seen last? */
	/* Those of its jobs that are active, by their index. */
	struct active_chain **members;
	size_t member_count;
	UT_hash_handle hh;
};

/* One of its jobs. */
struct active_chain {
	int64_t seq;     /* the chain's */
	int64_t job_seq; /* the hash key */
	struct chain_common *common;
	struct cluster_watch *watch; /* NULL: not known yet */
	struct placement *placement; /* its evaluation's, while its cluster is not settled (placement.h); NULL: it is */
	bool held;                   /* by that: it is not to be sent */
	struct active_chain *next_observable;
	struct job_row job;        /* of its own `chain` only seq and number hold, the rest is in common->row */
	enum chain_action pending; /* remote work that it waits for */
	const struct action_type *in_flight; /* a lane has it for that; NULL: none has it */
	bool stale;                          /* memory and store may differ: to be read again */
	bool first_send;                     /* this process intended the attempt and has not sent it before */
	int tries;                           /* of what pends, failed in a row */
	int64_t due_ms;                      /* monotonic: what pends waits until then */
	bool ending;                         /* the end below is known and waits for ACTION_COLLECT */
	enum chain_event end_event;
	char *end_reason;
	int end_attempt;          /* of a job of a shared chain: the attempt in which it ended; 0: not known */
	int64_t results_since_ms; /* monotonic: so long it has been looked for its results.yml; 0: not yet */
	int export_misses;        /* its export was not found, in a row */
	int64_t seen_alive_ms;    /* monotonic: squeue had it then */
	int marked_attempt;       /* of a job of a shared chain: the attempt whose script knows that it is cancelled */
	int64_t marked_ms;        /* monotonic: and from when on at the latest; 0: it has not been told */
	bool observed;            /* by the answer that is being taken */
	bool touched;             /* by the open transaction */
	bool limited;             /* Slurm refused the attempt for a limit of its own, and it is tried again */
	uint64_t labels;          /* of the settings' labels with a quota, those that it has */
	const struct settings *labels_of; /* these settings; NULL: not known yet */
	size_t person;                    /* fair_share.c's number of its user; 0: not known yet */
	int64_t turn;                     /* among those that go now, from 1; 0: it was sent before */
	UT_hash_handle hh;
};

/* A zeroed struct is an empty set. */
struct active_chains {
	struct active_chain *by_seq; /* uthash, by the jobs' */
	struct chain_common *common; /* uthash, by the chains' */
};

/* Chains of a set, in the order in which they are handled. Zeroed it is empty; items are freed by its owner. */
struct chain_list {
	struct active_chain **items;
	size_t count;
	size_t capacity;
};

void chain_list_add(struct chain_list *list, struct active_chain *chain);

/* Takes row's contents over (row is zeroed). An entry that was there is replaced; what is the chain's, only when it is
 * stale. */
struct active_chain *active_chains_put(struct active_chains *set, struct job_row *row);
/* By the chain: its leader. */
struct active_chain *active_chains_find(const struct active_chains *set, int64_t seq);
struct active_chain *active_chains_find_job(const struct active_chains *set, int64_t job_seq);
/* Only when its chain still has that attempt, and memory is what the store has: the job that an answer is about. */
struct active_chain *active_chains_find_attempt(const struct active_chains *set, int64_t job_seq, int attempt);
/* All jobs that are active of the chain that an answer is about; NULL as above. Those that are stale are among them. */
struct chain_common *active_chains_find_common(const struct active_chains *set, int64_t seq, int attempt);
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

/* Does it carry several jobs on one deployment? */
bool active_chain_is_shared(const struct active_chain *chain);
/* The directory of its attempts on the cluster: the job's own, or that of the shared chain; free(). */
char *active_chain_dir(const struct active_chain *chain);
/* The job that stands for the chain in what is done once for all of them: one with an attempt in Slurm, if there is
 * one, else one that waits for the next. */
bool active_chain_leads(const struct active_chain *chain);
/* Is, or may be, an attempt of it in Slurm, in which the job has not ended? */
bool active_chain_is_in_slurm(const struct active_chain *chain);
/* Is the job to be in the next attempt? */
bool active_chain_waits(const struct active_chain *chain);
/* Those of the jobs of the newest attempt that are so, in its order; arrays of the caller's. */
void active_chain_list_jobs(const struct chain_common *common, bool (*is_so)(const struct active_chain *),
			    int **ret_jobs, int **ret_resumed_for, size_t *ret_count);
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
