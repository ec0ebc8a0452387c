/* YAML and JSON text to values and back. The expected values are those of PyYAML's safe loader, but for sexagesimal
 * numbers and timestamps, which stay strings here. */
#include "config/text/scalar.h"
#include "config/text/yaml_json.h"

#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The value of YAML text as compact JSON; fails the test when it is refused. */
static char *read_yaml(const char *text)
{
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(json_freep) json_t *value = NULL;
	struct nel_err err = {0};
	if (yaml_json_parse(text, strlen(text), false, &value, NULL, &problems, &err) != 0)
		fail_msg("%s: %s", text, err.msg);
	assert_int_equal(problems.count, 0);
	return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
}

struct reading {
	const char *yaml;
	const char *json;
};

static void check_readings(const struct reading *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CLEANUP(mem_freep) char *got = read_yaml(cases[i].yaml);
		if (strcmp(got, cases[i].json) != 0)
			fail_msg("%s: %s, not %s", cases[i].yaml, got, cases[i].json);
	}
}

static void test_yaml_json_parse_scalars_resolve_as_yaml_1_1(void **state)
{
	(void)state;
	static const struct reading cases[] = {
	    {"[~, null, Null, NULL, '']", "[null,null,null,null,\"\"]"},
	    {"a:", "{\"a\":null}"},
	    {"[nULL, nil]", "[\"nULL\",\"nil\"]"},
	    {"[yes, Yes, YES, on, On, ON, true, True, TRUE]", "[true,true,true,true,true,true,true,true,true]"},
	    {"[no, No, NO, off, Off, OFF, false, False, FALSE]",
	     "[false,false,false,false,false,false,false,false,false]"},
	    {"[y, n, yEs, tRUE, oN]", "[\"y\",\"n\",\"yEs\",\"tRUE\",\"oN\"]"},
	    {"[0, 1, -1, +1, 1_000, 017, 0x1F, 0b101, -0x1f, 00, -017]", "[0,1,-1,1,1000,15,31,5,-31,0,-15]"},
	    {"[08, 0o17, 0X1F, _1, 0b, 0b_]", "[\"08\",\"0o17\",\"0X1F\",\"_1\",\"0b\",\"0b_\"]"},
	    {"[9223372036854775807, -9223372036854775808]", "[9223372036854775807,-9223372036854775808]"},
	    {"[9223372036854775808.0, '9223372036854775808', !!float 9223372036854775808]",
	     "[9.22337203685478e18,\"9223372036854775808\",9.22337203685478e18]"},
	    {"[1.5, .5, 1., -1.5, 1.0e+5, 1.5E-3, 1_0.2_5]", "[1.5,0.5,1.0,-1.5,100000.0,0.0015,10.25]"},
	    {"[-.5, ., '1.5', 1e, 1e5x, e5]", "[\"-.5\",\".\",\"1.5\",\"1e\",\"1e5x\",\"e5\"]"},
	    /* OmegaConf's numbers, which PyYAML takes for strings */
	    {"[1e5, 1.0e5, 1e-3, -2E+2, 1_0e1]", "[100000.0,100000.0,0.001,-200.0,100.0]"},
	    {"[12:00:00, 1:2, 190:20:30.15]", "[\"12:00:00\",\"1:2\",\"190:20:30.15\"]"},
	    {"[2024-01-31, 2024-01-31 12:00:00]", "[\"2024-01-31\",\"2024-01-31 12:00:00\"]"},
	    {"['yes', \"17\", !!str 17, ! 17]", "[\"yes\",\"17\",\"17\",\"17\"]"},
	    {"[!!int '5', !!float 3, !!bool on, !!null x, !!float '1.5']", "[5,3.0,true,null,1.5]"},
	    {"!!map {a: !!seq [1]}", "{\"a\":[1]}"},
	    {"a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}"},
	};
	check_readings(cases, sizeof cases / sizeof cases[0]);
}

