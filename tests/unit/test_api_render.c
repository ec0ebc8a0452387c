/* JSON and CSV text of rows. */
#include "api/v1/render.h"
#include "base/clock.h"
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_out_string_any_bytes_are_valid_json(void **state)
{
	static const struct {
		const char *text;
		const char *want;
	} cases[] = {
	    {NULL, "null"},
	    {"", "\"\""},
	    {"a\"b\\c", "\"a\\\"b\\\\c\""},
	    {"\n\t\x01", "\"\\n\\u0009\\u0001\""},
	    {"\x7f", "\"\x7f\""},
	    {"caf\xc3\xa9!", "\"caf\xc3\xa9!\""},
	    {"x\xffy\xc3", "\"x\\ufffdy\\ufffd\""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct json_out out = {0};
		out_string(&out, NULL, cases[i].text);
		assert_string_equal(str_text(&out.text), cases[i].want);
		json_t *parsed = json_loads(str_text(&out.text), JSON_DECODE_ANY, NULL);
		assert_non_null(parsed);
		json_decref(parsed);
		json_out_done(&out);
	}
}

static void test_out_numbers_read_back_the_same(void **state)
{
	static const int64_t integers[] = {0, 1, -1, 10, 1234567890, INT64_MAX, INT64_MIN};
	static const double doubles[] = {0.0, 0.1, 1.0 / 3.0, 1e-300, 65.4321, -2.5e17};
	(void)state;
	for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
		struct json_out out = {0};
		out_int(&out, NULL, integers[i]);
		assert_true(strtoll(str_text(&out.text), NULL, 10) == integers[i]);
		json_out_done(&out);
	}
	for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
		struct json_out out = {0};
		out_double(&out, NULL, doubles[i]);
		assert_true(strtod(str_text(&out.text), NULL) == doubles[i]);
		json_out_done(&out);
	}
}

static void test_out_value_is_what_jansson_reads_back(void **state)
{
	(void)state;
	static const char *const cases[] = {
	    "{\"a\":[],\"b\":{},\"c\":[1,-2,{\"d\":[true,false,null]}],\"e\":\"x\\n\\ty\\\"\\\\ \u00e9\",\"f\":0.1}",
	    "[1.0,1e300,-5e-324,100.5,9007199254740993]",
	    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
	    "\"\"",
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		json_t *value = json_loads(cases[i], JSON_DECODE_ANY, NULL);
		assert_non_null(value);
		struct json_out out = {0};
		out_value(&out, NULL, value);
		CLEANUP(mem_freep) char *alone = json_out_text(value);
		assert_string_equal(alone, str_text(&out.text));
		json_t *back = json_loads(alone, JSON_DECODE_ANY, NULL);
		if (!json_equal(value, back))
			fail_msg("%s became %s", cases[i], str_text(&out.text));
		json_decref(back);
		json_decref(value);
		json_out_done(&out);
	}
}

static void test_out_nesting_and_commas(void **state)
{
	(void)state;
	struct json_out out = {0};
	out_object(&out, NULL);
	out_array(&out, "empty");
	out_end(&out);
	out_array(&out, "items");
	for (int i = 0; i < 2; i++) {
		out_object(&out, NULL);
		out_int(&out, "n", i);
		out_bool(&out, "even", i == 0);
		out_end(&out);
	}
	out_double(&out, NULL, 0.1);
	out_double(&out, NULL, NAN);
	out_double(&out, NULL, INFINITY);
	out_end(&out);
	out_object(&out, "labels");
	out_key(&out, "a\"b");
	out_string(&out, NULL, "c");
	out_name(&out, "d");
	out_object(&out, NULL);
	out_end(&out);
	out_end(&out);
	out_json(&out, "raw", "[1]");
	out_json(&out, "none", NULL);
	out_int_or_null(&out, "unknown", 7, false);
	out_time(&out, "never", 0);
	out_time(&out, "at", 1000000000);
	out_end(&out);
	assert_string_equal(str_text(&out.text),
			    "{\"empty\":[],\"items\":[{\"n\":0,\"even\":true},{\"n\":1,\"even\":false},0.1,null,null],"
			    "\"labels\":{\"a\\\"b\":\"c\",\"d\":{}},\"raw\":[1],\"none\":null,\"unknown\":null,"
			    "\"never\":null,\"at\":\"2001-09-09T01:46:40Z\"}");
	json_out_done(&out);
}

