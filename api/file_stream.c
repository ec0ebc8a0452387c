/* Owns a file under way from a cluster to a client: one chunk at a time. */
#include "api/file_stream.h"

#include "api/server_internal.h"
#include "api/wait_room.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

#define BLOCK_BYTES (64 * 1024)

struct file_stream {
	struct service *service;
	struct wait_room *room;
	struct MHD_Connection *connection;
	char request_id[REQUEST_ID_SIZE_MAX + 1];
	struct file_place place;
	int64_t offset; /* of the response's first byte */
	int64_t end;
	struct waiter *waiter; /* of the present chunk */
	int64_t asked_at;      /* where that chunk begins */
};

void file_place_done(struct file_place *place)
{
	job_row_done(&place->job);
	free(place->path);
	*place = (struct file_place){0};
}

static void stream_free(void *arg)
{
	struct file_stream *stream = arg;
	waiter_release(stream->waiter);
	file_place_done(&stream->place);
	free(stream);
}

static ssize_t break_off(const struct file_stream *stream, const char *why)
{
	log_warning("a transfer broke off", LOG_S("request", stream->request_id), LOG_S("job", stream->place.job.id),
		    LOG_S("error", why));
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Suspends the connection and asks for the chunk at that offset. */
static ssize_t ask(struct file_stream *stream, int64_t at)
{
	struct nel_err err = {0};
	int64_t left = stream->end - at;
	size_t size = left < FILE_CHUNK_BYTES ? (size_t)left : FILE_CHUNK_BYTES;
	waiter_release(TAKE(stream->waiter));
	if (waiter_new(stream->room, stream->connection, &stream->waiter, &err) != 0)
		return break_off(stream, err.msg);
	stream->asked_at = at;
	if (service_read_file(stream->service, &stream->place.job, stream->place.folder, stream->place.path, at, size,
			      0, wait_callback, stream->waiter, &err) != 0)
		waiter_refused(stream->waiter, &err);
	return 0;
}

/* MHD_ContentReaderCallback: copies from the present chunk, or asks for the next one and returns 0, suspended. */
static ssize_t stream_read(void *arg, uint64_t position, char *buffer, size_t max)
{
	struct file_stream *stream = arg;
	int64_t at = stream->offset + (int64_t)position;
	if (stream->waiter == NULL)
		return ask(stream, at);
	const struct wait_answer *chunk = waiter_answer(stream->waiter);
	if (chunk == NULL)
		return 0;
	if (chunk->failed)
		return break_off(stream, chunk->err.msg);
	int64_t chunk_end = chunk->offset + (int64_t)chunk->size;
	if (at >= chunk->offset && at < chunk_end) {
		size_t size = (size_t)(chunk_end - at) < max ? (size_t)(chunk_end - at) : max;
		memcpy(buffer, chunk->data + (at - chunk->offset), size);
		return (ssize_t)size;
	}
	if (stream->asked_at == at)
		return break_off(stream, "the file got shorter");
	return ask(stream, at);
}

struct MHD_Response *file_stream_response(struct request *request, struct file_place *place, struct waiter **waiter,
					  int64_t asked_at, int64_t offset, int64_t length)
{
	struct file_stream *stream = mem_calloc(1, sizeof *stream);
	stream->service = request->service;
	stream->room = server_wait_room(request->server);
	stream->connection = request->connection;
	memcpy(stream->request_id, request->id, sizeof stream->request_id);
	stream->place = *place;
	*place = (struct file_place){0};
	stream->waiter = TAKE(*waiter);
	stream->asked_at = asked_at;
	stream->offset = offset;
	stream->end = offset + length;
	struct MHD_Response *response =
	    MHD_create_response_from_callback((uint64_t)length, BLOCK_BYTES, stream_read, stream, stream_free);
	if (response == NULL)
		stream_free(stream);
	return response;
}
