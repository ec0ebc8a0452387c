/* Forgets what is older than the settings keep: events, ended evaluations with everything that
 * is theirs, and campaigns that have none left. */
#ifndef NEL_SCHED_PRUNING_H
#define NEL_SCHED_PRUNING_H

#include "sched/scheduler_state.h"

/* A few rows, now and then: called in every round. Scheduler thread. */
void pruning_step(struct scheduler *s);

#endif
