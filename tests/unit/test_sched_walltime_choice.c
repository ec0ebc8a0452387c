/* execution.walltime: auto, from rows to a range of lengths. */
#include "sched/walltime_choice.h"

#include "db/likenesses.h"
#include "db/usage.h"
#include "sched_fixture.h"

static bool is_any(const struct active_chain *chain)
{
	(void)chain;
	return true;
}

/* A run equal to that of the scene has succeeded, and took so long. */
static void add_equal_run(struct scene *scene, int64_t run_s)
{
	struct fixture *f = scene->f;
	struct evaluation_row evaluation = sample_evaluation(7000);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row row = sample_job(&evaluation, 0);
	const struct job_row *rows[] = {&row};
	const struct likeness_row subject = {"aa", "{}"};
	const struct likeness_row protocol = {"cc", "{}"};
	const struct usage_row used = {.attempt = "equal", .ended_at = NOW_S, .run_s = run_s};
	row.state = CHAIN_SUCCEEDED;
	assert_ok(f, jobs_insert(f->db, &row, &f->err));
	assert_ok(f, likenesses_set(f->db, row.seq, &subject, &protocol, &f->err));
	assert_ok(f, likenesses_set(f->db, scene->job.seq, &subject, &protocol, &f->err));
	assert_ok(f, usage_put(f->db, &used, rows, 1, &f->err));
}

/* Attempt 2 is to be sent: what attempt 1 was is in the cases. */
static void test_walltime_choice_find_counts_no_attempt_that_was_withdrawn(void **state)
{
	static const struct before before = {.state = CHAIN_SUBMITTING, .attempt = 2};
	static const struct {
		const char *first;
		int withdrawn;
		int64_t attempts_left;
		int64_t most_s;
	} cases[] = {
	    {"elapsed_s = 400", 0, 2, 4000},                    /* it timed out */
	    {"elapsed_s = 60, withdrawn_at = 9", 1, 3, 4500},   /* it was moved away */
	    {"elapsed_s = NULL, withdrawn_at = 9", 1, 3, 4500}, /* likewise */
	    {"elapsed_s = 400, withdrawn_at = 9", 0, 2, 4000},  /* it had begun at that very moment */
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scene scene;
		scene_init(&scene, *state, &before);
		struct chain_common *common = scene.chain->common;
		CLEANUP(mem_freep)
		char *first = mem_printf("UPDATE attempts SET %s WHERE number = 1", cases[i].first);
		struct walltime_range range = {0};
		add_equal_run(&scene, 3600);
		sql(scene.f, first);
		common->row.max_attempts = 3;
		common->row.withdrawn = cases[i].withdrawn;
		assert_ok(scene.f, walltime_choice_find(scene.f->db, common, is_any, 36000, 2, &range, &scene.f->err));
		assert_int_equal(range.attempts_left, cases[i].attempts_left);
		assert_int_equal(range.most_s, (cases[i].most_s + 59) / 60 * 60);
		scene_done(&scene);
		sql(scene.f, "DELETE FROM usage");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_walltime_choice_find_counts_no_attempt_that_was_withdrawn,
					    fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