static void test_yaml_json_parse_keys_become_strings(void **state)
{
	(void)state;
	static const struct reading cases[] = {
	    {"1: a\n017: b\n1.50: c\n1_0: d", "{\"1\":\"a\",\"15\":\"b\",\"1.5\":\"c\",\"10\":\"d\"}"},
	    {"on: [x]\nyes: 1\nFalse: 2", "{\"on\":[\"x\"],\"yes\":1,\"False\":2}"},
	    {"? a\n: 1", "{\"a\":1}"},
	    {"'~': 1", "{\"~\":1}"},
	    {"\xef\xbb\xbf"
	     "a: 1",
	     "{\"a\":1}"}, /* a byte order mark is no part of the first key */
	};
	check_readings(cases, sizeof cases / sizeof cases[0]);
}

static void test_yaml_json_parse_aliases_and_merges_expand(void **state)
{
	(void)state;
	static const struct reading cases[] = {
	    {"a: &x {p: 1}\nb: *x\nc: [*x, *x]", "{\"a\":{\"p\":1},\"b\":{\"p\":1},\"c\":[{\"p\":1},{\"p\":1}]}"},
	    {"a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3, r: 4}",
	     "{\"a\":{\"p\":1,\"q\":2},\"b\":{\"p\":1,\"q\":3,\"r\":4}}"},
	    {"{q: 3, <<: {p: 1, q: 2}}", "{\"p\":1,\"q\":3}"},
	    {"<<: [{p: 1}, {p: 2, q: 3}]", "{\"p\":1,\"q\":3}"},
	    {"'<<': 1", "{\"<<\":1}"},
	};
	check_readings(cases, sizeof cases / sizeof cases[0]);
}

static void test_yaml_json_parse_empty_text_is_null(void **state)
{
	(void)state;
	static const struct reading cases[] = {{"", "null"}, {"# only a comment\n", "null"}, {"---\n...\n", "null"}};
	check_readings(cases, sizeof cases / sizeof cases[0]);
}

struct refusal {
	const char *text;
	size_t size; /* 0: strlen */
	int line;
	int column;
	const char *pointer;
	const char *says;
};

static void check_refusals(const struct refusal *cases, size_t count, bool json)
{
	for (size_t i = 0; i < count; i++) {
		CLEANUP(problems_done) struct problems problems = {0};
		json_t *value = NULL;
		struct source_map *map = NULL;
		struct nel_err err = {0};
		size_t size = cases[i].size == 0 ? strlen(cases[i].text) : cases[i].size;
		if (yaml_json_parse(cases[i].text, size, json, &value, &map, &problems, &err) != -1)
			fail_msg("accepted: %s", cases[i].text);
		assert_int_equal(err.kind, NEL_INVALID);
		assert_null(value);
		assert_null(map);
		assert_int_equal(problems.count, 1);
		if (strstr(problems.items[0].message, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].text, problems.items[0].message);
		assert_non_null(strstr(err.msg, cases[i].says));
		assert_string_equal(problems.items[0].pointer, cases[i].pointer);
		assert_int_equal(problems.items[0].line, cases[i].line);
		assert_int_equal(problems.items[0].column, cases[i].column);
	}
}

