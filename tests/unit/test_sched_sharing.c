/* sched/sharing.c: what an observation of a shared attempt means for each of its jobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sched/action.h"
#include "sched/sharing.h"

#define NOW 2000000000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct reconcile_rules rules = {.accounting = true, .absence_deadline_s = 300, .now_s = NOW};

struct scene {
	struct active_chains set;
	struct active_chain *jobs[3];
};

/* Three jobs in attempt 2; the first has ended in attempt 1. */
static void scene_init(struct scene *scene, enum chain_state state)
{
	*scene = (struct scene){0};
	for (int i = 0; i < 3; i++) {
		struct job_row row = {.seq = 10 + i,
				      .index = i,
				      .state = state,
				      .progress = -1,
				      .chain = {.seq = 7,
						.number = 1,
						.at_once = 1,
						.walltime_s = 600,
						.resume_mode = mem_strdup("daemon"),
						.resume_on = mem_strdup("TIMEOUT,PREEMPTED,NODE_FAIL"),
						.budget_limit_s = 1000,
						.budget_from_attempt = 1,
						.attempt = 2}};
		snprintf(row.id, sizeof row.id, "0123456789abcdef.%d", i);
		scene->jobs[i] = active_chains_put(&scene->set, &row);
	}
	struct chain_common *common = scene->jobs[0]->common;
	common->attempt = (struct attempt_row){.number = 2,
					       .jobs = mem_strdup("[\"0123456789abcdef.1\",\"0123456789abcdef.2\"]"),
					       .slurm_job_id = mem_strdup("77"),
					       .elapsed_s = -1,
					       .exit_code = -1};
	common->used_before_s = 100;
	assert_int_equal(common->member_count, 3);
}

static struct observation seen(const char *state, struct job_sighting *jobs, size_t count)
{
	struct observation o = {.squeue = SIGHT_SEEN,
				.sacct = SIGHT_SEEN,
				.exit_code = -1,
				.elapsed_s = 60,
				.started_at = NOW - 60,
				.acct_elapsed_s = -1,
				.progress = -1,
				.stamp_exit = -1,
				.stamp_elapsed_s = -1,
				.start_up_s = -1,
				.jobs = jobs,
				.job_count = count};
	snprintf(o.state, sizeof o.state, "%s", state);
	return o;
}

/* What each job is told; NULL for no event. */
static void look(struct scene *scene, const struct observation *o, struct judgement *ret)
{
	for (size_t i = 0; i < COUNT(scene->jobs); i++)
		sharing_reconcile(scene->jobs[i], i == 0, o, &rules, &ret[i]);
}

static void test_each_job_begins_and_ends_by_its_own_record(void **state)
{
	(void)state;
	struct scene scene;
	struct judgement j[3];
	struct job_sighting jobs[] = {
	    {.job_index = 0,
	     .has_end = true,
	     .exit_code = 0,
	     .end_started_at = 5,
	     .ended_at = 25,
	     .end_attempt = 1,
	     .progress = 4},
	    {.job_index = 1, .started_at = NOW - 30, .progress = 2},
	};
	scene_init(&scene, CHAIN_PENDING);
	struct observation o = seen("RUNNING", jobs, COUNT(jobs));
	look(&scene, &o, j);
	assert_true(j[0].has_event && j[0].event == EVENT_END_SUCCESS);
	assert_string_equal(j[0].reason, "evaluated in attempt 1, in 20 s");
	assert_int_equal(scene.jobs[0]->end_attempt, 1);
	assert_int_equal(scene.jobs[0]->job.started_at, 5);
	assert_true(j[1].has_event && j[1].event == EVENT_SEEN_RUNNING);
	assert_int_equal(scene.jobs[1]->job.started_at, NOW - 30);
	assert_int_equal(scene.jobs[1]->job.progress, 2);
	assert_null(scene.jobs[1]->job.waiting_on);
	assert_false(j[2].has_event);
	assert_int_equal(scene.jobs[2]->job.started_at, 0);
	assert_string_equal(scene.jobs[2]->job.waiting_on, "its turn on the shared server: 2 of 2");
	assert_int_equal(scene.jobs[0]->common->row.budget_used_s, 160);
	/* The same again has nothing to store. */
	scene.jobs[1]->job.state = CHAIN_RUNNING;
	look(&scene, &o, j);
	assert_false(j[1].changed);
	assert_false(j[2].changed);
	active_chains_done(&scene.set);
}

