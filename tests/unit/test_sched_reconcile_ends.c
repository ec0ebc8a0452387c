/* What observations mean for a chain: how an attempt ended, where Slurm, accounting and the script tell it differently.
 */
#include "reconcile_fixture.h"

/* It was withdrawn for another cluster before it began; somebody's scancel of one that has run is another thing, and so
 * is one that a person wants cancelled. */
static void test_reconcile_a_withdrawn_attempt_is_continued_unless_it_ran(void **state)
{
	(void)state;
	static const struct {
		int64_t withdrawn_at;
		int64_t elapsed_s;
		enum chain_state state;
		int event;
	} cases[] = {
	    {NOW - 60, 0, CHAIN_PENDING, EVENT_END_CONTINUE},     {NOW - 60, 2, CHAIN_PENDING, EVENT_END_CONTINUE},
	    {NOW - 60, 900, CHAIN_RUNNING, EVENT_END_CANCELLED},  {0, 0, CHAIN_PENDING, EVENT_END_CANCELLED},
	    {NOW - 60, 0, CHAIN_CANCELLING, EVENT_END_CANCELLED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		struct observation o = seen("CANCELLED");
		job.state = cases[i].state;
		job.chain.max_attempts = 1; /* it counts for nothing */
		attempt.withdrawn_at = cases[i].withdrawn_at;
		o.elapsed_s = cases[i].elapsed_s;
		struct judgement j = run(&job, &attempt, &o, &with_accounting);
		assert_true(j.has_event);
		if ((int)j.event != cases[i].event)
			fail_msg("case %zu: %s, %s", i, chain_event_name(j.event), j.reason);
		assert_int_equal(job.chain.withdrawn, j.event == EVENT_END_CONTINUE);
		if (j.event != EVENT_END_CONTINUE)
			continue;
		/* The next one is the first that counts. */
		struct observation timeout = seen("TIMEOUT");
		attempt.number = 2;
		attempt.withdrawn_at = 0;
		job.chain.max_attempts = 2;
		job.state = CHAIN_RUNNING;
		j = run(&job, &attempt, &timeout, &with_accounting);
		assert_int_equal(j.event, EVENT_END_CONTINUE);
	}
}

/* In mode in_job an attempt may have been queued for nothing: the chain then goes on with another. */
static void test_reconcile_in_job_attempts_that_had_nothing_to_do_are_replaced(void **state)
{
	(void)state;
	static const struct {
		const char *mode;
		const char *word;
		const char *fate;
		int exit_code;
		int64_t used_before_s;
		enum chain_event event;
		const char *in_reason;
	} cases[] = {
	    {"in_job", "CANCELLED", "WITHDRAWN", 0, 0, EVENT_END_CONTINUE, "withdrawn before it began"},
	    {"in_job", "CANCELLED", "WITHDRAWN", 0, 86400, EVENT_END_BUDGET, "budget is spent"},
	    {"in_job", "CANCELLED", "", 0, 0, EVENT_END_CANCELLED, "not through this service"},
	    {"daemon", "CANCELLED", "WITHDRAWN", 0, 0, EVENT_END_CANCELLED, "not through this service"},
	    {"in_job", "FAILED", "", 4, 0, EVENT_END_CONTINUE, "found nothing to do"},
	    {"in_job", "FAILED", "", 4, 86390, EVENT_END_BUDGET, "found nothing to do"},
	    {"in_job", "FAILED", "", 5, 0, EVENT_END_FAILURE, "exit code 5"},
	    {"daemon", "FAILED", "", 4, 0, EVENT_END_FAILURE, "exit code 4"},
	    {"in_job", "TIMEOUT", "TIMEOUT", 4, 0, EVENT_END_CONTINUE, "will be continued"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		free(job.chain.resume_mode);
		job.chain.resume_mode = mem_strdup(cases[i].mode);
		job.chain.max_attempts = 2;
		struct observation o = seen(cases[i].word);
		o.elapsed_s = 1;
		o.exit_code = cases[i].exit_code;
		snprintf(o.fate, sizeof o.fate, "%s", cases[i].fate);
		struct judgement j;
		reconcile(&job.chain, &job, &attempt, cases[i].used_before_s, &o, &with_accounting, &j);
		assert_true(j.has_event);
		assert_int_equal(j.event, cases[i].event);
		if (strstr(j.reason, cases[i].in_reason) == NULL)
			fail_msg("%zu: %s", i, j.reason);
	}
}

/* Slurm has forgotten the job, and the script found out why it was ended. */
static void test_reconcile_without_accounting_the_fate_counts_more_than_the_exit_code(void **state)
{
	(void)state;
	static const struct {
		const char *fate;
		enum chain_event event;
		const char *word;
	} cases[] = {
	    {"TIMEOUT", EVENT_END_CONTINUE, "TIMEOUT"},
	    {"PREEMPTED", EVENT_END_CONTINUE, "PREEMPTED"},
	    {"NODE_FAIL", EVENT_END_CONTINUE, "NODE_FAIL"},
	    {"CANCELLED", EVENT_END_CANCELLED, "CANCELLED"},
	    {"", EVENT_END_FAILURE, "FAILED"},
	    {"RUNNING", EVENT_END_FAILURE, "FAILED"},
	    {"NONSENSE", EVENT_END_FAILURE, "FAILED"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		struct observation o = nothing_seen();
		o.stamp_started = NOW - 100;
		o.stamp_ended = NOW - 40;
		o.stamp_exit = 143;
		o.stamp_elapsed_s = 60;
		snprintf(o.fate, sizeof o.fate, "%s", cases[i].fate);
		struct judgement j = run(&job, &attempt, &o, &without_accounting);
		assert_true(j.has_event);
		assert_int_equal(j.event, cases[i].event);
		assert_string_equal(attempt.slurm_state, cases[i].word);
		assert_int_equal(job.chain.budget_used_s, 60);
		/* With accounting its silence is waited for. */
		CLEANUP(job_row_done) struct job_row other = make_job();
		CLEANUP(attempt_row_done) struct attempt_row first = make_attempt();
		assert_false(run(&other, &first, &o, &with_accounting).has_event);
	}
	/* A successor that was withdrawn never ran. */
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	free(job.chain.resume_mode);
	job.chain.resume_mode = mem_strdup("in_job");
	struct observation o = nothing_seen();
	snprintf(o.fate, sizeof o.fate, "WITHDRAWN");
	for (int i = 0; i < 2; i++) {
		struct judgement j = run(&job, &attempt, &o, i == 0 ? &with_accounting : &without_accounting);
		assert_int_equal(j.event, EVENT_END_CONTINUE);
		assert_int_equal(job.chain.budget_used_s, 0);
	}
}

static void test_reconcile_exit_code_that_sacct_cut_is_the_scripts_own(void **state)
{
	(void)state;
	static const struct {
		int told, stamped, want; /* -1: not known */
	} cases[] = {{15, 143, 143}, {143, 143, 143}, {1, 143, 1}, {15, -1, 15},
		     {-1, 143, 143}, {1, 1, 1},       {0, 128, 0}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		struct observation o = seen("FAILED");
		o.exit_code = cases[i].told;
		o.stamp_ended = cases[i].stamped >= 0 ? NOW - 5 : 0;
		o.stamp_exit = cases[i].stamped;
		(void)run(&job, &attempt, &o, &with_accounting);
		assert_int_equal(attempt.exit_code, cases[i].want);
	}
}

static void test_reconcile_without_accounting_a_cancelled_script_is_cancelled(void **state)
{
	(void)state;
	static const struct {
		enum chain_state from;
		const char *want;
	} cases[] = {{CHAIN_CANCELLING, "CANCELLED"}, {CHAIN_RUNNING, "FAILED"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		struct observation o = nothing_seen();
		job.state = cases[i].from;
		o.sacct = SIGHT_UNOBSERVABLE;
		o.stamp_started = NOW - 900;
		o.stamp_ended = NOW - 10;
		o.stamp_elapsed_s = 890;
		o.stamp_exit = 143;
		run(&job, &attempt, &o, &without_accounting);
		assert_string_equal(attempt.slurm_state, cases[i].want);
	}
}

/* What the script wrote of its own end counts where it knew better than Slurm. */
static void test_reconcile_what_the_script_knew_better_counts(void **state)
{
	(void)state;
	static const struct {
		const char *word, *fate, *by;
		int exit; /* of the script's end stamp; -1: none */
		int event;
		const char *shown, *says;
	} cases[] = {
	    /* It finished between its limit and Slurm's kill. */
	    {"TIMEOUT", "", "", 0, EVENT_END_SUCCESS, "TIMEOUT", "had finished when Slurm ended it with TIMEOUT"},
	    {"TIMEOUT", "TIMEOUT", "", 0, EVENT_END_SUCCESS, "TIMEOUT", "had finished"},
	    {"PREEMPTED", "", "", 0, EVENT_END_SUCCESS, "PREEMPTED", "had finished"},
	    {"NODE_FAIL", "", "", 0, EVENT_END_SUCCESS, "NODE_FAIL", "had finished"},
	    {"CANCELLED", "", "0", 0, EVENT_END_SUCCESS, "CANCELLED", "had finished"},
	    {"CANCELLED", "", "1001", 0, EVENT_END_CANCELLED, "CANCELLED", "by user 1001"},
	    {"TIMEOUT", "", "", 143, EVENT_END_CONTINUE, "TIMEOUT", "will be continued"},
	    {"TIMEOUT", "", "", -1, EVENT_END_CONTINUE, "TIMEOUT", "will be continued"},
	    {"OUT_OF_MEMORY", "", "", 0, EVENT_END_FAILURE, "OUT_OF_MEMORY", "more memory"},
	    /* It ended itself, for the budget or in its time of grace. */
	    {"FAILED", "TIMEOUT", "", 124, EVENT_END_CONTINUE, "TIMEOUT", "ended with TIMEOUT"},
	    {"FAILED", "PREEMPTED", "", 143, EVENT_END_CONTINUE, "PREEMPTED", "ended with PREEMPTED"},
	    {"FAILED", "", "", 124, EVENT_END_FAILURE, "FAILED", "FAILED"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		struct observation o = seen(cases[i].word);
		snprintf(o.fate, sizeof o.fate, "%s", cases[i].fate);
		snprintf(o.cancelled_by, sizeof o.cancelled_by, "%s", cases[i].by);
		o.elapsed_s = 60;
		o.stamp_started = NOW - 900;
		o.stamp_ended = cases[i].exit >= 0 ? NOW - 800 : 0;
		o.stamp_exit = cases[i].exit;
		struct judgement j = run(&job, &attempt, &o, &with_accounting);
		assert_true(j.has_event);
		assert_int_equal(j.event, cases[i].event);
		assert_string_equal(attempt.slurm_state, cases[i].shown);
		assert_non_null(strstr(j.reason, cases[i].says));
	}
}

/* CANCELLED is a person's, an operator's or preemption's. */
static void test_reconcile_tells_preemption_from_cancellation(void **state)
{
	(void)state;
	static const struct {
		const char *by, *fate, *nodes;
		bool preempted, asked;
		int64_t elapsed_s;
		int event;
	} cases[] = {
	    {"0", "", "a1", false, false, 0, EVENT_END_CONTINUE}, /* no run time, on nodes */
	    {"root", "", "a1", false, false, 0, EVENT_END_CONTINUE},
	    {"0", "", "", false, false, 0, EVENT_END_CANCELLED},      /* an operator, while it waited */
	    {"0", "", "a1", false, false, 60, EVENT_END_CANCELLED},   /* an operator, while it ran */
	    {"0", "", "a1", true, false, 60, EVENT_END_CONTINUE},     /* slurmctld knows when it was preempted */
	    {"64030", "", "a1", true, false, 60, EVENT_END_CONTINUE}, /* SlurmUser */
	    {"slurm", "PREEMPTED", "a1", false, false, 60, EVENT_END_CONTINUE},
	    {"", "", "a1", true, false, 60, EVENT_END_CONTINUE}, /* without accounting nobody is named */
	    {"", "", "a1", false, false, 0, EVENT_END_CANCELLED},
	    {"1001", "", "a1", false, false, 0, EVENT_END_CANCELLED},      /* a person */
	    {"0", "PREEMPTED", "a1", true, true, 60, EVENT_END_CANCELLED}, /* asked for here, at the same time */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		struct observation o = seen("CANCELLED");
		snprintf(o.cancelled_by, sizeof o.cancelled_by, "%s", cases[i].by);
		snprintf(o.fate, sizeof o.fate, "%s", cases[i].fate);
		o.nodes = cases[i].nodes[0] != '\0' ? (char *)cases[i].nodes : NULL;
		o.preempted = cases[i].preempted;
		o.elapsed_s = cases[i].elapsed_s;
		job.cancel_requested_at = cases[i].asked ? NOW : 0;
		struct observation begun = o; /* an operator was quick */
		begun.stamp_started = NOW - 1;
		struct judgement j = run(&job, &attempt, &begun, &with_accounting);
		bool known = cases[i].preempted || cases[i].fate[0] != '\0';
		assert_int_equal(j.event, known ? cases[i].event : EVENT_END_CANCELLED);
		j = run(&job, &attempt, &o, &with_accounting);
		assert_int_equal(j.event, cases[i].event);
		if (j.event == EVENT_END_CONTINUE)
			assert_string_equal(attempt.slurm_state, "PREEMPTED");
	}
}

static void test_reconcile_preemption_that_on_leaves_out_ends_the_chain(void **state)
{
	(void)state;
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	free(job.chain.resume_on);
	job.chain.resume_on = mem_strdup("TIMEOUT");
	struct observation o = seen("CANCELLED");
	snprintf(o.cancelled_by, sizeof o.cancelled_by, "0");
	o.preempted = true;
	assert_int_equal(run(&job, &attempt, &o, &with_accounting).event, EVENT_END_FAILURE);
}

/* The job is on another cluster of the federation. */
static void test_reconcile_revoked_goes_by_the_stamps_or_ends_with_that_reason(void **state)
{
	(void)state;
	CLEANUP(job_row_done) struct job_row job = make_job();
	CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
	struct observation o = seen("REVOKED");
	job.state = CHAIN_PENDING;
	struct judgement j = run(&job, &attempt, &o, &with_accounting);
	assert_false(j.has_event);
	assert_non_null(strstr(job.waiting_on, "another cluster of the federation"));
	o.stamp_started = NOW - 100;
	o.stamp_elapsed_s = 90;
	assert_int_equal(run(&job, &attempt, &o, &with_accounting).event, EVENT_SEEN_RUNNING);
	struct observation ended = o;
	ended.stamp_ended = NOW;
	ended.stamp_exit = 0;
	assert_int_equal(run(&job, &attempt, &ended, &with_accounting).event, EVENT_END_SUCCESS);
	o.stamp_started = 0;
	attempt.absent_since = NOW - 301;
	j = run(&job, &attempt, &o, &with_accounting);
	assert_int_equal(j.event, EVENT_LOST);
	assert_non_null(strstr(j.reason, "REVOKED"));
}

/* Whatever else is known of it. */
static void test_reconcile_a_state_that_is_not_known_never_ends_a_chain(void **state)
{
	(void)state;
	for (int by_sacct = 0; by_sacct < 2; by_sacct++) {
		CLEANUP(job_row_done) struct job_row job = make_job();
		CLEANUP(attempt_row_done) struct attempt_row attempt = make_attempt();
		attempt.absent_since = NOW - 100000;
		struct observation o = seen("SOMETHING_NEW");
		o.squeue = by_sacct ? SIGHT_ABSENT : SIGHT_SEEN;
		o.sacct = by_sacct ? SIGHT_SEEN : SIGHT_UNOBSERVABLE;
		o.exit_code = 1;
		o.elapsed_s = 10000000;
		struct judgement j = run(&job, &attempt, &o, &with_accounting);
		assert_false(j.has_event);
		assert_non_null(strstr(job.waiting_on, "not known here"));
		assert_string_equal(attempt.slurm_state, "SOMETHING_NEW");
		assert_int_equal(attempt.absent_since, 0);
		o = seen("RUNNING");
		j = run(&job, &attempt, &o, &with_accounting);
		assert_int_equal(j.event, EVENT_SEEN_RUNNING);
		assert_null(job.waiting_on);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reconcile_a_withdrawn_attempt_is_continued_unless_it_ran),
	    cmocka_unit_test(test_reconcile_what_the_script_knew_better_counts),
	    cmocka_unit_test(test_reconcile_tells_preemption_from_cancellation),
	    cmocka_unit_test(test_reconcile_preemption_that_on_leaves_out_ends_the_chain),
	    cmocka_unit_test(test_reconcile_revoked_goes_by_the_stamps_or_ends_with_that_reason),
	    cmocka_unit_test(test_reconcile_a_state_that_is_not_known_never_ends_a_chain),
	    cmocka_unit_test(test_reconcile_without_accounting_a_cancelled_script_is_cancelled),
	    cmocka_unit_test(test_reconcile_in_job_attempts_that_had_nothing_to_do_are_replaced),
	    cmocka_unit_test(test_reconcile_without_accounting_the_fate_counts_more_than_the_exit_code),
	    cmocka_unit_test(test_reconcile_exit_code_that_sacct_cut_is_the_scripts_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
