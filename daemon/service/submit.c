#include "service/submit.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/json_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/plan/likeness.h"
#include "db/audit.h"
#include "db/evaluations.h"
#include "db/events.h"
#include "db/jobs.h"
#include "db/likenesses.h"
#include "db/placements.h"
#include "sched/scheduler.h"
#include "service/cluster_check.h"
#include "service/forecast.h"
#include "service/idempotency.h"
#include "service/identities.h"
#include "service/planned_files.h"
#include "service/reusable.h"
#include "service/secrets.h"
#include "slurm/script.h"

#include <string.h>

void submit_reply_to_client_done(struct submit_reply_to_client *reply)
{
	json_decref(reply->errors);
	json_decref(reply->warnings);
	json_decref(reply->dry_run);
	json_decref(reply->forecast);
	cluster_check_free(reply->check);
	*reply = (struct submit_reply_to_client){0};
}

static int make_plan(struct service *service, struct db *db, const struct submit_request *request, int64_t now_s,
		     struct planned *ret_planned, struct submit_reply_to_client *reply, struct nel_err *err)
{
	if (request->actor->role == ROLE_VIEWER)
		return err_set(err, NEL_DENIED, "a viewer cannot submit evaluations");
	CLEANUP(problems_done) struct problems errors = {0};
	CLEANUP(secret_names_done) struct secret_names stored = {0};
	if (secret_names_load(db, request->actor->name, &stored, err) != 0)
		return -1;
	CLEANUP(identity_list_done) struct identity_list identities = {0};
	if (identities_list(db, request->actor->name, &identities, err) != 0)
		return -1;
	const struct planned_input input = {.settings = service->settings,
					    .catalogue = service->catalogue,
					    .request = request,
					    .stored = &stored,
					    .identities = &identities,
					    .db = db,
					    .now_s = now_s};
	if (planned_make(&input, ret_planned, &errors, err) == 0) {
		if (request->reuse)
			reusable_warn(ret_planned->plan, &ret_planned->warnings);
		return 0;
	}
	if (errors.count > 0) {
		reply->errors = problems_to_json(&errors);
		reply->warnings =
		    problems_to_json(&ret_planned->warnings); /* a mistyped key may be why another is missing */
	}
	return -1;
}

static void fill_labels(struct evaluation_row *row, const struct submit_request *request)
{
	row->labels = mem_calloc(request->label_count, sizeof *row->labels);
	row->label_count = request->label_count;
	for (size_t i = 0; i < request->label_count; i++) {
		row->labels[i].key = mem_strdup(request->labels[i].name);
		row->labels[i].value = mem_strdup(request->labels[i].value);
	}
}

/* As struct evaluation_row has it; NULL where the config names one cluster. What it becomes: sched/placement.h. */
static char *placement_text(const struct planned *planned)
{
	if (planned->candidate_count == 0)
		return NULL;
	int64_t move_after_s = planned->plan->move_after_s;
	CLEANUP(json_freep) json_t *candidates = json_array();
	for (size_t i = 0; i < planned->candidate_count; i++) {
		const struct planned_candidate *candidate = &planned->candidates[i];
		json_array_append_new(candidates,
				      json_pack("{s:s, s:s?, s:n, s:s?, s:n, s:b}", "cluster", candidate->cluster,
						"answer", candidate->plan == NULL ? "left_out" : NULL, "expected_start",
						"message", candidate->why, "asked_at", "had", 0));
	}
	CLEANUP(json_freep)
	json_t *document = json_pack("{s:s, s:s, s:n, s:n, s:o, s:n, s:n, s:n, s:O}", "state", "choosing", "cluster",
				     planned->cluster->name, "target", "placed_at", "move_after_s",
				     move_after_s > 0 ? json_integer(move_after_s) : json_null(), "expected_start",
				     "started_at", "error_s", "candidates", candidates);
	return document != NULL ? json_out_text(document) : NULL;
}

