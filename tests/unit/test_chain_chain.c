/* The table of transitions. */
#include "chain/chain.h"
#include "cmocka_all.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void test_chain_state_name_every_state_round_trips(void **state)
{
	(void)state;
	for (int i = 0; i < CHAIN_STATE_COUNT; i++) {
		enum chain_state back = CHAIN_QUEUED;
		assert_int_equal(chain_state_from_name(chain_state_name((enum chain_state)i), &back), 0);
		assert_int_equal(back, i);
	}
	enum chain_state none;
	assert_int_equal(chain_state_from_name("paused", &none), -1);
	for (int i = 0; i < CHAIN_EVENT_COUNT; i++)
		assert_non_null(chain_event_name((enum chain_event)i));
}

static void test_chain_rule_for_end_states_leave_only_by_resume(void **state)
{
	(void)state;
	for (int s = 0; s < CHAIN_STATE_COUNT; s++) {
		for (int e = 0; e < CHAIN_EVENT_COUNT; e++) {
			const struct chain_rule *rule = chain_rule_for((enum chain_state)s, (enum chain_event)e);
			if (!chain_state_is_end((enum chain_state)s) || rule->ignored)
				continue;
			assert_int_equal(e, EVENT_RESUME);
			assert_int_equal(rule->to, CHAIN_RESUMING);
		}
	}
}

static void test_chain_rule_for_every_live_state_reaches_every_needed_end(void **state)
{
	(void)state;
	bool reaches[CHAIN_STATE_COUNT][CHAIN_STATE_COUNT] = {{false}};
	for (int s = 0; s < CHAIN_STATE_COUNT; s++)
		for (int e = 0; e < CHAIN_EVENT_COUNT; e++) {
			const struct chain_rule *rule = chain_rule_for((enum chain_state)s, (enum chain_event)e);
			if (!rule->ignored)
				reaches[s][rule->to] = true;
		}
	for (int via = 0; via < CHAIN_STATE_COUNT; via++)
		for (int s = 0; s < CHAIN_STATE_COUNT; s++)
			for (int to = 0; to < CHAIN_STATE_COUNT; to++)
				reaches[s][to] = reaches[s][to] || (reaches[s][via] && reaches[via][to]);
	for (int s = 0; s < CHAIN_STATE_COUNT; s++) {
		if (chain_state_is_end((enum chain_state)s))
			continue;
		assert_true(reaches[s][CHAIN_CANCELLED]);
		assert_true(reaches[s][CHAIN_FAILED] || s == CHAIN_CANCELLING);
	}
	assert_true(reaches[CHAIN_QUEUED][CHAIN_SUCCEEDED]);
	assert_true(reaches[CHAIN_QUEUED][CHAIN_BUDGET_EXHAUSTED]);
}

static void test_chain_rule_for_submit_only_on_admission(void **state)
{
	(void)state;
	for (int s = 0; s < CHAIN_STATE_COUNT; s++)
		for (int e = 0; e < CHAIN_EVENT_COUNT; e++) {
			const struct chain_rule *rule = chain_rule_for((enum chain_state)s, (enum chain_event)e);
			if (!rule->ignored && rule->action == ACTION_SUBMIT)
				assert_true(e == EVENT_ADMIT && (s == CHAIN_QUEUED || s == CHAIN_RESUMING));
		}
}

static void test_chain_rule_for_cancel_in_each_state(void **state)
{
	(void)state;
	static const struct {
		enum chain_state from;
		enum chain_state to;
		enum chain_action action;
	} cases[] = {
	    {CHAIN_QUEUED, CHAIN_CANCELLED, ACTION_NONE},      {CHAIN_SUBMITTING, CHAIN_CANCELLING, ACTION_CANCEL},
	    {CHAIN_PENDING, CHAIN_CANCELLING, ACTION_CANCEL},  {CHAIN_RUNNING, CHAIN_CANCELLING, ACTION_CANCEL},
	    {CHAIN_RESUMING, CHAIN_CANCELLED, ACTION_COLLECT},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct chain_rule *rule = chain_rule_for(cases[i].from, EVENT_CANCEL);
		assert_false(rule->ignored);
		assert_int_equal(rule->to, cases[i].to);
		assert_int_equal(rule->action, cases[i].action);
	}
	assert_true(chain_rule_for(CHAIN_CANCELLING, EVENT_CANCEL)->ignored);
	assert_true(chain_rule_for(CHAIN_SUCCEEDED, EVENT_CANCEL)->ignored);
}

