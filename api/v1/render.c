/* Owns the order and the names of the members that clients see. */
#include "api/v1/render.h"

#include "api/http/csv_out.h"
#include "api/http/problem_details.h"
#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define SHORT_HASH 16 /* digits: enough to tell a team's apart */

/* text: a JSON array as the store keeps it. Nearly always empty, so that case takes no parser. */
static void render_warnings(struct json_out *out, const char *text)
{
	if (text == NULL || strcmp(text, "[]") == 0) {
		out_array(out, "warnings");
		out_end(out);
		return;
	}
	json_t *problems = json_loads(text, 0, NULL);
	problem_list(out, "warnings", problems);
	json_decref(problems);
}

static void render_counts(struct json_out *out, const struct job_list *jobs)
{
	int counts[CHAIN_STATE_COUNT] = {0};
	for (size_t i = 0; i < jobs->count; i++)
		counts[jobs->items[i].state]++;
	out_object(out, "counts");
	out_int(out, "total", (int64_t)jobs->count);
	for (int state = 0; state < CHAIN_STATE_COUNT; state++)
		out_int(out, chain_state_name((enum chain_state)state), counts[state]);
	out_end(out);
}

static void render_labels(struct json_out *out, const struct label *labels, size_t count)
{
	out_object(out, "labels");
	for (size_t i = 0; i < count; i++) {
		out_key(out, labels[i].key);
		out_string(out, NULL, labels[i].value);
	}
	out_end(out);
}

static void render_budget(struct json_out *out, const struct chain_row *chain)
{
	bool limited = chain->budget_limit_s >= 0;
	int64_t remaining = chain->budget_limit_s - chain->budget_used_s;
	out_object(out, "budget");
	out_int_or_null(out, "limit_s", chain->budget_limit_s, limited);
	out_int(out, "used_s", chain->budget_used_s);
	out_int_or_null(out, "remaining_s", remaining > 0 ? remaining : 0, limited);
	out_end(out);
}

static void render_chain_id(struct json_out *out, const char *name, const struct job_row *job)
{
	char id[IDS_CHAIN_SIZE];
	ids_format_chain(job->evaluation, job->chain.number, id);
	out_string(out, name, id);
}

/* That of jobs' items[first], which is the first that it carries. */
static void render_chain(struct json_out *out, const struct job_list *jobs, size_t first)
{
	int counts[CHAIN_STATE_COUNT] = {0};
	const struct chain_row *chain = &jobs->items[first].chain;
	out_object(out, NULL);
	render_chain_id(out, "id", &jobs->items[first]);
	out_array(out, "jobs");
	for (size_t i = first; i < jobs->count; i++) {
		if (jobs->items[i].chain.seq != chain->seq)
			continue;
		out_string(out, NULL, jobs->items[i].id);
		counts[jobs->items[i].state]++;
	}
	out_end(out);
	out_string(out, "state", chain_state_name(chain_state_of(counts)));
	out_int(out, "attempt", chain->attempt);
	out_string(out, "slurm_job_id", chain->slurm_job_id);
	render_budget(out, chain);
	out_end(out);
}

static bool is_first_of_chain(const struct job_list *jobs, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (jobs->items[i].chain.seq == jobs->items[index].chain.seq)
			return false;
	return true;
}

/* text: the scheduler's own JSON, or NULL. */
static void render_placement(struct json_out *out, const char *text)
{
	if (text != NULL)
		out_json(out, "placement", text);
	else
		out_null(out, "placement");
}

void render_evaluation_open(struct json_out *out, const struct evaluation_row *row, const struct job_list *jobs)
{
	out_object(out, NULL);
	out_string(out, "id", row->id);
	out_string(out, "user", row->user);
	out_string(out, "cluster", row->cluster);
	out_string(out, "state", row->state);
	out_time(out, "created_at", row->created_at);
	out_time(out, "updated_at", row->updated_at);
	render_labels(out, row->labels, row->label_count);
	out_string(out, "model", row->model);
	out_string(out, "config_hash", row->config_hash);
	out_json(out, "images", row->images); /* the service's own JSON */
	render_placement(out, row->placement);
	render_counts(out, jobs);
	render_warnings(out, row->warnings);
	out_array(out, "chains");
	for (size_t i = 0; i < jobs->count; i++)
		if (is_first_of_chain(jobs, i))
			render_chain(out, jobs, i);
	out_end(out);
	out_array(out, "jobs");
	for (size_t i = 0; i < jobs->count; i++)
		render_job(out, &jobs->items[i]);
	out_end(out);
}

