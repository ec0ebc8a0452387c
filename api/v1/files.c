/* Handlers of a job's logs and artifacts. The files are on the cluster: each handler asks a lane and is resumed when it
 * has answered. */
#include "api/http/handlers.h"
#include "api/http/media.h"
#include "api/http/page.h"
#include "api/http/range.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/server_internal.h"
#include "api/http/sse.h"
#include "api/http/wait_room.h"
#include "api/v1/file_stream.h"
#include "api/v1/kept_logs.h"
#include "api/v1/log_follow.h"
#include "api/v1/read.h"
#include "base/cleanup.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "service/log_followers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TAIL_LINES_MAX 100000
#define ETAG_SIZE (REMOTE_VERSION_SIZE + 32)
#define FIRST_READ_BYTES (256 * 1024) /* what is larger goes through a transfer */
#define HTTP_DATE_SIZE 64
#define SLURM_ID_SIZE 24
#define TAR_TYPE "application/x-tar"

/* The handler's state while a lane works. */
struct content {
	struct job_row job;
	enum remote_folder folder;
	struct page page; /* of a list */
	char *path;
	struct transfer *transfer; /* of an archive that has not begun */
	struct log_follow_start follow;
	bool probe; /* only whether the file is there, and its size, are of interest */
	struct range range;
	int64_t tail_lines; /* 0: not a tail */
	int64_t asked_at;
};

static void content_free(void *arg)
{
	struct content *content = arg;
	if (content != NULL) {
		job_row_done(&content->job);
		free(content->path);
		transfer_close(content->transfer);
	}
	free(content);
}

static int open_job(struct request *request, struct job_row *ret_job, struct nel_err *err)
{
	struct db *db = NULL;
	return request_read_db(request, &db, err) != 0 ? -1 : read_job(db, request->captures[0], ret_job, err);
}

/* --- lists --- */

