/* Handlers of a job's logs and artifacts. The files are on the cluster: each handler asks a lane and is resumed when it
 * has answered. */
#include "api/file_stream.h"
#include "api/handlers.h"
#include "api/json_out.h"
#include "api/media.h"
#include "api/range.h"
#include "api/read.h"
#include "api/reply.h"
#include "api/server_internal.h"
#include "api/wait_room.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TAIL_LINES_MAX 100000
#define ETAG_SIZE (REMOTE_VERSION_SIZE + 32)
#define FIRST_READ_BYTES (256 * 1024) /* what is larger goes through a transfer */
#define HTTP_DATE_SIZE 64
#define TAR_TYPE "application/x-tar"

/* The handler's state while a lane works. */
struct content {
	struct job_row job;
	enum remote_folder folder;
	char *path;
	struct transfer *transfer; /* of an archive that has not begun */
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
		*err = answer->err;
		return -1;
	}
	struct str body = {0};
	OUT(&body, "{\"items\":[");
	for (size_t i = 0; i < answer->count; i++) {
		const struct remote_entry *entry = &answer->entries[i];
		str_append(&body, i > 0 ? ",{" : "{");
		str_append(&body, content->folder == REMOTE_LOGS ? "\"name\":" : "\"path\":");
		out_string(&body, entry->path);
		OUT(&body, ",\"size\":");
		out_int(&body, entry->size);
		OUT(&body, ",\"modified_at\":");
		out_time(&body, entry->modified_at);
		OUT(&body, "}");
	}
	OUT(&body, "],\"next\":null,\"truncated\":");
	out_bool(&body, answer->truncated);
	OUT(&body, "}");
	return reply_json_text(request, MHD_HTTP_OK, &body, err);
}

static int list_files(struct request *request, enum remote_folder folder, const char *prefix, struct nel_err *err)
{
	struct content *content = mem_calloc(1, sizeof *content);
	content->folder = folder;
	request->state = content;
	request->state_free = content_free;
	request->resume = list_came;
	if (open_job(request, &content->job, err) != 0 ||
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
	return request_no_query(request, err) != 0 ? -1 : list_files(request, REMOTE_LOGS, "", err);
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
	const struct transfer_order order = {.folder = REMOTE_ARTIFACTS,
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
	static const struct query_rule rules[] = {{"prefix", false}, {"format", false}, {"path", false}};
	if (request_check_query(request, rules, QUERY_RULES(rules), err) != 0)
		return -1;
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
		*err = answer->err;
		return -1;
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
	if (request_is_head(request) || range->kind == RANGE_SUFFIX)
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

static int get_content(struct request *request, enum remote_folder folder, struct nel_err *err)
{
	static const struct query_rule rules[] = {{"tail", false}};
	long long tail = 0;
	if (request_check_query(request, rules, QUERY_RULES(rules), err) != 0 ||
	    query_get_int(&request->query, "tail", 1, TAIL_LINES_MAX, 0, &tail, err) != 0)
		return -1;
	const char *range = request_header(request, MHD_HTTP_HEADER_RANGE);
	if (tail > 0 && range != NULL)
		return err_set(err, NEL_INVALID, "tail and a Range header cannot be asked for together");
	struct content *content = mem_calloc(1, sizeof *content);
	request->state = content;
	request->state_free = content_free;
	request->resume = content_came;
	content->folder = folder;
	content->path = mem_strdup(request->captures[1]);
	content->tail_lines = tail;
	content->range = range_parse(range);
	return open_job(request, &content->job, err) != 0 ? -1 : ask_content(request, content, err);
}

int api_getJobLog(struct request *request, struct nel_err *err)
{
	return get_content(request, REMOTE_LOGS, err);
}

int api_getJobArtifact(struct request *request, struct nel_err *err)
{
	return get_content(request, REMOTE_ARTIFACTS, err);
}
