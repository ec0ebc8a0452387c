/* From an observation of an attempt in which several jobs are evaluated on one deployment to what it means for each of
 * them. PURE but for memory. */
#ifndef NEL_SCHED_SHARING_H
#define NEL_SCHED_SHARING_H

#include "sched/active_chain.h"
#include "sched/reconcile.h"

/* As reconcile(), for one job of a shared chain: its own start, progress and end count before the attempt's. is_first:
 * of the observation, whose facts go into the chain and its attempt once. */
void sharing_reconcile(struct active_chain *chain, bool is_first, const struct observation *observation,
		       const struct reconcile_rules *rules, struct judgement *ret_judgement);

#endif