/* So that what it used becomes known. */
static void test_last_end_is_told_with_that_of_the_attempt(void **state)
{
	(void)state;
	struct scene scene;
	struct judgement j[3];
	struct job_sighting jobs[] = {
	    {.job_index = 1, .has_end = true, .exit_code = 0, .started_at = NOW - 30, .end_attempt = 2},
	    {.job_index = 2, .has_end = true, .exit_code = 7, .started_at = NOW - 20, .end_attempt = 2},
	};
	scene_init(&scene, CHAIN_RUNNING);
	scene.jobs[0]->job.state = CHAIN_SUCCEEDED;
	struct observation o = seen("RUNNING", jobs, COUNT(jobs));
	for (int i = 0; i < 2; i++) {
		look(&scene, &o, j);
		for (size_t n = 1; n < COUNT(j); n++) {
			assert_true(!j[n].has_event || j[n].event == EVENT_SEEN_RUNNING);
			assert_string_equal(scene.jobs[n]->job.waiting_on,
					    "the end of its Slurm job, in which all have ended");
		}
	}
	/* One that is to be evaluated in the next attempt does not count: it waits for the end of this one. */
	scene.jobs[0]->job.state = CHAIN_RESUMING;
	look(&scene, &o, j);
	assert_true(!j[1].has_event || j[1].event == EVENT_SEEN_RUNNING);
	o = seen("COMPLETED", jobs, COUNT(jobs));
	o.exit_code = 0;
	o.ended_at = NOW - 1;
	sharing_reconcile(scene.jobs[1], true, &o, &rules, &j[1]);
	sharing_reconcile(scene.jobs[2], false, &o, &rules, &j[2]);
	assert_true(j[1].has_event && j[1].event == EVENT_END_SUCCESS);
	assert_true(j[2].has_event && j[2].event == EVENT_END_FAILURE);
	assert_int_equal(scene.jobs[1]->common->attempt.ended_at, NOW - 1);
	active_chains_done(&scene.set);
}

static void test_end_before_a_resumption_by_hand_is_no_end(void **state)
{
	(void)state;
	struct scene scene;
	struct judgement j[3];
	struct job_sighting jobs[] = {
	    {.job_index = 0, .has_end = true, .exit_code = 7, .end_attempt = 1, .progress = -1},
	};
	scene_init(&scene, CHAIN_PENDING);
	scene.jobs[0]->job.from_attempt = 2;
	struct observation o = seen("RUNNING", jobs, COUNT(jobs));
	look(&scene, &o, j);
	assert_false(j[0].has_event);
	jobs[0].end_attempt = 2;
	look(&scene, &o, j);
	assert_true(j[0].has_event && j[0].event == EVENT_END_FAILURE);
	assert_non_null(strstr(j[0].reason, "exit code 7"));
	active_chains_done(&scene.set);
}

static void test_end_of_the_attempt_is_that_of_who_has_none(void **state)
{
	static const struct {
		const char *slurm;
		enum chain_event event;
	} cases[] = {{"TIMEOUT", EVENT_END_CONTINUE},
		     {"NODE_FAIL", EVENT_END_CONTINUE},
		     {"FAILED", EVENT_END_FAILURE},
		     {"CANCELLED", EVENT_END_CANCELLED}};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scene scene;
		struct judgement j[3];
		struct job_sighting jobs[] = {
		    {.job_index = 1, .has_end = true, .exit_code = 0, .end_attempt = 2, .progress = 9},
		};
		scene_init(&scene, CHAIN_PENDING);
		struct observation o = seen(cases[i].slurm, jobs, COUNT(jobs));
		o.ended_at = NOW - 1;
		o.elapsed_s = 59;
		look(&scene, &o, j);
		assert_int_equal(j[1].event, EVENT_END_SUCCESS);
		assert_true(j[0].has_event && j[0].event == cases[i].event);
		assert_true(j[2].has_event && j[2].event == cases[i].event);
		assert_int_equal(scene.jobs[0]->end_attempt, 0);
		/* It is one attempt, not three. */
		assert_int_equal(scene.jobs[0]->common->row.budget_used_s, 159);
		assert_true(scene.jobs[0]->common->row.failures <= 1);
		active_chains_done(&scene.set);
	}
}

