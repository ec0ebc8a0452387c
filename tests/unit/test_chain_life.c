/* Chains as a whole: the table, the budget and the limits together, under random fates. */
#include "base/mem.h"
#include "chain/budget.h"
#include "chain/chain.h"
#include "cmocka_all.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The events that mean nothing in a state, because the scheduler never has them there or they come too late. Every
 * other pair moves the chain or has something done. */
static const struct {
	enum chain_state state;
	enum chain_event events[CHAIN_EVENT_COUNT];
	int count;
} ignored[] = {
    {CHAIN_QUEUED,
     {EVENT_ACCEPTED, EVENT_REFUSED, EVENT_SEEN_PENDING, EVENT_SEEN_RUNNING, EVENT_END_SUCCESS, EVENT_END_CONTINUE,
      EVENT_END_BUDGET, EVENT_END_CANCELLED, EVENT_LOST, EVENT_RESUME, EVENT_REUSED},
     11},
    {CHAIN_SUBMITTING,
     {EVENT_ADMIT, EVENT_SEEN_PENDING, EVENT_SEEN_RUNNING, EVENT_END_SUCCESS, EVENT_END_CONTINUE, EVENT_END_BUDGET,
      EVENT_END_FAILURE, EVENT_END_CANCELLED, EVENT_LOST, EVENT_RESUME},
     10},
    {CHAIN_PENDING, {EVENT_ADMIT, EVENT_ACCEPTED, EVENT_REFUSED, EVENT_SEEN_PENDING, EVENT_REUSED, EVENT_RESUME}, 6},
    {CHAIN_RUNNING, {EVENT_ADMIT, EVENT_ACCEPTED, EVENT_REFUSED, EVENT_SEEN_RUNNING, EVENT_REUSED, EVENT_RESUME}, 6},
    {CHAIN_RESUMING,
     {EVENT_ACCEPTED, EVENT_REFUSED, EVENT_SEEN_PENDING, EVENT_SEEN_RUNNING, EVENT_END_SUCCESS, EVENT_END_CONTINUE,
      EVENT_END_CANCELLED, EVENT_LOST, EVENT_RESUME, EVENT_REUSED},
     10},
    {CHAIN_CANCELLING, {EVENT_ADMIT, EVENT_SEEN_PENDING, EVENT_SEEN_RUNNING, EVENT_CANCEL, EVENT_RESUME}, 5},
};

static bool is_listed(enum chain_state state, enum chain_event event)
{
	if (chain_state_is_end(state))
		return event != EVENT_RESUME || state == CHAIN_SUCCEEDED;
	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		for (int e = 0; ignored[i].state == state && e < ignored[i].count; e++)
			if (ignored[i].events[e] == event)
				return true;
	return false;
}

static void test_chain_rule_for_every_pair_moves_or_is_listed(void **state)
{
	(void)state;
	for (int s = 0; s < CHAIN_STATE_COUNT; s++) {
		for (int e = 0; e < CHAIN_EVENT_COUNT; e++) {
			const struct chain_rule *rule = chain_rule_for((enum chain_state)s, (enum chain_event)e);
			bool listed = is_listed((enum chain_state)s, (enum chain_event)e);
			if (rule->ignored != listed)
				fail_msg("%s, %s: %s, but %s", chain_state_name((enum chain_state)s),
					 chain_event_name((enum chain_event)e), rule->ignored ? "ignored" : "moves",
					 listed ? "listed" : "not listed");
			/* What is not ignored leads elsewhere or has something done. */
			if (!rule->ignored)
				assert_true(rule->to != (enum chain_state)s || rule->action != ACTION_NONE);
		}
	}
}

/* A chain as the scheduler keeps it, reduced to what decides. */
struct life {
	enum chain_state state;
	int64_t walltime_s;
	int64_t limit_s; /* -1: unlimited */
	int64_t used_s;
	int64_t granted_s; /* to the attempt that lives; 0: none */
	int max_attempts;
	int attempts;
	bool cancelled; /* somebody asked */
	int on_cluster; /* attempts that Slurm has */
};

