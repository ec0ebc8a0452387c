/* Samples read from a job's directory: remote_samples.sh run here, and answers that are none. */
#include "slurm/samples_fetch.h"
#include "slurm_local.h"

#define ARTIFACTS "d=$FAKE/run/j.0/artifacts; mkdir -p $d/a && cd $d && "

static int fetch(size_t keep_rows, struct samples *ret_samples, size_t *ret_short, struct nel_err *err)
{
	CLEANUP(mem_freep) char *dir = mem_printf("%s/run/j.0", local_dir);
	return samples_fetch(NULL, dir, keep_rows, 60000, ret_samples, ret_short, err);
}

static void test_fetch_finds_the_files_of_all_evaluators(void **state)
{
	(void)state;
	CLEANUP(samples_done) struct samples samples = {0};
	struct nel_err err;
	size_t short_ = 9;
	run(ARTIFACTS "echo '{\"doc_id\": 1, \"acc\": 0}' >a/samples_t_2026-01-02T03-04-05.6.jsonl;"
		      "echo '{\"doc_id\": 1, \"acc\": 1}' >a/samples_t_2026-01-02T03-04-06.1.jsonl;"
		      "echo '{\"doc_id\": 1, \"acc\": 1}' >a/samples_t_x_2026-01-02T03-04-05.6.jsonl;"
		      "printf '%%s' '{\"sample_id\": 4, \"scores\": {\"c\": true}}' >byob_predictions.jsonl;"
		      "echo '{\"problem_idx\": 5, \"reward\": 1}' >a/results.jsonl;"
		      "echo '{\"not\": \"ours\"}' >results.jsonl; : >samples_empty.jsonl; echo x >results.yml");
	assert_int_equal(fetch(100, &samples, &short_, &err), 0);
	assert_int_equal(short_, 0);
	assert_int_equal(samples.count, 4);
	assert_int_equal(samples.spoilt, 0);
	assert_int_equal(samples.set_count, 4);
	assert_string_equal(samples.sets[0].file, "a/results.jsonl");
	assert_string_equal(samples.sets[1].file, "a/samples_t_2026-01-02T03-04-06.1.jsonl");
	assert_string_equal(samples.sets[2].task, "t_x");
	assert_int_equal(samples.sets[3].rows[0].id, 4);
}

/* Containers write there: nothing outside is read. */
static void test_fetch_follows_no_links(void **state)
{
	(void)state;
	CLEANUP(samples_done) struct samples samples = {0};
	struct nel_err err;
	size_t short_ = 9;
	run(ARTIFACTS "mkdir $FAKE/o; echo '{\"doc_id\": 1}' | tee $FAKE/o/samples_o.jsonl >$FAKE/o/results.jsonl;"
		      "ln -s $FAKE/o out; ln -s $FAKE/o/samples_o.jsonl samples_s.jsonl; ln $FAKE/o/results.jsonl .");
	assert_int_equal(fetch(100, &samples, &short_, &err), 0);
	assert_int_equal(samples.count, 0);
	assert_int_equal(short_, 1); /* the hard link */
}

static void test_fetch_of_nothing_is_nothing(void **state)
{
	(void)state;
	CLEANUP(samples_done) struct samples samples = {0};
	struct nel_err err;
	size_t short_ = 9;
	assert_int_equal(fetch(100, &samples, &short_, &err), 0);
	run(ARTIFACTS ":");
	assert_int_equal(fetch(100, &samples, &short_, &err), 0);
	assert_int_equal(samples.count + short_, 0);
}

static void test_fetch_of_many_samples_keeps_its_rows(void **state)
{
	(void)state;
	CLEANUP(samples_done) struct samples samples = {0};
	struct nel_err err;
	size_t short_ = 9;
	run(ARTIFACTS "seq 30000 | sed 's/.*/{\"doc_id\": &, \"doc\": \"text & text\", \"acc\": 1}/' >samples_t.jsonl");
	assert_int_equal(fetch(20000, &samples, &short_, &err), 0);
	assert_int_equal(samples.count, 20000);
	assert_int_equal(samples.left_out, 10000);
	assert_int_equal(samples.sets[0].rows[19999].id, 20000);
	assert_int_equal(samples.sets[0].rows[19999].line, 20000);
}

static void test_fetch_answers_that_are_none_are_refused(void **state)
{
	(void)state;
	static const char *const gzips[] = {"exit 1",
					    "cat",
					    "gzip -1 | head -c 30",
					    "exec gzip \"$@\" </dev/null",
					    "echo 'file|5|samples_t.jsonl' | gzip",
					    "echo 'what|5' | gzip"};
	run(ARTIFACTS "echo '{\"doc_id\": 1, \"acc\": 1, \"text\": \"abcdefghijklmnopqrstuvwxyz\"}' >samples_t.jsonl");
	for (size_t i = 0; i < sizeof gzips / sizeof gzips[0]; i++) {
		struct samples samples = {0};
		struct nel_err err = {0};
		size_t short_ = 0;
		run("printf '#!/bin/bash\\nPATH=${PATH#*:}\\n%%s\\n' '%s' >$FAKE/bin/gzip; chmod +x $FAKE/bin/gzip",
		    gzips[i]);
		if (fetch(100, &samples, &short_, &err) == 0)
			fail_msg("%s: %zu samples", gzips[i], samples.count);
		assert_int_equal(err.kind, NEL_REMOTE);
		assert_int_equal(samples.count, 0);
	}
	struct samples samples = {0};
	struct nel_err err = {0};
	size_t short_ = 0;
	run("rm $FAKE/bin/gzip; mv $FAKE/run/j.0 $FAKE/other; ln -s $FAKE/other $FAKE/run/j.0");
	assert_int_equal(fetch(100, &samples, &short_, &err), -1);
	assert_int_equal(err.kind, NEL_INVALID);
	assert_int_equal(samples_fetch(NULL, "run/j.0", 1, 1000, &samples, &short_, &err), -1);
	assert_int_equal(err.kind, NEL_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_fetch_finds_the_files_of_all_evaluators, local_setup, local_teardown),
	    cmocka_unit_test_setup_teardown(test_fetch_follows_no_links, local_setup, local_teardown),
	    cmocka_unit_test_setup_teardown(test_fetch_of_nothing_is_nothing, local_setup, local_teardown),
	    cmocka_unit_test_setup_teardown(test_fetch_of_many_samples_keeps_its_rows, local_setup, local_teardown),
	    cmocka_unit_test_setup_teardown(test_fetch_answers_that_are_none_are_refused, local_setup, local_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
