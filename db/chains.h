/* Table chains: one row a chain, which carries one job, or several that share a deployment. What is of the series of
 * its Slurm jobs is here; what is of one task is the job's (jobs.h). A chain's state is told by its jobs'
 * (chain_state_of()). */
#ifndef NEL_DB_CHAINS_H
#define NEL_DB_CHAINS_H

#include "db/db.h"

/* All strings owned; 0 is none for times. */
struct chain_row {
	int64_t seq;
	/* Of its id, ids_format_chain(). That of a chain of one job is the job's index; those of shared chains count
	 * from 1, as their directories do. */
	int number;
	int at_once; /* so many of its jobs are evaluated at once on the deployment that they share; 0: it carries one
		      */
	int64_t walltime_s;
	int max_attempts;       /* 0: no limit */
	char *resume_mode;      /* daemon in_job off */
	char *resume_on;        /* Slurm states separated by commas */
	int64_t budget_limit_s; /* -1: unlimited */
	int64_t budget_used_s;
	int budget_from_attempt; /* the first attempt that the budget counts */
	int attempt;             /* the newest one's number; 0: none yet */
	char *slurm_job_id;      /* of the newest attempt, or NULL */
	int failures;            /* consecutive infrastructure failures, for the back-off */
	int64_t not_before;      /* nothing is submitted before this */
	int withdrawn;           /* attempts that were withdrawn before they began (placements.h) */
};

void chain_row_done(struct chain_row *row);

/* Sets row->seq. CONFLICT when the evaluation has a chain of that number. */
int chains_insert(struct db *db, int64_t evaluation_seq, struct chain_row *row, struct nel_err *err);

/* Writes what changes: budget_limit_s and all below it. It leaves the versions of the chain's jobs alone: whoever shows
 * the chain stores them, too. NOTFOUND. */
int chains_update(struct db *db, const struct chain_row *row, struct nel_err *err);

#endif
