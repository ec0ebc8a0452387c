/* execution.walltime: auto: how long remote_submit.sh lets jobs be, by what sbatch --test-only says. */
#include "submit_local.h"

/* holes: lines of minutes and a delay in s, the shortest first: what asks for no more starts after that. */
static struct sent send_ranges(const char *holes, const char *rundir)
{
	write_control("holes", holes);
	return send_with(1, no_sources, rundir, 1, false);
}

static void range_is(int64_t least_min, int64_t most_min, int64_t start_up_s, int64_t attempts_left)
{
	walltimes[0] = (struct walltime_range){least_min * 60, most_min * 60, start_up_s, attempts_left};
}

static int walltime_teardown(void **state)
{
	memset(walltimes, 0, sizeof walltimes);
	return local_teardown(state);
}

static void test_walltime_is_the_longest_that_starts_soonest(void **state)
{
	(void)state;
	static const struct {
		const char *holes;
		int64_t least, most, start_up_s, attempts_left;
		const char *partition;
		int64_t want_min;
		const char *why; /* a part of it */
	} cases[] = {
	    /* nothing in the way: the longest, and no more questions */
	    {"99999 0", 30, 7200, 0, 0, NULL, 7200, "120:00:00 (at once)"},
	    /* only what is over before a reservation begins starts at once */
	    {"45 0\n99999 7200", 30, 240, 0, 0, NULL, 30, "00:30:00 (at once)"},
	    {"60 0\n99999 7200", 30, 240, 0, 0, NULL, 60, "04:00:00 (in 720"},
	    {"120 0\n99999 7200", 30, 240, 0, 0, NULL, 120, "02:00:00 (at once)"},
	    /* all wait equally long: the longest */
	    {"99999 7200", 30, 240, 0, 0, NULL, 240, "00:30:00 (in 720"},
	    /* a later start by less than a start-up of the servers is no later */
	    {"60 0\n99999 900", 30, 240, 1000, 0, NULL, 240, "in 90"},
	    {"60 0\n99999 900", 30, 240, 600, 0, NULL, 60, "in 90"},
	    /* what is refused, or has no answer, is not taken */
	    {"60 100", 30, 240, 0, 0, NULL, 60, "04:00:00 (refused)"},
	    {"99999 silent", 30, 7200, 0, 0, NULL, 60, "does not say"},
	    {"99999 silent", 90, 7200, 0, 0, NULL, 90, "does not say"},
	    {"99999 silent", 30, 40, 0, 0, NULL, 40, "does not say"},
	    /* the partition's limit */
	    {"99999 0", 30, 7200, 0, 0, "1-00:00:00", 1440, "24:00:00 (at once)"},
	    {"99999 0", 30, 7200, 0, 0, "45:00", 45, "00:45:00 (at once)"},
	    {"99999 0", 30, 7200, 0, 0, "4:00:00\\n2:00:00", 120, "02:00:00 (at once)"},
	    {"99999 0", 90, 7200, 0, 0, "1:00:00", 60, "01:00:00 (at once)"},
	    /* so many attempts are left, and have to do */
	    {"45 0\n99999 7200", 30, 240, 0, 2, NULL, 240, "02:00:00 (in 720"},
	    {"99999 7200", 30, 240, 0, 1, NULL, 240, "04:00:00 (in 720"},
	    /* a single length */
	    {"99999 300", 30, 30, 0, 0, NULL, 30, "00:30:00 (in "},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *rundir = mem_printf("out/auto-%zu", i);
		range_is(cases[i].least, cases[i].most, cases[i].start_up_s, cases[i].attempts_left);
		if (cases[i].partition != NULL)
			run("printf '%%b\\n' '%s' >$FAKE/partition_limit", cases[i].partition);
		run(": >$FAKE/calls");
		CLEANUP(sent_done) struct sent sent = send_ranges(cases[i].holes, rundir);
		if (sent.status != 0)
			fail_msg("case %zu: %s", i, sent.err.msg);
		const struct submit_result *result = &sent.reply.items[0];
		if (result->outcome != SUBMIT_ACCEPTED || result->time_limit_s != cases[i].want_min * 60 ||
		    strstr(result->message, cases[i].why) == NULL)
			fail_msg("case %zu: %lld s: %s", i, (long long)result->time_limit_s, result->message);
		CLEANUP(mem_freep)
		char *call = mem_printf("sbatch --parsable --time=%lld run.sub", (long long)cases[i].want_min);
		assert_output("grep '^sbatch --parsable' $FAKE/calls", call);
		run("[[ $(grep -c 'sbatch --test-only' $FAKE/calls) -le 4 ]]; rm -f $FAKE/partition_limit");
	}
}

