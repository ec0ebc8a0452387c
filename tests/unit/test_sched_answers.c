/* Answers of lanes whose transaction fails: memory must follow the store again. */
#include "base/queue.h"
#include "db/attempts.h"
#include "db_fixture.h"
#include "sched/advance.h"
#include "sched/answers.h"
#include "sched/scheduler_state.h"

struct scene {
	struct fixture *f;
	struct settings settings;
	struct settings_cluster cluster;
	struct scheduler s;
	struct active_chain *chain;
};

static char alpha[] = "alpha";
static char account[] = "svc-nel";

/* One chain in the state, with its first attempt. */
static void scene_init(struct scene *scene, struct fixture *f, enum chain_state state)
{
	struct nel_err *err = &f->err;
	*scene = (struct scene){.f = f};
	scene->cluster = (struct settings_cluster){.name = alpha, .username = account, .poll_interval_s = 30};
	scene->settings.clusters = &scene->cluster;
	scene->settings.cluster_count = 1;
	scene->s.db = f->db;
	cluster_watches_init(&scene->s.watches, &scene->settings);
	atomic_store(&scene->s.settings, &scene->settings);
	static int number;
	struct evaluation_row evaluation = sample_evaluation(++number);
	assert_ok(f, evaluations_insert(f->db, &evaluation, err));
	struct job_row job = sample_job(&evaluation, 0);
	job.state = state;
	assert_ok(f, jobs_insert(f->db, &job, err));
	struct job_row row = {0};
	assert_ok(f, jobs_get_seq(f->db, job.seq, &row, err));
	row.attempt = 1;
	const struct attempt_row attempt = {.job_seq = job.seq,
					    .number = 1,
					    .job_name = evaluation.id,
					    .time_limit_s = 60,
					    .slurm_job_id = state == CHAIN_SUBMITTING ? NULL : (char *)"77",
					    .intended_at = 5,
					    .elapsed_s = -1,
					    .exit_code = -1};
	assert_ok(f, attempts_insert(f->db, &attempt, "#!/bin/bash\n", "true\n", err));
	assert_ok(f, attempts_update(f->db, &attempt, err));
	assert_ok(f, jobs_update(f->db, &row, err));
	scene->chain = active_chains_put(&scene->s.chains, &row);
	assert_ok(f, advance_attach(&scene->s, scene->chain, err));
	struct cluster_watch *watch = cluster_watch_of(&scene->s.watches, scene->chain);
	watch->reach_known = true; /* nothing is to be told of the cluster */
	watch->reachable = true;
}

static void scene_done(struct scene *scene)
{
	active_chains_done(&scene->s.chains);
	cluster_watches_done(&scene->s.watches);
}

static struct action *answer(const struct scene *scene, const struct action_type *type)
{
	struct action *action = action_new(type, NULL, alpha, account, 1000, 1);
	action->items[0] = (struct action_item){.seq = scene->chain->seq, .attempt = 1, .first_send = true};
	action->count = 1;
	return action;
}

static struct action *accepted(const struct scene *scene)
{
	struct action *action = answer(scene, &action_submit);
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
	struct action *action = answer(scene, &action_submit);
	action->failed = true;
	err_set(&action->err, NEL_DENIED, "refused");
	err_because(&action->err, NEL_DENIED, NEL_REASON_LOGIN);
	return action;
}

static struct action *collected(const struct scene *scene)
{
	struct action *action = answer(scene, &action_collect);
	action->collected.progress = 5;
	return action;
}

static struct action *observed(const struct scene *scene)
{
	struct action *action = answer(scene, &action_observe);
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
		scene_init(&scene, f, cases[i].before);
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
		assert_ok(f, jobs_get_seq(f->db, scene.chain->seq, &row, &f->err));
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
	    {NEL_REASON_HOST_KEY, "is of somebody else", "cluster alpha: is of somebody else"},
	    {NEL_REASON_NONE, "the folder is a symbolic link", "cluster alpha: the folder is a symbolic link"},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene scene;
		scene_init(&scene, f, CHAIN_SUBMITTING);
		struct action *action = answer(&scene, &action_submit);
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
	scene_init(&scene, f, CHAIN_PENDING);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_answers_take_a_failing_statement_leaves_no_chain_half_changed,
					    fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_answers_take_each_unknown_state_is_told_once, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_answers_take_a_refusal_is_told_by_its_reason, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
