/* slurm/follow and slurm/files_stream: what a follower's or a transfer's output says does not depend on the pieces it
 * comes in, and no content is more than what came. */
#include "fuzz.h"
#include "slurm/files.h"
#include "slurm/follow.h"

/* Written apart from the product: everything that was told, as one text. */
static void note(const struct follow_answer *answer, void *arg)
{
	struct str *story = arg;
	FUZZ_CHECK(answer->size <= FOLLOW_PIECE_MAX);
	FUZZ_CHECK(answer->kind == FOLLOW_DATA || answer->size == 0);
	FUZZ_CHECK(answer->size == 0 || answer->data != NULL);
	FUZZ_CHECK(answer->id >= 0 && answer->offset >= (answer->kind == FOLLOW_ANEW ? -1 : 0));
	str_appendf(story, "%d %d %lld %zu ", answer->kind, answer->id, (long long)answer->offset, answer->size);
	str_append_n(story, answer->data == NULL ? "" : answer->data, answer->size);
}

static int follow(const char *data, size_t size, size_t piece, struct str *story)
{
	struct follow_parser parser = {0};
	struct nel_err err = {0};
	int result = 0;
	for (size_t at = 0; at < size && result == 0; at += piece)
		result = follow_parse(&parser, data + at, size - at < piece ? size - at : piece, note, story, &err);
	if (result != 0)
		fuzz_check_error(&err, NEL_REMOTE);
	follow_parser_done(&parser);
	return result;
}

static void check_follow(const char *data, size_t size, size_t piece)
{
	CLEANUP(str_done) struct str whole = {0};
	CLEANUP(str_done) struct str pieces = {0};
	FUZZ_CHECK(follow(data, size, size + 1, &whole) == follow(data, size, piece, &pieces));
	FUZZ_CHECK(whole.len == pieces.len && strcmp(str_text(&whole), str_text(&pieces)) == 0);
	FUZZ_CHECK(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
}

/* -1 or the size of the content, at whose end the output's end stands. */
static int64_t stream(const char *data, size_t size, size_t piece, bool grows, struct files_stream *s)
{
	struct nel_err err = {0};
	size_t content = 0, trailer = 0;
	for (size_t at = 0; at < size; at += piece) {
		size_t part = size - at < piece ? size - at : piece;
		size_t used = 0;
		if (!s->begun && files_stream_begin(s, data + at, part, &used, &err) != 0) {
			FUZZ_CHECK(err.kind != NEL_OK && err.kind != NEL_INTERNAL && fuzz_is_utf8(err.msg));
			fuzz_check_error(&err, err.kind);
			return -1;
		}
		FUZZ_CHECK(used <= part);
		content += part - used;
	}
	if (files_stream_end(s, data + size - content, content, grows, 5, &trailer, &err) != 0) {
		fuzz_check_error(&err, NEL_REMOTE);
		return -1;
	}
	FUZZ_CHECK(trailer > 0 && trailer <= content && trailer <= FILES_STREAM_HOLD);
	FUZZ_CHECK(data[size - trailer] == '\n' && memcmp(data + size - trailer + 1, "end|", 4) == 0);
	return (int64_t)(content - trailer);
}

static void check_stream(const char *data, size_t size, size_t piece, bool grows)
{
	CLEANUP(files_stream_done) struct files_stream whole = {0};
	CLEANUP(files_stream_done) struct files_stream pieces = {0};
	int64_t content = stream(data, size, size + 1, grows, &whole);
	FUZZ_CHECK(content == stream(data, size, piece, grows, &pieces));
	FUZZ_CHECK(whole.begun == pieces.begun && whole.is_tar == pieces.is_tar);
	if (!whole.begun)
		return;
	FUZZ_CHECK(strcmp(whole.version, pieces.version) == 0 && whole.file_size == pieces.file_size);
	FUZZ_CHECK(whole.file_size >= 0 && whole.modified_at >= 0);
	FUZZ_CHECK(strspn(whole.version, "0123456789.-") == strlen(whole.version));
}

/* The first byte says how large the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const char *text = (const char *)data + 1;
	size_t piece = (size_t)data[0] % 64 + 1;
	check_follow(text, size - 1, piece);
	check_stream(text, size - 1, piece, data[0] >= 128);
	return 0;
}
