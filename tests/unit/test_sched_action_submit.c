/* What Slurm's answer to a submission makes of a chain: rows before, answer, rows after. */
#include "db/fingerprints.h"
#include "db/likenesses.h"
#include "db/results.h"
#include "sched/reuse.h"
#include "sched_fixture.h"

static struct action *outcome(struct scene *scene, enum submit_outcome outcome, const char *message)
{
	struct action *action = answer_new(scene, &action_submit);
	action->submitted.items = mem_calloc(1, sizeof *action->submitted.items);
	action->submitted.count = 1;
	struct submit_result *result = &action->submitted.items[0];
	result->outcome = outcome;
	if (outcome == SUBMIT_ACCEPTED)
		snprintf(result->slurm_job_id, sizeof result->slurm_job_id, "77");
	result->submitted_at = NOW_S - 1;
	snprintf(result->message, sizeof result->message, "%s", message);
	return action;
}

static struct action *accepted(struct scene *scene)
{
	return outcome(scene, SUBMIT_ACCEPTED, "");
}

static struct action *refused(struct scene *scene)
{
	return outcome(scene, SUBMIT_REFUSED, "invalid partition specified: gpu");
}

static struct action *limit(struct scene *scene)
{
	return outcome(scene, SUBMIT_LIMIT, "QOSMaxSubmitJobPerUserLimit");
}

static struct action *untold(struct scene *scene)
{
	return outcome(scene, SUBMIT_UNTOLD, "AssocGrpJobsLimit");
}

static struct action *untold_for_too_long(struct scene *scene)
{
	scene->chain->common->attempt.intended_at = NOW_S - 100;
	return outcome(scene, SUBMIT_UNTOLD, "AssocGrpJobsLimit");
}

static struct action *passing(struct scene *scene)
{
	return outcome(scene, SUBMIT_PASSING, "the disk is full");
}

static struct action *retry(struct scene *scene)
{
	return outcome(scene, SUBMIT_RETRY, "slurmctld is down");
}

static struct action *in_doubt(struct scene *scene)
{
	return outcome(scene, SUBMIT_IN_DOUBT, "sacct does not answer");
}

#define FINGERPRINT "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

/* The cluster has found the fingerprint of a job that is not there any more. */
static struct action *reused_of_none(struct scene *scene)
{
	struct action *action = outcome(scene, SUBMIT_REUSED, "");
	snprintf(action->submitted.items[0].fingerprint, sizeof action->submitted.items[0].fingerprint, FINGERPRINT);
	return action;
}

/* Likewise, and that job is there. */
static struct action *reused(struct scene *scene)
{
	static int number = 5000;
	struct fixture *f = scene->f;
	struct evaluation_row evaluation = sample_evaluation(++number);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row row = sample_job(&evaluation, 0);
	const struct likeness_row subject = {"aa", "{}"};
	const struct likeness_row protocol = {"cc", "{}"};
	const struct score score = {.task = (char *)"t", .metric = (char *)"m", .score = (char *)"s", .value = 1};
	row.state = CHAIN_SUCCEEDED;
	assert_ok(f, jobs_insert(f->db, &row, &f->err));
	assert_ok(f, likenesses_set(f->db, scene->chain->job_seq, &subject, &protocol, &f->err));
	assert_ok(f, likenesses_set(f->db, row.seq, &subject, &protocol, &f->err));
	assert_ok(f, results_replace(f->db, row.seq, &score, 1, NOW_S, &f->err));
	assert_ok(f, fingerprints_put(f->db, row.seq, "[]", FINGERPRINT, &f->err));
	assert_ok(f, fingerprints_settle(f->db, row.seq, FINGERPRINT, &f->err));
	return reused_of_none(scene);
}

static struct action *failed(struct scene *scene, enum nel_err_kind kind, enum nel_err_reason reason, bool sent)
{
	struct action *action = answer_new(scene, &action_submit);
	action->failed = true;
	action->sent = sent;
	err_set(&action->err, kind, "no such luck");
	err_because(&action->err, kind, reason);
	return action;
}

static struct action *cut_off(struct scene *scene)
{
	return failed(scene, NEL_REMOTE, NEL_REASON_NONE, true);
}

static struct action *never_sent(struct scene *scene)
{
	return failed(scene, NEL_REMOTE, NEL_REASON_NONE, false);
}

