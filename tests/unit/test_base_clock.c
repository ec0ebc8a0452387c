/* Waits are on the monotonic clock. */
#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wait_lasts_as_long_as_the_monotonic_clock_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