static void test_yaml_json_parse_wrong_yaml_is_refused_with_place(void **state)
{
	(void)state;
	static const struct refusal cases[] = {
	    {"a: 1\nb: 2\na: 3", 0, 3, 1, "", "\"a\" stands twice"},
	    {"x:\n  1: a\n  '1': b", 0, 3, 3, "/x", "\"1\" stands twice"},
	    {"a: 1\n---\nb: 2", 0, 2, 1, "", "second document"},
	    {"a: *b", 0, 1, 4, "/a", "no anchor"},
	    {"a: &x [1, *x]", 0, 1, 11, "/a/1", "inside its own anchor"},
	    {"a: &x 1\nb: &x 2", 0, 2, 4, "/b", "defined twice"},
	    {"a: !!python/name:x y", 0, 1, 4, "/a", "is not supported"},
	    {"a: !local y", 0, 1, 4, "/a", "is not supported"},
	    {"a: {seed: 18446744073709551615}", 0, 1, 11, "/a/seed", "does not fit into 64 bits"},
	    {"a: !!int 0x8000000000000000", 0, 1, 4, "/a", "0x8000000000000000 does not fit into 64 bits"},
	    {"-9223372036854775809: a", 0, 1, 1, "", "does not fit into 64 bits"},
	    {"a: !!set {x}", 0, 1, 4, "/a", "is not supported"},
	    {"a: !!int x", 0, 1, 4, "/a", "!!int"},
	    {"a: .inf", 0, 1, 4, "/a", "no value in JSON"},
	    {"a: [1, -.INF]", 0, 1, 8, "/a/1", "no value in JSON"},
	    {"a: .NaN", 0, 1, 4, "/a", "no value in JSON"},
	    {"a: 1.0e+400", 0, 1, 4, "/a", "no value in JSON"},
	    {"? [1]\n: 2", 0, 1, 3, "", "cannot be a key"},
	    {"~: 1", 0, 1, 1, "", "null cannot be a key"},
	    {"<<: 5", 0, 1, 5, "/<<", "takes a mapping"},
	    {"<<: [{a: 1}, 2]", 0, 1, 5, "/<<", "takes a mapping"},
	    {"a: [1", 0, 2, 1, "/a", "not valid YAML"},
	    {"a:\n\t- b", 0, 2, 1, "/a", "not valid YAML: a tab stands here, where YAML wants spaces"},
	    {"\xef\xbb\xbf# \xc3\xa9\na:\r\n  b: 1\r\n\tc: 2", 0, 4, 1, "/a/b", "a tab stands here"},
	    {"a:\n  @b", 0, 2, 3, "/a", "cannot start any token"},
	    {"a: \xc3\xa9\xff", 0, 1, 5, "", "UTF-8"},
	    {"a: b\nc\xc0\x80: d", 0, 2, 2, "", "UTF-8"},
	    {"a: b\nc: \0d", 10, 2, 4, "", "NUL"},
	    {"a: \"x\\0y\"", 0, 1, 4, "/a", "NUL"},
	    {"a: x\x01", 0, 1, 5, "", "U+0001"},
	};
	check_refusals(cases, sizeof cases / sizeof cases[0], false);
}

static void test_yaml_json_parse_wrong_json_is_refused_with_place(void **state)
{
	(void)state;
	static const struct refusal cases[] = {
	    {"a: 1", 0, 1, 1, "", "not valid JSON"},         {"{\"a\": 1,\n \"a\": 2}", 0, 2, 4, "", "duplicate"},
	    {"[1,]", 0, 1, 4, "", "not valid JSON"},         {"[1] x", 0, 1, 5, "", "not valid JSON"},
	    {"{\"a\": NaN}", 0, 1, 9, "", "not valid JSON"}, {"\xff", 0, 1, 1, "", "UTF-8"},
	};
	check_refusals(cases, sizeof cases / sizeof cases[0], true);
}

static void test_yaml_json_parse_nesting_stops_at_the_limit(void **state)
{
	(void)state;
	for (int json = 0; json <= 1; json++) {
		for (int depth = YAML_DEPTH_MAX; depth <= YAML_DEPTH_MAX + 1; depth++) {
			char text[2 * YAML_DEPTH_MAX + 3];
			CLEANUP(json_freep) json_t *value = NULL;
			struct nel_err err = {0};
			memset(text, '[', (size_t)depth);
			memset(text + depth, ']', (size_t)depth);
			assert_int_equal(yaml_json_parse(text, 2 * (size_t)depth, json == 1, &value, NULL, NULL, &err),
					 depth == YAML_DEPTH_MAX ? 0 : -1);
		}
	}
}

/* Depth that only arises where an alias is put. */
static void test_yaml_json_parse_alias_depth_counts(void **state)
{
	(void)state;
	CLEANUP(str_done) struct str text = {0};
	CLEANUP(json_freep) json_t *value = NULL;
	struct nel_err err = {0};
	str_append(&text, "a: &a ");
	for (int i = 0; i < 40; i++)
		str_append_c(&text, '[');
	for (int i = 0; i < 40; i++)
		str_append_c(&text, ']');
	str_append(&text, "\nb: ");
	for (int i = 0; i < 30; i++)
		str_append_c(&text, '[');
	str_append(&text, "*a");
	for (int i = 0; i < 30; i++)
		str_append_c(&text, ']');
	assert_int_equal(yaml_json_parse(text.data, text.len, false, &value, NULL, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "64 levels"));
}

