/* Watches the certificates with which the daemon logs in: their end is told of by an event before it comes, once each;
 * and what waits for one is tried at once when there is another. */
#ifndef NEL_SCHED_EXPIRY_H
#define NEL_SCHED_EXPIRY_H

#include "sched/scheduler_state.h"

/* Called in every round; looks around once a second. Scheduler thread. */
void expiry_step(struct scheduler *s);

#endif
