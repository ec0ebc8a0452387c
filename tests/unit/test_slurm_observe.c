/* Observation: remote_observe.sh, run here under stand-ins for Slurm. */
#include "observe_fixture.h"
#include "slurm_local.h"

static void observe_jobs(const struct observe_order *orders, size_t count, bool use_sacct, struct observe_reply *reply)
{
	struct nel_err err = {0};
	if (slurm_observe(NULL, orders, count, (struct observe_wants){.sacct = use_sacct}, 60000, NULL, reply, &err) !=
	    0)
		fail_msg("%s", err.msg);
}

static void count_nodes(const struct observe_order *order, struct observe_reply *reply)
{
	struct nel_err err = {0};
	if (slurm_observe(NULL, order, 1, (struct observe_wants){.nodes = true}, 60000, NULL, reply, &err) != 0)
		fail_msg("%s", err.msg);
}

static void test_observe_reads_slurm_and_files(void **state)
{
	(void)state;
	char dirs[4][100];
	run("printf '%%s\\n' '100|RUNNING|1000|ours.0' '101|COMPLETED|1000|ours.1' '102|PENDING|1000|ours.2' "
	    ">$FAKE/jobs; "
	    "printf '%%s\\n' '101|COMPLETED|0:0|1000|1010|1400|390|ours.1|n1' "
	    "'103|TIMEOUT|0:0|1000|1010|1400|390|ours.3|n1' "
	    ">$FAKE/acct; for i in 0 1 2 3; do mkdir -p $FAKE/j$i/.attempts/2 $FAKE/j$i/artifacts; echo 50 "
	    ">$FAKE/j$i/.attempts/2/started; touch -d @90 $FAKE/j$i/.attempts/2/alive; echo 7 "
	    ">$FAKE/j$i/artifacts/progress; done; "
	    "echo '80 3' >$FAKE/j1/.attempts/2/ended; echo 90 >$FAKE/j0/.attempts/2/total; echo 6 300 2 20 "
	    ">$FAKE/j0/.attempts/2/use; echo 6 300 2 >$FAKE/j1/.attempts/2/use; echo -7 "
	    ">$FAKE/j1/.attempts/2/total; echo 60 >$FAKE/j3/total");
	struct observe_order orders[4];
	static const char *const ids[] = {"100", "101", "102", "103"};
	static const char *const names[] = {"ours.0", "ours.1", "ours.2", "ours.3"};
	for (int i = 0; i < 4; i++) {
		snprintf(dirs[i], sizeof dirs[i], "%s/j%d", local_dir, i);
		orders[i] = (struct observe_order){ids[i], names[i], dirs[i], 1000, 2};
	}
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	observe_jobs(orders, 4, true, &reply);
	assert_output("cut -d ' ' -f 1 $FAKE/calls", "squeue\nsacct");
	assert_output("grep -o -e '--jobs=.* ' $FAKE/calls", "--jobs=100,101,102,103 \n--jobs=101,103 ");
	static const char *const states[] = {"RUNNING", "COMPLETED", "PENDING", "TIMEOUT"};
	for (int i = 0; i < 4; i++)
		assert_string_equal(reply.items[i].state, states[i]);
	assert_int_equal(reply.items[0].stamp_elapsed_s, 40);
	assert_int_equal(reply.items[0].progress, 7);
	assert_int_equal(reply.items[0].progress_total, 90);
	assert_int_equal(reply.items[0].use.percents, 300);
	assert_int_equal(reply.items[1].use.samples, 0);
	assert_int_equal(reply.items[1].progress_total, 0);
	assert_int_equal(reply.items[3].progress_total, 0);
	assert_int_equal(reply.items[0].sacct, SIGHT_UNOBSERVABLE);
	assert_int_equal(reply.items[1].stamp_exit, 3);
	assert_int_equal(reply.items[1].stamp_elapsed_s, 30);
	assert_int_equal(reply.items[2].progress, -1);
	assert_int_equal(reply.items[3].squeue, SIGHT_ABSENT);
	assert_int_equal(reply.items[3].sacct, SIGHT_SEEN);
	assert_true(reply.cluster_now > 1000000000);
}

