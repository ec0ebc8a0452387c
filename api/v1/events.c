/* Handler of /v1/events: the log of events as JSON, at once or when there is one, and as a stream. */
#include "api/http/feed.h"
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/server_internal.h"
#include "api/http/sse.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/jobs.h"
#include "service/event_json.h"

#include <inttypes.h>
#include <string.h>

#define WAIT_MAX_S 60
#define STREAM_BATCH 100                /* events read at once for a stream */
#define STREAM_BATCHES_MAX 20           /* looked through in a row without finding any */
#define STREAM_LIFE_MS (60 * 60 * 1000) /* then it ends and the client connects again, with its credentials */
#define STREAM_BLOCK_BYTES (16 * 1024)
#define STREAM_RETRY_MS 2000

/* What a request wants to hear. Strings are its own, since a stream outlives the query. */
struct wanted {
	struct event_filter filter;
	char *texts[6];
	int64_t after;
	bool from_now; /* no place was given */
	bool stream;
	int limit;
	int64_t wait_s;
};

static void wanted_done(struct wanted *wanted)
{
	for (size_t i = 0; i < sizeof wanted->texts / sizeof wanted->texts[0]; i++)
		free(wanted->texts[i]);
	*wanted = (struct wanted){0};
}

/* --- the request --- */

static int parse_kinds(const struct query *query, char **ret_kinds, struct nel_err *err)
{
	struct str kinds = {0};
	for (size_t i = 0; i < query->count; i++) {
		if (strcmp(query->items[i].name, "kind") != 0)
			continue;
		if (!str_in(query->items[i].value, event_kinds)) {
			str_done(&kinds);
			return err_set(err, NEL_INVALID, "query parameter \"kind\": there is no kind \"%.64s\"",
				       query->items[i].value);
		}
		str_append(&kinds, kinds.len == 0 ? "," : "");
		str_append(&kinds, query->items[i].value);
		str_append_c(&kinds, ',');
	}
	*ret_kinds = kinds.len == 0 ? NULL : str_take(&kinds);
	return 0;
}

static int check_state(const char *state, struct nel_err *err)
{
	enum chain_state ignored;
	if (state == NULL || chain_state_from_name(state, &ignored) == 0)
		return 0;
	return err_set(err, NEL_INVALID, "query parameter \"state\" must be a state of a job or an evaluation");
}

/* The place to begin after: the header that a browser sends when it connects again counts more than the URL, which it
 * only repeats. */
static int parse_after(const struct request *request, struct wanted *wanted, struct nel_err *err)
{
	const char *header = request_header(request, "Last-Event-ID");
	long long after = 0;
	wanted->from_now = query_get(&request->query, "after") == NULL;
	if (query_get_int(&request->query, "after", 0, INT64_MAX, 0, &after, err) != 0)
		return -1;
	if (header != NULL && header[0] != '\0') {
		if (!str_to_int(header, 0, INT64_MAX, &after))
			return err_set(err, NEL_INVALID, "the header Last-Event-ID is not the number of an event");
		wanted->from_now = false;
	}
	wanted->after = after;
	return 0;
}

static int parse_stream(const struct request *request, bool *ret_stream, struct nel_err *err)
{
	const char *given = query_get(&request->query, "stream");
	*ret_stream = sse_wanted(request_header(request, MHD_HTTP_HEADER_ACCEPT));
	if (given != NULL && given[0] == '\0') {
		*ret_stream = true;
		return 0;
	}
	return query_get_bool(&request->query, "stream", *ret_stream, ret_stream, err);
}

