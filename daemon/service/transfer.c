/* Owns what is on its way from a cluster to one client. */
#include "service/transfer.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "remote/readers.h"
#include "remote/workers.h"
#include "service/log_place.h"
#include "slurm/files.h"

#include <pthread.h>
#include <string.h>

#define BUFFER_BYTES (1024 * 1024)
#define WAKE_BYTES (256 * 1024) /* it costs system calls: not for every packet */
#define SILENCE_MAX_MS 60000

_Static_assert(READER_COMMAND_SIZE == REMOTE_COMMAND_SIZE, "what is rendered fits what is run");

/* Two hold it: the reader until the reading has ended, and the HTTP side. */
struct transfer {
	struct reading reading; /* first */
	char *job_dir, *path;
	enum remote_folder folder;
	bool tar;
	bool grows;                 /* a log may be written to while it is read */
	int64_t offset, length;     /* as ordered */
	char *version;              /* or NULL */
	struct files_stream stream; /* the reader's */

	pthread_mutex_t lock; /* of all below */
	int holders;
	char *buffer; /* a ring */
	size_t first, size;
	int64_t content; /* bytes that went into the buffer */
	bool ended, failed;
	struct nel_err err;
	bool waiting; /* the HTTP side found nothing */
	bool full;    /* the reader found no room */
	void (*wake)(void *arg);
	void *arg;
	void (*begun)(void *arg); /* NULL once it was called */
	void *begun_arg;
};

/* With the lock held, which it gives back. */
static void let_go(struct transfer *t)
{
	bool last = --t->holders == 0;
	pthread_mutex_unlock(&t->lock);
	if (!last)
		return;
	files_stream_done(&t->stream);
	pthread_mutex_destroy(&t->lock);
	free(t->buffer);
	free(t->job_dir);
	free(t->path);
	free(t->version);
	free(t);
}

/* With the lock held. */
static void wake(struct transfer *t)
{
	if (t->waiting && t->wake != NULL)
		t->wake(t->arg);
	t->waiting = false;
	if (t->begun != NULL)
		t->begun(t->begun_arg);
	t->begun = NULL;
}

static void set_failed(struct transfer *t, const struct nel_err *err)
{
	pthread_mutex_lock(&t->lock);
	if (!t->failed) {
		t->failed = true;
		t->err = *err;
	}
	wake(t);
	pthread_mutex_unlock(&t->lock);
}

static size_t room(struct reading *reading)
{
	struct transfer *t = (struct transfer *)reading;
	pthread_mutex_lock(&t->lock);
	size_t free_bytes = BUFFER_BYTES - t->size;
	t->full = free_bytes == 0;
	pthread_mutex_unlock(&t->lock);
	return free_bytes;
}

/* With the lock held; it fits. */
static void put(struct transfer *t, const char *data, size_t size)
{
	size_t at = (t->first + t->size) % BUFFER_BYTES;
	size_t part = BUFFER_BYTES - at < size ? BUFFER_BYTES - at : size;
	if (t->buffer == NULL)
		t->buffer = mem_calloc(1, BUFFER_BYTES);
	memcpy(t->buffer + at, data, part);
	memcpy(t->buffer, data + part, size - part);
	t->size += size;
	t->content += (int64_t)size;
}

/* Copies size bytes from `skip` bytes behind the first. With the lock held. */
static void peek(const struct transfer *t, size_t skip, char *to, size_t size)
{
	size_t at = (t->first + skip) % BUFFER_BYTES;
	size_t part = BUFFER_BYTES - at < size ? BUFFER_BYTES - at : size;
	if (size == 0)
		return;
	memcpy(to, t->buffer + at, part);
	memcpy(to + part, t->buffer, size - part);
}

static int check_begin(const struct transfer *t, struct nel_err *err)
{
	const struct files_stream *s = &t->stream;
	if (s->is_tar || t->version == NULL)
		return 0;
	/* Of a log that grows the inode tells. */
	size_t length = t->grows ? strcspn(t->version, "-") + 1 : FILES_VERSION_SIZE;
	if (strncmp(t->version, s->version, length) != 0)
		return err_set(err, NEL_REMOTE, "the file changed before it was read");
	return 0;
}

static void output(struct reading *reading, const char *data, size_t size)
{
	struct transfer *t = (struct transfer *)reading;
	struct nel_err err = {0};
	if (t->failed) /* only this thread sets it */
		return;
	if (!t->stream.begun) {
		size_t used = 0;
		if (files_stream_begin(&t->stream, data, size, &used, &err) != 0 ||
		    (t->stream.begun && check_begin(t, &err) != 0)) {
			set_failed(t, &err);
			return;
		}
		data += used;
		size -= used;
	}
	pthread_mutex_lock(&t->lock);
	put(t, data, size);
	if (t->size > WAKE_BYTES)
		wake(t);
	pthread_mutex_unlock(&t->lock);
}

static void pause_output(struct reading *reading)
{
	struct transfer *t = (struct transfer *)reading;
	pthread_mutex_lock(&t->lock);
	if (t->size > FILES_STREAM_HOLD)
		wake(t);
	pthread_mutex_unlock(&t->lock);
}

