/* Owns the suspension of connections that send a stream, and finds out whose client has gone. */
#include "api/http/stream.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BLOCK_BYTES (128 * 1024)
#define TICK_MS 1000
#define KEEPALIVE_IDLE_S 20 /* a client that is gone without a word is found out within a minute */
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3

/* The lock guards the list and every stream's waiting, woken and gone. It is taken before libmicrohttpd's own locks, as
 * wait_room.c's. */
struct stream_room {
	pthread_mutex_t lock;
	pthread_cond_t closing;
	pthread_t thread;
	bool closed;
	struct stream *first;
};

struct stream {
	struct stream_room *room;
	struct stream *next, *previous;
	struct MHD_Connection *connection;
	int fd;
	bool waiting; /* the connection is suspended */
	bool woken;   /* since the last produce() began */
	bool gone;    /* the client closed the connection */
	const struct stream_source *source;
	void *arg;
};

/* With the lock held. */
static void wake(struct stream *stream)
{
	stream->woken = true;
	if (!stream->waiting)
		return;
	stream->waiting = false;
	MHD_resume_connection(stream->connection);
}

void stream_wake(struct stream *stream)
{
	pthread_mutex_lock(&stream->room->lock);
	wake(stream);
	pthread_mutex_unlock(&stream->room->lock);
}

/* libmicrohttpd does not look at a suspended connection's socket. */
static bool has_hung_up(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	return fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

static void *tend(void *arg)
{
	struct stream_room *room = arg;
	pthread_mutex_lock(&room->lock);
	while (!room->closed) {
		clock_cond_wait(&room->closing, &room->lock, TICK_MS);
		for (struct stream *stream = room->first; stream != NULL; stream = stream->next) {
			if (!stream->waiting)
				continue;
			stream->gone = has_hung_up(stream->fd);
			wake(stream);
		}
	}
	pthread_mutex_unlock(&room->lock);
	return NULL;
}

struct stream_room *stream_room_new(struct nel_err *err)
{
	struct stream_room *room = mem_calloc(1, sizeof *room);
	pthread_mutex_init(&room->lock, NULL);
	clock_cond_init(&room->closing);
	int sys = pthread_create(&room->thread, NULL, tend, room);
	if (sys != 0) {
		room->closed = true;
		err_sys(err, NEL_INTERNAL, sys, "the HTTP server");
		pthread_cond_destroy(&room->closing);
		pthread_mutex_destroy(&room->lock);
		free(room);
		return NULL;
	}
	return room;
}

void stream_room_close(struct stream_room *room)
{
	pthread_mutex_lock(&room->lock);
	bool first = !room->closed;
	room->closed = true;
	pthread_cond_broadcast(&room->closing);
	for (struct stream *stream = room->first; stream != NULL; stream = stream->next)
		wake(stream);
	pthread_mutex_unlock(&room->lock);
	if (first)
		pthread_join(room->thread, NULL);
}

void stream_room_free(struct stream_room *room)
{
	if (room == NULL)
		return;
	stream_room_close(room);
	pthread_cond_destroy(&room->closing);
	pthread_mutex_destroy(&room->lock);
	free(room);
}

/* Suspends the connection, unless something came meanwhile. True: there is reason to try again at once. */
static bool wait_for_more(struct stream *stream)
{
	struct stream_room *room = stream->room;
	pthread_mutex_lock(&room->lock);
	bool again = stream->woken || room->closed;
	if (!again) {
		stream->waiting = true;
		MHD_suspend_connection(stream->connection);
	}
	pthread_mutex_unlock(&room->lock);
	return again;
}

/* True: the stream is over. */
static bool begin_turn(struct stream *stream)
{
	pthread_mutex_lock(&stream->room->lock);
	stream->woken = false;
	bool over = stream->room->closed || stream->gone;
	pthread_mutex_unlock(&stream->room->lock);
	return over;
}

/* MHD_ContentReaderCallback. */
static ssize_t stream_read(void *arg, uint64_t position, char *buffer, size_t max)
{
	struct stream *stream = arg;
	(void)position;
	for (;;) {
		size_t size = 0;
		if (begin_turn(stream))
			return MHD_CONTENT_READER_END_WITH_ERROR;
		switch (stream->source->produce(stream->arg, buffer, max, &size)) {
		case STREAM_DATA: return (ssize_t)size;
		case STREAM_END: return MHD_CONTENT_READER_END_OF_STREAM;
		case STREAM_BREAK: return MHD_CONTENT_READER_END_WITH_ERROR;
		case STREAM_WAIT: break;
		}
		if (!wait_for_more(stream))
			return 0;
	}
}

static void stream_free(void *arg)
{
	struct stream *stream = arg;
	stream->source->free(stream->arg); /* from here on nobody wakes it */
	pthread_mutex_lock(&stream->room->lock);
	if (stream->previous != NULL)
		stream->previous->next = stream->next;
	else
		stream->room->first = stream->next;
	if (stream->next != NULL)
		stream->next->previous = stream->previous;
	pthread_mutex_unlock(&stream->room->lock);
	free(stream);
}

/* A client whose host is gone says nothing: the kernel asks. Sockets other than TCP's refuse the options. */
static void keep_alive(int fd)
{
	const struct {
		int level, name, value;
	} options[] = {
	    {SOL_SOCKET, SO_KEEPALIVE, 1},
	    {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
	    {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
	    {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
	};
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value) != 0)
			return;
}

struct MHD_Response *stream_response(struct stream_room *room, struct MHD_Connection *connection,
				     const struct stream_source *source, void *arg, int64_t length,
				     struct stream **ret_stream)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct stream *stream = mem_calloc(1, sizeof *stream);
	*stream = (struct stream){.room = room,
				  .connection = connection,
				  .fd = info == NULL ? -1 : info->connect_fd,
				  .source = source,
				  .arg = arg};
	keep_alive(stream->fd);
	pthread_mutex_lock(&room->lock);
	stream->next = room->first;
	if (stream->next != NULL)
		stream->next->previous = stream;
	room->first = stream;
	pthread_mutex_unlock(&room->lock);
	if (ret_stream != NULL)
		*ret_stream = stream;
	uint64_t size = length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)length;
	struct MHD_Response *response =
	    MHD_create_response_from_callback(size, BLOCK_BYTES, stream_read, stream, stream_free);
	if (response == NULL)
		stream_free(stream);
	return response;
}
