/* What the lanes bring back, turned into transitions: one transaction an answer. A transaction that fails leaves the
 * chains to be read again from the store; the remote side is safe to ask again. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "chain/budget.h"
#include "db/evaluations.h"
#include "db/events.h"
#include "db/identities.h"
#include "db/job_logs.h"
#include "db/totals.h"
#include "sched/advance.h"
#include "sched/event_log.h"
#include "sched/exports.h"
#include "sched/reconcile.h"
#include "sched/remote_audit.h"
#include "sched/results.h"
#include "sched/scheduler_state.h"
#include "sched/transition.h"
#include "slurm/slurm_state.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define CANCEL_REPEAT_MS 30000
#define RESULTS_LOOK_MS 3000
#define COLLECT_TRIES_MAX 3 /* then the end is stored without the scores; they follow when the cluster answers */

/* Did the cluster refuse the login? An unknown host key is another thing. */
static bool is_refusal(const struct action *action)
{
	return action->failed && action->err.reason == NEL_REASON_LOGIN;
}

/* What a chain waits on while its cluster cannot be worked with. */
static void describe_wait(const struct action *action, char buf[NEL_ERR_MSG_MAX + 80])
{
	char user[USER_NAME_MAX + 1];
	char account[IDENTITY_USERNAME_MAX + 1];
	if (is_refusal(action) && identity_name_split(action->identity, user, account))
		snprintf(buf, NEL_ERR_MSG_MAX + 80,
			 "credentials for %s: the account %s there does not take the key of %s yet; the line to add to "
			 "its authorized_keys is in GET /v1/identities/%s, and POST /v1/identities/%s/check tries it",
			 action->cluster, account, user, action->cluster, action->cluster);
	else if (is_refusal(action))
		snprintf(buf, NEL_ERR_MSG_MAX + 80, "credentials for %s", action->cluster);
	else
		snprintf(buf, NEL_ERR_MSG_MAX + 80, "cluster %s: %s", action->cluster, action->err.msg);
}

/* The chain that an item of the answer is about, if it still has that attempt. Whatever the answer changes of it in
 * memory is read again from the store when the transaction fails, also by a statement before the first that stores it.
 */
static struct active_chain *find(struct scheduler *s, const struct action_item *item)
{
	struct active_chain *chain = active_chains_find_attempt(&s->chains, item->seq, item->attempt);
	if (chain != NULL)
		chain->touched = true;
	return chain;
}

static void land(struct scheduler *s, const struct action *action)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	if (action->kind == DO_SUBMIT && watch != NULL)
		watch->sending--;
	if (watch != NULL && !action->failed)
		cluster_watch_let_in(watch);
	for (size_t i = 0; i < action->count; i++) {
		struct active_chain *chain = active_chains_find(&s->chains, action->items[i].seq);
		if (chain != NULL)
			chain->in_flight = false;
	}
}

static int accepted(struct scheduler *s, struct active_chain *chain, const struct submit_result *result,
		    struct nel_err *err)
{
	free(chain->attempt.slurm_job_id);
	chain->attempt.slurm_job_id = mem_strdup(result->slurm_job_id);
	chain->attempt.submitted_at = result->submitted_at;
	free(chain->job.slurm_job_id);
	chain->job.slurm_job_id = mem_strdup(result->slurm_job_id);
	chain->pending = ACTION_NONE;
	chain->tries = 0;
	chain->due_ms = 0;
	if (event_log_attempt(s->db, chain, "attempt.submitted", clock_now_s(), err) != 0 ||
	    totals_add(s->db, "attempts_submitted", chain->job.cluster, "", 1, err) != 0 ||
	    totals_add(s->db, "gpu_seconds_submitted", chain->job.cluster, "",
		       chain->attempt.gpus * chain->attempt.time_limit_s, err) != 0)
		return -1;
	return advance_apply(s, chain, EVENT_ACCEPTED, NULL, "Slurm", err);
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
		 clock_rfc3339(chain->attempt.intended_at, at), result->message);
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
	int64_t last_s = chain->attempt.intended_at + patience_s;
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