/* What it is on each cluster that it may be on. */
static int store_plans(struct db *db, const struct evaluation_row *row, const struct planned *planned,
		       struct nel_err *err)
{
	size_t count = 0;
	int rc = 0;
	CLEANUP(mem_freep) struct placement_plan *plans = mem_calloc(planned->candidate_count, sizeof *plans);
	for (size_t i = 0; i < planned->candidate_count; i++) {
		const struct planned_candidate *candidate = &planned->candidates[i];
		if (candidate->plan == NULL)
			continue;
		plans[count++] =
		    (struct placement_plan){.cluster = mem_strdup(candidate->cluster),
					    .identity = mem_strdup(candidate->identity),
					    .rundir = script_rundir(candidate->plan, row->id, row->created_at),
					    .resolved = json_out_text(candidate->plan->resolved)};
	}
	if (count > 0)
		rc = placements_insert(db, row->seq, plans, count, err);
	for (size_t i = 0; i < count; i++)
		placement_plan_done(&plans[i]);
	return rc;
}

static int fill_evaluation(struct service *service, struct db *db, const struct submit_request *request,
			   const struct planned *planned, int64_t now_s, struct evaluation_row *row,
			   struct nel_err *err)
{
	CLEANUP(json_freep) json_t *overrides = json_array();
	for (size_t i = 0; i < request->override_count; i++)
		json_array_append_new(overrides, json_string(request->overrides[i]));
	CLEANUP(json_freep) json_t *warnings = problems_to_json(&planned->warnings);
	CLEANUP(json_freep) json_t *images = likeness_images(planned->plan);
	ids_new_evaluation(row->id);
	row->user = mem_strdup(request->actor->name);
	row->cluster = mem_strdup(planned->cluster->name);
	row->identity = mem_strdup(planned->identity);
	row->state = mem_strdup("queued");
	row->model = mem_strdup(planned->plan->model);
	row->rundir = script_rundir(planned->plan, row->id, now_s);
	row->submitted_text = mem_strndup(request->text, request->size);
	row->submitted_type = mem_strdup(request->json ? "application/json" : "application/yaml");
	row->overrides = json_out_text(overrides);
	row->resolved = json_out_text(planned->plan->resolved);
	row->images = json_out_text(images);
	row->warnings = json_out_text(warnings);
	row->reuse = request->reuse;
	row->created_at = now_s;
	row->updated_at = now_s;
	row->version = 1;
	fill_labels(row, request);
	row->placement = placement_text(planned);
	return secrets_seal_env(service, db, request, planned->plan, row, err);
}

static const char *fingerprint_of(const char *name, void *arg)
{
	return json_string_value(json_object_get(arg, name));
}

/* Of a row with its secrets sealed; sets its config_hash. */
static int find_likeness(struct service *service, const struct eval_plan *plan, struct evaluation_row *row,
			 struct likeness *ret_likeness, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *fingerprints = NULL;
	if (secrets_fingerprints(service, row, &fingerprints, err) != 0)
		return -1;
	likeness_make(plan, fingerprint_of, fingerprints, ret_likeness);
	row->config_hash = mem_strdup(ret_likeness->hash);
	return 0;
}

int service_plan(struct service *service, struct db *db, const struct submit_request *request,
		 struct submit_reply_to_client *ret_reply, struct nel_err *err)
{
	CLEANUP(planned_done) struct planned planned = {0};
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(likeness_done) struct likeness likeness = {0};
	CLEANUP(json_freep) json_t *forecast = NULL;
	CLEANUP(json_freep) json_t *sharing = NULL;
	int64_t now_s = clock_now_s();
	if (make_plan(service, db, request, now_s, &planned, ret_reply, err) != 0 ||
	    fill_evaluation(service, db, request, &planned, now_s, &row, err) != 0 ||
	    find_likeness(service, planned.plan, &row, &likeness, err) != 0 ||
	    forecast_make(db, planned.plan, &likeness, &forecast, &sharing, err) != 0)
		return -1;
	if (request->check_cluster && cluster_check_new(&planned, db, row.id, now_s, &ret_reply->check, err) != 0)
		return -1;
	if (planned_describe(&planned, row.id, now_s, PLANNED_SHOWN_MAX, &ret_reply->dry_run, err) != 0)
		return -1;
	if (request->reuse &&
	    reusable_describe(db, &planned, &likeness, json_object_get(ret_reply->dry_run, "jobs"), err) != 0)
		return -1;
	json_object_set(ret_reply->dry_run, "forecast", forecast);
	json_object_set(ret_reply->dry_run, "sharing", sharing);
	json_object_set_new(ret_reply->dry_run, "placement",
			    row.placement != NULL ? json_loads(row.placement, 0, NULL) : json_null());
	return 0;
}

