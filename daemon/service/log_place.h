/* Where a job's log is on its cluster: beside its artifacts, or, of a job on a shared deployment, with its chain. PURE.
 */
#ifndef NEL_SERVICE_LOG_PLACE_H
#define NEL_SERVICE_LOG_PLACE_H

#include "db/jobs.h"

/* The directory of the chain that carries the job with others; NULL when it is alone; free(). */
char *log_place_chain_dir(const struct job_row *job);

struct log_place {
	char *dir;        /* with logs/ in it */
	const char *file; /* in logs/; borrowed from the name */
};

void log_place_done(struct log_place *place);

/* Of the log that is shown under the name. */
struct log_place log_place_of(const struct job_row *job, const char *name);

#endif
