#include "chain/chain.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const char *const state_names[CHAIN_STATE_COUNT] = {
    [CHAIN_QUEUED] = "queued",       [CHAIN_SUBMITTING] = "submitting",
    [CHAIN_PENDING] = "pending",     [CHAIN_RUNNING] = "running",
    [CHAIN_RESUMING] = "resuming",   [CHAIN_CANCELLING] = "cancelling",
    [CHAIN_SUCCEEDED] = "succeeded", [CHAIN_FAILED] = "failed",
    [CHAIN_CANCELLED] = "cancelled", [CHAIN_BUDGET_EXHAUSTED] = "budget_exhausted",
};

static const char *const event_names[CHAIN_EVENT_COUNT] = {
    [EVENT_ADMIT] = "admit",
    [EVENT_ACCEPTED] = "accepted",
    [EVENT_REFUSED] = "refused",
    [EVENT_REUSED] = "reused",
    [EVENT_SEEN_PENDING] = "seen pending",
    [EVENT_SEEN_RUNNING] = "seen running",
    [EVENT_END_SUCCESS] = "ended well",
    [EVENT_END_CONTINUE] = "ended, to be continued",
    [EVENT_END_BUDGET] = "ended, budget spent",
    [EVENT_END_FAILURE] = "ended in failure",
    [EVENT_END_CANCELLED] = "ended by cancellation",
    [EVENT_LOST] = "lost",
    [EVENT_CANCEL] = "cancel asked",
    [EVENT_RESUME] = "resume asked",
};

/* clang-format off */
#define GO(state_, action_) {.to = CHAIN_##state_, .action = ACTION_##action_}
#define IGNORE {.ignored = true}

/* The table of transitions: a row a state, a column an event. A chain in PENDING may be observed ended (it ran between
 * two observations); a running one may be observed pending (Slurm requeued it, the attempt is the same). A chain whose
 * attempt ended well although somebody asked to cancel it has succeeded: its scores are there. */
static const struct chain_rule rules[CHAIN_STATE_COUNT][CHAIN_EVENT_COUNT] = {
	[CHAIN_QUEUED] = {
		[EVENT_ADMIT] = GO(SUBMITTING, SUBMIT),     [EVENT_ACCEPTED] = IGNORE,
		[EVENT_REFUSED] = IGNORE,                   [EVENT_SEEN_PENDING] = IGNORE,
		[EVENT_REUSED] = IGNORE,
		[EVENT_SEEN_RUNNING] = IGNORE,              [EVENT_END_SUCCESS] = IGNORE,
		[EVENT_END_CONTINUE] = IGNORE,              [EVENT_END_BUDGET] = IGNORE,
		[EVENT_END_FAILURE] = GO(FAILED, NONE),     [EVENT_END_CANCELLED] = IGNORE,
		[EVENT_LOST] = IGNORE,                      [EVENT_CANCEL] = GO(CANCELLED, NONE),
		[EVENT_RESUME] = IGNORE,
	},
	[CHAIN_SUBMITTING] = {
		[EVENT_ADMIT] = IGNORE,                     [EVENT_ACCEPTED] = GO(PENDING, NONE),
		[EVENT_REFUSED] = GO(FAILED, COLLECT),      [EVENT_SEEN_PENDING] = IGNORE,
		[EVENT_REUSED] = GO(SUCCEEDED, NONE),
		[EVENT_SEEN_RUNNING] = IGNORE,              [EVENT_END_SUCCESS] = IGNORE,
		[EVENT_END_CONTINUE] = IGNORE,              [EVENT_END_BUDGET] = IGNORE,
		[EVENT_END_FAILURE] = IGNORE,               [EVENT_END_CANCELLED] = IGNORE,
		[EVENT_LOST] = IGNORE,                      [EVENT_CANCEL] = GO(CANCELLING, CANCEL),
		[EVENT_RESUME] = IGNORE,
	},
	[CHAIN_PENDING] = {
		[EVENT_ADMIT] = IGNORE,                     [EVENT_ACCEPTED] = IGNORE,
		[EVENT_REFUSED] = IGNORE,                   [EVENT_SEEN_PENDING] = IGNORE,
		[EVENT_REUSED] = IGNORE,
		[EVENT_SEEN_RUNNING] = GO(RUNNING, NONE),   [EVENT_END_SUCCESS] = GO(SUCCEEDED, COLLECT),
		[EVENT_END_CONTINUE] = GO(RESUMING, NONE),  [EVENT_END_BUDGET] = GO(BUDGET_EXHAUSTED, COLLECT),
		[EVENT_END_FAILURE] = GO(FAILED, COLLECT),  [EVENT_END_CANCELLED] = GO(CANCELLED, COLLECT),
		[EVENT_LOST] = GO(FAILED, COLLECT),         [EVENT_CANCEL] = GO(CANCELLING, CANCEL),
		[EVENT_RESUME] = IGNORE,
	},
	[CHAIN_RUNNING] = {
		[EVENT_ADMIT] = IGNORE,                     [EVENT_ACCEPTED] = IGNORE,
		[EVENT_REFUSED] = IGNORE,                   [EVENT_SEEN_PENDING] = GO(PENDING, NONE),
		[EVENT_REUSED] = IGNORE,
		[EVENT_SEEN_RUNNING] = IGNORE,              [EVENT_END_SUCCESS] = GO(SUCCEEDED, COLLECT),
		[EVENT_END_CONTINUE] = GO(RESUMING, NONE),  [EVENT_END_BUDGET] = GO(BUDGET_EXHAUSTED, COLLECT),
		[EVENT_END_FAILURE] = GO(FAILED, COLLECT),  [EVENT_END_CANCELLED] = GO(CANCELLED, COLLECT),
		[EVENT_LOST] = GO(FAILED, COLLECT),         [EVENT_CANCEL] = GO(CANCELLING, CANCEL),
		[EVENT_RESUME] = IGNORE,
	},
	[CHAIN_RESUMING] = {
		[EVENT_ADMIT] = GO(SUBMITTING, SUBMIT),     [EVENT_ACCEPTED] = IGNORE,
		[EVENT_REFUSED] = IGNORE,                   [EVENT_SEEN_PENDING] = IGNORE,
		[EVENT_REUSED] = IGNORE,
		[EVENT_SEEN_RUNNING] = IGNORE,              [EVENT_END_SUCCESS] = IGNORE,
		[EVENT_END_CONTINUE] = IGNORE,              [EVENT_END_BUDGET] = GO(BUDGET_EXHAUSTED, COLLECT),
		[EVENT_END_FAILURE] = GO(FAILED, COLLECT),  [EVENT_END_CANCELLED] = IGNORE,
		[EVENT_LOST] = IGNORE,                      [EVENT_CANCEL] = GO(CANCELLED, COLLECT),
		[EVENT_RESUME] = IGNORE,
	},
	[CHAIN_CANCELLING] = {
		[EVENT_ADMIT] = IGNORE,                     [EVENT_ACCEPTED] = GO(CANCELLING, CANCEL),
		[EVENT_REFUSED] = GO(CANCELLED, COLLECT),   [EVENT_SEEN_PENDING] = IGNORE,
		[EVENT_REUSED] = GO(CANCELLED, COLLECT),
		[EVENT_SEEN_RUNNING] = IGNORE,              [EVENT_END_SUCCESS] = GO(SUCCEEDED, COLLECT),
		[EVENT_END_CONTINUE] = GO(CANCELLED, COLLECT), [EVENT_END_BUDGET] = GO(CANCELLED, COLLECT),
		[EVENT_END_FAILURE] = GO(CANCELLED, COLLECT), [EVENT_END_CANCELLED] = GO(CANCELLED, COLLECT),
		[EVENT_LOST] = GO(CANCELLED, COLLECT),      [EVENT_CANCEL] = IGNORE,
		[EVENT_RESUME] = IGNORE,
	},
#define END_ROW(resume_)                                                                                     \
	{                                                                                                    \
		[EVENT_ADMIT] = IGNORE, [EVENT_ACCEPTED] = IGNORE, [EVENT_REFUSED] = IGNORE,                 \
		[EVENT_SEEN_PENDING] = IGNORE, [EVENT_SEEN_RUNNING] = IGNORE, [EVENT_END_SUCCESS] = IGNORE,  \
		[EVENT_END_CONTINUE] = IGNORE, [EVENT_END_BUDGET] = IGNORE, [EVENT_END_FAILURE] = IGNORE,    \
		[EVENT_END_CANCELLED] = IGNORE, [EVENT_LOST] = IGNORE, [EVENT_CANCEL] = IGNORE,              \
		[EVENT_REUSED] = IGNORE, [EVENT_RESUME] = resume_                                            \
	}
	[CHAIN_SUCCEEDED] = END_ROW(IGNORE),
	[CHAIN_FAILED] = END_ROW(GO(RESUMING, NONE)),
	[CHAIN_CANCELLED] = END_ROW(GO(RESUMING, NONE)),
	[CHAIN_BUDGET_EXHAUSTED] = END_ROW(GO(RESUMING, NONE)),
};
/* clang-format on */

