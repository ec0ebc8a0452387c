/* The paths that a plan's jobs need on a cluster: sources of mounts, and images that are files there. Pure. */
#ifndef NEL_SLURM_SOURCES_H
#define NEL_SLURM_SOURCES_H

#include "config/plan/eval_plan.h"

/* Absolute paths, each once, borrowed from the plan. items is NULL-terminated. */
struct sources {
	const char **items;
	size_t count;
};

void sources_init(struct sources *sources);
void sources_done(struct sources *sources); /* accepts a zeroed one */

/* What every job needs: the servers', the proxy's and the export's. */
void sources_add_plan(struct sources *sources, const struct eval_plan *plan);

/* What one job needs besides: its container, dataset and further mounts. */
void sources_add_job(struct sources *sources, const struct plan_job *job);

#endif