void render_evaluation(struct json_out *out, const struct evaluation_row *row, const struct job_list *jobs)
{
	render_evaluation_open(out, row, jobs);
	out_end(out);
}

static void render_progress(struct json_out *out, const struct job_row *job)
{
	if (job->progress < 0) {
		out_null(out, "progress");
		return;
	}
	bool running = job->state == CHAIN_RUNNING;
	int64_t total = progress_total(job->progress, job->progress_total);
	double rate = running ? progress_rate(&job->window, job->progress, job->observed_at) : -1;
	int64_t eta_s = progress_eta_s(job->progress, job->progress_total, rate);
	out_object(out, "progress");
	out_int(out, "requests", job->progress);
	out_int_or_null(out, "total", total, total >= 0);
	out_double(out, "rate_per_s", rate >= 0 ? rate : NAN);
	out_int_or_null(out, "eta_s", eta_s, eta_s >= 0);
	out_end(out);
}

static void render_use(struct json_out *out, const struct gpu_use *use)
{
	if (use->samples == 0) {
		out_null(out, "gpu_utilization");
		return;
	}
	out_object(out, "gpu_utilization");
	out_double(out, "mean", gpu_use_mean(use));
	out_double(out, "below_10_percent", gpu_use_low_share(use));
	out_end(out);
}

static void render_queue(struct json_out *out, const struct job_row *job)
{
	const struct job_queue *queue = &job->queue;
	bool here = queue->position > 0;
	if (!here && queue->slurm_reason == NULL) {
		out_null(out, "queue");
		return;
	}
	out_object(out, "queue");
	out_string(out, "in", here ? "service" : "slurm");
	out_int_or_null(out, "position", queue->position, here);
	out_int_or_null(out, "of", queue->of, here);
	out_string(out, "reason", here ? queue->hold : queue->slurm_reason);
	out_int_or_null(out, "count", queue->has, here && queue->limited);
	out_int_or_null(out, "limit", queue->most, here && queue->limited);
	out_time(out, "until", here ? queue->until : 0);
	out_time(out, "expected_start", here ? 0 : queue->expected_start);
	out_end(out);
}

static void render_job_status(struct json_out *out, const struct job_row *job)
{
	out_string(out, "state", chain_state_name(job->state));
	out_string(out, "reason", job->reason);
	out_string(out, "waiting_on", job->waiting_on);
	render_queue(out, job);
	render_chain_id(out, "chain", job);
	out_string(out, "slurm_job_id", job->chain.slurm_job_id);
	out_int(out, "attempt", job->chain.attempt);
	render_progress(out, job);
	render_use(out, &job->use);
	render_budget(out, &job->chain);
	out_string(out, "reused_from", job->reused_from);
	out_json(out, "export", job->export_);                                   /* the scheduler's own JSON */
	out_json(out, "warnings", job->warnings != NULL ? job->warnings : "[]"); /* and this is */
}

static void job_members(struct json_out *out, const struct job_row *job)
{
	out_string(out, "id", job->id);
	out_string(out, "evaluation", job->evaluation);
	out_string(out, "task", job->task);
	out_int(out, "index", job->index);
	out_string(out, "user", job->user);
	out_string(out, "cluster", job->cluster);
	out_string(out, "model", job->model);
	out_string(out, "partition", job->partition);
	out_string(out, "account", job->account);
	out_int_or_null(out, "gpus", job->gpus, job->gpus >= 0);
	render_job_status(out, job);
	out_time(out, "observed_at", job->observed_at);
	out_time(out, "created_at", job->created_at);
	out_time(out, "started_at", job->started_at);
	out_time(out, "ended_at", job->ended_at);
	out_string(out, "rundir", job->job_dir);
}

void render_job(struct json_out *out, const struct job_row *job)
{
	out_object(out, NULL);
	job_members(out, job);
	out_end(out);
}

/* remaining_s: of the walltime budget after this attempt; -1: there is no bound, or it is of a budget that was reset.
 */
