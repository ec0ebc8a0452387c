/* What ?reuse=true means for a submission, as far as it is known without the cluster, which decides (sched/reuse.h). */
#ifndef NEL_SERVICE_REUSABLE_H
#define NEL_SERVICE_REUSABLE_H

#include "config/plan/likeness.h"
#include "service/planned.h"

/* Adds a warning where nothing can be reused, or only all jobs together. */
void reusable_warn(const struct eval_plan *plan, struct problems *warnings);

/* Sets in each job of the array "reuse_candidate": the newest equal job, which is reused if the checkpoints' files are
 * still what they were for it; null: there is none. */
int reusable_describe(struct db *db, const struct planned *planned, const struct likeness *likeness, json_t *jobs,
		      struct nel_err *err);

#endif
