/* Table attempts and table script_bodies: one row a Slurm job of a chain. The row is the intent: it is committed before
 * anything is sent. */
#ifndef NEL_DB_ATTEMPTS_H
#define NEL_DB_ATTEMPTS_H

#include "chain/gpu_use.h"
#include "db/db.h"

struct attempt_row {
	int64_t chain_seq;
	int number;
	char *
	    jobs; /* the ids of those that it is for, and, once it has ended, that were evaluated in it: a JSON array */
	char *job_name;
	int64_t time_limit_s; /* with walltime: auto, until Slurm has it, the longest that it may get */
	char *after_job;      /* or NULL */
	char *exclude_node;   /* or NULL */
	int64_t intended_at;
	char *slurm_job_id; /* NULL until sbatch answered */
	char *slurm_state;  /* or NULL */
	int64_t submitted_at;
	int64_t started_at;
	int64_t ended_at;
	int64_t elapsed_s; /* -1 unknown */
	int exit_code;     /* -1 unknown */
	int signal;        /* 0: none */
	char *nodes;
	char *pending_reason;
	int64_t start_estimate;  /* of a waiting one, by Slurm; 0: none */
	int64_t withdrawn_at;    /* it was to end before it began, for another cluster; 0: it was not */
	int64_t absent_since;    /* 0: not absent */
	int64_t gpus;            /* of all nodes together */
	struct gpu_use use;      /* since its servers were ready */
	bool idle;               /* it was ended because it did nothing */
	int64_t idle_before;     /* and so were so many before it, since somebody resumed the job */
	int64_t progress_before; /* the jobs' progress counters together, when it was intended */
};

struct attempt_list {
	struct attempt_row *items;
	size_t count;
};

void attempt_row_done(struct attempt_row *row);
void attempt_list_done(struct attempt_list *list);

/* Stores the intent with its script; the body is stored once under its SHA-256. CONFLICT when the chain has that number
 * or another attempt has that job_name. */
int attempts_insert(struct db *db, const struct attempt_row *row, const char *script_header, const char *script_body,
		    struct nel_err *err);
int attempts_of_chain(struct db *db, int64_t chain_seq, struct attempt_list *ret_list,
		      struct nel_err *err); /* by number */
int attempts_get(struct db *db, int64_t chain_seq, int number, struct attempt_row *ret_row, struct nel_err *err);

/* jobs, and all columns after intended_at. NOTFOUND. */
int attempts_update(struct db *db, const struct attempt_row *row, struct nel_err *err);

/* Of an intent of which nothing has reached Slurm, and nothing will. NOTFOUND. */
int attempts_delete(struct db *db, int64_t chain_seq, int number, struct nel_err *err);

/* run.sub as it was sent; *ret_text is free()d by the caller. NOTFOUND. */
int attempts_script(struct db *db, int64_t chain_seq, int number, char **ret_text, struct nel_err *err);

/* Sum of elapsed_s over the attempts of a chain from number `from` on (unknown ones count 0). */
int attempts_elapsed(struct db *db, int64_t chain_seq, int from, int64_t *ret_s, struct nel_err *err);

/* Slurm may begin an attempt at the very moment in which it is withdrawn. One that ran longer was not. */
#define ATTEMPTS_WITHDRAWN_RUN_MAX_S 60

/* Likewise of all that were not withdrawn before they began: what they ran was work. */
int attempts_worked(struct db *db, int64_t chain_seq, int64_t *ret_s, struct nel_err *err);

#endif
