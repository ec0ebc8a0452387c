/* What the answer to a cancel makes of a chain: rows before, answer, rows after. */
#include "sched_fixture.h"

static struct action *taken(struct scene *scene)
{
	return answer_new(scene, &action_cancel);
}

static struct action *failed_for(struct scene *scene, enum nel_err_kind kind, enum nel_err_reason reason)
{
	struct action *action = answer_new(scene, &action_cancel);
	action->failed = true;
	err_set(&action->err, kind, "slurmctld is down");
	err_because(&action->err, kind, reason);
	return action;
}

static struct action *failed(struct scene *scene)
{
	return failed_for(scene, NEL_REMOTE, NEL_REASON_NONE);
}

static struct action *login_refused(struct scene *scene)
{
	return failed_for(scene, NEL_DENIED, NEL_REASON_LOGIN);
}

static struct action *too_late(struct scene *scene)
{
	scene->chain->pending = ACTION_COLLECT; /* an observation has had its end meanwhile */
	return taken(scene);
}

static void test_take_cancel(void **state)
{
	static const struct before cancelling = {
	    .state = CHAIN_CANCELLING, .slurm_state = "RUNNING", .cancelled = true, .tries = 2};
	static const struct {
		const char *name;
		struct action *(*answer)(struct scene *scene);
		struct after after;
	} cases[] = {
	    {"Slurm has taken it: its end is to be seen, and else it is asked again",
	     taken,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_CANCEL,
	      .reason = "cancelled by anna",
	      .events = "",
	      .due_in_s = 30}},
	    {"Slurm could not be asked",
	     failed,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_CANCEL,
	      .reason = "cancelled by anna",
	      .waiting_on = "cluster alpha: slurmctld is down",
	      .events = "cluster.unreachable",
	      .due_in_s = 1}},
	    {"the login was refused",
	     login_refused,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_CANCEL,
	      .reason = "cancelled by anna",
	      .waiting_on = "credentials for alpha",
	      .events = "cluster.unreachable",
	      .due_in_s = 1}},
	    {"the end is known meanwhile: it is collected at once",
	     too_late,
	     {.state = CHAIN_CANCELLING, .pending = ACTION_COLLECT, .reason = "cancelled by anna", .events = ""}},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_take(cases[i].name, *state, &cancelling, cases[i].answer, &cases[i].after);
}

static void test_take_cancel_has_the_end_looked_for_soon(void **state)
{
	static const struct before before = {.state = CHAIN_CANCELLING, .slurm_state = "RUNNING", .cancelled = true};
	struct scene scene;
	scene_init(&scene, *state, &before);
	scene.watch->next_ms = clock_mono_ms() + 30000;
	answers_take(&scene.s, taken(&scene));
	assert_int_equal(scene.watch->next_ms, clock_mono_ms() + 1000);
	scene_done(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_take_cancel, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_cancel_has_the_end_looked_for_soon, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
