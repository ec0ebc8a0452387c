/* What the answers to a look make of the store and of the cluster's watch; with each write failing in turn, all is
 * looked at again. */
#include "sched/origin.h"
#include "sched_fixture.h"

#include "eval_fixture.h"

#define LOST "aaaaaaaaaaaaaaaa"
#define RUNDIR "/out/19700112_134000-" LOST

static json_t *resolved; /* of a config with one task */

/* What one answer finds, and what it leaves. */
struct look_case {
	const char *name;
	void (*answer)(struct scene *scene, struct action *action);
	bool looked;     /* the cluster has been: jobs may be sent */
	bool due;        /* the next start looks from as early on */
	size_t lost;     /* still to be read back */
	const char *row; /* of a query below */
	const char *wanted;
};

static void nothing(struct scene *scene, struct action *action)
{
	(void)scene;
	(void)action;
}

static void accounting_is_away(struct scene *scene, struct action *action)
{
	(void)scene;
	action->looked.partial = true;
	snprintf(action->looked.message, sizeof action->looked.message, "sacct: slurmdbd is down");
}

static void found_a_job(struct scene *scene, struct action *action)
{
	(void)scene;
	action->looked.jobs = mem_calloc(1, sizeof *action->looked.jobs);
	action->looked.jobs[action->looked.job_count++] = (struct look_job){.evaluation = LOST,
									    .attempt = 1,
									    .id = "77",
									    .state = "RUNNING",
									    .live = true,
									    .name = mem_strdup("a-b.m.0-" LOST ".1"),
									    .rundir = mem_strdup(RUNDIR)};
}

static struct lost_evaluation lost_new(const char *id, const char *rundir)
{
	struct lost_evaluation lost = {.rundir = mem_strdup(rundir), .since = NOW_S - 100, .live = true};
	snprintf(lost.id, sizeof lost.id, "%s", id);
	return lost;
}

/* A page of one evaluation was read back; the watch has it among what is lost. */
static struct lost_evaluation *page(struct scene *scene, struct action *action, const char *id, const char *rundir)
{
	scene->watch->lost.items = mem_calloc(1, sizeof *scene->watch->lost.items);
	scene->watch->lost.items[scene->watch->lost.count++] = lost_new(id, rundir);
	action->lost.items = mem_calloc(1, sizeof *action->lost.items);
	action->lost.items[action->lost.count++] = lost_new(id, rundir);
	return &action->lost.items[0];
}

static void attempt_found(struct lost_evaluation *lost, int number, const char *id)
{
	lost->attempts = mem_realloc(lost->attempts, lost->attempt_count + 1, sizeof *lost->attempts);
	struct lost_attempt *attempt = &lost->attempts[lost->attempt_count++];
	*attempt = (struct lost_attempt){
	    .number = number,
	    .submitted = NOW_S - 90,
	    .begun = true,
	    .seen = {.elapsed_s = -1, .stamp_elapsed_s = -1, .exit_code = -1, .stamp_exit = -1},
	};
	snprintf(attempt->id, sizeof attempt->id, "%s", id);
}

static void busy(struct scene *scene, struct action *action)
{
	page(scene, action, LOST, RUNDIR)->origin.state = ORIGIN_BUSY;
}

static void gone(struct scene *scene, struct action *action)
{
	struct lost_evaluation *lost = page(scene, action, LOST, RUNDIR);
	lost->outcome = ORPHAN_GONE;
	lost->why = mem_strdup("its run directory is not there");
}

