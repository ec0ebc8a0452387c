#include "base/json_or_null.h"

#include "base/cleanup.h"
#include "base/score.h"
#include "cmocka_all.h"

#include <math.h>

static void assert_json(json_t *given, const char *want)
{
	CLEANUP(json_freep) json_t *json = given;
	char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
	assert_string_equal(text, want);
	free(text);
}

static void test_json_or_null_of_what_is_not_known_is_null(void **state)
{
	(void)state;
	assert_json(json_or_null_text(NULL), "null");
	assert_json(json_or_null_time(0), "null");
	assert_json(json_or_null_number((double)NAN), "null");
	assert_json(json_or_null_number(HUGE_VAL), "null");
}

static void test_json_or_null_of_what_is_known_is_it(void **state)
{
	(void)state;
	assert_json(json_or_null_text(""), "\"\"");
	assert_json(json_or_null_text("na\xc3\xafve \xff\xc3"), "\"na\xc3\xafve ??\"");
	assert_json(json_or_null_time(1769860800), "\"2026-01-31T12:00:00Z\"");
	assert_json(json_or_null_number(0.5), "0.5");
}

static void test_score_list_json_has_the_first_fifty(void **state)
{
	(void)state;
	struct score scores[SCORE_EVENT_MAX + 1];
	for (size_t i = 0; i < SCORE_EVENT_MAX + 1; i++)
		scores[i] =
		    (struct score){.task = "t", .metric = "m", .score = "s", .value = 1, .stderr_ = (double)NAN};
	CLEANUP(json_freep) json_t *all = score_list_json(scores, SCORE_EVENT_MAX + 1);
	assert_int_equal(json_array_size(all), SCORE_EVENT_MAX);
	assert_json(json_incref(json_array_get(all, 0)),
		    "{\"task\":\"t\",\"group\":false,\"metric\":\"m\",\"score\":\"s\",\"value\":1.0,\"stderr\":null}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_json_or_null_of_what_is_not_known_is_null),
	    cmocka_unit_test(test_json_or_null_of_what_is_known_is_it),
	    cmocka_unit_test(test_score_list_json_has_the_first_fifty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
