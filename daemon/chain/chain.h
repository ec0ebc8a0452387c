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
	CHAIN_CANCELLING, /* somebody wants it ended, and something may still be on the cluster */
	CHAIN_SUCCEEDED,
	CHAIN_FAILED,
	CHAIN_CANCELLED,
	CHAIN_BUDGET_EXHAUSTED
};
#define CHAIN_STATE_COUNT (CHAIN_BUDGET_EXHAUSTED + 1)

/* What can happen to a chain. */
enum chain_event {
	EVENT_ADMIT,         /* its turn has come: an attempt is to be sent */
	EVENT_ACCEPTED,      /* Slurm has the attempt and gave it an id */
	EVENT_REFUSED,       /* Slurm will not have the attempt; nothing of it exists */
	EVENT_REUSED,        /* the scores of an equal job stand for its own; nothing of the attempt exists */
	EVENT_SEEN_PENDING,  /* observed waiting (also after a requeue by Slurm itself) */
	EVENT_SEEN_RUNNING,  /* observed running */
	EVENT_END_SUCCESS,   /* the attempt ended well */
	EVENT_END_CONTINUE,  /* it ended resumably and another attempt may follow */
	EVENT_END_BUDGET,    /* it ended resumably, and the budget has no room for another */
	EVENT_END_FAILURE,   /* it ended, and nothing follows */
	EVENT_END_CANCELLED, /* Slurm says it was cancelled */
	EVENT_LOST,          /* absent from Slurm for longer than the absence deadline */
	EVENT_CANCEL,        /* a person wants it ended */
	EVENT_RESUME         /* a person wants an ended chain to go on */
};
#define CHAIN_EVENT_COUNT (EVENT_RESUME + 1)

/* What the scheduler has to do after a transition. */
enum chain_action {
	ACTION_NONE,
	ACTION_SUBMIT,   /* send the intended attempt */
	ACTION_CANCEL,   /* tell Slurm to end the attempt */
	ACTION_WITHDRAW, /* tell it to end the attempt if it has not begun */
	ACTION_COLLECT   /* read scores and log, remove the secrets */
};

struct chain_rule {
	enum chain_state to;
	enum chain_action action;
	bool ignored; /* the event means nothing in this state: nothing is written */
};

/* The rule for an event in a state; every pair has one. */
const struct chain_rule *chain_rule_for(enum chain_state state, enum chain_event event);

const char *chain_state_name(enum chain_state state);
int chain_state_from_name(const char *name, enum chain_state *ret_state); /* 0 or -1 */
const char *chain_event_name(enum chain_event event);
bool chain_state_is_end(enum chain_state state);

/* The state of a chain from the number of its jobs in each state: while one of them lives, that of those that live
 * which has come furthest (one that is being cancelled alone stands behind them); then the least good end. */
enum chain_state chain_state_of(const int counts[CHAIN_STATE_COUNT]);

/* Evaluation states ("queued" "running" "succeeded" "failed" "cancelled") from the number of jobs in each state. */
const char *chain_sum_up(const int counts[CHAIN_STATE_COUNT]);

#endif