static void apply(struct life *life, enum chain_event event)
{
	const struct chain_rule *rule = chain_rule_for(life->state, event);
	if (rule->ignored)
		return;
	if (rule->action == ACTION_SUBMIT) {
		life->attempts++;
		life->on_cluster++;
		assert_false(life->cancelled);
	}
	if (rule->to == CHAIN_RESUMING || chain_state_is_end(rule->to)) {
		life->on_cluster = 0;
		life->granted_s = 0;
	}
	if (event == EVENT_CANCEL)
		life->cancelled = true;
	life->state = rule->to;
	assert_in_range(life->on_cluster, 0, 1);
}

/* What the judge says of an attempt that ended resumably. */
static enum chain_event judge(const struct life *life)
{
	if (life->max_attempts > 0 && life->attempts >= life->max_attempts)
		return EVENT_END_FAILURE;
	return budget_next_time_limit(life->walltime_s, life->limit_s, life->used_s) == 0 ? EVENT_END_BUDGET
											  : EVENT_END_CONTINUE;
}

static void end_attempt(struct life *life)
{
	if (life->granted_s == 0)
		return;
	/* Slurm rounds up to minutes and ends a job that runs to its limit not before it. */
	int64_t most_s = (life->granted_s + 59) / 60 * 60;
	int fate = rand() % 8;
	life->used_s += fate < 4 ? most_s : rand() % (most_s + 1);
	apply(life, fate == 7 ? EVENT_END_FAILURE : fate == 6 ? EVENT_END_SUCCESS : judge(life));
}

static void step(struct life *life)
{
	switch (rand() % 8) {
	case 0:
	case 1:
	case 2:
		if (life->state != CHAIN_QUEUED && life->state != CHAIN_RESUMING)
			break;
		life->granted_s = budget_next_time_limit(life->walltime_s, life->limit_s, life->used_s);
		if (life->granted_s == 0)
			apply(life, life->state == CHAIN_RESUMING ? EVENT_END_BUDGET : EVENT_END_FAILURE);
		else
			apply(life, EVENT_ADMIT);
		break;
	case 3: apply(life, EVENT_ACCEPTED); break;
	case 4: apply(life, EVENT_SEEN_RUNNING); break;
	case 5:
	case 6:
		if (life->state == CHAIN_PENDING || life->state == CHAIN_RUNNING || life->state == CHAIN_CANCELLING)
			end_attempt(life);
		break;
	case 7:
		if (rand() % 10 == 0)
			apply(life, rand() % 2 == 0 ? EVENT_CANCEL : EVENT_SEEN_PENDING);
		break;
	}
}

/* However the attempts end: their sum never passes the budget, nor their number the limit, and a chain that may still
 * go on does. */
static void test_chain_life_random_fates_stay_within_budget_and_attempts(void **state)
{
	(void)state;
	srand(11);
	int ends[CHAIN_STATE_COUNT] = {0};
	for (int run = 0; run < 20000; run++) {
		struct life life = {.state = CHAIN_QUEUED,
				    .walltime_s = 60 + rand() % 1000,
				    .limit_s = rand() % 5 == 0 ? -1 : 30 + rand() % 5000,
				    .max_attempts = rand() % 2 == 0 ? 0 : 1 + rand() % 6};
		for (int i = 0; i < 400 && !chain_state_is_end(life.state); i++) {
			step(&life);
			assert_true(life.limit_s < 0 || life.used_s <= life.limit_s);
			assert_true(life.max_attempts == 0 || life.attempts <= life.max_attempts);
		}
		ends[life.state]++;
		if (life.state == CHAIN_BUDGET_EXHAUSTED)
			assert_true(life.limit_s - life.used_s < BUDGET_MIN_S);
		assert_true(!life.cancelled || life.state != CHAIN_RESUMING);
	}
	/* The walk reached them all. */
	for (int s = CHAIN_SUCCEEDED; s < CHAIN_STATE_COUNT; s++)
		assert_true(ends[s] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_chain_rule_for_every_pair_moves_or_is_listed),
	    cmocka_unit_test(test_chain_life_random_fates_stay_within_budget_and_attempts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