static void test_missing_record_of_an_attempt_that_ended_well_is_awaited(void **state)
{
	(void)state;
	struct scene scene;
	struct judgement j[3];
	scene_init(&scene, CHAIN_PENDING);
	scene.jobs[2]->job.state = CHAIN_CANCELLING;
	scene.jobs[2]->job.cancel_requested_at = 1;
	scene.jobs[2]->job.cancel_requested_by = mem_strdup("anna");
	struct observation o = seen("COMPLETED", NULL, 0);
	o.exit_code = 0;
	o.ended_at = NOW - 299;
	look(&scene, &o, j);
	assert_false(j[0].has_event);
	assert_true(j[2].has_event && j[2].event == EVENT_END_CANCELLED);
	assert_string_equal(j[2].reason, "cancelled by anna");
	o.ended_at = NOW - 300;
	look(&scene, &o, j);
	assert_true(j[0].has_event && j[0].event == EVENT_END_FAILURE);
	assert_non_null(strstr(j[0].reason, "without a record of the end of this job"));
	active_chains_done(&scene.set);
}

/* Attempt 3 was queued by attempt 2, which timed out while the daemon was away. */
static void test_end_in_an_attempt_that_the_store_does_not_know_is_told_when_it_does(void **state)
{
	(void)state;
	struct scene scene;
	struct judgement j[3];
	struct job_sighting jobs[] = {
	    {.job_index = 0, .has_end = true, .exit_code = 0, .end_attempt = 2, .progress = 9},
	    {.job_index = 1, .has_end = true, .exit_code = 0, .end_attempt = 3, .progress = 9},
	};
	scene_init(&scene, CHAIN_RUNNING);
	struct observation o = seen("TIMEOUT", jobs, COUNT(jobs));
	o.ended_at = NOW - 200;
	look(&scene, &o, j);
	assert_true(j[0].has_event && j[0].event == EVENT_END_SUCCESS);
	assert_true(j[1].has_event && j[1].event == EVENT_END_CONTINUE);
	scene.jobs[0]->common->attempt.number = 3;
	look(&scene, &o, j);
	assert_true(j[1].has_event && j[1].event == EVENT_END_SUCCESS);
	active_chains_done(&scene.set);
}

/* Its successor had been queued when the job was resumed: to that one's script the job has an end. */
static void test_job_that_a_queued_successor_left_out_goes_on_in_the_next_attempt(void **state)
{
	static const struct {
		const char *mode, *slurm;
		int exit_code, from_attempt;
		enum chain_event event;
		int from_attempt_then;
	} cases[] = {
	    {"in_job", "COMPLETED", 0, 2, EVENT_END_CONTINUE, 3}, {"in_job", "TIMEOUT", 0, 2, EVENT_END_CONTINUE, 3},
	    {"in_job", "FAILED", 4, 2, EVENT_END_CONTINUE, 3},    {"in_job", "FAILED", 1, 2, EVENT_END_FAILURE, 2},
	    {"daemon", "COMPLETED", 0, 2, EVENT_END_FAILURE, 2},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scene scene;
		struct judgement j[3];
		struct job_sighting jobs[] = {
		    {.job_index = 0, .has_end = true, .exit_code = 7, .end_attempt = 1, .progress = -1},
		};
		scene_init(&scene, CHAIN_PENDING);
		free(scene.jobs[0]->common->row.resume_mode);
		scene.jobs[0]->common->row.resume_mode = mem_strdup(cases[i].mode);
		scene.jobs[0]->job.from_attempt = cases[i].from_attempt;
		struct observation o = seen(cases[i].slurm, jobs, COUNT(jobs));
		o.exit_code = cases[i].exit_code;
		o.ended_at = NOW - 300;
		look(&scene, &o, j);
		assert_true(j[0].has_event && j[0].event == cases[i].event);
		assert_int_equal(scene.jobs[0]->job.from_attempt, cases[i].from_attempt_then);
		assert_true(cases[i].from_attempt == cases[i].from_attempt_then || j[0].changed);
		active_chains_done(&scene.set);
	}
}

