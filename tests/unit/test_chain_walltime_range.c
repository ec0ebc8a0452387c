/* Between which lengths execution.walltime: auto chooses. */
#include "chain/walltime_range.h"

#include "cmocka_all.h"

#define HOUR 3600

static void test_range_of_what_is_known(void **state)
{
	(void)state;
	static const struct {
		struct walltime_facts facts;
		int64_t least_s;
		int64_t most_s;
	} cases[] = {
	    /* nothing is known: half an hour at least, the budget at most */
	    {{.budget_s = 10 * HOUR}, 1800, 10 * HOUR},
	    /* twice the start-up, in whole minutes */
	    {{.budget_s = 10 * HOUR, .start_up_s = 601}, 1260, 10 * HOUR},
	    {{.budget_s = 10 * HOUR, .start_up_s = 2 * HOUR}, 4 * HOUR, 10 * HOUR},
	    /* the work that is left, and a quarter */
	    {{.budget_s = 100 * HOUR, .equal_s = 4 * HOUR}, 1800, 5 * HOUR},
	    {{.budget_s = 100 * HOUR, .start_up_s = 600, .equal_s = 4 * HOUR, .ran_s = 2 * HOUR}, 1200, 9780},
	    /* less work than the least: the least */
	    {{.budget_s = 100 * HOUR, .start_up_s = 600, .equal_s = 300}, 1200, 1200},
	    /* it takes longer than equal ones did: not known */
	    {{.budget_s = 9 * HOUR, .start_up_s = 600, .equal_s = HOUR, .ran_s = HOUR}, 1200, 9 * HOUR},
	    /* the budget bounds all, down to a minute */
	    {{.budget_s = 600, .start_up_s = HOUR, .equal_s = 4 * HOUR}, 600, 600},
	    {{.budget_s = 119, .equal_s = 4 * HOUR}, 60, 60},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct walltime_range range = walltime_range_of(&cases[i].facts);
		if (range.least_s != cases[i].least_s || range.most_s != cases[i].most_s)
			fail_msg("case %zu: %lld to %lld", i, (long long)range.least_s, (long long)range.most_s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_range_of_what_is_known)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