static struct action *login_refused(struct scene *scene)
{
	return failed(scene, NEL_DENIED, NEL_REASON_LOGIN, false);
}

static struct action *no_directory(struct scene *scene)
{
	return failed(scene, NEL_INVALID, NEL_REASON_NONE, true);
}

static struct action *no_directory_again(struct scene *scene)
{
	struct action *action = no_directory(scene);
	action->items[0].first_send = false;
	return action;
}

static void test_take_submit(void **state)
{
	static const struct {
		const char *name;
		struct before before;
		struct action *(*answer)(struct scene *scene);
		struct after after;
	} cases[] = {
	    {"accepted",
	     {.state = CHAIN_SUBMITTING},
	     accepted,
	     {.state = CHAIN_PENDING, .waiting_on = "Slurm", .events = "attempt.submitted job.state evaluation.state"}},
	    {"accepted, cancelled meanwhile: what Slurm has now is cancelled",
	     {.state = CHAIN_CANCELLING, .nobody = true, .cancelled = true},
	     accepted,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_CANCEL,
	      .reason = "cancelled by anna",
	      .events = "attempt.submitted"}},
	    {"refused: its files and secrets are collected before the end is told",
	     {.state = CHAIN_SUBMITTING},
	     refused,
	     {.state = CHAIN_SUBMITTING, .pending = ACTION_COLLECT, .ending = true, .events = ""}},
	    {"an equal job's scores stand for its own: it has succeeded",
	     {.state = CHAIN_SUBMITTING},
	     reused,
	     {.state = CHAIN_SUCCEEDED,
	      .reason = "reused from ",
	      .events = "results.recorded job.state evaluation.state evaluation.ended",
	      .collected = true}},
	    {"the equal job is gone: it is sent again",
	     {.state = CHAIN_SUBMITTING},
	     reused_of_none,
	     {.state = CHAIN_SUBMITTING, .pending = ACTION_SUBMIT, .events = "", .due_in_s = 1}},
	    {"cancelled before the answer that it may be reused",
	     {.state = CHAIN_CANCELLING, .nobody = true, .cancelled = true},
	     reused,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_COLLECT,
	      .reason = "cancelled by anna",
	      .ending = true,
	      .events = ""}},
	    {"a limit of the number of jobs: it waits, however long",
	     {.state = CHAIN_SUBMITTING},
	     limit,
	     {.state = CHAIN_SUBMITTING,
	      .pending = ACTION_SUBMIT,
	      .waiting_on = "room under a limit of Slurm's on alpha",
	      .events = "",
	      .due_in_s = 1}},
	    {"a limit that is not told: it waits until a deadline",
	     {.state = CHAIN_SUBMITTING},
	     untold,
	     {.state = CHAIN_SUBMITTING,
	      .pending = ACTION_SUBMIT,
	      .waiting_on = "does not say whether",
	      .events = "",
	      .due_in_s = 1}},
	    {"a limit that is not told, and the deadline: it is refused",
	     {.state = CHAIN_SUBMITTING},
	     untold_for_too_long,
	     {.state = CHAIN_SUBMITTING, .pending = ACTION_COLLECT, .ending = true, .events = ""}},
	    {"something that passes",
	     {.state = CHAIN_SUBMITTING},
	     passing,
	     {.state = CHAIN_SUBMITTING,
	      .pending = ACTION_SUBMIT,
	      .waiting_on = "the disk is full",
	      .events = "",
	      .due_in_s = 1}},
	    {"slurmctld is down",
	     {.state = CHAIN_SUBMITTING},
	     retry,
	     {.state = CHAIN_SUBMITTING,
	      .pending = ACTION_SUBMIT,
	      .waiting_on = "cluster alpha: slurmctld is down",
	      .events = "",
	      .due_in_s = 1}},
	    {"an earlier try cannot be looked up",
	     {.state = CHAIN_SUBMITTING},
	     in_doubt,
	     {.state = CHAIN_SUBMITTING,
	      .pending = ACTION_SUBMIT,
	      .waiting_on = "sacct does not answer",
	      .events = "",
	      .due_in_s = 1}},
	    {"the connection was cut: it may be there, and is sent again under its name",
	     {.state = CHAIN_SUBMITTING},
	     cut_off,
	     {.state = CHAIN_SUBMITTING,
	      .pending = ACTION_SUBMIT,
	      .waiting_on = "cluster alpha: no such luck",
	      .events = "cluster.unreachable",
	      .due_in_s = 1}},
	    {"the connection was cut, and it is cancelled: only a repeat can tell what there is",
	     {.state = CHAIN_CANCELLING, .nobody = true, .cancelled = true},
	     cut_off,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_SUBMIT,
	      .reason = "cancelled by anna",
	      .waiting_on = "cluster alpha: no such luck",
	      .events = "cluster.unreachable",
	      .due_in_s = 1}},
	    {"nothing was sent, and it is cancelled: nothing is on the cluster",
	     {.state = CHAIN_CANCELLING, .nobody = true, .cancelled = true},
	     never_sent,
	     {.state = CHAIN_CANCELLED,
	      .reason = "cancelled by anna",
	      .events = "cluster.unreachable job.state evaluation.state evaluation.ended",
	      .collected = true}},
	    {"nothing of the second attempt was sent, and it is cancelled: files of the first are there",
	     {.state = CHAIN_CANCELLING, .nobody = true, .cancelled = true, .attempt = 2},
	     never_sent,
	     {.state = CHAIN_CANCELLING,
	      .pending = ACTION_COLLECT,
	      .reason = "cancelled by anna",
	      .ending = true,
	      .events = "cluster.unreachable"}},
	    {"the login was refused: it is tried no sooner than the cluster's pause is over",
	     {.state = CHAIN_SUBMITTING},
	     login_refused,
	     {.state = CHAIN_SUBMITTING,
	      .pending = ACTION_SUBMIT,
	      .waiting_on = "credentials for alpha",
	      .events = "cluster.unreachable",
	      .due_in_s = 10}},
	    {"the run directory cannot be made: it is refused",
	     {.state = CHAIN_SUBMITTING},
	     no_directory,
	     {.state = CHAIN_SUBMITTING, .pending = ACTION_COLLECT, .ending = true, .events = ""}},
	    {"the run directory cannot be made, but an earlier try may have reached Slurm",
	     {.state = CHAIN_SUBMITTING},
	     no_directory_again,
	     {.state = CHAIN_SUBMITTING,
	      .pending = ACTION_SUBMIT,
	      .waiting_on = "no such luck",
	      .events = "",
	      .due_in_s = 1}},
	    {"the run directory cannot be used now, but the chain has run in it",
	     {.state = CHAIN_SUBMITTING, .attempt = 2, .started_at = NOW_S - 500},
	     no_directory,
	     {.state = CHAIN_SUBMITTING,
	      .pending = ACTION_SUBMIT,
	      .waiting_on = "no such luck",
	      .events = "",
	      .due_in_s = 1}},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_take(cases[i].name, *state, &cases[i].before, cases[i].answer, &cases[i].after);
}

