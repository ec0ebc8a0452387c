/* Handlers of a job's samples: what each came to is in the store, its record on the cluster. */
#include "api/http/handlers.h"
#include "api/http/page.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/server_internal.h"
#include "api/http/wait_room.h"
#include "api/v1/read.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/str.h"
#include "service/job_samples.h"

#include <string.h>

/* The handler's state while a lane reads. */
struct record {
	struct job_row job;
	struct job_samples samples;
	struct sample_place place;
};

static void record_free(void *arg)
{
	struct record *record = arg;
	job_row_done(&record->job);
	job_samples_done(&record->samples);
	free(record);
}

static void render_sample(struct json_out *out, const char *job, size_t number, const struct sample_place *place)
{
	const struct sample_set *set = place->set;
	const struct sample *row = &set->rows[place->row];
	CLEANUP(mem_freep) char *path = mem_printf("/v1/jobs/%s/samples/%zu", job, number);
	out_object(out, NULL);
	out_int(out, "number", (int64_t)number);
	out_string(out, "task", set->task[0] != '\0' ? set->task : NULL);
	out_string(out, "filter", set->filter[0] != '\0' ? set->filter : NULL);
	out_int_or_null(out, "id", row->id, !set->named);
	out_int(out, "repeat", row->repeat);
	out_string(out, "outcome", sample_outcome_names[sample_outcome(place)]);
	out_object(out, "values");
	for (size_t i = 0; i < set->metric_count; i++) {
		out_key(out, set->metrics[i]);
		out_double(out, NULL, set->values[i][place->row]);
	}
	out_end(out);
	out_string(out, "file", set->file);
	out_int(out, "line", row->line);
	out_string(out, "record", path);
	out_end(out);
}

/* outcome: -1 for any. */
static void render_list(struct request *request, const struct page *page, const struct job_row *job,
			const struct job_samples *samples, int outcome, struct json_out *out)
{
	struct sample_place place = {0};
	int64_t next = 0;
	int count = 0;
	out_object(out, NULL);
	out_array(out, "items");
	for (size_t number = (size_t)page->position; job_samples_at(samples, number, &place); number++) {
		if (outcome >= 0 && (int)sample_outcome(&place) != outcome)
			continue;
		if (count++ == page->limit) {
			next = (int64_t)number;
			break;
		}
		render_sample(out, job->id, number, &place);
	}
	out_end(out);
	page_next(request, page, next, out);
	out_object(out, "stored");
	out_int(out, "samples", samples->row.rows);
	out_int(out, "left_out", samples->row.left_out);
	out_int(out, "unread_lines", samples->row.spoilt);
	out_int(out, "unread_files", samples->row.short_);
	out_end(out);
	out_end(out);
}

static int parse_outcome(const struct request *request, int *ret_outcome, struct nel_err *err)
{
	const char *wanted = query_get(&request->query, "outcome");
	*ret_outcome = -1;
	for (int i = 0; wanted != NULL && sample_outcome_names[i] != NULL; i++)
		if (strcmp(wanted, sample_outcome_names[i]) == 0)
			*ret_outcome = i;
	if (wanted != NULL && *ret_outcome < 0)
		return err_set(err, NEL_INVALID,
			       "query parameter \"outcome\" must be one of right, wrong, partial, unscored");
	return 0;
}

int api_listJobSamples(struct request *request, struct nel_err *err)
{
	CLEANUP(job_row_done) struct job_row job = {0};
	CLEANUP(job_samples_done) struct job_samples samples = {0};
	struct page page = {0};
	struct db *db = NULL;
	int outcome = -1;
	if (page_parse(request, CURSOR_SAMPLES, &page, err) != 0 || parse_outcome(request, &outcome, err) != 0 ||
	    request_read_db(request, &db, err) != 0)
		return -1;
	if (read_list_is_known(request))
		return 0;
	if (read_job(db, request->captures[0], &job, err) != 0)
		return -1;
	if (job_samples_load(db, &job, &samples, err) != 0 && err->kind != NEL_NOTFOUND)
		return -1;
	struct json_out body = {0};
	render_list(request, &page, &job, &samples, outcome, &body);
	return reply_json_text(request, MHD_HTTP_OK, &body.text, err);
}

static int record_came(struct request *request, struct nel_err *err)
{
	const struct record *record = request->state;
	const struct wait_answer *answer = waiter_answer(request->waiter);
	if (answer->failed) {
		*err = answer->err;
		return -1;
	}
	const char *newline = answer->size > 0 ? memchr(answer->data, '\n', answer->size) : NULL;
	size_t size = newline != NULL ? (size_t)(newline - answer->data) : answer->size;
	if (answer->size >= REMOTE_CHUNK_MAX)
		return err_set(err, NEL_CONFLICT, "the record is larger than %d MiB: it is line %u of the artifact %s",
			       REMOTE_CHUNK_MAX >> 20, record->place.set->rows[record->place.row].line,
			       record->place.set->file);
	if (!sample_is_record(&record->place, answer->data, size))
		return err_set(err, NEL_CONFLICT, "the artifact %s has changed since the job's end: the record is gone",
			       record->place.set->file);
	/* Python writes NaN, which is no JSON. */
	CLEANUP(json_freep)
	json_t *value = json_loadb(answer->data, size, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	CLEANUP(str_done) struct str body = {0};
	str_append_n(&body, answer->data, size);
	str_append_c(&body, '\n');
	request_add_header(request, "X-Content-Type-Options", "nosniff"); /* it is whatever a job wrote */
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	return reply_text(request, MHD_HTTP_OK, value != NULL ? "application/json" : "text/plain; charset=utf-8", &body,
			  err);
}

int api_getJobSample(struct request *request, struct nel_err *err)
{
	struct record *record = mem_calloc(1, sizeof *record);
	struct db *db = NULL;
	long long number = 0;
	request->state = record;
	request->state_free = record_free;
	request->resume = record_came;
	if (request_read_db(request, &db, err) != 0 || read_job(db, request->captures[0], &record->job, err) != 0 ||
	    job_samples_load(db, &record->job, &record->samples, err) != 0)
		return -1;
	if (!str_to_int(request->captures[1], 0, INT64_MAX, &number) ||
	    !job_samples_at(&record->samples, (size_t)number, &record->place))
		return err_set(err, NEL_NOTFOUND, "job %s has no sample %.100s", record->job.id, request->captures[1]);
	if (waiter_new(server_wait_room(request->server), request->connection, &request->waiter, err) != 0)
		return -1;
	struct nel_err refused = {0};
	if (service_read_line(request->service, &record->job, REMOTE_ARTIFACTS, record->place.set->file,
			      record->place.set->rows[record->place.row].line, wait_callback, request->waiter,
			      &refused) != 0)
		waiter_refused(request->waiter, &refused);
	return 0;
}
