/* Submission happens once: repeats, claims, doubt and locks. remote_submit.sh runs here under stand-ins for Slurm. */
#include "submit_local.h"

static void test_submit_repeated_gives_first_ids(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		CLEANUP(sent_done) struct sent sent = send_tasks(3);
		assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
		assert_outcome(&sent, 1, SUBMIT_ACCEPTED, "101");
		assert_outcome(&sent, 2, SUBMIT_ACCEPTED, "102");
	}
	assert_output("grep -c ^sbatch $FAKE/calls", "3");
	assert_output("stat -c %a $FAKE/out/run", "700");
	CLEANUP(sent_done) struct sent next = send_with(1, no_sources, "out/run", 2, false);
	assert_outcome(&next, 0, SUBMIT_ACCEPTED, "103");
}

static void test_submit_again_keeps_what_the_job_wrote(void **state)
{
	(void)state;
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	run("echo x >$FAKE/out/run/t0.0/logs/client.log; echo old >$FAKE/out/run/t0.0/run.sub");
	CLEANUP(sent_done) struct sent next = send_with(1, no_sources, "out/run", 2, false);
	assert_outcome(&next, 0, SUBMIT_ACCEPTED, "101");
	assert_output("cat $FAKE/out/run/t0.0/logs/client.log", "x");
	assert_output("grep -o 'e.2$' $FAKE/out/run/t0.0/run.sub", "e.2");
	assert_output("cd $FAKE/out/run && find . -type f | sort",
		      "./.claim\n./.lock\n./t0.0/.submitted/1/id\n./t0.0/.submitted/2/id\n./t0.0/logs/client.log\n./"
		      "t0.0/run.sub");
}

/* Submission takes seconds, and nobody can be asked afterwards: the time is from before, and squeue's once it answers.
 */
static void test_submit_time_of_a_slow_sbatch_is_from_before(void **state)
{
	(void)state;
	run("mv $FAKE/bin/sbatch $FAKE/bin/sbatch.real; printf '#!/bin/bash\nsleep 4\nexec $FAKE/bin/sbatch.real "
	    "\"$@\"\n' "
	    ">$FAKE/bin/sbatch; chmod +x $FAKE/bin/sbatch; : >$FAKE/fail_squeue");
	time_t before = time(NULL);
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_in_range(sent.reply.items[0].submitted_at, before, before + 3);
	remove_control("fail_squeue");
	run("echo 12345 >$FAKE/clock; sed -i 's/PENDING|[0-9]*/PENDING|12345/' $FAKE/jobs");
	CLEANUP(sent_done) struct sent again = send_tasks(1);
	assert_int_equal(again.reply.items[0].submitted_at, 12345);
	/* Another's job under the id says nothing of ours. */
	run("echo '100|PENDING|777|other' >$FAKE/jobs");
	CLEANUP(sent_done) struct sent reused = send_tasks(1);
	assert_outcome(&reused, 0, SUBMIT_ACCEPTED, "100");
	assert_in_range(reused.reply.items[0].submitted_at, before, before + 3);
}

static void test_submit_time_is_slurms(void **state)
{
	(void)state;
	run("echo $(($(date +%%s) - 120)) >$FAKE/clock");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	CLEANUP(mem_freep) char *expected = mem_printf("%lld", (long long)sent.reply.items[0].submitted_at);
	assert_output("cat $FAKE/clock", expected);
}

static void test_submit_killed_after_sbatch_is_found_by_name(void **state)
{
	(void)state;
	write_control("kill_after_sbatch", "");
	CLEANUP(sent_done) struct sent killed = send_tasks(1);
	assert_int_equal(killed.status, -1);
	assert_int_equal(killed.err.kind, NEL_REMOTE);
	remove_control("kill_after_sbatch");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_output("wc -l <$FAKE/jobs", "1");
}

static void test_submit_timed_out_is_in_doubt_then_found(void **state)
{
	(void)state;
	write_control("timeout_after_sbatch", "sbatch: error: Batch job submission failed: Socket timed out on "
					      "send/recv operation\n");
	CLEANUP(sent_done) struct sent sent = send_tasks(2);
	assert_outcome(&sent, 0, SUBMIT_IN_DOUBT, "Socket timed out");
	assert_outcome(&sent, 1, SUBMIT_RETRY, "Socket timed out");
	remove_control("timeout_after_sbatch");
	CLEANUP(sent_done) struct sent again = send_tasks(2);
	assert_outcome(&again, 0, SUBMIT_ACCEPTED, "100");
	assert_outcome(&again, 1, SUBMIT_ACCEPTED, "101");
	assert_output("wc -l <$FAKE/jobs", "2");
}

