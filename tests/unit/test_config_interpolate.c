/* Interpolation. The expected values are those of OmegaConf 2.3, but where config/compose/interpolate.h says otherwise.
 */
#include "config/compose/interpolate.h"
#include "config/compose/resolvers.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/text/value_grammar.h"
#include "config/text/yaml_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool keep_runtime(const char *key, void *arg)
{
	return strcmp(key, arg) == 0;
}

static const char *site_path(const char *name, void *arg, struct nel_err *err)
{
	(void)arg;
	if (strcmp(name, "models") == 0)
		return "/shared/models";
	err_set(err, NEL_INVALID, "no path \"%s\"", name);
	return NULL;
}

/* Interpolates YAML text; 0 or -1, with the problems. */
static int run(const char *text, json_t **ret_value, struct problems *problems, struct nel_err *err)
{
	static const char *const allowed[] = {"NEL_TEST_SET", "NEL_TEST_UNSET", NULL};
	CLEANUP(json_freep) json_t *value = NULL;
	CLEANUP(source_map_freep) struct source_map *map = NULL;
	struct interpolate_env env = {.username = "svc",
				      .allowed_env = allowed,
				      .now_s = 1769860800, /* 2026-01-31T12:00:00Z */
				      .site_path = site_path,
				      .keep = keep_runtime,
				      .keep_arg = "run.time"};
	setenv("NEL_TEST_SET", "from env", 1);
	unsetenv("NEL_TEST_UNSET");
	assert_int_equal(yaml_json_parse(text, strlen(text), false, &value, &map, problems, err), 0);
	return interpolate(value, &env, map, ret_value, problems, err);
}

