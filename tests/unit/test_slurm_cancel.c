/* Cancelling: remote_cancel.sh run here under stand-ins for Slurm. */
#include "slurm/cancel.h"
#include "slurm_local.h"

static const char queue[] =
    "printf '%s\\n' '100|RUNNING|1|ours.1' '101_[1-3]|PENDING|1|ours.2' '102|RUNNING|1|someone'\"'\"'s|job' "
    ">$FAKE/jobs";

static void test_cancel_reaches_ids_and_names(void **state)
{
	(void)state;
	static const struct {
		struct cancel_order order;
		const char *expected;
	} cases[] = {
	    {{"100", "ours.1", NULL, false}, "scancel 100"},
	    {{NULL, "ours.2", NULL, false}, "scancel 101"},
	    {{"102", NULL, NULL, false}, "scancel 102"},
	    {{"", "someone's|job", NULL, false}, "scancel 102"},
	    {{"999", "ours.1", NULL, false}, "scancel 100"},
	    /* The id was given anew. */
	    {{"102", "ours.1", NULL, false}, "scancel 100"},
	    {{"102", "ours.9", NULL, false}, ""},
	    {{"999", NULL, NULL, false}, ""},
	    {{NULL, NULL, NULL, false}, ""},
	    {{NULL, "ours", NULL, false}, ""},
	};
	run("%s", queue);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err;
		run(": >$FAKE/calls");
		if (slurm_cancel(NULL, &cases[i].order, 1, 20000, &err) != 0)
			fail_msg("%zu: %s", i, err.msg);
		assert_output("grep ^scancel $FAKE/calls", cases[i].expected);
	}
}

static void test_cancel_asks_once_for_many(void **state)
{
	(void)state;
	static const struct cancel_order orders[] = {
	    {"100", "ours.1", NULL, false}, {"101", "ours.2", NULL, false}, {"5", "ours.3", NULL, false}};
	struct nel_err err;
	run("%s", queue);
	assert_int_equal(slurm_cancel(NULL, orders, 3, 20000, &err), 0);
	assert_output("cut -d ' ' -f 1 $FAKE/calls", "squeue\nscancel");
	assert_output("tail -n 1 $FAKE/calls | tr ' ' '\\n' | sort", "100\n101\nscancel");
	assert_int_equal(slurm_cancel(NULL, NULL, 0, 20000, &err), 0);
}

/* What waits for the end of another goes before it, whatever its number. */
static void test_cancel_of_a_chain_ends_its_waiting_attempts_first(void **state)
{
	(void)state;
	struct nel_err err;
	CLEANUP(mem_freep) char *dir = mem_printf("%s/job 0", local_dir);
	struct cancel_order order = {"100", "ours.9", dir, false};
	run("mkdir -p '%s'; printf '%%s\\n' '100|RUNNING|1|ours.9' '101|PENDING|1|ours.10' '102|COMPLETING|1|ours.8' "
	    "'103|PENDING|1|yours.9' '104|PENDING|1|ours.9.1' '105|PENDING|1|ours.x' >$FAKE/jobs",
	    dir);
	assert_int_equal(slurm_cancel(NULL, &order, 1, 20000, &err), 0);
	assert_output("grep ^scancel $FAKE/calls | head -n 1", "scancel 101");
	assert_output("grep ^scancel $FAKE/calls | tail -n +2 | tr ' ' '\n' | sort", "100\n102\nscancel");
	assert_output("cd \"$FAKE/job 0\" && grep -r . .attempts", ".attempts/10/fate:WITHDRAWN 0");
	/* Not through what somebody has put there. */
	static const char *const plants[] = {"ln -s $FAKE/mine .attempts/10/fate",
					     "rm -r .attempts/10; ln -s $FAKE/elsewhere .attempts/10",
					     "rm -r .attempts; ln -s $FAKE/elsewhere .attempts"};
	for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
		run("mkdir -p $FAKE/elsewhere; echo mine >$FAKE/mine; cd \"$FAKE/job 0\"; rm -rf .attempts; mkdir -p "
		    ".attempts/10; %s",
		    plants[i]);
		assert_int_equal(slurm_cancel(NULL, &order, 1, 20000, &err), 0);
		assert_output("cat $FAKE/mine; find $FAKE/elsewhere -type f", "mine");
	}
}

/* scancel looks again, so that one that begins meanwhile goes on. */
static void test_cancel_of_what_waits_leaves_what_has_begun(void **state)
{
	(void)state;
	static const struct cancel_order orders[] = {{"100", "ours.1", NULL, true}, {"101", "ours.2", NULL, true}};
	struct nel_err err;
	run("printf '%%s\\n' '100|RUNNING|1|ours.1' '101|PENDING|1|ours.2' '102|PENDING|1|ours.3' >$FAKE/jobs");
	assert_int_equal(slurm_cancel(NULL, orders, 2, 20000, &err), 0);
	assert_output("grep ^scancel $FAKE/calls", "scancel --state=PENDING 101");
}