/* A claim without a marker, as a crash between the two leaves it. */
static void make_claim(const char *age)
{
	run(OWN_RUNDIR "mkdir -p $FAKE/out/run/t0.0/.submitted/1; touch -d '%s' $FAKE/out/run/t0.0/.submitted/1", age);
}

static void test_submit_with_young_claim_is_in_doubt(void **state)
{
	(void)state;
	make_claim("10 seconds ago");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_IN_DOUBT, "a moment ago");
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
}

static void test_submit_with_old_claim_and_both_answers_is_sent(void **state)
{
	(void)state;
	make_claim("2 minutes ago");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_output("grep -c -e --name=a-n.t0.0-e.1 $FAKE/calls", "1");
}

static void test_submit_with_old_claim_needs_both_answers(void **state)
{
	(void)state;
	static const char *const questions[] = {"fail_squeue", "fail_sacct"};
	make_claim("2 minutes ago");
	for (size_t i = 0; i < 2; i++) {
		write_control(questions[i], "error: Unable to contact slurm controller (connect failure)\n");
		CLEANUP(sent_done) struct sent sent = send_tasks(1);
		assert_outcome(&sent, 0, SUBMIT_IN_DOUBT, "does not answer");
		remove_control(questions[i]);
	}
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
	/* Where there is no accounting, squeue's answer is all there is. */
	write_control("fail_sacct", "Slurm accounting storage is disabled\n");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
}

static void test_submit_with_claim_is_found_in_sacct(void **state)
{
	(void)state;
	make_claim("2 minutes ago");
	write_control("acct", "55|1700000000|a-n.t0.0-e.1\n56_3|1700000100|a-n.t0.0-e.1\n77|1700000200|another\n");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "56");
	assert_int_equal(sent.reply.items[0].submitted_at, 1700000100);
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
}

static void test_submit_with_claim_is_found_by_its_stamp(void **state)
{
	(void)state;
	make_claim("2 minutes ago");
	write_control("fail_squeue", "down\n");
	run(OWN_RUNDIR "mkdir -p $FAKE/out/run/t0.0/.attempts/1; echo 4242 >$FAKE/out/run/t0.0/.attempts/1/job");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "4242");
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
}

static void test_submit_in_job_adopts_the_successor(void **state)
{
	(void)state;
	write_control("jobs", "900|PENDING|1700000000|a-n.t0.0-e.2\n");
	CLEANUP(sent_done) struct sent sent = send_with(1, no_sources, "out/run", 2, true);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "900");
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
}

static void test_submit_adopt_only_never_calls_sbatch(void **state)
{
	(void)state;
	adopt_only = true;
	CLEANUP(sent_done) struct sent never = send_tasks(1);
	adopt_only = false;
	assert_outcome(&never, 0, SUBMIT_REFUSED, "before it was sent");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	adopt_only = true;
	CLEANUP(sent_done) struct sent found = send_tasks(1);
	run("rm $FAKE/out/run/t0.0/.submitted/1/id");
	CLEANUP(sent_done) struct sent doubt = send_with(1, no_sources, "out/other", 7, false);
	adopt_only = false;
	assert_outcome(&found, 0, SUBMIT_ACCEPTED, "100");
	assert_outcome(&doubt, 0, SUBMIT_REFUSED, "before it was sent");
	assert_output("grep -c ^sbatch $FAKE/calls", "1");
}

static void test_submit_adopt_only_with_an_old_claim_is_refused(void **state)
{
	(void)state;
	run(OWN_RUNDIR "mkdir -p $FAKE/out/run/t0.0/.submitted/1");
	adopt_only = true;
	CLEANUP(sent_done) struct sent young = send_tasks(1);
	run("touch -d '5 minutes ago' $FAKE/out/run/t0.0/.submitted/1");
	CLEANUP(sent_done) struct sent old = send_tasks(1);
	adopt_only = false;
	assert_outcome(&young, 0, SUBMIT_IN_DOUBT, "a moment ago");
	assert_outcome(&old, 0, SUBMIT_REFUSED, "nothing of it");
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
}

