/* The intent to submit: rows before, rows after, and every write failing in turn. */
#include "sched/attempt_intent.h"

#include "db/likenesses.h"
#include "sched_fixture.h"

static struct plan_job plan_jobs[] = {{.index = 0,
				       .task = (char *)"gsm8k",
				       .file_name = (char *)"gsm8k",
				       .container = (char *)"image:1",
				       .endpoint_type = (char *)"chat",
				       .pre_cmd = (char *)"",
				       .post_cmd = (char *)""}};

static struct eval_plan plan_new(void)
{
	return (struct eval_plan){.account = (char *)"team",
				  .output_dir = (char *)"/shared/out",
				  .partition = (char *)"batch",
				  .gres = (char *)"gpu:8",
				  .subproject = (char *)"nel",
				  .mpi = (char *)"pmix",
				  .ntasks_per_node = 1,
				  .total_nodes = 2,
				  .walltime_s = 3600,
				  .max_walltime_s = 432000,
				  .readiness_timeout_s = 3600,
				  .proxy_image = (char *)"haproxy:latest",
				  .jobs = plan_jobs,
				  .job_count = COUNT(plan_jobs)};
}

/* What the attempt that is intended asks for. */
struct intent {
	int number; /* 0: none is */
	int64_t time_limit_s;
	const char *after_job;
	const char *exclude_node;
};

static void assert_intent(const char *name, const struct scene *scene, const struct intent *intent)
{
	struct fixture *f = scene->f;
	CLEANUP(attempt_row_done) struct attempt_row row = {0};
	CLEANUP(mem_freep) char *script = NULL;
	if (intent->number == 0) {
		assert_int_equal(scene->chain->common->attempt.number, scene->chain->common->row.attempt);
		return;
	}
	assert_ok(f, attempts_get(f->db, scene->chain->seq, intent->number, &row, &f->err));
	if (scene->chain->common->attempt.number != intent->number || row.time_limit_s != intent->time_limit_s)
		fail_msg("%s: attempt %d for %d s", name, scene->chain->common->attempt.number, (int)row.time_limit_s);
	assert_part(name, "after_job", row.after_job, intent->after_job);
	assert_part(name, "exclude_node", row.exclude_node, intent->exclude_node);
	assert_part(name, "the Slurm job", row.slurm_job_id, NULL);
	assert_int_equal(row.gpus, 16);
	assert_int_equal(row.intended_at, NOW_S);
	assert_true(scene->chain->first_send);
	assert_null(scene->chain->common->row.slurm_job_id);
	assert_ok(f, attempts_script(f->db, scene->chain->seq, intent->number, &script, &f->err));
	assert_part(name, "its script", script, row.job_name);
}

static void assert_stored(const char *name, struct fixture *f, const struct before *before, const struct after *after,
			  const struct intent *intent)
{
	struct eval_plan plan = plan_new();
	int writes = 0;
	for (int failing = 0; failing <= writes; failing++) {
		struct scene scene;
		scene_init(&scene, f, before);
		scene.chain->common->row.budget_used_s = before->budget_limit_s > 0 ? 300 : 0;
		CLEANUP(mem_freep) char *was = dump(f);
		spoil(&scene);
		scene.failing = failing;
		int rc = attempt_intent_store(&scene.s, &scene.chain, 1, &plan, &f->err);
		spoil_end(&scene);
		CLEANUP(mem_freep) char *is = dump(f);
		if (failing == 0) {
			assert_ok(f, rc);
			writes = scene.writes;
			assert_after(name, &scene, after);
			assert_intent(name, &scene, intent);
		} else if (rc == 0 || strcmp(was, is) != 0 || !scene.chain->touched) {
			fail_msg("%s: write %d of %d failed: %d, touched %d", name, failing, writes, rc,
				 scene.chain->touched);
		}
		scene_done(&scene);
	}
}

#define SENT(reason_) \
	{ \
		.state = CHAIN_SUBMITTING, .pending = ACTION_SUBMIT, .reason = (reason_), \
		.waiting_on = "the cluster to take the job", .events = "job.state evaluation.state" \
	}

