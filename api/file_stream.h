/* A file on a cluster as a response: read in chunks through a lane while the client takes it, one chunk in memory at a
 * time. */
#ifndef NEL_API_FILE_STREAM_H
#define NEL_API_FILE_STREAM_H

#include "api/request.h"
#include "service/remote_files.h"

#define FILE_CHUNK_BYTES (1024 * 1024)

/* Which file. Owns what it points to. */
struct file_place {
	struct job_row job;
	enum remote_folder folder;
	char *path;
};

void file_place_done(struct file_place *place);

/* The bytes [offset, offset + length) as a response. Takes over *place, and *waiter with the chunk that begins at
 * asked_at (or NULL). When the file gets shorter meanwhile, or a read fails, the transfer breaks off: the client sees
 * fewer bytes than were announced. NULL when libmicrohttpd cannot. */
struct MHD_Response *file_stream_response(struct request *request, struct file_place *place, struct waiter **waiter,
					  int64_t asked_at, int64_t offset, int64_t length);

#endif
