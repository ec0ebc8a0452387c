/* Answers of remote workers whose transaction fails: memory must follow the store again. */
#include "sched_fixture.h"

static struct action *accepted(const struct scene *scene)
{
	struct action *action = answer_new(scene, &action_submit);
	action->submitted.items = mem_calloc(1, sizeof *action->submitted.items);
	action->submitted.count = 1;
	struct submit_result *result = &action->submitted.items[0];
	result->outcome = SUBMIT_ACCEPTED;
	snprintf(result->slurm_job_id, sizeof result->slurm_job_id, "77");
	result->submitted_at = 6;
	return action;
}

static struct action *refused_login(const struct scene *scene)
{
	struct action *action = answer_new(scene, &action_submit);
	action->failed = true;
	err_set(&action->err, NEL_DENIED, "refused");
	err_because(&action->err, NEL_DENIED, NEL_REASON_LOGIN);
	return action;
}

static struct action *collected(const struct scene *scene)
{
	struct action *action = answer_new(scene, &action_collect);
	action->collected.progress = 5;
	return action;
}

static struct action *observed(const struct scene *scene)
{
	struct action *action = answer_new(scene, &action_observe);
	action->observed.items = mem_calloc(1, sizeof *action->observed.items);
	action->observed.count = 1;
	struct observation *o = &action->observed.items[0];
	o->squeue = SIGHT_SEEN;
	o->progress = -1;
	snprintf(o->state, sizeof o->state, "RUNNING");
	o->stamp_exit = -1;
	o->elapsed_s = -1;
	o->stamp_elapsed_s = -1;
	o->exit_code = -1;
	o->started_at = 8;
	return action;
}

/* Each statement in turn may be the one that fails: what the answer left in memory is read again, and the same answer
 * then does its work. */
