/* What the collecting makes of a chain whose end is known: rows before, answer, rows after. Which scores are stored,
 * and what an export's look means, stand in test_sched_results.c and test_sched_exports.c. */
#include "sched_fixture.h"

#include "db/failures.h"
#include "db/results.h"

#define HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct action *collected(struct scene *scene)
{
	struct action *action = answer_new(scene, &action_collect);
	action->collected.progress = 5;
	action->collected.log_name = mem_strdup("client-7.log");
	action->collected.log_tail = mem_strdup("starting\nno such model\n");
	action->collected.kept = mem_calloc(1, sizeof *action->collected.kept);
	action->collected.kept_count = 1;
	action->collected.kept[0] = (struct collect_log){.name = mem_strdup("client-7.log"),
							 .size = 8,
							 .modified_at = NOW_S - 1,
							 .data = mem_strdup("starting"),
							 .data_size = 8};
	return action;
}

static struct action *with_scores(struct scene *scene)
{
	static const char text[] = "results: {tasks: {t: {metrics: {m: {scores: {s: {value: 0.5}}}}}}}";
	struct action *action = collected(scene);
	snprintf(action->collected.results_hash, COLLECT_HASH_SIZE, HASH);
	assert_int_equal(scores_parse(text, strlen(text), &action->scores, &action->scores_err), 0);
	return action;
}

static struct action *scores_awaited_for_too_long(struct scene *scene)
{
	scene->chain->results_since_ms = clock_mono_ms() - 61000;
	return collected(scene);
}

static struct action *export_runs(struct scene *scene)
{
	struct action *action = with_scores(scene);
	action->collected.export_.kind = COLLECT_EXPORT_RUNNING;
	snprintf(action->collected.export_.slurm_job_id, sizeof action->collected.export_.slurm_job_id, "78");
	return action;
}

static struct action *export_ended(struct scene *scene)
{
	struct action *action = export_runs(scene);
	action->collected.export_.kind = COLLECT_EXPORT_ENDED;
	return action;
}

static struct action *failed(struct scene *scene)
{
	struct action *action = answer_new(scene, &action_collect);
	action->failed = true;
	err_set(&action->err, NEL_REMOTE, "the connection was cut");
	return action;
}

static struct action *cluster_gone(struct scene *scene)
{
	struct action *action = failed(scene);
	action->err.kind = NEL_NOTFOUND;
	return action;
}

#define ENDING(event_) \
	.state = CHAIN_RUNNING, .slurm_state = "COMPLETED", .started_at = NOW_S - 400, .ending_with = EVENT_END_##event_
#define ENDED "job.state evaluation.state evaluation.ended"

