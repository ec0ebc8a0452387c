/* Cursors of lists. */
#include "api/http/cursor.h"
#include "cmocka_all.h"

#include <string.h>

static void test_cursor_parse_what_was_formatted_is_read_back(void **state)
{
	static const int64_t positions[] = {0, 1, 255, 256, 1234567890123, INT64_MAX};
	(void)state;
	for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
		char cursor[CURSOR_SIZE];
		int64_t position = -1;
		struct nel_err err = {0};
		cursor_format(CURSOR_JOBS, positions[i], cursor);
		assert_int_equal(strspn(cursor, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
				 strlen(cursor));
		assert_int_equal(cursor_parse(CURSOR_JOBS, cursor, &position, &err), 0);
		assert_int_equal(position, positions[i]);
		assert_int_equal(cursor_parse(CURSOR_TASKS, cursor, &position, &err), -1);
	}
}

static void test_cursor_parse_any_changed_character_is_invalid(void **state)
{
	char cursor[CURSOR_SIZE];
	int64_t position = 0;
	struct nel_err err = {0};
	(void)state;
	cursor_format(CURSOR_EVALUATIONS, 4711, cursor);
	/* The last character holds two bits that no byte has, so it is left out. */
	for (size_t i = 0; i + 1 < strlen(cursor); i++) {
		char changed[CURSOR_SIZE];
		memcpy(changed, cursor, sizeof changed);
		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		assert_int_equal(cursor_parse(CURSOR_EVALUATIONS, changed, &position, &err), -1);
		assert_int_equal(err.kind, NEL_INVALID);
	}
}

static void test_cursor_parse_other_texts_are_invalid(void **state)
{
	static const char *const cases[] = {"",
					    "x",
					    "AAAA",
					    "AAAAAAAAAAAAAAAAAA",
					    "not base64!",
					    "../../etc/passwd",
					    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
	int64_t position = 0;
	struct nel_err err = {0};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(cursor_parse(CURSOR_EVALUATIONS, cases[i], &position, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cursor_parse_what_was_formatted_is_read_back),
	    cmocka_unit_test(test_cursor_parse_any_changed_character_is_invalid),
	    cmocka_unit_test(test_cursor_parse_other_texts_are_invalid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
