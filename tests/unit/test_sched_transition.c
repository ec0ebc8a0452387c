/* The one place where a chain changes its state. */
#include "sched/transition.h"

#include "db_fixture.h"

static void add_job(struct fixture *f, struct active_chain *chain)
{
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row job = sample_job(&evaluation, 0);
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	assert_ok(f, jobs_get_seq(f->db, job.seq, &chain->job, &f->err));
	chain->common->row.seq = chain->job.chain.seq;
}

static void test_move_keeps_a_reason_that_is_the_chains_own(void **state)
{
	struct fixture *f = *state;
	struct chain_common common = {0};
	struct active_chain chain = {.common = &common};
	enum chain_action action;
	add_job(f, &chain);
	chain.job.reason = mem_strdup("cancelled by ann");
	chain.job.waiting_on = mem_strdup("the cluster");
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, transition_apply(f->db, &chain, EVENT_CANCEL, chain.job.reason, chain.job.waiting_on, 7, &action,
				      &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
	assert_int_equal(chain.job.state, CHAIN_CANCELLED);
	assert_string_equal(chain.job.reason, "cancelled by ann");
	assert_string_equal(chain.job.waiting_on, "the cluster");
	CLEANUP(job_row_done) struct job_row stored = {0};
	assert_ok(f, jobs_get_seq(f->db, chain.job.seq, &stored, &f->err));
	assert_string_equal(stored.reason, "cancelled by ann");
	job_row_done(&chain.job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_move_keeps_a_reason_that_is_the_chains_own, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
