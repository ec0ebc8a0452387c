/* Owns the reads that several handlers share, with their "not found". */
#include "api/v1/read.h"

#include "api/http/counters.h"
#include "api/http/media.h"
#include "api/http/reply.h"
#include "api/v1/render.h"

#include <inttypes.h>

/* Takes what `text` holds. */
static bool is_known(struct request *request, struct str *text)
{
	str_appendf(text, " %" PRId64, request->service->started_at);
	reply_etag(text->data, text->len, request->etag);
	str_done(text);
	if (!media_etag_matches(request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH), request->etag))
		return false;
	counters_revalidated();
	return reply_not_modified(request, request->etag);
}

bool read_is_known(struct request *request, const struct revision *revision, const char *id)
{
	const int64_t numbers[] = {revision->version, revision->updated_at, revision->jobs, revision->observed_at,
				   revision->waits ? service_places_version(request->service) : -1};
	struct str text = {0};
	str_append(&text, id);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		str_appendf(&text, " %" PRId64, numbers[i]);
	return is_known(request, &text);
}

bool read_list_is_known(struct request *request)
{
	const char *accept = request_header(request, MHD_HTTP_HEADER_ACCEPT);
	struct str text = {0};
	str_appendf(&text, "%s %s %" PRId64 " %" PRId64, request->path, accept != NULL ? accept : "", request->revision,
		    service_places_version(request->service));
	for (size_t i = 0; i < request->query.count; i++)
		str_appendf(&text, "\n%s=%s", request->query.items[i].name, request->query.items[i].value);
	return is_known(request, &text);
}

int read_evaluation(struct db *db, const char *id, bool with_texts, struct evaluation_row *ret_row, struct nel_err *err)
{
	if (!ids_is_evaluation(id))
		return err_set(err, NEL_NOTFOUND, "no evaluation \"%.64s\"", id);
	if (evaluations_get(db, id, with_texts, ret_row, err) == 0)
		return 0;
	return err->kind == NEL_NOTFOUND ? err_set(err, NEL_NOTFOUND, "no evaluation \"%s\"", id) : -1;
}

int read_job(struct db *db, const char *id, struct job_row *ret_row, struct nel_err *err)
{
	char evaluation[IDS_EVALUATION_SIZE];
	int index = 0;
	if (!ids_parse_job(id, evaluation, &index))
		return err_set(err, NEL_NOTFOUND, "no job \"%.64s\"", id);
	if (jobs_get(db, id, ret_row, err) == 0)
		return 0;
	return err->kind == NEL_NOTFOUND ? err_set(err, NEL_NOTFOUND, "no job \"%s\"", id) : -1;
}

int read_render_evaluation(struct request *request, struct db *db, const struct evaluation_row *row,
			   struct json_out *out, struct nel_err *err)
{
	CLEANUP(job_list_done) struct job_list jobs = {0};
	if (jobs_of_evaluation(db, row->id, &jobs, err) != 0)
		return -1;
	for (size_t i = 0; i < jobs.count; i++)
		service_show_place(request->service, &jobs.items[i]);
	render_evaluation(out, row, &jobs);
	return 0;
}

int read_reply_evaluation(struct request *request, struct db *db, int status, const char *id, struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(json_out_done) struct json_out body = {0};
	if (read_evaluation(db, id, false, &row, err) != 0 ||
	    read_render_evaluation(request, db, &row, &body, err) != 0)
		return -1;
	return reply_json_text(request, status, &body.text, err);
}
