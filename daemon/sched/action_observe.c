/* Observe: one remote command for an identity on a cluster tells of all its chains; what it means for each is judged by
 * reconcile.h. */
#include "sched/action.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/observations.h"
#include "sched/advance.h"
#include "sched/event_log.h"
#include "sched/ledger.h"
#include "sched/reconcile.h"
#include "sched/sharing.h"
#include "sched/transition.h"
#include "slurm/slurm_state.h"

#include <string.h>

#define ASK_AGAIN_MS 1000
#define UNSETTLED_MAX 20     /* in one observation */
#define COUNT_NODES_MS 60000 /* between counts of nodes, of which an observation brings one along */
/* Where nothing is observed, ended attempts to ask about are looked for so often; after a failure, which is nobody's
 * trouble then, later. */
#define SETTLE_EVERY_MS 10000
#define SETTLE_AGAIN_MS 300000

static void observe_cluster(struct scheduler *s, struct cluster_watch *watch)
{
	CLEANUP(action_freep)
	struct action *action = action_new(&action_observe, s->inbox, watch->cluster->name, watch->identity,
					   watch->cluster->command_timeout_s * 1000, watch->observable_count);
	for (const struct active_chain *chain = watch->observable; chain != NULL; chain = chain->next_observable)
		action_add(action, chain);
	action->ask_accounting = !watch->accounting_known;
	action->use_sacct = watch->accounting;
	action->skip_sacct = watch->sacct_asked || watch->sacct_ms > clock_mono_ms();
	action->count_nodes = watch->count_ms <= clock_mono_ms();
	action->asked_ms = clock_mono_ms();
	action->look_board = s->look_board;
	struct nel_err err;
	if ((action->use_sacct || action->ask_accounting) && !action->skip_sacct &&
	    usage_unsettled(s->db, watch->name, watch->identity, clock_now_s(), UNSETTLED_MAX, &action->unsettled,
			    &err) != 0)
		log_warning("the ledger cannot be read", LOG_S("error", err.msg));
	if (action->count + action->unsettled.count == 0)
		return;
	bool counts = action->count_nodes;
	watch->observing = action_push(action, s->lanes);
	if (watch->observing) {
		action = NULL;
		watch->count_ms = counts ? clock_mono_ms() + COUNT_NODES_MS : watch->count_ms;
	} else
		watch->next_ms = clock_mono_ms() + ASK_AGAIN_MS;
}

/* One look at all chains, whatever the number of watches. Where there is nothing to be seen, attempts that have ended
 * may still have to be asked about. */
static void prepare(struct scheduler *s, const struct chain_list *due)
{
	(void)due;
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
		struct cluster_watch *watch = active_chain_is_observable(chain) && active_chain_leads(chain)
						  ? cluster_watch_of(&s->watches, chain)
						  : NULL;
		if (watch == NULL || !cluster_watch_is_due(watch, now_ms))
			continue;
		chain->next_observable = watch->observable;
		watch->observable = chain;
		watch->observable_count++;
	}
	for (size_t i = 0; i < s->watches.count; i++) {
		struct cluster_watch *watch = s->watches.items[i];
		if (watch->observable_count == 0 && watch->settle_ms > now_ms)
			continue;
		if (watch->observable_count > 0 || cluster_watch_is_due(watch, now_ms)) {
			watch->settle_ms = now_ms + SETTLE_EVERY_MS;
			observe_cluster(s, watch);
		}
	}
}

/* The scheduler takes what squeue says while sacct is asked. */
static void tell_early(struct observe_reply *reply, void *arg)
{
	struct action *whole = arg;
	struct action *part =
	    action_new(&action_observe, whole->inbox, whole->cluster, whole->identity, 0, whole->count);
	part->early = true;
	part->asked_ms = whole->asked_ms;
	part->use_sacct = whole->use_sacct;
	part->observed = *reply;
	for (size_t i = 0; i < whole->count; i++)
		part->items[part->count++] = (struct action_item){
		    .seq = whole->items[i].seq, .job_seq = whole->items[i].job_seq, .attempt = whole->items[i].attempt};
	whole->told_early = queue_push(part->inbox, part);
	if (!whole->told_early)
		action_free(part);
}

