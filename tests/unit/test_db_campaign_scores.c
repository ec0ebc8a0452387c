/* db/campaign_scores.c: the points of a campaign's curves, and that a value is judged once. */
#include "db_fixture.h"

#include "db/campaign_scores.h"
#include "db/results.h"

#include <math.h>

/* A campaign of three values: steps 20, 3 and none; the first two have evaluations 1 and 2 of three jobs each. */
static int64_t add_campaign(struct fixture *f)
{
	static const int64_t steps[] = {20, 3, CAMPAIGN_NO_STEP};
	struct campaign_row row = {.id = "0000000000000001",
				   .user = (char *)"anna",
				   .name = (char *)"curve",
				   .parameter = (char *)"a.b",
				   .live = 2,
				   .config = (char *)"{}",
				   .overrides = (char *)"[]",
				   .labels = (char *)"{}"};
	assert_ok(f, campaigns_insert(f->db, &row, &f->err));
	for (int i = 0; i < 3; i++) {
		const struct campaign_value value = {.position = i, .value = (char *)"abc" + i, .step = steps[i]};
		assert_ok(f, campaign_values_insert(f->db, row.seq, &value, &f->err));
	}
	for (int i = 0; i < 2; i++) {
		struct evaluation_row evaluation = sample_evaluation(i + 1);
		assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
		assert_ok(f, campaign_values_submitted(f->db, row.seq, i, evaluation.id, 7, &f->err));
		for (int k = 0; k < 3; k++) {
			struct job_row job = sample_job(&evaluation, k);
			job.state = i == 0 && k == 0 ? CHAIN_FAILED : CHAIN_SUCCEEDED;
			assert_ok(f, jobs_insert(f->db, &job, &f->err));
			const struct score rows[] = {
			    {.task = (char *)"t",
			     .metric = (char *)"acc",
			     .score = (char *)"acc",
			     .value = 10 * i + k,
			     .stderr_ = NAN},
			    {.task = (char *)"g",
			     .group = true,
			     .metric = (char *)"f1",
			     .score = (char *)"f1",
			     .value = 0.5,
			     .stderr_ = 1},
			};
			assert_ok(f, results_replace(f->db, job.seq, rows, 2, 8, &f->err));
		}
	}
	return row.seq;
}

static void test_points_by_score_and_step_of_each_evaluation_the_last_job_that_succeeded(void **state)
{
	struct fixture *f = *state;
	CLEANUP(campaign_point_list_done) struct campaign_point_list list = {0};
	CLEANUP(campaign_point_list_done) struct campaign_point_list some = {0};
	int64_t campaign = add_campaign(f);
	assert_ok(f, campaign_points(f->db, campaign, NULL, NULL, &list, &f->err));
	assert_int_equal(list.count, 4);
	assert_false(list.truncated);
	assert_string_equal(list.items[0].row.task, "t");
	assert_int_equal(list.items[0].step, 3);
	assert_string_equal(list.items[0].value, "bc");
	assert_true(list.items[0].row.value == 12);
	assert_int_equal(list.items[1].step, 20);
	assert_true(list.items[1].row.value == 2);
	assert_true(isnan(list.items[1].row.stderr_));
	assert_string_equal(list.items[2].row.task, "g");
	assert_true(list.items[2].row.group && list.items[2].row.stderr_ == 1);
	assert_ok(f, campaign_points(f->db, campaign, "g", "acc", &some, &f->err));
	assert_int_equal(some.count, 0);
	assert_ok(f, campaign_points(f->db, campaign, "t", "acc", &some, &f->err));
	assert_int_equal(some.count, 2);
}

static void test_a_value_is_judged_once_and_its_regressions_show_in_the_points(void **state)
{
	struct fixture *f = *state;
	CLEANUP(campaign_point_list_done) struct campaign_point_list list = {0};
	int64_t campaign = add_campaign(f);
	const struct score worse = {.task = (char *)"t", .metric = (char *)"acc", .score = (char *)"acc"};
	const struct score *const scores[] = {&worse};
	for (int i = 0; i < 2; i++) {
		CLEANUP(mem_freep) struct campaign_mark *marks = NULL;
		size_t count = 0;
		assert_ok(f, campaign_marks(f->db, campaign, &marks, &count, &f->err));
		assert_int_equal(count, 3);
		assert_int_equal(marks[0].judged, i);
		assert_false(marks[1].judged || marks[2].judged);
		assert_true(marks[0].scored && marks[1].scored && !marks[2].scored);
		if (i == 0)
			assert_ok(f, campaign_judgements_insert(f->db, campaign, 0, scores, 1, 9, &f->err));
	}
	assert_refused(f, NEL_CONFLICT, campaign_judgements_insert(f->db, campaign, 0, NULL, 0, 9, &f->err));
	assert_ok(f, campaign_points(f->db, campaign, NULL, NULL, &list, &f->err));
	for (size_t i = 0; i < list.count; i++)
		assert_int_equal(list.items[i].regression, i == 1);
}

static void test_baseline_is_none_until_it_is_set(void **state)
{
	struct fixture *f = *state;
	CLEANUP(mem_freep) char *none = NULL;
	CLEANUP(mem_freep) char *baseline = NULL;
	int64_t campaign = add_campaign(f);
	assert_ok(f, campaign_baseline_get(f->db, campaign, &none, &f->err));
	assert_null(none);
	assert_ok(f, campaign_baseline_set(f->db, campaign, "model:org/m", &f->err));
	assert_ok(f, campaign_baseline_get(f->db, campaign, &baseline, &f->err));
	assert_string_equal(baseline, "model:org/m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_points_by_score_and_step_of_each_evaluation_the_last_job_that_succeeded, fixture_setup,
		fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_a_value_is_judged_once_and_its_regressions_show_in_the_points,
					    fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_baseline_is_none_until_it_is_set, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