int service_plan_run(struct service *service, struct db *db, const struct submit_request *request,
		     char ret_hash[SECRET_HASH_SIZE], struct submit_reply_to_client *ret_reply, struct nel_err *err)
{
	CLEANUP(planned_done) struct planned planned = {0};
	if (make_plan(service, db, request, clock_now_s(), &planned, ret_reply, err) != 0 ||
	    planned_run_hash(&planned, ret_hash, err) != 0)
		return -1;
	ret_reply->warnings = problems_to_json(&planned.warnings);
	return 0;
}

static const char *resume_mode_name(enum resume_mode mode)
{
	switch (mode) {
	case RESUME_DAEMON: return "daemon";
	case RESUME_IN_JOB: return "in_job";
	case RESUME_OFF: return "off";
	}
	return "daemon";
}

/* shared_seq: of the chain that the jobs share; 0: none of them is stored yet. */
static int store_job(struct db *db, const struct evaluation_row *evaluation, const struct eval_plan *plan,
		     const struct plan_job *plan_job, const struct likeness_job *likeness, int64_t *shared_seq,
		     struct nel_err *err)
{
	CLEANUP(job_row_done)
	struct job_row row = {.evaluation_seq = evaluation->seq,
			      .index = plan_job->index,
			      .state = CHAIN_QUEUED,
			      .chain = {.number = plan_job->index,
					.walltime_s = plan->walltime_s,
					.max_attempts = plan->max_attempts,
					.budget_limit_s = plan->max_walltime_s,
					.budget_from_attempt = 1},
			      .progress = -1,
			      .gpus = eval_plan_gpus(plan),
			      .created_at = evaluation->created_at,
			      .updated_at = evaluation->created_at,
			      .version = 1};
	struct str resume_on = {0};
	for (char **state = plan->resume_on; state != NULL && *state != NULL; state++)
		str_appendf(&resume_on, "%s%s", resume_on.len > 0 ? "," : "", *state);
	ids_format_job(evaluation->id, plan_job->index, row.id);
	memcpy(row.evaluation, evaluation->id, sizeof row.evaluation);
	row.user = mem_strdup(evaluation->user);
	row.cluster = mem_strdup(evaluation->cluster);
	row.identity = mem_strdup(evaluation->identity);
	row.task = mem_strdup(plan_job->task);
	row.model = mem_strdup(plan->model);
	row.job_dir = script_job_dir(evaluation->rundir, plan_job);
	row.waiting_on = mem_strdup(evaluation->placement != NULL ? "the clusters' answers" : "its turn");
	row.partition = mem_strdup(plan->partition);
	row.account = mem_strdup(plan->account);
	row.chain.resume_mode = mem_strdup(resume_mode_name(plan->resume_mode));
	row.chain.resume_on = str_take(&resume_on);
	const struct likeness_row subject = {likeness->subject.hash, likeness->subject.parts};
	const struct likeness_row protocol = {likeness->protocol.hash, likeness->protocol.parts};
	if (eval_plan_is_shared(plan)) {
		row.chain.seq = *shared_seq;
		row.chain.number = script_shared_number(plan);
		row.chain.at_once = plan->share_at_once;
	}
	if (jobs_insert(db, &row, err) != 0)
		return -1;
	*shared_seq = row.chain.seq;
	return likenesses_set(db, row.seq, &subject, &protocol, err);
}

