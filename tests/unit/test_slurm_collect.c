/* Collecting: the answer's parser, and remote_collect.sh run here. */
#include "slurm/collect.h"
#include "slurm_local.h"

#define BEGIN "nel|begin|1\n"

static void test_parse_blocks_are_read(void **state)
{
	(void)state;
	const char *text = BEGIN "results|9|\na\nend\nb|c\nprogress|12\nlog|6|client-1.log\nx\x1b\xff\ty\n\nend\n";
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	assert_int_equal(collect_parse(text, strlen(text), &reply, &err), 0);
	assert_string_equal(reply.results, "a\nend\nb|c");
	assert_int_equal(reply.results_size, 9);
	assert_int_equal(reply.progress, 12);
	assert_string_equal(reply.log_tail, "x ?\ty\n");
	assert_string_equal(reply.log_name, "client-1.log");
}

static void test_parse_bad_answers_are_remote(void **state)
{
	(void)state;
	static const char *const cases[] = {
	    "",
	    BEGIN,
	    BEGIN "results|9|\nabc\nend\n",
	    BEGIN "results|2|\nabc\nend\n",
	    BEGIN "results|-1|\n\nend\n",
	    BEGIN "results|99999999999999999999|\nend\n",
	    BEGIN "log|1\nx\nend\n",
	    BEGIN "error|remote|the secrets cannot be removed\nend\n",
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct collect_reply reply = {0};
		struct nel_err err = {0};
		assert_int_equal(collect_parse(cases[i], strlen(cases[i]), &reply, &err), -1);
		assert_int_equal(err.kind, NEL_REMOTE);
	}
}

static char *job_dir(void)
{
	return mem_printf("%s/job", local_dir);
}

static void test_collect_reads_then_removes_secrets(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	run("mkdir -p $FAKE/job/logs $FAKE/job/artifacts; cd $FAKE/job; echo k=v >.secrets.env; printf 'results: "
	    "{}\\n\\nx: \xc3\xa4' "
	    ">artifacts/results.yml; echo 541 >artifacts/progress; seq 1 3000 >logs/client-2.log; echo old "
	    ">logs/client-1.log; "
	    "touch -d '1 hour ago' logs/client-1.log; echo s >logs/server-0-1-0.log");
	assert_int_equal(slurm_collect(NULL, dir, NULL, 20000, &reply, &err), 0);
	assert_string_equal(reply.results, "results: {}\n\nx: \xc3\xa4");
	assert_int_equal(reply.progress, 541);
	assert_string_equal(reply.log_name, "client-2.log");
	assert_true(strlen(reply.log_tail) > 4080 && strlen(reply.log_tail) <= 4096);
	assert_memory_equal(reply.log_tail, "218", 3); /* begins with a whole line */
	assert_output("ls -A $FAKE/job", "artifacts\nlogs");
	/* Once more changes nothing. */
	CLEANUP(collect_reply_done) struct collect_reply again = {0};
	assert_int_equal(slurm_collect(NULL, dir, NULL, 20000, &again, &err), 0);
	assert_string_equal(again.results, reply.results);
}

static void test_collect_falls_back_to_other_logs(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	static const char *const names[] = {"slurm-7.log", "server-model-7-0.log", "client-7.log"};
	run("mkdir -p $FAKE/job/logs");
	for (size_t i = 0; i < 3; i++) {
		CLEANUP(collect_reply_done) struct collect_reply reply = {0};
		struct nel_err err;
		run("echo %zu >$FAKE/job/logs/%s; touch -d '%zu hours ago' $FAKE/job/logs/%s", i, names[i], i,
		    names[i]);
		assert_int_equal(slurm_collect(NULL, dir, NULL, 20000, &reply, &err), 0);
		assert_string_equal(reply.log_name, names[i]);
		assert_null(reply.results);
		assert_int_equal(reply.progress, -1);
	}
}

static void test_collect_takes_the_jobs_own_log_when_it_says_why(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	run("mkdir -p $FAKE/job/logs; cd $FAKE/job/logs; echo cancelled >server-0-7-0.log; "
	    "printf 'ended with exit code 1\\nnow gave up: not ready\\n' >slurm-7.log; echo gave up: old >slurm-6.log");
	assert_int_equal(slurm_collect(NULL, dir, "7", 20000, &reply, &err), 0);
	assert_string_equal(reply.log_name, "slurm-7.log");
	assert_non_null(strstr(reply.log_tail, "not ready"));
}

static void test_collect_of_gone_directory_is_empty(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	assert_int_equal(slurm_collect(NULL, dir, NULL, 20000, &reply, &err), 0);
	assert_null(reply.results);
	assert_string_equal(reply.log_tail, "");
	assert_string_equal(reply.log_name, "");
}

static void test_collect_of_huge_results_leaves_them(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *dir = job_dir();
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	struct nel_err err;
	run("mkdir -p $FAKE/job/artifacts; head -c 5000000 /dev/zero | tr '\\0' x >$FAKE/job/artifacts/results.yml; "
	    "echo k=v >$FAKE/job/.secrets.env");
	assert_int_equal(slurm_collect(NULL, dir, NULL, 20000, &reply, &err), 0);
	assert_null(reply.results);
	assert_output("ls -A $FAKE/job", "artifacts");
}

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, local_setup, local_teardown)

static void test_collect_telling_line_skips_what_every_failure_says(void **state)
{
	(void)state;
	static const struct {
		const char *tail;
		const char *want;
	} cases[] = {
	    {"", ""},
	    {"one\ntwo\n\n", "two"},
	    {"no newline", "no newline"},
	    {"a\tb\x1b[0m", "a b [0m"},
	    {"Traceback\nValueError: bad\nsrun: error: a1: task 0: Exited with exit code 1\n", "ValueError: bad"},
	    {"slurmstepd: error: pyxis:     [ERROR] URL https://x returned error code: 404\n"
	     "slurmstepd: error: pyxis: couldn't start container\n"
	     "slurmstepd: error: spank: required plugin spank_pyxis.so: task_init() failed with rc=-1\n"
	     "slurmstepd: error: Failed to invoke spank plugin stack\n",
	     "slurmstepd: error: pyxis:     [ERROR] URL https://x returned error code: 404"},
	    {"srun: error: only noise\n", "srun: error: only noise"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char line[100];
		collect_telling_line(cases[i].tail, line, sizeof line);
		assert_string_equal(line, cases[i].want);
	}
	char small[4];
	collect_telling_line("abcdef", small, sizeof small);
	assert_string_equal(small, "abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_collect_telling_line_skips_what_every_failure_says),
	    cmocka_unit_test(test_parse_blocks_are_read),
	    cmocka_unit_test(test_parse_bad_answers_are_remote),
	    SCRIPT_TEST(test_collect_reads_then_removes_secrets),
	    SCRIPT_TEST(test_collect_falls_back_to_other_logs),
	    SCRIPT_TEST(test_collect_takes_the_jobs_own_log_when_it_says_why),
	    SCRIPT_TEST(test_collect_of_gone_directory_is_empty),
	    SCRIPT_TEST(test_collect_of_huge_results_leaves_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