static void test_interpolate_references_resolve(void **state)
{
	(void)state;
	static const struct {
		const char *yaml;
		const char *result; /* of the key r, as JSON */
	} cases[] = {
	    {"a: 5\nr: ${a}", "5"},
	    {"a: {b: [1, x]}\nr: ${a}", "{\"b\": [1, \"x\"]}"},
	    {"a: {b: [1, {c: z}]}\nr: ${a.b[1].c} ${a.b.0} ${a[b].1.c}", "\"z 1 z\""},
	    {"a: true\nb: null\nc: 0.95\nr: x${a}${b} ${c}", "\"xTrueNone 0.95\""},
	    {"a: 1.0e-05\nr: x${a}", "\"x1e-05\""},
	    {"a: [1, 'q', null]\nr: x${a}", "\"x[1, 'q', None]\""},
	    {"a: {k: v}\nr: x${a}", "\"x{'k': 'v'}\""},
	    {"r: ${site:models}", "\"/shared/models\""},
	    {"m: models\nr: ${site:${m}}/llama", "\"/shared/models/llama\""},
	    {"a: ''\nb: 5\nr: ${a}${b}", "\"5\""},
	    {"r: {x: '${.y}', y: {z: '${..w}'}, w: 3}", "{\"x\": {\"z\": 3}, \"y\": {\"z\": 3}, \"w\": 3}"},
	    {"r: ['${.1}', v]", "[\"v\", \"v\"]"},
	    {"k: b\na: {b: {c: 7}}\nr: ${a.${k}.c}", "7"},
	    {"k: b.c\na: {b: {c: 7}}\nr: ${a.${k}}", "7"},
	    {"a: ${b}\nb: ${c}\nc: {d: 1}\nr: ${a.d}", "1"},
	    {"a: {b: {c: '${..d}', d: 4}, d: 9}\nr: ${a.b}", "{\"c\": 9, \"d\": 4}"},
	    {"a: 7\nr: ${ a }", "7"},
	    {"m: {a-b: {c/d: 1}}\nr: ${m.a-b.c/d}", "1"},
	    {"r: $(cmd) $X ${oc.env:USER} `y` $$ $1", "\"$(cmd) $X svc `y` $$ $1\""},
	    {"a: 5\nr: \\${a} \\\\${a} \\\\\\${a} \\x \\\\y", "\"${a} \\\\5 \\\\${a} \\\\x \\\\\\\\y\""},
	    {"r: \\${HOME:-/root}", "\"${HOME:-/root}\""},
	    {"a: ???\nr: ${a}", "\"???\""},
	    {"a: ???\nr: --port ${a}", "\"--port ???\""},
	    {"a: ???\nr: ${a.b}", "\"???\""},
	    {"r: ${run.time}", "\"${run.time}\""},
	    {"r: x ${run.time} y", "\"x ${run.time} y\""},
	    {"a: 12\nr: '${a}'", "12"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(problems_done) struct problems problems = {0};
		CLEANUP(json_freep) json_t *got = NULL;
		struct nel_err err = {0};
		if (run(cases[i].yaml, &got, &problems, &err) != 0)
			fail_msg("%s: %s", cases[i].yaml, err.msg);
		CLEANUP(json_freep) json_t *want = json_loads(cases[i].result, JSON_DECODE_ANY, NULL);
		assert_non_null(want);
		assert_int_equal(problems.count, 0);
		if (!json_equal(json_object_get(got, "r"), want))
			fail_msg("%s", cases[i].yaml);
	}
}

static void test_interpolate_resolvers_give_their_values(void **state)
{
	(void)state;
	static const struct {
		const char *yaml;
		const char *result;
	} cases[] = {
	    {"d: {h: null}\nr: ${select_not_null:d.h,/checkpoint}", "\"/checkpoint\""},
	    {"d: {h: org/model}\nr: ${select_not_null:d.h,/checkpoint}", "\"org/model\""},
	    {"r: ${select_not_null:d.h,/checkpoint}", "\"/checkpoint\""},
	    {"d:\n  h: ???\nr: ${select_not_null:d.h,/checkpoint}", "\"/checkpoint\""},
	    {"a: null\nb: 2\nr: ${select_not_null:a,b}", "2"},
	    {"a: null\nb: null\nr: ${select_not_null:a,b}", "null"},
	    {"a: null\nb: 2\nr: ${select_not_null:a,'b'}", "\"b\""},
	    {"r: ${select_not_null:a,8}", "8"},
	    {"r: ${select_not_null:a,auto}", "\"auto\""},
	    {"r: ${select_not_null:a}", "\"a\""},
	    {"r: ${select_not_null:a,b.c,'x y'}", "\"x y\""},
	    {"a: 1\nr: ${oc.select:a,5}", "1"},
	    {"r: ${oc.select:a,5}", "5"},
	    {"r: ${oc.select:a}", "null"},
	    {"r: ${oc.select:a,null}", "null"},
	    {"a: null\nr: ${oc.select:a,5}", "null"},
	    {"a: ???\nr: ${oc.select:a,5}", "5"},
	    {"a: ???\nr: ${oc.select:a}", "null"},
	    {"b: 3\nr: '${oc.select:a,\"x, ${b}\"}'", "\"x, 3\""},
	    {"b: 3\nr: '${oc.select:a,{k: ${b}}}'", "{\"k\": 3}"},
	    {"s: '[1, {a: b}]'\nr: ${oc.decode:${s}}", "[1, {\"a\": \"b\"}]"},
	    {"r: '${oc.decode:\"1_0\"}'", "10"},
	    {"r: ${oc.decode:null}", "null"},
	    {"r: '${oc.create:{x: 1, y: [a]}}'", "{\"x\": 1, \"y\": [\"a\"]}"},
	    {"s: 'x: 1'\nr: ${oc.create:${s}}", "{\"x\": 1}"},
	    {"m: {p: 1, q: 2}\nr: ${oc.dict.keys:m}", "[\"p\", \"q\"]"},
	    {"m: {p: 1, q: '${.p}'}\nr: ${oc.dict.values:m}", "[1, 1]"},
	    {"m: {p: 1}\nr: ${oc.dict.keys:${m}}", "[\"p\"]"},
	    {"r: ${now:%Y-%m-%d_%H:%M:%S}", "\"2026-01-31_12:00:00\""},
	    {"r: ${oc.env:USER}", "\"svc\""},
	    {"r: /home/${oc.env:USER}/x", "\"/home/svc/x\""},
	    {"r: ${oc.env:NEL_TEST_SET}", "\"from env\""},
	    {"r: ${oc.env:NEL_TEST_UNSET,5}", "\"5\""},
	    {"r: ${oc.env:PATH,x}", "\"x\""},
	    {"r: ${oc.deprecated:new}\nnew: 5", "5"},
	    {"r: ${oc.deprecated:new,'$OLD_KEY is now $NEW_KEY'}\nnew: [a]", "[\"a\"]"},
	    {"r: ${oc.env:NEL_TEST_UNSET,null}", "null"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(problems_done) struct problems problems = {0};
		CLEANUP(json_freep) json_t *got = NULL;
		struct nel_err err = {0};
		if (run(cases[i].yaml, &got, &problems, &err) != 0)
			fail_msg("%s: %s", cases[i].yaml, err.msg);
		CLEANUP(json_freep) json_t *want = json_loads(cases[i].result, JSON_DECODE_ANY, NULL);
		assert_non_null(want);
		if (!json_equal(json_object_get(got, "r"), want))
			fail_msg("%s", cases[i].yaml);
	}
}

static void test_interpolate_wrong_references_are_reported_with_place(void **state)
{
	(void)state;
	static const struct {
		const char *yaml;
		const char *pointer;
		int line;
		int column;
		const char *says;
	} cases[] = {
	    {"a: 1\nr: ${b}", "/r", 2, 1, "${b}: there is no such key"},
	    {"deployment: {port: 1}\nr:\n  - x\n  - ${deployment.prot}", "/r/1", 4, 5, "did you mean port?"},
	    {"a: {b: 1}\nr: ${a.b.c}", "/r", 2, 1, "no such key"},
	    {"r: ${HOME}/x", "/r", 1, 1, "write $HOME"},
	    {"r: ${HOME:-/root}", "/r", 1, 1, "no resolver \"HOME\""},
	    {"r: ${oc.evn:USER}", "/r", 1, 1, "did you mean oc.env?"},
	    {"r: ${oc.env:HF_TOKEN}", "/r", 1, 1, "host:HF_TOKEN"},
	    {"r: ${oc.env:PATH}", "/r", 1, 1, "not yours"},
	    {"r: ${oc.deprecated:nope}", "/r", 1, 1, "oc.deprecated takes the key"},
	    {"r: ${oc.env:NEL_TEST_UNSET}", "/r", 1, 1, "not set"},
	    {"r: ${oc.env:}", "/r", 1, 1, "1 to 2 arguments"},
	    {"r: ${oc.select:a,1,2}", "/r", 1, 1, "1 to 2 arguments"},
	    {"r: ${oc.decode:5}", "/r", 1, 1, "takes a string"},
	    {"a: 1\nr: ${oc.dict.keys:a}", "/r", 2, 1, "key of a mapping"},
	    {"r: '${oc.create:\"[1\"}'", "/r", 1, 1, "oc.create"},
	    {"r: 'x ${a'", "/r", 1, 1, "no end"},
	    {"r: ${}", "/r", 1, 1, "no key"},
	    {"l: [1, 2]\nr: ${l[-1]}", "/r", 2, 1, "l[-1]"},
	    {"r: ${.x}", "/r", 1, 1, "no such key"},
	    {"r: ${....x}", "/r", 1, 1, "no such key"},
	    {"a: 1\nr: ${a[}", "/r", 2, 1, "is not a key"},
	    {"r: ${r}", "/r", 1, 1, "circle: r -> r"},
	    {"a: {b: '${c}'}\nc: ${a}", "/a/b", 1, 5, "circle: a.b -> c -> a.b"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(problems_done) struct problems problems = {0};
		json_t *got = NULL;
		struct nel_err err = {0};
		if (run(cases[i].yaml, &got, &problems, &err) != -1)
			fail_msg("accepted: %s", cases[i].yaml);
		assert_null(got);
		assert_int_equal(err.kind, NEL_INVALID);
		if (problems.count != 1 || strstr(problems.items[0].message, cases[i].says) == NULL)
			fail_msg("%s: %zu, %s", cases[i].yaml, problems.count, problems.items[0].message);
		assert_string_equal(problems.items[0].pointer, cases[i].pointer);
		assert_int_equal(problems.items[0].line, cases[i].line);
		assert_int_equal(problems.items[0].column, cases[i].column);
	}
}

static void test_interpolate_all_problems_are_reported_once(void **state)
{
	(void)state;
	CLEANUP(problems_done) struct problems problems = {0};
	json_t *got = NULL;
	struct nel_err err = {0};
	assert_int_equal(run("a: ${zz}\nb: ${a}\nc: [x, '${yy}']\nd: ${b} ${c}\ne: ${e}", &got, &problems, &err), -1);
	assert_int_equal(problems.count, 3);
	assert_string_equal(problems.items[0].pointer, "/a");
	assert_string_equal(problems.items[1].pointer, "/c/1");
	assert_string_equal(problems.items[2].pointer, "/e");
	assert_non_null(strstr(err.msg, "${zz}"));
}

static void test_interpolate_unknown_account_counts_as_missing(void **state)
{
	(void)state;
	CLEANUP(json_freep) json_t *config = json_pack("{s:s, s:s}", "u", "${oc.env:USER}", "d", "${oc.env:USER,me}");
	CLEANUP(json_freep) json_t *got = NULL;
	CLEANUP(problems_done) struct problems problems = {0};
	struct interpolate_env env = {.username = NULL};
	struct nel_err err = {0};
	assert_int_equal(interpolate(config, &env, NULL, &got, &problems, &err), 0);
	assert_string_equal(json_string_value(json_object_get(got, "u")), "???");
	assert_string_equal(json_string_value(json_object_get(got, "d")), "me");
}

static void test_interpolate_input_is_left_as_it_was(void **state)
{
	(void)state;
	CLEANUP(json_freep) json_t *config = json_pack("{s:s, s:[i]}", "a", "${b}", "b", 1);
	CLEANUP(json_freep) json_t *before = json_deep_copy(config);
	CLEANUP(json_freep) json_t *got = NULL;
	CLEANUP(problems_done) struct problems problems = {0};
	struct interpolate_env env = {.username = "u"};
	struct nel_err err = {0};
	assert_int_equal(interpolate(config, &env, NULL, &got, &problems, &err), 0);
	assert_true(json_equal(config, before));
	assert_false(json_equal(config, got));
}

/* Ten references in each of twenty levels: 10^20 without a limit. */
static void test_interpolate_expansion_is_bounded(void **state)
{
	(void)state;
	static const char *const firsts[] = {"a0: xxxxxxxxxxxxxxxx\n", "a0: [1, 2, 3]\n", "a0: 0.1\n"};
	for (size_t kind = 0; kind < 3; kind++) {
		CLEANUP(str_done) struct str text = {0};
		CLEANUP(problems_done) struct problems problems = {0};
		json_t *got = NULL;
		struct nel_err err = {0};
		str_append(&text, firsts[kind]);
		for (int i = 1; i < 20; i++) {
			str_appendf(&text, "a%d: %s", i, kind != 1 ? "'" : "[");
			for (int k = 0; k < 10; k++)
				str_appendf(&text, kind != 1 ? "${a%d}" : "'${a%d}',", i - 1);
			str_append(&text, kind != 1 ? "'\n" : "]\n");
		}
		assert_int_equal(run(text.data, &got, &problems, &err), -1);
		assert_non_null(strstr(err.msg, "too large"));
	}
}

static void test_interpolate_long_chains_are_bounded(void **state)
{
	(void)state;
	static const struct {
		int links;
		int rc;
	} cases[] = {{50, 0}, {5000, -1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(str_done) struct str text = {0};
		CLEANUP(problems_done) struct problems problems = {0};
		CLEANUP(json_freep) json_t *got = NULL;
		struct nel_err err = {0};
		for (int k = 0; k < cases[i].links; k++)
			str_appendf(&text, "a%d: ${a%d}\n", k, k + 1);
		str_appendf(&text, "a%d: 1\n", cases[i].links);
		assert_int_equal(run(text.data, &got, &problems, &err), cases[i].rc);
	}
}

static void test_interpolate_many_open_braces_refused(void **state)
{
	(void)state;
	for (int depth = INTERPOLATION_BRACES_MAX; depth <= INTERPOLATION_BRACES_MAX + 1; depth++) {
		CLEANUP(str_done) struct str text = {0};
		CLEANUP(json_freep) json_t *value = NULL;
		CLEANUP(problems_done) struct problems problems = {0};
		struct nel_err err = {0};
		str_append(&text, "a: a\nr: '");
		for (int i = 0; i < depth; i++)
			str_append(&text, "${");
		str_append(&text, "a");
		for (int i = 0; i < depth; i++)
			str_append(&text, "}");
		str_append(&text, "'\n");
		int rc = run(str_text(&text), &value, &problems, &err);
		assert_int_equal(rc, depth > INTERPOLATION_BRACES_MAX ? -1 : 0);
		if (rc != 0)
			assert_non_null(strstr(err.msg, "more than 32 are open"));
	}
}

/* One text, named often, would be parsed each time. */
static void test_interpolate_text_for_create_is_bounded(void **state)
{
	(void)state;
	static const int size = RESOLVER_CREATE_MAX / 4;
	for (int calls = 4; calls <= 5; calls++) {
		CLEANUP(str_done) struct str text = {0};
		CLEANUP(json_freep) json_t *got = NULL;
		CLEANUP(problems_done) struct problems problems = {0};
		struct nel_err err = {0};
		str_appendf(&text, "a: '[%*s]'\nr:\n", size - 2, "1");
		for (int i = 0; i < calls; i++)
			str_append(&text, "- ${oc.create:${a}}\n");
		int rc = run(str_text(&text), &got, &problems, &err);
		assert_int_equal(rc, calls == 5 ? -1 : 0);
		if (rc == 0)
			continue;
		assert_int_equal(problems.count, 1);
		assert_string_equal(problems.items[0].pointer, "/r/4");
		assert_non_null(strstr(problems.items[0].message, "over the limit of 262144; write the value itself"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_interpolate_many_open_braces_refused),
	    cmocka_unit_test(test_interpolate_references_resolve),
	    cmocka_unit_test(test_interpolate_resolvers_give_their_values),
	    cmocka_unit_test(test_interpolate_wrong_references_are_reported_with_place),
	    cmocka_unit_test(test_interpolate_all_problems_are_reported_once),
	    cmocka_unit_test(test_interpolate_unknown_account_counts_as_missing),
	    cmocka_unit_test(test_interpolate_input_is_left_as_it_was),
	    cmocka_unit_test(test_interpolate_expansion_is_bounded),
	    cmocka_unit_test(test_interpolate_long_chains_are_bounded),
	    cmocka_unit_test(test_interpolate_text_for_create_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
