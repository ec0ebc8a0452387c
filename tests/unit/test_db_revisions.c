/* db/revisions.c: what changes moves the revision. */
#include "db_fixture.h"

#include "db/observations.h"
#include "db/revisions.h"

static void test_revisions_move_with_every_change(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row jobs[] = {sample_job(&evaluation, 0), sample_job(&evaluation, 1)};
	for (int i = 0; i < 2; i++)
		assert_ok(f, jobs_insert(f->db, &jobs[i], &f->err));
	struct revision first = {0};
	struct revision second = {0};
	struct revision job = {0};
	assert_ok(f, revisions_evaluation(f->db, evaluation.id, &first, &f->err));
	assert_ok(f, revisions_job(f->db, jobs[1].id, &job, &f->err));
	assert_true(first.waits && job.waits);

	int64_t observation = 0;
	assert_ok(f, observations_set(f->db, "alpha", "svc-nel", 4711, &observation, &f->err));
	assert_ok(f, observations_join(f->db, jobs[1].seq, observation, &f->err));
	assert_ok(f, revisions_evaluation(f->db, evaluation.id, &second, &f->err));
	assert_int_equal(second.observed_at, 4711);
	assert_int_equal(second.jobs, first.jobs);

	assert_ok(f, jobs_set_state(f->db, jobs[1].seq, CHAIN_QUEUED, CHAIN_CANCELLED, "r", NULL, 5, 5, &f->err));
	assert_ok(f, revisions_evaluation(f->db, evaluation.id, &second, &f->err));
	assert_int_equal(second.jobs, first.jobs + 1);
	assert_true(second.waits); /* the other one */
	assert_ok(f, revisions_job(f->db, jobs[1].id, &job, &f->err));
	assert_false(job.waits);

	assert_ok(f, evaluations_touch(f->db, evaluation.seq, 6, &f->err));
	assert_ok(f, revisions_job(f->db, jobs[0].id, &job, &f->err));
	assert_int_equal(job.version, first.version + 1);
	assert_int_equal(job.updated_at, 6);
}

static void test_revisions_of_nothing_are_not_found(void **state)
{
	struct fixture *f = *state;
	struct revision revision = {0};
	assert_refused(f, NEL_NOTFOUND, revisions_evaluation(f->db, "0123456789abcdef", &revision, &f->err));
	assert_refused(f, NEL_NOTFOUND, revisions_job(f->db, "0123456789abcdef.0", &revision, &f->err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_revisions_move_with_every_change, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_revisions_of_nothing_are_not_found, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
