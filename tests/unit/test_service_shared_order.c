/* The order of tasks on a shared deployment, by what equal runs in the store took. */
#include "db_fixture.h"
#include "eval_fixture.h"
#include "service/shared_order.h"

#include "db/likenesses.h"

#define SHARED \
	"{'execution': {'share_deployment': true, 'share_order': '%s'}," \
	" 'evaluation': {'tasks': [{'name': 'hellaswag'}, {'name': 'lm-evaluation-harness.mmlu'}, {'name': 'gsm8k'}," \
	"  {'name': 'lm-evaluation-harness.ifeval'}]}}"

/* A run of the plan's job, of the protocol of another. */
static void add_run(struct fixture *f, int number, const struct eval_plan *plan, const struct likeness *likeness,
		    size_t job, size_t protocol_of, enum chain_state state, int64_t took_s)
{
	struct evaluation_row evaluation = sample_evaluation(number);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row row = sample_job(&evaluation, 0);
	row.task = plan->jobs[job].task;
	row.state = state;
	row.started_at = 1000;
	row.ended_at = 1000 + took_s;
	const struct likeness_row subject = {likeness->jobs[job].subject.hash, "{}"};
	const struct likeness_row protocol = {likeness->jobs[protocol_of].protocol.hash, "{}"};
	assert_ok(f, jobs_insert(f->db, &row, &f->err));
	assert_ok(f, likenesses_set(f->db, row.seq, &subject, &protocol, &f->err));
}

static void assert_order(struct fixture *f, const char *by, const struct likeness *likeness, const size_t want[4])
{
	struct eval_result r;
	size_t order[4];
	CLEANUP(mem_freep) char *patch = mem_printf(SHARED, by);
	eval_ok(EVAL_BASE, patch, &r);
	assert_int_equal(r.plan->job_count, 4);
	assert_ok(f, shared_order_find(f->db, r.plan, likeness, order, &f->err));
	assert_memory_equal(order, want, sizeof order);
	eval_done(&r);
}

static void test_shared_order_goes_by_the_median_of_equal_runs(void **state)
{
	struct fixture *f = *state;
	struct eval_result r;
	CLEANUP(likeness_done) struct likeness likeness = {0};
	CLEANUP(mem_freep) char *patch = mem_printf(SHARED, "as_written");
	eval_ok(EVAL_BASE, patch, &r);
	likeness_make(r.plan, NULL, NULL, &likeness);
	assert_order(f, "shortest_first", &likeness, (const size_t[]){0, 1, 2, 3});
	int number = 0;
	add_run(f, ++number, r.plan, &likeness, 1, 1, CHAIN_SUCCEEDED, 500);
	add_run(f, ++number, r.plan, &likeness, 2, 2, CHAIN_SUCCEEDED, 100);
	add_run(f, ++number, r.plan, &likeness, 3, 3, CHAIN_SUCCEEDED, 300);
	assert_order(f, "shortest_first", &likeness, (const size_t[]){2, 3, 1, 0});
	assert_order(f, "as_written", &likeness, (const size_t[]){0, 1, 2, 3});
	/* One that failed early, one by another protocol, and one that took exceptionally long, tell nothing. */
	add_run(f, ++number, r.plan, &likeness, 1, 1, CHAIN_FAILED, 1);
	add_run(f, ++number, r.plan, &likeness, 0, 3, CHAIN_SUCCEEDED, 1);
	add_run(f, ++number, r.plan, &likeness, 2, 2, CHAIN_SUCCEEDED, 100);
	add_run(f, ++number, r.plan, &likeness, 2, 2, CHAIN_SUCCEEDED, 90000);
	assert_order(f, "shortest_first", &likeness, (const size_t[]){2, 3, 1, 0});
	/* The newest count. */
	for (int i = 0; i < LIKENESSES_DURATIONS_MAX; i++)
		add_run(f, ++number, r.plan, &likeness, 1, 1, CHAIN_SUCCEEDED, 50);
	assert_order(f, "shortest_first", &likeness, (const size_t[]){1, 2, 3, 0});
	eval_done(&r);
}

static int setup(void **state)
{
	return eval_setup(state) != 0 ? -1 : fixture_setup(state);
}

static int teardown(void **state)
{
	return fixture_teardown(state) != 0 ? -1 : eval_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_shared_order_goes_by_the_median_of_equal_runs, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
