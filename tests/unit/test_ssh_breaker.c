/* The circuit breaker, on a clock that stands still. */
#include "base/clock.h"
#include "ssh/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START_MS 1000000

static int64_t now_ms;

static void set_ms(int64_t ms)
{
	now_ms = ms;
	clock_fake_set_ms(ms);
}

static int setup(void **state)
{
	(void)state;
	set_ms(START_MS);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	clock_fake_set_ms(-1);
	return 0;
}

static void fail_times(struct breaker *b, int times)
{
	for (int i = 0; i < times; i++) {
		assert_true(breaker_enter(b));
		breaker_failure(b);
	}
}

/* Goes to the probe's time and lets it in. */
static void enter_probe(struct breaker *b)
{
	set_ms(now_ms + breaker_retry_in_ms(b));
	assert_true(breaker_enter(b));
	assert_int_equal(b->state, BREAKER_HALF_OPEN);
}

static void test_failure_below_threshold_stays_closed(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 7);
	fail_times(&b, BREAKER_THRESHOLD - 1);
	assert_int_equal(b.state, BREAKER_CLOSED);
	assert_true(breaker_enter(&b));
	assert_int_equal(breaker_retry_in_ms(&b), 0);
}

static void test_failure_at_threshold_opens(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 7);
	fail_times(&b, BREAKER_THRESHOLD);
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_in_range(breaker_retry_in_ms(&b), BREAKER_OPEN_MIN_MS, 2 * BREAKER_OPEN_MIN_MS);
	assert_false(breaker_enter(&b));
	set_ms(now_ms + breaker_retry_in_ms(&b) - 1);
	assert_false(breaker_enter(&b));
}

static void test_success_between_failures_starts_count_anew(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 7);
	for (int i = 0; i < 5; i++) {
		fail_times(&b, BREAKER_THRESHOLD - 1);
		breaker_success(&b);
	}
	assert_int_equal(b.state, BREAKER_CLOSED);
}

static void test_enter_when_due_lets_one_probe(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 7);
	fail_times(&b, BREAKER_THRESHOLD);
	enter_probe(&b);
	assert_false(breaker_enter(&b));
	assert_false(breaker_enter(&b));
}

static void test_success_of_probe_closes(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 7);
	fail_times(&b, BREAKER_THRESHOLD);
	enter_probe(&b);
	breaker_success(&b);
	assert_int_equal(b.state, BREAKER_CLOSED);
	fail_times(&b, BREAKER_THRESHOLD);
	assert_in_range(breaker_retry_in_ms(&b), BREAKER_OPEN_MIN_MS, 2 * BREAKER_OPEN_MIN_MS);
}

static void test_failure_of_probes_waits_longer_up_to_the_limit(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 7);
	fail_times(&b, BREAKER_THRESHOLD);
	int64_t longest_ms = 2 * BREAKER_OPEN_MIN_MS;
	for (int i = 0; i < 12; i++) {
		assert_in_range(breaker_retry_in_ms(&b), longest_ms / 2, longest_ms);
		enter_probe(&b);
		breaker_failure(&b);
		longest_ms = longest_ms * 2 > BREAKER_OPEN_MAX_MS ? BREAKER_OPEN_MAX_MS : longest_ms * 2;
	}
	assert_in_range(breaker_retry_in_ms(&b), BREAKER_OPEN_MAX_MS / 2, BREAKER_OPEN_MAX_MS);
}

static void test_failure_while_open_changes_nothing(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 7);
	fail_times(&b, BREAKER_THRESHOLD);
	int64_t retry_in_ms = breaker_retry_in_ms(&b);
	breaker_failure(&b);
	assert_int_equal(breaker_retry_in_ms(&b), retry_in_ms);
}

static void test_cancel_of_probe_lets_another_at_once(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 7);
	fail_times(&b, BREAKER_THRESHOLD);
	enter_probe(&b);
	breaker_cancel(&b);
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_true(breaker_enter(&b));
}

static void test_cancel_while_closed_keeps_count(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, 7);
	fail_times(&b, BREAKER_THRESHOLD - 1);
	breaker_cancel(&b);
	fail_times(&b, 1);
	assert_int_equal(b.state, BREAKER_OPEN);
}

static void test_init_other_seeds_wait_differently(void **state)
{
	(void)state;
	int64_t least_ms = INT64_MAX, most_ms = 0;
	for (uint64_t seed = 1; seed < 2000000; seed += 99999) {
		struct breaker b;
		breaker_init(&b, seed * 0x9e3779b97f4a7c15u);
		fail_times(&b, BREAKER_THRESHOLD);
		int64_t ms = breaker_retry_in_ms(&b);
		least_ms = ms < least_ms ? ms : least_ms;
		most_ms = ms > most_ms ? ms : most_ms;
	}
	assert_true(most_ms - least_ms > BREAKER_OPEN_MIN_MS / 3);
}

static void test_state_name_all_named(void **state)
{
	(void)state;
	assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
	assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
	assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half-open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_failure_below_threshold_stays_closed, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_failure_at_threshold_opens, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_success_between_failures_starts_count_anew, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_enter_when_due_lets_one_probe, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_success_of_probe_closes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_failure_of_probes_waits_longer_up_to_the_limit, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_failure_while_open_changes_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_cancel_of_probe_lets_another_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_cancel_while_closed_keeps_count, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_init_other_seeds_wait_differently, setup, teardown),
	    cmocka_unit_test(test_state_name_all_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