static void test_store(void **state)
{
	static const struct {
		const char *name;
		struct before before;
		struct after after;
		struct intent intent;
	} cases[] = {
	    {"the first attempt",
	     {.state = CHAIN_QUEUED},
	     SENT("attempt 1, for at most 3600 s"),
	     {1, 3600, NULL, NULL}},
	    {"the next one goes after the one before",
	     {.state = CHAIN_RESUMING, .slurm_state = "TIMEOUT", .nodes = "n3"},
	     SENT("attempt 2, for at most 3600 s"),
	     {2, 3600, "77", NULL}},
	    {"and not to a node that failed",
	     {.state = CHAIN_RESUMING, .slurm_state = "NODE_FAIL", .nodes = "n3"},
	     SENT("attempt 2"),
	     {2, 3600, "77", "n3"}},
	    {"of several nodes it is not known which",
	     {.state = CHAIN_RESUMING, .slurm_state = "NODE_FAIL", .nodes = "n[3-4]"},
	     SENT("attempt 2"),
	     {2, 3600, "77", NULL}},
	    {"in mode in_job the script would ask for it again and again",
	     {.state = CHAIN_RESUMING, .slurm_state = "NODE_FAIL", .nodes = "n3", .resume_mode = "in_job"},
	     SENT("attempt 2"),
	     {2, 3600, "77", NULL}},
	    {"no longer than what the budget leaves",
	     {.state = CHAIN_RESUMING, .slurm_state = "TIMEOUT", .budget_limit_s = 1000},
	     SENT("attempt 2, for at most 660 s"),
	     {2, 660, "77", NULL}},
	    {"a budget that leaves less than a minute ends the chain",
	     {.state = CHAIN_RESUMING, .slurm_state = "TIMEOUT", .budget_limit_s = 359},
	     {.state = CHAIN_RESUMING, .pending = ACTION_COLLECT, .ending = true, .events = ""},
	     {0}},
	    {"a budget that never held a minute",
	     {.state = CHAIN_QUEUED, .budget_limit_s = 359},
	     {.state = CHAIN_FAILED,
	      .reason = "execution.max_walltime is shorter than 60 s",
	      .events = "job.state evaluation.state evaluation.ended",
	      .collected = true},
	     {0}},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_stored(cases[i].name, *state, &cases[i].before, &cases[i].after, &cases[i].intent);
}

/* What is to be sent again keeps its attempt: it goes under its name. */
static void test_store_leaves_an_attempt_that_is_intended(void **state)
{
	static const struct before before = {.state = CHAIN_SUBMITTING};
	struct fixture *f = *state;
	struct eval_plan plan = plan_new();
	struct scene scene;
	scene_init(&scene, f, &before);
	CLEANUP(mem_freep) char *was = dump(f);
	assert_ok(f, attempt_intent_store(&scene.s, &scene.chain, 1, &plan, &f->err));
	CLEANUP(mem_freep) char *is = dump(f);
	assert_string_equal(was, is);
	assert_int_equal(scene.chain->common->attempt.number, 1);
	assert_false(scene.chain->first_send);
	scene_done(&scene);
}

/* A task that its evaluation does not have. */
static void test_store_refuses_a_job_that_the_plan_has_not(void **state)
{
	static const struct before before = {.state = CHAIN_QUEUED};
	struct fixture *f = *state;
	struct eval_plan plan = plan_new();
	struct scene scene;
	scene_init(&scene, f, &before);
	plan.job_count = 0;
	assert_refused(f, NEL_DB, attempt_intent_store(&scene.s, &scene.chain, 1, &plan, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM attempts"), 0);
	scene_done(&scene);
}

/* execution.walltime: auto: at most so long that the work that is left ends in it, by equal runs, with a quarter to
 * spare; at least twice as long as servers of the model took to start. */
static void test_store_with_walltime_auto_is_bounded_by_what_is_known(void **state)
{
	static const struct {
		const char *ledger;
		enum chain_state before;
		int64_t time_limit_s;
	} cases[] = {
	    {"SELECT 1", CHAIN_QUEUED, 432000},
	    {"UPDATE usage SET run_s = 4000 WHERE job = 'equal.0'", CHAIN_QUEUED, 5040},
	    /* 100 s of it have been run, and the servers are to start again */
	    {"UPDATE usage SET run_s = 4000, start_up_s = 300 WHERE job = 'equal.0'; UPDATE attempts SET elapsed_s = "
	     "100",
	     CHAIN_RESUMING, 5280},
	    {"UPDATE usage SET run_s = 4000, start_up_s = 3000 WHERE job = 'equal.0'", CHAIN_QUEUED, 6000},
	    /* one that came to nothing tells nothing of servers */
	    {"UPDATE usage SET run_s = 4000, start_up_s = 4000, lost = 1 WHERE job = 'equal.0'", CHAIN_QUEUED, 5040},
	};
	struct fixture *f = *state;
	struct eval_plan plan = plan_new();
	plan.walltime_auto = true;
	plan.walltime_s = 432000;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct before before = {.state = cases[i].before, .slurm_state = "TIMEOUT"};
		struct scene scene;
		scene_init(&scene, f, &before);
		scene.chain->common->row.walltime_s = plan.walltime_s;
		const struct likeness_row subject = {"a", "{}"};
		const struct likeness_row protocol = {"b", "{}"};
		struct evaluation_row other = sample_evaluation(900 + (int)i);
		assert_ok(f, evaluations_insert(f->db, &other, &f->err));
		struct job_row equal = sample_job(&other, 0);
		equal.state = CHAIN_SUCCEEDED;
		assert_ok(f, jobs_insert(f->db, &equal, &f->err));
		assert_ok(f, likenesses_set(f->db, equal.seq, &subject, &protocol, &f->err));
		assert_ok(f, likenesses_set(f->db, scene.chain->job.seq, &subject, &protocol, &f->err));
		sql(f, "UPDATE jobs SET state = 'succeeded' WHERE evaluation_seq = (SELECT max(seq) FROM evaluations)");
		sql(f, "INSERT INTO usage (attempt, job, evaluation, user, cluster, model, task, ended_at, run_s, "
		       "queue_s, gpu_s,"
		       " start_up_gpu_s, idle_gpu_s, lost_gpu_s, source) SELECT 'x', id, 'e', 'u', 'c', 'm', 't', 5, "
		       "0, 0, 0, 0, 0, 0,"
		       " 'sacct' FROM jobs WHERE evaluation_seq = (SELECT max(seq) FROM evaluations)");
		CLEANUP(mem_freep)
		char *of_it = mem_printf("UPDATE jobs SET id = 'equal.0' WHERE seq = %d", (int)equal.seq);
		sql(f, of_it);
		sql(f, "UPDATE usage SET job = 'equal.0'");
		sql(f, cases[i].ledger);
		assert_ok(f, attempt_intent_store(&scene.s, &scene.chain, 1, &plan, &f->err));
		const struct attempt_row *attempt = &scene.chain->common->attempt;
		if (attempt->time_limit_s != cases[i].time_limit_s)
			fail_msg("case %zu: %d s", i, (int)attempt->time_limit_s);
		assert_non_null(strstr(scene.chain->job.reason, "execution.walltime is auto"));
		CLEANUP(mem_freep) char *script = NULL;
		assert_ok(f, attempts_script(f->db, scene.chain->seq, attempt->number, &script, &f->err));
		assert_non_null(strstr(script, "# execution.walltime is auto: sbatch is given a --time of "));
		assert_null(strstr(script, "#SBATCH --time="));
		scene_done(&scene);
		sql(f, "DELETE FROM usage");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_store, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_store_leaves_an_attempt_that_is_intended, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_store_with_walltime_auto_is_bounded_by_what_is_known, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_store_refuses_a_job_that_the_plan_has_not, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