/* Rows as sinfo prints them, one for each partition of a node; the first case is recorded from Slurm 22.05, others have
 * the words of later ones (sinfo(1) of 24.11: NODE STATE CODES; types, sockets and indexes of GPUs). */
static void test_observe_counts_nodes_and_gpus_that_are_free(void **state)
{
	(void)state;
	static const struct {
		const char *rows;
		struct node_counts counts;
	} cases[] = {
	    {"a1 mixed gpu:8 gpu:3\na1 mixed gpu:8 gpu:3\na2 drained gpu:8 gpu:0\na2 drained gpu:8 gpu:0\n"
	     "a3 allocated gpu:8 gpu:8\n",
	     {2, 0, 16, 5}},
	    {"n1 idle gpu:a100:4(S:0-1) gpu:a100:0(IDX:N/A)\nn2 mixed gpu:a100:4(S:0,1) gpu:a100:3(IDX:0,2-3)\n"
	     "n3 mixed gpu:a100:2,gpu:h100:2,shard:16 gpu:a100:1(IDX:0),gpu:h100:0(IDX:N/A),shard:2(2/4,0/4)\n",
	     {3, 1, 12, 8}},
	    {"n1 mixed gpu:(null):4(S:0-1) gpu:(null):1(IDX:1)\nn2 idle (null) (null)\nn3 mixed (null) gpu:0\n",
	     {3, 1, 4, 3}},
	    /* All CPUs are taken: its GPUs can be had by nobody. */
	    {"n1 allocated gpu:8 gpu:2\nn2 allocated+ gpu:8 gpu:0\nn3 completing gpu:8 gpu:0\n", {3, 0, 24, 0}},
	    /* Powered down to save power: Slurm wakes them. Planned for another job. */
	    {"n1 idle~ gpu:8 gpu:0\nn2 idle# gpu:8 gpu:0\nn3 idle- gpu:8 gpu:0\nn4 mixed- gpu:8 gpu:1\n"
	     "n5 planned gpu:8 gpu:0\n",
	     {5, 2, 40, 16}},
	    {"n1 down* gpu:8 gpu:0\nn2 draining gpu:8 gpu:1\nn3 idle* gpu:8 gpu:0\nn4 maint gpu:8 gpu:0\n"
	     "n5 reserved gpu:8 gpu:0\nn6 idle$ gpu:8 gpu:0\nn7 idle@ gpu:8 gpu:0\nn8 reboot^ gpu:8 gpu:0\n"
	     "n9 idle! gpu:8 gpu:0\nn10 idle% gpu:8 gpu:0\nn11 failing gpu:8 gpu:1\nn12 unknown gpu:8 gpu:0\n"
	     "n13 inval gpu:8 gpu:0\nn14 blocked gpu:8 gpu:0\n",
	     {0, 0, 0, 0}},
	    /* What cannot be read, and counts that cannot be. */
	    {"sinfo: warning: something\nn1 idle\n\nn2 mixed gpu:8 gpu:9\nn3 mixed gpu:x gpu:1\n", {2, 0, 8, 0}},
	    {"", {0, 0, 0, 0}},
	};
	static const struct observe_order order = {"100", "ours.0", "/nowhere", 1000, 1};
	run("printf '#!/bin/bash\necho \"sinfo $*\" >>$FAKE/calls; cat $FAKE/nodes; exit $(cat $FAKE/status)\n'"
	    " >$FAKE/bin/sinfo; chmod +x $FAKE/bin/sinfo; echo 0 >$FAKE/status");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(observe_reply_done) struct observe_reply reply = {0};
		run("printf %%b '%s' >$FAKE/nodes", cases[i].rows);
		count_nodes(&order, &reply);
		if (memcmp(&reply.counts, &cases[i].counts, sizeof reply.counts) != 0)
			fail_msg("case %zu: %d of %d nodes, %d of %d GPUs", i, (int)reply.counts.free_nodes,
				 (int)reply.counts.nodes, (int)reply.counts.free_gpus, (int)reply.counts.gpus);
	}
	assert_output("grep -c ^sinfo $FAKE/calls", "8");
	/* One that fails says nothing, and harms nothing else. */
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	run("echo 'n1 idle gpu:8 gpu:0' >$FAKE/nodes; echo 1 >$FAKE/status");
	count_nodes(&order, &reply);
	assert_int_equal(reply.counts.nodes, 0);
	assert_false(reply.slurm_failed);
}

