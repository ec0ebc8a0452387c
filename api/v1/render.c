/* Owns the order and the names of the members that clients see. */
#include "api/v1/render.h"

#include "api/http/csv_out.h"
#include "api/http/problem.h"
#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

#define SHORT_HASH 16 /* digits: enough to tell a team's apart */

/* text: a JSON array as the store keeps it. Nearly always empty, so that case takes no parser. */
static void render_stored_problems(struct str *s, const char *text)
{
	if (text == NULL || strcmp(text, "[]") == 0) {
		OUT(s, "[]");
		return;
	}
	json_t *problems = json_loads(text, 0, NULL);
	problem_list(s, problems);
	json_decref(problems);
}

static void render_counts(struct str *s, const struct job_list *jobs)
{
	int counts[CHAIN_STATE_COUNT] = {0};
	for (size_t i = 0; i < jobs->count; i++)
		counts[jobs->items[i].state]++;
	OUT(s, "{\"total\":");
	out_int(s, (int64_t)jobs->count);
	for (int state = 0; state < CHAIN_STATE_COUNT; state++) {
		OUT(s, ",\"");
		str_append(s, chain_state_name((enum chain_state)state));
		OUT(s, "\":");
		out_int(s, counts[state]);
	}
	OUT(s, "}");
}

static void render_labels(struct str *s, const struct label *labels, size_t count)
{
	OUT(s, "{");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			OUT(s, ",");
		out_string(s, labels[i].key);
		OUT(s, ":");
		out_string(s, labels[i].value);
	}
	OUT(s, "}");
}

void render_evaluation(struct str *s, const struct evaluation_row *row, const struct job_list *jobs)
{
	OUT(s, "{\"id\":");
	out_string(s, row->id);
	OUT(s, ",\"user\":");
	out_string(s, row->user);
	OUT(s, ",\"cluster\":");
	out_string(s, row->cluster);
	OUT(s, ",\"state\":");
	out_string(s, row->state);
	OUT(s, ",\"created_at\":");
	out_time(s, row->created_at);
	OUT(s, ",\"updated_at\":");
	out_time(s, row->updated_at);
	OUT(s, ",\"labels\":");
	render_labels(s, row->labels, row->label_count);
	OUT(s, ",\"model\":");
	out_string(s, row->model);
	OUT(s, ",\"config_hash\":");
	out_string(s, row->config_hash);
	OUT(s, ",\"images\":");
	str_append(s, row->images); /* the service's own JSON */
	OUT(s, ",\"counts\":");
	render_counts(s, jobs);
	OUT(s, ",\"warnings\":");
	render_stored_problems(s, row->warnings);
	OUT(s, ",\"jobs\":[");
	for (size_t i = 0; i < jobs->count; i++) {
		if (i > 0)
			OUT(s, ",");
		render_job(s, &jobs->items[i]);
	}
	OUT(s, "]}");
}

static void render_budget(struct str *s, const struct job_row *job)
{
	bool limited = job->budget_limit_s >= 0;
	int64_t remaining = job->budget_limit_s - job->budget_used_s;
	OUT(s, "{\"limit_s\":");
	out_int_or_null(s, job->budget_limit_s, limited);
	OUT(s, ",\"used_s\":");
	out_int(s, job->budget_used_s);
	OUT(s, ",\"remaining_s\":");
	out_int_or_null(s, remaining > 0 ? remaining : 0, limited);
	OUT(s, "}");
}

static void render_job_status(struct str *s, const struct job_row *job)
{
	OUT(s, ",\"state\":");
	out_string(s, chain_state_name(job->state));
	OUT(s, ",\"reason\":");
	out_string(s, job->reason);
	OUT(s, ",\"waiting_on\":");
	out_string(s, job->waiting_on);
	OUT(s, ",\"slurm_job_id\":");
	out_string(s, job->slurm_job_id);
	OUT(s, ",\"attempt\":");
	out_int(s, job->attempt);
	OUT(s, ",\"progress\":");
	if (job->progress >= 0) {
		OUT(s, "{\"requests\":");
		out_int(s, job->progress);
		OUT(s, "}");
	} else {
		OUT(s, "null");
	}
	OUT(s, ",\"budget\":");
	render_budget(s, job);
	OUT(s, ",\"export\":");
	str_append(s, job->export_ != NULL ? job->export_ : "null"); /* the scheduler's own JSON */
	OUT(s, ",\"warnings\":");
	str_append(s, job->warnings != NULL ? job->warnings : "[]"); /* and this is */
}