static int parse_wanted(struct request *request, struct wanted *wanted, struct nel_err *err)
{
	static const char *const names[] = {"evaluation", "job", "user", "cluster", "state"};
	long long limit = 0;
	long long wait_s = 0;
	const struct query *query = &request->query;
	if (query_get_int(query, "limit", 1, PAGE_LIMIT_MAX, PAGE_LIMIT_DEFAULT, &limit, err) != 0 ||
	    query_get_int(query, "wait", 0, WAIT_MAX_S, 0, &wait_s, err) != 0 ||
	    check_state(query_get(query, "state"), err) != 0 || parse_after(request, wanted, err) != 0 ||
	    parse_stream(request, &wanted->stream, err) != 0 || parse_kinds(query, &wanted->texts[5], err) != 0)
		return -1;
	wanted->limit = (int)limit;
	wanted->wait_s = wait_s;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		wanted->texts[i] = mem_strdup(query_get(query, names[i]));
	wanted->filter = (struct event_filter){.evaluation = wanted->texts[0],
					       .job = wanted->texts[1],
					       .user = wanted->texts[2],
					       .cluster = wanted->texts[3],
					       .state = wanted->texts[4],
					       .kinds = wanted->texts[5]};
	return 0;
}

/* A number that was never given out comes from another store, or from this one before a backup was put back. */
static int check_place(const struct wanted *wanted, int64_t last, struct nel_err *err)
{
	if (wanted->after <= last)
		return 0;
	return err_set(err, NEL_INVALID,
		       "there is no event %" PRId64 " yet, the last one is %" PRId64
		       ": if a backup was put back, begin anew without a place",
		       wanted->after, last);
}

/* --- JSON --- */

struct poll {
	struct wanted wanted;
	struct feed *feed;
	struct feed_listener listener;
	int64_t deadline_ms;
	bool joined;
};

static void poll_free(void *arg)
{
	struct poll *poll = arg;
	if (poll->joined)
		feed_part(poll->feed, FEED_POLL);
	wanted_done(&poll->wanted);
	free(poll);
}

