/* Submit: attempts are intended, sent to Slurm in one remote command for an evaluation, and their ids stored. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str_list.h"
#include "config/plan/eval_config.h"
#include "db/evaluations.h"
#include "db/output_dirs.h"
#include "sched/action.h"
#include "sched/advance.h"
#include "sched/attempt_intent.h"
#include "sched/origin.h"
#include "sched/reuse.h"
#include "sched/transition.h"
#include "sched/walltime_choice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SUBMIT_TIMEOUT_MIN_S 60
#define LOOK_AGAIN_MS 1000
#define ACCEPTED_REASON_SIZE 640
#define WALLTIME_ASKS_S 45 /* of script/remote_walltime.sh */

/* Is there a job of the chain about which an answer is awaited, or whose end is not stored yet? What goes with a
 * chain's end may be on its way to be removed; and whoever starts from the store must find a job that it shows as
 * running in the newest attempt. */
static bool is_any_busy(const struct chain_common *common)
{
	for (size_t i = 0; i < common->member_count; i++)
		if (common->members[i]->in_flight != NULL || common->members[i]->ending)
			return true;
	return false;
}

/* An attempt that is intended and of which Slurm's answer is not known, or a chain that waits for its turn. */
static bool is_due(const struct active_chain *chain, int64_t now_s)
{
	return active_chain_leads(chain) && !is_any_busy(chain->common) &&
	       (chain->pending == ACTION_SUBMIT ||
		(chain->pending == ACTION_NONE && active_chain_awaits_turn(chain, now_s)));
}

/* All jobs of the chain that its next attempt is for say what it waits on. */
static int tell_all(struct scheduler *s, const struct chain_common *common, const char *why, struct nel_err *err)
{
	for (size_t i = 0; i < common->member_count; i++) {
		struct active_chain *chain = common->members[i];
		if ((active_chain_waits(chain) || chain->pending == ACTION_SUBMIT) &&
		    transition_waiting_on(s->db, chain, why, clock_now_s(), err) != 0)
			return -1;
	}
	return 0;
}

/* Nothing can be sent for the group now: `why` is what it waits on, or, for attempts not yet intended and with `final`,
 * the reason of its end. */
static void hold_group(struct scheduler *s, struct active_chain **group, size_t count, const char *why, bool final)
{
	struct nel_err err;
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	int rc = db_begin(s->db, &err);
	active_chains_touch(group, count);
	for (size_t i = 0; i < count && rc == 0; i++) {
		active_chain_back_off(group[i], 5, 300);
		if (final && group[i]->pending == ACTION_NONE)
			rc = advance_end_waiting(s, group[i]->common, EVENT_END_FAILURE, why, &err);
		else
			rc = tell_all(s, group[i]->common, why, &err);
	}
	if (rc != 0 || db_commit(s->db, &err) != 0) {
		log_error("jobs cannot be held", LOG_S("error", err.msg));
		active_chains_mark_stale(&s->chains);
	}
}

/* The cluster refuses the login of this identity: its chains say so, and wait until it is tried again. */
static void hold_refused(struct scheduler *s, struct active_chain **group, size_t count,
			 const struct cluster_watch *watch)
{
	struct nel_err err;
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	int rc = db_begin(s->db, &err);
	active_chains_touch(group, count);
	for (size_t i = 0; i < count && rc == 0; i++) {
		group[i]->due_ms = watch->refused_ms;
		rc = tell_all(s, group[i]->common, watch->refused_why, &err);
	}
	if (rc != 0 || db_commit(s->db, &err) != 0) {
		log_error("jobs cannot be held", LOG_S("error", err.msg));
		active_chains_mark_stale(&s->chains);
	}
}

