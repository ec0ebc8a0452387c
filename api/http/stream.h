/* Responses whose content comes bit by bit, for as long as it takes: the connection is suspended while there is nothing
 * to send, and resumed from whichever thread has something. No thread is held. */
#ifndef NEL_API_HTTP_STREAM_H
#define NEL_API_HTTP_STREAM_H

#include "base/err.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;
struct stream_room;

/* All streams of the server, and the thread that looks after those that wait. NULL with *err when that cannot be had.
 */
struct stream_room *stream_room_new(struct nel_err *err);
/* Breaks every stream off; from then on there are none. */
void stream_room_close(struct stream_room *room);
void stream_room_free(struct stream_room *room); /* when no response is left; accepts NULL */

enum stream_state {
	STREAM_DATA,
	STREAM_WAIT, /* until stream_wake(), or at most a second */
	STREAM_END,
	STREAM_BREAK /* the client is to see that something is missing */
};

struct stream_source {
	/* Writes up to max bytes; the connection's HTTP thread. */
	enum stream_state (*produce)(void *arg, char *buffer, size_t max, size_t *ret_size);
	/* After the last produce(): also when the client has gone. */
	void (*free)(void *arg);
};

/* A response that takes over arg. length: of the content, -1 when it is not known. NULL when libmicrohttpd cannot (arg
 * is then freed). *ret_stream, which may be NULL: to be woken until source->free() is called. The HTTP thread. */
struct MHD_Response *stream_response(struct stream_room *room, struct MHD_Connection *connection,
				     const struct stream_source *source, void *arg, int64_t length,
				     struct stream **ret_stream);

/* There is something new. Any thread. */
void stream_wake(struct stream *stream);

#endif