/* An evaluation whose tasks go in parts: the later part leaves the earlier one as it is, and a repeat of it too. */
static void test_submit_of_a_later_part_keeps_the_earlier_one(void **state)
{
	(void)state;
	static const struct {
		size_t from;
		size_t count;
		const char *ids[2];
	} parts[] = {{0, 2, {"100", "101"}}, {2, 1, {"102"}}, {0, 1, {"100"}}};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		first_task = parts[i].from;
		CLEANUP(sent_done) struct sent sent = send_with(parts[i].count, no_sources, "out/parts", 1, false);
		first_task = 0;
		for (size_t t = 0; t < parts[i].count; t++)
			assert_outcome(&sent, t, SUBMIT_ACCEPTED, parts[i].ids[t]);
	}
	assert_output("ls -d $FAKE/out/parts/t*.*/.submitted/1/id | wc -l", "3");
	assert_output("grep -c '^sbatch' $FAKE/calls", "3");
}

/* Twenty at once; each child writes its outcome and id as a line. */
static void send_twenty(void)
{
	for (int i = 0; i < 20; i++) {
		if (fork() != 0)
			continue;
		struct sent sent = send_tasks(1);
		FILE *file = fopen("outcomes", "a");
		if (sent.status == 0)
			fprintf(file, "%d %s\n", (int)sent.reply.items[0].outcome, sent.reply.items[0].slurm_job_id);
		else
			fprintf(file, "error %s\n", sent.err.msg);
		fclose(file);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
}

static void test_submit_twenty_at_once_submit_once(void **state)
{
	(void)state;
	assert_int_equal(chdir(local_dir), 0);
	send_twenty();
	assert_output("wc -l <$FAKE/jobs", "1");
	assert_output("sort -u $FAKE/outcomes", "0 100");
	assert_output("wc -l <$FAKE/outcomes", "20");
}

static void test_submit_without_locks_submits_once(void **state)
{
	(void)state;
	assert_int_equal(chdir(local_dir), 0);
	run("printf '#!/bin/sh\\nexit 71\\n' >$FAKE/bin/flock; chmod +x $FAKE/bin/flock");
	send_twenty();
	assert_output("wc -l <$FAKE/jobs", "1");
	assert_output("grep -c error $FAKE/outcomes", "0");
	/* Also when all of them find the same old claim. */
	run("rm -r $FAKE/out; : >$FAKE/jobs");
	make_claim("2 minutes ago");
	send_twenty();
	assert_output("wc -l <$FAKE/jobs", "1");
}

static void test_submit_while_another_holds_the_lock_is_busy(void **state)
{
	(void)state;
	run(OWN_RUNDIR
	    "mkdir -p $FAKE/out/run; printf '#!/bin/sh\\nexit 75\\n' >$FAKE/bin/flock; chmod +x $FAKE/bin/flock");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_int_equal(sent.status, -1);
	assert_int_equal(sent.err.kind, NEL_BUSY);
}

static void test_submit_cut_anywhere_submits_nothing(void **state)
{
	(void)state;
	/* The script is about 13 KiB, the files 10 KiB more; the last cut takes off the end mark. */
	for (size_t cut = 1; cut < 20000; cut += 397) {
		local_cut = cut;
		CLEANUP(sent_done) struct sent sent = send_tasks(1);
		assert_int_equal(sent.status, -1);
	}
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
	local_cut = 0;
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SCRIPT_TEST(test_submit_repeated_gives_first_ids),
	    SCRIPT_TEST(test_submit_again_keeps_what_the_job_wrote),
	    SCRIPT_TEST(test_submit_time_of_a_slow_sbatch_is_from_before),
	    SCRIPT_TEST(test_submit_time_is_slurms),
	    SCRIPT_TEST(test_submit_killed_after_sbatch_is_found_by_name),
	    SCRIPT_TEST(test_submit_timed_out_is_in_doubt_then_found),
	    SCRIPT_TEST(test_submit_with_young_claim_is_in_doubt),
	    SCRIPT_TEST(test_submit_with_old_claim_and_both_answers_is_sent),
	    SCRIPT_TEST(test_submit_with_old_claim_needs_both_answers),
	    SCRIPT_TEST(test_submit_with_claim_is_found_in_sacct),
	    SCRIPT_TEST(test_submit_with_claim_is_found_by_its_stamp),
	    SCRIPT_TEST(test_submit_in_job_adopts_the_successor),
	    SCRIPT_TEST(test_submit_adopt_only_never_calls_sbatch),
	    SCRIPT_TEST(test_submit_adopt_only_with_an_old_claim_is_refused),
	    SCRIPT_TEST(test_submit_of_a_later_part_keeps_the_earlier_one),
	    SCRIPT_TEST(test_submit_twenty_at_once_submit_once),
	    SCRIPT_TEST(test_submit_without_locks_submits_once),
	    SCRIPT_TEST(test_submit_while_another_holds_the_lock_is_busy),
	    SCRIPT_TEST(test_submit_cut_anywhere_submits_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
