/* Table jobs, table history: one row a job, and every change of its state. */
#ifndef NEL_DB_JOBS_H
#define NEL_DB_JOBS_H

#include "base/ids.h"
#include "chain/chain.h"
#include "chain/gpu_use.h"
#include "chain/progress.h"
#include "db/chains.h"
#include "db/db.h"

/* Where a job waits that does. */
struct job_queue {
	/* In the daemon's own queue of its cluster: not of the store, service_show_queue_position() fills it in. */
	int64_t position; /* from 1; 0: it does not wait there */
	int64_t of;
	const char *hold; /* what holds it, beside those before it: a word; NULL: nothing */
	bool limited;     /* a limit of the daemon's own does: */
	int64_t has;      /* how many there are; of a quota GPU hours */
	int64_t most;     /* and may be */
	int64_t until;    /* of a quota: it ends then; 0: it is none */
	/* In Slurm's. */
	char *slurm_reason;     /* NULL: it does not wait there, or has not been seen there */
	int64_t expected_start; /* 0: not known */
};

/* All strings owned; 0 is unknown or none for times. */
struct job_row {
	int64_t seq;
	char id[IDS_JOB_SIZE];
	int64_t evaluation_seq;
	char evaluation[IDS_EVALUATION_SIZE];
	int index;
	char *user;
	char *cluster;
	char *identity;
	char *task;
	char *model;
	char *job_dir; /* absolute, on the cluster; where the scores are another job's, that one's */
	enum chain_state state;
	char *reason;           /* or NULL */
	char *waiting_on;       /* or NULL */
	struct chain_row chain; /* that carries it, perhaps with others of its evaluation */
	char *partition;        /* as submitted; NULL: not known */
	char *account;          /* likewise */
	int64_t gpus;           /* of all nodes together; -1: not known */
	int64_t cancel_requested_at;
	char *cancel_requested_by;
	int64_t resume_requested_at;
	char *resume_requested_by;
	bool resume_resets_budget;
	int64_t progress;              /* finished requests; -1 unknown */
	int64_t progress_total;        /* of so many, as the evaluator says; 0 unknown */
	struct progress_window window; /* of the counter, while it runs */
	int64_t progress_before;       /* where it stood when it was begun anew: below it there is no rate */
	struct gpu_use use;            /* of all attempts */
	char *export_;                 /* what became of its export: JSON as a job is shown; NULL: there is none */
	char *results_seal;            /* SHA-256 of the results.yml that the end left, "none"; NULL unknown */
	char *reused_from;             /* the job whose scores stand for its own, which may be gone; NULL: none */
	char *warnings;                /* a JSON array of texts about the scores; NULL: there are none */
	int64_t observed_at;
	int64_t observation; /* observations.h: what it has joined; 0: nothing */
	int64_t created_at;
	int64_t updated_at;
	int64_t started_at;
	int64_t ended_at;
	int from_attempt; /* that it was resumed for by hand, on a shared deployment: an end before is not its end */
	bool collected;   /* the end on the cluster (scores, secrets) is done */
	int64_t version;
	struct job_queue queue;
};

struct job_list {
	struct job_row *items;
	size_t count;
};

/* NULL or 0: no such filter. */
struct job_filter {
	const char *state;
	const char *evaluation;
	const char *user;
	const char *cluster;
	const char *task;
	const char *model;
	const char *label_key; /* with label_value */
	const char *label_value;
	int64_t since_s;    /* created_at >= */
	int64_t until_s;    /* created_at < */
	const char *search; /* search_parse() */
	int64_t position;   /* of seq_list, with the same sort; 0: from the beginning */
	enum list_sort sort;
	int limit;
};

void job_row_done(struct job_row *row);
void job_list_done(struct job_list *list);

/* Stores the job and its first history row; sets row->seq, larger than of any before, and row->version. The first job
 * of a chain (row->chain.seq is 0) brings it along, and chain.seq is set. Jobs are inserted in the order of their
 * evaluations and, within one, of their index (INTERNAL otherwise): lists lean on it.
 */