/* With the lock held: the output has ended. Takes what stands behind the content off the buffer. */
static int judge(struct transfer *t, struct nel_err *err)
{
	char tail[FILES_STREAM_HOLD];
	size_t size = t->size < sizeof tail ? t->size : sizeof tail;
	size_t trailer = 0;
	peek(t, t->size - size, tail, size);
	int64_t end = t->length < 0 ? t->stream.file_size : t->offset + t->length;
	if (end > t->stream.file_size)
		end = t->stream.file_size;
	if (files_stream_end(&t->stream, tail, size, t->grows, end, &trailer, err) != 0)
		return -1;
	t->size -= trailer;
	t->content -= (int64_t)trailer;
	if (!t->stream.is_tar && t->content != (end > t->offset ? end - t->offset : 0))
		return err_set(err, NEL_REMOTE, "the file changed while it was read");
	return 0;
}

static void end(struct reading *reading, const struct nel_err *err)
{
	struct transfer *t = (struct transfer *)reading;
	struct nel_err own = {0};
	pthread_mutex_lock(&t->lock);
	if (!t->failed && err == NULL && judge(t, &own) != 0)
		err = &own;
	if (!t->failed && err != NULL) {
		t->failed = true;
		t->err = *err;
	}
	t->ended = true;
	wake(t);
	let_go(t);
}

static int prepare(struct reading *reading, const char *const *environment, char ret_command[READER_COMMAND_SIZE],
		   char **ret_input, size_t *ret_size, struct nel_err *err)
{
	const struct transfer *t = (struct transfer *)reading;
	const char *folder = t->folder == REMOTE_LOGS ? "logs" : "artifacts";
	if (t->tar)
		return slurm_files_render_tar(environment, t->job_dir, folder, t->path, ret_command, ret_input,
					      ret_size, err);
	return slurm_files_render_stream(environment, t->job_dir, folder, t->path, t->offset, t->length, ret_command,
					 ret_input, ret_size, err);
}

static const struct reading_type transfer_type = {.prepare = prepare,
						  .room = room,
						  .output = output,
						  .pause = pause_output,
						  .end = end,
						  .silence_max_ms = SILENCE_MAX_MS};

int service_transfer_open(struct service *service, const struct job_row *job, const struct transfer_order *order,
			  struct transfer **ret_transfer, struct nel_err *err)
{
	if (order->path[0] != '\0' && !slurm_files_path_ok(order->path))
		return err_set(err, NEL_INVALID, "the path leaves the job's directory");
	struct transfer *t = mem_calloc(1, sizeof *t);
	pthread_mutex_init(&t->lock, NULL);
	t->reading.type = &transfer_type;
	snprintf(t->reading.person, sizeof t->reading.person, "%s", order->person == NULL ? "" : order->person);
	CLEANUP(log_place_done)
	struct log_place place = order->folder == REMOTE_LOGS
				     ? log_place_of(job, order->path)
				     : (struct log_place){mem_strdup(job->job_dir), order->path};
	t->job_dir = TAKE(place.dir);
	t->path = mem_strdup(place.file);
	t->folder = order->folder;
	t->tar = order->tar;
	t->grows = order->folder == REMOTE_LOGS;
	t->offset = order->offset;
	t->length = order->length;
	t->version = mem_strdup(order->version);
	t->wake = order->wake;
	t->arg = order->arg;
	t->begun = order->begun;
	t->begun_arg = order->begun_arg;
	t->holders = 2;
	if (lanes_read(service->lanes, job->cluster, job->identity, &t->reading, err) == 0) {
		*ret_transfer = t;
		return 0;
	}
	pthread_mutex_lock(&t->lock);
	t->holders = 1;
	let_go(t);
	return -1;
}

enum transfer_state transfer_read(struct transfer *t, char *buffer, size_t max, size_t *ret_size, struct nel_err *err)
{
	pthread_mutex_lock(&t->lock);
	enum transfer_state state = TRANSFER_DATA;
	size_t held = t->ended ? 0 : FILES_STREAM_HOLD;
	size_t size = t->size > held ? t->size - held : 0;
	if (size > max)
		size = max;
	if (t->failed) {
		*err = t->err;
		state = TRANSFER_FAILED;
	} else if (size == 0) {
		state = t->ended ? TRANSFER_END : TRANSFER_WAIT;
		t->waiting = state == TRANSFER_WAIT;
	}
	if (state == TRANSFER_DATA) {
		peek(t, 0, buffer, size);
		t->first = (t->first + size) % BUFFER_BYTES;
		t->size -= size;
		if (t->full && !t->ended && t->size <= BUFFER_BYTES / 2) {
			t->full = false;
			lane_reader_wake(&t->reading);
		}
	}
	pthread_mutex_unlock(&t->lock);
	*ret_size = state == TRANSFER_DATA ? size : 0;
	return state;
}

bool transfer_error(struct transfer *t, struct nel_err *err)
{
	pthread_mutex_lock(&t->lock);
	bool failed = t->failed;
	if (failed)
		*err = t->err;
	pthread_mutex_unlock(&t->lock);
	return failed;
}

void transfer_set_wake(struct transfer *t, void (*new_wake)(void *arg), void *arg)
{
	pthread_mutex_lock(&t->lock);
	t->wake = new_wake;
	t->arg = arg;
	pthread_mutex_unlock(&t->lock);
}

void transfer_close(struct transfer *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	t->wake = NULL;
	wake(t);
	if (!t->ended)
		lane_reader_cancel(&t->reading);
	let_go(t);
}