static void test_cancel_of_ended_jobs_is_no_error(void **state)
{
	(void)state;
	static const struct cancel_order order = {"100", "ours.1", NULL, false};
	struct nel_err err;
	run("%s", queue);
	run("echo 'scancel: error: Kill job error on job id 100: Invalid job id specified' >$FAKE/fail_scancel");
	assert_int_equal(slurm_cancel(NULL, &order, 1, 20000, &err), 0);
	run("echo 'scancel: error: Kill job error on job id 100: Job/step already completing or completed' "
	    ">$FAKE/fail_scancel");
	assert_int_equal(slurm_cancel(NULL, &order, 1, 20000, &err), 0);
}

static void test_cancel_that_does_not_reach_slurm_is_remote(void **state)
{
	(void)state;
	static const struct cancel_order order = {"100", "ours.1", NULL, false};
	static const char *const controls[] = {"fail_squeue", "fail_scancel"};
	run("%s", queue);
	for (size_t i = 0; i < 2; i++) {
		struct nel_err err = {0};
		run("echo 'error: Unable to contact slurm controller (connect failure)' >$FAKE/%s", controls[i]);
		assert_int_equal(slurm_cancel(NULL, &order, 1, 20000, &err), -1);
		assert_int_equal(err.kind, NEL_REMOTE);
		assert_non_null(strstr(err.msg, "Unable to contact"));
		run("rm $FAKE/%s", controls[i]);
	}
}

static void test_cancel_of_no_job_id_is_invalid(void **state)
{
	(void)state;
	static const struct cancel_order orders[] = {{"1 2", "a", NULL, false},
						     {"--user=x", NULL, NULL, false},
						     {"1", "a\nid=5", NULL, false},
						     {"1", "a", "/a\nid=5", false}};
	for (size_t i = 0; i < 4; i++) {
		struct nel_err err = {0};
		assert_int_equal(slurm_cancel(NULL, &orders[i], 1, 20000, &err), -1);
		assert_int_equal(err.kind, NEL_INVALID);
	}
}

static void test_cancel_jobs_marks_them_in_the_directories_of_their_chains(void **state)
{
	(void)state;
	struct nel_err err = {0};
	CLEANUP(mem_freep) char *dir = mem_printf("%s/run 0/shared.1", local_dir);
	const struct cancel_job_order orders[] = {{dir, "mmlu.0"}, {dir, "gsm8k.2"}};
	run("mkdir -p \"$FAKE/run 0/shared.1\"");
	for (int i = 0; i < 2; i++) /* safe to repeat */
		assert_int_equal(slurm_cancel_jobs(NULL, orders, 2, 20000, &err), 0);
	assert_output("cd \"$FAKE/run 0\" && find . -type f | sort",
		      "./shared.1/.jobs/gsm8k.2/cancel\n./shared.1/.jobs/mmlu.0/cancel");
	assert_output("cat $FAKE/calls 2>/dev/null", ""); /* Slurm has nothing to do with it */
}

static void test_cancel_jobs_through_a_link_is_refused(void **state)
{
	(void)state;
	static const char *const plants[] = {
	    "rmdir shared.1; ln -s $FAKE/elsewhere shared.1",
	    "ln -s $FAKE/elsewhere shared.1/.jobs",
	    "mkdir shared.1/.jobs; ln -s $FAKE/elsewhere shared.1/.jobs/mmlu.0",
	    "rmdir shared.1",
	};
	CLEANUP(mem_freep) char *dir = mem_printf("%s/run/shared.1", local_dir);
	const struct cancel_job_order order = {dir, "mmlu.0"};
	for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
		struct nel_err err = {0};
		run("rm -rf $FAKE/run $FAKE/elsewhere; mkdir -p $FAKE/elsewhere $FAKE/run/shared.1; cd $FAKE/run; %s",
		    plants[i]);
		assert_int_equal(slurm_cancel_jobs(NULL, &order, 1, 20000, &err), -1);
		assert_int_equal(err.kind, NEL_REMOTE);
		assert_output("find $FAKE/elsewhere -type f", "");
	}
}

static void test_cancel_jobs_of_no_directory_is_invalid(void **state)
{
	(void)state;
	static const struct cancel_job_order orders[] = {
	    {"shared.1", "mmlu.0"}, {"/run/shared.1", "../mmlu.0"}, {"/run/a\njob=b", "mmlu.0"}, {"/run", "a\nb"}};
	for (size_t i = 0; i < 4; i++) {
		struct nel_err err = {0};
		assert_int_equal(slurm_cancel_jobs(NULL, &orders[i], 1, 20000, &err), -1);
		assert_int_equal(err.kind, NEL_INVALID);
	}
}

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, local_setup, local_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SCRIPT_TEST(test_cancel_reaches_ids_and_names),
	    SCRIPT_TEST(test_cancel_asks_once_for_many),
	    SCRIPT_TEST(test_cancel_of_a_chain_ends_its_waiting_attempts_first),
	    SCRIPT_TEST(test_cancel_of_what_waits_leaves_what_has_begun),
	    SCRIPT_TEST(test_cancel_of_ended_jobs_is_no_error),
	    SCRIPT_TEST(test_cancel_that_does_not_reach_slurm_is_remote),
	    SCRIPT_TEST(test_cancel_of_no_job_id_is_invalid),
	    SCRIPT_TEST(test_cancel_jobs_marks_them_in_the_directories_of_their_chains),
	    SCRIPT_TEST(test_cancel_jobs_through_a_link_is_refused),
	    SCRIPT_TEST(test_cancel_jobs_of_no_directory_is_invalid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
