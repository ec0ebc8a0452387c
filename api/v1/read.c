/* Owns the reads that several handlers share, with their "not found". */
#include "api/v1/read.h"

#include "api/http/counters.h"
#include "api/http/media.h"
#include "api/http/read_cache.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/server_internal.h"
#include "api/v1/kept_replies.h"
#include "api/v1/render.h"
#include "base/clock.h"
#include "base/log.h"
#include "db/replies.h"
#include "db/search.h"

#include <inttypes.h>

#define CATCH_UP_MS 500

static struct read_instant instant_of(const struct request *request)
{
	return (struct read_instant){request->instant, service_queue_version(request->service)};
}

static void etag_of(const struct request *request, const struct revision *revision, const char *id, int64_t places,
		    char ret_etag[REPLY_ETAG_SIZE])
{
	const int64_t numbers[] = {revision->version,     revision->updated_at,          revision->jobs,
				   revision->observed_at, revision->waits ? places : -1, request->service->started_at};
	struct str text = {0};
	str_append(&text, id);
	str_append_n(&text, numbers, sizeof numbers);
	reply_etag(text.data, text.len, ret_etag);
	str_done(&text);
}

static bool client_has(const struct request *request)
{
	bool has = media_etag_matches(request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH), request->etag);
	if (has)
		counters_revalidated();
	return has;
}

bool read_is_known(struct request *request, const struct revision *revision, const char *id)
{
	etag_of(request, revision, id, instant_of(request).places, request->etag);
	return client_has(request) && reply_not_modified(request, request->etag);
}

bool read_list_is_known(struct request *request)
{
	const char *accept = request_header(request, MHD_HTTP_HEADER_ACCEPT);
	struct str text = {0};
	str_appendf(&text, "%s %s %" PRId64 " %" PRId64, request->path, accept != NULL ? accept : "", request->revision,
		    service_queue_version(request->service));
	for (size_t i = 0; i < request->query.count; i++)
		str_appendf(&text, "\n%s=%s", request->query.items[i].name, request->query.items[i].value);
	str_appendf(&text, " %" PRId64, request->service->started_at);
	reply_etag(text.data, text.len, request->etag);
	str_done(&text);
	return client_has(request) && reply_not_modified(request, request->etag);
}

static int check_id(const char *id, struct nel_err *err)
{
	return ids_is_evaluation(id) ? 0 : err_set(err, NEL_NOTFOUND, "no evaluation \"%.64s\"", id);
}

static int not_found(const char *id, struct nel_err *err)
{
	return err->kind == NEL_NOTFOUND ? err_set(err, NEL_NOTFOUND, "no evaluation \"%s\"", id) : -1;
}

int read_evaluation(struct db *db, const char *id, bool with_texts, struct evaluation_row *ret_row, struct nel_err *err)
{
	if (check_id(id, err) != 0)
		return -1;
	return evaluations_get(db, id, with_texts, ret_row, err) == 0 ? 0 : not_found(id, err);
}

static int find_revision(struct db *db, const char *id, struct revision *ret_revision, struct nel_err *err)
{
	if (check_id(id, err) != 0)
		return -1;
	return revisions_evaluation(db, id, ret_revision, err) == 0 ? 0 : not_found(id, err);
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

/* The object is left open. */
static void render(struct request *request, const struct evaluation_row *row, struct job_list *jobs,
		   struct json_out *out)
{
	for (size_t i = 0; i < jobs->count; i++)
		service_show_queue_position(request->service, &jobs->items[i]);
	render_evaluation_open(out, row, jobs);
}

/* Makes the text anew, and keeps it. *row may be empty but for its seq. */
static int make_text(struct request *request, struct db *db, struct evaluation_row *row, struct str *text,
		     char ret_etag[REPLY_ETAG_SIZE], struct nel_err *err)
{
	CLEANUP(job_list_done) struct job_list jobs = {0};
	CLEANUP(json_out_done) struct json_out out = {0};
	struct read_instant instant = instant_of(request);
	if (jobs_of_evaluation(db, row->id, &jobs, err) != 0)
		return -1;
	struct revision revision = revision_of(row, &jobs);
	render(request, row, &jobs, &out);
	out_end(&out);
	etag_of(request, &revision, row->id, instant.places, ret_etag);
	read_cache_store(server_read_cache(request->server), &revision, instant, out.text.data, out.text.len, ret_etag);
	str_append_n(text, out.text.data, out.text.len);
	return 0;
}

static int text_by_revision(struct request *request, struct db *db, const struct revision *revision, struct str *text,
			    char ret_etag[REPLY_ETAG_SIZE], struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	if (read_cache_find(server_read_cache(request->server), revision, instant_of(request), text, ret_etag))
		return 0;
	if (evaluations_get_at(db, revision->seq, &row, err) != 0)
		return -1;
	return make_text(request, db, &row, text, ret_etag, err);
}

/* What the store keeps of an evaluation that has ended: by id, or by number where that is NULL. */
static int kept_text(struct request *request, struct db *db, const char *id, int64_t seq, struct str *text,
		     char ret_etag[REPLY_ETAG_SIZE], bool *ret_kept, struct nel_err *err)
{
	struct revision revision = {0};
	size_t begin = text->len;
	int rc = id != NULL ? replies_get(db, id, reply_format(), &revision, text, ret_kept, err)
			    : replies_get_at(db, seq, reply_format(), &revision, text, ret_kept, err);
	if (rc != 0 || !*ret_kept)
		return rc;
	etag_of(request, &revision, revision.id, 0, ret_etag);
	read_cache_offer(server_read_cache(request->server), &revision, instant_of(request), text->data + begin,
			 text->len - begin, ret_etag);
	return 0;
}

/* What is cached, or kept as a whole: a glance is enough. */
static int read_at_a_glance(struct request *request, const char *id, struct str *text, enum read_cached *ret_cached,
			    bool *ret_done, struct nel_err *err)
{
	struct db *db = NULL;
	if (request_glance_db(request, &db, err) != 0)
		return -1;
	*ret_cached = read_cache_now(server_read_cache(request->server), id, instant_of(request), text, request->etag);
	*ret_done = *ret_cached == READ_CACHED_RIGHT;
	if (!*ret_done &&
	    (check_id(id, err) != 0 || kept_text(request, db, id, 0, text, request->etag, ret_done, err) != 0))
		return -1;
	if (*ret_done)
		client_has(request); /* counts it */
	return 0;
}

int read_evaluation_text(struct request *request, const char *id, struct str *text, struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	struct revision revision = {0};
	struct db *db = NULL;
	enum read_cached cached = READ_CACHED_NONE;
	bool done = false;
	if (read_at_a_glance(request, id, text, &cached, &done, err) != 0)
		return -1;
	if (done)
		return 0;
	if (request_read_db(request, &db, err) != 0)
		return -1;
	if (cached == READ_CACHED_NONE && request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH) == NULL)
		return read_evaluation(db, id, false, &row, err) != 0
			   ? -1
			   : make_text(request, db, &row, text, request->etag, err);
	if (find_revision(db, id, &revision, err) != 0)
		return -1;
	etag_of(request, &revision, id, instant_of(request).places, request->etag);
	return client_has(request) ? 0 : text_by_revision(request, db, &revision, text, request->etag, err);
}