/* What is on the cluster from before has not been looked at yet: nothing is sent meanwhile. */
static void hold_until_looked(struct scheduler *s, struct active_chain **group, size_t count,
			      struct cluster_watch *watch)
{
	struct nel_err err;
	if (!watch->look_wanted) {
		watch->look_wanted = true;
		watch->look_ms = 0;
	}
	for (size_t i = 0; i < count; i++)
		group[i]->due_ms = watch->look_why != NULL ? watch->look_ms : clock_mono_ms() + LOOK_AGAIN_MS;
	if (watch->look_why == NULL)
		return; /* it is under way, and its end makes them due */
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	int rc = db_begin(s->db, &err);
	active_chains_touch(group, count);
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = tell_all(s, group[i]->common, watch->look_why, &err);
	}
	if (rc != 0 || db_commit(s->db, &err) != 0) {
		log_error("jobs cannot be held", LOG_S("error", err.msg));
		active_chains_mark_stale(&s->chains);
	}
}

static bool is_any_sendable(struct active_chain *const *group, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (group[i]->pending != ACTION_SUBMIT)
			return true;
	return false;
}

static bool is_submitted(const struct active_chain *chain)
{
	return chain->pending == ACTION_SUBMIT;
}

static bool is_wanted(const struct active_chain *chain)
{
	return chain->pending == ACTION_SUBMIT && chain->job.state != CHAIN_CANCELLING;
}