/* Without the closing brace, so that more members may follow. */
static void render_job_open(struct str *s, const struct job_row *job)
{
	OUT(s, "{\"id\":");
	out_string(s, job->id);
	OUT(s, ",\"evaluation\":");
	out_string(s, job->evaluation);
	OUT(s, ",\"task\":");
	out_string(s, job->task);
	OUT(s, ",\"index\":");
	out_int(s, job->index);
	render_job_status(s, job);
	OUT(s, ",\"observed_at\":");
	out_time(s, job->observed_at);
	OUT(s, ",\"created_at\":");
	out_time(s, job->created_at);
	OUT(s, ",\"started_at\":");
	out_time(s, job->started_at);
	OUT(s, ",\"ended_at\":");
	out_time(s, job->ended_at);
	OUT(s, ",\"rundir\":");
	out_string(s, job->job_dir);
}

void render_job(struct str *s, const struct job_row *job)
{
	render_job_open(s, job);
	OUT(s, "}");
}

/* remaining_s: of the walltime budget after this attempt; -1: there is no bound, or it is of a budget that was reset.
 */
static void render_attempt(struct str *s, const struct attempt_row *attempt, int64_t remaining_s)
{
	bool ended = attempt->exit_code >= 0;
	OUT(s, "{\"number\":");
	out_int(s, attempt->number);
	OUT(s, ",\"slurm_job_id\":");
	out_string(s, attempt->slurm_job_id);
	OUT(s, ",\"slurm_state\":");
	out_string(s, attempt->slurm_state);
	OUT(s, ",\"exit_code\":");
	out_int_or_null(s, attempt->exit_code, ended);
	OUT(s, ",\"signal\":");
	out_int_or_null(s, attempt->signal, ended);
	OUT(s, ",\"nodes\":");
	out_string(s, attempt->nodes);
	OUT(s, ",\"submitted_at\":");
	out_time(s, attempt->submitted_at);
	OUT(s, ",\"started_at\":");
	out_time(s, attempt->started_at);
	OUT(s, ",\"ended_at\":");
	out_time(s, attempt->ended_at);
	OUT(s, ",\"elapsed_s\":");
	out_int_or_null(s, attempt->elapsed_s, attempt->elapsed_s >= 0);
	OUT(s, ",\"time_limit_s\":");
	out_int(s, attempt->time_limit_s);
	OUT(s, ",\"pending_reason\":");
	out_string(s, attempt->pending_reason);
	OUT(s, ",\"start_estimate\":");
	out_time(s, attempt->start_estimate);
	OUT(s, ",\"budget_remaining_s\":");
	out_int_or_null(s, remaining_s, remaining_s >= 0);
	OUT(s, "}");
}

static void render_change(struct str *s, const struct history_row *change)
{
	OUT(s, "{\"at\":");
	out_time(s, change->at);
	OUT(s, ",\"from\":");
	out_string(s, change->from);
	OUT(s, ",\"to\":");
	out_string(s, change->to);
	OUT(s, ",\"reason\":");
	out_string(s, change->reason);
	OUT(s, "}");
}

static void render_attempts(struct str *s, const struct job_row *job, const struct attempt_list *attempts)
{
	int64_t used_s = 0;
	for (size_t i = 0; i < attempts->count; i++) {
		const struct attempt_row *attempt = &attempts->items[i];
		bool counts = job->budget_limit_s >= 0 && attempt->number >= job->budget_from_attempt;
		if (counts && attempt->elapsed_s > 0)
			used_s += attempt->elapsed_s;
		int64_t left_s = job->budget_limit_s > used_s ? job->budget_limit_s - used_s : 0;
		if (i > 0)
			OUT(s, ",");
		render_attempt(s, attempt, counts ? left_s : -1);
	}
}

static void render_lines(struct str *s, const char *text)
{
	const char *separator = "";
	while (text != NULL && *text != '\0') {
		size_t length = strcspn(text, "\n");
		CLEANUP(mem_freep) char *line = mem_dup(text, length);
		str_append(s, separator);
		out_string(s, line);
		separator = ",";
		text += length + (text[length] == '\n');
	}
}

