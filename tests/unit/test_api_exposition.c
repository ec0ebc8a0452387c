/* Prometheus' text format. */
#include "api/http/exposition.h"
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>

static void test_exposition_lines(void **state)
{
	struct str s = {0};
	(void)state;
	exposition_metric(&s, "a_total", "counter", "How many.");
	exposition_sample(&s, "a_total", NULL, 3);
	exposition_sample(&s, "a_total", (const char *[]){"k", "v", NULL}, 0.5);
	exposition_sample(&s, "a_total", (const char *[]){"k", "q\"b\\n\n", "l", "", NULL}, 1e15);
	exposition_sample(&s, "a_total", NULL, (double)INFINITY);
	exposition_single(&s, "b", "gauge", "What.", 12345678901);
	assert_string_equal(str_text(&s),
			    "# HELP a_total How many.\n# TYPE a_total counter\na_total 3\na_total{k=\"v\"} 0.5\n"
			    "a_total{k=\"q\\\"b\\\\n\\n\",l=\"\"} 1e+15\na_total +Inf\n"
			    "# HELP b What.\n# TYPE b gauge\nb 12345678901\n");
	str_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_exposition_lines)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
