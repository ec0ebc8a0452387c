#include "sched/attempt_intent.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "chain/budget.h"
#include "chain/shortest_first.h"
#include "db/likenesses.h"
#include "sched/advance.h"
#include "sched/walltime_choice.h"
#include "slurm/script.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the next attempt is of: the job itself, or those of a shared chain. */
struct riders {
	int *jobs;
	int *resumed_for;
	size_t count;
	char *ids; /* a JSON array */
	int64_t progress;
};

static void riders_done(struct riders *riders)
{
	free(riders->jobs);
	free(riders->resumed_for);
	free(riders->ids);
}

/* How long an equal job took; 0: not known. */
static int duration_of(struct db *db, const struct job_row *job, int64_t *ret_s, struct nel_err *err)
{
	CLEANUP(job_basis_done) struct job_basis basis = {0};
	if (likenesses_basis(db, job->seq, &basis, err) != 0)
		return -1;
	if (basis.subject_hash == NULL || basis.protocol_hash == NULL)
		return 0;
	return likenesses_duration(db, job->task, basis.subject_hash, basis.protocol_hash, ret_s, err);
}

/* In the order in which they are evaluated. */
static int find_riders(struct db *db, const struct active_chain *chain, const struct eval_plan *plan,
		       bool (*is_one)(const struct active_chain *), struct riders *riders, struct nel_err *err)
{
	const struct chain_common *common = chain->common;
	bool by_length = active_chain_is_shared(chain) && plan->share_order == SHARE_SHORTEST_FIRST;
	CLEANUP(mem_freep)
	struct active_chain **found = mem_calloc(common->member_count, sizeof(struct active_chain *));
	CLEANUP(mem_freep) int64_t *durations_s = mem_calloc(common->member_count, sizeof *durations_s);
	CLEANUP(mem_freep) size_t *order = mem_calloc(common->member_count, sizeof *order);
	for (size_t i = 0; i < common->member_count; i++) {
		if (!is_one(common->members[i]))
			continue;
		if (by_length && duration_of(db, &common->members[i]->job, &durations_s[riders->count], err) != 0)
			return -1;
		found[riders->count++] = common->members[i];
	}
	shortest_first(durations_s, riders->count, order);
	CLEANUP(json_freep) json_t *ids = json_array();
	riders->jobs = mem_calloc(riders->count, sizeof *riders->jobs);
	riders->resumed_for = mem_calloc(riders->count, sizeof *riders->resumed_for);
	for (size_t i = 0; i < riders->count; i++) {
		const struct job_row *job = &found[order[i]]->job;
		riders->jobs[i] = job->index;
		riders->resumed_for[i] = job->from_attempt;
		riders->progress += job->progress > 0 ? job->progress : 0;
		json_array_append_new(ids, json_string(job->id));
	}
	riders->ids = json_dumps(ids, JSON_COMPACT);
	return 0;
}

/* The next attempt of a chain, not yet stored. */
static int plan_attempt(const struct active_chain *chain, const struct eval_plan *plan, const struct riders *riders,
			int number, int64_t time_limit_s, int64_t now_s, struct attempt_row *ret_row,
			struct nel_err *err)
{
	const struct plan_job *plan_job = eval_plan_job(plan, chain->job.index);
	if (plan_job == NULL)
		return err_set(err, NEL_DB, "job %s: its evaluation has %zu tasks", chain->job.id, plan->job_count);
	const struct attempt_row *before = &chain->common->attempt;
	/* Only once, so not in mode in_job: the next attempt would be queued from the same script. */
	bool node_failed = before->number > 0 && before->slurm_state != NULL && before->nodes != NULL &&
			   strcmp(before->slurm_state, "NODE_FAIL") == 0 && strpbrk(before->nodes, "[,") == NULL &&
			   !active_chain_resumes_in_job(chain);
	*ret_row = (struct attempt_row){
	    .chain_seq = chain->seq,
	    .number = number,
	    .jobs = mem_strdup(riders->ids),
	    .gpus = eval_plan_gpus(plan),
	    .progress_before = riders->progress,
	    .idle_before = before->idle_before + (before->idle ? 1 : 0),
	    .job_name = active_chain_is_shared(chain)
			    ? script_shared_name(plan, chain->common->row.number, chain->job.evaluation, number)
			    : script_job_name(plan, plan_job, chain->job.evaluation, number),
	    .time_limit_s = time_limit_s,
	    .after_job = before->number > 0 && before->withdrawn_at == 0 ? mem_strdup(before->slurm_job_id) : NULL,
	    .exclude_node = node_failed ? mem_strdup(before->nodes) : NULL,
	    .intended_at = now_s,
	    .elapsed_s = -1,
	    .exit_code = -1,
	};
	return 0;
}

enum resume_mode attempt_intent_resume_mode(const struct active_chain *chain, const struct eval_plan *plan)
{
	bool kept = plan->resume_mode == RESUME_IN_JOB && !active_chain_resumes_in_job(chain);
	return kept ? RESUME_DAEMON : plan->resume_mode;
}

