/* Masking: each form of a value, both ends of a text, what stays, and all of it against a search by brute force. */
#include "base/mask.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmocka_all.h"

#include <math.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define VALUE "hf_A+b/c d%41?\xc3\xa9z"

static struct mask *mask_of(const char *value)
{
	CLEANUP(json_freep) json_t *object = json_pack("{s:s, s:s}", "A", value, "B", "other-value");
	return mask_new(object);
}

static void assert_masked(const struct mask *mask, const char *text, const char *expected)
{
	CLEANUP(mem_freep) char *copy = mem_strdup(text);
	mask_text(mask, copy, true);
	assert_string_equal(copy, expected);
	CLEANUP(mem_freep) char *bytes = mem_strdup(text);
	mask_bytes(mask, bytes, strlen(text), true);
	assert_int_equal(strlen(bytes), strlen(text));
	for (size_t i = 0; text[i] != '\0'; i++)
		assert_true(bytes[i] == text[i] || bytes[i] == '*');
	assert_int_equal(strcmp(bytes, text) == 0, strcmp(expected, text) == 0);
}

static void test_mask_plain_and_url_forms_are_masked(void **state)
{
	(void)state;
	CLEANUP(mask_freep) struct mask *mask = mask_of(VALUE);
	assert_masked(mask, "HF_TOKEN=" VALUE "\nnext", "HF_TOKEN=****\nnext");
	assert_masked(mask, VALUE, "****");
	assert_masked(mask, VALUE VALUE " " VALUE "other-value", "**** ****");
	assert_masked(mask, "?t=hf_A%2Bb%2Fc%20d%2541%3F%C3%A9z&u", "?t=****&u");
	assert_masked(mask, "?t=hf_A%2bb/c+d%2541%3f%c3%a9z&u", "?t=****&u");
	assert_masked(mask, "?t=%68%66%5F%41%2B%62%2F%63%20%64%25%34%31%3F%C3%A9%7A&u=%20", "?t=****&u=%20");
	assert_masked(mask, "hf_A nothing of it %4 %zz %", "hf_A nothing of it %4 %zz %");
	assert_masked(mask, "", "");
}

/* As json.dumps(dict(os.environ)) and print(os.environ) show it. */
static void test_mask_values_between_quotes_are_masked(void **state)
{
	(void)state;
	CLEANUP(mask_freep) struct mask *mask = mask_of("a\"b\\c-secret\n  \"key\": \"-----\\nMIIE\"");
	assert_masked(mask, "{\"A\": \"a\\\"b\\\\c-secret\"}", "{\"A\": \"****\"}");
	assert_masked(mask, "{'A': 'a\"b\\\\c-secret'}", "{'A': '****'}");
	assert_masked(mask, "{\"A\": \"a\\\"b\\\\c-secret\\n  \\\"key\\\": \\\"-----\\\\nMIIE\\\"\"}",
		      "{\"A\": \"****\\n****\"}");
}

static void test_mask_base64_is_masked_at_any_place(void **state)
{
	static const int variants[] = {sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING,
				       sodium_base64_VARIANT_URLSAFE, sodium_base64_VARIANT_URLSAFE_NO_PADDING};
	static const char *const values[] = {VALUE, "four", "value-of-9", "elevenbytes", "?~?>>>~~~?~?"};
	(void)state;
	for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
		CLEANUP(mask_freep) struct mask *mask = mask_of(values[v]);
		for (size_t n = 0; n < 4 * 4 * 4; n++) {
			size_t before = n % 4;
			size_t after = n / 4 % 4;
			char text[64];
			char encoded[128];
			char line[160];
			snprintf(text, sizeof text, "%.*s%s%.*s", (int)before, "\x01\x02\x03", values[v], (int)after,
				 "\x04\x05\x06");
			sodium_bin2base64(encoded, sizeof encoded, (unsigned char *)text, strlen(text),
					  variants[n / 16]);
			snprintf(line, sizeof line, "key: %s.", encoded);
			mask_text(mask, line, true);
			/* Beside it stand the characters of up to three bytes on either side, and padding. */
			assert_non_null(strstr(line, "****"));
			assert_true(strlen(line) <= strlen("key: ****.") + 4 + 4 + 2);
			if (before == 0 && after == 0)
				assert_string_equal(line, "key: ****.");
		}
	}
}

static void test_mask_base64_over_lines_is_masked(void **state)
{
	(void)state;
	CLEANUP(mask_freep) struct mask *mask = mask_of("0123456789abcdefghijklmnopqrstuvwxyz");
	char text[] = "a\nMDEyMzQ1Njc4OWFi\nY2RlZmdoaWprbG1u\r\nb3BxcnN0dXZ3eHl6\nz";
	mask_bytes(mask, text, strlen(text), true);
	assert_string_equal(text, "a\n****************\n****************\r\n****************\nz");
}

static void test_mask_lines_of_a_value_are_masked(void **state)
{
	(void)state;
	CLEANUP(mask_freep) struct mask *mask = mask_of("-----BEGIN-----\r\nc2VjcmV0\n}\nlast line\n");
	assert_masked(mask, "K=-----BEGIN-----\nnext", "K=****\nnext");
	assert_masked(mask, "a c2VjcmV0 b } last line", "a **** b } ****");
	assert_masked(mask, "x-----BEGIN-----\r\nc2VjcmV0\n}\nlast line\ny", "x****y");
	assert_masked(mask, "as one line: -----BEGIN-----  c2VjcmV0 } last line", "as one line: ****");
	char text[] = "x-----BEGIN-----\r\nc2VjcmV0\n}\nlast line\ny";
	mask_bytes(mask, text, strlen(text), true);
	assert_string_equal(text, "x****************\n********\n*\n*********\ny");
}