static void test_take_collect(void **state)
{
	static const struct {
		const char *name;
		struct before before;
		struct action *(*answer)(struct scene *scene);
		struct after after;
	} cases[] = {
	    {"a success with its scores",
	     {ENDING(SUCCESS), .ending_why = "attempt 1 ran 400 s"},
	     with_scores,
	     {.state = CHAIN_SUCCEEDED,
	      .reason = "attempt 1 ran 400 s",
	      .events = "results.recorded " ENDED,
	      .collected = true}},
	    {"a success whose scores do not show yet: they are waited for",
	     {ENDING(SUCCESS)},
	     collected,
	     {.state = CHAIN_RUNNING,
	      .pending = ACTION_COLLECT,
	      .waiting_on = "results.yml of the finished job",
	      .events = "",
	      .due_in_s = 3,
	      .ending = true}},
	    {"a success whose scores do not come: it is told of",
	     {ENDING(SUCCESS)},
	     scores_awaited_for_too_long,
	     {.state = CHAIN_SUCCEEDED, .events = "job.warning " ENDED, .collected = true}},
	    {"a failure, with what its log ends with",
	     {ENDING(FAILURE), .ending_why = "FAILED: the job ended with exit code 3"},
	     collected,
	     {.state = CHAIN_FAILED,
	      .reason = "exit code 3; client-7.log ends with: no such model",
	      .events = ENDED,
	      .collected = true}},
	    {"the budget is spent",
	     {ENDING(BUDGET), .ending_why = "the walltime budget is spent"},
	     collected,
	     {.state = CHAIN_BUDGET_EXHAUSTED,
	      .reason = "the walltime budget is spent",
	      .events = ENDED,
	      .collected = true}},
	    {"a cancelled one",
	     {.state = CHAIN_CANCELLING,
	      .slurm_state = "CANCELLED",
	      .cancelled = true,
	      .ending_with = EVENT_END_CANCELLED,
	      .ending_why = "cancelled by anna"},
	     collected,
	     {.state = CHAIN_CANCELLED, .reason = "cancelled by anna", .events = ENDED, .collected = true}},
	    {"an attempt that Slurm refused",
	     {.state = CHAIN_SUBMITTING, .ending_with = EVENT_REFUSED, .ending_why = "invalid partition"},
	     collected,
	     {.state = CHAIN_FAILED, .reason = "invalid partition", .events = ENDED, .collected = true}},
	    {"its export runs: the end is told, and the export looked after",
	     {ENDING(SUCCESS)},
	     export_runs,
	     {.state = CHAIN_SUCCEEDED,
	      .pending = ACTION_COLLECT,
	      .events = "results.recorded " ENDED " job.export",
	      .due_in_s = 1}},
	    {"its export has ended: the scores were stored before",
	     {.state = CHAIN_SUCCEEDED,
	      .slurm_state = "COMPLETED",
	      .export_ = "{\"state\":\"running\",\"reason\":null,\"slurm_job_id\":\"78\",\"destinations\":[]}"},
	     export_ended,
	     {.state = CHAIN_SUCCEEDED, .events = "job.export", .collected = true}},
	    {"an end that was told before it could be collected",
	     {.state = CHAIN_FAILED, .slurm_state = "FAILED"},
	     collected,
	     {.state = CHAIN_FAILED, .events = "", .collected = true}},
	    {"the cluster cannot be reached: the end waits for its scores",
	     {ENDING(SUCCESS)},
	     failed,
	     {.state = CHAIN_RUNNING,
	      .pending = ACTION_COLLECT,
	      .waiting_on = "cluster alpha: the connection was cut",
	      .events = "cluster.unreachable",
	      .due_in_s = 1,
	      .ending = true}},
	    {"the cluster cannot be reached for the third time: the end is told, and the scores follow",
	     {ENDING(SUCCESS), .tries = 2},
	     failed,
	     {.state = CHAIN_SUCCEEDED,
	      .pending = ACTION_COLLECT,
	      .events = "cluster.unreachable " ENDED,
	      .due_in_s = 1}},
	    {"the settings no longer have the cluster: the end is told at once",
	     {ENDING(FAILURE), .ending_why = "FAILED"},
	     cluster_gone,
	     {.state = CHAIN_FAILED, .pending = ACTION_COLLECT, .reason = "FAILED", .events = ENDED, .due_in_s = 1}},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_take(cases[i].name, *state, &cases[i].before, cases[i].answer, &cases[i].after);
}

/* What a success leaves: its scores and logs, and nothing of a failure. */
static void test_take_collect_stores_scores_logs_and_failures(void **state)
{
	static const struct before success = {ENDING(SUCCESS)};
	static const struct before failure = {ENDING(FAILURE)};
	struct fixture *f = *state;
	for (int fails = 0; fails < 2; fails++) {
		struct scene scene;
		CLEANUP(failure_row_done) struct failure_row row = {0};
		CLEANUP(result_list_done) struct result_list list = {0};
		scene_init(&scene, f, fails ? &failure : &success);
		answers_take(&scene.s, fails ? collected(&scene) : with_scores(&scene));
		assert_ok(f, results_of_job(f->db, scene.chain->job.seq, &list, &f->err));
		assert_int_equal(list.count, !fails);
		assert_ok(f, failures_get(f->db, scene.chain->job.seq, &row, &f->err));
		assert_part("failure", "its lines", row.lines, fails ? "no such model" : NULL);
		assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM job_logs"), 1);
		assert_int_equal(scene.chain->job.progress, 5);
		assert_int_equal(scene.watch->freed, 1); /* there may be room in Slurm for others */
		scene_done(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_take_collect, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_collect_stores_scores_logs_and_failures, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
