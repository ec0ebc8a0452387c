/* The audit of commands on clusters: who had what done there (db/audit.h). */
#ifndef NEL_SCHED_REMOTE_AUDIT_H
#define NEL_SCHED_REMOTE_AUDIT_H

#include "sched/action.h"
#include "sched/scheduler_state.h"

/* One row for each person whose jobs the action was for; observations are the daemon's own. The same done again with
 * the same outcome within an hour counts in the row that is there, so that observations and tries at a cluster that is
 * down cost a row an hour. Within the transaction of the answer, before what it says changes the chains. */
int remote_audit_store(struct scheduler *s, const struct action *action, struct nel_err *err);

#endif
