/* Tables usage and usage_labels: the ledger. What each attempt that has ended used, a row a job that was evaluated in
 * it; it stays when the evaluation is pruned. */
#ifndef NEL_DB_USAGE_H
#define NEL_DB_USAGE_H

#include "db/db.h"
#include "db/jobs.h"
#include "db/likenesses.h"

#define USAGE_ROWS_MAX 50000 /* that are summed up at once: a quarter of a second */

/* What an attempt used, all restarts together; strings are borrowed. */
struct usage_row {
	const char *attempt;      /* its unique name in Slurm */
	const char *slurm_job_id; /* or NULL */
	const char *slurm_state;  /* or NULL */
	int64_t ended_at;
	int64_t run_s;
	int64_t queue_s; /* from its submission to its first start that is known; 0: not known */
	int64_t gpu_s;
	/* Of run_s, each second in one at most. */
	int64_t start_up_s;
	int64_t idle_s;
	bool lost;     /* all of it: it came to nothing */
	bool by_sacct; /* run_s and gpu_s are sacct's */
};

/* Stores what an attempt used, with its evaluation's labels; what was stored of it before is replaced. Where `count`
 * jobs shared the attempt, each has an equal part, and the parts add up to the whole. */
int usage_put(struct db *db, const struct usage_row *row, const struct job_row *const *jobs, size_t count,
	      struct nel_err *err);

/* An attempt whose row is not sacct's yet, to be asked about again. */
struct unsettled_row {
	char *attempt;
	char *slurm_job_id;
	char *job_dir;
	int64_t submitted_at;
	int number;
	int64_t gpus; /* that were asked for */
};

struct unsettled_list {
	struct unsettled_row *items;
	size_t count;
};

void unsettled_list_done(struct unsettled_list *list);

/* Those of the identity that are due: each 10 s after its end and at growing distances from then on, five times in half
 * a day, as long as its evaluation is in the store. */
int usage_unsettled(struct db *db, const char *cluster, const char *identity, int64_t now_s, int limit,
		    struct unsettled_list *ret_list, struct nel_err *err);

/* What sacct says of the attempt takes the place of what was stored; what was wasted of it is worked out anew. */
int usage_settle(struct db *db, const char *attempt, int64_t run_s, int64_t gpu_s, struct nel_err *err);

/* sacct was asked, and does not have its end. */
int usage_asked(struct db *db, const char *attempt, struct nel_err *err);

/* How much alike a run in the store and another are. */
enum usage_likeness {
	USAGE_SAME_TASK, /* task and model */
	USAGE_SIMILAR,   /* and the task's image and limit_samples */
	USAGE_EQUAL      /* and all that counts for scores (config/plan/likeness.h) */
};
#define USAGE_LIKENESSES 3

/* What a job that succeeded used, all its attempts together. */
struct usage_run {
	enum usage_likeness likeness;
	int64_t gpu_s;
	int64_t run_s;
	/* Of its attempts the longest time until the servers were ready, whoever else waited for them; 0: not known. */
	int64_t start_up_s;
	int64_t start_up_gpu_s; /* likewise, as GPU seconds of all that waited */
};

/* What the newest `limit` jobs that succeeded of a task and a model used, as far as the ledger has them, compared with
 * a run of that subject and protocol. *ret_count are in runs, which has room for `limit`. */
int usage_runs(struct db *db, const char *task, const char *model, const struct likeness_row *subject,
	       const struct likeness_row *protocol, size_t limit, struct usage_run *runs, size_t *ret_count,
	       struct nel_err *err);

/* Of the newest that succeeded of a task and a model, those of that subject and protocol: how long they ran, all
 * attempts together (the nearest rank to 90 %). 0: there are none. */
int usage_equal_p90(struct db *db, const char *task, const char *model, const char *subject_hash,
		    const char *protocol_hash, int64_t *ret_run_s, struct nel_err *err);

/* How long servers took to start, at most: in the chain's own attempts, also those in which they never were ready, and
 * in those of the newest jobs of its model that came to something. 0: nothing is known. */
int usage_start_up(struct db *db, int64_t chain_seq, const char *model, int64_t *ret_s, struct nel_err *err);

enum usage_of { USAGE_OF_ALL, USAGE_OF_USER, USAGE_OF_LABEL };

/* GPU seconds of attempts that ended in the month (of UTC) of at_s: everybody's (name ""), a person's, or those of a
 * label "KEY:VALUE". */
int usage_month(struct db *db, int64_t at_s, enum usage_of of, const char *name, int64_t *ret_gpu_s,
		struct nel_err *err);

/* What the rows are summed up by; a zeroed struct gives one sum. */
struct usage_filter {
	bool by_user;
	bool by_cluster;
	bool by_model;
	bool by_task;
	bool by_month;     /* of ended_at, UTC */
	const char *label; /* a key, or NULL */
	int64_t since_s;   /* ended_at; 0: no bound */
	int64_t until_s;   /* ended_at is before; 0: no bound */
	int limit;
};

/* Columns that the filter does not name are NULL; so is the label of an evaluation that has none of that key. */
struct usage_sum {
	char *user;
	char *cluster;
	char *model;
	char *task;
	char *month; /* "2026-11" */
	char *label;
	int64_t gpu_s;
	int64_t start_up_gpu_s;
	int64_t idle_gpu_s;
	int64_t lost_gpu_s;
	int64_t run_s;
	int64_t queue_s;
	int64_t attempts; /* a shared one counts in each group that it has a job in */
	int64_t jobs;
};

struct usage_sums {
	struct usage_sum *items;
	size_t count;
};

void usage_sums_done(struct usage_sums *sums);

/* In the order of the columns above. INVALID: more than USAGE_ROWS_MAX rows ended in that time. */
int usage_sum_up(struct db *db, const struct usage_filter *filter, struct usage_sums *ret_sums, struct nel_err *err);

#endif
