/* slurm/shared_log.c: which logs are the chain's, and under which names they are shown. */
#include "cmocka_all.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "slurm/shared_log.h"

#include <string.h>

static void test_shared_log_names_are_told_apart_and_lead_back_to_the_file(void **state)
{
	static const struct {
		const char *shown;
		bool chains;
		const char *file; /* of the chain's */
	} cases[] = {
	    {"client-77.log", false, NULL},
	    {"slurm-77.log", false, NULL},
	    {"export-78.log", false, NULL},
	    {"server-77-0.log", true, "server-77-0.log"},
	    {"proxy-77.log", true, "proxy-77.log"},
	    {"judge-server-77-0.log", true, "judge-server-77-0.log"},
	    {"shared-slurm-77.log", true, "slurm-77.log"},
	    {"client-server-77-0.log", true, "client-server-77-0.log"}, /* of an auxiliary called client, or shared */
	    {"shared-server-77-0.log", true, "shared-server-77-0.log"},
	    {"shared-", true, "shared-"},
	    {"slurm-", true, "slurm-"},
	    {"", true, ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(shared_log_is_chains(cases[i].shown), cases[i].chains);
		if (!cases[i].chains)
			continue;
		CLEANUP(mem_freep) char *shown = shared_log_shown(cases[i].file);
		assert_string_equal(shared_log_file(cases[i].shown), cases[i].file);
		assert_string_equal(shown, cases[i].shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shared_log_names_are_told_apart_and_lead_back_to_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
