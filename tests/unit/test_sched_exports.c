/* What a look at an export means: the state that is shown, and whether to look again. */
#include "sched/exports.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <jansson.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RUNNING_BEFORE \
	"{\"state\":\"running\",\"reason\":null,\"slurm_job_id\":\"77\",\"destinations\":[{\"name\":\"a\",\"exit_" \
	"code\":0}]}"
#define UNKNOWN_BEFORE "{\"state\":\"unknown\",\"reason\":null,\"slurm_job_id\":\"77\",\"destinations\":[]}"

static void test_exports_judge_gives_state_and_whether_to_look_again(void **state)
{
	(void)state;
	static const struct {
		enum collect_export_kind kind;
		const char *said;
		int exit_code;
		const char *before;
		int misses;
		bool overdue;
		const char *want; /* NULL: no export */
		bool again;
	} cases[] = {
	    {COLLECT_EXPORT_NONE, "", 0, NULL, 0, false, NULL, false},
	    {COLLECT_EXPORT_NONE, "", 0, RUNNING_BEFORE, 0, false, "unknown", false},
	    {COLLECT_EXPORT_REFUSED, "no", 0, NULL, 0, false, "refused", false},
	    {COLLECT_EXPORT_PENDING, "", 0, NULL, 0, false, "pending", true},
	    {COLLECT_EXPORT_PENDING, "", 0, NULL, 0, true, "unknown", false},
	    {COLLECT_EXPORT_RUNNING, "", 0, NULL, 0, false, "running", true},
	    {COLLECT_EXPORT_RUNNING, "", 0, RUNNING_BEFORE, 0, true, "unknown", false},
	    {COLLECT_EXPORT_UNSEEN, "", 0, NULL, 0, false, "pending", true},
	    {COLLECT_EXPORT_UNSEEN, "", 0, RUNNING_BEFORE, 0, false, "running", true},
	    {COLLECT_EXPORT_UNSEEN, "", 0, RUNNING_BEFORE, 0, true, "unknown", false},
	    {COLLECT_EXPORT_UNSEEN, "", 0, UNKNOWN_BEFORE, 0, true, "unknown", false},
	    {COLLECT_EXPORT_GONE, "", 0, NULL, 1, false, "pending", true},
	    {COLLECT_EXPORT_GONE, "", 0, RUNNING_BEFORE, EXPORT_MISSES_MAX - 1, false, "running", true},
	    {COLLECT_EXPORT_GONE, "", 0, RUNNING_BEFORE, EXPORT_MISSES_MAX, false, "unknown", false},
	    {COLLECT_EXPORT_GONE, "COMPLETED", 0, RUNNING_BEFORE, 1, false, "running", true},
	    {COLLECT_EXPORT_GONE, "COMPLETED", 0, NULL, EXPORT_MISSES_MAX, false, "unknown", false},
	    {COLLECT_EXPORT_GONE, "FAILED", 0, RUNNING_BEFORE, 1, false, "running", true},
	    {COLLECT_EXPORT_GONE, "FAILED", 0, NULL, EXPORT_MISSES_MAX, false, "failed", false},
	    {COLLECT_EXPORT_GONE, "CANCELLED", 0, NULL, 1, false, "failed", false},
	    {COLLECT_EXPORT_ENDED, "0", 0, NULL, 0, false, "succeeded", false},
	    {COLLECT_EXPORT_ENDED, "0", 0, RUNNING_BEFORE, 0, true, "succeeded", false},
	    {COLLECT_EXPORT_ENDED, "5", 5, NULL, 0, false, "failed", false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct collect_destination destination = {.name = (char *)"a", .exit_code = 0};
		bool found = cases[i].before != NULL && cases[i].kind != COLLECT_EXPORT_NONE;
		struct collect_export seen = {.kind = cases[i].kind,
					      .slurm_job_id = "77",
					      .exit_code = cases[i].exit_code,
					      .destinations = &destination,
					      .destination_count = found};
		CLEANUP(mem_freep) char *text = NULL;
		memcpy(seen.text, cases[i].said, strlen(cases[i].said) + 1);
		assert_int_equal(exports_judge(&seen, cases[i].before, cases[i].misses, cases[i].overdue, &text),
				 cases[i].again);
		if (cases[i].want == NULL) {
			assert_null(text);
			continue;
		}
		json_t *shown = json_loads(text, 0, NULL);
		assert_non_null(shown);
		assert_string_equal(json_string_value(json_object_get(shown, "state")), cases[i].want);
		assert_string_equal(json_string_value(json_object_get(shown, "slurm_job_id")), "77");
		assert_int_equal(json_array_size(json_object_get(shown, "destinations")), found);
		json_decref(shown);
	}
}

static void test_exports_judge_without_an_answer_keeps_what_was_known(void **state)
{
	(void)state;
	static const enum collect_export_kind kinds[] = {COLLECT_EXPORT_NONE, COLLECT_EXPORT_UNSEEN};
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const struct collect_export seen = {.kind = kinds[i]};
		CLEANUP(mem_freep) char *text = NULL;
		exports_judge(&seen, RUNNING_BEFORE, 0, true, &text);
		assert_non_null(strstr(text, "\"unknown\""));
		assert_non_null(strstr(text, "\"slurm_job_id\":\"77\",\"destinations\":[{\"name\":\"a\""));
	}
}

static void test_exports_wish_follows_success_for_a_day(void **state)
{
	(void)state;
	static const struct {
		enum chain_state state;
		bool ending;
		enum chain_event event;
		int64_t ended_at;
		enum collect_export_request want;
	} cases[] = {
	    {CHAIN_RUNNING, true, EVENT_END_SUCCESS, 0, COLLECT_EXPORT_FOLLOW},
	    {CHAIN_RUNNING, true, EVENT_END_FAILURE, 0, COLLECT_EXPORT_CANCEL},
	    {CHAIN_CANCELLING, true, EVENT_END_CANCELLED, 0, COLLECT_EXPORT_CANCEL},
	    {CHAIN_SUCCEEDED, false, EVENT_ADMIT, 1000, COLLECT_EXPORT_FOLLOW},
	    {CHAIN_SUCCEEDED, false, EVENT_ADMIT, 1000 - EXPORT_FOLLOW_MAX_S, COLLECT_EXPORT_FOLLOW},
	    {CHAIN_SUCCEEDED, false, EVENT_ADMIT, 999 - EXPORT_FOLLOW_MAX_S, COLLECT_EXPORT_DROP},
	    {CHAIN_FAILED, false, EVENT_ADMIT, 999, COLLECT_EXPORT_CANCEL},
	    {CHAIN_BUDGET_EXHAUSTED, false, EVENT_ADMIT, 999, COLLECT_EXPORT_CANCEL},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct active_chain chain = {.ending = cases[i].ending, .end_event = cases[i].event};
		chain.job.state = cases[i].state;
		chain.job.ended_at = cases[i].ended_at;
		assert_int_equal(exports_request(&chain, 1000), cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exports_judge_gives_state_and_whether_to_look_again),
	    cmocka_unit_test(test_exports_judge_without_an_answer_keeps_what_was_known),
	    cmocka_unit_test(test_exports_wish_follows_success_for_a_day),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