static int store_attempt(struct scheduler *s, const struct active_chain *chain, const struct eval_plan *plan,
			 const struct riders *riders, const struct attempt_row *row, struct nel_err *err)
{
	struct str header = {0};
	const struct chain_row *carrier = &chain->common->row;
	bool shared = active_chain_is_shared(chain);
	const struct share_order share = {.number = carrier->number,
					  .jobs = riders->jobs,
					  .resumed_for = riders->resumed_for,
					  .job_count = riders->count,
					  .at_once = carrier->at_once};
	struct attempt_order order = {.job_index = chain->job.index,
				      .number = row->number,
				      .job_name = row->job_name,
				      .time_limit_s = row->time_limit_s,
				      .after_job = row->after_job,
				      .exclude_node = row->exclude_node,
				      .budget_from = carrier->budget_from_attempt,
				      .budget_left_s = carrier->budget_limit_s >= 0
							   ? carrier->budget_limit_s - carrier->budget_used_s
							   : carrier->budget_limit_s,
				      .share = shared ? &share : NULL};
	CLEANUP(mem_freep) char *chain_dir = active_chain_dir(chain);
	struct eval_plan of_chain = *plan;
	of_chain.resume_mode = attempt_intent_resume_mode(chain, plan);
	int rc = script_render_header(&of_chain, &order, chain->job.evaluation, chain_dir, &header, err);
	if (rc == 0)
		rc = attempts_insert(s->db, row, str_text(&header), shared ? script_shared_body() : script_body(), err);
	str_done(&header);
	return rc;
}

/* The row becomes the chain's newest attempt. */
static void take_over(struct active_chain *chain, const struct attempt_row *row)
{
	if (chain->common->attempt.elapsed_s > 0 &&
	    chain->common->attempt.number >= chain->common->row.budget_from_attempt)
		chain->common->used_before_s += chain->common->attempt.elapsed_s;
	attempt_row_done(&chain->common->attempt);
	chain->common->attempt = *row;
	chain->common->row.attempt = row->number;
	free(chain->common->row.slurm_job_id);
	chain->common->row.slurm_job_id = NULL;
	for (size_t i = 0; i < chain->common->member_count; i++) {
		struct job_row *job = &chain->common->members[i]->job;
		(void)progress_window_clear(&job->window);
		job->progress_before = job->progress > 0 ? job->progress : 0;
	}
}

/* Commits the intent to submit: the attempt's row with its script, and the state of the jobs that it is for. */
static int intend(struct scheduler *s, struct active_chain *chain, const struct eval_plan *plan, struct nel_err *err)
{
	struct chain_common *common = chain->common;
	int64_t now_s = clock_now_s();
	/* The budget may have been given anew while the others' attempt ran. */
	if (common->attempt.number > 0 && common->attempt.number < common->row.budget_from_attempt)
		common->row.budget_used_s = 0;
	int64_t limit_s =
	    budget_next_time_limit(common->row.walltime_s, common->row.budget_limit_s, common->row.budget_used_s);
	if (limit_s == 0 && chain->job.state == CHAIN_RESUMING)
		return advance_end_waiting(s, common, EVENT_END_BUDGET, "the walltime budget has less than 60 s left",
					   err);
	if (limit_s == 0)
		return advance_end_waiting(s, common, EVENT_END_FAILURE, "execution.max_walltime is shorter than 60 s",
					   err);
	struct attempt_row row = {0};
	struct walltime_range range;
	CLEANUP(riders_done) struct riders riders = {0};
	if (plan->walltime_auto) {
		if (walltime_choice_find(s->db, common, active_chain_waits, limit_s, common->row.attempt + 1, &range,
					 err) != 0)
			return -1;
		limit_s = range.most_s;
	}
	if (find_riders(s->db, chain, plan, active_chain_waits, &riders, err) != 0 ||
	    plan_attempt(chain, plan, &riders, common->row.attempt + 1, limit_s, now_s, &row, err) != 0 ||
	    store_attempt(s, chain, plan, &riders, &row, err) != 0) {
		attempt_row_done(&row);
		return -1;
	}
	take_over(chain, &row);
	char reason[128];
	snprintf(reason, sizeof reason, "attempt %d, for at most %" PRId64 " s%s", row.number, limit_s,
		 plan->walltime_auto ? "; execution.walltime is auto: the cluster is asked" : "");
	for (size_t i = 0; i < common->member_count; i++) {
		struct active_chain *member = common->members[i];
		if (!active_chain_waits(member))
			continue;
		member->first_send = true;
		if (advance_apply(s, member, EVENT_ADMIT, reason, "the cluster to take the job", err) != 0)
			return -1;
	}
	return 0;
}

int attempt_intent_store(struct scheduler *s, struct active_chain **group, size_t count, const struct eval_plan *plan,
			 struct nel_err *err)
{
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	if (db_begin(s->db, err) != 0)
		return -1;
	active_chains_touch(group, count);
	for (size_t i = 0; i < count; i++)
		if (group[i]->pending == ACTION_NONE && intend(s, group[i], plan, err) != 0)
			return -1;
	return db_commit(s->db, err);
}

static bool lives(const struct active_chain *chain)
{
	return !chain_state_is_end(chain->job.state) && !chain->ending;
}

int attempt_intent_found(struct scheduler *s, struct active_chain *chain, const struct eval_plan *plan, int number,
			 int64_t submitted_s, struct nel_err *err)
{
	struct attempt_row row = {0};
	CLEANUP(riders_done) struct riders riders = {0};
	int64_t limit_s = budget_next_time_limit(chain->common->row.walltime_s, chain->common->row.budget_limit_s,
						 chain->common->row.budget_used_s);
	if (find_riders(s->db, chain, plan, lives, &riders, err) != 0 ||
	    plan_attempt(chain, plan, &riders, number, limit_s > 0 ? limit_s : chain->common->row.walltime_s,
			 submitted_s != 0 ? submitted_s : clock_now_s(), &row, err) != 0 ||
	    store_attempt(s, chain, plan, &riders, &row, err) != 0) {
		attempt_row_done(&row);
		return -1;
	}
	take_over(chain, &row);
	chain->first_send = false;
	return 0;
}