static void test_yaml_json_parse_alias_bomb_is_refused_before_it_is_built(void **state)
{
	(void)state;
	CLEANUP(str_done) struct str text = {0};
	CLEANUP(str_done) struct str strings = {0};
	CLEANUP(json_freep) json_t *value = NULL;
	struct nel_err err = {0};
	str_append(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 20; i++) {
		str_appendf(&text, "a%d: &a%d [*a%d", i, i, i - 1);
		for (int k = 0; k < 9; k++)
			str_appendf(&text, ",*a%d", i - 1);
		str_append(&text, "]\n");
	}
	assert_int_equal(yaml_json_parse(text.data, text.len, false, &value, NULL, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "100000 values"));
	str_append(&strings, "a: &a ");
	for (int i = 0; i < 100000; i++)
		str_append(&strings, "xxxxxxxxxx");
	str_append(&strings, "\nb: [*a");
	for (int i = 0; i < 1000; i++)
		str_append(&strings, ",*a");
	str_append(&strings, "]\n");
	assert_int_equal(yaml_json_parse(strings.data, strings.len, false, &value, NULL, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "bytes of text"));
}

static void test_yaml_json_parse_too_many_values_are_refused(void **state)
{
	(void)state;
	for (int json = 0; json <= 1; json++) {
		for (int more = 0; more <= 1; more++) {
			CLEANUP(str_done) struct str text = {0};
			CLEANUP(json_freep) json_t *value = NULL;
			struct nel_err err = {0};
			str_append(&text, "[1");
			for (int i = 0; i < YAML_NODES_MAX - 2 + more; i++) /* the list is a value too */
				str_append(&text, ",1");
			str_append_c(&text, ']');
			assert_int_equal(yaml_json_parse(text.data, text.len, json == 1, &value, NULL, NULL, &err),
					 more == 0 ? 0 : -1);
		}
	}
}

static void check_places(const char *text, bool json)
{
	CLEANUP(json_freep) json_t *value = NULL;
	CLEANUP(source_map_freep) struct source_map *map = NULL;
	struct nel_err err = {0};
	static const struct {
		const char *pointer;
		int line;
		int column;
	} cases[] = {{"/a", 1, 2},
		     {"/b~1c", 2, 2},
		     {"/b~1c/0", 2, 12},
		     {"/b~1c/1", 3, 4},
		     {"/b~1c/1/\xc3\xa9", 3, 5},
		     {"/b~1c/1/y", 3, 14},
		     {"/b~1c/1/y/z", 3, 14},
		     {"", 1, 1}};
	assert_int_equal(yaml_json_parse(text, strlen(text), json, &value, &map, NULL, &err), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int line = 0;
		int column = 0;
		assert_true(source_map_find(map, cases[i].pointer, &line, &column));
		if (line != cases[i].line || column != cases[i].column)
			fail_msg("%s: %d:%d", cases[i].pointer, line, column);
	}
}

static void test_yaml_json_parse_places_are_those_of_keys_and_items(void **state)
{
	(void)state;
	static const char text[] = "{\"a\": 1,\n \"b/c\" : [ 1,\n   {\"\xc3\xa9\": 2 , \"y\": {}}]}\n";
	check_places(text, false);
	check_places(text, true);
}

static void test_yaml_json_parse_json_reads_what_yaml_would_not(void **state)
{
	(void)state;
	static const char text[] = "{\"a\": \"\\ud83d\\ude00\\/\", \"b\": 1e5, \"c\": [true, null]}";
	CLEANUP(json_freep) json_t *value = NULL;
	struct nel_err err = {0};
	assert_int_equal(yaml_json_parse(text, strlen(text), true, &value, NULL, NULL, &err), 0);
	assert_string_equal(json_string_value(json_object_get(value, "a")), "\xf0\x9f\x98\x80/");
	assert_true(json_is_real(json_object_get(value, "b")));
}

static void test_scalar_resolves_like_the_parser(void **state)
{
	(void)state;
	static const struct reading cases[] = {
	    {"yes", "true"}, {"017", "15"},        {"12:00:00", "\"12:00:00\""}, {"", "null"},
	    {"1.5", "1.5"},  {".inf", "\".inf\""}, {"1e5", "100000.0"},          {"2024-01-01", "\"2024-01-01\""}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(json_freep) json_t *value = scalar_value(cases[i].yaml, scalar_kind(cases[i].yaml));
		CLEANUP(mem_freep) char *got = json_dumps(value, JSON_ENCODE_ANY);
		assert_string_equal(got, cases[i].json);
	}
}