static struct action *of_another_attempt(struct scene *scene)
{
	struct action *action = accepted(scene);
	action->items[0].attempt = 7;
	return action;
}

/* What comes too late, or is not about what the chain has now, changes nothing. */
static void test_take_submit_of_another_attempt_changes_nothing(void **state)
{
	static const struct before before = {.state = CHAIN_SUBMITTING};
	struct scene scene;
	scene_init(&scene, *state, &before);
	answers_take(&scene.s, of_another_attempt(&scene));
	const struct after after = {.state = CHAIN_SUBMITTING, .pending = ACTION_SUBMIT, .events = ""};
	assert_after("another attempt", &scene, &after);
	scene.chain->pending = ACTION_NONE;
	answers_take(&scene.s, accepted(&scene));
	assert_int_equal(scene.chain->job.state, CHAIN_SUBMITTING);
	scene_done(&scene);
}

/* However the answer is, a place among the cluster's submissions is free again. */
static void test_take_submit_gives_its_place_back(void **state)
{
	static const struct before before = {.state = CHAIN_SUBMITTING};
	struct action *(*const answers[])(struct scene *) = {accepted, refused, cut_off, login_refused};
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct scene scene;
		scene_init(&scene, *state, &before);
		scene.watch->sending = 1;
		scene.chain->in_flight = &action_submit;
		answers_take(&scene.s, answers[i](&scene));
		assert_int_equal(scene.watch->sending, 0);
		assert_null(scene.chain->in_flight);
		scene_done(&scene);
	}
}

