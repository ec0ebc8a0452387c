/* Paths and query strings: decoding, rules, values, templates of paths. */
#include "api/http/query.h"
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

static int parse(const char *text, char **ret_copy, struct query *ret_query, struct nel_err *err)
{
	*ret_copy = strdup(text);
	return query_parse(*ret_copy, ret_query, err);
}

static void test_query_decode_escapes_give_their_bytes(void **state)
{
	static const struct {
		const char *text;
		bool plus;
		const char *want;
	} cases[] = {
	    {"", true, ""},        {"abc", true, "abc"}, {"a%2Fb%2fc", false, "a/b/c"}, {"a+b", true, "a b"},
	    {"a+b", false, "a+b"}, {"%2B", true, "+"},   {"%C3%A9", false, "\xc3\xa9"}, {"%25%41", false, "%A"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		char *copy = strdup(cases[i].text);
		assert_int_equal(query_decode(copy, cases[i].plus, "it", &err), 0);
		assert_string_equal(copy, cases[i].want);
		free(copy);
	}
}

static void test_query_decode_bad_escapes_are_invalid(void **state)
{
	static const char *const cases[] = {"%",   "%4",  "%zz", "a%0",  "%00",       "%0a",   "%0D",
					    "%7f", "%ff", "%C3", "a\tb", "%ED%A0%80", "%C0%AF"};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		char *copy = strdup(cases[i]);
		assert_int_equal(query_decode(copy, true, "it", &err), -1);
		assert_int_equal(err.kind, NEL_INVALID);
		free(copy);
	}
}

static void test_query_parse_params_keep_order_and_values(void **state)
{
	struct query query;
	struct nel_err err = {0};
	char *copy = NULL;
	(void)state;
	assert_int_equal(parse("a=1&b=x%3Dy&&c&a=2=3&", &copy, &query, &err), 0);
	static const char *const want[][2] = {{"a", "1"}, {"b", "x=y"}, {"c", ""}, {"a", "2=3"}};
	assert_int_equal(query.count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(query.items[i].name, want[i][0]);
		assert_string_equal(query.items[i].value, want[i][1]);
	}
	assert_string_equal(query_get(&query, "a"), "1");
	assert_null(query_get(&query, "d"));
	query_params_done(&query);
	free(copy);
}

static void test_query_parse_too_many_params_are_invalid(void **state)
{
	struct str text = {0};
	struct query query;
	struct nel_err err = {0};
	(void)state;
	for (int i = 0; i <= QUERY_PARAMS_MAX; i++)
		str_append(&text, "a&");
	char *copy = NULL;
	assert_int_equal(parse(str_text(&text), &copy, &query, &err), -1);
	free(copy);
	str_done(&text);
}

static void test_query_check_rules_name_what_is_wrong(void **state)
{
	static const struct {
		const char *text;
		const char *want; /* in the message; NULL: it passes */
	} cases[] = {
	    {"", NULL},
	    {"one=1&many=2&many=3", NULL},
	    {"one=1&one=1", "\"one\" given more than once"},
	    {"foo=1&one=1&bar&foo", "unknown query parameter: \"foo\", \"bar\""},
	    {"One=1", "\"One\""},
	    {"many*=1", "\"many*\""},
	    {"on=1", "\"on\""},
	    {"one%20many=1", "\"one many\""},
	    {"=1", "\"\""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct query query;
		struct nel_err err = {0};
		char *copy = NULL;
		assert_int_equal(parse(cases[i].text, &copy, &query, &err), 0);
		assert_int_equal(query_check(&query, "one many*", &err), cases[i].want == NULL ? 0 : -1);
		if (cases[i].want != NULL)
			assert_non_null(strstr(err.msg, cases[i].want));
		query_params_done(&query);
		free(copy);
	}
}

static void test_query_get_values_of_wrong_type_are_invalid(void **state)
{
	struct query query;
	struct nel_err err = {0};
	char *copy = NULL;
	bool flag = false;
	long long number = 0;
	char *key = NULL;
	const char *value = NULL;
	(void)state;
	assert_int_equal(
	    parse("yes=true&no=false&odd=1&n=12&big=501&x=1x&at=2026-01-31T12:00:00Z&label=a:b:c", &copy, &query, &err),
	    0);
	assert_int_equal(query_get_bool(&query, "yes", false, &flag, &err), 0);
	assert_true(flag);
	assert_int_equal(query_get_bool(&query, "no", true, &flag, &err), 0);
	assert_false(flag);
	assert_int_equal(query_get_bool(&query, "absent", true, &flag, &err), 0);
	assert_true(flag);
	assert_int_equal(query_get_bool(&query, "odd", true, &flag, &err), -1);
	assert_int_equal(query_get_int(&query, "n", 1, 500, 50, &number, &err), 0);
	assert_int_equal(number, 12);
	assert_int_equal(query_get_int(&query, "absent", 1, 500, 50, &number, &err), 0);
	assert_int_equal(number, 50);
	assert_int_equal(query_get_int(&query, "big", 1, 500, 50, &number, &err), -1);
	assert_int_equal(query_get_int(&query, "x", 1, 500, 50, &number, &err), -1);
	assert_int_equal(query_get_time(&query, "at", &number, &err), 0);
	assert_int_equal(number, 1769860800);
	assert_int_equal(query_get_time(&query, "x", &number, &err), -1);
	assert_int_equal(query_get_label(&query, &key, &value, &err), 0);
	assert_string_equal(key, "a");
	assert_string_equal(value, "b:c");
	free(key);
	query_params_done(&query);
	free(copy);
}

static void test_query_get_label_without_key_or_colon_is_invalid(void **state)
{
	static const char *const cases[] = {"label=a", "label=:b", "label="};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct query query;
		struct nel_err err = {0};
		char *copy = NULL;
		char *key = NULL;
		const char *value = NULL;
		assert_int_equal(parse(cases[i], &copy, &query, &err), 0);
		assert_int_equal(query_get_label(&query, &key, &value, &err), -1);
		assert_null(key);
		query_params_done(&query);
		free(copy);
	}
}