/* Random events: a chain never has two attempts at once, and once cancelling it never submits again. */
static void test_chain_rule_for_random_events_hold_the_invariants(void **state)
{
	(void)state;
	srand(20240229);
	for (int run = 0; run < 2000; run++) {
		enum chain_state now = CHAIN_QUEUED;
		bool cancelling = false;
		int live = 0;
		for (int step = 0; step < 200; step++) {
			enum chain_event event = (enum chain_event)(rand() % EVENT_RESUME);
			const struct chain_rule *rule = chain_rule_for(now, event);
			if (rule->ignored)
				continue;
			if (rule->action == ACTION_SUBMIT) {
				assert_false(cancelling);
				live++;
			}
			if (rule->to == CHAIN_RESUMING || chain_state_is_end(rule->to))
				live = 0;
			if (event == EVENT_CANCEL)
				cancelling = true;
			assert_in_range(live, 0, 1);
			now = rule->to;
		}
	}
}

static void test_chain_sum_up_table(void **state)
{
	(void)state;
	static const struct {
		int queued, running, succeeded, failed, cancelled, exhausted;
		const char *want;
	} cases[] = {
	    {3, 0, 0, 0, 0, 0, "queued"},    {2, 1, 0, 0, 0, 0, "running"}, {1, 0, 2, 0, 0, 0, "running"},
	    {0, 0, 3, 0, 0, 0, "succeeded"}, {0, 0, 2, 1, 0, 0, "failed"},  {0, 0, 2, 0, 1, 0, "cancelled"},
	    {0, 0, 0, 0, 3, 0, "cancelled"}, {0, 0, 0, 1, 2, 0, "failed"},  {0, 0, 2, 0, 0, 1, "failed"},
	    {0, 1, 0, 2, 0, 0, "running"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int counts[CHAIN_STATE_COUNT] = {0};
		counts[CHAIN_QUEUED] = cases[i].queued;
		counts[CHAIN_RUNNING] = cases[i].running;
		counts[CHAIN_SUCCEEDED] = cases[i].succeeded;
		counts[CHAIN_FAILED] = cases[i].failed;
		counts[CHAIN_CANCELLED] = cases[i].cancelled;
		counts[CHAIN_BUDGET_EXHAUSTED] = cases[i].exhausted;
		assert_string_equal(chain_sum_up(counts), cases[i].want);
	}
}

static void test_chain_state_of_the_one_that_lives_tells_most(void **state)
{
	(void)state;
	/* In the order in which they tell: each before all that follow. */
	static const enum chain_state order[] = {
	    CHAIN_RUNNING,    CHAIN_PENDING, CHAIN_SUBMITTING,       CHAIN_RESUMING,  CHAIN_QUEUED,
	    CHAIN_CANCELLING, CHAIN_FAILED,  CHAIN_BUDGET_EXHAUSTED, CHAIN_CANCELLED, CHAIN_SUCCEEDED};
	for (size_t i = 0; i < CHAIN_STATE_COUNT; i++) {
		int counts[CHAIN_STATE_COUNT] = {0};
		counts[order[i]] = 1;
		assert_int_equal(chain_state_of(counts), order[i]); /* of one job, its own */
		for (size_t later = i + 1; later < CHAIN_STATE_COUNT; later++)
			counts[order[later]] = 3;
		assert_int_equal(chain_state_of(counts), order[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_chain_state_name_every_state_round_trips),
	    cmocka_unit_test(test_chain_rule_for_end_states_leave_only_by_resume),
	    cmocka_unit_test(test_chain_rule_for_every_live_state_reaches_every_needed_end),
	    cmocka_unit_test(test_chain_rule_for_submit_only_on_admission),
	    cmocka_unit_test(test_chain_rule_for_cancel_in_each_state),
	    cmocka_unit_test(test_chain_rule_for_random_events_hold_the_invariants),
	    cmocka_unit_test(test_chain_sum_up_table),
	    cmocka_unit_test(test_chain_state_of_the_one_that_lives_tells_most),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