static void render_attempt(struct json_out *out, const struct attempt_row *attempt, int64_t remaining_s)
{
	bool ended = attempt->exit_code >= 0;
	out_object(out, NULL);
	out_int(out, "number", attempt->number);
	out_json(out, "jobs", attempt->jobs); /* the scheduler's own JSON */
	out_string(out, "slurm_job_id", attempt->slurm_job_id);
	out_string(out, "slurm_state", attempt->slurm_state);
	out_int_or_null(out, "exit_code", attempt->exit_code, ended);
	out_int_or_null(out, "signal", attempt->signal, ended);
	out_string(out, "nodes", attempt->nodes);
	out_time(out, "submitted_at", attempt->submitted_at);
	out_time(out, "started_at", attempt->started_at);
	out_time(out, "ended_at", attempt->ended_at);
	out_int_or_null(out, "elapsed_s", attempt->elapsed_s, attempt->elapsed_s >= 0);
	out_int(out, "time_limit_s", attempt->time_limit_s);
	out_string(out, "pending_reason", attempt->pending_reason);
	out_time(out, "start_estimate", attempt->start_estimate);
	out_time(out, "withdrawn_at", attempt->withdrawn_at);
	out_int_or_null(out, "budget_remaining_s", remaining_s, remaining_s >= 0);
	out_end(out);
}

static void render_change(struct json_out *out, const struct history_row *change)
{
	out_object(out, NULL);
	out_time(out, "at", change->at);
	out_string(out, "from", change->from);
	out_string(out, "to", change->to);
	out_string(out, "reason", change->reason);
	out_end(out);
}

static void render_attempts(struct json_out *out, const struct job_row *job, const struct attempt_list *attempts)
{
	int64_t used_s = 0;
	for (size_t i = 0; i < attempts->count; i++) {
		const struct attempt_row *attempt = &attempts->items[i];
		bool counts = job->chain.budget_limit_s >= 0 && attempt->number >= job->chain.budget_from_attempt;
		if (counts && attempt->elapsed_s > 0)
			used_s += attempt->elapsed_s;
		int64_t left_s = job->chain.budget_limit_s > used_s ? job->chain.budget_limit_s - used_s : 0;
		render_attempt(out, attempt, counts ? left_s : -1);
	}
}

static void render_lines(struct json_out *out, const char *text)
{
	while (text != NULL && *text != '\0') {
		size_t length = strcspn(text, "\n");
		CLEANUP(mem_freep) char *line = mem_dup(text, length);
		out_string(out, NULL, line);
		text += length + (text[length] == '\n');
	}
}

static void render_failure(struct json_out *out, const struct failure_row *failure)
{
	if (failure->log == NULL && failure->advice == NULL) {
		out_null(out, "failure");
		return;
	}
	out_object(out, "failure");
	out_string(out, "log", failure->log);
	out_array(out, "lines");
	render_lines(out, failure->lines);
	out_end(out);
	out_string(out, "advice", failure->advice);
	out_end(out);
}

void render_job_detail(struct json_out *out, const struct job_row *job, const struct attempt_list *attempts,
		       const struct history_list *history, const struct failure_row *failure, const char *placement)
{
	out_object(out, NULL);
	job_members(out, job);
	render_placement(out, placement);
	render_failure(out, failure);
	out_array(out, "attempts");
	render_attempts(out, job, attempts);
	out_end(out);
	out_array(out, "history");
	for (size_t i = 0; i < history->count; i++)
		render_change(out, &history->items[i]);
	out_end(out);
	out_end(out);
}

struct render_score_of render_score_of_job(const struct job_row *job, const struct job_basis *basis)
{
	return (struct render_score_of){
	    .job = job->id,
	    .evaluation = job->evaluation,
	    .user = job->user,
	    .model = job->model,
	    .state = chain_state_name(job->state),
	    .ended_at = job->ended_at,
	    .basis = basis,
	};
}

static void out_short_hash(struct json_out *out, const char *name, const char *hash)
{
	CLEANUP(mem_freep) char *text = hash != NULL ? mem_strndup(hash, SHORT_HASH) : NULL;
	out_string(out, name, text);
}

void render_subject(struct json_out *out, const struct job_basis *basis)
{
	out_string(out, "checkpoint", basis->checkpoint);
	out_short_hash(out, "subject", basis->subject_hash);
}

