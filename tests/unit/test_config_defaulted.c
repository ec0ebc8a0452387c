/* Which values of a resolved config nobody wrote. */
#include "config/compose/defaulted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_defaulted_find(void **state)
{
	(void)state;
	static const struct {
		const char *resolved, *submitted, *override, *found;
	} cases[] = {
	    {"{\"a\": 1, \"b\": 2}", "{\"a\": 1}", NULL, "[\"/b\"]"},
	    {"{\"a\": 1}", "{\"a\": 0}", NULL, "[]"}, /* what it is now is for others to say */
	    {"{\"a\": {\"b\": 1, \"c\": {\"d\": 2}}}", "{\"a\": {\"b\": 1}}", NULL, "[\"/a/c\"]"},
	    {"{\"a\": {\"b\": 1, \"c\": {\"d\": 2, \"e\": 3}}}", "{}", "+a.c.d=2", "[\"/a/b\", \"/a/c/e\"]"},
	    {"{\"a\": {\"b\": 1}}", "{}", "a={b: 1}", "[]"},
	    {"{\"a\": {\"b\": 1}}", "{\"a\": null}", NULL, "[]"},
	    {"{\"ab\": 1, \"a\": 2}", "{}", "++a=2", "[\"/ab\"]"},
	    {"{\"a/b\": 1, \"~\": 2}", "{}", NULL, "[\"/a~1b\", \"/~0\"]"},
	    {"{\"a\": [{\"b\": 1, \"c\": 2}, {\"b\": 3}]}", "{\"a\": [{\"b\": 1}, {\"b\": 3}]}", NULL, "[\"/a/0/c\"]"},
	    {"{\"evaluation\": {\"tasks\": [{\"name\": \"x\", \"n\": 1}, {\"name\": \"y\", \"n\": 1, \"m\": 2}]}}",
	     "{\"evaluation\": {\"tasks\": [{\"name\": \"x\"}, {\"name\": \"y\"}]}}", "+evaluation.tasks.y.n=1",
	     "[\"/evaluation/tasks/0/n\", \"/evaluation/tasks/1/m\"]"},
	    {"{\"a\": {\"b\": 1}}", "{}", "a=group", "[\"/a\"]"},
	    {"{\"a\": [{\"name\": \"y\", \"n\": 1}]}", "{\"a\": [{\"name\": \"x\"}, {\"name\": \"y\", \"n\": 1}]}",
	     NULL, "[]"},
	    {"{\"a\": [{\"name\": \"x\"}, {\"name\": \"x\", \"n\": 1}]}", "{\"a\": [{\"name\": \"x\", \"n\": 1}]}",
	     NULL, "[]"},
	    {"{\"a\": {}}", "{}", "nonsense", "[\"/a\"]"},
	    {"{\"a\": 1}", NULL, NULL, "[\"\"]"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP(json_freep) json_t *resolved = json_loads(cases[i].resolved, 0, NULL);
		CLEANUP(json_freep)
		json_t *submitted = cases[i].submitted != NULL ? json_loads(cases[i].submitted, 0, NULL) : NULL;
		CLEANUP(json_freep) json_t *expected = json_loads(cases[i].found, 0, NULL);
		CLEANUP(json_freep)
		json_t *found = defaulted_find(resolved, submitted, &cases[i].override, cases[i].override != NULL);
		assert_true(resolved != NULL && expected != NULL);
		if (!json_equal(found, expected))
			fail_msg("case %zu: %s", i, json_dumps(found, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaulted_find)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
