/* Owns a follower of a job's log: where it stands, what comes next, and when it is over. */
#include "api/v1/log_follow.h"

#include "api/http/reply.h"
#include "api/http/server_internal.h"
#include "api/http/sse.h"
#include "api/http/stream.h"
#include "api/v1/kept_logs.h"
#include "api/v1/log_events.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/log_followers.h"
#include "service/transfer.h"

#include <inttypes.h>
#include <string.h>

#define BLOCK_BYTES (48 * 1024)
#define CATCH_UP_BYTES (256 * 1024) /* from the file, at once: a transfer never waits for a slow client */
#define HELD_MAX 3                  /* of a character whose rest is to come */
#define LOOK_MS 900                 /* at the job, at most so often */
#define QUIET_POLLS 2               /* after the end: the second one began after it */
#define TURNS 3
#define RETRY_MS 1000
#define CURRENT "-current"

struct follower {
	struct api_server *server;
	struct service *service;
	struct stream *stream;
	struct job_row job;
	struct log_follow_start start;
	char request_id[REQUEST_ID_SIZE_MAX + 1];

	char name[LOG_NAME_SIZE]; /* of the file being sent; "": none yet */
	int attempt;              /* whose it is; 0: not known */
	int64_t at;               /* of the next byte to send */
	char held[HELD_MAX];      /* read but not sent: the bytes at `at` */
	size_t held_size;
	struct log_follower *tail; /* while the job lives */
	struct transfer *transfer; /* what is read from the file itself */
	int64_t transferred;       /* bytes of it */
	bool read_out;             /* the file, of an ended job, was read to its end */
	struct job_log_row
	    kept; /* what is read in its place when the cluster cannot show it; name NULL: not looked for */

	int64_t looked_ms;
	bool over;  /* nothing more is written to the file */
	bool ended; /* nor is there another attempt */
	int64_t over_polls;

	struct str out; /* not given to libmicrohttpd yet */
	size_t out_at;
	int64_t sent_ms;
	struct actor actor;
	int64_t checked_ms; /* its token */
	bool done, broken;
};

bool log_name_is_current(const char *name)
{
	const char *at = strstr(name, CURRENT);
	return at != NULL && (at[strlen(CURRENT)] == '.' || at[strlen(CURRENT)] == '-');
}

void log_name_of(const char *pattern, const char *slurm_job_id, char ret_name[LOG_NAME_SIZE])
{
	const char *at = strstr(pattern, CURRENT);
	snprintf(ret_name, LOG_NAME_SIZE, "%.*s-%s%s", (int)(at - pattern), pattern, slurm_job_id,
		 at + strlen(CURRENT));
}

static void id_prefix(const struct follower *f, char prefix[LOG_NAME_SIZE + 2])
{
	bool named = f->start.pattern[0] != '\0';
	snprintf(prefix, LOG_NAME_SIZE + 2, "%s%s", named ? f->name : "", named ? ":" : "");
}

/* An event that marks a place: the beginning of a file, its end. */
static void mark(struct follower *f, const char *event, const char *state, const char *reason)
{
	CLEANUP(json_out_done) struct json_out body = {0};
	char prefix[LOG_NAME_SIZE + 2];
	char id[LOG_NAME_SIZE + 32];
	out_object(&body, NULL);
	out_string(&body, "name", f->name[0] != '\0' ? f->name : NULL);
	out_int_or_null(&body, "attempt", f->attempt, f->attempt > 0);
	out_int(&body, "offset", f->at);
	if (state != NULL) {
		out_string(&body, "state", state);
		out_string(&body, "reason", reason);
	}
	out_end(&body);
	id_prefix(f, prefix);
	snprintf(id, sizeof id, "%s%" PRId64, prefix, f->at);
	sse_event(&f->out, f->name[0] != '\0' ? id : NULL, event, str_text(&body.text));
}

static void emit(struct follower *f, const char *data, size_t size, bool all)
{
	char buffer[BLOCK_BYTES + HELD_MAX];
	memcpy(buffer, f->held, f->held_size);
	if (size > 0)
		memcpy(buffer + f->held_size, data, size);
	size += f->held_size;
	size_t sent = size;
	if (f->start.events) {
		char prefix[LOG_NAME_SIZE + 2];
		id_prefix(f, prefix);
		sent = log_events_data(&f->out, prefix, f->at, buffer, size, all);
	} else {
		str_append_n(&f->out, buffer, size);
	}
	f->at += (int64_t)sent;
	f->held_size = size - sent;
	memcpy(f->held, buffer + sent, f->held_size);
}