int read_evaluation_text_at(struct request *request, struct db *db, int64_t seq, struct str *text, struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	struct revision revision = {0};
	char etag[REPLY_ETAG_SIZE];
	enum read_cached cached = read_cache_now_at(server_read_cache(request->server), seq, instant_of(request), text);
	if (cached == READ_CACHED_RIGHT)
		return 0;
	bool kept = false;
	if (kept_text(request, db, NULL, seq, text, etag, &kept, err) != 0)
		return -1;
	if (kept)
		return 0;
	if (cached == READ_CACHED_NONE)
		return evaluations_get_at(db, seq, &row, err) != 0 ? -1 : make_text(request, db, &row, text, etag, err);
	return revisions_evaluation_at(db, seq, &revision, err) != 0
		   ? -1
		   : text_by_revision(request, db, &revision, text, etag, err);
}

/* The object is left open. */
static int render_stored(struct request *request, struct db *db, const char *id, struct json_out *out,
			 struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(job_list_done) struct job_list jobs = {0};
	if (read_evaluation(db, id, false, &row, err) != 0 || jobs_of_evaluation(db, row.id, &jobs, err) != 0)
		return -1;
	render(request, &row, &jobs, out);
	return 0;
}

int read_reply_submission(struct request *request, struct db *db, const char *id, const json_t *forecast,
			  struct nel_err *err)
{
	CLEANUP(json_out_done) struct json_out body = {0};
	if (render_stored(request, db, id, &body, err) != 0)
		return -1;
	out_value(&body, "forecast", forecast);
	out_end(&body);
	return reply_json_text(request, MHD_HTTP_ACCEPTED, &body.text, err);
}

int read_reply_evaluation(struct request *request, struct db *db, int status, const char *id, struct nel_err *err)
{
	CLEANUP(json_out_done) struct json_out body = {0};
	if (render_stored(request, db, id, &body, err) != 0)
		return -1;
	out_end(&body);
	return reply_json_text(request, status, &body.text, err);
}

/* What was submitted before this is found: the index may be a second behind (api/v1/keeper.h). But who searches does
 * not wait for long, and is answered with what is there. */
static int catch_up(struct request *request, struct nel_err *err)
{
	struct db *db = NULL;
	struct nel_err write_err = {0};
	if (request_read_db(request, &db, err) != 0)
		return -1;
	request_end_read(request);
	int64_t until_ms = clock_mono_ms() + CATCH_UP_MS;
	for (bool more = true; more && clock_mono_ms() < until_ms;)
		if (search_catch_up(db, CATCH_UP_MS / 2, &more, &write_err) != 0) {
			log_warning("the newest submissions are not found by a search", LOG_S("error", write_err.msg));
			break;
		}
	return 0;
}

int read_search(struct request *request, char **ret_match, struct nel_err *err)
{
	const char *text = query_get(&request->query, "search");
	if (text == NULL)
		return 0;
	if (search_parse(text, ret_match, err) != 0)
		return err_prefix(err, "query parameter \"search\"");
	return catch_up(request, err);
}

int read_sort(const struct request *request, enum list_sort *ret_sort, struct nel_err *err)
{
	const char *sort = query_get(&request->query, "sort");
	if (sort == NULL || strcmp(sort, "-created") == 0)
		*ret_sort = LIST_NEWEST;
	else if (strcmp(sort, "created") == 0)
		*ret_sort = LIST_OLDEST;
	else if (strcmp(sort, "-updated") == 0)
		*ret_sort = LIST_CHANGED;
	else
		return err_set(err, NEL_INVALID, "query parameter \"sort\" must be -created, created or -updated");
	return 0;
}