/* The stamps of a chain as of any other, and with them what its jobs have begun and ended. */
static void test_observe_of_a_shared_chain_reads_its_jobs(void **state)
{
	(void)state;
	run("echo '5|RUNNING|1000|ours' >$FAKE/jobs; mkdir -p $FAKE/r/shared.1/.attempts/2; cd $FAKE/r/shared.1; "
	    "echo 50 >.attempts/2/started; touch -d @90 .attempts/2/alive; "
	    "for job in mmlu.0 gsm8k.2 x.3 y.4 z.5; do mkdir -p .jobs/$job/.attempts/1 .jobs/$job/.attempts/2 "
	    "../$job/artifacts; done; "
	    "echo '0 20 30 1 ended' >.jobs/gsm8k.2/end; echo 20 >.jobs/gsm8k.2/.attempts/1/started; "
	    "printf '60\n70\n' >.jobs/mmlu.0/.attempts/2/started; echo 17 >../mmlu.0/artifacts/progress; echo 19 "
	    ">.jobs/mmlu.0/.attempts/2/total; "
	    "echo '143 65 66 2 cancelled' >.jobs/x.3/end; "
	    "mkdir .jobs/y.4/end .jobs/.. .jobs/nothing '.jobs/a b.9' 2>/dev/null; echo $FAKE >$FAKE/secret; "
	    "ln -s $FAKE/r/shared.1/.jobs/gsm8k.2/end .jobs/z.5/end");
	CLEANUP(mem_freep) char *dir = mem_printf("%s/r/shared.1", local_dir);
	struct observe_order order = {"5", "ours", dir, 1000, 2};
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	observe_jobs(&order, 1, false, &reply);
	const struct observation *o = &reply.items[0];
	assert_int_equal(o->stamp_started, 50);
	assert_int_equal(o->job_count, 3);
	assert_job(&o->jobs[0], (struct job_sighting){.started_at = 60, .progress = 17, .progress_total = 19});
	assert_job(&o->jobs[1], (struct job_sighting){.job_index = 2,
						      .progress = -1,
						      .has_end = true,
						      .end_started_at = 20,
						      .ended_at = 30,
						      .end_attempt = 1});
	assert_job(&o->jobs[2], (struct job_sighting){.job_index = 3,
						      .progress = -1,
						      .has_end = true,
						      .exit_code = 143,
						      .end_started_at = 65,
						      .ended_at = 66,
						      .end_attempt = 2,
						      .cancelled = true});
}

static void test_observe_one_unknown_id_is_absent(void **state)
{
	(void)state;
	run("echo 'slurm_load_jobs error: Invalid job id specified' >$FAKE/fail_squeue");
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	observe_jobs(&one, 1, true, &reply);
	assert_false(reply.slurm_failed);
	assert_int_equal(reply.items[0].squeue, SIGHT_ABSENT);
	assert_int_equal(reply.items[0].sacct, SIGHT_ABSENT);
}

/* Directories that are watched go along, whatever Slurm says; one that hangs holds the observation for seconds, not for
 * the whole of its time. */