static void render_failure(struct str *s, const struct failure_row *failure)
{
	if (failure->log == NULL && failure->advice == NULL) {
		OUT(s, "null");
		return;
	}
	OUT(s, "{\"log\":");
	out_string(s, failure->log);
	OUT(s, ",\"lines\":[");
	render_lines(s, failure->lines);
	OUT(s, "],\"advice\":");
	out_string(s, failure->advice);
	OUT(s, "}");
}

void render_job_detail(struct str *s, const struct job_row *job, const struct attempt_list *attempts,
		       const struct history_list *history, const struct failure_row *failure)
{
	render_job_open(s, job);
	OUT(s, ",\"failure\":");
	render_failure(s, failure);
	OUT(s, ",\"attempts\":[");
	render_attempts(s, job, attempts);
	OUT(s, "],\"history\":[");
	for (size_t i = 0; i < history->count; i++) {
		if (i > 0)
			OUT(s, ",");
		render_change(s, &history->items[i]);
	}
	OUT(s, "]}");
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

static void out_short_hash(struct str *s, const char *hash)
{
	CLEANUP(mem_freep) char *text = hash != NULL ? mem_strndup(hash, SHORT_HASH) : NULL;
	out_string(s, text);
}

void render_subject(struct str *s, const struct job_basis *basis)
{
	OUT(s, "\"checkpoint\":");
	out_string(s, basis->checkpoint);
	OUT(s, ",\"subject\":");
	out_short_hash(s, basis->subject_hash);
}

void render_protocol(struct str *s, const struct job_basis *basis)
{
	OUT(s, "\"harness\":");
	out_string(s, basis->harness);
	OUT(s, ",\"image\":");
	out_string(s, basis->image);
	OUT(s, ",\"params\":");
	str_append(s, basis->params != NULL ? basis->params : "null"); /* the service's own JSON */
	OUT(s, ",\"params_hash\":");
	out_string(s, basis->params_hash);
	OUT(s, ",\"protocol\":");
	out_short_hash(s, basis->protocol_hash);
}

void render_basis(struct str *s, const struct job_basis *basis)
{
	if (basis->subject_parts == NULL || basis->protocol_parts == NULL) {
		OUT(s, "null");
		return;
	}
	OUT(s, "{\"subject\":");
	str_append(s, basis->subject_parts);
	OUT(s, ",\"protocol\":");
	str_append(s, basis->protocol_parts);
	OUT(s, "}");
}

void render_short_hash_csv(struct str *s, const char *hash)
{
	CLEANUP(mem_freep) char *text = hash != NULL ? mem_strndup(hash, SHORT_HASH) : NULL;
	csv_text(s, text);
}

void render_score(struct str *s, const struct render_score_of *of, const struct result_row *row)
{
	OUT(s, "{\"evaluation\":");
	out_string(s, of->evaluation);
	OUT(s, ",\"job\":");
	out_string(s, of->job);
	OUT(s, ",\"user\":");
	out_string(s, of->user);
	OUT(s, ",\"model\":");
	out_string(s, of->model);
	OUT(s, ",\"state\":");
	out_string(s, of->state);
	OUT(s, ",\"ended_at\":");
	out_time(s, of->ended_at);
	OUT(s, ",\"task\":");
	out_string(s, row->task);
	OUT(s, ",\"group\":");
	out_bool(s, row->group);
	OUT(s, ",\"metric\":");
	out_string(s, row->metric);
	OUT(s, ",\"score\":");
	out_string(s, row->score);
	OUT(s, ",\"value\":");
	out_double(s, row->value);
	OUT(s, ",\"stderr\":");
	out_double(s, row->stderr_);
	OUT(s, ",\"count\":");
	out_int_or_null(s, row->count, row->count >= 0);
	OUT(s, ",");
	render_subject(s, of->basis);
	OUT(s, ",");
	render_protocol(s, of->basis);
	OUT(s, "}");
}

void render_score_csv_heading(struct str *s)
{
	str_append(s, "evaluation,job,user,model,state,ended_at,task,group,metric,score,value,stderr,count,"
		      "checkpoint,subject,harness,image,params,params_hash,protocol\r\n");
}

void render_score_csv(struct str *s, const struct render_score_of *of, const struct result_row *row)
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
		out_int(s, row->count);
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
	str_append(s, "\r\n");
}
