/* What the store tells of equal runs. */
#include "db/likenesses.h"
#include "db_fixture.h"

static void add_run(struct fixture *f, int *number, const char *task, const char *protocol, enum chain_state state,
		    int64_t took_s)
{
	struct evaluation_row evaluation = sample_evaluation(++*number);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row row = sample_job(&evaluation, 0);
	row.task = (char *)task;
	row.state = state;
	row.started_at = 1000;
	row.ended_at = 1000 + took_s;
	const struct likeness_row subject = {"aa", "{}"};
	const struct likeness_row how = {protocol, "{}"};
	assert_ok(f, jobs_insert(f->db, &row, &f->err));
	assert_ok(f, likenesses_set(f->db, row.seq, &subject, &how, &f->err));
}

static void assert_duration(struct fixture *f, const char *subject, int64_t want_s)
{
	int64_t took_s = -1;
	assert_ok(f, likenesses_duration(f->db, "mmlu", subject, "cc", &took_s, &f->err));
	assert_int_equal(took_s, want_s);
}

static void test_likenesses_duration_is_the_median_of_the_newest_equal_runs(void **state)
{
	struct fixture *f = *state;
	int number = 0;
	assert_duration(f, "aa", 0);
	add_run(f, &number, "mmlu", "cc", CHAIN_SUCCEEDED, 500);
	assert_duration(f, "aa", 500);
	assert_duration(f, "bb", 0);
	/* One that failed early, another task, another protocol, and one that took exceptionally long, tell nothing. */
	add_run(f, &number, "mmlu", "cc", CHAIN_FAILED, 1);
	add_run(f, &number, "gsm8k", "cc", CHAIN_SUCCEEDED, 2);
	add_run(f, &number, "mmlu", "dd", CHAIN_SUCCEEDED, 3);
	add_run(f, &number, "mmlu", "cc", CHAIN_SUCCEEDED, 510);
	add_run(f, &number, "mmlu", "cc", CHAIN_SUCCEEDED, 90000);
	assert_duration(f, "aa", 510);
	for (int i = 0; i < LIKENESSES_DURATIONS_MAX; i++)
		add_run(f, &number, "mmlu", "cc", CHAIN_SUCCEEDED, 50);
	assert_duration(f, "aa", 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_likenesses_duration_is_the_median_of_the_newest_equal_runs,
					    fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