static void test_yaml_json_emit_is_block_style_that_people_can_read(void **state)
{
	(void)state;
	CLEANUP(json_freep)
	json_t *value =
	    json_loads("{\"a\": {\"b\": [1, {\"c\": null, \"d\": true}], \"e\": {}, \"f\": []},"
		       "\"command\": \"set -e\\n  run x\\n\\ndone\\n\", \"cut\": \"x\\ny\","
		       "\"walltime\": \"12:00:00\", \"on\": \"yes\", \"x\": 0.95, \"y\": 1e-05, \"z\": 1e20,"
		       "\"i\": \"17\", \"p\": \"a: b\", \"q\": \"\", \"day\": \"2024-01-31\","
		       "\"12\": 0, \"-3\": 0, \"007\": 0, \"1.5\": 0}",
		       0, NULL);
	CLEANUP(mem_freep) char *text = yaml_json_emit(value);
	assert_string_equal(text, "a:\n"
				  "  b:\n"
				  "  - 1\n"
				  "  - c: null\n"
				  "    d: true\n"
				  "  e: {}\n"
				  "  f: []\n"
				  "command: |\n"
				  "  set -e\n"
				  "    run x\n"
				  "\n"
				  "  done\n"
				  "cut: |-\n"
				  "  x\n"
				  "  y\n"
				  "walltime: '12:00:00'\n"
				  "'on': 'yes'\n"
				  "x: 0.95\n"
				  "'y': 1.0e-05\n"
				  "z: 1.0e+20\n"
				  "i: '17'\n"
				  "p: 'a: b'\n"
				  "q: ''\n"
				  "day: '2024-01-31'\n"
				  "12: 0\n"
				  "-3: 0\n"
				  "'007': 0\n"
				  "'1.5': 0\n");
}

static void test_yaml_json_emit_reads_back_as_the_same_value(void **state)
{
	(void)state;
	static const char *const strings[] = {
	    "",
	    " ",
	    "\n",
	    "\n\n",
	    " a",
	    "a ",
	    "a\nb",
	    "a\n",
	    "a\n\n",
	    "\na",
	    " a\nb",
	    "a \nb",
	    "a\t\nb",
	    "\ta\nb",
	    "a\n  b\n",
	    "a\r\nb",
	    "a\x01"
	    "b",
	    "#",
	    "a #b",
	    "a: b",
	    "- a",
	    "? a",
	    "[a",
	    "{a",
	    "*a",
	    "&a",
	    "!a",
	    "%a",
	    "@a",
	    "`a",
	    "|",
	    ">",
	    "'",
	    "\"",
	    "\\",
	    "null",
	    "~",
	    "yes",
	    "0x1F",
	    "1_000",
	    "1e5",
	    "12:00",
	    "=",
	    "<<",
	    "---",
	    "...",
	    "--- a",
	    "a\n---\nb",
	    "é",
	    "日本",
	    "😀",
	    "😀\nb",
	    "\u2028a",
	    "\xc2\x85"
	    "a\nb",
	    "\ufeffa",
	    "y",
	    "n",
	    "-",
	    "-1",
	    "a\\nb",
	    "$(x)\n`y`\n",
	    "${a}",
	    "key: |\n  x\n",
	    "x\n\n\ny",
	    "'a'\n\"b\"\n",
	    "a\n...\nb\n",
	};
	for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
		CLEANUP(json_freep)
		json_t *value =
		    json_pack("{s:s, s:[s, [s]], s:s}", "k", strings[i], "l", strings[i], strings[i], strings[i], "v");
		CLEANUP(mem_freep) char *text = yaml_json_emit(value);
		CLEANUP(json_freep) json_t *back = NULL;
		struct nel_err err = {0};
		if (yaml_json_parse(text, strlen(text), false, &back, NULL, NULL, &err) != 0)
			fail_msg("%s: %s", text, err.msg);
		if (!json_equal(value, back))
			fail_msg("differs: %s", text);
	}
}

