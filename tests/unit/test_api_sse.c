/* The framing of Server-Sent Events. */
#include "api/http/sse.h"
#include "cmocka_all.h"

#include <stdlib.h>

static void check_event(const char *id, const char *name, const char *data, const char *expected)
{
	struct str s = {0};
	sse_event(&s, id, name, data);
	assert_string_equal(str_text(&s), expected);
	str_done(&s);
}

static void test_sse_event_fields_and_data_lines(void **state)
{
	(void)state;
	check_event("7", "job.state", "{\"a\":1}", "id: 7\nevent: job.state\ndata: {\"a\":1}\n\n");
	check_event(NULL, NULL, "x", "data: x\n\n");
	check_event(NULL, NULL, "", "data: \n\n");
	check_event(NULL, NULL, "a\nb\r\nc\rd\n", "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
	check_event(NULL, NULL, "\n\n", "data: \ndata: \ndata: \n\n");
}

static void test_sse_event_line_break_in_field_cannot_forge_another(void **state)
{
	(void)state;
	check_event("7\ndata: forged", "kind\r\n\r\ndata: forged", "x\ndata: y\nid: 9",
		    "id: 7\nevent: kind\ndata: x\ndata: data: y\ndata: id: 9\n\n");
}

static void test_sse_heartbeat_and_retry(void **state)
{
	struct str s = {0};
	(void)state;
	sse_heartbeat(&s, NULL);
	sse_heartbeat(&s, "12");
	sse_retry(&s, 3000);
	assert_string_equal(str_text(&s), ":\n\n:\nid: 12\n\nretry: 3000\n\n");
	str_done(&s);
}

static void test_sse_wanted_by_accept(void **state)
{
	(void)state;
	assert_true(sse_wanted("text/event-stream"));
	assert_true(sse_wanted("application/json;q=0.5, text/event-stream"));
	assert_false(sse_wanted(NULL));
	assert_false(sse_wanted("*/*"));
	assert_false(sse_wanted("application/json"));
	assert_false(sse_wanted("text/event-stream;q=0.1, application/json"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sse_event_fields_and_data_lines),
	    cmocka_unit_test(test_sse_event_line_break_in_field_cannot_forge_another),
	    cmocka_unit_test(test_sse_heartbeat_and_retry),
	    cmocka_unit_test(test_sse_wanted_by_accept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