static struct job_row make_job(enum chain_state job_state)
{
	struct job_row job = {
	    .id = "0123456789abcdef.0",
	    .evaluation = "0123456789abcdef",
	    .task = "mmlu",
	    .job_dir = "/out/x/mmlu.0",
	    .state = job_state,
	    .chain.budget_limit_s = 100,
	    .chain.budget_used_s = 130,
	    .progress = -1,
	    .created_at = 1000000000,
	};
	return job;
}

static json_t *parse(struct json_out *out)
{
	json_error_t error;
	json_t *json = json_loads(str_text(&out->text), 0, &error);
	assert_non_null(json);
	json_out_done(out);
	*out = (struct json_out){0};
	return json;
}

static json_t *queue_of(const struct job_row *job)
{
	struct json_out out = {0};
	render_job(&out, job);
	json_t *shown = json_loads(str_text(&out.text), 0, NULL);
	json_t *queue = json_incref(json_object_get(shown, "queue"));
	json_decref(shown);
	json_out_done(&out);
	return queue;
}

static void test_render_job_queue_is_whose_it_waits_in(void **state)
{
	(void)state;
	struct job_row job = make_job(CHAIN_PENDING);
	job.queue.slurm_reason = (char *)"Priority";
	job.queue.expected_start = 1;
	json_t *wanted =
	    json_pack("{s:s, s:n, s:n, s:s, s:n, s:n, s:n, s:s}", "in", "slurm", "position", "of", "reason", "Priority",
		      "count", "limit", "until", "expected_start", "1970-01-01T00:00:01Z");
	json_t *shown = queue_of(&job);
	assert_true(json_equal(shown, wanted));
	json_decref(shown);
	json_decref(wanted);
	job.queue = (struct job_queue){.position = 3, .of = 4, .hold = "slurm_limit"};
	wanted = json_pack("{s:s, s:i, s:i, s:s, s:n, s:n, s:n, s:n}", "in", "service", "position", 3, "of", 4,
			   "reason", "slurm_limit", "count", "limit", "until", "expected_start");
	shown = queue_of(&job);
	assert_true(json_equal(shown, wanted));
	json_decref(shown);
	json_decref(wanted);
	/* A quota of 0 has its numbers, too. */
	job.queue = (struct job_queue){
	    .position = 3, .of = 4, .hold = "gpu_hours_of_user", .limited = true, .has = 7, .most = 0, .until = 1};
	wanted =
	    json_pack("{s:s, s:i, s:i, s:s, s:i, s:i, s:s, s:n}", "in", "service", "position", 3, "of", 4, "reason",
		      "gpu_hours_of_user", "count", 7, "limit", 0, "until", "1970-01-01T00:00:01Z", "expected_start");
	shown = queue_of(&job);
	assert_true(json_equal(shown, wanted));
	json_decref(shown);
	json_decref(wanted);
}

static void test_render_job_unknown_values_are_null(void **state)
{
	static const char *const nulls[] = {"reason",      "waiting_on",   "queue",    "partition",
					    "account",     "slurm_job_id", "progress", "gpu_utilization",
					    "observed_at", "started_at",   "ended_at"};
	struct job_row job = make_job(CHAIN_QUEUED);
	struct json_out out = {0};
	(void)state;
	render_job(&out, &job);
	json_t *json = parse(&out);
	assert_int_equal(json_object_size(json), 28);
	for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
		assert_true(json_is_null(json_object_get(json, nulls[i])));
	const json_t *budget = json_object_get(json, "budget");
	assert_int_equal(json_integer_value(json_object_get(budget, "limit_s")), 100);
	assert_int_equal(json_integer_value(json_object_get(budget, "remaining_s")), 0);
	json_decref(json);

	job.chain.budget_limit_s = -1;
	job.progress = 7;
	render_job(&out, &job);
	json = parse(&out);
	budget = json_object_get(json, "budget");
	assert_true(json_is_null(json_object_get(budget, "limit_s")));
	assert_true(json_is_null(json_object_get(budget, "remaining_s")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "progress"), "requests")), 7);
	json_decref(json);
}

