/* Tables likenesses, job_likenesses and likeness_backlog: what the scores of each job are of, and how they came to be.
 */
#ifndef NEL_DB_LIKENESSES_H
#define NEL_DB_LIKENESSES_H

#include "base/ids.h"
#include "db/db.h"

/* One of a job's two: subject or protocol (config/plan/likeness.h). */
struct likeness_row {
	const char *hash;
	const char *parts; /* a JSON object */
};

/* What a job's scores are of, and how they came to be (config/plan/likeness.h); all NULL and 0 while that is not known.
 */
struct job_basis {
	int64_t subject; /* equal for equal ones */
	int64_t protocol;
	char *subject_hash;
	char *protocol_hash;
	char *subject_parts; /* JSON objects */
	char *protocol_parts;
	char *checkpoint; /* of the parts, those that people ask for */
	char *harness;
	char *image;
	char *params; /* a JSON object */
	char *params_hash;
};

/* Within a transaction. The job has none, or another from before; its scores follow. */
int likenesses_set(struct db *db, int64_t job_seq, const struct likeness_row *subject,
		   const struct likeness_row *protocol, struct nel_err *err);

/* All NULL and 0 when the job has none. */
int likenesses_basis(struct db *db, int64_t job_seq, struct job_basis *ret_basis, struct nel_err *err);
void job_basis_done(struct job_basis *basis); /* accepts NULL */

/* How long it takes, in s, from a job's start to its end: the median of the newest that succeeded,
 * LIKENESSES_DURATIONS_MAX at most, of that task and of equal subject and protocol. 0: there are none. */
#define LIKENESSES_DURATIONS_MAX 9
int likenesses_duration(struct db *db, const char *task, const char *subject_hash, const char *protocol_hash,
			int64_t *ret_s, struct nel_err *err);

/* The newest evaluation from before whose jobs have none yet; "": there is none. */
int likenesses_next(struct db *db, char ret_evaluation[IDS_EVALUATION_SIZE], struct nel_err *err);

/* It is not to be looked at again. */
int likenesses_settle(struct db *db, int64_t evaluation_seq, struct nel_err *err);

#endif
