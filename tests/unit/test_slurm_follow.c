/* The follower's answers, in pieces of every size, cut off and spoilt; and the orders it is given. */
#include "slurm/follow.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "cmocka_all.h"

#include <string.h>

#define BEGIN "nel|begin|1\n"
#define TEXT(s) s, sizeof(s) - 1

/* What came of an output, as one text. */
static void note(const struct follow_answer *answer, void *arg)
{
	static const char *const names[] = {
	    [FOLLOW_START] = "start", [FOLLOW_DATA] = "data", [FOLLOW_ANEW] = "anew", [FOLLOW_POLL] = "poll"};
	struct str *story = arg;
	str_appendf(story, "%s %d %lld ", names[answer->kind], answer->id, (long long)answer->offset);
	str_append_n(story, answer->data == NULL ? "" : answer->data, answer->size);
	str_append_c(story, '\n');
}

/* Gives the output in pieces of that size. */
static int parse(const char *output, size_t size, size_t piece, struct str *story, struct nel_err *err)
{
	struct follow_parser parser = {0};
	int result = 0;
	for (size_t at = 0; at < size && result == 0; at += piece)
		result = follow_parse(&parser, output + at, size - at < piece ? size - at : piece, note, story, err);
	follow_parser_done(&parser);
	return result;
}

static void test_parse_output_in_pieces_of_every_size_says_the_same(void **state)
{
	(void)state;
	static const char output[] = "Welcome to alpha\nnel|begin|\n" BEGIN "poll\nstart|7|0\ndata|7|0|b25lCg==\n"
				     "data|7|4|AP8K\nanew|7\ndata|7|0|\nstart|999999999|4611686018427387903\npoll\n"
				     "data|7|0|cut of";
	static const char expected[] =
	    "poll 0 0 \nstart 7 0 \ndata 7 0 one\n\ndata 7 4 \0\xff\n\nanew 7 -1 \ndata 7 0 \n"
	    "start 999999999 4611686018427387903 \npoll 0 0 \n";
	for (size_t piece = 1; piece <= sizeof output; piece++) {
		CLEANUP(str_done) struct str story = {0};
		struct nel_err err = {0};
		assert_int_equal(parse(output, sizeof output - 1, piece, &story, &err), 0);
		assert_int_equal(story.len, sizeof expected - 1);
		assert_memory_equal(story.data, expected, sizeof expected - 1);
	}
}

static void test_parse_output_cut_anywhere_says_a_part_of_it(void **state)
{
	(void)state;
	static const char output[] = "motd\n" BEGIN "start|7|12\ndata|7|12|b25lCg==\npoll\nanew|7\n";
	static const char expected[] = "start 7 12 \ndata 7 12 one\n\npoll 0 0 \nanew 7 -1 \n";
	for (size_t size = 0; size < sizeof output; size++) {
		CLEANUP(str_done) struct str story = {0};
		struct nel_err err = {0};
		assert_int_equal(parse(output, size, size + 1, &story, &err), 0);
		assert_true(story.len < sizeof expected);
		assert_memory_equal(str_text(&story), expected, story.len);
		assert_true(size < sizeof output - 1 || story.len == sizeof expected - 1);
	}
}

static void test_parse_bad_line_is_an_error(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		size_t size;
	} cases[] = {
	    {TEXT("\n")},
	    {TEXT("polls\n")},
	    {TEXT("\0poll\n")},
	    {TEXT("start\n")},
	    {TEXT("start|7\n")},
	    {TEXT("start||0\n")},
	    {TEXT("start|-1|0\n")},
	    {TEXT("start|1000000000|0\n")},
	    {TEXT("start|7|-1\n")},
	    {TEXT("start|7|x\n")},
	    {TEXT("start|7|4611686018427387904\n")},
	    {TEXT("start|7|99999999999999999999\n")},
	    {TEXT("anew\n")},
	    {TEXT("anew|x\n")},
	    {TEXT("data|7|0\n")},
	    {TEXT("data|7|0|b25lCg=\n")},
	    {TEXT("data|7|0|b25lCg\n")},
	    {TEXT("data|7|0|b25l Cg==\n")},
	    {TEXT("data|7|0|b25lCg==|\n")},
	    {TEXT("data|7|0|____\n")},
	    {TEXT("data|x|0|b25lCg==\n")},
	    {TEXT("bash: realpath: command not found\n")},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(str_done) struct str story = {0};
		CLEANUP(str_done) struct str output = {0};
		struct nel_err err = {0};
		str_append(&output, BEGIN);
		str_append_n(&output, cases[i].line, cases[i].size);
		str_append(&output, "poll\n");
		if (parse(output.data, output.len, 5, &story, &err) != -1)
			fail_msg("%zu: %s was taken", i, cases[i].line);
		assert_int_equal(err.kind, NEL_REMOTE);
		assert_string_equal(str_text(&story), "");
	}
}

/* What the parser holds is bounded, whatever a cluster sends; the longest piece that the script sends is taken. */
static void test_parse_line_without_end_is_an_error(void **state)
{
	(void)state;
	static const char *const begins[] = {"", BEGIN, BEGIN "data|7|0|"};
	size_t size = 1024 * 1024;
	CLEANUP(mem_freep) char *endless = mem_calloc(1, size);
	for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
		CLEANUP(str_done) struct str story = {0};
		struct nel_err err = {0};
		memset(endless, 'A', size);
		memcpy(endless, begins[i], strlen(begins[i]));
		assert_int_equal(parse(endless, size, 4096, &story, &err), -1);
		assert_int_equal(err.kind, NEL_REMOTE);
	}
}

static void test_parse_longest_piece_is_taken_and_one_longer_is_not(void **state)
{
	(void)state;
	for (size_t more = 0; more <= 3; more += 3) {
		size_t data = FOLLOW_PIECE_MAX + more;
		CLEANUP(str_done) struct str story = {0};
		CLEANUP(str_done) struct str output = {0};
		struct nel_err err = {0};
		str_append(&output, BEGIN "data|7|0|");
		for (size_t i = 0; i < data / 3; i++)
			str_append(&output, "AAAA");
		str_append_c(&output, '\n');
		assert_int_equal(parse(output.data, output.len, 4096, &story, &err), more == 0 ? 0 : -1);
		assert_int_equal(story.len, more == 0 ? strlen("data 7 0 \n") + data : 0);
	}
}

static void test_orders_are_lines(void **state)
{
	(void)state;
	CLEANUP(str_done) struct str input = {0};
	follow_add(&input, 3, -1, "/shared/it's", "client-7.log");
	follow_drop(&input, 3);
	assert_string_equal(str_text(&input), "add\x1f"
					      "3\x1f-1\x1f/shared/it's\x1f"
					      "client-7.log\ndrop\x1f"
					      "3\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse_output_in_pieces_of_every_size_says_the_same),
	    cmocka_unit_test(test_parse_output_cut_anywhere_says_a_part_of_it),
	    cmocka_unit_test(test_parse_bad_line_is_an_error),
	    cmocka_unit_test(test_parse_line_without_end_is_an_error),
	    cmocka_unit_test(test_parse_longest_piece_is_taken_and_one_longer_is_not),
	    cmocka_unit_test(test_orders_are_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