static void test_observe_looks_into_watched_directories_too(void **state)
{
	(void)state;
	static const char *const known[] = {"step_1"};
	static const char *const hanging[] = {NULL, "stat", "realpath"};
	for (size_t hangs = 0; hangs < sizeof hanging / sizeof *hanging; hangs++) {
		run("echo '12|RUNNING|1000|ours-e.1' >$FAKE/jobs; mkdir -p $FAKE/w/step_{1,2,3} $FAKE/hung; "
		    "touch $FAKE/w/step_3/done; rm -f $FAKE/bin/{stat,realpath}");
		if (hangs > 0)
			run("printf '%%s\\n' '#!/bin/bash' '[[ $* != *hung* ]] || sleep 50' 'exec /usr/bin/%s \"$@\"' "
			    ">$FAKE/bin/%s; chmod +x $FAKE/bin/%s; echo 'slurm: down' >$FAKE/fail_squeue",
			    hanging[hangs], hanging[hangs], hanging[hangs]);
		CLEANUP(mem_freep) char *directory = mem_printf("%s/w", local_dir);
		CLEANUP(mem_freep) char *other = mem_printf("%s/hung", local_dir);
		struct watch_look look = {.orders = {{directory, "step_*", "done", known, 1},
						     {other, "*", NULL, NULL, 0},
						     {other, "x*", NULL, NULL, 0},
						     {other, "y*", NULL, NULL, 0}},
					  .count = 4};
		struct nel_err err = {0};
		CLEANUP(observe_reply_done) struct observe_reply reply = {0};
		time_t begun = time(NULL);
		if (slurm_observe(NULL, &one, 1, (struct observe_wants){.look = &look}, 60000, NULL, &reply, &err) != 0)
			fail_msg("%s", err.msg);
		assert_true(time(NULL) - begun < 35);
		assert_int_equal(reply.slurm_failed, hangs > 0);
		assert_int_equal(reply.items[0].squeue, hangs ? SIGHT_UNOBSERVABLE : SIGHT_SEEN);
		if (look.replies[0].why == NULL) { /* its turn may come behind two that hang, and then it has none */
			assert_int_equal(look.replies[0].count, 2);
			assert_string_equal(look.replies[0].entries[0].name, "step_3");
			assert_int_equal(look.replies[0].entries[0].state, WATCH_COMPLETE);
			assert_string_equal(look.replies[0].entries[1].why, "it has no file done");
		} else
			assert_true(hangs > 0 && look.replies[0].slow);
		for (size_t i = 1; i < look.count; i++) {
			assert_int_equal(look.replies[i].slow, hangs > 0);
			assert_int_equal(look.replies[i].why != NULL, hangs > 0);
		}
		for (size_t i = 0; i < look.count; i++)
			watch_reply_done(&look.replies[i]);
	}
}

/* An observation that was ended before it told all of a directory. */
static void test_watch_that_not_all_was_told_of_is_slow(void **state)
{
	(void)state;
	struct watch_reply replies[2] = {0};
	struct watch_reader reader = {.replies = replies, .count = 2};
	static struct record record;
	static const char *const told[] = {"d|0|", "d|1|", "t|1"};
	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		strcpy(record.line, told[i]);
		record.fields[0] = record.line;
		assert_true(watch_reader_take(&reader, &record));
	}
	strcpy(record.line, "m|squeue|no");
	record.fields[0] = record.line;
	assert_false(watch_reader_take(&reader, &record));
	watch_reader_end(&reader);
	assert_true(replies[0].slow && replies[0].why != NULL && !replies[1].slow && replies[1].why == NULL);
	watch_reply_done(&replies[0]);
}

static void test_observe_of_failing_slurm_is_unobservable(void **state)
{
	(void)state;
	run("echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >$FAKE/fail_squeue");
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	observe_jobs(&one, 1, true, &reply);
	assert_true(reply.slurm_failed);
	assert_non_null(strstr(reply.message, "Unable to contact"));
	assert_int_equal(reply.items[0].squeue, SIGHT_UNOBSERVABLE);
	assert_int_equal(reply.items[0].sacct, SIGHT_UNOBSERVABLE);
	assert_output("grep -c sacct $FAKE/calls", "0");
	run("rm $FAKE/fail_squeue; echo 'sacct: error: Problem talking to the database' >$FAKE/fail_sacct");
	CLEANUP(observe_reply_done) struct observe_reply second = {0};
	observe_jobs(&one, 1, true, &second);
	assert_true(second.sacct_failed && !second.slurm_failed);
	assert_int_equal(second.items[0].squeue, SIGHT_ABSENT);
	assert_int_equal(second.items[0].sacct, SIGHT_UNOBSERVABLE);
}

