#include "slurm/slurm_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_state_class_words_are_sorted(void **state)
{
	(void)state;
	static const struct {
		const char *word;
		enum slurm_class expected;
	} cases[] = {
	    {"PENDING", SLURM_PENDING},
	    {"REQUEUE_FED", SLURM_PENDING},
	    {"REQUEUE_HOLD", SLURM_PENDING},
	    {"REQUEUED", SLURM_PENDING},
	    {"RESV_DEL_HOLD", SLURM_PENDING},
	    {"REVOKED", SLURM_REVOKED},
	    {"SPECIAL_EXIT", SLURM_PENDING},
	    {"CONFIGURING", SLURM_RUNNING},
	    {"RUNNING", SLURM_RUNNING},
	    {"COMPLETING", SLURM_RUNNING},
	    {"SUSPENDED", SLURM_RUNNING},
	    {"STOPPED", SLURM_RUNNING},
	    {"SIGNALING", SLURM_RUNNING},
	    {"STAGE_OUT", SLURM_RUNNING},
	    {"COMPLETED", SLURM_SUCCEEDED},
	    {"COMPLETED+", SLURM_SUCCEEDED},
	    {"TIMEOUT", SLURM_RESUMABLE},
	    {"PREEMPTED", SLURM_RESUMABLE},
	    {"NODE_FAIL", SLURM_RESUMABLE},
	    {"BOOT_FAIL", SLURM_RESUMABLE},
	    {"CANCELLED", SLURM_CANCELLED},
	    {"CANCELLED by 1000", SLURM_CANCELLED},
	    {"CANCELLED+", SLURM_CANCELLED},
	    {"FAILED", SLURM_FAILED},
	    {"OUT_OF_MEMORY", SLURM_FAILED},
	    {"DEADLINE", SLURM_FAILED},
	    {"", SLURM_UNKNOWN},
	    {"completed", SLURM_UNKNOWN},
	    {"COMPLETEDX", SLURM_UNKNOWN},
	    {"?", SLURM_UNKNOWN},
	    {"RESIZING", SLURM_RUNNING},
	    {"EXPEDITING", SLURM_RUNNING},
	    {"POWER_UP_NODE", SLURM_RUNNING},
	    {"UPDATE_DB", SLURM_RUNNING},
	    {"LAUNCH_FAILED", SLURM_PENDING},
	    {"RECONFIG_FAIL", SLURM_PENDING},
	    {"CANCELLED,COMPLETING", SLURM_RUNNING},
	    {"PREEMPTED,REQUEUED", SLURM_PENDING},
	    {"FAILED,SOMETHING_NEW", SLURM_UNKNOWN},
	    {"SOMETHING_NEW,FAILED", SLURM_UNKNOWN},
	    {"RUNNING,SOMETHING_NEW", SLURM_RUNNING},
	    {"RUNNING+LAUNCH_FAILED", SLURM_RUNNING},
	    {"FAILED,", SLURM_FAILED},
	    {"A_WORD_MUCH_LONGER_THAN_ANY_THAT_SLURM_HAS", SLURM_UNKNOWN},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(slurm_state_class(cases[i].word), cases[i].expected);
}

static void test_state_word_is_bare_and_bounded(void **state)
{
	(void)state;
	char buf[24];
	assert_string_equal(slurm_state_word("CANCELLED by 1000", buf), "CANCELLED");
	assert_string_equal(slurm_state_word("COMPLETED+", buf), "COMPLETED");
	assert_string_equal(slurm_state_word("OUT_OF_MEMORY", buf), "OUT_OF_MEMORY");
	assert_string_equal(slurm_state_word("TIMEOUT,COMPLETING,UPDATE_DB", buf), "COMPLETING");
	assert_string_equal(slurm_state_word(",,", buf), "");
	assert_string_equal(slurm_state_word("|x", buf), "");
	assert_string_equal(slurm_state_word("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", buf), "AAAAAAAAAAAAAAAAAAAAAAA");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_state_class_words_are_sorted),
	    cmocka_unit_test(test_state_word_is_bare_and_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