static int list_came(struct request *request, struct nel_err *err)
{
	const struct wait_answer *answer = waiter_answer(request->waiter);
	const struct content *content = request->state;
	if (answer->failed) {
		int kept =
		    content->folder == REMOTE_LOGS ? kept_logs_list(request, &content->job, &content->page, err) : 0;
		if (kept == 0)
			*err = answer->err;
		return kept > 0 ? 0 : -1;
	}
	struct json_out body = {0};
	out_object(&body, NULL);
	out_array(&body, "items");
	for (size_t i = 0; i < answer->count; i++) {
		const struct remote_entry *entry = &answer->entries[i];
		if (!page_has(&content->page, i))
			continue;
		out_object(&body, NULL);
		out_string(&body, content->folder == REMOTE_LOGS ? "name" : "path", entry->path);
		if (entry->escaped)
			out_bool(&body, "escaped", true);
		out_int(&body, "size", entry->size);
		out_time(&body, "modified_at", entry->modified_at);
		if (content->folder == REMOTE_LOGS)
			out_null(&body, "kept_from");
		out_end(&body);
	}
	out_end(&body);
	page_next(request, &content->page, page_after(&content->page, answer->count), &body);
	out_bool(&body, "truncated", answer->truncated);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

static int list_files(struct request *request, enum remote_folder folder, const char *prefix, struct nel_err *err)
{
	struct content *content = mem_calloc(1, sizeof *content);
	content->folder = folder;
	request->state = content;
	request->state_free = content_free;
	request->resume = list_came;
	if (page_parse_whole(request, &content->page, err) != 0 || open_job(request, &content->job, err) != 0 ||
	    waiter_new(server_wait_room(request->server), request->connection, &request->waiter, err) != 0)
		return -1;
	struct nel_err refused = {0};
	if (service_list_files(request->service, &content->job, folder, prefix, wait_callback, request->waiter,
			       &refused) != 0)
		waiter_refused(request->waiter, &refused);
	return 0;
}

int api_listJobLogs(struct request *request, struct nel_err *err)
{
	return list_files(request, REMOTE_LOGS, "", err);
}

static int tar_came(struct request *request, struct nel_err *err)
{
	struct content *content = request->state;
	const struct wait_answer *answer = waiter_answer(request->waiter);
	struct MHD_Response *response = NULL;
	if (answer->failed) {
		*err = answer->err;
		return -1;
	}
	if (transfer_error(content->transfer, err) ||
	    file_stream_of_transfer(request, content->job.id, TAKE(content->transfer), &response, err) != 0)
		return -1;
	CLEANUP(mem_freep) char *disposition = mem_printf("attachment; filename=\"%s.tar\"", content->job.id);
	request_add_header(request, MHD_HTTP_HEADER_CONTENT_DISPOSITION, disposition);
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	return reply_response(request, MHD_HTTP_OK, TAR_TYPE, response, err);
}

static void tar_begun(void *waiter)
{
	const struct remote_answer nothing = {0};
	wait_callback(&nothing, waiter);
}

/* A tree as an archive; the reply waits for its beginning, so that what cannot be read gets an error of its own. */
static int send_tar(struct request *request, const char *path, struct nel_err *err)
{
	struct content *content = mem_calloc(1, sizeof *content);
	request->state = content;
	request->state_free = content_free;
	request->resume = tar_came;
	if (open_job(request, &content->job, err) != 0 ||
	    waiter_new(server_wait_room(request->server), request->connection, &request->waiter, err) != 0)
		return -1;
	const struct transfer_order order = {.person = request->actor.name,
					     .folder = REMOTE_ARTIFACTS,
					     .path = path,
					     .tar = true,
					     .length = -1,
					     .begun = tar_begun,
					     .begun_arg = request->waiter};
	struct nel_err refused = {0};
	if (service_transfer_open(request->service, &content->job, &order, &content->transfer, &refused) != 0)
		waiter_refused(request->waiter, &refused);
	return 0;
}

int api_listJobArtifacts(struct request *request, struct nel_err *err)
{
	const char *format = query_get(&request->query, "format");
	const char *path = query_get(&request->query, "path");
	const char *prefix = query_get(&request->query, "prefix");
	if (format != NULL && strcmp(format, "json") != 0 && strcmp(format, "tar") != 0)
		return err_set(err, NEL_INVALID, "format is json (the list) or tar (the files)");
	bool tar = format != NULL
		       ? strcmp(format, "tar") == 0
		       : media_prefers(request_header(request, MHD_HTTP_HEADER_ACCEPT), TAR_TYPE, "application/json");
	request_add_header(request, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT);
	if (tar && prefix != NULL)
		return err_set(err, NEL_INVALID, "an archive is of a directory: give path, not prefix");
	if (!tar && path != NULL)
		return err_set(err, NEL_INVALID, "path goes with format=tar; a list is narrowed by prefix");
	if (tar && (query_get(&request->query, "limit") != NULL || query_get(&request->query, "cursor") != NULL))
		return err_set(err, NEL_INVALID, "limit and cursor go with the list; an archive is narrowed by path");
	if (tar)
		return send_tar(request, path != NULL ? path : "", err);
	return list_files(request, REMOTE_ARTIFACTS, prefix != NULL ? prefix : "", err);
}

/* --- content --- */

static int reply_tail(struct request *request, const char *type, const struct wait_answer *answer, struct nel_err *err)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(answer->size, answer->data, MHD_RESPMEM_MUST_COPY);
	return reply_response(request, MHD_HTTP_OK, type, response, err);
}

