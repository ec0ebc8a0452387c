/* The list of problems, and the places of a document's nodes. */
#include "config/text/problem.h"

#include "base/mem.h"
#include "config/text/source_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_problems_add_keeps_order_and_drops_repeats(void **state)
{
	(void)state;
	CLEANUP(problems_done) struct problems p = {0};
	problems_add(&p, "/a", 3, 4, "wrong: %d", 7);
	problems_add(&p, "/b", 0, 9, "wrong: 7");
	problems_add(&p, "/a", 5, 6, "wrong: %d", 7);
	assert_int_equal(p.count, 2);
	assert_string_equal(p.items[0].pointer, "/a");
	assert_string_equal(p.items[0].message, "wrong: 7");
	assert_int_equal(p.items[0].line, 3);
	assert_int_equal(p.items[0].column, 4);
	assert_int_equal(p.items[1].line, 0);
	assert_int_equal(p.items[1].column, 0);
}

static void test_problems_add_beyond_maximum_is_dropped(void **state)
{
	(void)state;
	CLEANUP(problems_done) struct problems p = {0};
	for (int i = 0; i < PROBLEMS_MAX + 5; i++)
		problems_add(&p, "", 0, 0, "problem %d", i);
	assert_int_equal(p.count, PROBLEMS_MAX);
	assert_string_equal(p.items[PROBLEMS_MAX - 1].message, "problem 99");
}

static void test_problems_add_message_is_one_clean_line(void **state)
{
	(void)state;
	static const struct {
		const char *given;
		const char *kept;
	} cases[] = {{"a\nb\tc", "a b c"},
		     {"\xc3\xa9\xff!", "\xc3\xa9?!"},
		     {"x\x7f\xc2\x85y", "x  y"},
		     {"\xe2\x80\xa8", " "},
		     {"\xed\xa0\x80", "???"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(problems_done) struct problems p = {0};
		problems_add(&p, cases[i].given, 1, 1, "%s", cases[i].given);
		assert_string_equal(p.items[0].message, cases[i].kept);
		assert_string_equal(p.items[0].pointer, cases[i].kept);
	}
	char longer[5000];
	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	CLEANUP(problems_done) struct problems p = {0};
	problems_add(&p, "", 1, 1, "%s", longer);
	assert_true(strlen(p.items[0].message) < 1100);
}

static void test_problems_to_json_leaves_unknown_places_out(void **state)
{
	(void)state;
	CLEANUP(problems_done) struct problems p = {0};
	problems_add(&p, "/a", 3, 4, "one");
	problems_add(&p, "", 0, 0, "two");
	CLEANUP(json_freep) json_t *got = problems_to_json(&p);
	CLEANUP(json_freep)
	json_t *want = json_loads("[{\"pointer\":\"/a\",\"message\":\"one\",\"line\":3,\"column\":4},"
				  "{\"pointer\":\"\",\"message\":\"two\"}]",
				  0, NULL);
	assert_true(json_equal(got, want));
	struct problems none = {0};
	CLEANUP(json_freep) json_t *empty = problems_to_json(&none);
	assert_int_equal(json_array_size(empty), 0);
	assert_true(json_is_array(empty));
}

static void test_source_map_find_gives_nearest_ancestor(void **state)
{
	(void)state;
	CLEANUP(source_map_freep) struct source_map *map = source_map_new();
	source_map_put(map, "", 1, 1);
	source_map_put(map, "/a", 2, 3);
	source_map_put(map, "/a/0/b", 4, 5);
	source_map_put(map, "/a/0/b", 6, 7);
	static const struct {
		const char *pointer;
		int line;
		int column;
	} cases[] = {{"/a/0/b", 6, 7},  {"/a/0/b/c/d", 6, 7}, {"/a/0", 2, 3},
		     {"/a/0/bb", 2, 3}, {"/ab", 1, 1},        {"", 1, 1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int line = 0;
		int column = 0;
		assert_true(source_map_find(map, cases[i].pointer, &line, &column));
		assert_int_equal(line, cases[i].line);
		assert_int_equal(column, cases[i].column);
	}
}

static void test_source_map_find_without_place_is_false(void **state)
{
	(void)state;
	CLEANUP(source_map_freep) struct source_map *map = source_map_new();
	int line = 7;
	int column = 7;
	source_map_put(map, "/a", 2, 3);
	assert_false(source_map_find(map, "/b", &line, &column));
	assert_int_equal(line, 0);
	assert_int_equal(column, 0);
	assert_false(source_map_find(NULL, "/a", &line, &column));
}

static void test_source_map_put_huge_pointer_falls_back_to_ancestor(void **state)
{
	(void)state;
	CLEANUP(source_map_freep) struct source_map *map = source_map_new();
	char pointer[2000];
	memset(pointer, 'k', sizeof pointer);
	memcpy(pointer, "/a/", 3);
	pointer[sizeof pointer - 1] = '\0';
	int line = 0;
	int column = 0;
	source_map_put(map, "/a", 2, 3);
	source_map_put(map, pointer, 9, 9);
	assert_true(source_map_find(map, pointer, &line, &column));
	assert_int_equal(line, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_problems_add_keeps_order_and_drops_repeats),
	    cmocka_unit_test(test_problems_add_beyond_maximum_is_dropped),
	    cmocka_unit_test(test_problems_add_message_is_one_clean_line),
	    cmocka_unit_test(test_problems_to_json_leaves_unknown_places_out),
	    cmocka_unit_test(test_source_map_find_gives_nearest_ancestor),
	    cmocka_unit_test(test_source_map_find_without_place_is_false),
	    cmocka_unit_test(test_source_map_put_huge_pointer_falls_back_to_ancestor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