static int submit_result(struct scheduler *s, struct active_chain *chain, const struct submit_result *result,
			 int64_t *due_ms, struct nel_err *err)
{
	char text[NEL_ERR_MSG_MAX];
	chain->limited = false;
	switch (result->outcome) {
	case SUBMIT_ACCEPTED: return accepted(s, chain, result, err);
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

static int take_submitted(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	char wait[NEL_ERR_MSG_MAX + 80];
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	int64_t limit_due_ms = 0;
	describe_wait(action, wait);
	if (is_refusal(action) && watch != NULL)
		cluster_watch_refused(watch, wait);
	for (size_t i = 0; i < action->count; i++) {
		struct active_chain *chain = find(s, &action->items[i]);
		if (chain == NULL || chain->pending != ACTION_SUBMIT)
			continue;
		int rc = 0;
		if (!action->failed && i < action->submitted.count) {
			rc = submit_result(s, chain, &action->submitted.items[i], &limit_due_ms, err);
		} else if (unsent(action, &action->items[i], chain)) {
			const char *reason = active_chain_end_reason(chain, action->err.msg);
			/* Earlier attempts left files, and secrets, on the cluster. */
			rc = chain->attempt.number == 1 ? advance_drop(s, chain, reason, err)
							: advance_end(s, chain, EVENT_REFUSED, reason, err);
		} else if (action->err.kind == NEL_INVALID && action->items[i].first_send &&
			   chain->job.started_at == 0) { /* a chain that has run had a directory that could be used */
			rc = advance_end(s, chain, EVENT_REFUSED, active_chain_end_reason(chain, action->err.msg), err);
		} else {
			if (is_refusal(action) && watch != NULL)
				chain->due_ms = watch->refused_ms;
			else
				active_chain_back_off(chain, 2, 120);
			rc = transition_waiting_on(s->db, chain, wait, clock_now_s(), err);
		}
		if (rc != 0)
			return -1;
	}
	return 0;
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

/* An attempt that ended without success and without a step of the progress counter was for nothing. */
static int count_end(struct scheduler *s, const struct active_chain *chain, struct nel_err *err)
{
	const struct attempt_row *attempt = &chain->attempt;
	const char *state = attempt->slurm_state != NULL ? attempt->slurm_state : "UNKNOWN";
	const char *cluster = chain->job.cluster;
	int64_t elapsed_s = attempt->elapsed_s > 0 ? attempt->elapsed_s : 0;
	bool wasted = slurm_state_class(state) != SLURM_SUCCEEDED && chain->job.progress <= attempt->progress_before;
	if (totals_add(s->db, "attempts_ended", cluster, state, 1, err) != 0 ||
	    totals_add(s->db, "attempt_seconds", cluster, "", elapsed_s, err) != 0 ||
	    totals_add(s->db, "gpu_seconds", cluster, "", elapsed_s * attempt->gpus, err) != 0)
		return -1;
	return totals_add(s->db, "gpu_seconds_wasted", cluster, "", wasted ? elapsed_s * attempt->gpus : 0, err);
}

/* An observation has been worked into the row: was its attempt seen to start, or to end? */
static int tell_attempt(struct scheduler *s, const struct active_chain *chain, int64_t started_before,
			int64_t ended_before, int64_t now_s, struct nel_err *err)
{
	const struct attempt_row *attempt = &chain->attempt;
	if (started_before == 0 && attempt->started_at != 0 &&
	    event_log_attempt(s->db, chain, "attempt.started", now_s, err) != 0)
		return -1;
	if (ended_before != 0 || attempt->ended_at == 0)
		return 0;
	return event_log_attempt(s->db, chain, "attempt.ended", now_s, err) != 0 ? -1 : count_end(s, chain, err);
}

/* Works the answer into the chains. */
static int take_rows(struct scheduler *s, const struct cluster_watch *watch, const struct action *action, bool *changed,
		     struct nel_err *err)
{
	const struct reconcile_rules rules = {.accounting = action->use_sacct,
					      .accounting_error = watch->sacct_error,
					      .absence_deadline_s = watch->cluster->absence_deadline_s,
					      .now_s = clock_now_s()};
	CLEANUP(mem_freep) int64_t *seen = mem_calloc(action->count, sizeof *seen);
	size_t seen_count = 0;
	for (size_t i = 0; i < action->count && i < action->observed.count; i++) {
		struct active_chain *chain = find(s, &action->items[i]);
		const struct observation *o = &action->observed.items[i];
		if (chain == NULL || !active_chain_is_observable(chain))
			continue;
		if (o->squeue != SIGHT_UNOBSERVABLE || o->sacct == SIGHT_SEEN) {
			seen[seen_count++] = chain->seq;
			chain->job.observed_at = rules.now_s; /* or the next store of the row would take it back */
		}
		/* sacct took its time, and squeue has been asked again. */
		if (action->told_early && (o->squeue == SIGHT_SEEN && o->sacct == SIGHT_UNOBSERVABLE))
			continue;
		if (action->told_early && chain->seen_alive_ms > watch->sacct_since_ms)
			continue;
		if (o->squeue == SIGHT_SEEN)
			chain->seen_alive_ms = clock_mono_ms();
		struct judgement j;
		int64_t started_before = chain->attempt.started_at;
		int64_t ended_before = chain->attempt.ended_at;
		reconcile(&chain->job, &chain->attempt, chain->used_before_s, o, &rules, &j);
		*changed = *changed || j.changed;
		if (tell_attempt(s, chain, started_before, ended_before, rules.now_s, err) != 0 ||
		    judged(s, chain, &j, err) != 0)
			return -1;
	}
	return seen_count > 0 ? jobs_set_observed(s->db, seen, seen_count, rules.now_s, err) : 0;
}

/* What squeue says, before sacct has answered: squeue may be asked again meanwhile. */
static int take_early(struct scheduler *s, struct cluster_watch *watch, const struct action *action,
		      struct nel_err *err)
{
	bool changed = false;
	cluster_watch_release(watch, action->early, action->told_early);
	watch->accounting_known = true;
	watch->accounting = action->use_sacct;
	int rc = take_rows(s, watch, action, &changed, err);
	cluster_watch_plan(watch, changed);
	cluster_watch_note_stats(&s->watches, watch, NULL);
	return rc;
}

static int take_observed(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	bool changed = false;
	if (watch == NULL)
		return 0;
	if (action->early)
		return take_early(s, watch, action, err);
	cluster_watch_release(watch, action->early, action->told_early);
	cluster_watch_note_cost(&s->watches, watch, action->failed || action->observed.slurm_failed, action->took_ms,
				(int64_t)action->observed.bytes);
	if (action->failed || action->observed.slurm_failed) {
		cluster_watch_failed(&s->watches, watch, action->failed ? action->err.msg : action->observed.message);
		return 0;
	}
	watch->accounting_known = true;
	watch->accounting = action->use_sacct;
	cluster_watch_note_sacct(watch, &action->observed);
	int rc = take_rows(s, watch, action, &changed, err);
	if (!action->told_early)
		cluster_watch_plan(watch, changed);
	cluster_watch_note_stats(&s->watches, watch, NULL);
	return rc;
}

static int take_cancelled(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	char wait[NEL_ERR_MSG_MAX + 80];
	describe_wait(action, wait);
	for (size_t i = 0; i < action->count; i++) {
		struct active_chain *chain = find(s, &action->items[i]);
		if (chain == NULL || chain->pending != ACTION_CANCEL)
			continue;
		if (action->failed) {
			active_chain_back_off(chain, 2, 120);
			if (transition_waiting_on(s->db, chain, wait, clock_now_s(), err) != 0)
				return -1;
			continue;
		}
		/* Slurm took the request; until an observation shows the end, it is repeated now and then. */
		chain->tries = 0;
		chain->due_ms = clock_mono_ms() + CANCEL_REPEAT_MS;
		cluster_watch_quicken(cluster_watch_of(&s->watches, chain));
	}
	return 0;
}

/* The end's reason, with the last line of the log that matters when the chain failed. */
static char *final_reason(const struct active_chain *chain, const struct action *action)
{
	const char *reason = chain->end_reason;
	if (chain_rule_for(chain->job.state, chain->end_event)->to != CHAIN_FAILED) {
		if (action->scores_failed)
			return mem_printf("%s%sresults.yml cannot be read: %s", reason != NULL ? reason : "",
					  reason != NULL ? "; " : "", action->scores_err.msg);
		return mem_strdup(reason);
	}
	char line[400];
	if (action->collected.log_tail == NULL || action->collected.log_tail[0] == '\0' ||
	    active_chain_was_cut_off(chain))
		return mem_strdup(reason); /* what was in the log when Slurm ended the attempt is not why */
	collect_telling_line(action->collected.log_tail, line, sizeof line);
	return mem_printf("%s; %s ends with: %s", reason != NULL ? reason : "failed", action->collected.log_name, line);
}

static int finish(struct scheduler *s, struct active_chain *chain, const char *reason, struct nel_err *err)
{
	chain->ending = false;
	return advance_apply(s, chain, chain->end_event, reason, NULL, err);
}

static int collect_failed(struct scheduler *s, struct active_chain *chain, const struct action *action,
			  struct nel_err *err)
{
	int tries = chain->tries;
	bool hopeless = action->err.kind == NEL_NOTFOUND; /* the settings no longer have the cluster */
	if (chain->ending && (hopeless || tries + 1 >= COLLECT_TRIES_MAX) &&
	    (finish(s, chain, chain->end_reason, err) != 0 || advance_note_failure(s, chain, NULL, NULL, err) != 0))
		return -1;
	chain->pending = ACTION_COLLECT;
	chain->tries = tries;
	active_chain_back_off(chain, 2, 300);
	if (!chain->ending)
		return exports_missed(s->db, chain, clock_now_s(), err);
	char wait[NEL_ERR_MSG_MAX + 80];
	describe_wait(action, wait);
	return transition_waiting_on(s->db, chain, wait, clock_now_s(), err);
}

/* The ends of its logs, for when its directory is gone. */
static int keep_logs(struct scheduler *s, const struct active_chain *chain, const struct collect_reply *collected,
		     struct nel_err *err)
{
	if (collected->kept_count == 0) /* the directory may have gone before: what was kept then stays */
		return 0;
	CLEANUP(mem_freep) struct job_log_row *rows = mem_calloc(collected->kept_count, sizeof *rows);
	for (size_t i = 0; i < collected->kept_count; i++) {
		const struct collect_log *log = &collected->kept[i];
		rows[i] = (struct job_log_row){.name = log->name,
					       .size = log->size,
					       .modified_at = log->modified_at,
					       .kept_from = log->from,
					       .data = log->data,
					       .data_size = log->data_size};
	}
	return job_logs_replace(s->db, chain->seq, rows, collected->kept_count, err);
}

static bool wait_for_results(struct scheduler *s, struct active_chain *chain, const struct action *action)
{
	const struct cluster_watch *watch = cluster_watch_of(&s->watches, chain);
	if (watch == NULL || !results_awaited(chain, action, watch->cluster->results_wait_s))
		return false;
	chain->due_ms = clock_mono_ms() + RESULTS_LOOK_MS;
	return true;
}

static int take_collected(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	struct active_chain *chain = find(s, &action->items[0]);
	if (chain == NULL || chain->pending != ACTION_COLLECT)
		return 0;
	if (action->failed)
		return collect_failed(s, chain, action, err);
	bool first = !exports_followed(chain);
	if (action->collected.progress >= 0)
		chain->job.progress = action->collected.progress;
	if (first && wait_for_results(s, chain, action)) {
		char wait[NEL_ERR_MSG_MAX];
		snprintf(wait, sizeof wait, "results.yml of the finished job, which %s does not show yet",
			 chain->job.cluster);
		return transition_waiting_on(s->db, chain, wait, clock_now_s(), err);
	}
	if ((first && results_take(s->db, chain, action, clock_now_s(), err) != 0) ||
	    keep_logs(s, chain, &action->collected, err) != 0)
		return -1;
	bool ends = chain->ending;
	if (ends) {
		CLEANUP(mem_freep) char *reason = final_reason(chain, action);
		if (finish(s, chain, reason, err) != 0)
			return -1;
	}
	if (first && advance_note_failure(s, chain, action->collected.log_name, action->collected.log_tail, err) != 0)
		return -1;
	if (!ends && first && evaluations_touch(s->db, chain->job.evaluation_seq, clock_now_s(), err) != 0)
		return -1;
	bool open = false;
	int tries = chain->tries;
	if (exports_take(s->db, chain, &action->collected.export_, clock_now_s(), &open, err) != 0)
		return -1;
	chain->pending = open ? ACTION_COLLECT : ACTION_NONE;
	if (open) {
		chain->tries = first ? 0 : tries;
		active_chain_back_off(chain, EXPORT_LOOK_MIN_S, EXPORT_LOOK_MAX_S);
		return 0;
	}
	chain->job.collected = true;
	return jobs_set_collected(s->db, chain->seq, err);
}

static int take_kind(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	switch (action->kind) {
	case DO_SUBMIT: return take_submitted(s, action, err);
	case DO_OBSERVE: return take_observed(s, action, err);
	case DO_CANCEL: return take_cancelled(s, action, err);
	case DO_COLLECT: return take_collected(s, action, err);
	}
	return 0;
}

/* Where a test may have the daemon die: an answer has been worked in and not committed; and it has been committed. */
static const char *const taken_points[] = {[DO_SUBMIT] = "submit-taken",
					   [DO_OBSERVE] = "observe-taken",
					   [DO_CANCEL] = "cancel-taken",
					   [DO_COLLECT] = "collect-taken"};
static const char *const stored_points[] = {[DO_SUBMIT] = "submit-stored",
					    [DO_OBSERVE] = "observe-stored",
					    [DO_CANCEL] = "cancel-stored",
					    [DO_COLLECT] = "collect-stored"};

/* Why the cluster did not do what it was asked; NULL when it did, or when the reason is another than the cluster. */
static const char *cluster_fault(const struct action *action)
{
	if (is_refusal(action) && strchr(action->identity, '/') != NULL)
		return NULL; /* a person's own key: the next one's may do */
	if (action->failed && (action->err.kind == NEL_REMOTE || action->err.kind == NEL_DENIED))
		return action->err.msg;
	if (!action->failed && action->kind == DO_OBSERVE && action->observed.slurm_failed)
		return action->observed.message;
	return NULL;
}

/* Tells of a cluster that can no longer be worked with, and when it can again; each once, also over restarts. */
static int note_reach(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	const char *why = cluster_fault(action);
	bool reached = why == NULL;
	/* Where each person has a key of his own, a refused one says nothing of the cluster. */
	bool own_key = watch != NULL && watch->cluster->identity_per_user && is_refusal(action);
	if (watch == NULL || (action->failed && (reached || own_key)))
		return 0;
	if (!watch->reach_known && events_cluster_reachable(s->db, action->cluster, &watch->reachable, err) != 0)
		return -1;
	watch->reach_known = true;
	if (watch->reachable == reached)
		return 0;
	/* Read again, by others on the cluster, too, and in case this transaction fails. */
	for (size_t i = 0; i < s->watches.count; i++)
		if (strcmp(s->watches.items[i]->name, action->cluster) == 0)
			s->watches.items[i]->reach_known = false;
	return event_log_cluster(s->db, action->cluster, why, clock_now_s(), err);
}

static int take(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	int rc = action->early ? 0 : note_reach(s, action, err);
	if (rc == 0 && !action->early)
		rc = remote_audit_store(s, action, err);
	if (rc == 0)
		rc = take_kind(s, action, err);
	fault_point(taken_points[action->kind]);
	return rc;
}

void answers_take(struct scheduler *s, struct action *given)
{
	CLEANUP(action_freep) struct action *action = given;
	struct nel_err err = {0};
	if (action->kind != DO_OBSERVE)
		land(s, action);
	if (action->failed && action->kind != DO_OBSERVE)
		log_warning("remote work failed", LOG_S("cluster", action->cluster),
			    LOG_S("eval", action->kind == DO_SUBMIT ? action->evaluation : NULL),
			    LOG_S("error", action->err.msg));
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	if (db_begin(s->db, &err) != 0 || take(s, action, &err) != 0 || db_commit(s->db, &err) != 0) {
		log_error("an answer cannot be stored; it will be asked for again", LOG_S("cluster", action->cluster),
			  LOG_S("error", err.msg));
		active_chains_mark_stale(&s->chains);
		struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
		if (action->kind == DO_OBSERVE && watch != NULL) {
			cluster_watch_release(watch, action->early, action->told_early);
			watch->next_ms = clock_mono_ms() + 1000;
		}
		return;
	}
	fault_point(stored_points[action->kind]);
}
