/* What tells whether the reply about an evaluation or a job is still the same: versions and times from the rows that it
 * is made of, read without them. */
#ifndef NEL_DB_REVISIONS_H
#define NEL_DB_REVISIONS_H

#include "base/ids.h"
#include "db/evaluations.h"
#include "db/jobs.h"

/* Two that are equal are of the same content, but for what is not stored: the place of a job that waits. */
struct revision {
	int64_t seq; /* of the evaluation */
	char id[IDS_EVALUATION_SIZE];
	int64_t version;     /* of the evaluation; every change of a job moves it */
	int64_t updated_at;  /* of the evaluation */
	int64_t jobs;        /* the sum of the jobs' versions, or the job's */
	int64_t observed_at; /* the latest; it moves without a version */
	bool waits;          /* a job may wait for its turn */
};

/* From the rows themselves. */
struct revision revision_of(const struct evaluation_row *row, const struct job_list *jobs);

bool revision_equal(const struct revision *a, const struct revision *b);

/* NOTFOUND. By id, or by number. */
int revisions_evaluation(struct db *db, const char *id, struct revision *ret_revision, struct nel_err *err);
int revisions_evaluation_at(struct db *db, int64_t seq, struct revision *ret_revision, struct nel_err *err);
int revisions_job(struct db *db, const char *id, struct revision *ret_revision, struct nel_err *err);

#endif
