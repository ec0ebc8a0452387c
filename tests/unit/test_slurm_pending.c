/* Slurm's pending reasons in words. */
#include "slurm/pending.h"

#include "base/clock.h"
#include "cmocka_all.h"

#include <string.h>

static void test_words_reasons_are_known_with_their_variants(void **state)
{
	(void)state;
	static const struct {
		const char *reason;
		const char *in_words; /* NULL: not known */
	} cases[] = {
	    {"launch failed requeued held", "scontrol release"},
	    {"launch_failed_requeued_held", "scontrol release"},
	    {"Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs", "out of service"},
	    {"Resources", "in use"},
	    {"Priority", "higher priority"},
	    {"Dependency", "has not ended"},
	    {"ReqNodeNotAvail", "drained"},
	    {"ReqNodeNotAvail, UnavailableNodes:alpha[1-2]", "drained"},
	    {"AssocGrpGRES", "as much as they may have"},
	    {"AssocGrpCPUMinutesLimit", "allocation is used up"},
	    {"AssocGrpGRESRunMinutes", "allocation is used up"},
	    {"AssocMaxJobsLimit", "as many jobs"},
	    {"AssocMaxWallDurationPerJobLimit", "more than the account"},
	    {"QOSGrpGRES", "share its QOS"},
	    {"QOSGrpGRESMinutes", "allocation of the QOS"},
	    {"QOSMaxGRESPerUser", "gives a person"},
	    {"QOSMaxJobsPerUserLimit", "lets a person run"},
	    {"QOSMaxWallDurationPerJobLimit", "gives one job"},
	    {"PartitionTimeLimit", "execution.walltime"},
	    {"PartitionNodeLimit", "cannot start as it is"},
	    {"PartitionConfig", "lower the request (execution.num_nodes)"}, /* three nodes of two, Slurm 22.05 */
	    {"JobHeldUser", "scontrol release"},
	    {"Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions", "reserved"},
	    {"Resourc", NULL},
	    {"Resources2", NULL},
	    {"", NULL},
	    {"SomethingNew", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *words = pending_words(cases[i].reason);
		if (cases[i].in_words == NULL)
			assert_null(words);
		else
			assert_non_null(words != NULL ? strstr(words, cases[i].in_words) : NULL);
	}
}

static void test_describe_says_reason_words_and_estimate(void **state)
{
	(void)state;
	static const struct {
		const char *reason;
		int64_t estimate;
		const char *line;
	} cases[] = {
	    {"", 0, "Slurm"},
	    {"None", 0, "Slurm"},
	    {"None", 1767225600, "Slurm; it may start at 2026-01-01T00:00:00Z"},
	    {"SomethingNew", 0, "Slurm: SomethingNew"},
	    {"Priority", 0, "Slurm: Priority: jobs with a higher priority come first"},
	    {"Priority", 1767225600,
	     "Slurm: Priority: jobs with a higher priority come first; it may start at 2026-01-01T00:00:00Z"},
	};
	char line[300];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		pending_describe(cases[i].reason, cases[i].estimate, line, sizeof line);
		assert_string_equal(line, cases[i].line);
	}
	char small[8];
	pending_describe("Priority", 0, small, sizeof small);
	assert_string_equal(small, "Slurm: ");
}

static void test_estimate_moved_small_moves_do_not_count(void **state)
{
	(void)state;
	static const struct {
		int64_t before, after, now_s;
		int moved;
	} cases[] = {
	    {0, 0, 100, 0},           {0, 500, 100, 1},         {500, 0, 100, 1},       {500, 560, 100, 0},
	    {500, 561, 100, 1},       {561, 500, 100, 1},       {10000, 10900, 0, 0},   {10000, 11200, 0, 1},
	    {1000000, 1050000, 0, 0}, {1000000, 1200000, 0, 1}, {5000, 4000, 10000, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(pending_estimate_moved(cases[i].before, cases[i].after, cases[i].now_s),
				 cases[i].moved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words_reasons_are_known_with_their_variants),
	    cmocka_unit_test(test_describe_says_reason_words_and_estimate),
	    cmocka_unit_test(test_estimate_moved_small_moves_do_not_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
