/* Overrides: their values, what they do to a config, task names. The expected values are those of Hydra 1.3. */
#include "config/compose/overrides.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/compose/task_names.h"
#include "config/text/value_grammar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_value_parse_follows_hydras_grammar(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *json;
	} cases[] = {
	    {"12:00:00", "\"12:00:00\""},
	    {"yes", "\"yes\""},
	    {"off", "\"off\""},
	    {"007", "\"007\""},
	    {"0x1F", "\"0x1F\""},
	    {"True", "true"},
	    {"fALSE", "false"},
	    {"null", "null"},
	    {"NULL", "null"},
	    {"1_000", "1000"},
	    {"1__0", "\"1__0\""},
	    {"-5", "-5"},
	    {"+5", "5"},
	    {"0", "0"},
	    {"1e-5", "1e-05"},
	    {"1.", "1.0"},
	    {".5", "0.5"},
	    {"1.5e3", "1500.0"},
	    {"00.5", "\"00.5\""},
	    {"1.2.3", "\"1.2.3\""},
	    {".", "\".\""},
	    {"", "\"\""},
	    {" x ", "\"x\""},
	    {"x y", "\"x y\""},
	    {"1 2", "\"1 2\""},
	    {"true x", "\"true x\""},
	    {"--port 5", "\"--port 5\""},
	    {"gpu:8", "\"gpu:8\""},
	    {"/a/b-c.d", "\"/a/b-c.d\""},
	    {"[a, b]", "[\"a\", \"b\"]"},
	    {"[1,[null],{a: [x]}]", "[1, [null], {\"a\": [\"x\"]}]"},
	    {"[]", "[]"},
	    {"{}", "{}"},
	    {"{k: v,1:2}", "{\"k\": \"v\", \"1\": 2}"},
	    {"{a:b:c}", "{\"a\": \"b:c\"}"},
	    {"{a b: c d}", "{\"a b\": \"c d\"}"},
	    {"{\"a\": 1}", "{\"a\": 1}"},
	    {"'x, y'", "\"x, y\""},
	    {"'12'", "\"12\""},
	    {"\"a\\\"b\"", "\"a\\\"b\""},
	    {"'a\\\\b'", "\"a\\\\\\\\b\""},
	    {"'a\\\\'", "\"a\\\\\""},
	    {"a\\,b", "\"a,b\""},
	    {"\\[x\\]", "\"[x]\""},
	    {"a b\\ ", "\"a b \""},
	    {"C:\\x", "\"C:\\\\x\""},
	    {"${a.b}", "\"${a.b}\""},
	    {"x${a:1,2}y", "\"x${a:1,2}y\""},
	    {"[${a},1]", "[\"${a}\", 1]"},
	    {"'${a}'", "\"${a}\""},
	    {"$host:HF_TOKEN", "\"$host:HF_TOKEN\""},
	    {"9223372036854775807", "9223372036854775807"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		CLEANUP(json_freep) json_t *got = value_parse(cases[i].text, &err);
		CLEANUP(json_freep) json_t *want = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
		if (got == NULL)
			fail_msg("%s: %s", cases[i].text, err.msg);
		assert_non_null(want);
		if (!json_equal(got, want))
			fail_msg("%s is not %s", cases[i].text, cases[i].json);
	}
}

static void test_value_parse_wrong_values_are_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {"1,2",  "a]",    "{a",    "[a",  "[1,]",  "[,1]",
					    "{a}",  "{a: }", "x(1)",  "'a",  "'a' b", "a\"b\"",
					    "x{y}", "[a b}", "{a: 1", "a)b", "${a",   "[1 [2]]"};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		json_t *got = value_parse(cases[i], &err);
		if (got != NULL)
			fail_msg("accepted: %s", cases[i]);
		assert_int_equal(err.kind, NEL_INVALID);
		assert_true(err.msg[0] != '\0');
	}
}

static void test_value_parse_integers_that_would_be_rounded_are_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {"99999999999999999999", "[1, -9223372036854775809]"};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		assert_null(value_parse(cases[i], &err));
		assert_non_null(strstr(err.msg, "does not fit into 64 bits"));
	}
}

