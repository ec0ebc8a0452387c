/* What is done on a cluster that an evaluation leaves for another. Lane threads. */
#ifndef NEL_SLURM_LEAVE_H
#define NEL_SLURM_LEAVE_H

#include "base/err.h"
#include "ssh/pool.h"

#include <stdint.h>

/* Removes the secrets and the .origin from the run directory (absolute), of which nothing runs any more; one that is
 * not there is well. -1: REMOTE when they cannot be removed, else as ssh_pool_exec(). */
int slurm_leave(struct ssh_pool *pool, const char *rundir, int64_t timeout_ms, struct nel_err *err);

#endif
