/* Cancelling jobs on a cluster. Lane threads. */
#ifndef NEL_SLURM_CANCEL_H
#define NEL_SLURM_CANCEL_H

#include "base/err.h"
#include "ssh/pool.h"

#include <stdint.h>

struct cancel_order {
	const char *slurm_job_id; /* NULL when it is not known */
	const char *job_name;     /* everything of this exact name is cancelled too */
	/* Set (absolute, on the cluster): so are all attempts of the chain, whose names differ in the number alone.
	 * Those that wait go first, for they may wait for the end of those that run; and for each attempt after this
	 * one <chain_dir>/.attempts/<number>/fate says WITHDRAWN. */
	const char *chain_dir;
};

/* scancel for all of them in one remote command. Jobs already gone are no error. 0: Slurm took the request (observe
 * shows the end). -1: REMOTE when scancel could not reach slurmctld, else as ssh_pool_exec(). */
int slurm_cancel(struct ssh_pool *pool, const struct cancel_order *orders, size_t count, int64_t timeout_ms,
		 struct nel_err *err);

#endif