static void test_yaml_json_emit_numbers_read_back_exactly(void **state)
{
	(void)state;
	static const double reals[] = {
	    0.0,  0.1,  0.95,      1.0, 1e-5, 1e15, 1e16, 1e17, 1.0 / 3.0, 5e-324, 1.7976931348623157e308,
	    -2.5, 1e22, 123456.789};
	for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
		CLEANUP(json_freep) json_t *value = json_real(reals[i]);
		CLEANUP(mem_freep) char *text = yaml_json_emit(value);
		CLEANUP(json_freep) json_t *back = NULL;
		struct nel_err err = {0};
		assert_int_equal(yaml_json_parse(text, strlen(text), false, &back, NULL, NULL, &err), 0);
		if (!json_is_real(back) || json_real_value(back) != reals[i])
			fail_msg("%s", text);
	}
}

/* As Python's repr() has them: the fewest digits that read back. */
static void test_scalar_format_real_is_the_shortest(void **state)
{
	(void)state;
	static const struct {
		double value;
		const char *want;
	} cases[] = {
	    {0.1, "0.1"},
	    {0.30000000000000004, "0.30000000000000004"},
	    {1.0 / 3.0, "0.3333333333333333"},
	    {123456789.12345679, "123456789.12345679"},
	    {5e-324, "5e-324"},
	    {2.2250738585072014e-308, "2.2250738585072014e-308"},
	    {1.23456789e-310, "1.23456789e-310"},
	    {1.7976931348623157e308, "1.7976931348623157e+308"},
	    {1e16, "1e+16"},
	    {123456789012345680.0, "1.2345678901234568e+17"},
	    {-0.0, "-0.0"},
	    {100.0, "100.0"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[SCALAR_REAL_SIZE];
		assert_string_equal(scalar_format_real(cases[i].value, text), cases[i].want);
	}
}

static void test_yaml_json_parse_many_directives_refused(void **state)
{
	(void)state;
	for (int count = YAML_DIRECTIVES_MAX; count <= YAML_DIRECTIVES_MAX + 1; count++) {
		CLEANUP(str_done) struct str text = {0};
		CLEANUP(json_freep) json_t *value = NULL;
		struct nel_err err = {0};
		for (int i = 0; i < count; i++)
			str_appendf(&text, "%%TAG !a%d! b\n", i);
		str_append(&text, "---\na: 1\n");
		int rc = yaml_json_parse(str_text(&text), text.len, false, &value, NULL, NULL, &err);
		assert_int_equal(rc, count > YAML_DIRECTIVES_MAX ? -1 : 0);
		if (rc != 0)
			assert_non_null(strstr(err.msg, "line 65, column 1: more than 64 lines that begin with %"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_yaml_json_parse_many_directives_refused),
	    cmocka_unit_test(test_yaml_json_parse_scalars_resolve_as_yaml_1_1),
	    cmocka_unit_test(test_yaml_json_parse_keys_become_strings),
	    cmocka_unit_test(test_yaml_json_parse_aliases_and_merges_expand),
	    cmocka_unit_test(test_yaml_json_parse_empty_text_is_null),
	    cmocka_unit_test(test_yaml_json_parse_wrong_yaml_is_refused_with_place),
	    cmocka_unit_test(test_yaml_json_parse_wrong_json_is_refused_with_place),
	    cmocka_unit_test(test_yaml_json_parse_nesting_stops_at_the_limit),
	    cmocka_unit_test(test_yaml_json_parse_alias_depth_counts),
	    cmocka_unit_test(test_yaml_json_parse_alias_bomb_is_refused_before_it_is_built),
	    cmocka_unit_test(test_yaml_json_parse_too_many_values_are_refused),
	    cmocka_unit_test(test_yaml_json_parse_places_are_those_of_keys_and_items),
	    cmocka_unit_test(test_yaml_json_parse_json_reads_what_yaml_would_not),
	    cmocka_unit_test(test_scalar_resolves_like_the_parser),
	    cmocka_unit_test(test_yaml_json_emit_is_block_style_that_people_can_read),
	    cmocka_unit_test(test_yaml_json_emit_reads_back_as_the_same_value),
	    cmocka_unit_test(test_yaml_json_emit_numbers_read_back_exactly),
	    cmocka_unit_test(test_scalar_format_real_is_the_shortest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
