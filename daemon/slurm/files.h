/* Reading a job's directory on the cluster: listing and content, never outside of it. Lane threads. */
#ifndef NEL_SLURM_FILES_H
#define NEL_SLURM_FILES_H

#include "base/err.h"
#include "base/str.h"
#include "slurm/remote.h"
#include "ssh/pool.h"

#include <stdint.h>

#define FILES_LIST_MAX 10000
#define FILES_CHUNK_MAX (4 * 1024 * 1024)

/* "<inode>-<time of the last change>": another file under the same name, or another content, has another one. */
#define FILES_VERSION_SIZE 64

struct remote_file {
	char *path; /* relative to the listed folder */
	int64_t size;
	int64_t modified_at;
	bool escaped; /* the name has control characters or is not UTF-8: these bytes, and '%', are shown as %XX */
};

struct remote_files {
	struct remote_file *items; /* sorted by path */
	size_t count;
	bool truncated; /* there are more than FILES_LIST_MAX */
};

void remote_files_done(struct remote_files *files);

/* The regular files below <job_dir>/<folder> ("logs", "artifacts"), FILES_LIST_MAX of them; prefix: only those whose
 * path begins with it ("": all). NOTFOUND when the folder is gone. */
int slurm_files_list(struct ssh_pool *pool, const char *job_dir, const char *folder, const char *prefix,
		     int64_t timeout_ms, struct remote_files *ret_files, struct nel_err *err);

struct remote_chunk {
	char *data;
	size_t size;
	int64_t offset;    /* of data in the file */
	int64_t file_size; /* as it was when read */
	int64_t modified_at;
	char version[FILES_VERSION_SIZE];
};

void remote_chunk_done(struct remote_chunk *chunk);

/* Is path a relative path without empty, "." and ".." parts and control characters? Checked again on the cluster, where
 * symbolic links that leave the folder are refused. */
bool slurm_files_path_ok(const char *path);

/* Up to max_bytes (at most FILES_CHUNK_MAX) from offset of <job_dir>/<folder>/<path>. tail_lines > 0: instead the last
 * that many lines, at most max_bytes of them. NOTFOUND, DENIED (leaves the folder, unreadable). */
int slurm_files_read(struct ssh_pool *pool, const char *job_dir, const char *folder, const char *path, int64_t offset,
		     size_t max_bytes, int64_t tail_lines, int64_t timeout_ms, struct remote_chunk *ret_chunk,
		     struct nel_err *err);

/* One line, from 1, of at most FILES_CHUNK_MAX bytes; "" when there are not as many. Otherwise the same. */
int slurm_files_read_line(struct ssh_pool *pool, const char *job_dir, const char *folder, const char *path,
			  int64_t line, int64_t timeout_ms, struct remote_chunk *ret_chunk, struct nel_err *err);

/* The standard input and command of a stream, for a command that lasts: `length` bytes from offset of a file (-1: to
 * its end). As remote_render(). */
int slurm_files_render_stream(const char *const *environment, const char *job_dir, const char *folder, const char *path,
			      int64_t offset, int64_t length, char ret_command[REMOTE_COMMAND_SIZE], char **ret_input,
			      size_t *ret_size, struct nel_err *err);

/* The same for a tar archive of the folder, or of the tree `path` in it ("": all). It holds directories, files, and
 * links that stay within the folder; names are relative to the folder. */
int slurm_files_render_tar(const char *const *environment, const char *job_dir, const char *folder, const char *path,
			   char ret_command[REMOTE_COMMAND_SIZE], char **ret_input, size_t *ret_size,
			   struct nel_err *err);

/* Reads a stream's output as it comes: what stands before the content, the content, and the line behind it. */
struct files_stream {
	struct str head; /* until the content begins */
	bool begun;      /* the following are known */
	bool is_tar;     /* then only the content is */
	int64_t file_size;
	int64_t modified_at;
	char version[FILES_VERSION_SIZE];
};

void files_stream_done(struct files_stream *stream);

/* The most that stands behind the content. Content is certain only when so many bytes have come behind it, or
 * files_stream_end() has looked at the end. */
#define FILES_STREAM_HOLD 256

/* Takes output until the content begins; *ret_used: how many bytes of data it took, the rest is content. Errors as the
 * script's, REMOTE for what cannot be read. */
int files_stream_begin(struct files_stream *stream, const char *data, size_t size, size_t *ret_used,
		       struct nel_err *err);

/* At the end of the output: tail is its end, at least FILES_STREAM_HOLD bytes or all there was. *ret_trailer: how many
 * of its bytes are no content. grows: the file may have been written to behind what was read, which ended at `end` of
 * the file. REMOTE when it is cut off, or the file is not what it was: the content is then wrong. */
int files_stream_end(const struct files_stream *stream, const char *tail, size_t size, bool grows, int64_t end,
		     size_t *ret_trailer, struct nel_err *err);

/* Read the answers of remote_files.sh. Pure. Errors as the script's, REMOTE when an answer is cut off. */
int files_parse_list(const char *text, size_t size, struct remote_files *ret_files, struct nel_err *err);
int files_parse_chunk(const char *text, size_t size, struct remote_chunk *ret_chunk, struct nel_err *err);

#endif