void render_protocol(struct json_out *out, const struct job_basis *basis)
{
	out_string(out, "harness", basis->harness);
	out_string(out, "image", basis->image);
	out_json(out, "params", basis->params); /* the service's own JSON */
	out_string(out, "params_hash", basis->params_hash);
	out_short_hash(out, "protocol", basis->protocol_hash);
}

void render_basis(struct json_out *out, const struct job_basis *basis)
{
	if (basis->subject_parts == NULL || basis->protocol_parts == NULL) {
		out_null(out, NULL);
		return;
	}
	out_object(out, NULL);
	out_json(out, "subject", basis->subject_parts);
	out_json(out, "protocol", basis->protocol_parts);
	out_end(out);
}

void render_short_hash_csv(struct str *s, const char *hash)
{
	CLEANUP(mem_freep) char *text = hash != NULL ? mem_strndup(hash, SHORT_HASH) : NULL;
	csv_text(s, text);
}

void render_comma_list(struct json_out *out, const char *name, const char *list)
{
	if (list[0] == '\0') {
		out_null(out, name);
		return;
	}
	out_array(out, name);
	for (const char *at = list + 1; *at != '\0';) {
		size_t len = strcspn(at, ",");
		CLEANUP(mem_freep) char *item = mem_strndup(at, len);
		out_string(out, NULL, item);
		at += len + (at[len] == ',');
	}
	out_end(out);
}

void render_interval(struct json_out *out, const char *name, struct interval interval)
{
	if (!isfinite(interval.lo) || !isfinite(interval.hi)) {
		out_null(out, name);
		return;
	}
	out_array(out, name);
	out_double(out, NULL, interval.lo);
	out_double(out, NULL, interval.hi);
	out_end(out);
}

void render_score(struct json_out *out, const struct render_score_of *of, const struct score *row)
{
	out_object(out, NULL);
	out_string(out, "evaluation", of->evaluation);
	out_string(out, "job", of->job);
	out_string(out, "user", of->user);
	out_string(out, "model", of->model);
	out_string(out, "state", of->state);
	out_time(out, "ended_at", of->ended_at);
	out_string(out, "task", row->task);
	out_bool(out, "group", row->group);
	out_string(out, "metric", row->metric);
	out_string(out, "score", row->score);
	out_double(out, "value", row->value);
	out_double(out, "stderr", row->stderr_);
	render_interval(out, "ci95", evidence_interval(row));
	out_int_or_null(out, "count", row->count, row->count >= 0);
	render_subject(out, of->basis);
	render_protocol(out, of->basis);
	out_end(out);
}

void render_score_csv_heading(struct str *s)
{
	str_append(s, "evaluation,job,user,model,state,ended_at,task,group,metric,score,value,stderr,count,"
		      "checkpoint,subject,harness,image,params,params_hash,protocol,ci95_low,ci95_high\r\n");
}

void render_score_csv(struct str *s, const struct render_score_of *of, const struct score *row)
{
	const char *const texts[] = {of->evaluation, of->job, of->user, of->model, of->state};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		csv_text(s, texts[i]);
		str_append_c(s, ',');
	}
	char at[CLOCK_RFC3339_SIZE];
	if (of->ended_at != 0)
		str_append(s, clock_rfc3339(of->ended_at, at));
	str_append_c(s, ',');
	csv_text(s, row->task);
	str_append(s, row->group ? ",true," : ",false,");
	csv_text(s, row->metric);
	str_append_c(s, ',');
	csv_text(s, row->score);
	str_append_c(s, ',');
	csv_double(s, row->value);
	str_append_c(s, ',');
	csv_double(s, row->stderr_);
	str_append_c(s, ',');
	if (row->count >= 0)
		str_appendf(s, "%" PRId64, row->count);
	const struct job_basis *basis = of->basis;
	str_append_c(s, ',');
	csv_text(s, basis->checkpoint);
	str_append_c(s, ',');
	render_short_hash_csv(s, basis->subject_hash);
	const char *const how[] = {basis->harness, basis->image, basis->params, basis->params_hash};
	for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
		str_append_c(s, ',');
		csv_text(s, how[i]);
	}
	str_append_c(s, ',');
	render_short_hash_csv(s, basis->protocol_hash);
	struct interval interval = evidence_interval(row);
	str_append_c(s, ',');
	csv_double(s, interval.lo);
	str_append_c(s, ',');
	csv_double(s, interval.hi);
	str_append(s, "\r\n");
}
