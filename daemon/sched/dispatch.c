/* Hands the remote work that is due to the lanes. Everything that changes a chain is committed before it is sent. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "chain/budget.h"
#include "db/evaluations.h"
#include "sched/advance.h"
#include "sched/exports.h"
#include "sched/scheduler_state.h"
#include "sched/transition.h"
#include "slurm/script.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define CANCELS_MAX 500 /* in one remote command */
#define SUBMIT_TIMEOUT_MIN_S 60

/* The chains that are due for something, in the order in which they are handled. */
struct due_list {
	struct active_chain **items;
	size_t count;
	size_t capacity;
};

static void due_add(struct due_list *list, struct active_chain *chain)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
		list->items = mem_realloc(list->items, list->capacity, sizeof *list->items);
	}
	list->items[list->count++] = chain;
}

static int by_evaluation(const void *a, const void *b)
{
	const struct active_chain *x = *(struct active_chain *const *)a;
	const struct active_chain *y = *(struct active_chain *const *)b;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* waiting: those that may go when their turn comes. busy: those whose submission is under way. */
static void sort_out(struct scheduler *s, struct due_list *waiting, struct due_list *busy, struct due_list *sends,
		     struct due_list *cancels, struct due_list *collects)
{
	int64_t now_s = clock_now_s();
	int64_t mono_ms = clock_mono_ms();
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (chain->in_flight && chain->pending == ACTION_SUBMIT)
			due_add(busy, chain);
		if (chain->in_flight || chain->stale || chain->due_ms > mono_ms)
			continue;
		switch (chain->pending) {
		case ACTION_NONE:
			chain->turn = 0;
			if (active_chain_awaits_turn(chain, now_s))
				due_add(cluster_watch_of(&s->watches, chain) != NULL ? waiting : sends, chain);
			break;
		case ACTION_SUBMIT:
			chain->turn = 0;
			due_add(sends, chain);
			break;
		case ACTION_CANCEL: due_add(cancels, chain); break;
		case ACTION_COLLECT: due_add(collects, chain); break;
		}
	}
}

/* Adds those whose turn has come to the sends. */
static void admit(struct scheduler *s, struct due_list *waiting, struct due_list *sends)
{
	size_t count = fair_share_take(s->fair_share, s->watches.settings, &s->chains, waiting->items, waiting->count);
	for (size_t i = 0; i < count; i++)
		due_add(sends, waiting->items[i]);
}

/* Where jobs have left Slurm, there may be room for those that it refused for a limit of its own. */
static void retry_limited(struct scheduler *s)
{
	for (size_t i = 0; i < s->watches.count; i++) {
		struct cluster_watch *watch = s->watches.items[i];
		if (watch->freed > 0 && s->limits_met)
			s->limits_met = fair_share_retry(s->fair_share, s->watches.settings, &s->chains,
							 watch->cluster->name, watch->identity, watch->freed);
		watch->freed = 0;
	}
}

static void fill_item(struct action_item *item, const struct active_chain *chain)
{
	*item = (struct action_item){
	    .seq = chain->seq,
	    .job_index = chain->job.index,
	    .attempt = chain->attempt.number,
	    .job_name = mem_strdup(chain->attempt.job_name),
	    .slurm_job_id = mem_strdup(chain->attempt.slurm_job_id),
	    .job_dir = mem_strdup(chain->job.job_dir),
	    .time_limit_s = chain->attempt.time_limit_s,
	    .after_job = mem_strdup(chain->attempt.after_job),
	    .exclude_node = mem_strdup(chain->attempt.exclude_node),
	    .submitted_at = chain->attempt.submitted_at,
	    .adopt_only = chain->job.state == CHAIN_CANCELLING,
	    .first_send = chain->first_send,
	    .budget_from = chain->job.budget_from_attempt,
	    .budget_left_s = chain->job.budget_limit_s >= 0 ? chain->job.budget_limit_s - chain->used_before_s
							    : chain->job.budget_limit_s,
	    .in_job = active_chain_resumes_in_job(chain),
	};
}

