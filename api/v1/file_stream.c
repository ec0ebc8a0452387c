/* Owns a file under way from a cluster to a client. */
#include "api/v1/file_stream.h"

#include "api/http/server_internal.h"
#include "api/http/stream.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

struct file_stream {
	struct stream *stream;
	struct transfer *transfer; /* NULL: for a HEAD */
	char request_id[REQUEST_ID_SIZE_MAX + 1];
	char job[IDS_JOB_SIZE];
};

static enum stream_state produce(void *arg, char *buffer, size_t max, size_t *ret_size)
{
	struct file_stream *file = arg;
	struct nel_err err = {0};
	if (file->transfer == NULL)
		return STREAM_BREAK;
	switch (transfer_read(file->transfer, buffer, max, ret_size, &err)) {
	case TRANSFER_DATA: return STREAM_DATA;
	case TRANSFER_WAIT: return STREAM_WAIT;
	case TRANSFER_END: return STREAM_END;
	case TRANSFER_FAILED: break;
	}
	log_warning("a transfer broke off", LOG_S("request", file->request_id), LOG_S("job", file->job),
		    LOG_S("error", err.msg));
	return STREAM_BREAK;
}

static void wake(void *arg)
{
	struct file_stream *file = arg;
	stream_wake(file->stream);
}

static void file_stream_free(void *arg)
{
	struct file_stream *file = arg;
	transfer_close(file->transfer);
	free(file);
}

static int make(struct request *request, const char *job, int64_t length, struct file_stream **ret_file,
		struct MHD_Response **ret_response, struct nel_err *err)
{
	static const struct stream_source source = {.produce = produce, .free = file_stream_free};
	struct file_stream *file = mem_calloc(1, sizeof *file);
	memcpy(file->request_id, request->id, sizeof file->request_id);
	snprintf(file->job, sizeof file->job, "%s", job);
	*ret_file = file;
	*ret_response = stream_response(server_stream_room(request->server), request->connection, &source, file, length,
					&file->stream);
	return *ret_response != NULL ? 0 : err_set(err, NEL_INTERNAL, "a response could not be made");
}

int file_stream_of_transfer(struct request *request, const char *job, struct transfer *transfer,
			    struct MHD_Response **ret_response, struct nel_err *err)
{
	struct file_stream *file = NULL;
	if (make(request, job, -1, &file, ret_response, err) != 0) {
		transfer_close(transfer);
		return -1;
	}
	file->transfer = transfer;
	transfer_set_wake(transfer, wake, file);
	return 0;
}

int file_stream_response(struct request *request, const struct job_row *job, const struct transfer_order *order,
			 struct MHD_Response **ret_response, struct nel_err *err)
{
	struct file_stream *file = NULL;
	struct MHD_Response *response = NULL;
	if (make(request, job->id, order->length, &file, &response, err) != 0)
		return -1;
	struct transfer_order own = *order;
	own.person = request->actor.name;
	own.wake = wake;
	own.arg = file;
	if (!request_is_head(request) &&
	    service_transfer_open(request->service, job, &own, &file->transfer, err) != 0) {
		MHD_destroy_response(response);
		return -1;
	}
	*ret_response = response;
	return 0;
}
