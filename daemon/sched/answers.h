/* One answer of a remote worker, worked into the chains in one transaction. One that fails leaves the chains to be read
 * again from the store; the remote side is safe to ask again. Scheduler thread. */
#ifndef NEL_SCHED_ANSWERS_H
#define NEL_SCHED_ANSWERS_H

#include "sched/action.h"
#include "sched/scheduler_state.h"

/* Frees the action. */
void answers_take(struct scheduler *s, struct action *action);

#endif
