#include "sched/attempt_intent.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "chain/budget.h"
#include "sched/advance.h"
#include "slurm/script.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The next attempt of a chain, not yet stored. */
static int plan_attempt(const struct active_chain *chain, const struct eval_plan *plan, int number,
			int64_t time_limit_s, int64_t now_s, struct attempt_row *ret_row, struct nel_err *err)
{
	if (chain->job.index < 0 || (size_t)chain->job.index >= plan->job_count)
		return err_set(err, NEL_DB, "job %s: its evaluation has %zu tasks", chain->job.id, plan->job_count);
	const struct plan_job *plan_job = &plan->jobs[chain->job.index];
	const struct attempt_row *before = &chain->attempt;
	/* Only once, so not in mode in_job: the next attempt would be queued from the same script. */
	bool node_failed = before->number > 0 && before->slurm_state != NULL && before->nodes != NULL &&
			   strcmp(before->slurm_state, "NODE_FAIL") == 0 && strpbrk(before->nodes, "[,") == NULL &&
			   !active_chain_resumes_in_job(chain);
	*ret_row = (struct attempt_row){
	    .job_seq = chain->seq,
	    .number = number,
	    .gpus = eval_plan_gpus(plan),
	    .progress_before = chain->job.progress > 0 ? chain->job.progress : 0,
	    .idle_before = before->idle_before + (before->idle ? 1 : 0),
	    .job_name = script_job_name(plan, plan_job, chain->job.evaluation, number),
	    .time_limit_s = time_limit_s,
	    .after_job = before->number > 0 ? mem_strdup(before->slurm_job_id) : NULL,
	    .exclude_node = node_failed ? mem_strdup(before->nodes) : NULL,
	    .intended_at = now_s,
	    .elapsed_s = -1,
	    .exit_code = -1,
	};
	return 0;
}

static int store_attempt(struct scheduler *s, const struct active_chain *chain, const struct eval_plan *plan,
			 const struct attempt_row *row, struct nel_err *err)
{
	struct str header = {0};
	struct attempt_order order = {.job_index = chain->job.index,
				      .number = row->number,
				      .job_name = row->job_name,
				      .time_limit_s = row->time_limit_s,
				      .after_job = row->after_job,
				      .exclude_node = row->exclude_node,
				      .budget_from = chain->job.budget_from_attempt,
				      .budget_left_s = chain->job.budget_limit_s >= 0
							   ? chain->job.budget_limit_s - chain->job.budget_used_s
							   : chain->job.budget_limit_s};
	int rc = script_render_header(plan, &order, chain->job.evaluation, chain->job.job_dir, &header, err);
	if (rc == 0)
		rc = attempts_insert(s->db, row, str_text(&header), script_body(), err);
	str_done(&header);
	return rc;
}

/* The row becomes the chain's newest attempt. */
static void take_over(struct active_chain *chain, const struct attempt_row *row)
{
	if (chain->attempt.elapsed_s > 0 && chain->attempt.number >= chain->job.budget_from_attempt)
		chain->used_before_s += chain->attempt.elapsed_s;
	attempt_row_done(&chain->attempt);
	chain->attempt = *row;
	chain->job.attempt = row->number;
	free(chain->job.slurm_job_id);
	chain->job.slurm_job_id = NULL;
	(void)progress_window_clear(&chain->job.window);
}

/* Commits the intent to submit: the attempt's row with its script, and the chain's state. */
static int intend(struct scheduler *s, struct active_chain *chain, const struct eval_plan *plan, struct nel_err *err)
{
	int64_t now_s = clock_now_s();
	int64_t limit_s =
	    budget_next_time_limit(chain->job.walltime_s, chain->job.budget_limit_s, chain->job.budget_used_s);
	if (limit_s == 0 && chain->job.state == CHAIN_RESUMING)
		return advance_end(s, chain, EVENT_END_BUDGET, "the walltime budget has less than 60 s left", err);
	if (limit_s == 0)
		return advance_end(s, chain, EVENT_END_FAILURE, "execution.max_walltime is shorter than 60 s", err);
	struct attempt_row row = {0};
	if (plan_attempt(chain, plan, chain->job.attempt + 1, limit_s, now_s, &row, err) != 0 ||
	    store_attempt(s, chain, plan, &row, err) != 0) {
		attempt_row_done(&row);
		return -1;
	}
	take_over(chain, &row);
	chain->first_send = true;
	char reason[96];
	snprintf(reason, sizeof reason, "attempt %d, for at most %" PRId64 " s", row.number, limit_s);
	return advance_apply(s, chain, EVENT_ADMIT, reason, "the cluster to take the job", err);
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

int attempt_intent_found(struct scheduler *s, struct active_chain *chain, const struct eval_plan *plan, int number,
			 int64_t submitted_s, struct nel_err *err)
{
	struct attempt_row row = {0};
	int64_t limit_s =
	    budget_next_time_limit(chain->job.walltime_s, chain->job.budget_limit_s, chain->job.budget_used_s);
	if (plan_attempt(chain, plan, number, limit_s > 0 ? limit_s : chain->job.walltime_s,
			 submitted_s != 0 ? submitted_s : clock_now_s(), &row, err) != 0 ||
	    store_attempt(s, chain, plan, &row, err) != 0) {
		attempt_row_done(&row);
		return -1;
	}
	take_over(chain, &row);
	chain->first_send = false;
	return 0;
}
