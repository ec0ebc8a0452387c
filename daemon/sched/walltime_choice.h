/* execution.walltime: auto. What the store knows of the work that an attempt is to do: between which lengths its time
 * limit is chosen. Scheduler thread. */
#ifndef NEL_SCHED_WALLTIME_CHOICE_H
#define NEL_SCHED_WALLTIME_CHOICE_H

#include "chain/walltime_range.h"
#include "sched/active_chain.h"

/* Of a chain's attempt that is for those of its jobs that are so. budget_s: what the budget leaves to it; attempt: its
 * number. */
int walltime_choice_find(struct db *db, const struct chain_common *common, bool (*is_so)(const struct active_chain *),
			 int64_t budget_s, int attempt, struct walltime_range *ret_range, struct nel_err *err);

#endif
