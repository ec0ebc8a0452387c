/* What the scheduler writes into the log of events (db/events.h), each within the transaction of what it tells of. The
 * members of each kind's data stand in openapi.yaml (schema Event). Scheduler thread. */
#ifndef NEL_SCHED_EVENT_LOG_H
#define NEL_SCHED_EVENT_LOG_H

#include "sched/active_chain.h"
#include "slurm/scores.h"

#include <jansson.h>

/* job.state: the job's row is as it is now. */
int event_log_job(struct db *db, const struct active_chain *chain, enum chain_state from, int64_t now_s,
		  struct nel_err *err);

/* evaluation.state, and evaluation.ended too when `ended`; job is one of its jobs. */
int event_log_evaluation(struct db *db, const struct job_row *job, const char *from, const char *to,
			 const int counts[CHAIN_STATE_COUNT], bool ended, int64_t now_s, struct nel_err *err);

/* evaluation.placed: on the cluster of the job, which is one of its jobs; from: where it was before, or NULL.
 * candidates: an array, as the evaluation's placement has it. */
int event_log_placed(struct db *db, const struct job_row *job, const char *from, const char *reason, json_t *candidates,
		     int64_t now_s, struct nel_err *err);

/* evaluation.adopted: found in that run directory; of one that is in the store. */
int event_log_adopted(struct db *db, const char *evaluation, const char *user, const char *rundir, int64_t now_s,
		      struct nel_err *err);

/* attempt.submitted, attempt.started, attempt.ended: of the newest attempt. */
int event_log_attempt(struct db *db, const struct active_chain *chain, const char *kind, int64_t now_s,
		      struct nel_err *err);

/* results.recorded: how many, and the first few of them. */
int event_log_results(struct db *db, const struct active_chain *chain, const struct scores *scores, int64_t now_s,
		      struct nel_err *err);

/* job.warning: an array of texts. */
int event_log_warnings(struct db *db, const struct active_chain *chain, const json_t *warnings, int64_t now_s,
		       struct nel_err *err);

/* cluster.unreachable with why, or cluster.reachable when why is NULL. */
int event_log_cluster(struct db *db, const char *cluster, const char *why, int64_t now_s, struct nel_err *err);

/* identity.expiring: the certificate with which the daemon logs in ends at that time. user: whose it is; NULL: the
 * shared account's, whose certificate (its id) is told. */
int event_log_expiry(struct db *db, const char *cluster, const char *user, const char *username,
		     const char *certificate, int64_t expires_at, int64_t now_s, struct nel_err *err);

#endif