static int add_attempt(struct db *db, struct action *action, const struct active_chain *leader,
		       const struct eval_plan *plan, struct nel_err *err)
{
	action_add(action, leader);
	struct action_item *item = &action->items[action->count - 1];
	active_chain_list_jobs(leader->common, item->adopt_only ? is_submitted : is_wanted, &item->jobs,
			       &item->resumed_for, &item->job_count);
	if (!plan->walltime_auto)
		return 0;
	return walltime_choice_find(db, leader->common, is_submitted, item->time_limit_s, item->attempt,
				    &item->walltime, err);
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
	plan->containers = watch->cluster->containers;
	plan->resume_mode = attempt_intent_resume_mode(group[0], plan);
	CLEANUP(str_list_freep) char **output_dirs = NULL;
	bool shared = strchr(watch->identity, '/') == NULL; /* no person's own */
	if (shared && output_dirs_list(s->db, watch->cluster->name, &output_dirs, &err) != 0) {
		log_error("the output directories of a cluster cannot be read", LOG_S("error", err.msg));
		for (size_t i = 0; i < count; i++)
			active_chain_back_off(group[i], 5, 300);
		return;
	}
	CLEANUP(mem_freep) unsigned char *origin = NULL;
	size_t origin_size = 0;
	if (origin_make(s->db, s->master_key, &row, plan, &origin, &origin_size, &err) != 0) {
		log_error("an evaluation cannot be described to its run directory", LOG_S("eval", row.id),
			  LOG_S("error", err.msg));
		for (size_t i = 0; i < count; i++)
			active_chain_back_off(group[i], 5, 300);
		return;
	}
	fault_point("submit-before-intent");
	if (attempt_intent_store(s, group, count, plan, &err) != 0) {
		log_error("attempts cannot be stored", LOG_S("eval", row.id), LOG_S("error", err.msg));
		active_chains_mark_stale(&s->chains);
		for (size_t i = 0; i < count; i++)
			active_chain_back_off(group[i], 1, 60);
		return;
	}
	fault_point("submit-intended");
	if (!watch->looked) {
		/* The attempt may be there already, if the store is older than the world. */
		for (size_t i = 0; i < count; i++)
			for (size_t m = 0; m < group[i]->common->member_count; m++)
				group[i]->common->members[m]->first_send &=
				    group[i]->common->members[m]->job.seq > s->newest_job_seq;
		hold_until_looked(s, group, count, watch);
		return;
	}
	int64_t timeout_s = watch->cluster->command_timeout_s;
	int64_t asks_s = plan->walltime_auto ? WALLTIME_ASKS_S : 0;
	CLEANUP(action_freep)
	struct action *action =
	    action_new(&action_submit, s->inbox, watch->cluster->name, watch->identity,
		       ((timeout_s > SUBMIT_TIMEOUT_MIN_S ? timeout_s : SUBMIT_TIMEOUT_MIN_S) + asks_s) * 1000, count);
	for (size_t i = 0; i < count; i++) {
		if (group[i]->pending != ACTION_SUBMIT || add_attempt(s->db, action, group[i], plan, &err) == 0)
			continue;
		log_error("what is left of an evaluation cannot be worked out", LOG_S("eval", row.id),
			  LOG_S("error", err.msg));
		for (size_t k = 0; k < count; k++)
			active_chain_back_off(group[k], 5, 300);
		return;
	}
	if (action->count == 0)
		return;
	snprintf(action->evaluation, sizeof action->evaluation, "%s", row.id);
	action->rundir = TAKE(row.rundir);
	action->used_output_dirs = TAKE(output_dirs);
	action->origin = TAKE(origin);
	action->origin_size = origin_size;
	action->plan = TAKE(plan);
	action->master_key = s->master_key;
	action->sealed_env = TAKE(row.sealed_env);
	action->sealed_env_size = row.sealed_env_size;
	if (reuse_prepare(s, &row, action, &err) != 0) {
		log_error("equal jobs cannot be looked up", LOG_S("eval", row.id), LOG_S("error", err.msg));
		for (size_t i = 0; i < count; i++)
			active_chain_back_off(group[i], 5, 300);
		return;
	}
	if (!action_push(action, s->lanes)) {
		for (size_t i = 0; i < count; i++)
			active_chain_back_off(group[i], 1, 30);
		return;
	}
	action = NULL;
	watch->sending++;
	fault_point("submit-pushed");
	for (size_t i = 0; i < count; i++) {
		for (size_t m = 0; m < group[i]->common->member_count; m++) {
			struct active_chain *chain = group[i]->common->members[m];
			if (chain->pending != ACTION_SUBMIT)
				continue;
			chain->in_flight = &action_submit;
			chain->first_send = false;
		}
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

static int by_evaluation(const void *a, const void *b)
{
	const struct active_chain *x = *(struct active_chain *const *)a;
	const struct active_chain *y = *(struct active_chain *const *)b;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_turn(const void *a, const void *b)
{
	const struct send *x = a;
	const struct send *y = b;
	if (x->turn != y->turn)
		return x->turn < y->turn ? -1 : 1;
	return by_evaluation(x->items, y->items);
}

/* Is an earlier part of the evaluation on its way? The run directory takes one at a time. */
static bool is_busy(const struct chain_list *busy, int64_t evaluation_seq)
{
	for (size_t i = 0; i < busy->count; i++)
		if (busy->items[i]->job.evaluation_seq == evaluation_seq)
			return true;
	return false;
}

static void find_busy(const struct active_chains *chains, struct chain_list *ret_busy)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, chains->by_seq, chain, next) {
		if (chain->in_flight == &action_submit)
			chain_list_add(ret_busy, chain);
	}
}

static void send_all(struct scheduler *s, struct chain_list *sends, const struct chain_list *busy)
{
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
		struct cluster_watch *watch = cluster_watch_of(&s->watches, first);
		if (watch != NULL && watch->refused_ms > clock_mono_ms())
			hold_refused(s, groups[i].items, groups[i].count, watch);
		else if (watch != NULL && !watch->looked && !is_any_sendable(groups[i].items, groups[i].count))
			hold_until_looked(s, groups[i].items, groups[i].count, watch);
		else if ((watch == NULL || watch->sending < sends_max(watch)) &&
			 !is_busy(busy, first->job.evaluation_seq))
			send_group(s, groups[i].items, groups[i].count);
	}
}

/* Chains that wait for their turn go when fair_share.h says so; the others have been sent before, or are to be told
 * that the settings no longer have their cluster. */