static int run(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	if (action->ask_accounting && slurm_has_accounting(pool, action->timeout_ms, &action->use_sacct, err) != 0)
		return -1;
	size_t count = action->count + action->unsettled.count;
	struct observe_order *orders = mem_calloc(count, sizeof *orders);
	for (size_t i = 0; i < action->count; i++) {
		const struct action_item *item = &action->items[i];
		orders[i] = (struct observe_order){.slurm_job_id = item->slurm_job_id,
						   .job_name = item->job_name,
						   .job_dir = item->chain_dir,
						   .submitted_at = item->submitted_at,
						   .attempt = item->attempt};
	}
	for (size_t i = 0; i < action->unsettled.count; i++) {
		const struct unsettled_row *row = &action->unsettled.items[i];
		orders[action->count + i] = (struct observe_order){.slurm_job_id = row->slurm_job_id,
								   .job_name = row->attempt,
								   .job_dir = row->job_dir,
								   .submitted_at = row->submitted_at,
								   .attempt = row->number};
	}
	const struct observe_early early = {.take = tell_early, .arg = action};
	struct waiting_look *along =
	    action->look_board != NULL ? look_board_take(action->look_board, action->cluster, action->identity) : NULL;
	const struct observe_wants wants = {.sacct = action->use_sacct && !action->skip_sacct,
					    .nodes = action->count_nodes,
					    .look = along != NULL ? along->look : NULL};
	int rc = slurm_observe(pool, orders, count, wants, action->timeout_ms, &early, &action->observed, err);
	free(orders);
	if (along != NULL)
		along->answer(along, rc != 0 ? err : NULL);
	return rc;
}

static void release(struct scheduler *s, const struct action *action)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	if (watch != NULL)
		cluster_watch_release(watch, action->early, action->told_early);
}

static void ask_again(struct scheduler *s, const struct action *action)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	if (watch != NULL)
		watch->next_ms = clock_mono_ms() + ASK_AGAIN_MS;
}

static int judged(struct scheduler *s, struct active_chain *chain, const struct judgement *j, struct nel_err *err)
{
	const char *reason = j->reason[0] != '\0' ? active_chain_end_reason(chain, j->reason) : NULL;
	const char *waiting_on = chain->job.waiting_on;
	bool ignored = !j->has_event || chain_rule_for(chain->job.state, j->event)->ignored;
	if (ignored)
		return j->changed ? transition_store(s->db, chain, clock_now_s(), err) : 0;
	switch (j->event) {
	case EVENT_SEEN_PENDING:
	case EVENT_SEEN_RUNNING: {
		CLEANUP(mem_freep) char *copy = mem_strdup(waiting_on);
		return advance_apply(s, chain, j->event, NULL, copy, err);
	}
	case EVENT_ADMIT:
	case EVENT_ACCEPTED:
	case EVENT_REFUSED:
	case EVENT_REUSED:
	case EVENT_END_SUCCESS:
	case EVENT_END_CONTINUE:
	case EVENT_END_BUDGET:
	case EVENT_END_FAILURE:
	case EVENT_END_CANCELLED:
	case EVENT_LOST:
	case EVENT_CANCEL:
	case EVENT_RESUME: return advance_end(s, chain, j->event, reason, err);
	}
	return 0;
}

/* An observation has been worked into the row: was its attempt seen to start, or to end? */
static int tell_attempt(struct scheduler *s, const struct active_chain *chain, const struct observation *o,
			int64_t started_before, int64_t ended_before, int64_t now_s, struct nel_err *err)
{
	const struct attempt_row *attempt = &chain->common->attempt;
	if (started_before == 0 && attempt->started_at != 0 &&
	    event_log_attempt(s->db, chain, "attempt.started", now_s, err) != 0)
		return -1;
	if (ended_before != 0 || attempt->ended_at == 0)
		return 0;
	return event_log_attempt(s->db, chain, "attempt.ended", now_s, err) != 0 ? -1
										 : advance_count_end(s, chain, o, err);
}

/* Stores when the chains were observed that are marked: for those that have joined the observation it is one row. */
static int store_observed(struct scheduler *s, struct cluster_watch *watch, int64_t now_s, struct nel_err *err)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	int64_t id = 0;
	if (observations_set(s->db, watch->name, watch->identity, now_s, &id, err) != 0)
		return -1;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		struct job_row *job = &chain->job;
		bool observed = chain->observed && active_chain_is_observable(chain);
		chain->observed = false;
		if (cluster_watch_of(&s->watches, chain) != watch || observed == (job->observation == id))
			continue;
		chain->touched = true;
		if (observed ? observations_join(s->db, chain->job.seq, id, err) != 0
			     : observations_leave(s->db, chain->job.seq, job->observed_at, err) != 0)
			return -1;
		job->observation = observed ? id : 0;
	}
	return 0;
}

/* Is what is told of it newer than what is known? Notes when it was seen. */
static bool is_news(struct active_chain *chain, const struct cluster_watch *watch, const struct action *action,
		    const struct observation *o, int64_t now_s, bool *seen)
{
	if (chain->stale || !active_chain_is_observable(chain))
		return false;
	if (o->squeue != SIGHT_UNOBSERVABLE || o->sacct == SIGHT_SEEN) {
		*seen = true;
		chain->observed = true;
		chain->job.observed_at = now_s;
	}
	/* sacct took its time, and squeue has been asked again. */
	if (action->told_early && ((o->squeue == SIGHT_SEEN && o->sacct == SIGHT_UNOBSERVABLE) ||
				   chain->seen_alive_ms > watch->sacct_since_ms))
		return false;
	if (o->squeue == SIGHT_SEEN)
		chain->seen_alive_ms = clock_mono_ms();
	return true;
}