static void test_query_get_words_takes_each_once(void **state)
{
	static const struct {
		const char *text;
		bool label; /* may be there */
		int rc;
		bool a;
		bool b;
		const char *key;
	} cases[] = {
	    {"by=a", false, 0, true, false, NULL},
	    {"by=b,a", true, 0, true, true, NULL},
	    {"x=1", false, 0, false, true, NULL}, /* the fallback */
	    {"by=label:team,b", true, 0, false, true, "team"},
	    {"by=label:a:b", true, 0, false, false, "a:b"},
	    {"by=", true, -1, false, false, NULL},
	    {"by=a,", true, -1, false, false, NULL},
	    {"by=,a", true, -1, false, false, NULL},
	    {"by=a,a", true, -1, false, false, NULL},
	    {"by=A", true, -1, false, false, NULL},
	    {"by=ab", true, -1, false, false, NULL},
	    {"by=label:", true, -1, false, false, NULL},
	    {"by=label:x,label:y", true, -1, false, false, NULL},
	    {"by=label:x", false, -1, false, false, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		struct query query = {0};
		char *copy = NULL;
		char *key = NULL;
		bool a = false;
		bool b = false;
		const struct query_word words[] = {{"a", &a}, {"b", &b}};
		assert_int_equal(parse(cases[i].text, &copy, &query, &err), 0);
		int rc = query_get_words(&query, "by", "b", words, 2, cases[i].label ? &key : NULL, &err);
		assert_int_equal(rc, cases[i].rc);
		if (rc == 0) {
			assert_int_equal(a, cases[i].a);
			assert_int_equal(b, cases[i].b);
		} else {
			assert_non_null(strstr(err.msg, "\"by\" must be of a, b"));
			assert_int_equal(strstr(err.msg, "label:KEY") != NULL, cases[i].label);
		}
		if (cases[i].key == NULL)
			assert_null(key);
		else
			assert_string_equal(key, cases[i].key);
		free(key);
		query_params_done(&query);
		free(copy);
	}
}

static void test_query_encode_reserved_bytes_are_escaped(void **state)
{
	struct str s = {0};
	(void)state;
	query_encode(&s, "aZ9-._~ +/&=>\"\xc3\xa9");
	assert_string_equal(str_text(&s), "aZ9-._~%20%2B%2F%26%3D%3E%22%C3%A9");
	str_done(&s);
}

static void test_path_match_templates_capture_segments(void **state)
{
	static const struct {
		const char *path_template;
		const char *path;
		const char *captures[PATH_CAPTURES_MAX]; /* NULL first: no match */
		size_t count;
		bool matches;
	} cases[] = {
	    {"/v1/jobs", "/v1/jobs", {NULL}, 0, true},
	    {"/v1/jobs", "/v1/jobs/", {NULL}, 0, false},
	    {"/v1/jobs", "/v1/job", {NULL}, 0, false},
	    {"/v1/jobs/{id}", "/v1/jobs/a.0", {"a.0"}, 1, true},
	    {"/v1/jobs/{id}", "/v1/jobs/", {NULL}, 0, false},
	    {"/v1/jobs/{id}", "/v1/jobs/a/b", {NULL}, 0, false},
	    {"/v1/jobs/{id}/logs", "/v1/jobs/a/logs", {"a"}, 1, true},
	    {"/v1/jobs/{id}/logs/{name}", "/v1/jobs/a/logs/b", {"a", "b"}, 2, true},
	    {"/v1/jobs/{id}/logs/{name}", "/v1/jobs/a/logs/b/c", {NULL}, 0, false},
	    {"/v1/jobs/{id}/artifacts/{path}", "/v1/jobs/a/artifacts/b/c.json", {"a", "b/c.json"}, 2, true},
	    {"/v1/jobs/{id}/artifacts/{path}", "/v1/jobs/a/artifacts/", {NULL}, 0, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct path_capture captures[PATH_CAPTURES_MAX];
		size_t count = 0;
		assert_int_equal(path_match(cases[i].path_template, cases[i].path, captures, &count), cases[i].matches);
		if (!cases[i].matches)
			continue;
		assert_int_equal(count, cases[i].count);
		for (size_t c = 0; c < count; c++) {
			assert_int_equal(captures[c].size, strlen(cases[i].captures[c]));
			assert_memory_equal(cases[i].path + captures[c].start, cases[i].captures[c], captures[c].size);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_query_decode_escapes_give_their_bytes),
	    cmocka_unit_test(test_query_decode_bad_escapes_are_invalid),
	    cmocka_unit_test(test_query_parse_params_keep_order_and_values),
	    cmocka_unit_test(test_query_parse_too_many_params_are_invalid),
	    cmocka_unit_test(test_query_check_rules_name_what_is_wrong),
	    cmocka_unit_test(test_query_get_values_of_wrong_type_are_invalid),
	    cmocka_unit_test(test_query_get_label_without_key_or_colon_is_invalid),
	    cmocka_unit_test(test_query_get_words_takes_each_once),
	    cmocka_unit_test(test_query_encode_reserved_bytes_are_escaped),
	    cmocka_unit_test(test_path_match_templates_capture_segments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
