/* Totals, and the store's own counts of jobs. */
#include "cmocka_all.h"
#include "db_fixture.h"

#include "db/totals.h"

static void test_totals_add_sums_up(void **state)
{
	struct fixture *f = *state;
	CLEANUP(total_list_done) struct total_list list = {0};
	assert_ok(f, totals_add(f->db, "b", "alpha", "FAILED", 2, &f->err));
	assert_ok(f, totals_add(f->db, "b", "alpha", "FAILED", 3, &f->err));
	assert_ok(f, totals_add(f->db, "b", "alpha", "COMPLETED", 1, &f->err));
	assert_ok(f, totals_add(f->db, "a", "beta", "", 7, &f->err));
	assert_ok(f, totals_list(f->db, &list, &f->err));
	assert_int_equal(list.count, 3);
	assert_string_equal(list.items[0].name, "a");
	assert_int_equal(list.items[0].value, 7);
	assert_string_equal(list.items[2].label, "FAILED");
	assert_int_equal(list.items[2].value, 5);
}

/* What is there, counted, must be what the store has counted. */
static void check_counts(struct fixture *f)
{
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM (SELECT cluster, state, count(*) FROM jobs"
						     " GROUP BY cluster, state EXCEPT SELECT cluster, state, count"
						     " FROM job_counts)"),
			 0);
	assert_int_equal(query_number(f->db->sqlite, "SELECT coalesce(sum(count), 0) - (SELECT count(*) FROM jobs)"
						     " FROM job_counts"),
			 0);
}

static void test_totals_jobs_follow_every_change(void **state)
{
	struct fixture *f = *state;
	CLEANUP(total_list_done) struct total_list list = {0};
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	for (int i = 0; i < 4; i++) {
		struct job_row job = sample_job(&evaluation, i);
		assert_ok(f, jobs_insert(f->db, &job, &f->err));
		check_counts(f);
		if (i < 2)
			assert_ok(
			    f, jobs_set_state(f->db, job.seq, job.state, CHAIN_CANCELLED, NULL, NULL, 5, 5, &f->err));
		check_counts(f);
	}
	assert_ok(f, totals_jobs(f->db, &list, &f->err));
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].label, "cancelled");
	assert_int_equal(list.items[0].value, 2);
	take_cost(f->db);
	total_list_done(&list);
	assert_ok(f, totals_jobs(f->db, &list, &f->err));
	assert_true(take_cost(f->db) < 200);
	assert_int_equal(sqlite3_exec(f->db->sqlite, "DELETE FROM evaluations", NULL, NULL, NULL), SQLITE_OK);
	check_counts(f);
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_totals_add_sums_up),
	    READY(test_totals_jobs_follow_every_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
