/* Handler of POST /v1/evaluations: the three forms of a submission, and its dry run. */
#include "api/http/body.h"
#include "api/http/handlers.h"
#include "api/http/media.h"
#include "api/http/reply.h"
#include "api/http/request_db.h"
#include "api/http/server_internal.h"
#include "api/http/wait_room.h"
#include "api/v1/envelope.h"
#include "api/v1/multipart.h"
#include "api/v1/read.h"
#include "base/mem.h"
#include "service/cluster_check.h"

#include <string.h>
#include <strings.h>

#define FORM_TYPE "application/x-www-form-urlencoded"

static const char accepted_types[] =
    "application/yaml, application/x-yaml, text/yaml, application/json, multipart/form-data";

static int unsupported(struct request *request, struct nel_err *err)
{
	const char *type = request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
	request_add_header(request, "Accept-Post", accepted_types);
	if (type != NULL && strncasecmp(type, FORM_TYPE, strlen(FORM_TYPE)) == 0)
		return request_fail(
		    request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, err, NEL_INVALID,
		    "curl -d sends " FORM_TYPE ", with line breaks removed: send a config with -F "
		    "config=@FILE, or with --data-binary @FILE and -H 'Content-Type: application/yaml'");
	return request_fail(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, err, NEL_INVALID,
			    "Content-Type must be one of %s (in UTF-8)", accepted_types);
}

static int parse_json(struct request *request, struct submission *ret_submission, struct nel_err *err)
{
	if (envelope_parse(str_text(&request->body), request->body.len, ret_submission, &request->errors, err) == 0)
		return 0;
	request->fail_status = MHD_HTTP_BAD_REQUEST; /* with errors, but not those of a config */
	return -1;
}

static int parse_body(struct request *request, struct submission *ret_submission, struct nel_err *err)
{
	const char *type = request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
	switch (media_kind_of(type)) {
	case MEDIA_OTHER: return unsupported(request, err);
	case MEDIA_JSON: return parse_json(request, ret_submission, err);
	case MEDIA_MULTIPART:
		return multipart_parse(type, str_text(&request->body), request->body.len, ret_submission, err);
	case MEDIA_YAML: break;
	}
	ret_submission->text = mem_dup(str_text(&request->body), request->body.len);
	ret_submission->size = request->body.len;
	return 0;
}

static int add_from_query(const struct query *query, struct submission *submission, struct nel_err *err)
{
	int result = 0;
	for (size_t i = 0; i < query->count && result == 0; i++) {
		if (strcmp(query->items[i].name, "override") == 0)
			result = submission_add_override(submission, query->items[i].value, err);
		else if (strcmp(query->items[i].name, "task") == 0)
			result = submission_add_task(submission, query->items[i].value, err);
	}
	return result;
}

/* Every member is always there in a reply: places that are not known are null. */
static void complete_places(json_t *problems)
{
	size_t i = 0;
	json_t *problem = NULL;
	json_array_foreach(problems, i, problem) {
		if (json_object_get(problem, "line") == NULL)
			json_object_set_new(problem, "line", json_null());
		if (json_object_get(problem, "column") == NULL)
			json_object_set_new(problem, "column", json_null());
	}
}

static void document_free(void *document)
{
	json_decref(document);
}

static int check_came(struct request *request, struct nel_err *err)
{
	const struct wait_answer *answer = waiter_answer(request->waiter);
	if (answer->failed) {
		*err = answer->err;
		return -1;
	}
	json_t *check = json_loadb(answer->data, answer->size, 0, NULL);
	if (json_object_set_new(request->state, "cluster_check", check) != 0)
		return err_set(err, NEL_INTERNAL, "the cluster's check is no JSON");
	return reply_json(request, MHD_HTTP_OK, request->state, err);
}

/* The plan waits in the request until the cluster has answered. */
static int ask_cluster(struct request *request, struct submit_reply_to_client *reply, struct nel_err *err)
{
	request->state = TAKE(reply->dry_run);
	request->state_free = document_free;
	request->resume = check_came;
	if (waiter_new(server_wait_room(request->server), request->connection, &request->waiter, err) != 0)
		return -1;
	service_check_cluster(request->service, TAKE(reply->check), wait_callback, request->waiter);
	return 0;
}

