/* The ledger (db/usage.h): what an attempt used goes into it with the transaction that stores its end. Scheduler
 * thread. */
#ifndef NEL_SCHED_LEDGER_H
#define NEL_SCHED_LEDGER_H

#include "db/usage.h"
#include "sched/active_chain.h"
#include "slurm/observe.h"

/* What the chain's newest attempt used, by what was last seen of it. By sacct where sacct has its end: run time, and
 * GPUs that it was given (those that it asked for, where sacct does not say); else by squeue and the script's stamps.
 * Of an attempt that several jobs shared each has its part, and the attempt's row says which were evaluated in it.
 * *ret_lost: it came to nothing: no success, and no step of the progress counters. */
int ledger_attempt_ended(struct db *db, const struct active_chain *chain, const struct observation *o, bool *ret_lost,
			 struct nel_err *err);

/* An attempt that sacct did not have ended then, and has been asked about again: takes what it says now. */
int ledger_settle(struct db *db, const struct unsettled_row *row, const struct observation *o, struct nel_err *err);

#endif
