/* Slurm's time limits. */
#include "config/plan/walltime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_walltime_parse_slurm_forms_give_seconds(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t s;
	} cases[] = {
	    {"01:00:00", 3600},     {"120:00:00", 432000},
	    {"2-12:30:45", 217845}, {"08:09", 489},
	    {"90", 5400},           {"1", 60},
	    {"00:01", 1},           {"0-1", 3600},
	    {"1-0", 86400},         {"1-02:03", 93780},
	    {"00:00:30", 30},       {"0-00:00:01", 1},
	    {"1-00:00:00", 86400},  {"366-00", WALLTIME_MAX_S},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t s = -7;
		assert_int_equal(walltime_parse(cases[i].text, &s), 0);
		assert_int_equal(s, cases[i].s);
	}
}

static void test_walltime_parse_other_texts_are_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {
	    "",
	    "1h30m",
	    "1:2:3:4",
	    "-5",
	    "5-",
	    "1-2-3",
	    ":30",
	    "30:",
	    "1::2",
	    " 30",
	    "30 ",
	    "0",
	    "00:00:00",
	    "0-0",
	    "INFINITE",
	    "1.5",
	    "+30",
	    "9999999999",
	    "367-00",
	    "1-00:00:00:00",
	    "12:00:0x",
	    "1-",
	    "999999999:00:00",
	    "366-00:00:01",
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t s = -7;
		assert_int_equal(walltime_parse(cases[i], &s), -1);
		assert_int_equal(s, -7);
	}
}

static void test_walltime_format_gives_what_parse_takes(void **state)
{
	(void)state;
	static const struct {
		int64_t s;
		const char *text;
	} cases[] = {{3600, "01:00:00"}, {432000, "120:00:00"}, {217845, "60:30:45"}, {59, "00:00:59"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char buf[WALLTIME_TEXT_SIZE];
		int64_t s = 0;
		assert_string_equal(walltime_format(cases[i].s, buf), cases[i].text);
		assert_int_equal(walltime_parse(buf, &s), 0);
		assert_int_equal(s, cases[i].s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_walltime_parse_slurm_forms_give_seconds),
	    cmocka_unit_test(test_walltime_parse_other_texts_are_refused),
	    cmocka_unit_test(test_walltime_format_gives_what_parse_takes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
