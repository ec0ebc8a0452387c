/* What a job's end says of its scores: whether they are waited for, which are stored, and what people are told of them.
 * Scheduler thread. */
#ifndef NEL_SCHED_RESULTS_H
#define NEL_SCHED_RESULTS_H

#include "sched/action.h"
#include "sched/active_chain.h"

/* The state of a job that has ended, or in which it will when its end is stored. */
enum chain_state results_end_state(const struct active_chain *chain);

/* Has the job left scores that can be trusted? */
bool results_stand(const struct action *action);

/* Is the job about to end well, and its results.yml not (yet) what its evaluation has left? File systems that are
 * shared show what another node wrote late; it is looked for again, for wait_s from the first look on. */
bool results_awaited(struct active_chain *chain, const struct action *action, int64_t wait_s);

/* Stores the scores, or for a success without any that can be trusted that there are none; with the seal, the warnings,
 * and the events of both. Within a transaction. */
int results_take(struct db *db, struct active_chain *chain, const struct action *action, int64_t now_s,
		 struct nel_err *err);

#endif
