/* The Range header. */
#include "api/http/range.h"
#include "cmocka_all.h"

static void test_range_parse_headers_give_one_range_or_none(void **state)
{
	static const struct {
		const char *text;
		struct range want;
	} cases[] = {
	    {NULL, {.kind = RANGE_NONE}},
	    {"", {.kind = RANGE_NONE}},
	    {"bytes=0-0", {RANGE_FROM, 0, 0, 0}},
	    {"bytes=5-9", {RANGE_FROM, 5, 9, 0}},
	    {"Bytes=5-", {RANGE_FROM, 5, INT64_MAX, 0}},
	    {"bytes= 5-9 ", {RANGE_FROM, 5, 9, 0}},
	    {"bytes=-7", {RANGE_SUFFIX, 0, INT64_MAX, 7}},
	    {"bytes=-0", {RANGE_SUFFIX, 0, INT64_MAX, 0}},
	    {"bytes=9-5", {.kind = RANGE_NONE}},
	    {"bytes=0-1,3-4", {.kind = RANGE_NONE}},
	    {"bytes=a-b", {.kind = RANGE_NONE}},
	    {"bytes=5", {.kind = RANGE_NONE}},
	    {"bytes=-", {.kind = RANGE_NONE}},
	    {"bytes=--5", {.kind = RANGE_NONE}},
	    {"bytes=+1-2", {.kind = RANGE_NONE}},
	    {"bytes=1-2x", {.kind = RANGE_NONE}},
	    {"lines=1-2", {.kind = RANGE_NONE}},
	    {"bytes=99999999999999999999-", {.kind = RANGE_NONE}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct range range = range_parse(cases[i].text);
		assert_int_equal(range.kind, cases[i].want.kind);
		if (range.kind == RANGE_FROM) {
			assert_int_equal(range.first, cases[i].want.first);
			assert_int_equal(range.last, cases[i].want.last);
		}
		if (range.kind == RANGE_SUFFIX)
			assert_int_equal(range.suffix, cases[i].want.suffix);
	}
}

static void test_range_resolve_sizes_bound_the_range(void **state)
{
	static const struct {
		const char *text;
		int64_t size;
		int64_t offset;
		int64_t length; /* -1: not satisfiable */
	} cases[] = {
	    {NULL, 10, 0, 10},        {NULL, 0, 0, 0},          {"bytes=0-", 10, 0, 10},  {"bytes=3-5", 10, 3, 3},
	    {"bytes=3-99", 10, 3, 7}, {"bytes=9-9", 10, 9, 1},  {"bytes=10-", 10, 0, -1}, {"bytes=0-0", 0, 0, -1},
	    {"bytes=-3", 10, 7, 3},   {"bytes=-99", 10, 0, 10}, {"bytes=-0", 10, 0, -1},  {"bytes=-1", 0, 0, -1},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct range range = range_parse(cases[i].text);
		int64_t offset = 0;
		int64_t length = 0;
		assert_int_equal(range_resolve(&range, cases[i].size, &offset, &length), cases[i].length >= 0);
		if (cases[i].length >= 0) {
			assert_int_equal(offset, cases[i].offset);
			assert_int_equal(length, cases[i].length);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_range_parse_headers_give_one_range_or_none),
	    cmocka_unit_test(test_range_resolve_sizes_bound_the_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
