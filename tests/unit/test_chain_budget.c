/* Budget and back-off. */
#include "chain/budget.h"
#include "cmocka_all.h"

#include <stdlib.h>

static void test_budget_next_time_limit_table(void **state)
{
	(void)state;
	static const struct {
		int64_t walltime, limit, used, want;
	} cases[] = {
	    {3600, -1, 1000000, 3600}, /* unlimited */
	    {3600, 86400, 0, 3600},
	    {3600, 86400, 86400 - 3600, 3600},
	    {3600, 86400, 86400 - 3599, 3540}, /* clipped, in whole minutes */
	    {3600, 86400, 86400 - 60, 60},
	    {3600, 86400, 86400 - 59, 0},
	    {3600, 86400, 86400, 0},
	    {3600, 86400, 90000, 0},
	    {90, 90, 0, 60}, /* Slurm would make two minutes of 90 s */
	    {90, 120, 0, 90},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(budget_next_time_limit(cases[i].walltime, cases[i].limit, cases[i].used),
				 cases[i].want);
}

/* Whatever the attempts use, the sum of what was granted and used never passes the limit. */
static void test_budget_next_time_limit_random_chains_stay_within(void **state)
{
	(void)state;
	srand(7);
	for (int run = 0; run < 5000; run++) {
		int64_t walltime_s = 60 + rand() % 100000;
		int64_t limit_s = 60 + rand() % 500000;
		int64_t used_s = 0;
		for (int attempt = 0; attempt < 50; attempt++) {
			int64_t granted_s = budget_next_time_limit(walltime_s, limit_s, used_s);
			if (granted_s == 0)
				break;
			assert_true(granted_s >= BUDGET_MIN_S && granted_s <= walltime_s);
			int64_t slurm_s = (granted_s + 59) / 60 * 60;
			assert_true(used_s + slurm_s <= limit_s);
			used_s += 1 + rand() % slurm_s;
		}
	}
}

static void test_backoff_s_grows_to_its_maximum(void **state)
{
	(void)state;
	assert_int_equal(backoff_s(0, 5, 300, 0), 0);
	assert_int_equal(backoff_s(1, 5, 300, 0), 5);
	assert_int_equal(backoff_s(2, 5, 300, 0), 10);
	assert_int_equal(backoff_s(20, 5, 300, 0), 300);
	assert_int_equal(backoff_s(2000000, 5, 300, 0), 300);
	for (uint32_t random = 0; random < 1000; random++)
		assert_in_range(backoff_s(20, 5, 300, random * 7919), 225, 300);
}

static void test_backoff_is_fast_failure_table(void **state)
{
	(void)state;
	assert_true(backoff_is_fast_failure("NODE_FAIL", 5));
	assert_true(backoff_is_fast_failure("PREEMPTED", 119));
	assert_false(backoff_is_fast_failure("NODE_FAIL", 120));
	assert_false(backoff_is_fast_failure("TIMEOUT", 60));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_budget_next_time_limit_table),
	    cmocka_unit_test(test_budget_next_time_limit_random_chains_stay_within),
	    cmocka_unit_test(test_backoff_s_grows_to_its_maximum),
	    cmocka_unit_test(test_backoff_is_fast_failure_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
