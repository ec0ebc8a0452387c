#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "slurm/scores.h"
#include "slurm/scores_yaml.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char results[] = "results:\n"
			      "  groups:\n"
			      "    mmlu_stem:\n"
			      "      metrics:\n"
			      "        acc: {scores: {micro: {value: 0.25, stats: {}}}}\n"
			      "  tasks:\n"
			      "    ifeval:\n"
			      "      metrics:\n"
			      "        strict:\n"
			      "          scores:\n"
			      "            prompt: {value: 0.5, stats: {stderr: 0.125, count: 541}}\n"
			      "            broken: {value: high}\n"
			      "            nan: {value: .nan, stats: {stderr: -.inf}}\n"
			      "            last: {value: .nan}\n"
			      "            whole: {value: 7}\n"
			      "    empty: null\n"
			      "config: {x: 1, list: [.inf,.nan], name: a.nan}\n";

static const struct score *find(const struct scores *scores, const char *name)
{
	for (size_t i = 0; i < scores->count; i++)
		if (strcmp(scores->items[i].score, name) == 0)
			return &scores->items[i];
	return NULL;
}

static void test_scores_parse_results_are_read(void **state)
{
	(void)state;
	CLEANUP(scores_done) struct scores scores = {0};
	struct nel_err err;
	assert_int_equal(scores_parse(results, strlen(results), &scores, &err), 0);
	assert_int_equal(scores.count, 3);
	const struct score *prompt = find(&scores, "prompt");
	assert_non_null(prompt);
	assert_string_equal(prompt->task, "ifeval");
	assert_string_equal(prompt->metric, "strict");
	assert_false(prompt->group);
	assert_true(prompt->value == 0.5 && prompt->stderr_ == 0.125);
	assert_int_equal(prompt->count, 541);
	const struct score *whole = find(&scores, "whole");
	assert_non_null(whole);
	assert_true(whole->value == 7 && isnan(whole->stderr_));
	assert_int_equal(whole->count, -1);
	const struct score *micro = find(&scores, "micro");
	assert_non_null(micro);
	assert_true(micro->group);
	assert_string_equal(micro->task, "mmlu_stem");
}

static void test_scores_parse_without_results_is_invalid(void **state)
{
	(void)state;
	static const char *const cases[] = {"", "results: 5", "[1, 2]", "other: {}", "a: [", "results: {tasks: {"};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scores scores = {0};
		struct nel_err err = {0};
		assert_int_equal(scores_parse(cases[i], strlen(cases[i]), &scores, &err), -1);
		assert_int_equal(err.kind, NEL_INVALID);
	}
}

static void test_scores_parse_odd_shapes_give_no_scores(void **state)
{
	(void)state;
	static const char *const cases[] = {
	    "results: {}",
	    "results: {tasks: [1], groups: 3}",
	    "results: {tasks: {a: {metrics: [1]}}}",
	    "results: {tasks: {a: {metrics: {m: {scores: {s: 1}}}}}}",
	    "results: {tasks: {a: {metrics: {m: {scores: {s: {value: '1 of 2'}}}}}}}",
	    "results: {tasks: {a: {metrics: {m: {scores: {s: {value: '0x10'}}}}}}}",
	    "results: {tasks: {a: {metrics: {m: {scores: {s: {value: '1e999'}}}}}}}",
	    "results: {tasks: {a: {metrics: {m: {scores: {s: {value: true}}}}}}}",
	    "results: {tasks: null, groups: null}",
	    "results: {gsm8k: {alias: gsm8k, ',x': 1, 'y,': 2, 'z_stderr,x': 3, plain: 4}}",
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(scores_done) struct scores scores = {0};
		struct nel_err err;
		assert_int_equal(scores_parse(cases[i], strlen(cases[i]), &scores, &err), 0);
		assert_int_equal(scores.count, 0);
	}
}

/* As PyYAML dumps what EvaluationResult holds: stats with much besides, nested groups, numbers as text. */
static void test_scores_parse_nested_groups_and_numbers_as_text(void **state)
{
	(void)state;
	static const char text[] =
	    "results:\n"
	    "  groups:\n"
	    "    mmlu:\n"
	    "      groups:\n"
	    "        stem: {groups: null, metrics: {acc: {scores: {inner: {value: '0.25', stats: {count: '12'}}}}}}\n"
	    "        mmlu: {metrics: {acc: {scores: {acc: {value: 0.5, stats: {}}}}}}\n"
	    "      metrics:\n"
	    "        acc: {scores: {acc: {value: 1, stats: {count: 10.0, max: null, mean: 1, stderr: '1e-05', sum: "
	    "1}}}}\n"
	    "  tasks: null\n";
	CLEANUP(scores_done) struct scores scores = {0};
	struct nel_err err;
	assert_int_equal(scores_parse(text, strlen(text), &scores, &err), 0);
	assert_int_equal(scores.count, 3);
	const struct score *inner = find(&scores, "inner");
	assert_non_null(inner);
	assert_string_equal(inner->task, "stem");
	assert_true(inner->group && inner->value == 0.25);
	assert_int_equal(inner->count, 12);
	/* The outer one of two groups of one name comes last, so that it is the one that is stored. */
	const struct score *outer = &scores.items[2];
	assert_string_equal(outer->task, "mmlu");
	assert_true(outer->value == 1 && outer->stderr_ == 1e-05);
	assert_int_equal(outer->count, 10);
}

