/* api/http/limiter.c: how often, of how many. */
#include "cmocka_all.h"

#include "api/http/limiter.h"
#include "base/err.h"
#include "base/secret.h"

#define NOW 1000000

static int taken_of(struct limiter *limiter, enum limiter_kind kind, uint64_t number, int64_t most, int64_t now_ms,
		    int tries)
{
	int taken = 0;
	int64_t wait_ms = 0;
	for (int i = 0; i < tries; i++)
		taken += limiter_take(limiter, kind, number, most, 1000, now_ms, &wait_ms) ? 1 : 0;
	return taken;
}

static void test_limiter_take_bucket_empties_and_fills(void **state)
{
	(void)state;
	struct limiter *limiter = limiter_new();
	int64_t wait_ms = 0;
	assert_int_equal(taken_of(limiter, LIMIT_TOKEN, 1, 50, NOW, 80), 50);
	assert_false(limiter_take(limiter, LIMIT_TOKEN, 1, 50, 1000, NOW, &wait_ms));
	assert_int_equal(wait_ms, 20);
	assert_int_equal(taken_of(limiter, LIMIT_TOKEN, 1, 50, NOW + 19, 5), 0);
	assert_int_equal(taken_of(limiter, LIMIT_TOKEN, 1, 50, NOW + 20, 5), 1);
	assert_int_equal(taken_of(limiter, LIMIT_TOKEN, 1, 50, NOW + 500, 80), 24);
	assert_int_equal(taken_of(limiter, LIMIT_TOKEN, 1, 50, NOW + 60000, 80), 50); /* never more than a bucket */
	limiter_free(limiter);
}

static void test_limiter_take_keys_are_apart(void **state)
{
	(void)state;
	struct limiter *limiter = limiter_new();
	assert_int_equal(taken_of(limiter, LIMIT_TOKEN, 1, 3, NOW, 9), 3);
	assert_int_equal(taken_of(limiter, LIMIT_TOKEN, 2, 3, NOW, 9), 3);
	assert_int_equal(taken_of(limiter, LIMIT_PEER, 1, 3, NOW, 9), 3);
	assert_int_equal(taken_of(limiter, LIMIT_LOGIN, 1, 3, NOW, 9), 3);
	assert_int_equal(taken_of(limiter, LIMIT_TOKEN, 1, 3, NOW, 9), 0);
	limiter_free(limiter);
}

static void test_limiter_take_slow_and_fast_rates(void **state)
{
	(void)state;
	struct limiter *limiter = limiter_new();
	int64_t wait_ms = 0;
	assert_true(limiter_take(limiter, LIMIT_LOGIN, 1, 1, 60000, NOW, &wait_ms));
	assert_false(limiter_take(limiter, LIMIT_LOGIN, 1, 1, 60000, NOW + 1000, &wait_ms));
	assert_int_equal(wait_ms, 59000);
	assert_int_equal(taken_of(limiter, LIMIT_TOKEN, 1, 1000000, NOW, 5000), 5000);
	limiter_free(limiter);
}

/* Many more keys than buckets: memory is what it is, and nobody who was not over the limit is refused. */
static void test_limiter_take_many_keys_locks_nobody_out(void **state)
{
	(void)state;
	struct limiter *limiter = limiter_new();
	for (uint64_t number = 0; number < 100000; number++)
		assert_int_equal(taken_of(limiter, LIMIT_PEER, number, 2, NOW, 2), 2);
	limiter_free(limiter);
	limiter_free(NULL);
}

static int setup(void **state)
{
	(void)state;
	struct nel_err err;
	return secret_init(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limiter_take_bucket_empties_and_fills),
	    cmocka_unit_test(test_limiter_take_keys_are_apart),
	    cmocka_unit_test(test_limiter_take_slow_and_fast_rates),
	    cmocka_unit_test(test_limiter_take_many_keys_locks_nobody_out),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
