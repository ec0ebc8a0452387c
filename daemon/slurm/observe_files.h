/* Internal to slurm/: the records of remote_observe.sh that come from the jobs' own directories, as run.sub and the
 * evaluators wrote them: stamps, progress, jobs of shared chains. Pure. */
#ifndef NEL_SLURM_OBSERVE_FILES_H
#define NEL_SLURM_OBSERVE_FILES_H

#include "slurm/observe.h"
#include "slurm/records.h"

#define OBSERVE_ELAPSED_MAX 999999999999LL

/* An "f" record: puts it into the item that it is about. One that is malformed, or about none, is left out. */
void observe_files_take_files(struct observe_reply *reply, struct record *record);

/* A "j" record, likewise: into the item's jobs. */
void observe_files_take_job(struct observe_reply *reply, struct record *record);

/* Their sum, at most OBSERVE_ELAPSED_MAX; neither is negative. */
int64_t observe_add_capped(int64_t sum, int64_t more);

#endif