static void prepare(struct scheduler *s, const struct chain_list *due)
{
	struct chain_list waiting = {0};
	struct chain_list sends = {0};
	struct chain_list busy = {0};
	for (size_t i = 0; i < due->count; i++) {
		struct active_chain *chain = due->items[i];
		bool waits = chain->pending == ACTION_NONE && cluster_watch_of(&s->watches, chain) != NULL;
		chain->turn = 0;
		chain_list_add(waits ? &waiting : &sends, chain);
	}
	size_t count =
	    fair_share_take(s->fair_share, s->watches.settings, s->db, &s->chains, waiting.items, waiting.count);
	for (size_t i = 0; i < count; i++)
		chain_list_add(&sends, waiting.items[i]);
	if (sends.count > 0) {
		find_busy(&s->chains, &busy);
		send_all(s, &sends, &busy);
	}
	free(waiting.items);
	free(sends.items);
	free(busy.items);
}

static const char *lookup_secret(const char *name, void *arg)
{
	return json_string_value(json_object_get(arg, name));
}

static int run(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	json_t *env = NULL;
	if (action_open_env(action, &env, err) != 0)
		return -1;
	struct attempt_order *orders = mem_calloc(action->count, sizeof *orders);
	struct share_order *shares = mem_calloc(action->count, sizeof *shares);
	for (size_t i = 0; i < action->count; i++) {
		const struct action_item *item = &action->items[i];
		orders[i] = (struct attempt_order){.job_index = item->job_index,
						   .number = item->attempt,
						   .job_name = item->job_name,
						   .time_limit_s = item->time_limit_s,
						   .walltime = item->walltime,
						   .after_job = item->after_job,
						   .adopt_only = item->adopt_only,
						   .reuse = item->reuse,
						   .exclude_node = item->exclude_node,
						   .budget_from = item->budget_from,
						   .budget_left_s = item->budget_left_s,
						   .share = item->at_once > 0 ? &shares[i] : NULL};
		shares[i] = (struct share_order){.number = item->chain_number,
						 .jobs = item->jobs,
						 .resumed_for = item->resumed_for,
						 .job_count = item->job_count,
						 .at_once = item->at_once};
	}
	CLEANUP(str_list_freep)
	char **checkpoints = action->checkpoints != NULL ? reuse_checkpoints(action->checkpoints) : NULL;
	struct rundir_input input = {.plan = action->plan,
				     .evaluation = action->evaluation,
				     .rundir = action->rundir,
				     .orders = orders,
				     .order_count = action->count,
				     .shared = action->used_output_dirs != NULL,
				     .used_output_dirs = (const char *const *)action->used_output_dirs,
				     .checkpoints = (const char *const *)checkpoints,
				     .secret = lookup_secret,
				     .secret_arg = env,
				     .origin = action->origin,
				     .origin_size = action->origin_size,
				     .sealed_env = action->sealed_env,
				     .sealed_env_size = action->sealed_env_size};
	fault_point("submit-before-exec");
	int rc = slurm_submit(pool, &input, action->timeout_ms, &action->submitted, &action->sent, err);
	fault_point("submit-after-exec");
	/* A login shell that is not one may answer with what it was sent. */
	CLEANUP(mask_freep) struct mask *mask = mask_new(env);
	if (rc != 0)
		mask_text(mask, err->msg, false);
	for (size_t i = 0; i < action->submitted.count; i++)
		mask_text(mask, action->submitted.items[i].message, false);
	free(orders);
	free(shares);
	secret_free_json(env);
	return rc;
}

static void release(struct scheduler *s, const struct action *action)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	if (watch != NULL)
		watch->sending--;
	action_release_chains(s, action);
}

static int accepted(struct scheduler *s, struct active_chain *chain, const struct submit_result *result,
		    struct nel_err *err)
{
	struct chain_common *common = chain->common;
	bool known = common->attempt.slurm_job_id != NULL; /* by another job of the chain */
	char reason[ACCEPTED_REASON_SIZE] = "";
	if (result->time_limit_s > 0) {
		common->attempt.time_limit_s = result->time_limit_s;
		snprintf(reason, sizeof reason, "attempt %d, for %" PRId64 " s (execution.walltime is auto): %s",
			 common->attempt.number, result->time_limit_s,
			 result->message[0] != '\0' ? result->message : "as Slurm has it");
	}
	free(common->attempt.slurm_job_id);
	common->attempt.slurm_job_id = mem_strdup(result->slurm_job_id);
	common->attempt.submitted_at = result->submitted_at;
	free(common->row.slurm_job_id);
	common->row.slurm_job_id = mem_strdup(result->slurm_job_id);
	chain->pending = ACTION_NONE;
	chain->tries = 0;
	chain->due_ms = 0;
	if (!known && advance_count_submitted(s, chain, err) != 0)
		return -1;
	return advance_apply(s, chain, EVENT_ACCEPTED, reason[0] != '\0' ? reason : NULL, "Slurm", err);
}