static void test_observe_without_accounting_asks_squeue_only(void **state)
{
	(void)state;
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	observe_jobs(&one, 1, false, &reply);
	assert_output("cut -d ' ' -f 1 $FAKE/calls", "squeue");
	assert_int_equal(reply.items[0].sacct, SIGHT_UNOBSERVABLE);
	static const struct observe_order nameless = {NULL, "ours", "/nowhere", 0, 1};
	CLEANUP(observe_reply_done) struct observe_reply none = {0};
	observe_jobs(&nameless, 1, false, &none);
	assert_int_equal(none.items[0].squeue, SIGHT_UNOBSERVABLE);
}

static void test_observe_files_that_are_odd_are_bounded(void **state)
{
	(void)state;
	run("mkdir -p $FAKE/j/.attempts/1 $FAKE/j/artifacts; cd $FAKE/j; mkfifo .attempts/1/ended; head -c 3000000 "
	    "/dev/zero | tr "
	    "'\\0' 7 >.attempts/1/started; printf '12|\\n34' >artifacts/progress; mkdir .attempts/1/alive");
	CLEANUP(mem_freep) char *dir = mem_printf("%s/j", local_dir);
	struct observe_order order = {"5", "ours", dir, 1000, 1};
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	observe_jobs(&order, 1, false, &reply);
	assert_int_equal(reply.items[0].progress, -1);
}

/* What a container plants in place of its files is not read: here, numbers that are nobody's business. */
static void test_observe_of_planted_files_reads_none(void **state)
{
	(void)state;
	static const char *const plants[] = {
	    "ln -s $FAKE/secret artifacts/progress; ln -s $FAKE/secret .attempts/1/started",
	    "ln $FAKE/secret artifacts/progress; ln $FAKE/secret .attempts/1/started",
	    "rmdir artifacts .attempts/1; ln -s $FAKE/else artifacts; ln -s $FAKE/else .attempts/1",
	    "cd ..; mv job real; ln -s real job; cp $FAKE/secret real/artifacts/progress",
	    "cd ../..; mv run real; ln -s real run; cp $FAKE/secret run/job/artifacts/progress",
	    "mkfifo artifacts/progress .attempts/1/started .attempts/1/ended .attempts/1/fate",
	    "echo 5 6 >artifacts/progress; mkdir .attempts/1/started",
	};
	CLEANUP(mem_freep) char *dir = mem_printf("%s/run/job", local_dir);
	struct observe_order order = {"5", "ours", dir, 1000, 1};
	for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
		run("cd $FAKE; rm -rf run real else; mkdir -p run/job/.attempts/1 run/job/artifacts else; echo 4242 "
		    ">secret; "
		    "cp secret else/progress; cp secret else/started; cd run/job; %s",
		    plants[i]);
		CLEANUP(observe_reply_done) struct observe_reply reply = {0};
		observe_jobs(&order, 1, false, &reply);
		assert_int_equal(reply.items[0].progress, -1);
		assert_int_equal(reply.items[0].stamp_started, 0);
	}
	/* The way to the run directory may have links. */
	run("cd $FAKE; rm -rf run real; mkdir -p real/run/job/artifacts; echo 17 >real/run/job/artifacts/progress; "
	    "ln -s real/run run; ln -s real root");
	CLEANUP(mem_freep) char *there = mem_printf("%s/root/run/job", local_dir);
	order.job_dir = there;
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	observe_jobs(&order, 1, false, &reply);
	assert_int_equal(reply.items[0].progress, 17);
}

/* One that changes what a name stands for all the time never gets anything else read, and holds nobody up for long. */
static void test_observe_of_files_that_are_swapped_reads_their_own(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = mem_printf("%s/run/job", local_dir);
	struct observe_order order = {"5", "ours", dir, 1000, 1};
	run("mkdir -p $FAKE/run/job/artifacts; cd $FAKE/run/job/artifacts; echo 4242 >$FAKE/secret; echo 17 >progress; "
	    "(while [[ -e $FAKE/secret ]]; do ln -sf $FAKE/secret l; mv -T l progress; echo 17 >f; mv -T f progress; "
	    "done) "
	    ">/dev/null 2>&1 &");
	for (int i = 0; i < 60; i++) {
		CLEANUP(observe_reply_done) struct observe_reply reply = {0};
		observe_jobs(&order, 1, false, &reply);
		assert_true(reply.items[0].progress == 17 || reply.items[0].progress == -1);
	}
	run("rm $FAKE/secret; sleep 0.1");
}

