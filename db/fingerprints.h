/* Table fingerprints: what the checkpoints of a job's servers were made of, and so which jobs' scores may stand for
 * those of an equal one. */
#ifndef NEL_DB_FINGERPRINTS_H
#define NEL_DB_FINGERPRINTS_H

#include "db/db.h"

#define FINGERPRINT_SIZE 65             /* hexadecimal digits of a SHA-256 */
#define FINGERPRINTS_CANDIDATES_MAX 8   /* of different fingerprints, the newest job of each */
#define FINGERPRINTS_LOOKED_AT_MAX 1000 /* equal jobs, the newest */

/* An attempt of the job was given to Slurm, with checkpoints (a JSON array of paths) of that fingerprint. One that is
 * not the first attempt's means that the job's scores are of no one state of them: the job is none to be reused. */
int fingerprints_put(struct db *db, int64_t job_seq, const char *checkpoints, const char *fingerprint,
		     struct nel_err *err);

/* The checkpoints whose fingerprint is still to be taken at the job's end; NULL: none. free() */
int fingerprints_unsettled(struct db *db, int64_t job_seq, char **ret_checkpoints, struct nel_err *err);

/* The job has ended; fingerprint: of its checkpoints then, "" when it could not be taken. */
int fingerprints_settle(struct db *db, int64_t job_seq, const char *fingerprint, struct nel_err *err);

/* No attempt of the job that may have begun was submitted where it is now. */
int fingerprints_forget(struct db *db, int64_t job_seq, struct nel_err *err);

/* The other job's scores are now the job's, too, and it stands for the other when that is pruned. */
int fingerprints_copy(struct db *db, int64_t from_seq, int64_t to_seq, struct nel_err *err);

/* Which jobs are equal: those of this task and model, with these likenesses, of the same account on the same cluster.
 */
struct fingerprint_question {
	int64_t but; /* not this job; 0: any */
	const char *task;
	const char *model;
	const char *cluster;
	const char *identity;
	const char *subject_hash;
	const char *protocol_hash;
};

struct fingerprint_candidate {
	int64_t job_seq;
	char fingerprint[FINGERPRINT_SIZE];
};

struct fingerprint_candidates {
	struct fingerprint_candidate items[FINGERPRINTS_CANDIDATES_MAX];
	size_t count;
};

/* Of each fingerprint the newest equal job that has succeeded, has scores, and ended with the checkpoints that it began
 * with; newest first. One whose scores are another's is none while the store has that other. */
int fingerprints_candidates(struct db *db, const struct fingerprint_question *question,
			    struct fingerprint_candidates *ret_candidates, struct nel_err *err);

/* The seq of the one with that fingerprint; 0: there is none. */
int64_t fingerprints_find(const struct fingerprint_candidates *candidates, const char *fingerprint);

#endif