static void unknown(struct scene *scene, struct action *action)
{
	struct lost_evaluation *lost = page(scene, action, LOST, RUNDIR);
	CLEANUP(mem_freep) char *text = json_dumps(resolved, JSON_COMPACT);
	json_t *job = json_pack("{s:i, s:s, s:s, s:i, s:i, s:i, s:s, s:s}", "index", 0, "task", "m", "job_dir",
				RUNDIR "/m.0", "walltime_s", 3600, "budget_limit_s", -1, "max_attempts", 0,
				"resume_mode", "daemon", "resume_on", "TIMEOUT");
	lost->document =
	    json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:{s:s}, s:[o]}",
		      "format", ORIGIN_FORMAT, "id", LOST, "user", "ben", "cluster", alpha, "identity", account,
		      "model", "m", "rundir", RUNDIR, "submitted_type", "application/yaml", "submitted_text", "x",
		      "overrides", "[]", "resolved", text, "config_hash", "cafe", "images", "[]", "warnings", "[]",
		      "created_at", NOW_S - 100, "labels", "team", "red", "jobs", job);
	assert_non_null(lost->document);
	attempt_found(lost, 1, "77");
}

/* Another attempt of the scene's own chain, which it does not know of. */
static void known(struct scene *scene, struct action *action)
{
	CLEANUP(mem_freep) char *text = json_dumps(resolved, JSON_COMPACT);
	CLEANUP(mem_freep)
	char *statement = mem_printf("UPDATE evaluation_texts SET resolved = '%s'", text);
	sql(scene->f, statement);
	struct lost_evaluation *lost = page(scene, action, scene->job.evaluation, "/shared/runs/x");
	lost->jobs = mem_calloc(1, sizeof *lost->jobs);
	lost->jobs[lost->job_count++] = (struct look_job){
	    .attempt = 2, .id = "78", .live = true, .name = mem_strdup("n"), .rundir = mem_strdup("/shared/runs/x")};
	attempt_found(lost, 2, "78");
}

/* As known(), and the one that the store has as running is over: nobody knows since when. */
static void known_and_over(struct scene *scene, struct action *action)
{
	CLEANUP(mem_freep) char *text = json_dumps(resolved, JSON_COMPACT);
	CLEANUP(mem_freep)
	char *statement = mem_printf("UPDATE evaluation_texts SET resolved = '%s'", text);
	sql(scene->f, statement);
	sql(scene->f, "DELETE FROM usage");
	struct lost_evaluation *lost = page(scene, action, scene->job.evaluation, "/shared/runs/x");
	lost->jobs = mem_calloc(1, sizeof *lost->jobs);
	lost->jobs[lost->job_count++] = (struct look_job){
	    .attempt = 2, .id = "78", .live = true, .name = mem_strdup("n"), .rundir = mem_strdup("/shared/runs/x")};
	attempt_found(lost, 1, "77");
	snprintf(lost->attempts[0].seen.state, sizeof lost->attempts[0].seen.state, "NODE_FAIL");
	lost->attempts[0].seen.elapsed_s = 30;
	attempt_found(lost, 2, "78");
}

static const struct look_case cases[] = {
    {"nothing is lost", nothing, true, false, 0, "SELECT count(*) FROM orphans", "0"},
    {"accounting could not be asked", accounting_is_away, true, true, 0, "SELECT count(*) FROM orphans", "0"},
    {"a job that the store does not know", found_a_job, false, true, 1, "SELECT count(*) FROM orphans", "0"},
    {"a submission is at work there", busy, false, true, 1, "SELECT count(*) FROM orphans", "0"},
    {"its run directory is gone", gone, true, false, 0, "SELECT outcome || why FROM orphans",
     "goneits run directory is not there"},
    {"it is adopted", unknown, true, false, 0,
     "SELECT o.outcome || ' ' || e.user || ' ' || j.state || ' ' || c.attempt || ' ' || c.slurm_job_id || ' ' || "
     "c.number"
     " FROM orphans o JOIN evaluations e ON e.id = o.evaluation JOIN jobs j ON j.evaluation = e.id JOIN chains c ON "
     "c.seq = "
     "j.chain",
     "adopted ben pending 1 77 0"},
    {"a later attempt of a chain", known, true, false, 0,
     "SELECT o.outcome || ' ' || j.state || ' ' || c.attempt || ' ' || c.slurm_job_id FROM orphans o JOIN jobs j ON "
     "j.evaluation = o.evaluation JOIN chains c ON c.seq = j.chain",
     "adopted pending 2 78"},
    {"a later attempt, and the one before has ended", known_and_over, true, false, 0,
     "SELECT count(*) || ' ' || sum(run_s) || ' ' || (min(ended_at) > 0) FROM usage", "1 30 1"},
};

