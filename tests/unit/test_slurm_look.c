/* Looking for what the store lacks: the parsers of its answers. */
#include "base/cleanup.h"
#include "cmocka_all.h"
#include "slurm/look.h"

#include <string.h>

#define BEGIN "nel|begin|1\n"
#define ID "0123456789abcdef"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_look_parse_takes_names_of_ours_only(void **state)
{
	static const struct {
		const char *row;
		int index; /* -1: it is none of ours */
		int attempt;
		bool live;
	} cases[] = {
	    {"q|12|RUNNING|1000|acc-nel.mmlu.0-" ID ".3|/out/20260131_120000-" ID "/mmlu.0", 0, 3, true},
	    {"q|12|PENDING|1000|a-b.odd.name.17-" ID ".12|/o/20260131_120000-" ID "/j", 17, 12, true},
	    {"q|12|COMPLETED|1000|a-b.m.0-" ID ".1|/o/20260131_120000-" ID "/j", 0, 1, false},
	    {"a|12|RUNNING|1000|a-b.m.0-" ID ".1|/o/20260131_120000-" ID "/j", 0, 1, false}, /* accounting may lag */
	    {"a|12|CANCELLED by 1000|1000|a-b.m.0-" ID ".1|/o/20260131_120000-" ID "/j", 0, 1, false},
	    {"q|12|A_NEW_WORD|1000|a-b.m.0-" ID ".1|/o/20260131_120000-" ID "/j", 0, 1, true},
	    {"q|12_4|RUNNING|N/A|a-b.m.0-" ID ".1|/o|k/20260131_120000-" ID "/j", 0, 1, true},
	    /* By hand, from what was rendered: no run directory, or another's. */
	    {"q|12|RUNNING|1000|a-b.m.0-" ID ".1|/results", -1, 0, false},
	    {"q|12|RUNNING|1000|a-b.m.0-" ID ".1|/home/ann/rendered/mmlu.0", -1, 0, false},
	    {"q|12|RUNNING|1000|a-b.m.0-" ID ".1|/o/20260131_120000-ffffffffffffffff/j", -1, 0, false},
	    {"q|12|RUNNING|1000|nel-export-mmlu.0|/o/20260131_120000-" ID "/j", -1, 0, false},
	    {"q|12|RUNNING|1000|a.0-0123456789ABCDEF.1|/o/20260131_120000-" ID "/j", -1, 0, false},
	    {"q|12|RUNNING|1000|a.0-" ID ".0|/o/20260131_120000-" ID "/j", -1, 0, false},
	    {"q|12|RUNNING|1000|a.0-" ID ".|/o/20260131_120000-" ID "/j", -1, 0, false},
	    {"q|12|RUNNING|1000|a.-" ID ".1|/o/20260131_120000-" ID "/j", -1, 0, false},
	    {"q|12|RUNNING|1000|0-" ID ".1|/o/20260131_120000-" ID "/j", -1, 0, false},
	    {"q|12|RUNNING|1000|a.0" ID ".1|/o/20260131_120000-" ID "/j", -1, 0, false},
	    {"q|12|RUNNING|1000|a.0-" ID ".99999999999|/o/20260131_120000-" ID "/j", -1, 0, false},
	    {"q|x|RUNNING|1000|a.0-" ID ".1|/o/20260131_120000-" ID "/j", -1, 0, false},
	    {"q|12|RUNNING|1000|a.0-" ID ".1|relative/j", -1, 0, false},
	    {"q|12|RUNNING|1000|a.0-" ID ".1", -1, 0, false},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[512];
		struct nel_err err = {0};
		CLEANUP(look_reply_done) struct look_reply reply = {0};
		snprintf(text, sizeof text, BEGIN "%s\nend\n", cases[i].row);
		assert_int_equal(look_parse(text, strlen(text), &reply, &err), 0);
		if (reply.job_count != (cases[i].index >= 0))
			fail_msg("%s: %zu jobs", cases[i].row, reply.job_count);
		if (cases[i].index < 0)
			continue;
		assert_string_equal(reply.jobs[0].evaluation, ID);
		assert_string_equal(reply.jobs[0].id, "12");
		assert_int_equal(reply.jobs[0].index, cases[i].index);
		assert_int_equal(reply.jobs[0].attempt, cases[i].attempt);
		assert_int_equal(reply.jobs[0].live, cases[i].live);
	}
}