static void wake(void *arg)
{
	const struct follower *f = arg;
	stream_wake(f->stream);
}

static void break_off(struct follower *f, const char *why)
{
	log_info("a log follower was broken off", LOG_S("request", f->request_id), LOG_S("job", f->job.id),
		 LOG_S("error", why));
	f->broken = true;
}

/* Follows the present file, or, when it will not grow, prepares to read it out. */
static void open_file(struct follower *f)
{
	struct nel_err err = {0};
	f->read_out = false;
	if (!f->ended && log_followers_follow(f->service->followers, &f->job, f->name, wake, f, &f->tail, &err) != 0)
		break_off(f, err.msg);
}

static void close_file(struct follower *f)
{
	job_log_row_done(&f->kept);
	transfer_close(TAKE(f->transfer));
	log_follower_leave(TAKE(f->tail));
}

static void begin_file(struct follower *f)
{
	if (f->start.events)
		mark(f, "file", NULL, NULL);
	open_file(f);
}

/* The first attempt after the present one that was given to Slurm; the latest when there is no present one. */
static const struct attempt_row *next_attempt(const struct follower *f, const struct attempt_list *list)
{
	const struct attempt_row *found = NULL;
	for (size_t i = 0; i < list->count; i++) {
		const struct attempt_row *row = &list->items[i];
		if (row->slurm_job_id == NULL || row->number <= f->attempt)
			continue;
		found = row;
		if (f->name[0] != '\0')
			break;
	}
	return found;
}

static bool names_attempt(const char *name, const struct attempt_row *row)
{
	const char *at = row->slurm_job_id != NULL ? strstr(name, row->slurm_job_id) : NULL;
	size_t length = at != NULL ? strlen(row->slurm_job_id) : 0;
	return at != NULL && at > name && at[-1] == '-' && (at[length] == '.' || at[length] == '-');
}

/* Whose file is it? */
static void find_attempt(struct follower *f, const struct attempt_list *list)
{
	for (size_t i = 0; i < list->count && f->attempt == 0; i++)
		if (names_attempt(f->name, &list->items[i]))
			f->attempt = list->items[i].number;
}

static bool has_ended(const struct follower *f, const struct attempt_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].number == f->attempt && list->items[i].ended_at != 0)
			return true;
	return false;
}

static void go_on_to(struct follower *f, const struct attempt_row *row)
{
	bool first = f->name[0] == '\0';
	emit(f, NULL, 0, true);
	close_file(f);
	log_name_of(f->start.pattern, row->slurm_job_id, f->name);
	f->attempt = row->number;
	f->at = 0;
	f->over = false;
	if (!first && !f->start.events)
		str_appendf(&f->out, "\n==> %s: attempt %d <==\n", f->name, f->attempt);
	begin_file(f);
}

static void finish(struct follower *f)
{
	emit(f, NULL, 0, true);
	close_file(f);
	if (f->start.events)
		mark(f, "end", chain_state_name(f->job.state), f->job.reason);
	f->done = true;
}

/* What the store says of the job; *ret_list is empty when it cannot be read now. */
static bool read_job_now(struct follower *f, struct attempt_list *ret_list)
{
	struct db *db = NULL;
	struct nel_err err = {0};
	struct job_row job = {0};
	if (server_db(f->server, &db, &err) != 0 || jobs_get_seq(db, f->job.seq, &job, &err) != 0)
		return false;
	job_row_done(&f->job);
	f->job = job;
	return attempts_of_chain(db, job.chain.seq, ret_list, &err) == 0;
}

static bool has_all(const struct follower *f)
{
	if (f->name[0] == '\0')
		return true;
	if (f->transfer != NULL)
		return false;
	return f->tail != NULL ? follower_polls(f->tail) >= f->over_polls + QUIET_POLLS : f->read_out;
}