/* Works what is told of an attempt into the jobs that are evaluated in it. */
static int take_attempt(struct scheduler *s, struct cluster_watch *watch, const struct action *action,
			const struct chain_common *common, const struct observation *o,
			const struct reconcile_rules *rules, bool *changed, bool *seen, struct nel_err *err)
{
	bool is_first = true;
	int64_t started_before = common->attempt.started_at;
	int64_t ended_before = common->attempt.ended_at;
	for (size_t i = 0; i < common->member_count; i++) {
		struct active_chain *chain = common->members[i];
		struct judgement j;
		if (!is_news(chain, watch, action, o, rules->now_s, seen))
			continue;
		if (active_chain_is_shared(chain))
			sharing_reconcile(chain, is_first, o, rules, &j);
		else
			reconcile(&chain->common->row, &chain->job, &chain->common->attempt,
				  chain->common->used_before_s, o, rules, &j);
		*changed = *changed || j.changed;
		if (is_first) {
			cluster_watch_note_state(watch, o->state, chain->job.id);
			if (tell_attempt(s, chain, o, started_before, ended_before, rules->now_s, err) != 0)
				return -1;
		}
		is_first = false;
		if (judged(s, chain, &j, err) != 0)
			return -1;
	}
	return 0;
}

/* Works the answer into the chains. */
static int take_rows(struct scheduler *s, struct cluster_watch *watch, const struct action *action, bool *changed,
		     struct nel_err *err)
{
	const struct reconcile_rules rules = {.accounting = action->use_sacct,
					      .accounting_error = watch->sacct_error,
					      .absence_deadline_s = watch->cluster->absence_deadline_s,
					      .now_s = clock_now_s(),
					      .asked_ms = action->asked_ms};
	bool seen = false;
	for (size_t i = 0; i < action->count && i < action->observed.count; i++) {
		const struct action_item *item = &action->items[i];
		const struct chain_common *common = active_chains_find_common(&s->chains, item->seq, item->attempt);
		if (common != NULL && take_attempt(s, watch, action, common, &action->observed.items[i], &rules,
						   changed, &seen, err) != 0)
			return -1;
	}
	return seen ? store_observed(s, watch, rules.now_s, err) : 0;
}

/* What squeue says, before sacct has answered: squeue may be asked again meanwhile. */
static int take_early(struct scheduler *s, struct cluster_watch *watch, const struct action *action,
		      struct nel_err *err)
{
	bool changed = false;
	watch->accounting_known = true;
	watch->accounting = action->use_sacct;
	int rc = take_rows(s, watch, action, &changed, err);
	cluster_watch_plan(watch, changed);
	cluster_watch_note_stats(&s->watches, watch, NULL);
	return rc;
}

/* Attempts that had ended before, whose use accounting may know by now. */
static int settle(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	for (size_t i = 0; i < action->unsettled.count && action->count + i < action->observed.count; i++)
		if (ledger_settle(s->db, &action->unsettled.items[i], &action->observed.items[action->count + i],
				  err) != 0)
			return -1;
	return 0;
}

static int take(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	bool changed = false;
	if (watch == NULL)
		return 0;
	if (action->early)
		return take_early(s, watch, action, err);
	cluster_watch_note_cost(&s->watches, watch, action->failed || action->observed.slurm_failed, action->took_ms,
				(int64_t)action->observed.bytes);
	bool failed = action->failed || action->observed.slurm_failed;
	if (failed && action->count == 0) {
		watch->settle_ms = clock_mono_ms() + SETTLE_AGAIN_MS;
		return 0;
	}
	if (failed) {
		cluster_watch_failed(&s->watches, watch, action->failed ? action->err.msg : action->observed.message);
		return 0;
	}
	watch->accounting_known = true;
	watch->accounting = action->use_sacct;
	cluster_watch_note_sacct(watch, &action->observed);
	cluster_watch_note_counts(&s->watches, watch, &action->observed.counts);
	int rc = take_rows(s, watch, action, &changed, err);
	if (rc == 0)
		rc = settle(s, action, err);
	if (!action->told_early)
		cluster_watch_plan(watch, changed);
	cluster_watch_note_stats(&s->watches, watch, NULL);
	return rc;
}

const struct action_type action_observe = {
    .name = "observe",
    .prepare = prepare,
    .run = run,
    .release = release,
    .take = take,
    .ask_again = ask_again,
    .taken_point = "observe-taken",
    .stored_point = "observe-stored",
};
