/* Which mounts are refused where people share an account. */
#include "cmocka_all.h"
#include "service/apart.h"

#include <string.h>

#define RUN "/20260131_120000-0a57bcf1e977cb35"

static void test_apart_refusal_of_shared_accounts(void **state)
{
	static const struct {
		const char *source;
		const char *part; /* of the reason; NULL: it may be mounted */
	} cases[] = {
	    {"/shared/models/llama", NULL},
	    {"/shared/models", NULL},
	    {"/shared/out/models", NULL}, /* beside the runs */
	    {"/shared/output", NULL},
	    {"/shared/.sshd", NULL},
	    {"/shared/out/20260131_120000-0a57bcf1e977cb3", NULL}, /* no run's name */
	    {"/shared/out/x20260131_120000-0a57bcf1e977cb35", NULL},
	    {"/shared/out", "below it"},
	    {"/shared/./out//", "below it"},
	    {"/shared", "below it"},
	    {"/", "below it"},
	    {"//", "below it"},
	    {"/data/runs", "below it"},
	    {"/data", "below it"},
	    {"/shared/out" RUN, "run directory"},
	    {"/elsewhere" RUN "/mmlu.0/.secrets.env", "run directory"},
	    {"/shared/out" RUN "/convert.0/converted", NULL}, /* what a conversion made */
	    {"/shared/out" RUN "/convert.0/converted/hf", NULL},
	    {"/shared/out" RUN "/convert.0/converted2", "run directory"},
	    {"/shared/out" RUN "/convert.0/artifacts", "run directory"},
	    {"/shared/out" RUN "/convert.0/converted/.." RUN, "'..'"},
	    {"/shared/out" RUN "/convert.0/converted" RUN "/x", "run directory"},
	    {"/shared/out" RUN "/convert.1/converted", "run directory"},
	    {"/home/svc/.ssh", "keys"},
	    {"/home/svc/.ssh/id_ed25519", "keys"},
	    {"/shared/models/../out", "'..'"},
	    {"/proc", "process"},
	    {"/proc/self/root/home/svc/keys", "process"},
	    {"//proc/1/cwd", "process"},
	    {"/data/proc", NULL},
	};
	char data_runs[] = "/data/runs/";
	char *roots[] = {data_runs, NULL};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *why = apart_refusal(cases[i].source, "/shared/out", roots, NULL);
		if ((why == NULL) != (cases[i].part == NULL) || (why != NULL && strstr(why, cases[i].part) == NULL))
			fail_msg("%s: %s", cases[i].source, why != NULL ? why : "mounted");
		/* Where people have accounts of their own, it is theirs to say. */
		assert_null(apart_refusal(cases[i].source, NULL, roots, NULL));
	}
}

static void test_apart_refusal_of_what_no_prefix_allows(void **state)
{
	char models[] = "/shared/models/";
	char data[] = "/data";
	char *prefixes[] = {models, data, NULL};
	char *none[] = {NULL};
	(void)state;
	assert_null(apart_refusal("/shared/models", NULL, NULL, prefixes));
	assert_null(apart_refusal("/data/x", "/shared/out", NULL, prefixes));
	assert_non_null(apart_refusal("/shared/models2", NULL, NULL, prefixes));
	assert_non_null(apart_refusal("/shared/models/../x", NULL, NULL, prefixes));
	assert_non_null(apart_refusal("/data" RUN, "/shared/out", NULL, prefixes));
	assert_non_null(apart_refusal("/data", NULL, NULL, none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_apart_refusal_of_shared_accounts),
	    cmocka_unit_test(test_apart_refusal_of_what_no_prefix_allows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