static void test_look_parse_takes_directories_and_what_accounting_says(void **state)
{
	(void)state;
	static const char text[] = BEGIN "d|/out/20260131_120000-" ID "\nd|/out/20260131_120000-" ID
					 "x\nd|out/20260131_120000-" ID "\nd|/out/other\nm|sacct|down\nend\n";
	struct nel_err err = {0};
	CLEANUP(look_reply_done) struct look_reply reply = {0};
	assert_int_equal(look_parse(text, strlen(text), &reply, &err), 0);
	assert_int_equal(reply.rundir_count, 1);
	assert_string_equal(reply.rundirs[0], "/out/20260131_120000-" ID);
	assert_true(reply.partial);
	assert_string_equal(reply.message, "sacct: down");
	assert_int_equal(look_rundir_time(reply.rundirs[0]), 1769860800); /* 2026-01-31T12:00:00Z */
	assert_int_equal(look_rundir_time("/out/20269931_120000-" ID), 0);
	assert_int_equal(look_parse(text, strlen(text) - 4, &reply, &err), -1); /* cut off */
	assert_int_equal(err.kind, NEL_REMOTE);
	static const char failed[] = BEGIN "error|remote|squeue: no\nend\n";
	assert_int_equal(look_parse(failed, strlen(failed), &reply, &err), -1);
	assert_string_equal(err.msg, "squeue: no");
}

static void test_origins_parse_takes_what_belongs_together(void **state)
{
	(void)state;
	static const char text[] =
	    BEGIN "r|0|ok\no|0|8\naGVsbG8=\ne|0|4\nAAEC\nt|0|1|77|1000|1|45|mmlu.0\n"
		  "t|0|2||0|0|0|mmlu.0\nt|0|0|1|0|0|0|mmlu.0\nt|0|3|x|0|0|0|mmlu.0\nb|0|2|600||mmlu.0\n"
		  "r|1|gone\nr|2|busy\nt|9|1|1|0|0|0|x.0\nr|3|other\nend\n";
	struct nel_err err = {0};
	CLEANUP(origins_done) struct origins origins = {0};
	assert_int_equal(origins_parse(text, strlen(text), 4, &origins, &err), 0);
	const struct origin *origin = &origins.items[0];
	assert_int_equal(origin->state, ORIGIN_OK);
	assert_int_equal(origin->sealed_size, 5);
	assert_memory_equal(origin->sealed, "hello", 5);
	assert_int_equal(origin->sealed_env_size, 3);
	assert_int_equal(origin->attempt_count, 2);
	assert_string_equal(origin->attempts[0].id, "77");
	assert_true(origin->attempts[0].begun);
	assert_string_equal(origin->attempts[1].id, "");
	assert_int_equal(origin->budget_count, 1);
	assert_int_equal(origin->budgets[0].left_s, 600);
	assert_int_equal(origin->budgets[0].from, 0);
	assert_int_equal(origins.items[1].state, ORIGIN_GONE);
	assert_int_equal(origins.items[2].state, ORIGIN_BUSY);
	assert_int_equal(origins.items[3].state, ORIGIN_OTHER);
}

static void test_origins_parse_refuses_what_is_cut_off(void **state)
{
	static const char *const cases[] = {
	    BEGIN "r|0|ok\n",                     /* no end */
	    BEGIN "end\n",                        /* nothing of the directory */
	    BEGIN "r|0|ok\no|0|9999\nabc\nend\n", /* fewer bytes than it says */
	    BEGIN "r|0|what\nend\n",
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct nel_err err = {0};
		CLEANUP(origins_done) struct origins origins = {0};
		if (origins_parse(cases[i], strlen(cases[i]), 1, &origins, &err) != -1)
			fail_msg("taken: %s", cases[i]);
		assert_int_equal(err.kind, NEL_REMOTE);
	}
	static const char wrong[] = BEGIN "r|0|ok\no|0|3\n!?!\nend\n"; /* no base64: as if it were not there */
	struct nel_err err = {0};
	CLEANUP(origins_done) struct origins origins = {0};
	assert_int_equal(origins_parse(wrong, strlen(wrong), 1, &origins, &err), 0);
	assert_null(origins.items[0].sealed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_look_parse_takes_names_of_ours_only),
	    cmocka_unit_test(test_look_parse_takes_directories_and_what_accounting_says),
	    cmocka_unit_test(test_origins_parse_takes_what_belongs_together),
	    cmocka_unit_test(test_origins_parse_refuses_what_is_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
