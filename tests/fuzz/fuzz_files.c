/* slurm/files and slurm/collect, their parsers: paths that a cluster gives never leave the folder, and content is no
 * more than what came. */
#include "fuzz.h"
#include "slurm/collect.h"
#include "slurm/files.h"

static void check_failure(const struct nel_err *err)
{
	FUZZ_CHECK(err->kind != NEL_OK && err->kind != NEL_INTERNAL);
	fuzz_check_error(err, err->kind);
	FUZZ_CHECK(fuzz_is_utf8(err->msg));
}

/* Written apart from slurm_files_path_ok(). */
static bool stays_inside(const char *path)
{
	CLEANUP(mem_freep) char *framed = mem_printf("/%s/", path);
	return strstr(framed, "//") == NULL && strstr(framed, "/./") == NULL && strstr(framed, "/../") == NULL;
}

static void check_list(const char *text, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(remote_files_done) struct remote_files files = {0};
	if (files_parse_list(text, size, &files, &err) != 0) {
		check_failure(&err);
		return;
	}
	FUZZ_CHECK(files.count <= FILES_LIST_MAX && files.count <= size);
	for (size_t i = 0; i < files.count; i++) {
		const struct remote_file *file = &files.items[i];
		FUZZ_CHECK(stays_inside(file->path) && slurm_files_path_ok(file->path));
		FUZZ_CHECK(fuzz_is_utf8(file->path) && !str_has_control(file->path));
		FUZZ_CHECK(file->size >= 0 && file->modified_at >= 0);
		FUZZ_CHECK(i == 0 || strcmp(files.items[i - 1].path, file->path) <= 0);
	}
}

static void check_chunk(const char *text, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(remote_chunk_done) struct remote_chunk chunk = {0};
	if (files_parse_chunk(text, size, &chunk, &err) != 0) {
		check_failure(&err);
		return;
	}
	FUZZ_CHECK(chunk.size <= size && chunk.size <= FILES_CHUNK_MAX);
	FUZZ_CHECK(chunk.offset >= 0 && chunk.file_size >= 0 && chunk.modified_at >= 0);
	FUZZ_CHECK(memmem(text, size, chunk.data, chunk.size) != NULL);
}

static void check_collect(const char *text, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(collect_reply_done) struct collect_reply reply = {0};
	if (collect_parse(text, size, &reply, &err) != 0) {
		check_failure(&err);
		return;
	}
	FUZZ_CHECK(reply.progress >= -1 && reply.log_tail != NULL && reply.log_name != NULL);
	FUZZ_CHECK(fuzz_is_utf8(reply.log_tail) && fuzz_is_utf8(reply.log_name) && !str_has_control(reply.log_name));
	FUZZ_CHECK(reply.results != NULL ? reply.results_size <= size : reply.results_size == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_list((const char *)data, size);
	check_chunk((const char *)data, size);
	check_collect((const char *)data, size);
	return 0;
}
