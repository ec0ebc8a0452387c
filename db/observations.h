/* When the active jobs of an identity on a cluster were observed last. A job that has joined is shown as observed at
 * that time (job_row.observed_at), so that an observation in which nothing has changed writes one row, whatever the
 * number of jobs. */
#ifndef NEL_DB_OBSERVATIONS_H
#define NEL_DB_OBSERVATIONS_H

#include "db/db.h"

/* observed_at of a row of jobs, for a SELECT in which the table is called `jobs`, a word in quotes. */
#define OBSERVED_AT(jobs) \
	"CASE WHEN " jobs ".observation IS NULL THEN " jobs ".observed_at" \
	" ELSE (SELECT o.at FROM observations o WHERE o.id = " jobs ".observation) END"

/* The jobs that have joined were observed now. *ret_id is what others are to join. */
int observations_set(struct db *db, const char *cluster, const char *identity, int64_t at_s, int64_t *ret_id,
		     struct nel_err *err);

/* The job's version stays. A job leaves with the time at which it was seen last; jobs_update() does the same. */
int observations_join(struct db *db, int64_t job_seq, int64_t id, struct nel_err *err);
int observations_leave(struct db *db, int64_t job_seq, int64_t observed_at, struct nel_err *err);

#endif
