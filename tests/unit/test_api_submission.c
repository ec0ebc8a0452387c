/* What a client sends to be evaluated: env files, JSON envelopes, multipart forms, limits. */
#include "api/v1/env_file.h"
#include "api/v1/envelope.h"
#include "api/v1/multipart.h"
#include "base/str.h"
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#define TYPE "multipart/form-data; boundary=XX"

static int read_env(const char *text, struct submission *s, struct nel_err *err)
{
	return env_file_parse(text, strlen(text), s, err);
}

static void test_env_file_parse_lines_give_variables(void **state)
{
	static const struct {
		const char *text;
		const char *name; /* of the first variable; NULL: none */
		const char *value;
	} cases[] = {
	    {"", NULL, NULL},
	    {"\n  \n# comment\n\t# another\n", NULL, NULL},
	    {"A=1", "A", "1"},
	    {"A=", "A", ""},
	    {"  A=1  \n", "A", "1"},
	    {"export A=1", "A", "1"},
	    {"export\t A=1", "A", "1"},
	    {"A=1\r\n", "A", "1"},
	    {"A=a b=c", "A", "a b=c"},
	    {"A=a#b", "A", "a#b"},
	    {"A=a # note", "A", "a"},
	    {"A= # note", "A", ""},
	    {"A=#note", "A", "#note"},
	    {"A = 1", "A", "1"},
	    {"A=$HOME `id` \\n", "A", "$HOME `id` \\n"},
	    {"A='a # \"b\" \\ $c \\\\ \\' \\n'", "A", "a # \"b\" \\ $c \\ ' \\n"},
	    {"A='' # note", "A", ""},
	    {"A='two\nlines'\nB=2", "A", "two\nlines"},
	    {"A=\"a \\\" \\\\ \\$x \\` \\n \\t \\q '\"", "A", "a \" \\ \\$x \\` \n \t \\q '"},
	    {"A=\"one \\\ntwo\"", "A", "one \\\ntwo"},
	    {"A=$x $(id) $ {y}", "A", "$x $(id) $ {y}"},
	    {"A=\"x\"   ", "A", "x"},
	    {"A=1\nA=2", "A", "2"},
	    {"A=caf\xc3\xa9", "A", "caf\xc3\xa9"},
	    /* White space of Unicode, as what is copied from a page may have. */
	    {"A=\xc2\xa0hf_a\xc2\xa0"
	     "b\xc2\xa0\r\nB=1",
	     "A",
	     "hf_a\xc2\xa0"
	     "b"},
	    {"A=\xe2\x80\x83x\xe3\x80\x80\v # note", "A", "x"},
	    {"A=x\xc2\xa0# note", "A", "x"},
	    {"\xef\xbb\xbf"
	     "A=1",
	     "A", "1"},
	    {"\xef\xbb\xbf# comment\nA=1", "A", "1"},
	    {"\xef\xbb\xbf", NULL, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct submission s = {0};
		struct nel_err err = {0};
		assert_int_equal(read_env(cases[i].text, &s, &err), 0);
		if (cases[i].name == NULL) {
			assert_int_equal(s.env_count, 0);
		} else {
			assert_string_equal(s.env[0].name, cases[i].name);
			assert_string_equal(s.env[0].value, cases[i].value);
		}
		submission_done(&s);
	}
}

static void test_env_file_parse_bad_lines_are_named_without_values(void **state)
{
	static const struct {
		const char *text;
		const char *want;
	} cases[] = {
	    {"A=1\nhunter2\n", "line 2"},
	    {"A='hunter2", "line 1"},
	    {"\n\nA=\"hunter2\n\n", "line 3"},
	    {"A='x' hunter2", "line 1"},
	    {"1A=hunter2", "line 1"},
	    {"A B=hunter2", "line 1"},
	    {"=hunter2", "line 1"},
	    {"\nA='${hunter2}'", "line 2: ${...}"},
	    {"A=x${B:-hunter2}", "line 1: ${...}"},
	    {"A='a\nb'\nB-C=hunter2", "line 3"},
	    {"\xef\xbb\xbf\xef\xbb\xbf"
	     "A=hunter2",
	     "line 1"},
	    {"A=1\n\xef\xbb\xbf"
	     "B=hunter2",
	     "line 2"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct submission s = {0};
		struct nel_err err = {0};
		assert_int_equal(read_env(cases[i].text, &s, &err), -1);
		assert_int_equal(err.kind, NEL_INVALID);
		assert_non_null(strstr(err.msg, cases[i].want));
		assert_null(strstr(err.msg, "hunter2"));
		submission_done(&s);
	}
	struct submission s = {0};
	struct nel_err err = {0};
	assert_int_equal(env_file_parse("A=1\0B=2", 7, &s, &err), -1);
	submission_done(&s);
}

static void test_submission_add_limits_are_held(void **state)
{
	struct submission s = {0};
	struct nel_err err = {0};
	char name[32];
	(void)state;
	for (int i = 0; i < SUBMIT_ENV_MAX; i++) {
		snprintf(name, sizeof name, "V%d", i);
		assert_int_equal(submission_add_env(&s, name, "x", &err), 0);
	}
	assert_int_equal(submission_add_env(&s, "MORE", "x", &err), -1);
	assert_int_equal(submission_add_env(&s, "V0", "again", &err), 0);
	assert_string_equal(s.env[0].value, "again");
	for (int i = 0; i < SUBMIT_LABELS_MAX; i++) {
		snprintf(name, sizeof name, "l%d", i);
		assert_int_equal(submission_add_label(&s, name, "x", &err), 0);
	}
	assert_int_equal(submission_add_label(&s, "more", "x", &err), -1);
	for (int i = 0; i < SUBMIT_OVERRIDES_MAX; i++)
		assert_int_equal(submission_add_override(&s, "a=b", &err), 0);
	assert_int_equal(submission_add_override(&s, "a=b", &err), -1);
	submission_done(&s);

	char *large = calloc(1, SUBMIT_ENV_SIZE_MAX + 2);
	memset(large, 'x', SUBMIT_ENV_SIZE_MAX + 1);
	assert_int_equal(submission_add_env(&s, "A", large, &err), -1);
	large[SUBMIT_ENV_SIZE_MAX] = '\0';
	assert_int_equal(submission_add_env(&s, "A", large, &err), 0);
	free(large);
	submission_done(&s);
}

static void test_submission_add_label_bad_ones_are_invalid(void **state)
{
	static const char *const cases[][2] = {{"", "v"}, {"a:b", "v"}, {"a\nb", "v"}, {"a", "v\x01"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct submission s = {0};
		struct nel_err err = {0};
		assert_int_equal(submission_add_label(&s, cases[i][0], cases[i][1], &err), -1);
		submission_done(&s);
	}
}

static int read_json(const char *text, struct submission *s, json_t **ret_errors, struct nel_err *err)
{
	return envelope_parse(text, strlen(text), s, ret_errors, err);
}

static void test_envelope_parse_forms_give_the_config(void **state)
{
	static const struct {
		const char *body;
		const char *text;
		bool json;
		int line_offset;
		int column_offset;
	} cases[] = {
	    {"{\"evaluation\": 1}", "{\"evaluation\": 1}", true, 0, 0},
	    {"[1]", "[1]", true, 0, 0},
	    {"{}", "{}", true, 0, 0},
	    {"{\"env\": {}, \"target\": {}}", "{\"env\": {}, \"target\": {}}", true, 0, 0},
	    {"\xef\xbb\xbf{\"config\": \"a: 1\"}", "a: 1", false, 0, 0},
	    {"{broken", "{broken", true, 0, 0},
	    {"{\"config\": \"a: 1\\nb: 2\\n\"}", "a: 1\nb: 2\n", false, 0, 0},
	    {"{\"config\": {\"a\": 1.10}}", "{\"a\": 1.10}", true, 0, 11},
	    {"{\n  \"labels\": {\"config\": \"x\"},\n  \"config\":{\"a\":\"}\"} ,\"env\":{}}", "{\"a\":\"}\"}", true, 2,
	     11},
	    {"{\"env\": {\"A\": \"\\\"config\\\": 1\"}, \"config\": {}}", "{}", true, 0, 42},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct submission s = {0};
		struct nel_err err = {0};
		json_t *errors = NULL;
		assert_int_equal(read_json(cases[i].body, &s, &errors, &err), 0);
		assert_string_equal(s.text, cases[i].text);
		assert_int_equal(s.size, strlen(cases[i].text));
		assert_int_equal(s.json, cases[i].json);
		assert_int_equal(s.line_offset, cases[i].line_offset);
		assert_int_equal(s.column_offset, cases[i].column_offset);
		submission_done(&s);
	}
}

static void test_envelope_parse_members_are_taken(void **state)
{
	struct submission s = {0};
	struct nel_err err = {0};
	json_t *errors = NULL;
	(void)state;
	assert_int_equal(read_json("{\"config\": {}, \"overrides\": [\"a=b\", \"c=d\"], \"env\": {\"K\": \"v\"}, "
				   "\"labels\": {\"team\": \"x\"}}",
				   &s, &errors, &err),
			 0);
	assert_int_equal(s.override_count, 2);
	assert_string_equal(s.overrides[1], "c=d");
	assert_string_equal(s.env[0].name, "K");
	assert_string_equal(s.env[0].value, "v");
	assert_string_equal(s.labels[0].name, "team");
	assert_string_equal(s.labels[0].value, "x");
	submission_done(&s);
}

static void test_envelope_parse_wrong_members_are_pointed_at(void **state)
{
	static const struct {
		const char *body;
		const char *pointer;
	} cases[] = {
	    {"{\"config\": 1}", "/config"},
	    {"{\"config\": null}", "/config"},
	    {"{\"env\": {}}", "/config"},
	    {"{\"\\u0063onfig\": {}}", "/config"},
	    {"{\"config\": {}, \"dryrun\": true}", "/dryrun"},
	    {"{\"config\": {}, \"a/b\": true}", "/a~1b"},
	    {"{\"config\": {}, \"overrides\": \"a=b\"}", "/overrides"},
	    {"{\"config\": {}, \"overrides\": [\"a=b\", 2]}", "/overrides/1"},
	    {"{\"config\": {}, \"overrides\": [\"\"]}", "/overrides/0"},
	    {"{\"config\": {}, \"env\": []}", "/env"},
	    {"{\"config\": {}, \"env\": {\"A\": 1}}", "/env/A"},
	    {"{\"config\": {}, \"env\": {\"A-B\": \"hunter2\"}}", "/env/A-B"},
	    {"{\"config\": {}, \"labels\": {\"a\": null}}", "/labels/a"},
	    {"{\"config\": {}, \"labels\": {\"a:b\": \"c\"}}", "/labels/a:b"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct submission s = {0};
		struct nel_err err = {0};
		json_t *errors = NULL;
		assert_int_equal(read_json(cases[i].body, &s, &errors, &err), -1);
		assert_int_equal(err.kind, NEL_INVALID);
		assert_int_equal(json_array_size(errors), 1);
		const json_t *error = json_array_get(errors, 0);
		assert_string_equal(json_string_value(json_object_get(error, "pointer")), cases[i].pointer);
		assert_null(strstr(json_string_value(json_object_get(error, "message")), "hunter2"));
		json_decref(errors);
	}
}

static void test_submission_hash_every_part_counts(void **state)
{
	static const char *const bodies[] = {
	    "{\"config\": {}}",
	    "{\"config\": {\"a\": 1}}",
	    "{\"config\": \"{}\"}",
	    "{\"config\": {}, \"overrides\": [\"a=b\"]}",
	    "{\"config\": {}, \"overrides\": [\"a=b\", \"c=d\"]}",
	    "{\"config\": {}, \"env\": {\"A\": \"b\"}}",
	    "{\"config\": {}, \"env\": {\"A\": \"c\"}}",
	    "{\"config\": {}, \"labels\": {\"A\": \"b\"}}",
	};
	enum { COUNT = sizeof bodies / sizeof bodies[0] };
	char hashes[COUNT + 2][SECRET_HASH_SIZE];
	(void)state;
	for (size_t i = 0; i <= COUNT + 1; i++) {
		struct submission s = {0};
		struct nel_err err = {0};
		json_t *errors = NULL;
		assert_int_equal(read_json(bodies[i < COUNT ? i : 0], &s, &errors, &err), 0);
		submission_hash(&s, i == COUNT, i > COUNT, hashes[i]);
		char again[SECRET_HASH_SIZE];
		submission_hash(&s, i == COUNT, i > COUNT, again);
		assert_string_equal(again, hashes[i]);
		submission_done(&s);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(hashes[j], hashes[i]);
	}
}

static int read_form(const char *body, struct submission *s, struct nel_err *err)
{
	return multipart_parse(TYPE, body, strlen(body), s, err);
}

static void test_multipart_parse_parts_make_a_submission(void **state)
{
	static const char body[] = "preamble\r\n"
				   "--XX\r\n"
				   "Content-Disposition: form-data; name=\"config\"; filename=\"c.yaml\"\r\n"
				   "Content-Type: application/octet-stream\r\n\r\n"
				   "a: 1\r\n--X\r\n\r\n"
				   "--XX \r\n"
				   "content-disposition: form-data; name=override\r\n\r\n"
				   "a=2\r\n"
				   "--XX\r\n"
				   "Content-Disposition: form-data; name=\"env_file\"\r\n\r\n"
				   "A='x'\n\r\n"
				   "--XX\r\n"
				   "Content-Disposition: form-data; name=\"env_file\"\r\n\r\n"
				   "\r\n"
				   "--XX--\r\nepilogue";
	struct submission s = {0};
	struct nel_err err = {0};
	(void)state;
	assert_int_equal(read_form(body, &s, &err), 0);
	assert_string_equal(s.text, "a: 1\r\n--X\r\n");
	assert_false(s.json);
	assert_int_equal(s.override_count, 1);
	assert_string_equal(s.overrides[0], "a=2");
	assert_int_equal(s.env_count, 1);
	assert_string_equal(s.env[0].value, "x");
	submission_done(&s);
}

static void test_multipart_parse_json_files_are_json(void **state)
{
	struct submission s = {0};
	struct nel_err err = {0};
	(void)state;
	assert_int_equal(
	    read_form("--XX\r\nContent-Disposition: form-data; name=\"config\"; filename=\"c.json\"\r\n\r\n{}"
		      "\r\n--XX--",
		      &s, &err),
	    0);
	assert_true(s.json);
	submission_done(&s);
	assert_int_equal(read_form("--XX\r\nContent-Type: application/json\r\nContent-Disposition: form-data; "
				   "name=\"config\"\r\n\r\n{}\r\n--XX--",
				   &s, &err),
			 0);
	assert_true(s.json);
	submission_done(&s);
}

#define PART(name) "--XX\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"

static void test_multipart_parse_malformed_bodies_are_invalid(void **state)
{
	static const char *const cases[] = {
	    "",
	    "no boundary",
	    "--XX",
	    "--XX--\r\n", /* no config */
	    "--XX\r\n",
	    "--XX\r\nContent-Disposition: form-data; name=\"config\"\r\n",
	    "--XX\r\n\r\nx\r\n--XX--",                                                   /* no headers */
	    "--XX\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\nx\r\n--XX--", /* no name */
	    PART("config") "x",
	    PART("config") "x\r\n--XX",
	    PART("config") "x\r\n--XXjunk\r\n",
	    PART("config") "x\r\n" PART("config") "y\r\n--XX--",
	    PART("config") "x\r\n" PART("label") "y\r\n--XX--",
	    PART("config") "x\r\n" PART("override") "\r\n--XX--",
	    PART("config") "x\r\n" PART("env_file") "nonsense\r\n--XX--",
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct submission s = {0};
		struct nel_err err = {0};
		assert_int_equal(read_form(cases[i], &s, &err), -1);
		assert_int_equal(err.kind, NEL_INVALID);
		assert_null(s.text);
	}
	struct submission s = {0};
	struct nel_err err = {0};
	static const char good[] = PART("config") "x\r\n--XX--";
	assert_int_equal(multipart_parse("multipart/form-data", good, sizeof good - 1, &s, &err), -1);
	assert_int_equal(multipart_parse("multipart/form-data; boundary=", good, sizeof good - 1, &s, &err), -1);
	assert_int_equal(multipart_parse("multipart/form-data; boundary=\"XX\"", good, sizeof good - 1, &s, &err), 0);
	submission_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_env_file_parse_lines_give_variables),
	    cmocka_unit_test(test_env_file_parse_bad_lines_are_named_without_values),
	    cmocka_unit_test(test_submission_add_limits_are_held),
	    cmocka_unit_test(test_submission_add_label_bad_ones_are_invalid),
	    cmocka_unit_test(test_envelope_parse_forms_give_the_config),
	    cmocka_unit_test(test_envelope_parse_members_are_taken),
	    cmocka_unit_test(test_envelope_parse_wrong_members_are_pointed_at),
	    cmocka_unit_test(test_submission_hash_every_part_counts),
	    cmocka_unit_test(test_multipart_parse_parts_make_a_submission),
	    cmocka_unit_test(test_multipart_parse_json_files_are_json),
	    cmocka_unit_test(test_multipart_parse_malformed_bodies_are_invalid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
