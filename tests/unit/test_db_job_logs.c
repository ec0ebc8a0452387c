/* db/job_logs.c: the ends of an ended job's logs. */
#include "db_fixture.h"

#include "db/job_logs.h"

static int64_t add_job(struct fixture *f)
{
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row job = sample_job(&evaluation, 0);
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	return job.seq;
}

static struct job_log_row log_of(const char *name, const char *data, size_t size, int64_t from)
{
	return (struct job_log_row){.name = (char *)name,
				    .size = from + (int64_t)size,
				    .modified_at = 9,
				    .kept_from = from,
				    .data = (char *)data,
				    .data_size = size};
}

static void test_job_logs_replace_list_and_get(void **state)
{
	struct fixture *f = *state;
	int64_t job = add_job(f);
	const struct job_log_row old = log_of("gone.log", "x", 1, 0);
	const struct job_log_row rows[] = {log_of("b.log", "a\0\xff\n", 4, 100), log_of("a.log", "", 0, 0)};
	assert_ok(f, job_logs_replace(f->db, job, &old, 1, &f->err));
	assert_ok(f, job_logs_replace(f->db, job, rows, 2, &f->err));

	CLEANUP(job_log_list_done) struct job_log_list list = {0};
	assert_ok(f, job_logs_list(f->db, job, &list, &f->err));
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].name, "a.log");
	assert_string_equal(list.items[1].name, "b.log");
	assert_int_equal(list.items[1].size, 104);
	assert_int_equal(list.items[1].kept_from, 100);
	assert_null(list.items[1].data);

	CLEANUP(job_log_row_done) struct job_log_row got = {0};
	assert_ok(f, job_logs_get(f->db, job, "b.log", &got, &f->err));
	assert_int_equal(got.data_size, 4);
	assert_memory_equal(got.data, "a\0\xff\n", 4);
	CLEANUP(job_log_row_done) struct job_log_row empty = {0};
	assert_ok(f, job_logs_get(f->db, job, "a.log", &empty, &f->err));
	assert_int_equal(empty.data_size, 0);
	struct job_log_row none = {0};
	assert_refused(f, NEL_NOTFOUND, job_logs_get(f->db, job, "gone.log", &none, &f->err));
	assert_refused(f, NEL_NOTFOUND, job_logs_get(f->db, job + 1, "b.log", &none, &f->err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_job_logs_replace_list_and_get, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
