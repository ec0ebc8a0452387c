/* db/failures.c: what is kept of a chain that failed. */
#include "db_fixture.h"

#include "db/failures.h"

static int64_t add_job(struct fixture *f)
{
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row job = sample_job(&evaluation, 0);
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	return job.seq;
}

static void test_failures_set_get_replace_delete(void **state)
{
	struct fixture *f = *state;
	int64_t job = add_job(f);
	CLEANUP(failure_row_done) struct failure_row none = {0};
	assert_ok(f, failures_get(f->db, job, &none, &f->err));
	assert_null(none.log);
	assert_null(none.advice);

	assert_ok(f, failures_set(f->db, job, "client-1.log", "a\nb", NULL, &f->err));
	assert_ok(f, failures_set(f->db, job, "server-1.log", "c", "try", &f->err));
	CLEANUP(failure_row_done) struct failure_row row = {0};
	assert_ok(f, failures_get(f->db, job, &row, &f->err));
	assert_string_equal(row.log, "server-1.log");
	assert_string_equal(row.lines, "c");
	assert_string_equal(row.advice, "try");

	assert_ok(f, failures_delete(f->db, job, &f->err));
	CLEANUP(failure_row_done) struct failure_row gone = {0};
	assert_ok(f, failures_get(f->db, job, &gone, &f->err));
	assert_null(gone.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_failures_set_get_replace_delete, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