const struct chain_rule *chain_rule_for(enum chain_state state, enum chain_event event)
{
	assert((unsigned)state < CHAIN_STATE_COUNT && (unsigned)event < CHAIN_EVENT_COUNT);
	return &rules[state][event];
}

const char *chain_state_name(enum chain_state state)
{
	assert((unsigned)state < CHAIN_STATE_COUNT);
	return state_names[state];
}

int chain_state_from_name(const char *name, enum chain_state *ret_state)
{
	for (int i = 0; i < CHAIN_STATE_COUNT; i++) {
		if (strcmp(name, state_names[i]) == 0) {
			*ret_state = (enum chain_state)i;
			return 0;
		}
	}
	return -1;
}

const char *chain_event_name(enum chain_event event)
{
	assert((unsigned)event < CHAIN_EVENT_COUNT);
	return event_names[event];
}

bool chain_state_is_end(enum chain_state state)
{
	return state >= CHAIN_SUCCEEDED;
}

enum chain_state chain_state_of(const int counts[CHAIN_STATE_COUNT])
{
	static const enum chain_state telling[CHAIN_STATE_COUNT] = {
	    CHAIN_RUNNING,    CHAIN_PENDING, CHAIN_SUBMITTING,       CHAIN_RESUMING,  CHAIN_QUEUED,
	    CHAIN_CANCELLING, CHAIN_FAILED,  CHAIN_BUDGET_EXHAUSTED, CHAIN_CANCELLED, CHAIN_SUCCEEDED,
	};
	for (int i = 0; i < CHAIN_STATE_COUNT; i++)
		if (counts[telling[i]] > 0)
			return telling[i];
	return CHAIN_QUEUED;
}

const char *chain_sum_up(const int counts[CHAIN_STATE_COUNT])
{
	int total = 0;
	int ended = 0;
	for (int i = 0; i < CHAIN_STATE_COUNT; i++) {
		total += counts[i];
		if (chain_state_is_end((enum chain_state)i))
			ended += counts[i];
	}
	if (ended < total)
		return counts[CHAIN_QUEUED] == total ? "queued" : "running";
	if (counts[CHAIN_SUCCEEDED] == total)
		return "succeeded";
	return counts[CHAIN_SUCCEEDED] + counts[CHAIN_CANCELLED] == total ? "cancelled" : "failed";
}
