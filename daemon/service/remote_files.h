/* Logs and artifacts of a job, read from its cluster through the lanes: the caller goes on, the callback brings the
 * answer. HTTP threads ask; callbacks run on lane threads and must be short. */
#ifndef NEL_SERVICE_REMOTE_FILES_H
#define NEL_SERVICE_REMOTE_FILES_H

#include "db/jobs.h"
#include "service/service.h"

#define REMOTE_CHUNK_MAX (4 * 1024 * 1024)
#define REMOTE_VERSION_SIZE 64

enum remote_folder { REMOTE_LOGS, REMOTE_ARTIFACTS };

struct remote_entry {
	char *path;
	int64_t size;
	int64_t modified_at;
	bool escaped; /* as struct remote_file has it */
};

/* err is NULL when it went well; then entries[count] (a list) or data/size/offset/file_size (content) are valid during
 * the call only. */
struct remote_answer {
	const struct nel_err *err;
	const struct remote_entry *entries;
	size_t count;
	bool truncated;
	const char *data;
	size_t size;
	int64_t offset;
	int64_t file_size;
	int64_t modified_at;
	const char *version; /* of the file: inode and time of the last change */
};

/* Called exactly once for every accepted request, also when the daemon stops. */
typedef void (*remote_callback)(const struct remote_answer *answer, void *arg);

/* 0: accepted, the callback will be called. -1: it will not: BUSY (the cluster's queue is full), NOTFOUND (no such
 * cluster in the settings any more). prefix: only files whose path begins with it; "": all. */
int service_list_files(struct service *service, const struct job_row *job, enum remote_folder folder,
		       const char *prefix, remote_callback callback, void *arg, struct nel_err *err);

/* Up to max_bytes from offset; tail_lines > 0: the last lines instead. INVALID: path leaves the folder. */
int service_read_file(struct service *service, const struct job_row *job, enum remote_folder folder, const char *path,
		      int64_t offset, size_t max_bytes, int64_t tail_lines, remote_callback callback, void *arg,
		      struct nel_err *err);

/* One line, from 1, with what ends it; REMOTE_CHUNK_MAX bytes at most. Likewise. */
int service_read_line(struct service *service, const struct job_row *job, enum remote_folder folder, const char *path,
		      int64_t line, remote_callback callback, void *arg, struct nel_err *err);

#endif
