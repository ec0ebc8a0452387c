/* Waits are on the monotonic clock; times as text. */
#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

/* On the wall clock such a deadline would have passed decades ago, and the wait would end at once. */
static void test_wait_lasts_as_long_as_the_monotonic_clock_says(void **state)
{
	(void)state;
	static const int64_t waits_ms[] = {1, 50, 1050};
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond;
	clock_cond_init(&cond);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
		int64_t start_us = clock_mono_us();
		int waited = 0;
		while (waited == 0) /* POSIX allows it to wake up early */
			waited = clock_cond_wait(&cond, &lock, waits_ms[i]);
		assert_int_equal(waited, ETIMEDOUT);
		assert_true(clock_mono_us() - start_us >= waits_ms[i] * 1000);
	}
	pthread_mutex_unlock(&lock);
	pthread_cond_destroy(&cond);
}

static void test_rfc3339_same_as_the_c_library(void **state)
{
	(void)state;
	/* Leap days, ends of years and centuries, and every day of some years. */
	for (int64_t day = -1000; day < 60000; day += day < 0 || day % 1461 < 800 ? 1 : 13) {
		char text[CLOCK_RFC3339_SIZE];
		char want[CLOCK_RFC3339_SIZE];
		struct tm tm;
		int64_t back = 0;
		time_t at = (time_t)(day * 86400 + (day + 1000) * 7919 % 86400);
		assert_non_null(gmtime_r(&at, &tm));
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm);
		assert_string_equal(clock_rfc3339(at, text), want);
		assert_int_equal(clock_parse_rfc3339(text, &back), 0);
		assert_true(back == at);
	}
}

static void test_rfc3339_stays_within_four_digits_of_year(void **state)
{
	char text[CLOCK_RFC3339_SIZE];
	(void)state;
	assert_string_equal(clock_rfc3339(INT64_MAX, text), "9999-12-31T23:59:59Z");
	assert_string_equal(clock_rfc3339(INT64_MIN, text), "0001-01-01T00:00:00Z");
}

static void test_month_is_of_utc_and_half_open(void **state)
{
	static const struct {
		const char *at;
		const char *begin;
		const char *end;
	} cases[] = {
	    {"2026-11-28T11:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
	    {"2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
	    {"2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"},
	    {"2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
	    {"2026-03-31T23:30:00-02:00", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[CLOCK_RFC3339_SIZE];
		int64_t at_s = 0;
		int64_t begin_s = 0;
		int64_t end_s = 0;
		assert_int_equal(clock_parse_rfc3339(cases[i].at, &at_s), 0);
		clock_month(at_s, &begin_s, &end_s);
		assert_string_equal(clock_rfc3339(begin_s, text), cases[i].begin);
		assert_string_equal(clock_rfc3339(end_s, text), cases[i].end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wait_lasts_as_long_as_the_monotonic_clock_says),
	    cmocka_unit_test(test_month_is_of_utc_and_half_open),
	    cmocka_unit_test(test_rfc3339_same_as_the_c_library),
	    cmocka_unit_test(test_rfc3339_stays_within_four_digits_of_year),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