static int log_submission(struct db *db, const struct evaluation_row *row, const struct eval_plan *plan,
			  struct nel_err *err)
{
	CLEANUP(json_freep) json_t *tasks = json_array();
	CLEANUP(json_freep) json_t *labels = json_object();
	for (size_t i = 0; i < plan->job_count; i++)
		json_array_append_new(tasks, json_string(plan->jobs[i].task));
	for (size_t i = 0; i < row->label_count; i++)
		json_object_set_new(labels, row->labels[i].key, json_string(row->labels[i].value));
	CLEANUP(json_freep)
	json_t *data =
	    json_pack("{s:n, s:s, s:s, s:s, s:I, s:O, s:O}", "from", "to", row->state, "cluster", row->cluster, "model",
		      row->model, "jobs", (json_int_t)plan->job_count, "tasks", tasks, "labels", labels);
	CLEANUP(mem_freep) char *text = data != NULL ? json_out_text(data) : NULL;
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "the submission's event is no JSON");
	return events_insert(db, row->created_at, "evaluation.submitted", row->user, row->id, NULL, text, err);
}

static int store(struct db *db, const struct submit_request *request, struct evaluation_row *row,
		 const struct planned *planned, const struct likeness *likeness, struct nel_err *err)
{
	const struct eval_plan *plan = planned->plan;
	if (evaluations_insert(db, row, err) != 0)
		return -1;
	int64_t shared_seq = 0;
	for (size_t i = 0; i < plan->job_count; i++)
		if (store_job(db, row, plan, &plan->jobs[i], &likeness->jobs[i], &shared_seq, err) != 0)
			return -1;
	if (store_plans(db, row, planned, err) != 0)
		return -1;
	if (service_note_idempotent(db, row->user, &request->idempotency, row->id, row->created_at, err) != 0)
		return -1;
	if (request->within != NULL && request->within(db, row->id, request->within_arg, err) != 0)
		return -1;
	return log_submission(db, row, plan, err);
}

int submit_find_repeat(struct db *db, const struct submit_request *request, int64_t now_s,
		       struct submit_reply_to_client *reply, struct nel_err *err)
{
	char made[IDEMPOTENCY_MADE_SIZE];
	int found =
	    service_find_idempotent(db, request->actor->name, &request->idempotency, now_s, made, &reply->clash, err);
	if (found > 0)
		snprintf(reply->id, sizeof reply->id, "%.*s", (int)sizeof reply->id - 1, made);
	reply->repeated = found > 0;
	return found;
}

int service_submit(struct service *service, struct db *db, const struct submit_request *request,
		   struct submit_reply_to_client *ret_reply, struct nel_err *err)
{
	CLEANUP(planned_done) struct planned planned = {0};
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(likeness_done) struct likeness likeness = {0};
	int64_t now_s = clock_now_s();
	int found = submit_find_repeat(db, request, now_s, ret_reply, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	if (make_plan(service, db, request, now_s, &planned, ret_reply, err) != 0 ||
	    fill_evaluation(service, db, request, &planned, now_s, &row, err) != 0 ||
	    find_likeness(service, planned.plan, &row, &likeness, err) != 0 ||
	    forecast_make(db, planned.plan, &likeness, &ret_reply->forecast, NULL, err) != 0)
		return -1;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0)
		return -1;
	/* Again inside the transaction: two requests with one key may be under way. */
	found = submit_find_repeat(db, request, now_s, ret_reply, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	audit_say(db, row.id, NULL);
	if (service_ensure_identity(service, db, row.user, planned.cluster, err) != 0 ||
	    store(db, request, &row, &planned, &likeness, err) != 0 || db_commit(db, err) != 0)
		return -1;
	fault_point("create-committed");
	memcpy(ret_reply->id, row.id, sizeof row.id);
	log_info("evaluation submitted", LOG_S("eval", row.id), LOG_S("user", row.user), LOG_S("cluster", row.cluster),
		 LOG_N("jobs", (int64_t)planned.plan->job_count));
	scheduler_wake(service->scheduler);
	return 0;
}
