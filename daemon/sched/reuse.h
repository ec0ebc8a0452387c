/* Reuse: of a submission that wants it, which equal jobs' scores may stand for those of its jobs, and what it means
 * that they do. The cluster decides, by the fingerprint of the checkpoints (slurm/submit.h). Scheduler thread. */
#ifndef NEL_SCHED_REUSE_H
#define NEL_SCHED_REUSE_H

#include "db/evaluations.h"
#include "sched/scheduler_state.h"

struct action;

#define REUSE_ASKS_S 20 /* of script/remote_fingerprint.sh, beside what else a command does */

/* A JSON array of texts as a list: free it with str_list_free(). */
char **reuse_checkpoints(const char *checkpoints);

/* Has the action say whose checkpoints' fingerprint is to be taken, with time for it, and of each item with which it is
 * not to be submitted: those with which an equal job has succeeded, and on a shared deployment one of each job. Only of
 * first attempts, which those are, too, before which all were withdrawn. */
int reuse_prepare(struct scheduler *s, const struct evaluation_row *evaluation, struct action *action,
		  struct nel_err *err);

/* An attempt of the job was given to Slurm, with checkpoints of that fingerprint. */
int reuse_note_submitted(struct scheduler *s, const struct action *action, const struct active_chain *chain,
			 const char *fingerprint, struct nel_err *err);

/* Nothing of the job goes to Slurm: an equal job's scores and samples become its own, and it has succeeded; one that is
 * to be cancelled is cancelled. *ret_found false: that job is gone, nothing was done, and the attempt is to be sent
 * again. */
int reuse_take(struct scheduler *s, struct active_chain *chain, const char *fingerprint, bool *ret_found,
	       struct nel_err *err);

/* All jobs of the chain were taken so: the attempt that was intended for them does not exist. One before it that was
 * withdrawn is the newest again. */
int reuse_drop_attempt(struct scheduler *s, struct chain_common *common, struct nel_err *err);

#endif
