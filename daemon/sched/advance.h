/* Moves a chain on: applies an event (transition.h), and sets what pends for the chain then, as the table of
 * transitions asks. Within the caller's transaction. Scheduler thread. */
#ifndef NEL_SCHED_ADVANCE_H
#define NEL_SCHED_ADVANCE_H

#include "sched/scheduler_state.h"

/* Reads the newest attempt and sets what pends, after the job's row was (re)read from the store. */
int advance_attach(struct scheduler *s, struct active_chain *chain, struct nel_err *err);

/* Applies an event and follows the table's action. */
int advance_apply(struct scheduler *s, struct active_chain *chain, enum chain_event event, const char *reason,
		  const char *waiting_on, struct nel_err *err);

/* The end of an attempt or chain is known: stores it at once, or first has results and log collected. */
int advance_end(struct scheduler *s, struct active_chain *chain, enum chain_event event, const char *reason,
		struct nel_err *err);

/* The same for all jobs of the chain that wait for an attempt. */
int advance_end_waiting(struct scheduler *s, const struct chain_common *common, enum chain_event event,
			const char *reason, struct nel_err *err);

/* The intended attempt is refused, and nothing of it has reached the cluster: no cluster is needed to end the chain. */
int advance_drop(struct scheduler *s, struct active_chain *chain, const char *reason, struct nel_err *err);

/* A chain has ended without success (one that succeeded is left alone): stores the end of the log that matters, or NULL
 * and NULL, and what to try. */
int advance_note_failure(struct scheduler *s, const struct active_chain *chain, const char *log, const char *lines,
			 struct nel_err *err);

/* An ended chain is to go on. */
int advance_resume(struct scheduler *s, struct active_chain *chain, const char *reason, struct nel_err *err);

/* What the newest attempt adds to the totals: Slurm has taken it, with its event; it has ended, as seen in o, which
 * goes into the ledger, too. */
int advance_count_submitted(struct scheduler *s, const struct active_chain *chain, struct nel_err *err);
int advance_count_end(struct scheduler *s, const struct active_chain *chain, const struct observation *o,
		      struct nel_err *err);

#endif
