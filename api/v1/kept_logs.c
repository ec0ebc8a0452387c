#include "api/v1/kept_logs.h"

#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "base/cleanup.h"
#include "base/json_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ETAG_SIZE 80
#define NUMBER_SIZE 96
#define KEPT_FROM "Nel-Kept-From"

bool kept_logs_find(struct db *db, const struct job_row *job, const char *name, struct job_log_row *ret_row)
{
	struct nel_err err;
	return chain_state_is_end(job->state) && job_logs_get(db, job->seq, name, ret_row, &err) == 0;
}

int kept_logs_list(struct request *request, const struct job_row *job, const struct page *page, struct nel_err *err)
{
	CLEANUP(job_log_list_done) struct job_log_list list = {0};
	struct db *db = NULL;
	if (!chain_state_is_end(job->state))
		return 0;
	if (request_read_db(request, &db, err) != 0 || job_logs_list(db, job->seq, &list, err) != 0)
		return -1;
	if (list.count == 0)
		return 0;
	struct json_out body = {0};
	out_object(&body, NULL);
	out_array(&body, "items");
	for (size_t i = 0; i < list.count; i++) {
		const struct job_log_row *row = &list.items[i];
		if (!page_has(page, i))
			continue;
		out_object(&body, NULL);
		out_string(&body, "name", row->name);
		out_int(&body, "size", row->size);
		out_time(&body, "modified_at", row->modified_at);
		out_int(&body, "kept_from", row->kept_from);
		out_end(&body);
	}
	out_end(&body);
	page_next(request, page, page_after(page, list.count), &body);
	out_bool(&body, "truncated", false);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err) != 0 ? -1 : 1;
}

int64_t kept_logs_tail(const struct job_log_row *row, int64_t lines)
{
	const char *data = row->data;
	size_t at = row->data_size;
	if (at > 0 && data[at - 1] == '\n')
		at--;
	while (at > 0 && (data[at - 1] != '\n' || --lines > 0))
		at--;
	return row->kept_from + (int64_t)at;
}

static int reply_bytes(struct request *request, int status, const struct job_log_row *row, size_t begin, size_t size,
		       struct nel_err *err)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(size, row->data + begin, MHD_RESPMEM_MUST_COPY);
	return reply_response(request, status, "text/plain; charset=utf-8", response, err) != 0 ? -1 : 1;
}

static int refuse_range(struct request *request, const struct job_log_row *row, struct nel_err *err)
{
	char value[NUMBER_SIZE];
	snprintf(value, sizeof value, "bytes */%" PRId64, row->size);
	request_add_header(request, MHD_HTTP_HEADER_CONTENT_RANGE, value);
	return request_fail(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, err, NEL_INVALID,
			    "of this log the bytes from %" PRId64 " to %" PRId64 " are kept", row->kept_from,
			    row->size - 1);
}

static int reply_content(struct request *request, const struct job_log_row *row, const struct range *given,
			 int64_t tail_lines, struct nel_err *err)
{
	char text[NUMBER_SIZE];
	char etag[ETAG_SIZE];
	struct range range = *given;
	int64_t offset = row->kept_from;
	int64_t length = (int64_t)row->data_size;
	snprintf(text, sizeof text, "%" PRId64, row->kept_from);
	request_add_header(request, KEPT_FROM, text);
	request_add_header(request, "X-Content-Type-Options", "nosniff");
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	if (tail_lines > 0) {
		size_t begin = (size_t)(kept_logs_tail(row, tail_lines) - row->kept_from);
		return reply_bytes(request, MHD_HTTP_OK, row, begin, row->data_size - begin, err);
	}
	snprintf(etag, sizeof etag, "\"kept-%" PRId64 "-%" PRId64 "-%" PRId64 "\"", row->modified_at, row->size,
		 row->kept_from);
	if (reply_not_modified(request, etag))
		return 1;
	request_add_header(request, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
	const char *if_range = request_header(request, MHD_HTTP_HEADER_IF_RANGE);
	if (if_range != NULL && strcmp(if_range, etag) != 0)
		range.kind = RANGE_NONE;
	if (range.kind == RANGE_NONE)
		return reply_bytes(request, MHD_HTTP_OK, row, 0, row->data_size, err);
	if (!range_resolve(&range, row->size, &offset, &length) || offset < row->kept_from ||
	    offset + length > row->kept_from + (int64_t)row->data_size)
		return refuse_range(request, row, err);
	snprintf(text, sizeof text, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, offset, offset + length - 1, row->size);
	request_add_header(request, MHD_HTTP_HEADER_CONTENT_RANGE, text);
	return reply_bytes(request, MHD_HTTP_PARTIAL_CONTENT, row, (size_t)(offset - row->kept_from), (size_t)length,
			   err);
}

int kept_logs_content(struct request *request, const struct job_row *job, const char *name, const struct range *range,
		      int64_t tail_lines, struct nel_err *err)
{
	CLEANUP(job_log_row_done) struct job_log_row row = {0};
	struct db *db = NULL;
	if (request_read_db(request, &db, err) != 0)
		return -1;
	return kept_logs_find(db, job, name, &row) ? reply_content(request, &row, range, tail_lines, err) : 0;
}
