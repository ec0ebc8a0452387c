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

static int64_t add_shared(struct fixture *f, const struct evaluation_row *evaluation, int index, int64_t *chain)
{
	struct job_row job = sample_job(evaluation, index);
	job.chain.seq = *chain;
	job.chain.number = 1;
	job.chain.at_once = 1;
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	*chain = job.chain.seq;
	return job.seq;
}

static void test_job_logs_of_the_chain_are_those_of_all_its_jobs(void **state)
{
	struct fixture *f = *state;
	int64_t chain = 0;
	int64_t other_chain = 0;
	struct evaluation_row evaluation = sample_evaluation(1);
	struct evaluation_row another = sample_evaluation(2);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	assert_ok(f, evaluations_insert(f->db, &another, &f->err));
	int64_t first = add_shared(f, &evaluation, 0, &chain);
	int64_t last = add_shared(f, &evaluation, 1, &chain);
	int64_t stranger = add_shared(f, &another, 0, &other_chain);
	struct job_log_row rows[] = {log_of("client-7.log", "one", 3, 0), log_of("server-7-0.log", "old", 3, 0)};
	rows[1].of_chain = true;
	assert_ok(f, job_logs_replace(f->db, first, rows, 2, &f->err));
	rows[0].data = (char *)"two";
	rows[1].data = (char *)"new";
	rows[1].modified_at++;
	assert_ok(f, job_logs_replace(f->db, last, rows, 2, &f->err));

	CLEANUP(job_log_list_done) struct job_log_list list = {0};
	assert_ok(f, job_logs_list(f->db, first, &list, &f->err));
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].name, "client-7.log");
	assert_string_equal(list.items[1].name, "server-7-0.log");
	assert_int_equal(list.items[1].modified_at, 10);
	CLEANUP(job_log_row_done) struct job_log_row own = {0};
	CLEANUP(job_log_row_done) struct job_log_row chains = {0};
	assert_ok(f, job_logs_get(f->db, first, "client-7.log", &own, &f->err));
	assert_memory_equal(own.data, "one", 3);
	assert_ok(f, job_logs_get(f->db, first, "server-7-0.log", &chains, &f->err));
	assert_memory_equal(chains.data, "new", 3);
	struct job_log_row none = {0};
	assert_refused(f, NEL_NOTFOUND, job_logs_get(f->db, stranger, "server-7-0.log", &none, &f->err));
	/* Of what another job has kept of its own nothing is this one's. */
	assert_ok(f, job_logs_replace(f->db, first, rows, 0, &f->err));
	assert_refused(f, NEL_NOTFOUND, job_logs_get(f->db, first, "client-7.log", &none, &f->err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_job_logs_replace_list_and_get, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_job_logs_of_the_chain_are_those_of_all_its_jobs, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
