/* What tells whether the reply about an evaluation or a job is still the same: versions and times from the rows that it
 * is made of, read without them. */
#ifndef NEL_DB_REVISIONS_H
#define NEL_DB_REVISIONS_H

#include "db/db.h"

/* Two that are equal are of the same content, but for what is not stored: the place of a job that waits. */
struct revision {
	int64_t version;     /* of the evaluation; every change of a job moves it */
	int64_t updated_at;  /* of the evaluation */
	int64_t jobs;        /* the sum of the jobs' versions, or the job's */
	int64_t observed_at; /* the latest; it moves without a version */
	bool waits;          /* a job may wait for its turn */
};

/* NOTFOUND. */
int revisions_evaluation(struct db *db, const char *id, struct revision *ret_revision, struct nel_err *err);
int revisions_job(struct db *db, const char *id, struct revision *ret_revision, struct nel_err *err);

#endif