/* Slurm has refused it for a limit, and nothing of it runs. *due_ms: when the others of the same answer are tried
 * again, 0 for the first; so that they go together. */
static int wait_for_room(struct scheduler *s, struct active_chain *chain, const struct submit_result *result,
			 int64_t *due_ms, struct nel_err *err)
{
	char text[NEL_ERR_MSG_MAX];
	char at[CLOCK_RFC3339_SIZE];
	active_chain_back_off(chain, 5, 300);
	if (*due_ms == 0)
		*due_ms = chain->due_ms;
	chain->due_ms = *due_ms;
	chain->limited = true;
	s->limits_met = true;
	snprintf(text, sizeof text, "room under a limit of Slurm's on %s, since %s: %s", chain->job.cluster,
		 clock_rfc3339(chain->common->attempt.intended_at, at), result->message);
	return transition_waiting_on(s->db, chain, text, clock_now_s(), err);
}

/* The same, without knowing whether it can ever be taken: for a limit that is not named, or for something that may
 * pass.
 */
static int wait_for_change(struct scheduler *s, struct active_chain *chain, const struct submit_result *result,
			   int64_t *due_ms, struct nel_err *err)
{
	char text[NEL_ERR_MSG_MAX];
	char at[CLOCK_RFC3339_SIZE];
	const struct cluster_watch *watch = cluster_watch_of(&s->watches, chain);
	int64_t patience_s = watch != NULL ? watch->cluster->refusal_deadline_s : 0;
	int64_t last_s = chain->common->attempt.intended_at + patience_s;
	bool untold = result->outcome == SUBMIT_UNTOLD;
	if (watch != NULL && clock_now_s() >= last_s) {
		snprintf(text, sizeof text, "refused for %" PRId64 " s (refusal_deadline_s)%s: %s", patience_s,
			 untold ? ", which no limit of the number of jobs explains" : "", result->message);
		return advance_end(s, chain, EVENT_REFUSED, active_chain_end_reason(chain, text), err);
	}
	active_chain_back_off(chain, 5, 300);
	if (*due_ms == 0)
		*due_ms = chain->due_ms;
	chain->due_ms = *due_ms;
	snprintf(text, sizeof text, "Slurm on %s%s, until %s at most: %s", chain->job.cluster,
		 untold ? ", which does not say whether for the number of jobs or for the size or time of this one"
			: " to take it",
		 clock_rfc3339(last_s, at), result->message);
	return transition_waiting_on(s->db, chain, text, clock_now_s(), err);
}

/* Nothing of it is on the cluster. When the equal job is gone meanwhile, what the store has now is offered next. */
static int reused(struct scheduler *s, struct active_chain *chain, const struct submit_result *result,
		  struct nel_err *err)
{
	bool found = false;
	if (reuse_take(s, chain, result->fingerprint, &found, err) != 0)
		return -1;
	if (!found)
		active_chain_back_off(chain, 1, 30);
	return 0;
}