/* Gives the action away; false when the lane would not have it (then the chains try again later). */
static bool push(struct scheduler *s, struct action *action)
{
	struct nel_err err;
	if (lanes_push(s->lanes, action->cluster, action->identity, &action->work, &err) == 0)
		return true;
	log_debug("lane refused work", LOG_S("cluster", action->cluster), LOG_S("error", err.msg));
	return false;
}

/* The number at the end of "8", "a100:8", "gpu:8" or "gpu:a100:8"; "gpu" is one. */
static int64_t gpus_in(const char *text)
{
	const char *colon = strrchr(text, ':');
	long long count = 0;
	if (str_to_int(colon != NULL ? colon + 1 : text, 0, 1024, &count))
		return count;
	return 1;
}

/* What the script asks Slurm for, on all nodes. */
static int64_t gpus_of(const struct eval_plan *plan)
{
	int64_t per_node = 0;
	if (plan->gpus_per_node != NULL)
		per_node = gpus_in(plan->gpus_per_node);
	else if (plan->gres != NULL && str_starts_with(plan->gres, "gpu"))
		per_node = gpus_in(plan->gres);
	return per_node * plan->total_nodes;
}

/* The next attempt of a chain, not yet stored. */
static int plan_attempt(const struct active_chain *chain, const struct eval_plan *plan, int64_t time_limit_s,
			int64_t now_s, struct attempt_row *ret_row, struct nel_err *err)
{
	if (chain->job.index < 0 || (size_t)chain->job.index >= plan->job_count)
		return err_set(err, NEL_DB, "job %s: its evaluation has %zu tasks", chain->job.id, plan->job_count);
	const struct plan_job *plan_job = &plan->jobs[chain->job.index];
	const struct attempt_row *before = &chain->attempt;
	int number = chain->job.attempt + 1;
	/* Only once, so not in mode in_job: the next attempt would be queued from the same script. */
	bool node_failed = before->number > 0 && before->slurm_state != NULL && before->nodes != NULL &&
			   strcmp(before->slurm_state, "NODE_FAIL") == 0 && strpbrk(before->nodes, "[,") == NULL &&
			   !active_chain_resumes_in_job(chain);
	*ret_row = (struct attempt_row){
	    .job_seq = chain->seq,
	    .number = number,
	    .gpus = gpus_of(plan),
	    .progress_before = chain->job.progress > 0 ? chain->job.progress : 0,
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
	chain->touched = true;
	if (plan_attempt(chain, plan, limit_s, now_s, &row, err) != 0 ||
	    store_attempt(s, chain, plan, &row, err) != 0) {
		attempt_row_done(&row);
		return -1;
	}
	if (chain->attempt.elapsed_s > 0 && chain->attempt.number >= chain->job.budget_from_attempt)
		chain->used_before_s += chain->attempt.elapsed_s;
	attempt_row_done(&chain->attempt);
	chain->attempt = row;
	chain->job.attempt = row.number;
	free(chain->job.slurm_job_id);
	chain->job.slurm_job_id = NULL;
	chain->first_send = true;
	char reason[96];
	snprintf(reason, sizeof reason, "attempt %d, for at most %" PRId64 " s", row.number, limit_s);
	return advance_apply(s, chain, EVENT_ADMIT, reason, "the cluster to take the job", err);
}

static int intend_group(struct scheduler *s, struct active_chain **group, size_t count, const struct eval_plan *plan,
			struct nel_err *err)
{
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	if (db_begin(s->db, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (group[i]->pending == ACTION_NONE && intend(s, group[i], plan, err) != 0)
			return -1;
	return db_commit(s->db, err);
}

/* Nothing can be sent for the group now: `why` is what it waits on, or, for attempts not yet intended and with `final`,
 * the reason of its end. */
static void hold_group(struct scheduler *s, struct active_chain **group, size_t count, const char *why, bool final)
{
	struct nel_err err;
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	int rc = db_begin(s->db, &err);
	for (size_t i = 0; i < count && rc == 0; i++) {
		active_chain_back_off(group[i], 5, 300);
		if (final && group[i]->pending == ACTION_NONE)
			rc = advance_end(s, group[i], EVENT_END_FAILURE, why, &err);
		else
			rc = transition_waiting_on(s->db, group[i], why, clock_now_s(), &err);
	}
	if (rc != 0 || db_commit(s->db, &err) != 0) {
		log_error("jobs cannot be held", LOG_S("error", err.msg));
		active_chains_mark_stale(&s->chains);
	}
}

static void send_group(struct scheduler *s, struct active_chain **group, size_t count)
{
	struct nel_err err = {0};
	struct cluster_watch *watch = cluster_watch_of(&s->watches, group[0]);
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	if (watch == NULL) {
		CLEANUP(mem_freep)
		char *why = mem_printf("the settings to name cluster %s with account %s again", group[0]->job.cluster,
				       group[0]->job.identity);
		hold_group(s, group, count, why, false);
		return;
	}
	if (evaluations_get(s->db, group[0]->job.evaluation, true, &row, &err) != 0) {
		log_error("an evaluation cannot be read", LOG_S("eval", group[0]->job.evaluation),
			  LOG_S("error", err.msg));
		for (size_t i = 0; i < count; i++)
			active_chain_back_off(group[i], 5, 300);
		return;
	}
	CLEANUP(json_freep) json_t *resolved = json_loads(row.resolved, 0, NULL);
	CLEANUP(eval_plan_freep) struct eval_plan *plan = NULL;
	if (resolved == NULL || eval_config_replan(resolved, &plan, &err) != 0) {
		err_prefix(&err, "the stored config cannot be used");
		hold_group(s, group, count, err.msg, true);
		return;
	}
	fault_point("submit-before-intent");
	if (intend_group(s, group, count, plan, &err) != 0) {
		log_error("attempts cannot be stored", LOG_S("eval", row.id), LOG_S("error", err.msg));
		active_chains_mark_stale(&s->chains);
		for (size_t i = 0; i < count; i++)
			active_chain_back_off(group[i], 1, 60);
		return;
	}
	fault_point("submit-intended");
	int64_t timeout_s = watch->cluster->command_timeout_s;
	CLEANUP(action_freep)
	struct action *action =
	    action_new(DO_SUBMIT, s->inbox, watch->cluster->name, watch->identity,
		       (timeout_s > SUBMIT_TIMEOUT_MIN_S ? timeout_s : SUBMIT_TIMEOUT_MIN_S) * 1000, count);
	for (size_t i = 0; i < count; i++)
		if (group[i]->pending == ACTION_SUBMIT)
			fill_item(&action->items[action->count++], group[i]);
	if (action->count == 0)
		return;
	snprintf(action->evaluation, sizeof action->evaluation, "%s", row.id);
	action->rundir = TAKE(row.rundir);
	action->plan = TAKE(plan);
	action->master_key = s->master_key;
	action->sealed_env = TAKE(row.sealed_env);
	action->sealed_env_size = row.sealed_env_size;
	if (!push(s, action)) {
		for (size_t i = 0; i < count; i++)
			active_chain_back_off(group[i], 1, 30);
		return;
	}
	action = NULL;
	watch->sending++;
	fault_point("submit-pushed");
	for (size_t i = 0; i < count; i++) {
		if (group[i]->pending != ACTION_SUBMIT)
			continue;
		group[i]->in_flight = true;
		group[i]->first_send = false;
	}
}

/* The cluster refuses the login of this identity: its chains say so, and wait until it is tried again. */
static void hold_refused(struct scheduler *s, struct active_chain **group, size_t count,
			 const struct cluster_watch *watch)
{
	struct nel_err err;
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	int rc = db_begin(s->db, &err);
	for (size_t i = 0; i < count && rc == 0; i++) {
		group[i]->due_ms = watch->refused_ms;
		rc = transition_waiting_on(s->db, group[i], watch->refused_why, clock_now_s(), &err);
	}
	if (rc != 0 || db_commit(s->db, &err) != 0) {
		log_error("jobs cannot be held", LOG_S("error", err.msg));
		active_chains_mark_stale(&s->chains);
	}
}

/* A session is left for observations, cancels and readers: a burst of submissions can take minutes. */
static int sends_max(const struct cluster_watch *watch)
{
	return watch->cluster->max_sessions > 1 ? watch->cluster->max_sessions - 1 : 1;
}

/* What goes in one remote command: chains of one evaluation. */
struct send {
	struct active_chain **items;
	size_t count;
	int64_t turn; /* the first of theirs */
};

static int by_turn(const void *a, const void *b)
{
	const struct send *x = a;
	const struct send *y = b;
	if (x->turn != y->turn)
		return x->turn < y->turn ? -1 : 1;
	return by_evaluation(x->items, y->items);
}

/* Is an earlier part of the evaluation on its way? The run directory takes one at a time. */
static bool is_busy(const struct due_list *busy, int64_t evaluation_seq)
{
	for (size_t i = 0; i < busy->count; i++)
		if (busy->items[i]->job.evaluation_seq == evaluation_seq)
			return true;
	return false;
}

static void dispatch_sends(struct scheduler *s, struct due_list *sends, const struct due_list *busy)
{
	if (sends->count == 0)
		return;
	qsort(sends->items, sends->count, sizeof *sends->items, by_evaluation);
	CLEANUP(mem_freep) struct send *groups = mem_calloc(sends->count, sizeof *groups);
	size_t count = 0;
	for (size_t i = 0; i < sends->count; i++) {
		struct active_chain **item = &sends->items[i];
		if (i == 0 || item[0]->job.evaluation_seq != item[-1]->job.evaluation_seq)
			groups[count++] = (struct send){.items = item, .turn = item[0]->turn};
		groups[count - 1].count++;
		if (item[0]->turn < groups[count - 1].turn)
			groups[count - 1].turn = item[0]->turn;
	}
	qsort(groups, count, sizeof *groups, by_turn);
	for (size_t i = 0; i < count; i++) {
		struct active_chain *first = groups[i].items[0];
		const struct cluster_watch *watch = cluster_watch_of(&s->watches, first);
		if (watch != NULL && watch->refused_ms > clock_mono_ms())
			hold_refused(s, groups[i].items, groups[i].count, watch);
		else if ((watch == NULL || watch->sending < sends_max(watch)) &&
			 !is_busy(busy, first->job.evaluation_seq))
			send_group(s, groups[i].items, groups[i].count);
	}
}

static bool has_one_of(struct scheduler *s, const struct due_list *list, const struct cluster_watch *watch)
{
	for (size_t i = 0; i < list->count; i++)
		if (cluster_watch_of(&s->watches, list->items[i]) == watch)
			return true;
	return false;
}

static void dispatch_cancels(struct scheduler *s, const struct due_list *cancels)
{
	for (size_t n = 0; n < s->watches.count; n++) {
		struct cluster_watch *watch = s->watches.items[n];
		if (!has_one_of(s, cancels, watch))
			continue;
		CLEANUP(action_freep)
		struct action *action = action_new(DO_CANCEL, s->inbox, watch->cluster->name, watch->identity,
						   watch->cluster->command_timeout_s * 1000, CANCELS_MAX);
		struct active_chain *mine[CANCELS_MAX];
		size_t taken = 0;
		for (size_t i = 0; i < cancels->count && taken < CANCELS_MAX; i++) {
			struct active_chain *chain = cancels->items[i];
			if (cluster_watch_of(&s->watches, chain) != watch)
				continue;
			fill_item(&action->items[action->count++], chain);
			mine[taken++] = chain;
		}
		bool pushed = push(s, action);
		if (pushed)
			action = NULL;
		for (size_t i = 0; i < taken; i++) {
			mine[i]->in_flight = pushed;
			if (!pushed)
				active_chain_back_off(mine[i], 1, 30);
		}
	}
}

/* With the secrets that the job may have printed. */
static int add_env(struct scheduler *s, const struct active_chain *chain, struct action *action)
{
	struct nel_err err;
	snprintf(action->evaluation, sizeof action->evaluation, "%s", chain->job.evaluation);
	action->master_key = s->master_key;
	if (evaluations_get_env(s->db, chain->job.evaluation_seq, &action->sealed_env, &action->sealed_env_size,
				&err) == 0)
		return 0;
	log_error("an environment cannot be read", LOG_S("job", chain->job.id), LOG_S("error", err.msg));
	return -1;
}

static void dispatch_collects(struct scheduler *s, const struct due_list *collects)
{
	for (size_t i = 0; i < collects->count; i++) {
		struct active_chain *chain = collects->items[i];
		struct cluster_watch *watch = cluster_watch_of(&s->watches, chain);
		int64_t timeout_s = watch != NULL ? watch->cluster->command_timeout_s : 60;
		CLEANUP(action_freep)
		struct action *action =
		    action_new(DO_COLLECT, s->inbox, chain->job.cluster, chain->job.identity, timeout_s * 1000, 1);
		fill_item(&action->items[action->count++], chain);
		action->items[0].export_wish = exports_wish(chain, clock_now_s());
		action->items[0].export_only = exports_followed(chain);
		action->items[0].keep_bytes = s->watches.settings->logs_keep_bytes;
		if (add_env(s, chain, action) != 0) {
			active_chain_back_off(chain, 1, 60);
			continue;
		}
		chain->in_flight = push(s, action);
		if (chain->in_flight)
			action = NULL;
		else
			active_chain_back_off(chain, 1, 30);
	}
}

static void observe_cluster(struct scheduler *s, struct cluster_watch *watch)
{
	CLEANUP(action_freep)
	struct action *action = action_new(DO_OBSERVE, s->inbox, watch->cluster->name, watch->identity,
					   watch->cluster->command_timeout_s * 1000, watch->observable_count);
	for (const struct active_chain *chain = watch->observable; chain != NULL; chain = chain->next_observable)
		fill_item(&action->items[action->count++], chain);
	action->ask_accounting = !watch->accounting_known;
	action->use_sacct = watch->accounting;
	action->skip_sacct = watch->sacct_asked || watch->sacct_ms > clock_mono_ms();
	watch->observing = push(s, action);
	if (watch->observing)
		action = NULL;
	else
		watch->next_ms = clock_mono_ms() + 1000;
}

/* One look at all chains, whatever the number of watches. */
static void dispatch_observations(struct scheduler *s)
{
	int64_t now_ms = clock_mono_ms();
	bool any = false;
	for (size_t i = 0; i < s->watches.count; i++) {
		s->watches.items[i]->observable = NULL;
		s->watches.items[i]->observable_count = 0;
		any = any || cluster_watch_is_due(s->watches.items[i], now_ms);
	}
	if (!any)
		return;
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		struct cluster_watch *watch =
		    active_chain_is_observable(chain) ? cluster_watch_of(&s->watches, chain) : NULL;
		if (watch == NULL || !cluster_watch_is_due(watch, now_ms))
			continue;
		chain->next_observable = watch->observable;
		watch->observable = chain;
		watch->observable_count++;
	}
	for (size_t i = 0; i < s->watches.count; i++)
		if (s->watches.items[i]->observable_count > 0)
			observe_cluster(s, s->watches.items[i]);
}

void dispatch_all(struct scheduler *s)
{
	struct due_list waiting = {0};
	struct due_list busy = {0};
	struct due_list sends = {0};
	struct due_list cancels = {0};
	struct due_list collects = {0};
	retry_limited(s);
	sort_out(s, &waiting, &busy, &sends, &cancels, &collects);
	admit(s, &waiting, &sends);
	dispatch_sends(s, &sends, &busy);
	if (cancels.count > 0)
		dispatch_cancels(s, &cancels);
	dispatch_collects(s, &collects);
	dispatch_observations(s);
	free(waiting.items);
	free(busy.items);
	free(sends.items);
	free(cancels.items);
	free(collects.items);
}
