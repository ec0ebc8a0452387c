/* Reading a job's directory on the cluster: listing and content, never outside of it. Lane threads. */
#ifndef NEL_SLURM_FILES_H
#define NEL_SLURM_FILES_H

#include "base/err.h"
#include "ssh/pool.h"

#include <stdint.h>

#define FILES_LIST_MAX 10000
#define FILES_CHUNK_MAX (4 * 1024 * 1024)

struct remote_file {
	char *path; /* relative to the listed folder */
	int64_t size;
	int64_t modified_at;
};

struct remote_files {
	struct remote_file *items; /* sorted by path */
	size_t count;
	bool truncated; /* there are more than FILES_LIST_MAX */
};

void remote_files_done(struct remote_files *files);

/* The regular files below <job_dir>/<folder> ("logs", "artifacts"), but for those whose paths slurm_files_path_ok() or
 * UTF-8 rules out. NOTFOUND when the folder is gone. */
int slurm_files_list(struct ssh_pool *pool, const char *job_dir, const char *folder, int64_t timeout_ms,
		     struct remote_files *ret_files, struct nel_err *err);

struct remote_chunk {
	char *data;
	size_t size;
	int64_t offset;    /* of data in the file */
	int64_t file_size; /* as it was when read */
	int64_t modified_at;
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

/* Read the answers of remote_files.sh. Pure. Errors as the script's, REMOTE when an answer is cut off. */
int files_parse_list(const char *text, size_t size, struct remote_files *ret_files, struct nel_err *err);
int files_parse_chunk(const char *text, size_t size, struct remote_chunk *ret_chunk, struct nel_err *err);

#endif