static void test_observe_ten_thousand_jobs_is_one_question(void **state)
{
	(void)state;
	enum { JOBS = 10000 };
	struct observe_order *orders = mem_calloc(JOBS, sizeof *orders);
	char(*texts)[3][64] = mem_calloc(JOBS, sizeof *texts);
	run("seq 200000 209999 | sed 's/.*/&|RUNNING|1000|ours.&/' >$FAKE/jobs; printf '#!/bin/bash\\necho squeue "
	    ">>$FAKE/calls; "
	    "sed \"s/^\\\\([0-9]*\\\\)|RUNNING|1000|\\\\(.*\\\\)$/q|\\\\1|RUNNING|1000|1010|2000|1:05|None|\\\\2|n1/\" "
	    "$FAKE/jobs\\n' "
	    ">$FAKE/bin/squeue");
	for (int i = 0; i < JOBS; i++) {
		snprintf(texts[i][0], 64, "%d", 200000 + i);
		snprintf(texts[i][1], 64, "ours.%d", 200000 + i);
		snprintf(texts[i][2], 64, "/nowhere/at/all/task.%d", i);
		orders[i] = (struct observe_order){texts[i][0], texts[i][1], texts[i][2], 1000, 1};
	}
	CLEANUP(observe_reply_done) struct observe_reply reply = {0};
	observe_jobs(orders, JOBS, true, &reply);
	for (int i = 0; i < JOBS; i++)
		assert_string_equal(reply.items[i].state, "RUNNING");
	assert_output("cat $FAKE/calls", "squeue");
	free(orders);
	free(texts);
}

static void test_has_accounting_answers(void **state)
{
	(void)state;
	struct nel_err err = {0};
	bool has = false;
	run("echo accounting_storage/slurmdbd >$FAKE/accounting");
	assert_int_equal(slurm_has_accounting(NULL, 20000, &has, &err), 0);
	assert_true(has);
	/* Down for now: it is there all the same. */
	run("echo 'sacct: error: Connection refused' >$FAKE/fail_sacct");
	has = false;
	assert_int_equal(slurm_has_accounting(NULL, 20000, &has, &err), 0);
	assert_true(has);
	run("echo 'Slurm accounting storage is disabled' >$FAKE/fail_sacct");
	assert_int_equal(slurm_has_accounting(NULL, 20000, &has, &err), 0);
	assert_false(has);
	run("rm $FAKE/fail_sacct; echo accounting_storage/none >$FAKE/accounting");
	assert_int_equal(slurm_has_accounting(NULL, 20000, &has, &err), 0);
	assert_false(has);
	run("echo 'Unable to contact slurm controller' >$FAKE/fail_scontrol");
	assert_int_equal(slurm_has_accounting(NULL, 20000, &has, &err), -1);
	assert_int_equal(err.kind, NEL_REMOTE);
}

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, local_setup, local_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SCRIPT_TEST(test_observe_reads_slurm_and_files),
	    SCRIPT_TEST(test_observe_counts_nodes_and_gpus_that_are_free),
	    SCRIPT_TEST(test_observe_one_unknown_id_is_absent),
	    SCRIPT_TEST(test_observe_of_a_shared_chain_reads_its_jobs),
	    SCRIPT_TEST(test_observe_looks_into_watched_directories_too),
	    cmocka_unit_test(test_watch_that_not_all_was_told_of_is_slow),
	    SCRIPT_TEST(test_observe_of_failing_slurm_is_unobservable),
	    SCRIPT_TEST(test_observe_without_accounting_asks_squeue_only),
	    SCRIPT_TEST(test_observe_files_that_are_odd_are_bounded),
	    SCRIPT_TEST(test_observe_of_planted_files_reads_none),
	    SCRIPT_TEST(test_observe_of_files_that_are_swapped_reads_their_own),
	    SCRIPT_TEST(test_observe_ten_thousand_jobs_is_one_question),
	    SCRIPT_TEST(test_has_accounting_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
