/* Evaluations that were stored before scores had likenesses: worked out a few at a time. Scheduler thread. */
#ifndef NEL_SCHED_CONFIG_HASH_BACKLOG_H
#define NEL_SCHED_CONFIG_HASH_BACKLOG_H

#include "sched/scheduler_state.h"

void config_hash_backlog_step(struct scheduler *s);

#endif
