/* The logs of a job on a shared deployment: its own, in its directory, and those of its chain (of the servers, and of
 * the script that started them), in shared.<k>. They are shown under one list of names, the servers' as of a job with a
 * deployment of its own. PURE. */
#ifndef NEL_SLURM_SHARED_LOG_H
#define NEL_SLURM_SHARED_LOG_H

#include <stdbool.h>

/* Is it a name of a log of the chain's? The job's own are client-ID.log, slurm-ID.log and export-ID.log. */
bool shared_log_is_chains(const char *shown);

/* The file in the chain's logs/ that is shown so: borrowed. That of shared-slurm-ID.log is slurm-ID.log. */
const char *shared_log_file(const char *shown);

/* Under which name a file in the chain's logs/ is shown; free(). */
char *shared_log_shown(const char *file);

#endif