static void test_scores_parse_plain_shape_of_the_harness_is_read(void **state)
{
	(void)state;
	static const char text[] = "{\"results\": {\"gsm8k\": {\"alias\": \"gsm8k\","
				   " \"exact_match,strict-match\": 0.5, \"exact_match_stderr,strict-match\": 0.125,"
				   " \"exact_match,flexible\": 0.75, \"exact_match_stderr,flexible\": \"N/A\"}},"
				   " \"n-samples\": {\"gsm8k\": {\"original\": 1319, \"effective\": 20}}}";
	CLEANUP(scores_done) struct scores scores = {0};
	struct nel_err err;
	assert_int_equal(scores_parse(text, strlen(text), &scores, &err), 0);
	assert_int_equal(scores.count, 2);
	const struct score *strict = find(&scores, "strict-match");
	assert_non_null(strict);
	assert_string_equal(strict->task, "gsm8k");
	assert_string_equal(strict->metric, "exact_match");
	assert_true(strict->value == 0.5 && strict->stderr_ == 0.125 && !strict->group);
	assert_int_equal(strict->count, 20);
	assert_true(isnan(find(&scores, "flexible")->stderr_));
}

/* What stands beside the results does not cost them: tags of Python's, more nodes than a config may have. */
static void test_scores_parse_config_that_cannot_be_read_costs_no_scores(void **state)
{
	(void)state;
	static const char block[] = "results:\n"
				    "  tasks:\n"
				    "    a: {metrics: {m: {scores: {s: {value: 1, stats: {}}}}}}\n";
	static const char tagged[] = "config: {type: !!python/name:os.path ''}\n";
	struct str huge = {0};
	str_append(&huge, "config:\n");
	for (int i = 0; i < 120000; i++)
		str_appendf(&huge, "- %d\n", i);
	const char *const others[] = {tagged, str_text(&huge)};
	for (size_t i = 0; i < 2; i++) {
		for (int first = 0; first < 2; first++) {
			CLEANUP(scores_done) struct scores scores = {0};
			CLEANUP(str_done) struct str text = {0};
			struct nel_err err;
			str_appendf(&text, "%s%s", first ? block : others[i], first ? others[i] : block);
			assert_int_equal(scores_parse(text.data, text.len, &scores, &err), 0);
			assert_int_equal(scores.count, 1);
		}
	}
	str_done(&huge);
	struct scores none = {0};
	struct nel_err err;
	assert_int_equal(scores_parse(tagged, strlen(tagged), &none, &err), -1);
	assert_non_null(strstr(err.msg, "no results"));
}

