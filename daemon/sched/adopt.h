/* Takes into the store what was found on a cluster and read back: evaluations that it lacks, and attempts of chains
 * that it knows. Nothing is submitted by that: a job of which nothing is on the cluster ends as cancelled. Scheduler
 * thread, within the transaction of an answer. */
#ifndef NEL_SCHED_ADOPT_H
#define NEL_SCHED_ADOPT_H

#include "sched/lost.h"
#include "sched/scheduler_state.h"

/* Adopts it, and notes in the table of orphans what became of it. */
int adopt_evaluation(struct scheduler *s, const struct cluster_watch *watch, struct lost_evaluation *lost,
		     struct nel_err *err);

/* Is there an attempt that the store lacks? Only then is it lost; sets lost->known. */
int adopt_is_lost(struct scheduler *s, struct lost_evaluation *lost, bool *ret_lost, struct nel_err *err);

/* Which of the attempts found becomes a chain's newest: an index in `found`, or count: none. newest: the store's;
 * in_job: an attempt may be queued while the one before it runs; unsure: also one whose Slurm job is not known. Pure.
 */
size_t adopt_choose(const struct lost_attempt *found, size_t count, int newest, bool in_job, bool unsure);

/* The first attempt that the budget counts, from what the attempt that left_s is of still had of it: elapsed_s[i] is
 * the run time of attempt i + 1, the first `count` of them have ended before it. Pure. */
int adopt_budget_from(const int64_t *elapsed_s, int count, int64_t limit_s, int64_t left_s);

#endif