static json_t *progress_of(const struct job_row *job)
{
	struct json_out out = {0};
	render_job(&out, job);
	json_t *shown = parse(&out);
	json_t *progress = json_incref(json_object_get(shown, "progress"));
	json_decref(shown);
	return progress;
}

/* Rate and time left are a running job's; a total below what is finished is none. */
static void test_render_job_progress(void **state)
{
	(void)state;
	static const struct {
		enum chain_state state;
		int64_t requests, total, from_at;
		const char *want;
	} cases[] = {
	    {CHAIN_RUNNING, 40, 100, 1000, "{\"requests\":40,\"total\":100,\"rate_per_s\":0.5,\"eta_s\":120}"},
	    {CHAIN_RUNNING, 40, 0, 1000, "{\"requests\":40,\"total\":null,\"rate_per_s\":0.5,\"eta_s\":null}"},
	    {CHAIN_RUNNING, 40, 39, 1000, "{\"requests\":40,\"total\":null,\"rate_per_s\":0.5,\"eta_s\":null}"},
	    {CHAIN_RUNNING, 40, 100, 1060, "{\"requests\":40,\"total\":100,\"rate_per_s\":null,\"eta_s\":null}"},
	    {CHAIN_RUNNING, 40, 100, 0, "{\"requests\":40,\"total\":100,\"rate_per_s\":null,\"eta_s\":null}"},
	    {CHAIN_SUCCEEDED, 100, 100, 1000, "{\"requests\":100,\"total\":100,\"rate_per_s\":null,\"eta_s\":null}"},
	    {CHAIN_PENDING, 40, 100, 1000, "{\"requests\":40,\"total\":100,\"rate_per_s\":null,\"eta_s\":null}"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct job_row job = make_job(cases[i].state);
		job.progress = cases[i].requests;
		job.progress_total = cases[i].total;
		job.observed_at = 1060;
		job.window = (struct progress_window){.from_at = cases[i].from_at, .from_requests = 10};
		json_t *progress = progress_of(&job);
		json_t *want = json_loads(cases[i].want, 0, NULL);
		if (!json_equal(progress, want))
			fail_msg("case %zu: %s", i, json_dumps(progress, 0));
		json_decref(progress);
		json_decref(want);
	}
}

static void test_render_evaluation_counts_and_warnings(void **state)
{
	struct job_row rows[] = {make_job(CHAIN_RUNNING), make_job(CHAIN_SUCCEEDED), make_job(CHAIN_RUNNING)};
	const struct job_list jobs = {.items = rows, .count = 3};
	struct label labels[] = {{"team", "a\"b"}};
	struct evaluation_row row = {
	    .id = "0123456789abcdef",
	    .user = "ann",
	    .cluster = "alpha",
	    .state = "running",
	    .model = "m",
	    .config_hash = "cafe",
	    .images = "[\"vllm/vllm-openai:v1\"]",
	    .warnings =
		"[{\"pointer\": \"/a\", \"message\": \"m\"}, {\"pointer\": \"\", \"message\": \"n\", \"line\": 3, "
		"\"column\": 1}]",
	    .created_at = 1,
	    .updated_at = 2,
	    .labels = labels,
	    .label_count = 1,
	};
	struct json_out out = {0};
	(void)state;
	render_evaluation(&out, &row, &jobs);
	json_t *json = parse(&out);
	assert_int_equal(json_object_size(json), 15);
	assert_string_equal(json_string_value(json_object_get(json, "config_hash")), "cafe");
	assert_int_equal(json_array_size(json_object_get(json, "images")), 1);
	const json_t *counts = json_object_get(json, "counts");
	assert_int_equal(json_object_size(counts), CHAIN_STATE_COUNT + 1);
	assert_int_equal(json_integer_value(json_object_get(counts, "total")), 3);
	assert_int_equal(json_integer_value(json_object_get(counts, "running")), 2);
	assert_int_equal(json_integer_value(json_object_get(counts, "succeeded")), 1);
	const json_t *warnings = json_object_get(json, "warnings");
	assert_true(json_is_null(json_object_get(json_array_get(warnings, 0), "line")));
	assert_int_equal(json_integer_value(json_object_get(json_array_get(warnings, 1), "line")), 3);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "labels"), "team")), "a\"b");
	json_decref(json);
}

