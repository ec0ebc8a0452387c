/* Tables placement_plans and, of evaluations, placement and placing: evaluations whose config leaves the cluster open.
 */
#ifndef NEL_DB_PLACEMENTS_H
#define NEL_DB_PLACEMENTS_H

#include "db/jobs.h"

/* What an evaluation is on one of the clusters that it may be on. All owned. */
struct placement_plan {
	char *cluster;
	char *identity;
	char *rundir;
	char *resolved; /* its config there: JSON */
};

void placement_plan_done(struct placement_plan *plan);

/* Of an evaluation with a placement that was just stored: the scheduler is to choose. Within its transaction. */
int placements_insert(struct db *db, int64_t evaluation_seq, const struct placement_plan *plans, size_t count,
		      struct nel_err *err);

/* The placement of an evaluation that the scheduler is not done with, as evaluation_row has it; free(). NULL: there is
 * none. */
int placements_get(struct db *db, int64_t evaluation_seq, char **ret_document, struct nel_err *err);

/* NOTFOUND. */
int placements_plan(struct db *db, int64_t evaluation_seq, const char *cluster, struct placement_plan *ret_plan,
		    struct nel_err *err);

/* Stores the document; placing false: the scheduler is done with it, and its plans go. Within a transaction.
 * version + 1. */
int placements_set(struct db *db, int64_t evaluation_seq, const char *document, bool placing, int64_t now_s,
		   struct nel_err *err);

/* The evaluation is on the plan's cluster from now on. The jobs have placements_move_job(). version + 1. */
int placements_move(struct db *db, int64_t evaluation_seq, const struct placement_plan *plan, int64_t now_s,
		    struct nel_err *err);

/* A job of it that has not ended is where the row says (cluster, identity, job_dir, partition, account, gpus), which a
 * row of its history tells with that reason; what its checkpoints were elsewhere is forgotten. version + 1. */
int placements_move_job(struct db *db, const struct job_row *job, const char *reason, int64_t now_s,
			struct nel_err *err);

/* A row of a job's history that tells something of its placement, in the state that it has. version + 1. */
int placements_tell_job(struct db *db, int64_t job_seq, const char *reason, int64_t now_s, struct nel_err *err);

#endif