/* execution.walltime: auto: the attempt has the time limit that was taken for it, and history says why. */
static void test_take_submit_stores_the_time_limit_that_was_chosen(void **state)
{
	static const struct before before = {.state = CHAIN_SUBMITTING};
	struct fixture *f = *state;
	struct scene scene;
	scene_init(&scene, f, &before);
	struct action *action = outcome(&scene, SUBMIT_ACCEPTED, "because it starts");
	action->submitted.items[0].time_limit_s = 480;
	answers_take(&scene.s, action);
	const struct after after = {.state = CHAIN_PENDING,
				    .waiting_on = "Slurm",
				    .reason = "attempt 1, for 480 s (execution.walltime is auto): because it starts",
				    .events = "attempt.submitted job.state evaluation.state"};
	assert_after("chosen", &scene, &after);
	assert_int_equal(query_number(f->db->sqlite, "SELECT time_limit_s FROM attempts"), 480);
	assert_int_equal(
	    query_number(f->db->sqlite,
			 "SELECT json_extract(data, '$.time_limit_s') FROM events WHERE kind = 'attempt.submitted'"),
	    480);
	scene_done(&scene);
}

/* An attempt that was withdrawn to go elsewhere is the chain's newest again, and the one that was not needed is gone.
 */
static void test_take_submit_reused_after_a_withdrawn_attempt(void **state)
{
	static const struct before before = {.state = CHAIN_SUBMITTING, .attempt = 2};
	struct fixture *f = *state;
	struct scene scene;
	scene_init(&scene, f, &before);
	scene.chain->common->row.withdrawn = 1;
	sql(f, "UPDATE attempts SET withdrawn_at = 9 WHERE number = 1");
	assert_ok(f, fingerprints_put(f->db, scene.job.seq, "[]", "other", &f->err));
	answers_take(&scene.s, reused(&scene));
	const struct after after = {.state = CHAIN_SUCCEEDED,
				    .reason = "reused from ",
				    .events = "results.recorded job.state evaluation.state evaluation.ended",
				    .collected = true};
	assert_after("reused", &scene, &after);
	assert_int_equal(query_number(f->db->sqlite, "SELECT max(number) FROM attempts"), 1);
	assert_int_equal(
	    query_number(f->db->sqlite, "SELECT attempt * 100 + slurm_job_id FROM chains WHERE attempt > 0"), 176);
	assert_int_equal(scene.chain->common->attempt.number, 1);
	scene_done(&scene);
}

/* A job whose attempts were all withdrawn before they began is as new. */
static void test_reuse_prepare_offers_equal_jobs_to_what_never_began(void **state)
{
	static const struct {
		int attempt;
		int withdrawn;
		bool wanted;
		bool offered;
	} cases[] = {
	    {1, 0, true, true}, {1, 0, false, false}, {2, 0, true, false}, {2, 1, true, true}, {3, 1, true, false}};
	struct fixture *f = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct before before = {.state = CHAIN_SUBMITTING, .attempt = cases[i].attempt};
		const struct evaluation_row evaluation = {.reuse = cases[i].wanted};
		struct scene scene;
		scene_init(&scene, f, &before);
		action_free(reused(&scene));
		scene.chain->common->row.withdrawn = cases[i].withdrawn;
		CLEANUP(action_freep) struct action *action = answer_new(&scene, &action_submit);
		struct action_item *item = &action->items[0];
		item->jobs = mem_calloc(1, sizeof *item->jobs);
		item->job_count = 1;
		action->plan = mem_calloc(1, sizeof *action->plan);
		action->plan->deployment = mem_calloc(1, sizeof *action->plan->deployment);
		action->plan->resolved = json_pack("{s:{s:s}}", "deployment", "checkpoint_path", "/c");
		assert_ok(f, reuse_prepare(&scene.s, &evaluation, action, &f->err));
		assert_string_equal(action->checkpoints, "[\"/c\"]");
		assert_int_equal(action->timeout_ms, 1000 + 20000);
		if (cases[i].offered)
			assert_string_equal(item->reuse, FINGERPRINT);
		else
			assert_null(item->reuse);
		scene_done(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_take_submit, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_submit_of_another_attempt_changes_nothing, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_submit_stores_the_time_limit_that_was_chosen, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_submit_reused_after_a_withdrawn_attempt, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_reuse_prepare_offers_equal_jobs_to_what_never_began, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_take_submit_gives_its_place_back, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