/* Nothing is there to be sent: is the file, or the job, over? */
static void look_at_job(struct follower *f)
{
	int64_t now_ms = clock_mono_ms();
	if (f->looked_ms != 0 && now_ms - f->looked_ms < LOOK_MS)
		return;
	f->looked_ms = now_ms;
	CLEANUP(attempt_list_done) struct attempt_list list = {0};
	if (!read_job_now(f, &list))
		return;
	find_attempt(f, &list);
	bool follows_chain = f->start.pattern[0] != '\0';
	const struct attempt_row *next = follows_chain ? next_attempt(f, &list) : NULL;
	f->ended = chain_state_is_end(f->job.state);
	bool over = next != NULL || f->ended || (!follows_chain && has_ended(f, &list));
	if (over && !f->over)
		f->over_polls = f->tail != NULL ? follower_polls(f->tail) : 0;
	f->over = over;
	if (f->name[0] == '\0' && next != NULL)
		go_on_to(f, next);
	else if (!over || !has_all(f))
		return;
	else if (next != NULL)
		go_on_to(f, next);
	else
		finish(f);
}

static int64_t read_to(const struct follower *f)
{
	return f->at + (int64_t)f->held_size;
}

/* The file of an ended job cannot be read: is something of it kept? What is not is passed over. */
static bool find_kept(struct follower *f)
{
	struct db *db = NULL;
	struct nel_err err = {0};
	if (!f->ended || server_db(f->server, &db, &err) != 0 || !kept_logs_find(db, &f->job, f->name, &f->kept))
		return false;
	if (f->kept.kept_from <= read_to(f))
		return true;
	emit(f, NULL, 0, true);
	f->at = f->kept.kept_from;
	if (f->start.events)
		mark(f, "gap", NULL, NULL);
	else
		str_appendf(&f->out, "\n==> %s: from byte %" PRId64 " <==\n", f->name, f->at);
	return true;
}

/* Reads a part of the file itself. */
static void catch_up(struct follower *f)
{
	struct nel_err err = {0};
	const struct transfer_order order = {.folder = REMOTE_LOGS,
					     .path = f->name,
					     .offset = read_to(f),
					     .length = CATCH_UP_BYTES,
					     .wake = wake,
					     .arg = f};
	f->transferred = 0;
	if (service_transfer_open(f->service, &f->job, &order, &f->transfer, &err) != 0 && err.kind != NEL_BUSY &&
	    !find_kept(f))
		break_off(f, err.msg);
}

static void take_kept(struct follower *f)
{
	int64_t begin = read_to(f) - f->kept.kept_from;
	int64_t left = (int64_t)f->kept.data_size - begin;
	if (left <= 0)
		f->read_out = true;
	else
		emit(f, f->kept.data + begin, left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES, false);
}

static void take_transfer(struct follower *f)
{
	char buffer[BLOCK_BYTES];
	size_t size = 0;
	struct nel_err err = {0};
	switch (transfer_read(f->transfer, buffer, sizeof buffer, &size, &err)) {
	case TRANSFER_DATA:
		f->transferred += (int64_t)size;
		emit(f, buffer, size, false);
		return;
	case TRANSFER_WAIT: return;
	case TRANSFER_END: f->read_out = f->transferred == 0; break;
	case TRANSFER_FAILED:
		if (find_kept(f))
			break;
		if (err.kind == NEL_NOTFOUND)
			f->read_out = true;
		else if (err.kind != NEL_BUSY)
			break_off(f, err.msg);
		break;
	}
	transfer_close(TAKE(f->transfer));
	if (f->tail == NULL && !f->read_out && !f->broken && err.kind == NEL_OK)
		catch_up(f);
}

static void take_tail(struct follower *f)
{
	char buffer[BLOCK_BYTES];
	size_t size = 0;
	switch (log_follower_read(f->tail, read_to(f), buffer, sizeof buffer, &size)) {
	case FOLLOWER_DATA: emit(f, buffer, size, false); break;
	case FOLLOWER_END: break;
	case FOLLOWER_BEHIND: catch_up(f); break;
	case FOLLOWER_ANEW:
		emit(f, NULL, 0, true);
		f->at = 0;
		if (f->start.events)
			mark(f, "anew", NULL, NULL);
		else
			str_appendf(&f->out, "\n==> %s: begins anew <==\n", f->name);
		break;
	}
}

/* Puts into `out` what there is. */
static void fill(struct follower *f)
{
	if (f->transfer != NULL)
		take_transfer(f);
	else if (f->kept.name != NULL && !f->read_out)
		take_kept(f);
	else if (f->tail != NULL)
		take_tail(f);
	else if (f->name[0] != '\0' && !f->read_out && f->kept.name == NULL)
		catch_up(f);
	if (f->out.len == 0 && !f->broken)
		look_at_job(f);
	if (f->out.len == 0 && f->start.events && clock_mono_ms() - f->sent_ms >= SSE_HEARTBEAT_MS)
		sse_heartbeat(&f->out, NULL);
}