static int reply_submitted(struct request *request, struct db *db, struct submit_reply_to_client *reply,
			   struct nel_err *err)
{
	if (reply->dry_run != NULL) {
		complete_places(json_object_get(reply->dry_run, "warnings"));
		return reply->check != NULL ? ask_cluster(request, reply, err)
					    : reply_json(request, MHD_HTTP_OK, reply->dry_run, err);
	}
	CLEANUP(mem_freep) char *location = mem_printf("/v1/evaluations/%s", reply->id);
	request_add_header(request, MHD_HTTP_HEADER_LOCATION, location);
	return reply->forecast != NULL ? read_reply_submission(request, db, reply->id, reply->forecast, err)
				       : read_reply_evaluation(request, db, MHD_HTTP_ACCEPTED, reply->id, err);
}

/* What the query says besides overrides and tasks. */
struct submit_options {
	bool dry_run;
	bool check_cluster;
	bool strict;
	bool reuse;
};

static int submit(struct request *request, const struct submission *submission, const struct submit_options *options,
		  struct nel_err *err)
{
	char hash[SECRET_HASH_SIZE];
	struct submit_request submit = {
	    .actor = &request->actor,
	    .text = submission->text,
	    .size = submission->size,
	    .json = submission->json,
	    .overrides = (const char *const *)submission->overrides,
	    .override_count = submission->override_count,
	    .tasks = (const char *const *)submission->tasks,
	    .task_count = submission->task_count,
	    .env = submission->env,
	    .env_count = submission->env_count,
	    .labels = submission->labels,
	    .label_count = submission->label_count,
	    .strict = options->strict,
	    .reuse = options->reuse,
	    .check_cluster = options->check_cluster,
	    .idempotency = {.request_hash = hash},
	};
	struct db *db = NULL;
	if (body_idempotency_key(request, &submit.idempotency.key, err) != 0 || request_db(request, &db, err) != 0)
		return -1;
	submission_hash(submission, options->strict, options->reuse, hash);
	CLEANUP(submit_reply_to_client_done) struct submit_reply_to_client reply = {0};
	request->changes_nothing = options->dry_run;
	int result = options->dry_run ? service_plan(request->service, db, &submit, &reply, err)
				      : service_submit(request->service, db, &submit, &reply, err);
	if (result == 0)
		return reply_submitted(request, db, &reply, err);
	envelope_shift_places(reply.errors, submission);
	envelope_shift_places(reply.warnings, submission);
	request->errors = TAKE(reply.errors);
	request->warnings = TAKE(reply.warnings);
	if (reply.clash)
		request->fail_status = MHD_HTTP_UNPROCESSABLE_CONTENT;
	return -1;
}

static int parse_options(const struct query *query, struct submit_options *options, struct nel_err *err)
{
	const char *check = query_get(query, "check");
	if (query_get_bool(query, "dry_run", false, &options->dry_run, err) != 0 ||
	    query_get_bool(query, "strict", false, &options->strict, err) != 0 ||
	    query_get_bool(query, "reuse", false, &options->reuse, err) != 0)
		return -1;
	if (check != NULL && strcmp(check, "cluster") != 0)
		return err_set(err, NEL_INVALID, "query parameter \"check\" must be cluster");
	if (check != NULL && !options->dry_run)
		return err_set(err, NEL_INVALID, "query parameter \"check\" goes with dry_run=true only");
	options->check_cluster = check != NULL;
	return 0;
}

int api_submitEvaluation(struct request *request, struct nel_err *err)
{
	CLEANUP(submission_done) struct submission submission = {0};
	struct submit_options options = {0};
	if (parse_options(&request->query, &options, err) != 0 || parse_body(request, &submission, err) != 0 ||
	    add_from_query(&request->query, &submission, err) != 0)
		return -1;
	return submit(request, &submission, &options, err);
}
