/* base/str: builders and quoting. */
#include "base/str.h"

#include "base/str_list.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_str_append_grows_and_takes(void **state)
{
	(void)state;
	struct str s = {0};
	assert_string_equal(str_text(&s), "");
	for (int i = 0; i < 1000; i++)
		str_appendf(&s, "%d,", i);
	assert_int_equal(s.len, 10 * 2 + 90 * 3 + 900 * 4);
	str_append_n(&s, "a\0b", 3);
	assert_int_equal(s.data[s.len - 2], '\0');
	char *taken = str_take(&s);
	assert_true(str_starts_with(taken, "0,1,2,"));
	assert_int_equal(s.len, 0);
	free(taken);
	taken = str_take(&s);
	assert_string_equal(taken, "");
	free(taken);
}

static void test_str_append_int_table(void **state)
{
	(void)state;
	static const struct {
		int64_t number;
		const char *text;
	} cases[] = {{0, "0"},
		     {7, "7"},
		     {10, "10"},
		     {-1, "-1"},
		     {INT64_MAX, "9223372036854775807"},
		     {INT64_MIN, "-9223372036854775808"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct str s = {0};
		str_append_int(&s, cases[i].number);
		assert_string_equal(str_text(&s), cases[i].text);
		str_done(&s);
	}
}

static void test_str_append_shell_table(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *want;
	} cases[] = {
	    {"", "''"},
	    {"plain", "'plain'"},
	    {"it's", "'it'\\''s'"},
	    {"$(touch /tmp/x) `id` \"q\" \\", "'$(touch /tmp/x) `id` \"q\" \\'"},
	    {"a\nb", "'a\nb'"},
	    {"a\r\nb", "'a'$'\\r''\nb'"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct str s = {0};
		str_append_shell(&s, cases[i].text);
		assert_string_equal(str_text(&s), cases[i].want);
		str_done(&s);
	}
}

/* Any bytes but NUL come back unchanged from a real bash. */
static void test_str_append_shell_random_bytes_survive_bash(void **state)
{
	(void)state;
	srand(42);
	struct str command = {0};
	char want[40 * 200 + 1];
	size_t at = 0;
	str_append(&command, "bash -c \"$(cat <<'END_OF_SCRIPT'\nprintf %s ");
	for (int word = 0; word < 40; word++) {
		char text[200];
		size_t len = (size_t)(rand() % 199);
		for (size_t i = 0; i < len; i++)
			text[i] = (char)(1 + rand() % 255);
		text[len] = '\0';
		memcpy(want + at, text, len);
		at += len;
		str_append_shell(&command, text);
		str_append_c(&command, ' ');
	}
	str_append(&command, "\nEND_OF_SCRIPT\n)\"");
	FILE *bash = popen(str_text(&command), "r");
	assert_non_null(bash);
	char got[sizeof want];
	size_t n = fread(got, 1, sizeof got, bash);
	assert_int_equal(pclose(bash), 0);
	assert_int_equal(n, at);
	assert_memory_equal(got, want, at);
	str_done(&command);
}

static void test_str_append_pointer_escapes(void **state)
{
	(void)state;
	struct str s = {0};
	str_append_pointer(&s, "a/b~c");
	str_append_pointer_index(&s, 3);
	assert_string_equal(str_text(&s), "/a~1b~0c/3");
	str_done(&s);
}

static void test_str_to_int_table(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool ok;
		long long want;
	} cases[] = {
	    {"0", true, 0},
	    {"42", true, 42},
	    {"-5", true, -5},
	    {"", false, 0},
	    {" 1", false, 0},
	    {"1 ", false, 0},
	    {"+1", false, 0},
	    {"0x10", false, 0},
	    {"101", false, 0},
	    {"-11", false, 0},
	    {"99999999999999999999", false, 0},
	    {"-", false, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		long long value = 7;
		assert_int_equal(str_to_int(cases[i].text, -10, 100, &value), cases[i].ok);
		assert_int_equal(value, cases[i].ok ? cases[i].want : 7);
	}
}

static void test_str_nearest_table(void **state)
{
	(void)state;
	static const char *const words[] = {"walltime", "partition", "account", "output_dir"};
	static const struct {
		const char *word;
		const char *want; /* NULL: none */
	} cases[] = {
	    {"waltime", "walltime"}, {"partiton", "partition"},
	    {"acount", "account"},   {"output-dir", "output_dir"},
	    {"zzz", NULL},           {"", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *got = str_nearest(cases[i].word, words, 4);
		if (cases[i].want == NULL)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].want);
	}
}

static void test_str_equal_null_equals_null_alone(void **state)
{
	(void)state;
	assert_true(str_equal(NULL, NULL));
	assert_true(str_equal("", ""));
	assert_true(str_equal("a", "a"));
	assert_false(str_equal("a", "b"));
	assert_false(str_equal(NULL, ""));
	assert_false(str_equal("", NULL));
}

static void test_str_list_copy_equals_its_list_and_no_other(void **state)
{
	(void)state;
	static const char *const lists[][4] = {
	    {NULL}, {"a", NULL}, {"a", "b", NULL}, {"b", "a", NULL}, {"a", "b", "c", NULL}};
	const size_t count = sizeof lists / sizeof lists[0];
	for (size_t i = 0; i < count; i++) {
		CLEANUP(str_list_freep) char **copy = str_list_copy(lists[i]);
		for (size_t k = 0; k < count; k++) {
			assert_int_equal(str_list_equal((const char *const *)copy, lists[k]), i == k);
			assert_int_equal(str_list_equal(lists[k], (const char *const *)copy), i == k);
		}
		assert_false(str_list_equal(NULL, (const char *const *)copy));
		assert_false(str_list_equal((const char *const *)copy, NULL));
	}
	assert_null(str_list_copy(NULL));
	assert_true(str_list_equal(NULL, NULL));
	str_list_free(NULL);
}

/* Of every length around those at which there is just room, just not, and far too little. */
static void test_str_appendf_of_any_length(void **state)
{
	(void)state;
	for (int before = 0; before <= 130; before++) {
		for (int size = 0; size <= 300; size += before % 3 + 1) {
			CLEANUP(str_done) struct str s = {0};
			for (int i = 0; i < before; i++)
				str_append_c(&s, 'b');
			str_appendf(&s, "%0*d", size, 0);
			size_t added = size > 1 ? (size_t)size : 1;
			assert_int_equal(s.len, (size_t)before + added);
			assert_int_equal(strlen(str_text(&s)), s.len);
			assert_int_equal(strspn(str_text(&s), "b"), before);
			assert_int_equal(strspn(str_text(&s) + before, "0"), added);
			assert_true(s.cap > s.len);
		}
	}
	CLEANUP(str_done) struct str empty = {0};
	str_appendf(&empty, "%s", "");
	assert_string_equal(str_text(&empty), "");
	assert_int_equal(empty.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_str_appendf_of_any_length),
	    cmocka_unit_test(test_str_append_grows_and_takes),
	    cmocka_unit_test(test_str_append_int_table),
	    cmocka_unit_test(test_str_append_shell_table),
	    cmocka_unit_test(test_str_append_shell_random_bytes_survive_bash),
	    cmocka_unit_test(test_str_append_pointer_escapes),
	    cmocka_unit_test(test_str_to_int_table),
	    cmocka_unit_test(test_str_nearest_table),
	    cmocka_unit_test(test_str_equal_null_equals_null_alone),
	    cmocka_unit_test(test_str_list_copy_equals_its_list_and_no_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
