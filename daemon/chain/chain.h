/* The life of a chain: its states, the events that move it, and the table that says how. PURE: no I/O, no clock. The
 * scheduler feeds it and carries out the actions it names. */
#ifndef NEL_CHAIN_CHAIN_H
#define NEL_CHAIN_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

/* Job states as the API shows them. Stored by name. */
enum chain_state {
	CHAIN_QUEUED,     /* nothing sent yet */
	CHAIN_SUBMITTING, /* an attempt is intended; it may or may not have reached Slurm */
	CHAIN_PENDING,    /* in Slurm's queue */
	CHAIN_RUNNING,
	CHAIN_RESUMING,   /* the last attempt ended and another will follow */
	CHAIN_CANCELLING, /* somebody wants it ended */
	CHAIN_SUCCEEDED,
	CHAIN_FAILED,
	CHAIN_CANCELLED,
	CHAIN_BUDGET_EXHAUSTED
};
#define CHAIN_STATE_COUNT (CHAIN_BUDGET_EXHAUSTED + 1)

const char *chain_state_name(enum chain_state state);
int chain_state_from_name(const char *name, enum chain_state *ret_state); /* 0 or -1 */
bool chain_state_is_end(enum chain_state state);

#endif