static void add_validators(struct request *request, const struct wait_answer *answer)
{
	struct tm tm;
	char date[HTTP_DATE_SIZE];
	time_t at = (time_t)answer->modified_at;
	if (answer->modified_at > 0 && gmtime_r(&at, &tm) != NULL &&
	    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
		request_add_header(request, MHD_HTTP_HEADER_LAST_MODIFIED, date);
	request_add_header(request, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
	/* With Last-Modified alone a browser would guess how long a log stays as it is (RFC 9111, section 4.2.2). */
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
}

static int not_satisfiable(struct request *request, int64_t file_size, struct nel_err *err)
{
	char value[HTTP_DATE_SIZE];
	snprintf(value, sizeof value, "bytes */%" PRId64, file_size);
	request_add_header(request, MHD_HTTP_HEADER_CONTENT_RANGE, value);
	return request_fail(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, err, NEL_INVALID,
			    "the range is not within the file's %" PRId64 " bytes", file_size);
}

static void add_content_range(struct request *request, int64_t offset, int64_t length, int64_t file_size)
{
	char value[96];
	snprintf(value, sizeof value, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, offset, offset + length - 1, file_size);
	request_add_header(request, MHD_HTTP_HEADER_CONTENT_RANGE, value);
}

/* What was read first, when it is all that is wanted; else a transfer of it. */
static int make_response(struct request *request, struct content *content, int64_t offset, int64_t length,
			 struct MHD_Response **ret_response, struct nel_err *err)
{
	const struct wait_answer *answer = waiter_answer(request->waiter);
	if (length == 0 || (answer->offset == offset && (int64_t)answer->size >= length)) {
		*ret_response = MHD_create_response_from_buffer((size_t)length, answer->data, MHD_RESPMEM_MUST_COPY);
		return 0;
	}
	const struct transfer_order order = {.folder = content->folder,
					     .path = content->path,
					     .offset = offset,
					     .length = length,
					     .version = answer->version};
	return file_stream_response(request, &content->job, &order, ret_response, err);
}

/* A range goes for nothing when the client has a part of another version of the file (RFC 9110, section 13.1.5). */
static void check_if_range(const struct request *request, const char *etag, struct range *range)
{
	const char *if_range = request_header(request, MHD_HTTP_HEADER_IF_RANGE);
	if (if_range != NULL && strcmp(if_range, etag) != 0)
		range->kind = RANGE_NONE;
}

static int content_came(struct request *request, struct nel_err *err)
{
	struct content *content = request->state;
	const struct wait_answer *answer = waiter_answer(request->waiter);
	if (answer->failed) {
		int kept = content->folder == REMOTE_LOGS ? kept_logs_content(request, &content->job, content->path,
									      &content->range, content->tail_lines, err)
							  : 0;
		if (kept == 0)
			*err = answer->err;
		return kept > 0 ? 0 : -1;
	}
	request_add_header(request, "X-Content-Type-Options", "nosniff"); /* it is whatever a job wrote */
	const char *type =
	    content->folder == REMOTE_LOGS ? "text/plain; charset=utf-8" : media_type_of_file(content->path);
	if (content->tail_lines > 0)
		return reply_tail(request, type, answer, err);
	char etag[ETAG_SIZE];
	int64_t file_size = answer->file_size;
	int64_t offset = 0;
	int64_t length = 0;
	snprintf(etag, sizeof etag, "\"%s-%" PRId64 "\"", answer->version, file_size);
	if (reply_not_modified(request, etag))
		return 0;
	check_if_range(request, etag, &content->range);
	if (!range_resolve(&content->range, file_size, &offset, &length))
		return not_satisfiable(request, file_size, err);
	struct MHD_Response *response = NULL;
	if (make_response(request, content, offset, length, &response, err) != 0)
		return -1;
	add_validators(request, answer);
	int status = content->range.kind == RANGE_NONE ? MHD_HTTP_OK : MHD_HTTP_PARTIAL_CONTENT;
	if (status == MHD_HTTP_PARTIAL_CONTENT)
		add_content_range(request, offset, length, file_size);
	return reply_response(request, status, type, response, err);
}

/* How much to read first: the beginning of what is wanted; one byte when only the file's size is needed to go on. */
static size_t first_read(const struct request *request, struct content *content)
{
	const struct range *range = &content->range;
	content->asked_at = range->kind == RANGE_FROM ? range->first : 0;
	if (content->tail_lines > 0)
		return REMOTE_CHUNK_MAX;
	if (content->probe || request_is_head(request) || range->kind == RANGE_SUFFIX)
		return 1;
	if (range->kind == RANGE_FROM && range->last - range->first < FIRST_READ_BYTES)
		return (size_t)(range->last - range->first) + 1;
	return FIRST_READ_BYTES;
}

static int ask_content(struct request *request, struct content *content, struct nel_err *err)
{
	size_t size = first_read(request, content);
	if (waiter_new(server_wait_room(request->server), request->connection, &request->waiter, err) != 0)
		return -1;
	struct nel_err refused = {0};
	if (service_read_file(request->service, &content->job, content->folder, content->path, content->asked_at, size,
			      content->tail_lines, wait_callback, request->waiter, &refused) != 0)
		waiter_refused(request->waiter, &refused);
	return 0;
}

static void set_state(struct request *request, struct content *content,
		      int (*resume)(struct request *request, struct nel_err *err))
{
	request->state = content;
	request->state_free = content_free;
	request->resume = resume;
}

static int read_range(struct request *request, long long tail, struct range *ret_range, struct nel_err *err)
{
	const char *range = request_header(request, MHD_HTTP_HEADER_RANGE);
	if (tail > 0 && range != NULL)
		return err_set(err, NEL_INVALID, "tail and a Range header cannot be asked for together");
	*ret_range = range_parse(range);
	return 0;
}

int api_getJobArtifact(struct request *request, struct nel_err *err)
{
	long long tail = 0;
	struct range range;
	if (query_get_int(&request->query, "tail", 1, TAIL_LINES_MAX, 0, &tail, err) != 0 ||
	    read_range(request, tail, &range, err) != 0)
		return -1;
	struct content *content = mem_calloc(1, sizeof *content);
	set_state(request, content, content_came);
	content->folder = REMOTE_ARTIFACTS;
	content->path = mem_strdup(request->captures[1]);
	content->tail_lines = tail;
	content->range = range;
	return open_job(request, &content->job, err) != 0 ? -1 : ask_content(request, content, err);
}

/* --- logs --- */

/* "client-current.log" as the name of the latest attempt's file; "" when there is none yet. */
static int resolve_name(struct request *request, const struct job_row *job, const char *name,
			char ret_name[LOG_NAME_SIZE], struct nel_err *err)
{
	ret_name[0] = '\0';
	if (strlen(name) >= LOG_NAME_SIZE - SLURM_ID_SIZE)
		return err_set(err, NEL_NOTFOUND, "no log has so long a name");
	if (!log_name_is_current(name)) {
		snprintf(ret_name, LOG_NAME_SIZE, "%s", name);
		return 0;
	}
	if (job->chain.slurm_job_id != NULL) {
		log_name_of(name, job->chain.slurm_job_id, ret_name);
		CLEANUP(mem_freep) char *place = mem_printf("/v1/jobs/%s/logs/%s", job->id, ret_name);
		if (!str_has_control(place) && strpbrk(place, " %?#\"<>") == NULL)
			request_add_header(request, MHD_HTTP_HEADER_CONTENT_LOCATION, place);
	}
	return 0;
}

/* An offset that has been sent before, as "NAME:OFFSET" (of a log whose name has "-current") or "OFFSET". */
static int read_last_id(struct request *request, const struct job_row *job, struct log_follow_start *start,
			bool *ret_given, struct nel_err *err)
{
	const char *id = request_header(request, "Last-Event-ID");
	long long offset = 0;
	if (id == NULL || id[0] == '\0')
		return 0;
	const char *number = id;
	const char *colon = strrchr(id, ':');
	if (start->pattern[0] != '\0' && colon != NULL) {
		CLEANUP(attempt_list_done) struct attempt_list list = {0};
		struct db *db = NULL;
		size_t length = (size_t)(colon - id);
		char name[LOG_NAME_SIZE] = "";
		if (request_read_db(request, &db, err) != 0 || attempts_of_chain(db, job->chain.seq, &list, err) != 0)
			return -1;
		for (size_t i = 0; i < list.count && number == id; i++) {
			if (list.items[i].slurm_job_id == NULL)
				continue;
			log_name_of(start->pattern, list.items[i].slurm_job_id, name);
			if (strlen(name) == length && strncmp(name, id, length) == 0)
				number = colon + 1;
		}
		memcpy(start->name, name, sizeof start->name);
	}
	if ((number == id && start->pattern[0] != '\0') || !str_to_int(number, 0, INT64_MAX / 2, &offset))
		return err_set(err, NEL_INVALID, "Last-Event-ID: \"%.100s\" is not an id that this log has sent", id);
	start->offset = offset;
	*ret_given = true;
	return 0;
}

/* The file was looked at: it is there, and its end is known. */
static int follow_came(struct request *request, struct nel_err *err)
{
	struct content *content = request->state;
	const struct wait_answer *answer = waiter_answer(request->waiter);
	bool waits = content->follow.pattern[0] != '\0' && answer->failed && answer->err.kind == NEL_NOTFOUND;
	CLEANUP(job_log_row_done) struct job_log_row kept = {0};
	struct db *db = NULL;
	if (answer->failed && chain_state_is_end(content->job.state) && request_read_db(request, &db, err) == 0 &&
	    kept_logs_find(db, &content->job, content->path, &kept)) {
		if (content->tail_lines > 0)
			content->follow.offset = kept_logs_tail(&kept, content->tail_lines);
		return log_follow_reply(request, &content->job, &content->follow, err);
	}
	if (answer->failed && !waits) {
		*err = answer->err;
		if (err->kind == NEL_NOTFOUND && !chain_state_is_end(content->job.state))
			err_prefix(err, "a name with \"-current\" in place of the Slurm id waits for the file");
		return -1;
	}
	if (content->tail_lines > 0 && !waits)
		content->follow.offset = answer->offset;
	else if (!waits && content->follow.offset > answer->file_size)
		return not_satisfiable(request, answer->file_size, err);
	return log_follow_reply(request, &content->job, &content->follow, err);
}

static int follow_log(struct request *request, struct content *content, const char *name, struct nel_err *err)
{
	struct log_follow_start *start = &content->follow;
	long long offset = 0;
	bool given = false; /* a client that comes again sends its first query again, too */
	start->events = media_prefers(request_header(request, MHD_HTTP_HEADER_ACCEPT), SSE_TYPE, "text/plain");
	request_add_header(request, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT);
	if (query_get_int(&request->query, "offset", 0, INT64_MAX / 2, 0, &offset, err) != 0)
		return -1;
	start->offset = offset;
	if (log_name_is_current(name))
		snprintf(start->pattern, sizeof start->pattern, "%s", name);
	if (start->events && read_last_id(request, &content->job, start, &given, err) != 0)
		return -1;
	if (given)
		content->tail_lines = 0;
	memcpy(content->path, start->name, LOG_NAME_SIZE);
	set_state(request, content, follow_came);
	content->probe = true;
	/* One look for the first follower, not for each. */
	if (start->name[0] == '\0' || (content->tail_lines == 0 && start->offset == 0 &&
				       log_followers_has(request->service->followers, &content->job, start->name)))
		return log_follow_reply(request, &content->job, start, err);
	return ask_content(request, content, err);
}

static int check_follow(struct request *request, bool follow, long long tail, struct nel_err *err)
{
	bool offset = query_get(&request->query, "offset") != NULL;
	if (offset && !follow)
		return err_set(err, NEL_INVALID, "offset goes with follow=true; else send a Range header");
	if (offset && tail > 0)
		return err_set(err, NEL_INVALID, "tail and offset cannot be asked for together");
	if (follow && request_header(request, MHD_HTTP_HEADER_RANGE) != NULL)
		return err_set(err, NEL_INVALID, "a log is followed from an offset, not in a range");
	return 0;
}

int api_getJobLog(struct request *request, struct nel_err *err)
{
	long long tail = 0;
	bool follow = false;
	const char *name = request->captures[1];
	struct range range;
	if (query_get_int(&request->query, "tail", 1, TAIL_LINES_MAX, 0, &tail, err) != 0 ||
	    query_get_bool(&request->query, "follow", false, &follow, err) != 0 ||
	    check_follow(request, follow, tail, err) != 0 || read_range(request, tail, &range, err) != 0)
		return -1;
	struct content *content = mem_calloc(1, sizeof *content);
	set_state(request, content, content_came);
	content->folder = REMOTE_LOGS;
	content->path = mem_calloc(1, LOG_NAME_SIZE);
	content->tail_lines = tail;
	content->range = range;
	if (open_job(request, &content->job, err) != 0 ||
	    resolve_name(request, &content->job, name, content->path, err) != 0)
		return -1;
	memcpy(content->follow.name, content->path, LOG_NAME_SIZE);
	if (follow)
		return follow_log(request, content, name, err);
	if (content->path[0] == '\0')
		return err_set(err, NEL_NOTFOUND, "the job has not been given to Slurm yet, so there is no such log");
	return ask_content(request, content, err);
}
