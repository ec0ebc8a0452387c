/* What people ask for of a chain: that it is cancelled, or goes on; and new chains. service/ stores it and marks the
 * job, and here it is carried out; new chains it knows by their numbers, without a mark. Scheduler thread. */
#ifndef NEL_SCHED_REQUESTS_H
#define NEL_SCHED_REQUESTS_H

#include "sched/scheduler_state.h"

/* Takes the new and the marked jobs from the store, each with what is asked of it, in one transaction. */
int requests_take(struct scheduler *s, struct nel_err *err);

#endif