int jobs_insert(struct db *db, struct job_row *row, struct nel_err *err);
int jobs_get(struct db *db, const char *id, struct job_row *ret_row, struct nel_err *err);
int jobs_get_seq(struct db *db, int64_t seq, struct job_row *ret_row, struct nel_err *err);
/* At most DB_LIST_MAX, whose rows jobs_get_seq() has. */
int jobs_list(struct db *db, const struct job_filter *filter, struct seq_list *ret_list, struct nel_err *err);
/* How many there are on all pages together. *ret_capped: so many or more; counting on would take too long. */
int jobs_total(struct db *db, const struct job_filter *filter, int64_t *ret_total, bool *ret_capped,
	       struct nel_err *err);
int jobs_of_evaluation(struct db *db, const char *evaluation, struct job_list *ret_list,
		       struct nel_err *err); /* by index */

/* How many jobs of an evaluation stand in each state; array of CHAIN_STATE_COUNT. */
int jobs_counts(struct db *db, int64_t evaluation_seq, int ret_counts[CHAIN_STATE_COUNT], struct nel_err *err);

/* How many jobs on the cluster have not ended, or are not collected; user NULL: anybody's. */
int jobs_count_active(struct db *db, const char *cluster, const char *user, int64_t *ret_count, struct nel_err *err);

/* For the scheduler. Jobs to load at start: not ended, or ended and not collected. */
int jobs_list_active(struct db *db, struct job_list *ret_list, struct nel_err *err);
/* Jobs later than after_seq, and those that the service marked (cancel or resume requested); clears the marks. Writes
 * nothing where there are none. Within a transaction. */
int jobs_take_attention(struct db *db, int64_t after_seq, struct job_list *ret_list, struct nel_err *err);
/* The seq of the newest job, 0 when there is none. Falls when the newest is pruned: the next one has its number then.
 */
int jobs_newest(struct db *db, int64_t *ret_seq, struct nel_err *err);

/* The one statement that changes a state: only when the stored one is `from`; also sets reason, waiting_on (NULL
 * clears), ended_at (0 clears), updated_at, version + 1, and adds the history row. When an ended job goes on (a
 * manual resume), the request to cancel it and the collected mark are cleared. CONFLICT when the stored state differs.
 * Called by sched only. */
int jobs_set_state(struct db *db, int64_t seq, enum chain_state from, enum chain_state to, const char *reason,
		   const char *waiting_on, int64_t ended_at, int64_t now_s, struct nel_err *err);

/* Writes what the scheduler counts, of the job, without a state change: waiting_on, progress, export, observed_at,
 * started_at, updated_at, from_attempt; version + 1. It leaves the observation that it has joined. The chain has
 * chains_update(). */
int jobs_update(struct db *db, const struct job_row *row, struct nel_err *err);

/* What is known of the job's results.yml (NULL: nothing); version + 1. */
int jobs_set_results(struct db *db, int64_t seq, const char *seal, const char *warnings, struct nel_err *err);

/* The scores of the job `from` stand for its own, and so do the files in that one's directory. NOTFOUND; version + 1.
 */
int jobs_set_reused(struct db *db, int64_t seq, const char *from, const char *job_dir, struct nel_err *err);

int jobs_set_collected(struct db *db, int64_t seq, struct nel_err *err);

/* The person's request; the scheduler carries it out. Sets the attention mark. Of an ended job it withdraws a
 * request to resume, if there is one. Asking again marks it again and keeps who asked first. *ret_marked: how many jobs
 * it marked. */
int jobs_request_cancel(struct db *db, const char *job_id, const char *by, int64_t now_s, int *ret_marked,
			struct nel_err *err);

/* As jobs_request_cancel(), for an ended job that has not succeeded: it is to go on. */
int jobs_request_resume(struct db *db, const char *job_id, const char *by, bool reset_budget, int64_t now_s,
			int *ret_marked, struct nel_err *err);

/* The request to resume was carried out or came to nothing. */
int jobs_clear_resume(struct db *db, int64_t seq, struct nel_err *err);

struct history_row {
	int64_t at;
	char *from; /* or NULL */
	char *to;
	char *reason; /* or NULL */
};

struct history_list {
	struct history_row *items;
	size_t count;
};

void history_list_done(struct history_list *list);
int history_of_job(struct db *db, int64_t job_seq, struct history_list *ret_list,
		   struct nel_err *err); /* oldest first */

#endif