/* Jobs that share a chain are told of once, with one budget; where each has its own, each has an entry. */
static void test_render_evaluation_chains(void **state)
{
	(void)state;
	struct job_row items[] = {make_job(CHAIN_RUNNING), make_job(CHAIN_SUCCEEDED), make_job(CHAIN_PENDING)};
	for (int i = 0; i < 3; i++) {
		snprintf(items[i].id, sizeof items[i].id, "0123456789abcdef.%d", i);
		items[i].chain.seq = i == 1 ? 8 : 7;
		items[i].chain.number = i == 1 ? 2 : 1;
		items[i].chain.attempt = 3;
		items[i].chain.slurm_job_id = (char *)(i == 1 ? "71" : NULL);
	}
	struct evaluation_row row = {.id = "0123456789abcdef"};
	const struct job_list jobs = {items, 3};
	struct json_out out = {0};
	render_evaluation(&out, &row, &jobs);
	json_t *json = parse(&out);
	json_t *want =
	    json_loads("[{\"id\": \"0123456789abcdef.c1\", \"jobs\": [\"0123456789abcdef.0\", \"0123456789abcdef.2\"], "
		       " \"state\": \"running\", \"attempt\": 3, \"slurm_job_id\": null,"
		       " \"budget\": {\"limit_s\": 100, \"used_s\": 130, \"remaining_s\": 0}},"
		       " {\"id\": \"0123456789abcdef.c2\", \"jobs\": [\"0123456789abcdef.1\"],"
		       " \"state\": \"succeeded\", \"attempt\": 3, \"slurm_job_id\": \"71\","
		       " \"budget\": {\"limit_s\": 100, \"used_s\": 130, \"remaining_s\": 0}}]",
		       0, NULL);
	assert_non_null(want);
	assert_true(json_equal(json_object_get(json, "chains"), want));
	const json_t *second = json_array_get(json_object_get(json, "jobs"), 1);
	assert_string_equal(json_string_value(json_object_get(second, "chain")), "0123456789abcdef.c2");
	json_decref(want);
	json_decref(json);
}