static int reply_list(struct request *request, const struct event_list *list, int64_t next, int64_t last,
		      struct nel_err *err)
{
	struct json_out body = {0};
	out_object(&body, NULL);
	out_array(&body, "items");
	for (size_t i = 0; i < list->count; i++) {
		CLEANUP(mem_freep) char *text = event_json(&list->items[i]);
		out_json(&body, NULL, text);
	}
	out_end(&body);
	out_int(&body, "next", next);
	out_int(&body, "last", last);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

static int refuse_pruned(struct request *request, const struct wanted *wanted, int64_t first, struct nel_err *err)
{
	return request_fail(request, MHD_HTTP_GONE, err, NEL_INVALID,
			    "events after %" PRId64
			    " were pruned (events.keep_days): the oldest that is kept is %" PRId64 "; after=%" PRId64
			    " goes on from there",
			    wanted->after, first, first - 1);
}

/* Replies, or suspends the connection and comes back here. */
static int poll_go_on(struct request *request, struct nel_err *err)
{
	struct poll *poll = request->state;
	struct wanted *wanted = &poll->wanted;
	struct db *db = NULL;
	for (;;) {
		CLEANUP(event_list_done) struct event_list list = {0};
		int64_t first = 0;
		int64_t last = 0;
		int64_t settled = 0;
		uint64_t news = feed_news(poll->feed);
		if (request_read_db(request, &db, err) != 0 || events_bounds(db, &first, &last, err) != 0 ||
		    check_place(wanted, last, err) != 0)
			return -1;
		if (wanted->after > 0 && wanted->after < first - 1)
			return refuse_pruned(request, wanted, first, err);
		if (events_read(db, &wanted->filter, wanted->after, wanted->limit, &list, &settled, err) != 0)
			return -1;
		bool more = settled < last;
		if (list.count > 0 || more || clock_mono_ms() >= poll->deadline_ms || request_is_head(request) ||
		    feed_is_closed(poll->feed))
			return reply_list(request, &list, settled, last, err);
		wanted->after = settled;
		request_end_read(request);
		if (feed_wait(poll->feed, &poll->listener, request->connection, news, poll->deadline_ms))
			return 0;
	}
}

static int start_poll(struct request *request, struct wanted *wanted, struct nel_err *err)
{
	struct poll *poll = mem_calloc(1, sizeof *poll);
	poll->wanted = *wanted;
	*wanted = (struct wanted){0};
	poll->feed = server_feed(request->server);
	poll->deadline_ms = clock_mono_ms() + poll->wanted.wait_s * 1000;
	request->state = poll;
	request->state_free = poll_free;
	request->resume = poll_go_on;
	request->waits_for_store = true;
	if (poll->wanted.wait_s > 0) {
		if (feed_join(poll->feed, FEED_POLL, err) != 0)
			return -1;
		poll->joined = true;
	}
	return poll_go_on(request, err);
}

/* --- a stream --- */

struct event_stream {
	struct api_server *server;
	struct feed *feed;
	struct MHD_Connection *connection;
	char request_id[REQUEST_ID_SIZE_MAX + 1];
	struct wanted wanted;
	struct feed_listener listener;
	struct str out;
	size_t sent; /* of out */
	int64_t ends_ms;
	int64_t quiet_since_ms;
	struct actor actor;
	int64_t checked_ms; /* its token */
};

static void stream_free(void *arg)
{
	struct event_stream *stream = arg;
	feed_part(stream->feed, FEED_STREAM);
	wanted_done(&stream->wanted);
	str_done(&stream->out);
	free(stream);
}

static void append_event(struct event_stream *stream, const struct event_row *row)
{
	char id[24];
	CLEANUP(mem_freep) char *text = event_json(row);
	snprintf(id, sizeof id, "%" PRId64, row->seq);
	sse_event(&stream->out, id, row->kind, text);
}

/* Events that this listener should have had were pruned: it is told so, and goes on behind them. */
static void append_pruned(struct event_stream *stream, int64_t first)
{
	char id[24];
	CLEANUP(mem_freep)
	char *text = mem_printf("{\"after\":%" PRId64 ",\"first\":%" PRId64 "}", stream->wanted.after, first);
	snprintf(id, sizeof id, "%" PRId64, first - 1);
	sse_event(&stream->out, id, "events.pruned", text);
	stream->wanted.after = first - 1;
}

/* Reads the next events into out. *ret_more: there are others that were not looked at. */
static int read_more(struct event_stream *stream, bool *ret_more, struct nel_err *err)
{
	CLEANUP(event_list_done) struct event_list list = {0};
	struct wanted *wanted = &stream->wanted;
	struct db *db = NULL;
	int64_t first = 0;
	int64_t last = 0;
	int64_t settled = 0;
	if (server_db(stream->server, &db, err) != 0)
		return -1;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin_read(db, err) != 0 || events_bounds(db, &first, &last, err) != 0)
		return -1;
	if (wanted->after < first - 1)
		append_pruned(stream, first);
	if (events_read(db, &wanted->filter, wanted->after, STREAM_BATCH, &list, &settled, err) != 0)
		return -1;
	for (size_t i = 0; i < list.count; i++)
		append_event(stream, &list.items[i]);
	wanted->after = settled;
	*ret_more = settled < last;
	return 0;
}

/* Its token is looked at as often as a stream gives a sign of life. */
static bool may_go_on(struct event_stream *stream, int64_t now_ms)
{
	struct db *db = NULL;
	struct nel_err err = {0};
	if (now_ms - stream->checked_ms < SSE_HEARTBEAT_MS)
		return true;
	stream->checked_ms = now_ms;
	if (server_db(stream->server, &db, &err) == 0 && service_check_actor(db, &stream->actor, &err) == 0)
		return true;
	log_info("a stream of events ends", LOG_S("request", stream->request_id), LOG_S("error", err.msg));
	return false;
}

enum fill { FILL_DATA, FILL_SUSPENDED, FILL_END };

/* A sign of life, which also tells the place: a client with a narrow filter does not begin far back when it comes
 * again. */
