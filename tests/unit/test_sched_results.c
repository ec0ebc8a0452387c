/* What a job's end says of its scores. */
#include "base/clock.h"
#include "sched/results.h"

#include "db/results.h"
#include "db_fixture.h"

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char yaml[] = "results: {tasks: {t: {metrics: {m: {scores: {s: {value: 0.5}, bad: {value: x}}}}}}}";

/* A running job that has a score of a look at it before its end. */
static void add_job(struct fixture *f, struct active_chain *chain)
{
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row job = sample_job(&evaluation, 0);
	job.state = CHAIN_RUNNING;
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	assert_ok(f, jobs_get_seq(f->db, job.seq, &chain->job, &f->err));
	chain->seq = job.seq + 100; /* of a chain that several share */
	chain->job_seq = job.seq;
	struct score partial = {.task = "t", .metric = "m", .score = "s", .value = 0.125, .count = -1};
	assert_ok(f, results_replace(f->db, chain->job_seq, &partial, 1, 1, &f->err));
}

static void test_take_stores_what_can_be_trusted_and_warns_of_the_rest(void **state)
{
	static const struct {
		const char *hash; /* of the file; "" : there is none */
		const char *sealed;
		bool older;
		enum chain_event end;
		const char *text;
		double score; /* that is stored then; -1: none */
		const char *seal;
		const char *warning; /* NULL: none */
	} cases[] = {
	    {HASH_A, HASH_A, false, EVENT_END_SUCCESS,
	     "results: {tasks: {t: {metrics: {m: {scores: {s: {value: 0.5}}}}}}}", 0.5, HASH_A, NULL},
	    {HASH_A, HASH_A, true, EVENT_END_SUCCESS, yaml, 0.5, HASH_A, "1 value of results.yml cannot be read"},
	    {HASH_A, "", true, EVENT_END_SUCCESS, yaml, 0.5, HASH_A, "not of the last attempt"},
	    {HASH_A, "", false, EVENT_END_SUCCESS, "results: {}", -1, HASH_A, "has no scores"},
	    {HASH_B, HASH_A, false, EVENT_END_SUCCESS, yaml, -1, HASH_A, "something has written to it since"},
	    {HASH_B, "none", false, EVENT_END_SUCCESS, yaml, -1, "none", "ended without one"},
	    {"changing", "", false, EVENT_END_SUCCESS, yaml, -1, NULL, "still being written"},
	    {HASH_A, "", false, EVENT_END_SUCCESS, "results: [", -1, NULL, "not valid YAML"},
	    {"", "", false, EVENT_END_SUCCESS, NULL, -1, NULL, "is not there"},
	    {"", "none", false, EVENT_END_SUCCESS, NULL, -1, "none", "is not there"},
	    /* A conversion has none, whatever it leaves. */
	    {"", "conversion", false, EVENT_END_SUCCESS, NULL, -1, NULL, NULL},
	    {HASH_A, "conversion", false, EVENT_END_SUCCESS, yaml, -1, NULL, NULL},
	    /* What a job without success has left is partial, and what it had before stays. */
	    {"", "", false, EVENT_END_FAILURE, NULL, 0.125, NULL, NULL},
	    {HASH_A, "", false, EVENT_END_FAILURE, yaml, 0.5, HASH_A, "1 value"},
	    {HASH_A, "", true, EVENT_END_CANCELLED, yaml, 0.5, HASH_A, "not of the last attempt"},
	    {"changing", "", false, EVENT_END_FAILURE, yaml, 0.125, NULL, "still being written"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		void *fresh = NULL;
		assert_int_equal(fixture_setup(&fresh), 0);
		struct fixture *f = fresh;
		struct chain_common common = {0};
		struct active_chain chain = {.common = &common, .ending = true, .end_event = cases[i].end};
		struct action action = {0};
		add_job(f, &chain);
		snprintf(action.collected.results_hash, COLLECT_HASH_SIZE, "%s", cases[i].hash);
		snprintf(action.collected.sealed_hash, COLLECT_HASH_SIZE, "%s", cases[i].sealed);
		action.collected.results_older = cases[i].older;
		if (cases[i].text != NULL)
			action.scores_failed =
			    scores_parse(cases[i].text, strlen(cases[i].text), &action.scores, &action.scores_err) != 0;
		assert_ok(f, db_begin(f->db, &f->err));
		assert_ok(f, results_take(f->db, &chain, &action, 7, &f->err));
		assert_ok(f, db_commit(f->db, &f->err));
		CLEANUP(result_list_done) struct result_list list = {0};
		CLEANUP(job_row_done) struct job_row stored = {0};
		assert_ok(f, results_of_job(f->db, chain.job_seq, &list, &f->err));
		assert_ok(f, jobs_get_seq(f->db, chain.job_seq, &stored, &f->err));
		if ((cases[i].score < 0) != (list.count == 0) ||
		    (list.count > 0 && list.items[0].value != cases[i].score))
			fail_msg("%zu: %zu scores, %g", i, list.count, list.count > 0 ? list.items[0].value : -1);
		assert_true((stored.results_seal == NULL) == (cases[i].seal == NULL));
		if (cases[i].seal != NULL)
			assert_string_equal(stored.results_seal, cases[i].seal);
		assert_true((stored.warnings == NULL) == (cases[i].warning == NULL));
		if (cases[i].warning != NULL && strstr(stored.warnings, cases[i].warning) == NULL)
			fail_msg("%zu: %s", i, stored.warnings);
		scores_done(&action.scores);
		job_row_done(&chain.job);
		fixture_teardown(&fresh);
	}
}

/* Samples cost nothing but themselves: the scores are stored however it went with them. */
static void test_take_stores_samples_and_says_what_is_missing(void **state)
{
	(void)state;
	static const struct {
		struct samples_row samples;
		bool failed;
		const char *warning; /* NULL: none */
	} cases[] = {
	    {{.rows = 3, .data = "packed", .data_size = 6}, false, NULL},
	    {{.rows = 3, .left_out = 7, .data = "packed", .data_size = 6}, false, "7 samples are not stored"},
	    {{.rows = 3, .short_ = 2, .data = "packed", .data_size = 6}, false, "2 files of samples were not read"},
	    {{.rows = 3, .spoilt = 1, .data = "packed", .data_size = 6}, false, "1 lines of the files of samples"},
	    {{0}, true, "the samples are not stored"},
	    {{0}, false, NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		void *fresh = NULL;
		assert_int_equal(fixture_setup(&fresh), 0);
		struct fixture *f = fresh;
		struct chain_common common = {0};
		struct active_chain chain = {.common = &common, .ending = true, .end_event = EVENT_END_SUCCESS};
		struct action action = {.samples = cases[i].samples, .samples_failed = cases[i].failed};
		static const char text[] = "results: {tasks: {t: {metrics: {m: {scores: {s: {value: 0.5}}}}}}}";
		const struct samples_row earlier = {.rows = 9, .data = (char *)"x", .data_size = 1};
		add_job(f, &chain);
		assert_ok(f, samples_replace(f->db, chain.job_seq, &earlier, &f->err));
		snprintf(action.collected.results_hash, COLLECT_HASH_SIZE, HASH_A);
		action.collected.progress = 1;
		err_set(&action.samples_err, NEL_REMOTE, "the connection was cut");
		assert_int_equal(scores_parse(text, strlen(text), &action.scores, &action.scores_err), 0);
		assert_ok(f, db_begin(f->db, &f->err));
		assert_ok(f, results_take(f->db, &chain, &action, 7, &f->err));
		assert_ok(f, db_commit(f->db, &f->err));
		CLEANUP(job_row_done) struct job_row stored = {0};
		CLEANUP(samples_row_done) struct samples_row row = {0};
		assert_ok(f, jobs_get_seq(f->db, chain.job_seq, &stored, &f->err));
		assert_true((stored.warnings == NULL) == (cases[i].warning == NULL));
		if (cases[i].warning != NULL && strstr(stored.warnings, cases[i].warning) == NULL)
			fail_msg("%zu: %s", i, stored.warnings);
		if (cases[i].samples.data == NULL) {
			assert_refused(f, NEL_NOTFOUND, samples_get(f->db, chain.job_seq, &row, &f->err));
		} else {
			assert_ok(f, samples_get(f->db, chain.job_seq, &row, &f->err));
			assert_int_equal(row.rows, 3);
			assert_int_equal(row.left_out, cases[i].samples.left_out);
			assert_int_equal(row.spoilt, cases[i].samples.spoilt);
			assert_int_equal(row.short_, cases[i].samples.short_);
			assert_int_equal(row.data_size, 6);
			assert_memory_equal(row.data, "packed", 6);
		}
		assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM results WHERE value = 0.5"), 1);
		scores_done(&action.scores);
		job_row_done(&chain.job);
		fixture_teardown(&fresh);
	}
}

static void test_awaited_is_a_success_without_its_file_for_a_while(void **state)
{
	(void)state;
	struct action action = {0};
	struct chain_common common = {0};
	struct active_chain chain = {
	    .common = &common, .ending = true, .end_event = EVENT_END_SUCCESS, .job = {.state = CHAIN_RUNNING}};
	clock_fake_set_ms(1000000);
	assert_false(results_awaited(&chain, &action, 0));
	assert_true(results_awaited(&chain, &action, 60));
	clock_fake_set_ms(1059000);
	assert_true(results_awaited(&chain, &action, 60));
	snprintf(action.collected.results_hash, COLLECT_HASH_SIZE, HASH_A);
	assert_false(results_awaited(&chain, &action, 60));
	snprintf(action.collected.sealed_hash, COLLECT_HASH_SIZE, HASH_B);
	assert_true(results_awaited(&chain, &action, 60));
	clock_fake_set_ms(1060000);
	assert_false(results_awaited(&chain, &action, 60));
	struct chain_common common_of_failed = {0};
	struct active_chain failed = {.common = &common_of_failed,
				      .ending = true,
				      .end_event = EVENT_END_FAILURE,
				      .job = {.state = CHAIN_RUNNING}};
	assert_false(results_awaited(&failed, &action, 60));
	clock_fake_set_ms(-1);
}

static void test_take_of_scores_without_a_request_warns_unless_an_earlier_attempt_may_have_asked(void **state)
{
	static const struct {
		int attempt;
		int64_t progress;
		bool warned;
	} cases[] = {{1, 0, true}, {1, 4, false}, {1, -1, false}, {2, 0, false}};
	static const char text[] = "results: {tasks: {t: {metrics: {m: {scores: {s: {value: 0.5}}}}}}}";
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		void *fresh = NULL;
		assert_int_equal(fixture_setup(&fresh), 0);
		struct fixture *f = fresh;
		struct chain_common common = {.attempt = {.number = cases[i].attempt}};
		struct active_chain chain = {.common = &common, .ending = true, .end_event = EVENT_END_SUCCESS};
		struct action action = {.collected = {.progress = cases[i].progress}};
		add_job(f, &chain);
		snprintf(action.collected.results_hash, COLLECT_HASH_SIZE, "%s", HASH_A);
		snprintf(action.collected.sealed_hash, COLLECT_HASH_SIZE, "%s", HASH_A);
		assert_int_equal(scores_parse(text, strlen(text), &action.scores, &action.scores_err), 0);
		assert_ok(f, db_begin(f->db, &f->err));
		assert_ok(f, results_take(f->db, &chain, &action, 7, &f->err));
		assert_ok(f, db_commit(f->db, &f->err));
		CLEANUP(job_row_done) struct job_row stored = {0};
		assert_ok(f, jobs_get_seq(f->db, chain.job_seq, &stored, &f->err));
		assert_int_equal(stored.warnings != NULL && strstr(stored.warnings, "finished no request") != NULL,
				 cases[i].warned);
		scores_done(&action.scores);
		job_row_done(&chain.job);
		fixture_teardown(&fresh);
	}
}

static void test_take_of_scores_that_count_their_samples_gives_the_total_that_the_log_did_not(void **state)
{
	static const struct {
		int64_t progress, total, want;
	} cases[] = {{4, 0, 5}, {5, 0, 5}, {4, 9, 9}, {4, 3, 5}};
	static const char text[] = "results: {tasks: {t: {metrics: {m: {scores: {s: {value: 0.5, stats: {count: 2}}, "
				   "u: {value: 1, stats: {count: 2}}}}}}, v: {metrics: {m: {scores: {s: {value: 0.5, "
				   "stats: {count: 3}}}}}}}, groups: {g: {metrics: {m: {scores: {s: {value: 1}}}}}}}";
	struct fixture *f = *state;
	struct chain_common common = {0};
	struct active_chain chain = {.common = &common, .ending = true, .end_event = EVENT_END_SUCCESS};
	struct action action = {.collected = {.results_hash = HASH_A, .sealed_hash = HASH_A}};
	add_job(f, &chain);
	assert_int_equal(scores_parse(text, strlen(text), &action.scores, &action.scores_err), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		chain.job.progress = cases[i].progress;
		chain.job.progress_total = cases[i].total;
		assert_ok(f, db_begin(f->db, &f->err));
		assert_ok(f, results_take(f->db, &chain, &action, 7, &f->err));
		assert_ok(f, db_commit(f->db, &f->err));
		assert_int_equal(chain.job.progress_total, cases[i].want);
	}
	action.scores.items[0].count = -1;
	assert_int_equal(scores_samples(&action.scores), -1);
	assert_int_equal(scores_samples(&(struct scores){0}), -1);
	scores_done(&action.scores);
	job_row_done(&chain.job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_take_stores_what_can_be_trusted_and_warns_of_the_rest),
	    cmocka_unit_test(test_take_of_scores_without_a_request_warns_unless_an_earlier_attempt_may_have_asked),
	    cmocka_unit_test(test_take_stores_samples_and_says_what_is_missing),
	    cmocka_unit_test_setup_teardown(
		test_take_of_scores_that_count_their_samples_gives_the_total_that_the_log_did_not, fixture_setup,
		fixture_teardown),
	    cmocka_unit_test(test_awaited_is_a_success_without_its_file_for_a_while),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
