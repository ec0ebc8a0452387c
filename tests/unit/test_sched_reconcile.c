/* What observations mean for a chain: the evidence rules. */
#include "reconcile_fixture.h"

#include <math.h>

/* The rate is of the running attempt alone: none from one look, none of what an evaluator counts again, none at the
 * end.
 */
static void test_reconcile_progress_gives_a_rate_while_it_runs(void **state)
{
	(void)state;
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	struct reconcile_rules rules = {.accounting = true, .absence_deadline_s = 300, .now_s = NOW};
	struct observation o = seen("RUNNING");
	attempt.progress_before = 10;
	static const struct {
		int64_t requests, total, want_total;
		double rate; /* -1: none */
	} looks[] = {{0, 0, 0, -1},  {9, 50, 50, -1},      {12, 0, 50, -1}, {32, 60, 60, 2},
		     {-1, 0, 60, 1}, {52, 0, 60, 4.0 / 3}, {11, 0, 60, -1}, {11, 0, 60, 0}};
	for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++, rules.now_s += 10) {
		o.progress = looks[i].requests;
		o.progress_total = looks[i].total;
		run(&job, &attempt, &o, &rules);
		double rate = progress_rate(&job.window, job.progress, rules.now_s);
		if (fabs(rate - looks[i].rate) > 1e-9 || job.progress_total != looks[i].want_total)
			fail_msg("look %zu: %g a second, total %lld", i, rate, (long long)job.progress_total);
	}
	struct observation ended = seen("TIMEOUT");
	ended.progress = 100;
	assert_true(run(&job, &attempt, &ended, &rules).changed);
	assert_int_equal(job.progress, 100);
	assert_int_equal(job.window.from_at, 0);
}

/* The script has ended the attempt because nothing was done: once it is resumed, whatever auto_resume.on lists. */
static void test_reconcile_an_idle_end_is_resumed_once(void **state)
{
	(void)state;
	static const struct {
		const char *mode;
		int64_t before;
		int event;
		const char *reason;
	} cases[] = {
	    {"daemon", 0, EVENT_END_CONTINUE,
	     "attempt 1 ended with idle GPUs and servers (execution.idle_limit) and will be"},
	    {"in_job", 0, EVENT_END_CONTINUE, "idle"},
	    {"off", 0, EVENT_END_FAILURE,
	     "idle GPUs and servers (execution.idle_limit), and execution.auto_resume.mode is off"},
	    {"daemon", 1, EVENT_END_FAILURE, "idle GPUs and servers (execution.idle_limit), as one before it had"},
	};
	for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
		bool accounting = i % 2 == 0;
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		struct observation o = accounting ? seen("FAILED") : nothing_seen();
		free(job.chain.resume_mode);
		job.chain.resume_mode = mem_strdup(cases[i / 2].mode);
		attempt.idle_before = cases[i / 2].before;
		snprintf(o.fate, sizeof o.fate, "IDLE");
		o.stamp_started = NOW - 900;
		o.stamp_ended = NOW - 10;
		o.stamp_exit = 123;
		struct judgement j = run(&job, &attempt, &o, accounting ? &with_accounting : &without_accounting);
		assert_true(j.has_event && attempt.idle);
		assert_int_equal(j.event, cases[i / 2].event);
		if (strstr(j.reason, cases[i / 2].reason) == NULL)
			fail_msg("case %zu: %s", i, j.reason);
	}
}

/* What was sampled is stored now and then, and at the end. */
static void test_reconcile_gpu_use_adds_up_over_attempts(void **state)
{
	(void)state;
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	struct observation o = seen("RUNNING");
	job.use = (struct gpu_use){10, 1000, 0, 0};
	run(&job, &attempt, &o, &with_accounting);
	int writes = 0;
	for (int i = 1; i <= 12; i++) {
		o.use = (struct gpu_use){i, 50 * i, i, 10 * i};
		writes += run(&job, &attempt, &o, &with_accounting).changed;
	}
	assert_int_equal(writes, 3);
	struct observation ended = seen("COMPLETED");
	ended.use = (struct gpu_use){13, 650, 13, 130};
	assert_true(run(&job, &attempt, &ended, &with_accounting).changed);
	assert_int_equal(job.use.samples, 23);
	assert_int_equal(job.use.percents, 1650);
	assert_int_equal(attempt.use.still_s, 130);
}