static enum fill beat(struct event_stream *stream)
{
	char id[24];
	snprintf(id, sizeof id, "%" PRId64, stream->wanted.after);
	sse_heartbeat(&stream->out, id);
	return FILL_DATA;
}

static enum fill fill(struct event_stream *stream)
{
	struct nel_err err = {0};
	str_clear(&stream->out);
	stream->sent = 0;
	for (int round = 0;; round++) {
		bool more = false;
		uint64_t news = feed_news(stream->feed);
		int64_t now_ms = clock_mono_ms();
		if (feed_is_closed(stream->feed) || now_ms >= stream->ends_ms || !may_go_on(stream, now_ms))
			return FILL_END;
		if (read_more(stream, &more, &err) != 0) {
			log_warning("a stream of events broke off", LOG_S("request", stream->request_id),
				    LOG_S("error", err.msg));
			return FILL_END;
		}
		if (stream->out.len > 0)
			return FILL_DATA;
		int64_t due_ms = stream->quiet_since_ms + SSE_HEARTBEAT_MS;
		if (round >= STREAM_BATCHES_MAX || now_ms >= due_ms)
			return beat(stream);
		if (!more && feed_wait(stream->feed, &stream->listener, stream->connection, news, due_ms))
			return FILL_SUSPENDED;
	}
}

/* MHD_ContentReaderCallback. */
static ssize_t stream_read(void *arg, uint64_t position, char *buffer, size_t max)
{
	struct event_stream *stream = arg;
	(void)position;
	if (stream->sent == stream->out.len) {
		switch (fill(stream)) {
		case FILL_DATA: stream->quiet_since_ms = clock_mono_ms(); break;
		case FILL_SUSPENDED: return 0;
		case FILL_END: return MHD_CONTENT_READER_END_OF_STREAM;
		}
	}
	size_t left = stream->out.len - stream->sent;
	size_t size = left < max ? left : max;
	memcpy(buffer, stream->out.data + stream->sent, size);
	stream->sent += size;
	return (ssize_t)size;
}

static int start_stream(struct request *request, struct wanted *wanted, struct nel_err *err)
{
	struct feed *feed = server_feed(request->server);
	struct db *db = NULL;
	int64_t first = 0;
	int64_t last = 0;
	if (request_read_db(request, &db, err) != 0 || events_bounds(db, &first, &last, err) != 0 ||
	    check_place(wanted, last, err) != 0 || feed_join(feed, FEED_STREAM, err) != 0)
		return -1;
	if (wanted->from_now)
		wanted->after = last;
	else if (wanted->after == 0)
		wanted->after = first - 1; /* "from the beginning" misses nothing that there is */
	struct event_stream *stream = mem_calloc(1, sizeof *stream);
	stream->server = request->server;
	stream->feed = feed;
	stream->connection = request->connection;
	memcpy(stream->request_id, request->id, sizeof stream->request_id);
	stream->wanted = *wanted;
	*wanted = (struct wanted){0};
	stream->quiet_since_ms = clock_mono_ms();
	stream->ends_ms = stream->quiet_since_ms + STREAM_LIFE_MS;
	stream->actor = request->actor;
	stream->checked_ms = stream->quiet_since_ms;
	sse_retry(&stream->out, STREAM_RETRY_MS);
	beat(stream); /* whoever is cut off before the first event goes on from here */
	struct MHD_Response *response =
	    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, stream_read, stream, stream_free);
	if (response == NULL)
		stream_free(stream);
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	request_add_header(request, "X-Accel-Buffering", "no");
	return reply_response(request, MHD_HTTP_OK, SSE_TYPE, response, err);
}

int api_listEvents(struct request *request, struct nel_err *err)
{
	CLEANUP(wanted_done) struct wanted wanted = {0};
	if (parse_wanted(request, &wanted, err) != 0)
		return -1;
	return wanted.stream ? start_stream(request, &wanted, err) : start_poll(request, &wanted, err);
}
