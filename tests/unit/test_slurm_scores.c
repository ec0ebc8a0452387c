#include "base/cleanup.h"
#include "slurm/collect.h"

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
	    "results: {tasks: {a: {metrics: {m: {scores: {s: {value: '1'}}}}}}}",
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(scores_done) struct scores scores = {0};
		struct nel_err err;
		assert_int_equal(scores_parse(cases[i], strlen(cases[i]), &scores, &err), 0);
		assert_int_equal(scores.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scores_parse_results_are_read),
	    cmocka_unit_test(test_scores_parse_without_results_is_invalid),
	    cmocka_unit_test(test_scores_parse_odd_shapes_give_no_scores),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