static void test_mask_cut_values_are_masked_at_both_ends(void **state)
{
	(void)state;
	CLEANUP(mask_freep) struct mask *mask = mask_of("abcdefghabcdefgX");
	assert_masked(mask, "defgX and abcdef", "**** and ****");
	assert_masked(mask, "bcdefghabcdefgX", "****");
	assert_masked(mask, "efgX.", "****.");
	assert_masked(mask, "fgX and abc", "fgX and abc");       /* too short to tell */
	assert_masked(mask, "defg and cdef.", "defg and cdef."); /* neither end */
	assert_masked(mask, "er-value", "****");
	char whole[] = "defgX abcdefghabcdefgX abcdef";
	mask_text(mask, whole, false); /* a name, say */
	assert_string_equal(whole, "defgX **** abcdef");
}

static void test_mask_short_values_stay(void **state)
{
	(void)state;
	CLEANUP(json_freep) json_t *object = json_pack("{s:s, s:s, s:s, s:i}", "A", "1", "B", "", "C", "yes", "D", 7);
	CLEANUP(mask_freep) struct mask *mask = mask_new(object);
	assert_masked(mask, "1 yes 7 MQ== eWVz", "1 yes 7 MQ== eWVz");
	CLEANUP(json_freep) json_t *none = json_object();
	CLEANUP(mask_freep) struct mask *empty = mask_new(none);
	assert_masked(empty, "anything", "anything");
	mask_text(NULL, NULL, true);
	mask_bytes(NULL, NULL, 0, true);
}

/* Every occurrence, and at the ends every part of four or more, by trying all places. */
static void mask_by_force(const char *const *values, size_t count, const char *text, char *out)
{
	size_t size = strlen(text);
	strcpy(out, text);
	for (size_t v = 0; v < count; v++) {
		size_t length = strlen(values[v]);
		if (length < MASK_VALUE_MIN)
			continue;
		for (size_t at = 0; at + length <= size; at++)
			if (memcmp(text + at, values[v], length) == 0)
				memset(out + at, '*', length);
		for (size_t part = MASK_VALUE_MIN; part < length && part <= size; part++) {
			if (memcmp(text, values[v] + length - part, part) == 0)
				memset(out, '*', part);
			if (memcmp(text + size - part, values[v], part) == 0)
				memset(out + size - part, '*', part);
		}
	}
}

static void test_mask_agrees_with_brute_force(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		char values[4][12];
		const char *list[4];
		char text[41];
		char expected[41];
		size_t count = 1 + randombytes_uniform(4);
		CLEANUP(json_freep) json_t *object = json_object();
		for (size_t v = 0; v < count; v++) {
			size_t length = randombytes_uniform(sizeof values[v]);
			for (size_t i = 0; i < length; i++)
				values[v][i] = ".,"[randombytes_uniform(2)]; /* never base64 */
			values[v][length] = '\0';
			char name[2] = {(char)('a' + v), '\0'};
			list[v] = values[v];
			json_object_set_new(object, name, json_string(values[v]));
		}
		size_t size = randombytes_uniform(sizeof text);
		for (size_t i = 0; i < size; i++)
			text[i] = ".,\"?"[randombytes_uniform(round % 2 == 0 ? 2 : 4)];
		text[size] = '\0';
		CLEANUP(mask_freep) struct mask *mask = mask_new(object);
		mask_by_force(list, count, text, expected);
		mask_bytes(mask, text, size, true);
		assert_string_equal(text, expected);
	}
}

static double cpu_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of the processor, for the worst that a search which goes back can meet: everything nearly fits. */
static double worst_case_s(size_t value_size, size_t text_size)
{
	char *value = mem_calloc(value_size + 1, 1);
	char *text = mem_calloc(text_size + 1, 1);
	memset(value, 'a', value_size);
	value[value_size - 1] = 'b';
	memset(text, 'a', text_size);
	double begun_s = cpu_s();
	struct mask *mask = mask_of(value);
	mask_bytes(mask, text, text_size, true);
	mask_free(mask);
	double took_s = cpu_s() - begun_s;
	free(value);
	free(text);
	return took_s;
}

/* Four times as much takes some four times as long, and sixteen times where the work is not linear. The least of
 * several runs of each in turn: others use this machine too. */
static void test_mask_work_is_linear(void **state)
{
	(void)state;
	double once_s = 1e9, four_times_s = 1e9;
	for (int run = 0; run < 5; run++) {
		once_s = fmin(once_s, worst_case_s(8000, 500000));
		four_times_s = fmin(four_times_s, worst_case_s(32000, 2000000));
	}
	assert_true(four_times_s < once_s * 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mask_plain_and_url_forms_are_masked),
	    cmocka_unit_test(test_mask_values_between_quotes_are_masked),
	    cmocka_unit_test(test_mask_base64_is_masked_at_any_place),
	    cmocka_unit_test(test_mask_base64_over_lines_is_masked),
	    cmocka_unit_test(test_mask_lines_of_a_value_are_masked),
	    cmocka_unit_test(test_mask_cut_values_are_masked_at_both_ends),
	    cmocka_unit_test(test_mask_short_values_stay),
	    cmocka_unit_test(test_mask_agrees_with_brute_force),
	    cmocka_unit_test(test_mask_work_is_linear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
