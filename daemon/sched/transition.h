/* The one place where a chain changes its state: the old state is checked, the history row, the event and the
 * evaluation's sum are written with it, in the caller's transaction. Scheduler thread. */
#ifndef NEL_SCHED_TRANSITION_H
#define NEL_SCHED_TRANSITION_H

#include "sched/active_chain.h"

/* Applies the table's rule for `event` to a chain: nothing when the table ignores it. reason: one line for a
 * person or NULL; waiting_on likewise. Writes chain->job's counters too. *ret_action: what the rule asks for. CONFLICT
 * when the store has another state than memory. */
int transition_apply(struct db *db, struct active_chain *chain, enum chain_event event, const char *reason,
		     const char *waiting_on, int64_t now_s, enum chain_action *ret_action, struct nel_err *err);

/* Writes the job's counters and the newest attempt without a change of state. */
int transition_store(struct db *db, struct active_chain *chain, int64_t now_s, struct nel_err *err);

/* Changes what the job waits on; nothing is written when it is the same already. */
int transition_waiting_on(struct db *db, struct active_chain *chain, const char *waiting_on, int64_t now_s,
			  struct nel_err *err);

#endif
