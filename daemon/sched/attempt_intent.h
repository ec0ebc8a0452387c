/* The intent to submit: the next attempt's row with its script, committed before anything is sent, so that a crash
 * neither loses an attempt nor sends one twice. Scheduler thread. */
#ifndef NEL_SCHED_ATTEMPT_INTENT_H
#define NEL_SCHED_ATTEMPT_INTENT_H

#include "config/plan/eval_plan.h"
#include "sched/scheduler_state.h"

/* The plan's, but for a chain that has one of its own: what would queue its attempts itself is kept from it where a
 * quota counts it (service/planned.c). */
enum resume_mode attempt_intent_resume_mode(const struct active_chain *chain, const struct eval_plan *plan);

/* One transaction: every chain of the group to which nothing pends gets its next attempt, or, when its budget has no
 * room for one, its end. The chains are of the evaluation that plan is of. */
int attempt_intent_store(struct scheduler *s, struct active_chain **group, size_t count, const struct eval_plan *plan,
			 struct nel_err *err);

/* An attempt that is on the cluster and not in the store becomes the chain's newest, without a change of state. Within
 * the caller's transaction, of which the chain is a part. */
int attempt_intent_found(struct scheduler *s, struct active_chain *chain, const struct eval_plan *plan, int number,
			 int64_t submitted_s, struct nel_err *err);

#endif
