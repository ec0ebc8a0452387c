/* The rate of a job's progress, and the time that is left. */
#include "chain/progress.h"
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int64_t last;

static bool add(struct progress_window *window, int64_t requests, int64_t floor, int64_t now_s)
{
	bool changed = progress_window_add(window, last, requests, floor, now_s);
	last = requests;
	return changed;
}

static int begin(void **state)
{
	(void)state;
	last = -1;
	return 0;
}

static void assert_rate(double got, double want)
{
	if (fabs(got - want) > 1e-9)
		fail_msg("the rate is %g, not %g", got, want);
}

static void test_progress_rate_needs_two_points(void **state)
{
	(void)state;
	struct progress_window window = {0};
	assert_true(progress_rate(&window, 5, 1000) < 0);
	assert_true(add(&window, 5, 0, 1000));
	assert_true(progress_rate(&window, 5, 1000) < 0);
	assert_false(add(&window, 25, 0, 1010));
	assert_rate(progress_rate(&window, 25, 1010), 2);
	/* Nothing more is finished: it falls by itself. */
	assert_rate(progress_rate(&window, 25, 1040), 0.5);
	assert_true(progress_window_clear(&window));
	assert_false(progress_window_clear(&window));
	assert_true(progress_rate(&window, 25, 1050) < 0);
}

/* 10 a second for an hour, then 1 a second: within a window the rate is 1. */
static void test_progress_rate_is_of_the_last_window(void **state)
{
	(void)state;
	struct progress_window window = {0};
	int64_t requests = 0;
	int64_t now_s = 1000;
	for (; now_s < 4600; now_s += 10, requests += 100)
		add(&window, requests, 0, now_s);
	assert_rate(progress_rate(&window, requests - 100, now_s - 10), 10);
	for (; now_s < 4600 + 2 * PROGRESS_WINDOW_S; now_s += 10, requests += 10) {
		add(&window, requests, 0, now_s);
		assert_true(now_s - window.from_at < PROGRESS_WINDOW_S + 10);
	}
	assert_rate(progress_rate(&window, requests - 10, now_s - 10), 1);
}

/* The window moves on while nothing is finished, and what is finished then counts from shortly before; but only the
 * moves that change the rate are worth a write. */
static void test_progress_rate_after_a_stall_is_of_what_came_after(void **state)
{
	(void)state;
	struct progress_window window = {0};
	int writes = 0;
	add(&window, 0, 0, 1000);
	for (int64_t now_s = 1010; now_s <= 9000; now_s += 10)
		writes += add(&window, 50, 0, now_s);
	assert_true(writes >= 1 && writes <= 2);
	assert_rate(progress_rate(&window, 50, 9000), 0);
	assert_int_equal(progress_eta_s(50, 100, progress_rate(&window, 50, 9000)), -1);
	add(&window, 350, 0, 9010);
	assert_true(progress_rate(&window, 350, 9010) >= 1);
}

/* An evaluator that goes on where it was counts what it finds: that is no rate, and neither is a counter that falls. */
static void test_progress_rate_of_a_resumed_attempt_does_not_jump(void **state)
{
	(void)state;
	struct progress_window window = {0};
	assert_false(add(&window, 0, 500, 1000));
	assert_false(add(&window, 499, 500, 1010));
	assert_true(progress_rate(&window, 499, 1010) < 0);
	assert_true(add(&window, 501, 500, 1020));
	assert_true(progress_rate(&window, 501, 1020) < 0);
	add(&window, 511, 500, 1030);
	assert_rate(progress_rate(&window, 511, 1030), 1);
	/* The counter begins again, and the clock goes back. */
	assert_true(add(&window, 505, 500, 1040));
	assert_true(progress_rate(&window, 505, 1040) < 0);
	assert_true(add(&window, 506, 500, 900));
	assert_true(progress_rate(&window, 506, 900) < 0);
	/* And it cannot be read. */
	assert_true(add(&window, -1, 0, 1050));
}

static void test_progress_totals_and_ends_that_cannot_be_are_unknown(void **state)
{
	(void)state;
	static const struct {
		int64_t requests, total, want_total;
		double rate;
		int64_t want_eta_s;
	} cases[] = {
	    {0, -1, -1, 1, -1},
	    {0, 0, -1, 1, -1},
	    {40, 100, 100, 2, 30},
	    {40, 100, 100, -1, -1},
	    {40, 100, 100, 0, -1},
	    {100, 100, 100, 0, 0},
	    {101, 100, -1, 2, -1}, /* more than all */
	    {0, PROGRESS_MAX, PROGRESS_MAX, 1, -1},
	    {0, PROGRESS_MAX + 1, -1, 1, -1},
	    {0, INT64_MAX, -1, 1, -1},
	    {-1, 100, 100, 1, -1},
	    {0, PROGRESS_ETA_MAX_S, PROGRESS_ETA_MAX_S, 1, PROGRESS_ETA_MAX_S},
	    {0, PROGRESS_ETA_MAX_S + 1, PROGRESS_ETA_MAX_S + 1, 1, -1},
	    {1, 1000000, 1000000, 1e-300, -1},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(progress_total(cases[i].requests, cases[i].total), cases[i].want_total);
		assert_int_equal(progress_eta_s(cases[i].requests, cases[i].total, cases[i].rate), cases[i].want_eta_s);
	}
}

/* Whatever comes, a rate that is shown is a finite number within what can be counted, and no end lies in the past. */
static void test_progress_of_random_counters_is_bounded(void **state)
{
	(void)state;
	struct progress_window window = {0};
	srand(11);
	for (int64_t i = 0, now_s = 1000; i < 20000; i++, now_s += rand() % 200 - 20) {
		int64_t requests = rand() % 3 == 0 ? PROGRESS_MAX - rand() : rand() % 1000 - 2;
		add(&window, requests, rand() % 100, now_s);
		double rate = progress_rate(&window, requests, now_s);
		int64_t eta_s = progress_eta_s(requests, rand(), rate);
		assert_true(isfinite(rate) && rate <= (double)PROGRESS_MAX);
		assert_true(eta_s >= -1 && eta_s <= PROGRESS_ETA_MAX_S);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_progress_rate_needs_two_points, begin),
	    cmocka_unit_test_setup(test_progress_rate_is_of_the_last_window, begin),
	    cmocka_unit_test_setup(test_progress_rate_after_a_stall_is_of_what_came_after, begin),
	    cmocka_unit_test_setup(test_progress_rate_of_a_resumed_attempt_does_not_jump, begin),
	    cmocka_unit_test_setup(test_progress_totals_and_ends_that_cannot_be_are_unknown, begin),
	    cmocka_unit_test_setup(test_progress_of_random_counters_is_bounded, begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