static void test_reconcile_each_slurm_state_gives_its_event(void **state)
{
	(void)state;
	static const struct {
		const char *word;
		int event; /* -1: none */
	} cases[] = {
	    {"PENDING", EVENT_SEEN_PENDING},
	    {"REQUEUED", EVENT_SEEN_PENDING},
	    {"CONFIGURING", EVENT_SEEN_RUNNING},
	    {"RUNNING", EVENT_SEEN_RUNNING},
	    {"COMPLETING", EVENT_SEEN_RUNNING},
	    {"COMPLETED", EVENT_END_SUCCESS},
	    {"TIMEOUT", EVENT_END_CONTINUE},
	    {"PREEMPTED", EVENT_END_CONTINUE},
	    {"NODE_FAIL", EVENT_END_CONTINUE},
	    {"BOOT_FAIL", EVENT_END_CONTINUE},
	    {"FAILED", EVENT_END_FAILURE},
	    {"OUT_OF_MEMORY", EVENT_END_FAILURE},
	    {"DEADLINE", EVENT_END_FAILURE},
	    {"CANCELLED", EVENT_END_CANCELLED},
	    {"SOMETHING_NEW", -1},
	    {"EXPEDITING", EVENT_SEEN_RUNNING},
	    {"LAUNCH_FAILED", EVENT_SEEN_PENDING},
	    {"?", -1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		struct observation o = seen(cases[i].word);
		struct judgement j = run(&job, &attempt, &o, &with_accounting);
		assert_int_equal(j.has_event, cases[i].event >= 0);
		if (j.has_event)
			assert_int_equal(j.event, cases[i].event);
		assert_string_equal(attempt.slurm_state, cases[i].word);
	}
}

static void test_reconcile_errors_and_lag_are_never_an_end(void **state)
{
	(void)state;
	static const struct {
		enum sighting squeue;
		enum sighting sacct;
	} cases[] = {
	    {SIGHT_UNOBSERVABLE, SIGHT_UNOBSERVABLE},
	    {SIGHT_UNOBSERVABLE, SIGHT_ABSENT},
	    {SIGHT_ABSENT, SIGHT_UNOBSERVABLE},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		attempt.absent_since = NOW - 100000;
		struct observation o = nothing_seen();
		o.squeue = cases[i].squeue;
		o.sacct = cases[i].sacct;
		struct judgement j = run(&job, &attempt, &o, &with_accounting);
		assert_false(j.has_event);
	}
	/* sacct still says RUNNING of a job gone from squeue */
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	struct observation o = seen("RUNNING");
	o.squeue = SIGHT_ABSENT;
	o.sacct = SIGHT_SEEN;
	struct judgement j = run(&job, &attempt, &o, &with_accounting);
	assert_int_equal(j.event, EVENT_SEEN_RUNNING);
}

static void test_reconcile_absence_ends_only_after_the_deadline(void **state)
{
	(void)state;
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	struct observation o = nothing_seen();
	struct judgement j = run(&job, &attempt, &o, &with_accounting);
	assert_false(j.has_event);
	assert_int_equal(attempt.absent_since, NOW);
	struct reconcile_rules later = with_accounting;
	later.now_s = NOW + 300;
	assert_false(run(&job, &attempt, &o, &later).has_event);
	later.now_s = NOW + 301;
	j = run(&job, &attempt, &o, &later);
	assert_true(j.has_event);
	assert_int_equal(j.event, EVENT_LOST);
	assert_non_null(strstr(j.reason, "77"));
	/* seen again in between: the count starts anew */
	struct observation back = seen("RUNNING");
	later.now_s = NOW + 200;
	run(&job, &attempt, &back, &later);
	assert_int_equal(attempt.absent_since, 0);
}

static void test_reconcile_without_accounting_stamps_tell(void **state)
{
	(void)state;
	static const struct {
		int64_t started, ended, elapsed;
		int exit;
		int event; /* -1: none yet */
	} cases[] = {
	    {NOW - 900, NOW - 10, 890, 0, EVENT_END_SUCCESS},
	    {NOW - 900, NOW - 10, 890, 3, EVENT_END_FAILURE},
	    {NOW - 3600, 0, 3570, -1, EVENT_END_CONTINUE}, /* silent since its time limit: timed out */
	    {NOW - 900, 0, 500, -1, -1},
	    {0, 0, -1, -1, -1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		struct observation o = nothing_seen();
		o.sacct = SIGHT_UNOBSERVABLE;
		o.stamp_started = cases[i].started;
		o.stamp_ended = cases[i].ended;
		o.stamp_elapsed_s = cases[i].elapsed;
		o.stamp_exit = cases[i].exit;
		struct judgement j = run(&job, &attempt, &o, &without_accounting);
		assert_int_equal(j.has_event, cases[i].event >= 0);
		if (j.has_event) {
			assert_int_equal(j.event, cases[i].event);
			assert_int_equal(job.chain.budget_used_s, cases[i].elapsed);
		}
	}
}

static void test_reconcile_budget_and_limits_decide_what_follows(void **state)
{
	(void)state;
	static const struct {
		const char *mode;
		const char *on;
		int64_t limit_s;
		int64_t elapsed_s;
		int max_attempts;
		const char *word;
		enum chain_event event;
		const char *in_reason;
	} cases[] = {
	    {"daemon", "TIMEOUT", 86400, 3600, 0, "TIMEOUT", EVENT_END_CONTINUE, "TIMEOUT"},
	    {"daemon", "TIMEOUT", 3600, 3600, 0, "TIMEOUT", EVENT_END_BUDGET, "1 attempt ran 3600 s of 3600 s"},
	    {"daemon", "TIMEOUT", 3659, 3600, 0, "TIMEOUT", EVENT_END_BUDGET, "budget"},
	    {"daemon", "TIMEOUT", 3660, 3600, 0, "TIMEOUT", EVENT_END_CONTINUE, "TIMEOUT"},
	    {"daemon", "TIMEOUT", -1, 3600000, 0, "TIMEOUT", EVENT_END_CONTINUE, "TIMEOUT"},
	    {"off", "TIMEOUT", 86400, 3600, 0, "TIMEOUT", EVENT_END_FAILURE, "off"},
	    {"daemon", "TIMEOUT", 86400, 3600, 1, "TIMEOUT", EVENT_END_FAILURE, "max_attempts"},
	    {"daemon", "TIMEOUT", 86400, 3600, 0, "NODE_FAIL", EVENT_END_FAILURE, "auto_resume.on"},
	    {"daemon", "FAILED", 86400, 3600, 0, "FAILED", EVENT_END_CONTINUE, "FAILED"},
	    {"daemon", "TIMEOUT", 86400, 3600, 0, "FAILED", EVENT_END_FAILURE, "exit code 2"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		free(job.chain.resume_mode);
		job.chain.resume_mode = mem_strdup(cases[i].mode);
		free(job.chain.resume_on);
		job.chain.resume_on = mem_strdup(cases[i].on);
		job.chain.budget_limit_s = cases[i].limit_s;
		job.chain.max_attempts = cases[i].max_attempts;
		struct observation o = seen(cases[i].word);
		o.elapsed_s = cases[i].elapsed_s;
		o.exit_code = 2;
		struct judgement j = run(&job, &attempt, &o, &with_accounting);
		assert_true(j.has_event);
		assert_int_equal(j.event, cases[i].event);
		assert_non_null(strstr(j.reason, cases[i].in_reason));
		assert_int_equal(job.chain.budget_used_s, cases[i].elapsed_s);
	}
}

static void test_reconcile_pending_says_what_it_waits_on(void **state)
{
	(void)state;
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	struct observation o = seen("PENDING");
	o.started_at = 0;
	o.reason = (char *)"Resources";
	struct judgement j = run(&job, &attempt, &o, &with_accounting);
	assert_true(j.changed);
	assert_non_null(strstr(job.waiting_on, "Slurm: Resources: "));
	assert_string_equal(attempt.pending_reason, "Resources");
	assert_int_equal(job.chain.budget_used_s, 0); /* queue time is free */
	assert_false(run(&job, &attempt, &o, &with_accounting).changed);
	o.start_estimate = NOW + 3600;
	assert_true(run(&job, &attempt, &o, &with_accounting).changed);
	assert_int_equal(attempt.start_estimate, NOW + 3600);
	assert_non_null(strstr(job.waiting_on, "may start at "));
	o.start_estimate = NOW + 3700; /* not worth a write */
	assert_false(run(&job, &attempt, &o, &with_accounting).changed);
	struct observation running = seen("RUNNING");
	run(&job, &attempt, &running, &with_accounting);
	assert_null(job.waiting_on);
	assert_null(attempt.pending_reason);
	assert_int_equal(attempt.start_estimate, 0);
}

static void test_reconcile_fast_failures_back_off(void **state)
{
	(void)state;
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	struct observation o = seen("NODE_FAIL");
	o.elapsed_s = 3;
	run(&job, &attempt, &o, &with_accounting);
	assert_int_equal(job.chain.failures, 1);
	assert_int_equal(job.chain.not_before, NOW);
	run(&job, &attempt, &o, &with_accounting);
	assert_int_equal(job.chain.failures, 2);
	assert_in_range(job.chain.not_before, NOW + 22, NOW + 30);
	struct observation slow = seen("TIMEOUT");
	slow.elapsed_s = 3600;
	run(&job, &attempt, &slow, &with_accounting);
	assert_int_equal(job.chain.failures, 0);
	assert_int_equal(job.chain.not_before, 0);
}

static void test_reconcile_every_end_tells_of_the_attempt_and_the_budget(void **state)
{
	(void)state;
	static const char *const words[] = {"COMPLETED", "TIMEOUT",       "PREEMPTED", "NODE_FAIL", "BOOT_FAIL",
					    "FAILED",    "OUT_OF_MEMORY", "DEADLINE",  "CANCELLED"};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		struct observation o = seen(words[i]);
		o.elapsed_s = 400;
		o.nodes = (char *)"n[1-2]";
		struct judgement j = run(&job, &attempt, &o, &with_accounting);
		assert_non_null(strstr(j.reason, "attempt 1"));
		assert_non_null(strstr(j.reason, " ran 400 s on n[1-2]; 86000 s of the walltime budget are left"));
		if (strcmp(words[i], "COMPLETED") != 0 && strcmp(words[i], "CANCELLED") != 0)
			assert_non_null(strstr(j.reason, words[i]));
	}
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	job.chain.budget_limit_s = -1;
	struct observation o = seen("TIMEOUT");
	o.elapsed_s = 400;
	struct judgement j = run(&job, &attempt, &o, &with_accounting);
	assert_string_equal(j.reason, "attempt 1 ended with TIMEOUT and will be continued; it ran 400 s");
}

/* squeue has forgotten the job, and sacct cannot be asked: it says so, and nothing more. */
static void test_reconcile_without_accountings_answer_says_whose_is_missing(void **state)
{
	(void)state;
	struct reconcile_rules rules = with_accounting;
	struct job_row job = make_job();
	struct attempt_row attempt = make_attempt();
	struct observation o = nothing_seen();
	struct judgement j;
	attempt.slurm_state = mem_strdup("RUNNING");
	o.sacct = SIGHT_UNOBSERVABLE;
	rules.accounting_error = "";
	reconcile(&job.chain, &job, &attempt, 0, &o, &rules, &j);
	assert_false(j.changed || j.has_event);
	rules.accounting_error = "sacct: slurmdbd is down";
	reconcile(&job.chain, &job, &attempt, 0, &o, &rules, &j);
	assert_true(j.changed && !j.has_event);
	assert_string_equal(job.waiting_on,
			    "accounting, which knows how it ended and does not answer: sacct: slurmdbd is down");
	reconcile(&job.chain, &job, &attempt, 0, &o, &rules, &j);
	assert_false(j.changed || j.has_event);
	assert_int_equal(attempt.absent_since, 0);
	o.sacct = SIGHT_ABSENT;
	reconcile(&job.chain, &job, &attempt, 0, &o, &rules, &j);
	assert_null(job.waiting_on);
	/* One that was pending waits again on what Slurm said last. */
	free(attempt.slurm_state);
	attempt.slurm_state = mem_strdup("PENDING");
	attempt.pending_reason = mem_strdup("Resources");
	o.sacct = SIGHT_UNOBSERVABLE;
	reconcile(&job.chain, &job, &attempt, 0, &o, &rules, &j);
	assert_non_null(strstr(job.waiting_on, "accounting"));
	o.sacct = SIGHT_ABSENT;
	reconcile(&job.chain, &job, &attempt, 0, &o, &rules, &j);
	assert_non_null(strstr(job.waiting_on, "Slurm: Resources: "));
	job_row_done(&job);
	attempt_row_done(&attempt);
}

static void test_reconcile_suspended_says_so(void **state)
{
	(void)state;
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	struct observation o = seen("SUSPENDED");
	struct judgement j = run(&job, &attempt, &o, &with_accounting);
	assert_int_equal(j.event, EVENT_SEEN_RUNNING);
	assert_true(j.changed);
	assert_non_null(strstr(job.waiting_on, "SUSPENDED"));
	o = seen("RUNNING");
	run(&job, &attempt, &o, &with_accounting);
	assert_null(job.waiting_on);
}

static void test_reconcile_a_job_of_which_slurm_has_said_nothing_waits_on_no_state(void **state)
{
	(void)state;
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	job.state = CHAIN_CANCELLING;
	mem_freep(&attempt.slurm_state);
	attempt.slurm_state = NULL;
	struct observation o = nothing_seen();
	run(&job, &attempt, &o, &with_accounting);
	assert_null(job.waiting_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reconcile_an_idle_end_is_resumed_once),
	    cmocka_unit_test(test_reconcile_gpu_use_adds_up_over_attempts),
	    cmocka_unit_test(test_reconcile_progress_gives_a_rate_while_it_runs),
	    cmocka_unit_test(test_reconcile_suspended_says_so),
	    cmocka_unit_test(test_reconcile_a_job_of_which_slurm_has_said_nothing_waits_on_no_state),
	    cmocka_unit_test(test_reconcile_every_end_tells_of_the_attempt_and_the_budget),
	    cmocka_unit_test(test_reconcile_each_slurm_state_gives_its_event),
	    cmocka_unit_test(test_reconcile_errors_and_lag_are_never_an_end),
	    cmocka_unit_test(test_reconcile_absence_ends_only_after_the_deadline),
	    cmocka_unit_test(test_reconcile_without_accounting_stamps_tell),
	    cmocka_unit_test(test_reconcile_budget_and_limits_decide_what_follows),
	    cmocka_unit_test(test_reconcile_pending_says_what_it_waits_on),
	    cmocka_unit_test(test_reconcile_fast_failures_back_off),
	    cmocka_unit_test(test_reconcile_without_accountings_answer_says_whose_is_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