/* Once the mark is there and Slurm has not started the attempt, its script will leave the job out. */
static void test_cancelled_job_of_an_attempt_that_waits_has_ended_once_its_script_knows(void **state)
{
	(void)state;
	static const struct {
		const char *slurm_state;
		int marked_attempt;
		int64_t marked_ms;
		bool begun; /* in an earlier start of the attempt */
		enum sighting squeue;
		bool ends;
	} cases[] = {
	    {"PENDING", 2, 1000, false, SIGHT_SEEN, true},
	    {"PENDING", 2, 5000, false, SIGHT_SEEN, false}, /* it may have been asked before */
	    {"PENDING", 2, 0, false, SIGHT_SEEN, false},    /* nobody has told the script */
	    {"PENDING", 1, 1000, false, SIGHT_SEEN, false}, /* that was another attempt, before a resumption */
	    {"PENDING", 2, 1000, true, SIGHT_SEEN, false},
	    {"PENDING", 2, 1000, false, SIGHT_UNOBSERVABLE, false},
	    {"CONFIGURING", 2, 1000, false, SIGHT_SEEN, false},
	    {"RUNNING", 2, 1000, false, SIGHT_SEEN, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scene scene;
		struct judgement j[3];
		struct job_sighting begun[] = {{.job_index = 1, .started_at = NOW - 30, .progress = 2}};
		scene_init(&scene, CHAIN_PENDING);
		struct active_chain *cancelled = scene.jobs[1];
		cancelled->job.state = CHAIN_CANCELLING;
		cancelled->job.cancel_requested_at = NOW - 10;
		cancelled->job.cancel_requested_by = mem_strdup("ann");
		cancelled->marked_attempt = cases[i].marked_attempt;
		cancelled->marked_ms = cases[i].marked_ms;
		struct observation o = seen(cases[i].slurm_state, begun, cases[i].begun);
		o.squeue = cases[i].squeue;
		const struct reconcile_rules asked = {
		    .accounting = true, .absence_deadline_s = 300, .now_s = NOW, .asked_ms = 5000};
		for (size_t n = 0; n < COUNT(scene.jobs); n++)
			sharing_reconcile(scene.jobs[n], n == 0, &o, &asked, &j[n]);
		bool ends = j[1].has_event && j[1].event == EVENT_END_CANCELLED;
		if (ends != cases[i].ends)
			fail_msg("case %zu: %d", i, ends);
		if (ends)
			assert_string_equal(j[1].reason, "cancelled by ann");
		assert_false(j[2].has_event && j[2].event == EVENT_END_CANCELLED);
		active_chains_done(&scene.set);
	}
}

/* One that a person has resumed waits until the ends of the others are stored: a daemon that died in between would find
 * them running in the attempt of the first. */
static void test_next_attempt_waits_until_the_ends_of_the_one_before_are_stored(void **state)
{
	(void)state;
	struct scene scene;
	scene_init(&scene, CHAIN_RUNNING);
	struct active_chain *resumed = scene.jobs[1];
	resumed->job.state = CHAIN_RESUMING;
	assert_false(action_submit.is_due(resumed, NOW));
	for (int i = 0; i < 3; i += 2)
		scene.jobs[i]->ending = true;
	assert_true(active_chain_leads(resumed));
	assert_false(action_submit.is_due(resumed, NOW));
	for (int i = 0; i < 3; i += 2) {
		assert_false(action_submit.is_due(resumed, NOW));
		scene.jobs[i]->ending = false;
		scene.jobs[i]->job.state = CHAIN_SUCCEEDED;
	}
	assert_true(action_submit.is_due(resumed, NOW));
	active_chains_done(&scene.set);
}

static void test_use_of_the_gpus_counts_for_who_is_evaluated_meanwhile(void **state)
{
	(void)state;
	struct scene scene;
	struct judgement j[3];
	struct job_sighting jobs[] = {
	    {.job_index = 0, .has_end = true, .end_attempt = 1, .progress = -1},
	    {.job_index = 1, .started_at = NOW - 30, .progress = 2},
	    {.job_index = 2, .started_at = NOW - 5, .progress = 0},
	};
	scene_init(&scene, CHAIN_RUNNING);
	scene.jobs[0]->job.state = CHAIN_SUCCEEDED; /* before: its end is only collected now */
	struct observation o = seen("RUNNING", jobs, 2);
	o.use = (struct gpu_use){.samples = 3, .percents = 240, .low_samples = 1, .still_s = 10};
	look(&scene, &o, j);
	assert_int_equal(scene.jobs[0]->job.use.samples, 0);
	assert_int_equal(scene.jobs[1]->job.use.samples, 3);
	assert_int_equal(scene.jobs[1]->job.use.percents, 240);
	assert_true(j[1].changed);
	assert_int_equal(scene.jobs[2]->job.use.samples, 0); /* its turn has not come */
	assert_int_equal(scene.jobs[0]->common->attempt.use.samples, 3);
	/* The same again adds nothing. */
	look(&scene, &o, j);
	assert_int_equal(scene.jobs[1]->job.use.samples, 3);
	/* The one ends, the next begins: both were evaluated since the last look. */
	jobs[1].has_end = true;
	jobs[1].end_attempt = 2;
	o.job_count = 3;
	o.use = (struct gpu_use){.samples = 5, .percents = 340, .low_samples = 1, .still_s = 10};
	look(&scene, &o, j);
	assert_true(j[1].has_event && j[1].event == EVENT_END_SUCCESS);
	assert_int_equal(scene.jobs[1]->job.use.samples, 5);
	assert_int_equal(scene.jobs[1]->job.use.percents, 340);
	assert_int_equal(scene.jobs[2]->job.use.samples, 2);
	assert_int_equal(scene.jobs[2]->job.use.percents, 100);
	active_chains_done(&scene.set);
}

static void test_what_is_counted_again_after_a_resumption_is_no_rate(void **state)
{
	(void)state;
	struct scene scene;
	struct judgement j[3];
	struct job_sighting jobs[] = {{.job_index = 1, .started_at = NOW - 30, .progress = 60, .progress_total = 400}};
	scene_init(&scene, CHAIN_RUNNING);
	struct job_row *job = &scene.jobs[1]->job;
	job->progress = 100;
	job->progress_before = 100; /* it stood there when the attempt was sent */
	struct observation o = seen("RUNNING", jobs, 1);
	look(&scene, &o, j);
	assert_int_equal(job->window.from_at, 0);
	assert_int_equal(job->progress, 60);
	assert_int_equal(job->progress_total, 400);
	jobs[0].progress = 110;
	look(&scene, &o, j);
	assert_int_equal(job->window.from_at, NOW);
	assert_int_equal(job->window.from_requests, 110);
	/* Nor after a server was lost, within the attempt. */
	jobs[0].progress = 0;
	look(&scene, &o, j);
	assert_int_equal(job->window.from_at, 0);
	jobs[0].progress = 109;
	look(&scene, &o, j);
	assert_int_equal(job->window.from_at, 0);
	jobs[0].progress = 111;
	look(&scene, &o, j);
	assert_int_equal(job->window.from_requests, 111);
	active_chains_done(&scene.set);
}

static void test_leader_is_one_that_goes_on(void **state)
{
	(void)state;
	struct scene scene;
	scene_init(&scene, CHAIN_RUNNING);
	scene.jobs[0]->job.state = CHAIN_CANCELLING;
	assert_true(active_chain_leads(scene.jobs[1]));
	scene.jobs[1]->ending = true;
	assert_true(active_chain_leads(scene.jobs[2]));
	/* A job that was resumed waits for the end of the attempt. */
	scene.jobs[1]->ending = false;
	scene.jobs[1]->job.state = CHAIN_RESUMING;
	assert_false(active_chain_awaits_turn(scene.jobs[1], NOW));
	scene.jobs[2]->job.state = CHAIN_SUCCEEDED;
	assert_true(active_chain_leads(scene.jobs[0]));
	scene.jobs[0]->job.state = CHAIN_CANCELLED;
	assert_true(active_chain_awaits_turn(scene.jobs[1], NOW));
	active_chains_done(&scene.set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_job_begins_and_ends_by_its_own_record),
	    cmocka_unit_test(test_last_end_is_told_with_that_of_the_attempt),
	    cmocka_unit_test(test_end_before_a_resumption_by_hand_is_no_end),
	    cmocka_unit_test(test_end_of_the_attempt_is_that_of_who_has_none),
	    cmocka_unit_test(test_missing_record_of_an_attempt_that_ended_well_is_awaited),
	    cmocka_unit_test(test_end_in_an_attempt_that_the_store_does_not_know_is_told_when_it_does),
	    cmocka_unit_test(test_job_that_a_queued_successor_left_out_goes_on_in_the_next_attempt),
	    cmocka_unit_test(test_cancelled_job_of_an_attempt_that_waits_has_ended_once_its_script_knows),
	    cmocka_unit_test(test_next_attempt_waits_until_the_ends_of_the_one_before_are_stored),
	    cmocka_unit_test(test_use_of_the_gpus_counts_for_who_is_evaluated_meanwhile),
	    cmocka_unit_test(test_what_is_counted_again_after_a_resumption_is_no_rate),
	    cmocka_unit_test(test_leader_is_one_that_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
