/* What an evaluation is on the clusters that it may be on, for as long as that is open. */
#include "db/placements.h"

#include "db_fixture.h"

static int64_t add(struct fixture *f, int number)
{
	struct evaluation_row evaluation = sample_evaluation(number);
	const struct placement_plan plans[] = {{(char *)"alpha", (char *)"svc", (char *)"/a/run", (char *)"{}"},
					       {(char *)"beta", (char *)"svc", (char *)"/b/run", (char *)"{}"}};
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	assert_ok(f, placements_insert(f->db, evaluation.seq, plans, 2, &f->err));
	return evaluation.seq;
}

static void assert_has_plans(struct fixture *f, int64_t seq, bool has)
{
	static const char *const clusters[] = {"alpha", "beta"};
	for (size_t i = 0; i < 2; i++) {
		struct placement_plan plan = {0};
		if (has)
			assert_ok(f, placements_plan(f->db, seq, clusters[i], &plan, &f->err));
		else
			assert_refused(f, NEL_NOTFOUND, placements_plan(f->db, seq, clusters[i], &plan, &f->err));
		placement_plan_done(&plan);
	}
}

static void test_placements_set_forgets_the_plans_once_it_stays(void **state)
{
	struct fixture *f = *state;
	int64_t one = add(f, 1);
	int64_t other = add(f, 2);
	assert_ok(f, placements_set(f->db, one, "{\"state\":\"placed\"}", true, 1000, &f->err));
	assert_has_plans(f, one, true); /* it may move */
	assert_ok(f, placements_set(f->db, one, "{\"state\":\"settled\"}", false, 1000, &f->err));
	assert_has_plans(f, one, false);
	assert_has_plans(f, other, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_placements_set_forgets_the_plans_once_it_stays, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
