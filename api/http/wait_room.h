/* Connections that wait for an answer of a lane: suspended in libmicrohttpd, resumed from the lane's thread. A waiter
 * has two holders, the HTTP side and the lane's callback; whichever lets go last frees it. */
#ifndef NEL_API_HTTP_WAIT_ROOM_H
#define NEL_API_HTTP_WAIT_ROOM_H

#include "base/err.h"
#include "service/remote_files.h"

struct MHD_Connection;
struct wait_room;
struct waiter;

struct wait_room *wait_room_new(void);

/* Ends every wait with BUSY and resumes its connection; from then on nobody can wait. */
void wait_room_close(struct wait_room *room);
bool wait_room_is_closed(struct wait_room *room);

/* Lets go of the room; it lives on until the last waiter is gone. Accepts NULL. */
void wait_room_release(struct wait_room *room);

/* What came. Owned by the waiter. */
struct wait_answer {
	bool failed;
	struct nel_err err;           /* when failed */
	struct remote_entry *entries; /* of a list */
	size_t count;
	bool truncated;
	char *data; /* of content */
	size_t size;
	int64_t offset;
	int64_t file_size;
	int64_t modified_at;
	char version[REMOTE_VERSION_SIZE];
};

/* Starts to wait: suspends the connection. Ask the service then, with wait_callback and the waiter; when it refuses,
 * call waiter_refused(). BUSY when the room is closed. The HTTP thread of the connection. */
int waiter_new(struct wait_room *room, struct MHD_Connection *connection, struct waiter **ret_waiter,
	       struct nel_err *err);

/* The lane takes no answer: resumes the connection, with *err as the answer. */
void waiter_refused(struct waiter *waiter, const struct nel_err *err);

/* A remote_callback; arg is the waiter. Copies the answer and resumes the connection. */
void wait_callback(const struct remote_answer *answer, void *arg);

/* The answer once it is there, else NULL. Valid until waiter_release(). */
const struct wait_answer *waiter_answer(struct waiter *waiter);

/* The HTTP side lets go; the connection must not be suspended. Accepts NULL. */
void waiter_release(struct waiter *waiter);

#endif