static void test_value_parse_infinities_are_refused_and_words_that_begin_so_are_not(void **state)
{
	(void)state;
	static const char *const cases[] = {"inf", "-Inf", "NaN", "+nan", "[1, inf]", "{a: nan}", "1e400", "-1e400"};
	static const char *const words[] = {"info", "nano", "inf x", "a-inf"};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		assert_null(value_parse(cases[i], &err));
		assert_non_null(strstr(err.msg, "has no value in JSON"));
	}
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		struct nel_err err = {0};
		CLEANUP(json_freep) json_t *value = value_parse(words[i], &err);
		assert_string_equal(json_string_value(value), words[i]);
	}
}

static void test_value_parse_deep_nesting_is_refused(void **state)
{
	(void)state;
	CLEANUP(str_done) struct str text = {0};
	struct nel_err err = {0};
	for (int i = 0; i < 10000; i++)
		str_append_c(&text, '[');
	assert_null(value_parse(text.data, &err));
	assert_non_null(strstr(err.msg, "levels deep"));
}

static const char config_text[] =
    "{\"a\": {\"b\": 1, \"n\": null, \"m\": \"???\", \"l\": [10, {\"x\": 1}], \"d\": {\"p\": 1}},"
    " \"evaluation\": {\"tasks\": [{\"name\": \"h1.mmlu\", \"x\": 0}, {\"name\": \"h2.mmlu\"}, {\"name\": \"gsm8k\", "
    "\"x\": 0},"
    " {\"name\": \"twice\"}, {\"name\": \"twice\"}, {\"name\": \"lm.arc\", \"x\": 0}, {\"name\": \"lm\", \"arc\": "
    "0}]}}";

/* Applies one override to the config above; 0 or -1. */
static int apply(const char *text, json_t **ret_config, struct nel_err *err)
{
	CLEANUP(override_list_done) struct override_list list = {0};
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(json_freep) json_t *config = json_loads(config_text, 0, NULL);
	if (overrides_parse(&text, 1, &list, &problems, err) != 0)
		return -1;
	if (problems.count > 0)
		return err_set(err, NEL_INVALID, "%s", problems.items[0].message);
	if (override_names_task(&list.items[0]) && task_names_resolve(config, &list.items[0], err) != 0)
		return -1;
	if (override_apply(config, &list.items[0], err) != 0)
		return -1;
	*ret_config = TAKE(config);
	return 0;
}

/* The value at a path of object keys and indexes, separated by '/'. */
static json_t *at(json_t *value, const char *path)
{
	while (*path != '\0' && value != NULL) {
		CLEANUP(mem_freep) char *key = mem_strndup(path, strcspn(path, "/"));
		long long index = 0;
		if (json_is_array(value) && str_to_int(key, 0, 1000, &index))
			value = json_array_get(value, (size_t)index);
		else
			value = json_object_get(value, key);
		path += strlen(key);
		path += *path == '/';
	}
	return value;
}

