/* Owns the form of a file's or a tree's way from a cluster in one stream. */
#include "base/cleanup.h"
#include "slurm/files.h"
#include "slurm/records.h"
#include "slurm/remote.h"

#include <string.h>

#define HEAD_MAX (64 * 1024) /* with what a login shell prints */

static int render(const char *const *environment, const char *job_dir, const char *folder, const char *path,
		  const char *mode, struct str *data, char ret_command[REMOTE_COMMAND_SIZE], char **ret_input,
		  size_t *ret_size, struct nel_err *err)
{
	if (job_dir[0] != '/' || str_has_control(job_dir))
		return err_set(err, NEL_INVALID, "the job's directory must be an absolute path");
	if (path[0] != '\0' && !slurm_files_path_ok(path))
		return err_set(err, NEL_INVALID, "'%s' is not a relative path", path);
	remote_set(data, "NEL_JOB_DIR", job_dir);
	remote_set(data, "NEL_FOLDER", folder);
	remote_set(data, "NEL_PATH", path);
	remote_set(data, "NEL_MODE", mode);
	struct remote_call call = {.script = "files", .data = str_text(data)};
	remote_render(&call, environment, ret_command, ret_input, ret_size);
	return 0;
}

int slurm_files_render_stream(const char *const *environment, const char *job_dir, const char *folder, const char *path,
			      int64_t offset, int64_t length, char ret_command[REMOTE_COMMAND_SIZE], char **ret_input,
			      size_t *ret_size, struct nel_err *err)
{
	CLEANUP(str_done) struct str data = {0};
	remote_set_number(&data, "NEL_OFFSET", offset);
	remote_set_number(&data, "NEL_LENGTH", length);
	return render(environment, job_dir, folder, path, "stream", &data, ret_command, ret_input, ret_size, err);
}

int slurm_files_render_tar(const char *const *environment, const char *job_dir, const char *folder, const char *path,
			   char ret_command[REMOTE_COMMAND_SIZE], char **ret_input, size_t *ret_size,
			   struct nel_err *err)
{
	CLEANUP(str_done) struct str data = {0};
	return render(environment, job_dir, folder, path, "tar", &data, ret_command, ret_input, ret_size, err);
}

void files_stream_done(struct files_stream *stream)
{
	str_done(&stream->head);
}

static int unreadable(struct nel_err *err)
{
	return err_set(err, NEL_REMOTE, "the cluster's answer cannot be read");
}

static int read_head(struct files_stream *stream, struct record *record, struct nel_err *err)
{
	if (record_is(record, "error"))
		return record_error(record, err);
	if (record_is(record, "tar")) {
		stream->is_tar = true;
		return 0;
	}
	if (!record_is(record, "file") || !record_split(record, 5, 5))
		return unreadable(err);
	const char *version = record->fields[4];
	stream->file_size = record_number(record->fields[1], INT64_MAX / 2, -1);
	stream->modified_at = record_time(record->fields[2]);
	if (stream->file_size < 0 || strlen(version) >= FILES_VERSION_SIZE ||
	    strspn(version, "0123456789.-") != strlen(version))
		return unreadable(err);
	memcpy(stream->version, version, strlen(version) + 1);
	return 0;
}

int files_stream_begin(struct files_stream *stream, const char *data, size_t size, size_t *ret_used,
		       struct nel_err *err)
{
	struct records records;
	struct record record;
	size_t before = stream->head.len;
	if (before + size > HEAD_MAX)
		size = HEAD_MAX - before;
	str_append_n(&stream->head, data, size);
	*ret_used = size;
	if (records_begin(str_text(&stream->head), stream->head.len, &records, NULL) != 0 ||
	    !records_next(&records, &record))
		return stream->head.len < HEAD_MAX ? 0 : unreadable(err);
	if (read_head(stream, &record, err) != 0)
		return -1;
	*ret_used = (size_t)(records.at - stream->head.data) - before;
	stream->begun = true;
	return 0;
}

/* "end|ok" of a tar; "end|<version>|<size>" of a file. */
static int judge_end(const struct files_stream *stream, char *line, bool grows, int64_t end, struct nel_err *err)
{
	char *text = line + strlen("end|");
	if (stream->is_tar)
		return strcmp(text, "ok") == 0 ? 0 : err_set(err, NEL_REMOTE, "the archive broke off: %.200s", text);
	size_t length = strcspn(text, "|");
	if (text[length] != '|')
		return unreadable(err);
	int64_t size = record_number(text + length + 1, INT64_MAX / 2, -1);
	text[length] = '\0';
	size_t inode = strcspn(text, "-") + 1;
	if (strncmp(text, stream->version, grows ? inode : FILES_VERSION_SIZE) != 0 ||
	    (grows ? size < end : size != stream->file_size))
		return err_set(err, NEL_REMOTE, "the file changed while it was read");
	return 0;
}

int files_stream_end(const struct files_stream *stream, const char *tail, size_t size, bool grows, int64_t end,
		     size_t *ret_trailer, struct nel_err *err)
{
	char line[FILES_STREAM_HOLD + 1];
	if (!stream->begun)
		return records_truncated(err);
	if (size > FILES_STREAM_HOLD) {
		tail += size - FILES_STREAM_HOLD;
		size = FILES_STREAM_HOLD;
	}
	if (size < 2 || tail[size - 1] != '\n')
		return records_truncated(err);
	const char *newline = memrchr(tail, '\n', size - 1);
	if (newline == NULL)
		return records_truncated(err);
	size_t length = (size_t)(tail + size - 1 - (newline + 1));
	memcpy(line, newline + 1, length);
	line[length] = '\0';
	if (!str_starts_with(line, "end|"))
		return records_truncated(err);
	*ret_trailer = (size_t)(tail + size - newline);
	return judge_end(stream, line, grows, end, err);
}