static int submit_result(struct scheduler *s, const struct action *action, struct active_chain *chain,
			 const struct submit_result *result, int64_t *due_ms, struct nel_err *err)
{
	char text[NEL_ERR_MSG_MAX];
	chain->limited = false;
	switch (result->outcome) {
	case SUBMIT_REUSED: return reused(s, chain, result, err);
	case SUBMIT_ACCEPTED:
		if (reuse_note_submitted(s, action, chain, result->fingerprint, err) != 0)
			return -1;
		return accepted(s, chain, result, err);
	case SUBMIT_REFUSED:
		return advance_end(s, chain, EVENT_REFUSED, active_chain_end_reason(chain, result->message), err);
	case SUBMIT_LIMIT: return wait_for_room(s, chain, result, due_ms, err);
	case SUBMIT_UNTOLD:
	case SUBMIT_PASSING: return wait_for_change(s, chain, result, due_ms, err);
	case SUBMIT_RETRY:
	case SUBMIT_IN_DOUBT: break;
	}
	active_chain_back_off(chain, 5, 300);
	snprintf(text, sizeof text, "cluster %s: %s", chain->job.cluster, result->message);
	return transition_waiting_on(s->db, chain, text, clock_now_s(), err);
}

/* Is the attempt to be cancelled, and has nothing of it reached the cluster? Notes that nothing has. */
static bool unsent(const struct action *action, const struct action_item *item, struct active_chain *chain)
{
	chain->first_send = item->first_send && !action->sent;
	return chain->first_send && chain->job.state == CHAIN_CANCELLING;
}

/* Has anything of the chain run? Of a shared one the turn of this job may not have come then, nor that of any. */
static bool has_run(const struct active_chain *chain)
{
	const struct chain_common *common = chain->common;
	for (size_t i = 0; i < common->member_count; i++)
		if (common->members[i]->job.started_at != 0)
			return true;
	return common->used_before_s > 0;
}

/* What the answer about its attempt means for a job. */
static int take_job(struct scheduler *s, const struct action *action, size_t index, struct active_chain *chain,
		    int64_t *limit_due_ms, struct nel_err *err)
{
	char wait[ACTION_WAIT_SIZE];
	const struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	action_describe_wait(action, wait);
	if (!action->failed && index < action->submitted.count)
		return submit_result(s, action, chain, &action->submitted.items[index], limit_due_ms, err);
	if (unsent(action, &action->items[index], chain)) {
		const char *reason = active_chain_end_reason(chain, action->err.msg);
		/* Earlier attempts left files, and secrets, on the cluster. */
		return chain->common->attempt.number == 1 ? advance_drop(s, chain, reason, err)
							  : advance_end(s, chain, EVENT_REFUSED, reason, err);
	}
	if (action->err.kind == NEL_INVALID && action->items[index].first_send &&
	    !has_run(chain)) /* a chain that has run had a directory that could be used */
		return advance_end(s, chain, EVENT_REFUSED, active_chain_end_reason(chain, action->err.msg), err);
	if (action_was_refused(action) && watch != NULL)
		chain->due_ms = watch->refused_ms;
	else
		active_chain_back_off(chain, 2, 120);
	return transition_waiting_on(s->db, chain, wait, clock_now_s(), err);
}

static int take(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	int64_t limit_due_ms = 0;
	if (action_was_refused(action) && watch != NULL) {
		char wait[ACTION_WAIT_SIZE];
		action_describe_wait(action, wait);
		cluster_watch_refused(watch, wait);
	}
	for (size_t i = 0; i < action->count; i++) {
		const struct action_item *item = &action->items[i];
		struct chain_common *common = active_chains_find_common(&s->chains, item->seq, item->attempt);
		for (size_t m = 0; common != NULL && m < common->member_count; m++) {
			struct active_chain *chain = common->members[m];
			if (!chain->stale && chain->pending == ACTION_SUBMIT &&
			    take_job(s, action, i, chain, &limit_due_ms, err) != 0)
				return -1;
		}
		bool was_reused = !action->failed && i < action->submitted.count &&
				  action->submitted.items[i].outcome == SUBMIT_REUSED;
		if (common != NULL && was_reused && reuse_drop_attempt(s, common, err) != 0)
			return -1;
	}
	return 0;
}

const struct action_type action_submit = {
    .name = "submit",
    .is_due = is_due,
    .prepare = prepare,
    .run = run,
    .release = release,
    .take = take,
    .taken_point = "submit-taken",
    .stored_point = "submit-stored",
};