static void test_override_apply_sets_adds_and_deletes(void **state)
{
	(void)state;
	static const struct {
		const char *override;
		const char *path;
		const char *json; /* NULL: nothing is there */
	} cases[] = {
	    {"execution.share_deployment=2", "execution/share_deployment", "2"},
	    {"+execution.idle_limit='00:30:00'", "execution/idle_limit", "\"00:30:00\""},
	    {"++execution.move_after=60", "execution/move_after", "60"},
	    {"a.b=2", "a/b", "2"},
	    {"\xef\xbb\xbf++a.b=2", "a/b", "2"},
	    {"a.b=", "a/b", "\"\""},
	    {"a.n=x", "a/n", "\"x\""},
	    {"a.l.0=5", "a/l/0", "5"},
	    {"a.l[1].x=5", "a/l/1/x", "5"},
	    {"a.l[-1].x=5", "a/l/1/x", "5"},
	    {"a.l=[1]", "a/l", "[1]"},
	    {"a.d={q: 2}", "a/d", "{\"p\": 1, \"q\": 2}"},
	    {"a.d=3", "a/d", "3"},
	    {"a={b: 7}", "a/b", "7"},
	    {"+a.new=1", "a/new", "1"},
	    {"+x.y.z=1", "x/y/z", "1"},
	    {"+a.n=1", "a/n", "1"},
	    {"+a.n.k=1", "a/n/k", "1"},
	    {"+a.m=1", "a/m", "1"},
	    {"+a.d={q: 2}", "a/d", "{\"p\": 1, \"q\": 2}"},
	    {"+a.l.1.y=2", "a/l/1/y", "2"},
	    {"++a.b=3", "a/b", "3"},
	    {"++a.new.x=3", "a/new/x", "3"},
	    {"++a.b.c=3", "a/b/c", "3"},
	    {"~a.b", "a/b", NULL},
	    {"~a.b=1", "a/b", NULL},
	    {"~a.n", "a/n", NULL},
	    {"~a.l.0", "a/l/0/x", "1"},
	    {"a.b=${a.d.p}", "a/b", "\"${a.d.p}\""},
	    {"evaluation.tasks.gsm8k.x=1", "evaluation/tasks/2/x", "1"},
	    {"evaluation.tasks.2.x=1", "evaluation/tasks/2/x", "1"},
	    {"evaluation.tasks.h1.mmlu.x=1", "evaluation/tasks/0/x", "1"},
	    {"evaluation.tasks.lm.arc.x=1", "evaluation/tasks/5/x", "1"},
	    {"evaluation.tasks.arc.x=1", "evaluation/tasks/5/x", "1"},
	    {"evaluation.tasks.lm.name=q", "evaluation/tasks/6/name", "\"q\""},
	    {"++evaluation.tasks.gsm8k.nemo_evaluator_config.config.x=1",
	     "evaluation/tasks/2/nemo_evaluator_config/config/x", "1"},
	    {"evaluation.tasks.gsm8k.x=yes", "evaluation/tasks/2/x", "true"},
	    {"evaluation.tasks.gsm8k.x=010", "evaluation/tasks/2/x", "8"},
	    {"evaluation.tasks.gsm8k.x=~", "evaluation/tasks/2/x", "null"},
	    {"evaluation.tasks.gsm8k.x=", "evaluation/tasks/2/x", "\"\""},
	    {"evaluation.tasks.gsm8k.x={a: [1, 'b']}", "evaluation/tasks/2/x", "{\"a\": [1, \"b\"]}"},
	    {"evaluation.tasks.gsm8k.x=[no: yaml: here", "evaluation/tasks/2/x", "\"[no: yaml: here\""},
	    {"evaluation.tasks.2.x=yes", "evaluation/tasks/2/x", "\"yes\""},
	    {"~evaluation.tasks.gsm8k.x", "evaluation/tasks/2/x", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		CLEANUP(json_freep) json_t *config = NULL;
		if (apply(cases[i].override, &config, &err) != 0)
			fail_msg("%s: %s", cases[i].override, err.msg);
		CLEANUP(json_freep)
		json_t *want = cases[i].json == NULL ? NULL : json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
		const json_t *got = at(config, cases[i].path);
		if (want == NULL ? got != NULL : !json_equal(got, want))
			fail_msg("%s", cases[i].override);
	}
}

static void test_override_apply_wrong_overrides_say_what_to_do(void **state)
{
	(void)state;
	static const struct {
		const char *override;
		const char *says;
	} cases[] = {
	    {"a.zzz=1", "write +a.zzz=1"},
	    {"execution.share_deploymnt=1", "no key execution"},
	    {"share_deployment=1", "write +share_deployment=1"},
	    {"execution.idle_limit.x=1", "no key execution"},
	    {"zzz=1", "write +zzz=1"},
	    {"evaluatoin.tasks=[]", "did you mean evaluation?"},
	    {"a.n.x=1", "no key a.n.x"},
	    {"a.b.x=1", "no key a.b.x"},
	    {"a.l.7=1", "no key a.l.7"},
	    {"+a.b=2", "++a.b=2"},
	    {"+a.l.7=2", "2 elements"},
	    {"++a.l.x.y=2", "2 elements"},
	    {"~a.zzz", "no a.zzz to delete"},
	    {"~a.b=2", "a.b is 1"},
	    {"a.b", "`=`"},
	    {"=1", "key is missing"},
	    {"a..b=1", "empty part"},
	    {"a b=1", "no place in a key"},
	    {"a.b=[1", "comma or ]"},
	    {"a.b=\x01", "control character"},
	    {"a.b=\xff", "UTF-8"},
	    {"evaluation.tasks.zzz.x=1", "the tasks are: h1.mmlu, h2.mmlu, gsm8k"},
	    {"evaluation.tasks.mmlu.x=1", "matches several tasks: h1.mmlu, h2.mmlu"},
	    {"evaluation.tasks.twice.x=1", "appears 2 times"},
	    {"evaluation.tasks.gsm8k.y=1", "write +evaluation.tasks.gsm8k.y=1"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		CLEANUP(json_freep) json_t *config = NULL;
		if (apply(cases[i].override, &config, &err) != -1)
			fail_msg("accepted: %s", cases[i].override);
		assert_int_equal(err.kind, NEL_INVALID);
		if (strstr(err.msg, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].override, err.msg);
	}
}

static void test_overrides_parse_reports_every_wrong_one(void **state)
{
	(void)state;
	static const char *const texts[] = {"a=1", "b", "c=[", "d=2"};
	CLEANUP(override_list_done) struct override_list list = {0};
	CLEANUP(problems_done) struct problems problems = {0};
	struct nel_err err = {0};
	assert_int_equal(overrides_parse(texts, 4, &list, &problems, &err), 0);
	assert_int_equal(problems.count, 2);
	assert_non_null(strstr(problems.items[0].message, "override \"b\""));
	assert_non_null(strstr(problems.items[1].message, "override \"c=[\""));
	assert_string_equal(problems.items[0].pointer, "/b");
	assert_string_equal(problems.items[1].pointer, "/c");
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].text, "a=1");
	assert_string_equal(list.items[1].text, "d=2");
}

