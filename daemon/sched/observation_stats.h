/* How the observation of a cluster goes, as other threads see it. */
#ifndef NEL_SCHED_OBSERVATION_STATS_H
#define NEL_SCHED_OBSERVATION_STATS_H

#include "slurm/observe.h"

#include <stdint.h>

struct observation_stats {
	int64_t observed_at;        /* UTC; 0: not yet */
	int failures;               /* in a row */
	char error[512];            /* of the last failure; "" when the last one went well */
	char accounting_error[256]; /* of sacct, when it did not answer; "" when it did */
	struct node_counts counts;
	int64_t counted_at; /* UTC; 0: not yet */
	/* Since the start. */
	int64_t looks;       /* that went well */
	int64_t bad_looks;   /* that failed */
	int64_t looks_ms;    /* that all took together */
	int64_t looks_bytes; /* that all read */
};

#endif