static void test_answers_take_a_failing_statement_leaves_no_chain_half_changed(void **state)
{
	static const struct {
		struct action *(*make)(const struct scene *scene);
		enum chain_state before;
		const char *failing; /* a table */
		enum chain_state after;
	} cases[] = {
	    {accepted, CHAIN_SUBMITTING, "events", CHAIN_PENDING},
	    {accepted, CHAIN_SUBMITTING, "totals", CHAIN_PENDING},
	    {accepted, CHAIN_SUBMITTING, "history", CHAIN_PENDING},
	    {refused_login, CHAIN_SUBMITTING, "jobs", CHAIN_SUBMITTING},
	    {observed, CHAIN_PENDING, "events", CHAIN_RUNNING},
	    {observed, CHAIN_PENDING, "history", CHAIN_RUNNING},
	    {collected, CHAIN_FAILED, "jobs", CHAIN_FAILED},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene scene;
		const struct before before = {.state = cases[i].before};
		scene_init(&scene, f, &before);
		enum chain_action pending = scene.chain->pending;
		char sql[200];
		for (size_t k = 0; k < 2; k++) {
			snprintf(sql, sizeof sql,
				 "CREATE TRIGGER spoil%zu BEFORE %s ON %s BEGIN SELECT RAISE(ABORT, 'spoilt'); END", k,
				 k == 0 ? "INSERT" : "UPDATE", cases[i].failing);
			assert_int_equal(sqlite3_exec(f->db->sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
		}
		answers_take(&scene.s, cases[i].make(&scene));
		if (!scene.chain->stale)
			fail_msg("case %zu: memory has what the store has not", i);
		assert_int_equal(
		    sqlite3_exec(f->db->sqlite, "DROP TRIGGER spoil0; DROP TRIGGER spoil1", NULL, NULL, NULL),
		    SQLITE_OK);
		struct job_row row = {0};
		assert_ok(f, jobs_get_seq(f->db, scene.chain->job.seq, &row, &f->err));
		active_chains_put(&scene.s.chains, &row);
		assert_ok(f, advance_attach(&scene.s, scene.chain, &f->err));
		assert_int_equal(scene.chain->pending, pending);
		answers_take(&scene.s, cases[i].make(&scene));
		if (scene.chain->job.state != cases[i].after || scene.chain->stale)
			fail_msg("case %zu: %s", i, chain_state_name(scene.chain->job.state));
		scene_done(&scene);
	}
}

static void test_answers_take_a_refusal_is_told_by_its_reason(void **state)
{
	static const struct {
		enum nel_err_reason reason;
		const char *message;
		const char *waiting_on;
	} cases[] = {
	    {NEL_REASON_LOGIN, "refused the key /keys/host key", "credentials for alpha"},
	    {NEL_REASON_CREDENTIAL, "the certificate expired", "credentials for alpha: the certificate expired"},
	    {NEL_REASON_HOST_KEY, "is of somebody else", "cluster alpha: is of somebody else"},
	    {NEL_REASON_NONE, "the folder is a symbolic link", "cluster alpha: the folder is a symbolic link"},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene scene;
		const struct before before = {.state = CHAIN_SUBMITTING};
		scene_init(&scene, f, &before);
		struct action *action = answer_new(&scene, &action_submit);
		action->failed = true;
		err_set(&action->err, NEL_DENIED, "%s", cases[i].message);
		err_because(&action->err, NEL_DENIED, cases[i].reason);
		answers_take(&scene.s, action);
		assert_string_equal(scene.chain->job.waiting_on, cases[i].waiting_on);
		scene_done(&scene);
	}
}

static void test_answers_take_each_unknown_state_is_told_once(void **state)
{
	static const char *const words[] = {"RUNNING", "NEW_A", "NEW_A", "NEW_B", "NEW_A", "?", "RUNNING", "?"};
	struct fixture *f = *state;
	struct scene scene;
	char text[4096] = "";
	CLEANUP(file_closep) FILE *told = tmpfile();
	int errors = dup(STDERR_FILENO);
	const struct before before = {.state = CHAIN_PENDING};
	scene_init(&scene, f, &before);
	assert_true(dup2(fileno(told), STDERR_FILENO) >= 0);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		struct action *action = observed(&scene);
		snprintf(action->observed.items[0].state, sizeof action->observed.items[0].state, "%s", words[i]);
		answers_take(&scene.s, action);
		assert_int_equal(scene.chain->job.state, CHAIN_RUNNING);
	}
	dup2(errors, STDERR_FILENO);
	close(errors);
	rewind(told);
	assert_true(fread(text, 1, sizeof text - 1, told) > 0);
	int count = 0;
	for (const char *at = text; (at = strstr(at, "not known here")) != NULL; at++)
		count++;
	assert_int_equal(count, 3);
	assert_non_null(strstr(text, "state=NEW_A"));
	assert_non_null(strstr(text, "state=NEW_B"));
	scene_done(&scene);
}

static struct action *failed(const struct scene *scene, enum nel_err_kind kind, enum nel_err_reason reason)
{
	struct action *action = answer_new(scene, &action_cancel);
	action->failed = true;
	err_set(&action->err, kind, "no such luck");
	err_because(&action->err, kind, reason);
	return action;
}

/* Once, and once when it can be reached again; what says nothing of the cluster is not told of. */
static void test_answers_take_tells_of_a_cluster_that_is_out_of_reach(void **state)
{
	static const struct {
		enum nel_err_kind kind;
		enum nel_err_reason reason;
		const char *events;
	} cases[] = {
	    {NEL_REMOTE, NEL_REASON_NONE, "cluster.unreachable cluster.reachable"},
	    {NEL_DENIED, NEL_REASON_LOGIN, "cluster.unreachable cluster.reachable"},
	    {NEL_DENIED, NEL_REASON_HOST_KEY, "cluster.unreachable cluster.reachable"},
	    {NEL_BUSY, NEL_REASON_NONE, ""},
	    {NEL_INVALID, NEL_REASON_NONE, ""},
	    {NEL_NOTFOUND, NEL_REASON_NONE, ""},
	};
	static const struct before before = {.state = CHAIN_CANCELLING, .cancelled = true};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scene scene;
		scene_init(&scene, *state, &before);
		scene.watch->reach_known = false; /* as after a start */
		answers_take(&scene.s, failed(&scene, cases[i].kind, cases[i].reason));
		answers_take(&scene.s, failed(&scene, cases[i].kind, cases[i].reason));
		scene.watch->reach_known = false;
		answers_take(&scene.s, failed(&scene, cases[i].kind, cases[i].reason));
		answers_take(&scene.s, answer_new(&scene, &action_cancel));
		answers_take(&scene.s, answer_new(&scene, &action_cancel));
		assert_events(err_kind_name(cases[i].kind), *state, cases[i].events);
		scene_done(&scene);
	}
}

/* An answer about a chain that is gone, on a cluster that the settings no longer have. */
static void test_answers_take_of_what_is_gone_changes_nothing(void **state)
{
	static const struct before before = {.state = CHAIN_CANCELLING, .cancelled = true};
	const struct action_type *const types[] = {&action_submit, &action_observe, &action_cancel, &action_collect};
	for (size_t i = 0; i < COUNT(types); i++) {
		struct scene scene;
		scene_init(&scene, *state, &before);
		struct action *action = answer_new(&scene, types[i]);
		action->items[0].seq = 123456789;
		action->identity[0] = 'X';
		answers_take(&scene.s, action);
		assert_events("gone", *state, "");
		assert_int_equal(scene.chain->job.state, CHAIN_CANCELLING);
		assert_false(scene.chain->stale);
		scene_done(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_answers_take_a_failing_statement_leaves_no_chain_half_changed,
					    fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_answers_take_each_unknown_state_is_told_once, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_answers_take_tells_of_a_cluster_that_is_out_of_reach, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_answers_take_of_what_is_gone_changes_nothing, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_answers_take_a_refusal_is_told_by_its_reason, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