static void test_overrides_parse_beyond_the_limits_is_refused(void **state)
{
	(void)state;
	CLEANUP(override_list_done) struct override_list list = {0};
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(str_done) struct str text = {0};
	struct nel_err err = {0};
	str_append(&text, "a=");
	for (int i = 0; i < OVERRIDE_BYTES_MAX; i++)
		str_append_c(&text, 'x');
	const char *longest = text.data;
	assert_int_equal(overrides_parse(&longest, 1, &list, &problems, &err), 0);
	assert_int_equal(list.count, 0);
	assert_int_equal(problems.count, 1);
	override_list_done(&list);
	str_clear(&text);
	str_append(&text, "+a");
	for (int i = 0; i < OVERRIDE_SEGMENTS_MAX; i++)
		str_append(&text, ".a");
	str_append(&text, "=1");
	json_t *config = NULL;
	assert_int_equal(apply(text.data, &config, &err), -1);
	assert_non_null(strstr(err.msg, "64 parts"));
	const char *many[OVERRIDES_MAX + 1];
	for (size_t i = 0; i <= OVERRIDES_MAX; i++)
		many[i] = "a=1";
	assert_int_equal(overrides_parse(many, OVERRIDES_MAX + 1, &list, &problems, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_value_parse_follows_hydras_grammar),
	    cmocka_unit_test(test_value_parse_wrong_values_are_refused),
	    cmocka_unit_test(test_value_parse_integers_that_would_be_rounded_are_refused),
	    cmocka_unit_test(test_value_parse_infinities_are_refused_and_words_that_begin_so_are_not),
	    cmocka_unit_test(test_value_parse_deep_nesting_is_refused),
	    cmocka_unit_test(test_override_apply_sets_adds_and_deletes),
	    cmocka_unit_test(test_override_apply_wrong_overrides_say_what_to_do),
	    cmocka_unit_test(test_overrides_parse_reports_every_wrong_one),
	    cmocka_unit_test(test_overrides_parse_beyond_the_limits_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
