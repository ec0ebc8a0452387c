/* Puts a run directory on a cluster and submits its jobs: one remote command for all, safe to repeat. Lane threads. */
#ifndef NEL_SLURM_SUBMIT_H
#define NEL_SLURM_SUBMIT_H

#include "slurm/rundir.h"
#include "ssh/pool.h"

enum submit_outcome {
	SUBMIT_ACCEPTED, /* slurm_job_id is set; also when a repeat found the job of an earlier try */
	SUBMIT_REFUSED,  /* sbatch or a check said no: message says why; nothing runs */
	SUBMIT_RETRY,   /* Slurm could not be asked (slurmctld down, a submit limit reached): nothing runs; try again */
	SUBMIT_IN_DOUBT /* an earlier try may have reached sbatch and cannot be looked up yet: ask again later, same
			   name */
};

struct submit_result {
	int job_index;
	enum submit_outcome outcome;
	char slurm_job_id[24];
	int64_t submitted_at; /* UTC on the cluster */
	char message[512];    /* one line, from sbatch or the check */
};

struct submit_reply {
	struct submit_result *items; /* one per order, in its order */
	size_t count;
};

void submit_reply_done(struct submit_reply *reply);

/* Sends and submits. -1: *err has the reason for all orders: DENIED, BUSY, REMOTE as ssh_pool_exec() (the whole may be
 * repeated: the names make it safe), INVALID when the run directory itself cannot be made (message says why). */
int slurm_submit(struct ssh_pool *pool, const struct rundir_input *in, int64_t timeout_ms,
		 struct submit_reply *ret_reply, struct nel_err *err);

#endif
