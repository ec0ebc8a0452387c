/* A file, a part of one, or a tree of a job as a tar archive on its way from the cluster: read by the lane's reader
 * into a bounded buffer, taken out by an HTTP thread. When the buffer is full the reader stops reading, and with it the
 * cluster. */
#ifndef NEL_SERVICE_TRANSFER_H
#define NEL_SERVICE_TRANSFER_H

#include "db/jobs.h"
#include "service/remote_files.h"
#include "service/service.h"

struct transfer;

struct transfer_order {
	const char *person; /* whose request it is: the room is shared between people */
	enum remote_folder folder;
	const char *path; /* of a file; of a tar: "" or a directory */
	bool tar;
	int64_t offset;
	int64_t length;          /* -1: to the end as it is when the reading begins */
	const char *version;     /* the file must be of this version; NULL: of any */
	void (*wake)(void *arg); /* something has come since transfer_read() said TRANSFER_WAIT; any thread */
	void *arg;
	/* Called once for every transfer that was opened: when it has begun or failed (see transfer_error()), or is
	 * closed before; any thread. NULL: not wanted. */
	void (*begun)(void *arg);
	void *begun_arg;
};

/* Strings of the order are copied. BUSY (too many at once on this cluster), NOTFOUND (no such cluster in the settings
 * any more), INVALID (the path). Any thread. */
int service_transfer_open(struct service *service, const struct job_row *job, const struct transfer_order *order,
			  struct transfer **ret_transfer, struct nel_err *err);

enum transfer_state { TRANSFER_DATA, TRANSFER_WAIT, TRANSFER_END, TRANSFER_FAILED };

/* Takes up to max bytes; the last bytes only when it is certain that all went well. *err when it failed: as
 * remote_files.h, REMOTE when the file changed or vanished. One thread. */
enum transfer_state transfer_read(struct transfer *transfer, char *buffer, size_t max, size_t *ret_size,
				  struct nel_err *err);

/* True, with *err, when it has failed. */
bool transfer_error(struct transfer *transfer, struct nel_err *err);

/* Changes whom wake() is for. Before the first transfer_read(). */
void transfer_set_wake(struct transfer *transfer, void (*wake)(void *arg), void *arg);

/* After this wake() is not called any more. Accepts NULL. */
void transfer_close(struct transfer *transfer);

#endif
