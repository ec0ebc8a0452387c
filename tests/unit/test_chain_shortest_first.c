/* The order of jobs on one deployment. */
#include "chain/shortest_first.h"
#include "cmocka_all.h"

static void test_shortest_first_puts_the_unknown_last_and_keeps_the_order_else(void **state)
{
	(void)state;
	static const struct {
		int64_t durations_s[5];
		size_t want[5];
	} cases[] = {
	    {{0, 0, 0, 0, 0}, {0, 1, 2, 3, 4}},
	    {{50, 40, 30, 20, 10}, {4, 3, 2, 1, 0}},
	    {{50, 0, 50, -1, 10}, {4, 0, 2, 1, 3}},
	    {{INT64_MAX, 0, 1, 1, 0}, {2, 3, 0, 1, 4}},
	};
	size_t order[5];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		shortest_first(cases[i].durations_s, 5, order);
		assert_memory_equal(order, cases[i].want, sizeof order);
	}
	shortest_first(NULL, 0, order);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shortest_first_puts_the_unknown_last_and_keeps_the_order_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
