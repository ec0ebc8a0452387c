/* How long the next attempt may run, and how long to wait before it. PURE. */
#ifndef NEL_CHAIN_BUDGET_H
#define NEL_CHAIN_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_MIN_S 60 /* Slurm's shortest time limit: with less left, no attempt is worth a start */

/* The next attempt's time limit: the walltime or what the budget leaves, whole minutes being Slurm's own grain (rounded
 * down, so that the budget holds). limit_s -1: unlimited. 0: the budget is exhausted. */
int64_t budget_next_time_limit(int64_t walltime_s, int64_t limit_s, int64_t used_s);

/* Seconds until the next try after `failures` failures in a row: base_s doubled each time, up to max_s, then spread by
 * up to a quarter downwards with `random`. */
int64_t backoff_s(int failures, int64_t base_s, int64_t max_s, uint32_t random);

/* Did an attempt end so soon, and for a fault of the infrastructure, that the next should wait? */
bool backoff_is_fast_failure(const char *slurm_state, int64_t elapsed_s);

#endif
