/* Cancelling jobs on a cluster. Lane threads. */
#ifndef NEL_SLURM_CANCEL_H
#define NEL_SLURM_CANCEL_H

#include "base/err.h"
#include "ssh/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cancel_order {
	const char *slurm_job_id; /* NULL when it is not known */
	const char *job_name;     /* everything of this exact name is cancelled too */
	/* Set (absolute, on the cluster): so are all attempts of the chain, whose names differ in the number alone.
	 * Those that wait go first, for they may wait for the end of those that run; and for each attempt after this
	 * one <chain_dir>/.attempts/<number>/fate says WITHDRAWN. */
	const char *chain_dir;
	/* Only what still waits: a job that has begun goes on (scancel --state=PENDING). */
	bool waiting_only;
};

/* scancel for all of them in one remote command. Jobs already gone are no error. 0: Slurm took the request (observe
 * shows the end). -1: REMOTE when scancel could not reach slurmctld, else as ssh_pool_exec(). */
int slurm_cancel(struct ssh_pool *pool, const struct cancel_order *orders, size_t count, int64_t timeout_ms,
		 struct nel_err *err);

/* One job of a shared chain. */
struct cancel_job_order {
	const char *chain_dir; /* shared.<k>, absolute, on the cluster */
	const char *folder;    /* of the job: "mmlu.0" */
};

/* Marks jobs of shared chains as cancelled, in one remote command; whether their Slurm job waits, runs or is not
 * submitted yet. A running one is stopped within seconds, as by SIGTERM and after 30 s SIGKILL for its step alone; a
 * waiting one never begins; the others go on, and when none is left the Slurm job ends. 0: the marks are there (observe
 * shows the ends: job_sighting.cancelled, or another end that came first). -1: REMOTE when a directory cannot be
 * written to, else as ssh_pool_exec(). Where all jobs of a chain are to be cancelled, slurm_cancel() of the Slurm job
 * is quicker. */
int slurm_cancel_jobs(struct ssh_pool *pool, const struct cancel_job_order *orders, size_t count, int64_t timeout_ms,
		      struct nel_err *err);

#endif
