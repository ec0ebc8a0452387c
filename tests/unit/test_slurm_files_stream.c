/* A file's or a tree's way from a cluster in one stream: what stands before and behind the content, whole, cut and
 * spoilt. */
#include "slurm/files.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "cmocka_all.h"

#include <string.h>

#define BEGIN "nel|begin|1\n"
#define FILE_HEAD BEGIN "file|5|1700000000|0|12-1700000000.5\n"
#define TAR_HEAD BEGIN "tar\n"
#define FILE_END "\nend|12-1700000000.5|5\n"

/* Gives the output in pieces of that size, as a transfer does; *content: what is left when the end was judged. */
static int take(const char *output, size_t size, size_t piece, bool grows, struct files_stream *stream,
		struct str *content, struct nel_err *err)
{
	size_t trailer = 0;
	for (size_t at = 0; at < size; at += piece) {
		size_t part = size - at < piece ? size - at : piece;
		size_t used = 0;
		if (!stream->begun && files_stream_begin(stream, output + at, part, &used, err) != 0)
			return -1;
		str_append_n(content, output + at + used, part - used);
	}
	if (files_stream_end(stream, str_text(content), content->len, grows, 5, &trailer, err) != 0)
		return -1;
	content->len -= trailer;
	return 0;
}

static void test_stream_in_pieces_of_every_size_has_the_content(void **state)
{
	(void)state;
	static const struct {
		const char *output;
		bool grows, is_tar;
	} cases[] = {
	    {"motd\n" FILE_HEAD "a\nend" FILE_END, false, false},
	    {FILE_HEAD "a\nend\nend|12-1700000009.1|9\n", true, false},
	    {TAR_HEAD "a\nend\nend|ok\n", false, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t size = strlen(cases[i].output);
		for (size_t piece = 1; piece <= size; piece++) {
			CLEANUP(files_stream_done) struct files_stream stream = {0};
			CLEANUP(str_done) struct str content = {0};
			struct nel_err err = {0};
			if (take(cases[i].output, size, piece, cases[i].grows, &stream, &content, &err) != 0)
				fail_msg("%zu: %s", i, err.msg);
			assert_int_equal(content.len, 5);
			assert_memory_equal(content.data, "a\nend", 5);
			assert_int_equal(stream.is_tar, cases[i].is_tar);
			if (cases[i].is_tar)
				continue;
			assert_int_equal(stream.file_size, 5);
			assert_int_equal(stream.modified_at, 1700000000);
			assert_string_equal(stream.version, "12-1700000000.5");
		}
	}
}

static void test_stream_cut_anywhere_is_an_error(void **state)
{
	(void)state;
	static const char *const outputs[] = {FILE_HEAD "abcde" FILE_END, TAR_HEAD "abcde\nend|ok\n"};
	for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
		for (size_t size = 0; size < strlen(outputs[i]); size++) {
			CLEANUP(files_stream_done) struct files_stream stream = {0};
			CLEANUP(str_done) struct str content = {0};
			struct nel_err err = {0};
			assert_int_equal(take(outputs[i], size, size + 1, false, &stream, &content, &err), -1);
			assert_int_equal(err.kind, NEL_REMOTE);
		}
	}
}

static void test_stream_bad_answers_are_errors(void **state)
{
	(void)state;
	static const struct {
		const char *output;
		bool grows;
		enum nel_err_kind kind;
	} cases[] = {
	    {BEGIN "error|notfound|there is no such file\nend\n", false, NEL_NOTFOUND},
	    {BEGIN "error|denied|it leaves\nend\n", false, NEL_DENIED},
	    {BEGIN "error|what\n", false, NEL_REMOTE},
	    {BEGIN "files|5|1|0|1-1\n", false, NEL_REMOTE},
	    {BEGIN "file|5|1|0\n", false, NEL_REMOTE},
	    {BEGIN "file|-5|1|0|1-1\n", false, NEL_REMOTE},
	    {BEGIN "file|x|1|0|1-1\n", false, NEL_REMOTE},
	    {BEGIN "file|5|1|0|1-1\"\n", false, NEL_REMOTE},
	    {BEGIN "file|5|1|0|1111111111111111111111111111111111111111111111111111111111111111\n", false, NEL_REMOTE},
	    {FILE_HEAD "abcde\nend\n", false, NEL_REMOTE},
	    {FILE_HEAD "abcde\nend|\n", false, NEL_REMOTE},
	    {FILE_HEAD "abcde\nend|12-1700000000.5\n", false, NEL_REMOTE},
	    {FILE_HEAD "abcde\nend|12-1700000000.5|x\n", false, NEL_REMOTE},
	    {FILE_HEAD "abcde\nend|12-1700000000.5|6\n", false, NEL_REMOTE},
	    {FILE_HEAD "abcde\nend|12-1700000001.5|5\n", false, NEL_REMOTE},
	    {FILE_HEAD "abcde\nend|13-1700000000.5|5\n", true, NEL_REMOTE}, /* replaced */
	    {FILE_HEAD "abcde\nend|12-1700000001.5|4\n", true, NEL_REMOTE}, /* cut */
	    {FILE_HEAD "abcde" FILE_END "cat: warning\n", false, NEL_REMOTE},
	    {TAR_HEAD "abcde\nend|tar: x: file changed as we read it\n", false, NEL_REMOTE},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(files_stream_done) struct files_stream stream = {0};
		CLEANUP(str_done) struct str content = {0};
		struct nel_err err = {0};
		if (take(cases[i].output, strlen(cases[i].output), 7, cases[i].grows, &stream, &content, &err) != -1)
			fail_msg("%zu was taken", i);
		assert_int_equal(err.kind, cases[i].kind);
	}
}

/* What a login shell prints before the answer is bounded. */
static void test_stream_that_never_begins_is_an_error(void **state)
{
	(void)state;
	size_t size = 80000;
	CLEANUP(mem_freep) char *noise = mem_calloc(1, size);
	CLEANUP(files_stream_done) struct files_stream stream = {0};
	CLEANUP(str_done) struct str content = {0};
	struct nel_err err = {0};
	memset(noise, '\n', size);
	assert_int_equal(take(noise, size, 4096, false, &stream, &content, &err), -1);
	assert_int_equal(err.kind, NEL_REMOTE);
	assert_true(stream.head.len < size);
}

/* Only the end of the content is looked at, however it is given. */
static void test_end_behind_a_long_content_is_found(void **state)
{
	(void)state;
	CLEANUP(files_stream_done) struct files_stream stream = {0};
	CLEANUP(str_done) struct str tail = {0};
	struct nel_err err = {0};
	size_t used = 0, trailer = 0;
	assert_int_equal(files_stream_begin(&stream, FILE_HEAD, strlen(FILE_HEAD), &used, &err), 0);
	assert_int_equal(used, strlen(FILE_HEAD));
	for (int i = 0; i < 1000; i++)
		str_append(&tail, "content\n");
	str_append(&tail, FILE_END);
	assert_int_equal(files_stream_end(&stream, tail.data, tail.len, false, 5, &trailer, &err), 0);
	assert_int_equal(trailer, strlen(FILE_END));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stream_in_pieces_of_every_size_has_the_content),
	    cmocka_unit_test(test_stream_cut_anywhere_is_an_error),
	    cmocka_unit_test(test_stream_bad_answers_are_errors),
	    cmocka_unit_test(test_stream_that_never_begins_is_an_error),
	    cmocka_unit_test(test_end_behind_a_long_content_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