/* One spoilt value costs itself, and is counted. */
static void test_scores_parse_spoilt_values_cost_themselves(void **state)
{
	(void)state;
	static const struct {
		const char *entry; /* of the scores of a metric, beside a good one */
		size_t lost;
	} cases[] = {
	    {"b: {value: !!python/object/apply:numpy.core.multiarray.scalar [1, 2]}", 2},
	    {"b: {value: !numpy 0.5}", 2},
	    {"~: {value: 1}", 1},
	    {"[1, 2]: {value: 1}", 1},
	    {"b: {value: 1}, b: {value: 2}", 1},
	    {"b: {value: 1, value: 2}", 2},
	    {"b: {value: *nobody}", 2},
	    {"b: {value: '85%'}", 1},
	    {"b: {value: .nan}", 1},
	    {"b: {value: high}", 1},
	    {"b: {}", 1},
	    {"b: {value: 1e999}", 1},
	    {"\"b\\0\": {value: 1}", 1},
	    {"\"\xff\": {value: x}", 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(scores_done) struct scores scores = {0};
		CLEANUP(mem_freep)
		char *text = mem_printf("results:\n  tasks:\n    t: {metrics: {m: {scores: {a: {value: 0.25}, %s}}}}\n",
					cases[i].entry);
		struct nel_err err;
		if (scores_parse(text, strlen(text), &scores, &err) != 0)
			fail_msg("%s: %s", cases[i].entry, err.msg);
		if (scores.count != 1 || scores.left_out != cases[i].lost)
			fail_msg("%s: %zu scores, %zu left out", cases[i].entry, scores.count, scores.left_out);
		assert_string_equal(scores.items[0].score, "a");
		assert_true(scores.items[0].value == 0.25);
	}
}

static void test_scores_parse_of_thousands_of_tasks_keeps_them(void **state)
{
	(void)state;
	struct str text = {0};
	str_append(&text, "results:\n  tasks:\n");
	for (int i = 0; i < 9000; i++)
		str_appendf(
		    &text,
		    "    t%d: {metrics: {m: {scores: {s: {value: 0.5, stats: {count: 1, max: 1, mean: 1, min: 1, "
		    "stddev: 1, stderr: 0, sum: 1, sum_squared: 1, variance: 0}}}}}}\n",
		    i);
	CLEANUP(scores_done) struct scores scores = {0};
	struct nel_err err;
	assert_int_equal(scores_parse(text.data, text.len, &scores, &err), 0);
	assert_int_equal(scores.count, 9000);
	assert_int_equal(scores.left_out, 0);
	str_clear(&text);
	str_append(&text, "results:\n  tasks:\n    a: {metrics: {m: {scores: {s: {value: 0.5, more: [");
	for (int i = 0; i < SCORES_YAML_NODES_MAX; i++)
		str_append(&text, "1,");
	str_append(&text, "]}, s2: {value: 1}}}}}\n");
	CLEANUP(scores_done) struct scores some = {0};
	assert_int_equal(scores_parse(text.data, text.len, &some, &err), 0);
	assert_int_equal(some.count, 1);
	assert_true(some.left_out > 0);
	str_done(&text);
}

static void test_scores_parse_of_aliases_is_bounded(void **state)
{
	(void)state;
	CLEANUP(scores_done) struct scores scores = {0};
	CLEANUP(str_done) struct str text = {0};
	struct nel_err err;
	str_append(&text, "results:\n  tasks:\n    t: {metrics: {m: {scores: {a: &a {value: 1}, b: *a}}}}\n    x0: &x0 "
			  "[1,1,1,1,1,1,1,1,1,1]\n");
	for (int i = 1; i < 20; i++)
		str_appendf(&text, "    x%d: &x%d [*x%d,*x%d,*x%d,*x%d,*x%d,*x%d]\n", i, i, i - 1, i - 1, i - 1, i - 1,
			    i - 1, i - 1);
	assert_int_equal(scores_parse(text.data, text.len, &scores, &err), 0);
	assert_int_equal(scores.count, 2);
	assert_true(scores.items[1].value == 1 && scores.left_out > 0);
}

static void test_scores_mask_names_are_masked_and_values_stay(void **state)
{
	(void)state;
	const char *text = "results:\n  tasks:\n    s3cret: {metrics: {acc: {scores: {of s3cret: {value: 0.5}}}}}\n"
			   "    plain: {metrics: {acc: {scores: {a: {value: 1}}}}}\n";
	CLEANUP(json_freep) json_t *env = json_pack("{s:s}", "A", "s3cret");
	CLEANUP(mask_freep) struct mask *mask = mask_new(env);
	CLEANUP(scores_done) struct scores scores = {0};
	struct nel_err err;
	assert_int_equal(scores_parse(text, strlen(text), &scores, &err), 0);
	scores_mask(&scores, mask);
	assert_int_equal(scores.count, 2);
	assert_string_equal(scores.items[0].task, "******");
	assert_string_equal(scores.items[0].metric, "acc");
	assert_string_equal(scores.items[0].score, "of ******");
	assert_true(scores.items[0].value == 0.5);
	assert_string_equal(scores.items[1].task, "plain");
	struct scores none = {0};
	scores_mask(&none, mask);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scores_parse_results_are_read),
	    cmocka_unit_test(test_scores_parse_spoilt_values_cost_themselves),
	    cmocka_unit_test(test_scores_parse_of_thousands_of_tasks_keeps_them),
	    cmocka_unit_test(test_scores_parse_of_aliases_is_bounded),
	    cmocka_unit_test(test_scores_mask_names_are_masked_and_values_stay),
	    cmocka_unit_test(test_scores_parse_without_results_is_invalid),
	    cmocka_unit_test(test_scores_parse_odd_shapes_give_no_scores),
	    cmocka_unit_test(test_scores_parse_nested_groups_and_numbers_as_text),
	    cmocka_unit_test(test_scores_parse_plain_shape_of_the_harness_is_read),
	    cmocka_unit_test(test_scores_parse_config_that_cannot_be_read_costs_no_scores),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