/* Its token is looked at now and then. */
static void check_actor(struct follower *f)
{
	struct db *db = NULL;
	struct nel_err err = {0};
	int64_t now_ms = clock_mono_ms();
	if (now_ms - f->checked_ms < SSE_HEARTBEAT_MS)
		return;
	f->checked_ms = now_ms;
	if (server_db(f->server, &db, &err) != 0 || service_check_actor(db, &f->actor, &err) != 0)
		break_off(f, err.msg);
}

static enum stream_state produce(void *arg, char *buffer, size_t max, size_t *ret_size)
{
	struct follower *f = arg;
	if (!f->done && !f->broken)
		check_actor(f);
	if (f->out_at == f->out.len && !f->done && !f->broken) {
		str_clear(&f->out);
		f->out_at = 0;
		/* One may only have read a part of a character, or begun or ended a transfer. */
		for (int turn = 0; turn < TURNS && f->out.len == 0 && !f->done && !f->broken; turn++)
			fill(f);
	}
	size_t size = f->out.len - f->out_at < max ? f->out.len - f->out_at : max;
	if (size > 0) {
		memcpy(buffer, f->out.data + f->out_at, size);
		f->out_at += size;
		f->sent_ms = clock_mono_ms();
		*ret_size = size;
		return STREAM_DATA;
	}
	return f->done ? STREAM_END : f->broken ? STREAM_BREAK : STREAM_WAIT;
}

static void follower_free(void *arg)
{
	struct follower *f = arg;
	close_file(f);
	job_row_done(&f->job);
	str_done(&f->out);
	free(f);
}

/* Before the first byte: so that what cannot be followed gets an error of its own. */
static int begin(struct follower *f, struct nel_err *err)
{
	f->ended = chain_state_is_end(f->job.state);
	f->over = f->ended;
	if (f->start.events)
		sse_retry(&f->out, RETRY_MS);
	if (f->name[0] == '\0')
		return 0;
	if (!f->ended && log_followers_follow(f->service->followers, &f->job, f->name, wake, f, &f->tail, err) != 0)
		return -1;
	CLEANUP(attempt_list_done) struct attempt_list list = {0};
	if (read_job_now(f, &list))
		find_attempt(f, &list);
	if (f->start.events)
		mark(f, "file", NULL, NULL);
	return 0;
}

static struct MHD_Response *make(struct request *request, const struct job_row *job,
				 const struct log_follow_start *start, struct follower **ret_follower)
{
	static const struct stream_source source = {.produce = produce, .free = follower_free};
	struct follower *f = mem_calloc(1, sizeof *f);
	f->server = request->server;
	f->service = request->service;
	f->start = *start;
	f->at = start->offset;
	f->sent_ms = clock_mono_ms();
	f->actor = request->actor;
	f->checked_ms = f->sent_ms;
	memcpy(f->name, start->name, sizeof f->name);
	memcpy(f->request_id, request->id, sizeof f->request_id);
	f->job.seq = job->seq;
	*ret_follower = f;
	return stream_response(server_stream_room(request->server), request->connection, &source, f, -1, &f->stream);
}

int log_follow_reply(struct request *request, const struct job_row *job, const struct log_follow_start *start,
		     struct nel_err *err)
{
	struct follower *f = NULL;
	CLEANUP(attempt_list_done) struct attempt_list list = {0};
	struct MHD_Response *response = make(request, job, start, &f);
	if (response == NULL)
		return err_set(err, NEL_INTERNAL, "a response could not be made");
	if (!request_is_head(request) &&
	    (read_job_now(f, &list) ? begin(f, err) : err_set(err, NEL_DB, "the job cannot be read")) != 0) {
		MHD_destroy_response(response);
		return -1;
	}
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	request_add_header(request, "X-Accel-Buffering", "no"); /* nginx would hold it back */
	request_add_header(request, "X-Content-Type-Options", "nosniff");
	return reply_response(request, MHD_HTTP_OK, start->events ? SSE_TYPE : "text/plain; charset=utf-8", response,
			      err);
}