static void assert_text(const char *name, struct fixture *f, const char *query, const char *wanted)
{
	sqlite3_stmt *rows = NULL;
	assert_int_equal(sqlite3_prepare_v2(f->db->sqlite, query, -1, &rows, NULL), SQLITE_OK);
	if (sqlite3_step(rows) != SQLITE_ROW)
		fail_msg("%s: %s finds nothing", name, query);
	if (strcmp((const char *)sqlite3_column_text(rows, 0), wanted) != 0)
		fail_msg("%s: %s, not %s", name, (const char *)sqlite3_column_text(rows, 0), wanted);
	sqlite3_finalize(rows);
}

static struct action *begin(struct scene *scene, struct fixture *f, const struct look_case *c)
{
	static const struct before before = {
	    .state = CHAIN_RUNNING, .slurm_state = "RUNNING", .started_at = NOW_S - 40};
	sql(f, "DELETE FROM orphans");
	scene_init(scene, f, &before);
	scene->watch->looked = false;
	scene->watch->looking = true;
	assert_ok(f, looks_begin(f->db, alpha, account, 500, &scene->watch->look_since, &f->err));
	struct action *action = action_new(&action_look, NULL, alpha, account, 1000, 0);
	c->answer(scene, action);
	return action;
}

static void test_take_look(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct look_case *c = &cases[i];
		struct scene scene;
		answers_take(&scene.s, begin(&scene, f, c));
		if (scene.watch->looked != c->looked || scene.watch->looking || scene.watch->lost.count != c->lost)
			fail_msg("%s: looked %d, looking %d, %zu lost", c->name, scene.watch->looked,
				 scene.watch->looking, scene.watch->lost.count);
		assert_text(c->name, f, "SELECT since IS NOT NULL FROM looks", c->due ? "1" : "0");
		assert_text(c->name, f, c->row, c->wanted);
		scene_done(&scene);
	}
}

/* Returns how many writes were made. */
static int take_look_spoilt(struct fixture *f, const struct look_case *c, int failing, bool commit_fails)
{
	struct scene scene;
	struct action *action = begin(&scene, f, c);
	CLEANUP(mem_freep) char *was = dump(f);
	spoil(&scene);
	scene.failing = failing;
	scene.commit_fails = commit_fails;
	answers_take(&scene.s, action);
	spoil_end(&scene);
	CLEANUP(mem_freep) char *is = dump(f);
	if (strcmp(was, is) != 0)
		fail_msg("%s: write %d failed: the store has changed from%s\nto%s", c->name, failing, was, is);
	const struct cluster_watch *watch = scene.watch;
	if (watch->looked || watch->looking || watch->lost.count > 0 || watch->look_ms != clock_mono_ms() + 1000)
		fail_msg("%s: write %d failed, and the cluster is not looked at again", c->name, failing);
	struct active_chain *chain = active_chains_find(&scene.s.chains, scene.chain->seq);
	if (!chain->stale && (chain->common->row.attempt != 1 || chain->job.state != CHAIN_RUNNING))
		fail_msg("%s: write %d failed: memory has what the store has not", c->name, failing);
	int writes = scene.writes;
	scene_done(&scene);
	return writes;
}

static void test_take_look_that_cannot_be_stored_is_done_again(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		int writes = take_look_spoilt(*state, &cases[i], 0, true);
		for (int failing = 1; failing <= writes; failing++)
			take_look_spoilt(*state, &cases[i], failing, false);
	}
}

static int group_setup(void **state)
{
	struct eval_result planned;
	if (eval_setup(state) != 0)
		return -1;
	eval_run(EVAL_NONE, NULL, NULL, &planned);
	resolved = json_incref(planned.plan->resolved);
	eval_done(&planned);
	return 0;
}

static int group_teardown(void **state)
{
	json_decref(resolved);
	return eval_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_take_look, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_look_that_cannot_be_stored_is_done_again, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
