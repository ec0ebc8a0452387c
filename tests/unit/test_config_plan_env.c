/* Environment variables of a config: prefixes, advice, layers. */
#include "config/plan/plan_env.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *text;
	enum env_source source;
	const char *value; /* NULL: refused */
	const char *advice;
} cases[] = {
    {"host:HF_TOKEN", ENV_HOST, "HF_TOKEN", NULL},
    {"$host:HF_TOKEN", ENV_HOST, "HF_TOKEN", NULL},
    {"lit:1", ENV_LITERAL, "1", NULL},
    {"$lit:/cache/huggingface", ENV_LITERAL, "/cache/huggingface", NULL},
    {"lit:", ENV_LITERAL, "", NULL},
    {"lit:a\nb=$(c)`d`'", ENV_LITERAL, "a\nb=$(c)`d`'", NULL},
    {"lit:host:X", ENV_LITERAL, "host:X", NULL},
    {"runtime:SLURM_JOB_ID", ENV_RUNTIME, "SLURM_JOB_ID", NULL},
    {"$runtime:TMPDIR", ENV_RUNTIME, "TMPDIR", NULL},
    {"$HF_TOKEN", ENV_HOST, NULL, "host:HF_TOKEN"},
    {"HF_TOKEN", ENV_HOST, NULL, "host:HF_TOKEN"},
    {"/cache", ENV_HOST, NULL, "'lit:'"},
    {"1", ENV_HOST, NULL, "'lit:'"},
    {"", ENV_HOST, NULL, "'lit:'"},
    {"HOST:X", ENV_HOST, NULL, "'lit:'"},
    {"host:", ENV_HOST, NULL, "name of a variable"},
    {"host:a-b", ENV_HOST, NULL, "name of a variable"},
    {"runtime:$(id)", ENV_HOST, NULL, "name of a variable"},
};

static void test_plan_env_parse_each_form_gives_source_or_advice(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct str advice = {0};
		enum env_source source = ENV_HOST;
		const char *value = NULL;
		bool ok = plan_env_parse(cases[i].text, &source, &value, &advice);
		assert_int_equal(ok, cases[i].value != NULL);
		if (ok) {
			assert_int_equal(source, cases[i].source);
			assert_string_equal(value, cases[i].value);
		} else {
			assert_non_null(strstr(str_text(&advice), cases[i].advice));
		}
		str_done(&advice);
	}
}

static void test_plan_env_parse_pasted_secret_is_not_echoed(void **state)
{
	(void)state;
	static const char *const secrets[] = {"hf_AbCdEf123456", "nvapi-aaaa-bbbb", "sk-1234", "host:hf-abc"};
	for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
		struct str advice = {0};
		enum env_source source;
		const char *value;
		assert_false(plan_env_parse(secrets[i], &source, &value, &advice));
		assert_null(strstr(str_text(&advice), secrets[i]));
		str_done(&advice);
	}
}

static void test_plan_env_is_name_posix_names_only(void **state)
{
	(void)state;
	assert_true(plan_env_is_name("A"));
	assert_true(plan_env_is_name("_a9"));
	assert_false(plan_env_is_name(""));
	assert_false(plan_env_is_name("9A"));
	assert_false(plan_env_is_name("A-B"));
	assert_false(plan_env_is_name("A=B"));
	assert_false(plan_env_is_name("A\n"));
	assert_false(plan_env_is_name("\xc3\x84"));
}

static void test_plan_env_add_later_layer_wins_and_names_are_sorted(void **state)
{
	(void)state;
	struct problems errors = {0};
	const struct reader r = {.errors = &errors};
	struct env_group group = {0};
	json_t *config = json_pack("{s:{s:s,s:s,s:s},s:{s:s,s:s}}", "top", "Z", "lit:top", "B", "lit:b", "M", "lit:m",
				   "own", "Z", "runtime:OWN", "A", "host:A");
	plan_env_add(&r, config, "", "top", &group);
	plan_env_add(&r, config, "", "own", &group);
	plan_env_add(&r, config, "", "absent", &group);
	plan_env_default(&group, "Z", ENV_LITERAL, "default");
	plan_env_default(&group, "C", ENV_LITERAL, "default");
	static const char *const names[] = {"A", "B", "C", "M", "Z"};
	assert_int_equal(group.count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(group.vars[i].name, names[i]);
	assert_int_equal(group.vars[4].source, ENV_RUNTIME);
	assert_string_equal(group.vars[4].value, "OWN");
	assert_string_equal(group.vars[2].value, "default");
	assert_int_equal(errors.count, 0);
	env_group_done(&group);
	json_decref(config);
}

static void test_plan_env_settle_runtime_names_a_variable_of_its_own_group(void **state)
{
	(void)state;
	struct problems errors = {0};
	const struct reader r = {.errors = &errors};
	struct env_group group = {0};
	json_t *config = json_pack("{s:{s:s,s:s,s:s,s:s,s:s,s:s}}", "env_vars", "A", "runtime:B", "B", "runtime:C", "C",
				   "host:SECRET", "HOME", "runtime:HOME", "X", "runtime:Y", "Y", "runtime:X");
	plan_env_add(&r, config, "", "env_vars", &group);
	plan_env_settle(&group);
	static const struct {
		enum env_source source;
		const char *value;
	} wanted[] = {{ENV_HOST, "SECRET"}, {ENV_HOST, "SECRET"}, {ENV_HOST, "SECRET"}, {ENV_RUNTIME, "HOME"}};
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(group.vars[i].source, wanted[i].source);
		assert_string_equal(group.vars[i].value, wanted[i].value);
	}
	assert_int_equal(group.vars[4].source, ENV_RUNTIME); /* a circle is left to the node */
	assert_int_equal(group.vars[5].source, ENV_RUNTIME);
	env_group_done(&group);
	json_decref(config);
}

static void test_plan_env_add_wrong_values_are_all_named(void **state)
{
	(void)state;
	struct problems errors = {0};
	const struct reader r = {.errors = &errors};
	struct env_group group = {0};
	json_t *config = json_pack("{s:{s:s,s:i,s:b,s:n,s:s,s:s}}", "env_vars", "BAD NAME", "lit:x", "INT", 1, "BOOL",
				   1, "NULL", "PLAIN", "plain text", "GOOD", "lit:x");
	plan_env_add(&r, config, "", "env_vars", &group);
	assert_int_equal(errors.count, 5);
	assert_string_equal(errors.items[0].pointer, "/env_vars/BAD NAME");
	assert_int_equal(group.count, 1);
	problems_done(&errors);
	env_group_done(&group);
	json_decref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plan_env_parse_each_form_gives_source_or_advice),
	    cmocka_unit_test(test_plan_env_parse_pasted_secret_is_not_echoed),
	    cmocka_unit_test(test_plan_env_is_name_posix_names_only),
	    cmocka_unit_test(test_plan_env_add_later_layer_wins_and_names_are_sorted),
	    cmocka_unit_test(test_plan_env_settle_runtime_names_a_variable_of_its_own_group),
	    cmocka_unit_test(test_plan_env_add_wrong_values_are_all_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