static void test_render_job_detail_attempts_and_history(void **state)
{
	struct job_row job = make_job(CHAIN_FAILED);
	struct attempt_row attempt = {.number = 2, .exit_code = -1, .elapsed_s = -1, .time_limit_s = 60};
	struct attempt_row ended = {.number = 1,
				    .jobs = (char *)"[\"0123456789abcdef.0\"]",
				    .exit_code = 0,
				    .signal = 9,
				    .elapsed_s = 5,
				    .time_limit_s = 60};
	struct attempt_row attempts[] = {ended, attempt};
	struct history_row changes[] = {{.at = 5, .to = "queued"}, {.at = 6, .from = "queued", .to = "failed"}};
	const struct attempt_list attempt_list = {attempts, 2};
	const struct history_list history = {changes, 2};
	const struct failure_row failure = {
	    .log = (char *)"client-7.log", .lines = (char *)"one\n\ntwo \"x\"\n", .advice = (char *)"try"};
	struct json_out out = {0};
	(void)state;
	job.chain.budget_limit_s = 100;
	job.chain.budget_from_attempt = 1;
	render_job_detail(&out, &job, &attempt_list, &history, &failure, "{\"state\":\"placed\"}");
	json_t *json = parse(&out);
	const json_t *placement = json_object_get(json, "placement");
	assert_string_equal(json_string_value(json_object_get(placement, "state")), "placed");
	const json_t *told = json_object_get(json, "failure");
	assert_string_equal(json_string_value(json_object_get(told, "log")), "client-7.log");
	assert_int_equal(json_array_size(json_object_get(told, "lines")), 3);
	assert_string_equal(json_string_value(json_array_get(json_object_get(told, "lines"), 2)), "two \"x\"");
	assert_string_equal(json_string_value(json_object_get(told, "advice")), "try");
	const json_t *first = json_array_get(json_object_get(json, "attempts"), 0);
	const json_t *second = json_array_get(json_object_get(json, "attempts"), 1);
	assert_int_equal(json_object_size(first), 16);
	assert_string_equal(json_string_value(json_array_get(json_object_get(first, "jobs"), 0)), "0123456789abcdef.0");
	assert_int_equal(json_integer_value(json_object_get(first, "budget_remaining_s")), 95);
	assert_int_equal(json_integer_value(json_object_get(second, "budget_remaining_s")), 95);
	assert_int_equal(json_integer_value(json_object_get(first, "signal")), 9);
	assert_true(json_is_null(json_object_get(second, "exit_code")));
	assert_true(json_is_null(json_object_get(second, "elapsed_s")));
	const json_t *change = json_array_get(json_object_get(json, "history"), 0);
	assert_true(json_is_null(json_object_get(change, "from")));
	assert_string_equal(json_string_value(json_object_get(change, "to")), "queued");
	json_decref(json);

	struct json_out plain = {0};
	job.chain.budget_from_attempt = 2; /* a new budget since */
	render_job_detail(&plain, &job, &attempt_list, &history, &(const struct failure_row){0}, NULL);
	json = parse(&plain);
	assert_true(json_is_null(json_object_get(json, "failure")));
	first = json_array_get(json_object_get(json, "attempts"), 0);
	assert_true(json_is_null(json_object_get(first, "budget_remaining_s")));
	json_decref(json);
}

static void test_render_score_csv_fields_are_quoted(void **state)
{
	const struct job_basis basis = {.subject_hash = (char *)"0123456789abcdef0123",
					.checkpoint = (char *)"/ckpt",
					.harness = (char *)"ifeval",
					.params = (char *)"{\"a\":1}"};
	const struct render_score_of of = {"e.0", "e", "ann", "a,\"b\"", "succeeded", 1000000000, &basis};
	const struct score row = {.task = "line\nbreak",
				  .group = true,
				  .metric = "acc",
				  .score = "micro",
				  .value = 0.5,
				  .stderr_ = NAN,
				  .count = -1};
	struct json_out out = {0};
	(void)state;
	render_score_csv(&out.text, &of, &row);
	assert_string_equal(str_text(&out.text),
			    "e,e.0,ann,\"a,\"\"b\"\"\",succeeded,2001-09-09T01:46:40Z,\"line\nbreak\",true,acc,micro,"
			    "0.5,,,/ckpt,0123456789abcdef,ifeval,,\"{\"\"a\"\":1}\",,,,\r\n");
	json_out_done(&out);
	render_score(&out, &of, &row);
	json_t *json = parse(&out);
	assert_true(json_is_null(json_object_get(json, "stderr")));
	assert_true(json_is_true(json_object_get(json, "group")));
	assert_string_equal(json_string_value(json_object_get(json, "subject")), "0123456789abcdef");
	assert_true(json_is_null(json_object_get(json, "protocol")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "params"), "a")), 1);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_out_string_any_bytes_are_valid_json),
	    cmocka_unit_test(test_out_numbers_read_back_the_same),
	    cmocka_unit_test(test_out_value_is_what_jansson_reads_back),
	    cmocka_unit_test(test_out_nesting_and_commas),
	    cmocka_unit_test(test_render_job_unknown_values_are_null),
	    cmocka_unit_test(test_render_job_progress),
	    cmocka_unit_test(test_render_job_queue_is_whose_it_waits_in),
	    cmocka_unit_test(test_render_evaluation_counts_and_warnings),
	    cmocka_unit_test(test_render_evaluation_chains),
	    cmocka_unit_test(test_render_job_detail_attempts_and_history),
	    cmocka_unit_test(test_render_score_csv_fields_are_quoted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
