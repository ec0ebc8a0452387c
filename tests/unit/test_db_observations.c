/* db/observations.c: a job is shown as observed when the observation was that it has joined. */
#include "db_fixture.h"

#include "db/observations.h"

static int64_t observed_at(struct fixture *f, int64_t seq)
{
	CLEANUP(job_row_done) struct job_row row = {0};
	assert_ok(f, jobs_get_seq(f->db, seq, &row, &f->err));
	return row.observed_at;
}

static int64_t observe(struct fixture *f, const char *identity, int64_t at_s)
{
	int64_t id = 0;
	assert_ok(f, observations_set(f->db, "alpha", identity, at_s, &id, &f->err));
	return id;
}

static void add_jobs(struct fixture *f, struct job_row *jobs, int count)
{
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	for (int i = 0; i < count; i++) {
		jobs[i] = sample_job(&evaluation, i);
		assert_ok(f, jobs_insert(f->db, &jobs[i], &f->err));
	}
}

static void test_observations_move_with_one_row(void **state)
{
	struct fixture *f = *state;
	struct job_row jobs[3];
	add_jobs(f, jobs, 3);
	int64_t ours = observe(f, "svc-nel", 5000);
	int64_t others = observe(f, "anna/nelanna", 5000);
	assert_true(ours != others);
	assert_ok(f, observations_join(f->db, jobs[0].seq, ours, &f->err));
	assert_ok(f, observations_join(f->db, jobs[1].seq, others, &f->err));
	assert_int_equal(observed_at(f, jobs[0].seq), 5000);
	assert_int_equal(observed_at(f, jobs[2].seq), 0); /* it was never observed */
	assert_int_equal(observe(f, "svc-nel", 5030), ours);
	assert_int_equal(observed_at(f, jobs[0].seq), 5030);
	assert_int_equal(observed_at(f, jobs[1].seq), 5000);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM jobs WHERE version = 1"), 3);
}

static void test_observations_leave_a_job_its_own_time(void **state)
{
	struct fixture *f = *state;
	struct job_row jobs[2];
	add_jobs(f, jobs, 2);
	int64_t id = observe(f, "svc-nel", 5000);
	for (int i = 0; i < 2; i++)
		assert_ok(f, observations_join(f->db, jobs[i].seq, id, &f->err));
	assert_ok(f, observations_leave(f->db, jobs[0].seq, 5000, &f->err));
	CLEANUP(job_row_done) struct job_row row = {0};
	assert_ok(f, jobs_get_seq(f->db, jobs[1].seq, &row, &f->err));
	assert_int_equal(row.observation, id);
	assert_ok(f, jobs_update(f->db, &row, &f->err)); /* what is stored anew leaves, too */
	observe(f, "svc-nel", 6000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(observed_at(f, jobs[i].seq), 5000);
}

static void test_observations_are_taken_back_with_their_transaction(void **state)
{
	struct fixture *f = *state;
	struct job_row jobs[1];
	add_jobs(f, jobs, 1);
	assert_ok(f, observations_join(f->db, jobs[0].seq, observe(f, "svc-nel", 5000), &f->err));
	assert_ok(f, db_begin(f->db, &f->err));
	observe(f, "svc-nel", 6000);
	db_rollback(f->db);
	assert_int_equal(observed_at(f, jobs[0].seq), 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_observations_move_with_one_row, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_observations_leave_a_job_its_own_time, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_observations_are_taken_back_with_their_transaction, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