/* However many the tasks are, and each within its own bounds. */
static void test_walltime_of_many_tasks_asks_once(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++)
		walltimes[i] = (struct walltime_range){1800, (i + 1) * 3600, 0, 0};
	walltimes[6] = (struct walltime_range){0};
	write_control("holes", "150 0\n99999 7200");
	CLEANUP(sent_done) struct sent sent = send_tasks(7);
	assert_output("grep -c 'sbatch --test-only' $FAKE/calls", "2"); /* 360 and 120 of 360, 120, 40, 30 */
	static const int64_t want_s[] = {3600, 7200, 7200, 7200, 7200, 7200, 0};
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(sent.reply.items[i].outcome, SUBMIT_ACCEPTED);
		assert_int_equal(sent.reply.items[i].time_limit_s, want_s[i]);
	}
	assert_output("grep '^sbatch --parsable' $FAKE/calls | tail -n 1", "sbatch --parsable run.sub");
}

/* A repeat tells what was chosen, and asks and sends nothing; one that has to find the job has its limit from Slurm. */
static void test_walltime_of_a_repeat_is_that_of_the_job(void **state)
{
	(void)state;
	range_is(30, 240, 0, 0);
	CLEANUP(sent_done) struct sent first = send_ranges("120 0\n99999 7200", "out/run");
	assert_int_equal(first.reply.items[0].time_limit_s, 7200);
	run(": >$FAKE/calls");
	CLEANUP(sent_done) struct sent again = send_ranges("99999 0", "out/run");
	assert_int_equal(again.reply.items[0].time_limit_s, 7200);
	assert_non_null(strstr(again.reply.items[0].message, "02:00:00 (at once)"));
	/* The marker is lost, and so is what was chosen. */
	run("rm $FAKE/out/run/t0.0/.submitted/1/{id,walltime}");
	CLEANUP(sent_done) struct sent found = send_ranges("99999 0", "out/run");
	assert_outcome(&found, 0, SUBMIT_ACCEPTED, "100");
	assert_int_equal(found.reply.items[0].time_limit_s, 7200);
	assert_output("grep -c ^sbatch $FAKE/calls || true", "0");
	/* squeue has forgotten it: what was chosen is what is known. */
	run("echo '120|because' >$FAKE/out/run/t0.0/.submitted/1/walltime; : >$FAKE/jobs");
	CLEANUP(sent_done) struct sent forgotten = send_ranges("99999 0", "out/run");
	assert_int_equal(forgotten.reply.items[0].time_limit_s, 7200);
	assert_string_equal(forgotten.reply.items[0].message, "because");
}

/* sbatch hangs when it is only asked: bounded, and the job goes. */
static void test_walltime_with_a_silent_slurmctld_is_the_usual_one(void **state)
{
	(void)state;
	run("mv \"$FAKE/bin/sbatch\" \"$FAKE/bin/real\"; printf '%%s\n' '#!/bin/bash' '[[ $* != *--test-only* ]] || { "
	    "echo x "
	    ">>\"$FAKE/hung\"; exec sleep 100; }' 'exec \"$FAKE/bin/real\" \"$@\"' >\"$FAKE/bin/sbatch\"; chmod +x "
	    "\"$FAKE/bin/sbatch\"");
	range_is(30, 7200, 0, 0);
	CLEANUP(sent_done) struct sent sent = send_ranges("", "out/run");
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_int_equal(sent.reply.items[0].time_limit_s, 3600);
	run("[[ $(wc -l <$FAKE/hung) -eq 1 ]]");
}

#define WALLTIME_TEST(f) cmocka_unit_test_setup_teardown(f, local_setup, walltime_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WALLTIME_TEST(test_walltime_is_the_longest_that_starts_soonest),
	    WALLTIME_TEST(test_walltime_of_many_tasks_asks_once),
	    WALLTIME_TEST(test_walltime_of_a_repeat_is_that_of_the_job),
	    WALLTIME_TEST(test_walltime_with_a_silent_slurmctld_is_the_usual_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
