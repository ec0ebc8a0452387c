#include "sched/adopt.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/plan/eval_config.h"
#include "db/evaluations.h"
#include "sched/advance.h"
#include "sched/attempt_intent.h"
#include "sched/event_log.h"
#include "sched/origin.h"
#include "sched/transition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Its attempts queue their successors themselves. From one that the store knows, or asks for by name, observations
 * follow them one after the other, and tell of each. */
static bool follows_itself(const struct job_row *job)
{
	return strcmp(job->chain.resume_mode, "in_job") == 0 && job->chain.attempt > 0 &&
	       (job->state == CHAIN_SUBMITTING || job->state == CHAIN_PENDING || job->state == CHAIN_RUNNING ||
		job->state == CHAIN_CANCELLING);
}

/* Does the store lack the attempt, or, of the newest that it intended, Slurm's id? */
static bool lacks(const struct job_row *job, int attempt)
{
	if (follows_itself(job))
		return false;
	return job->chain.attempt < attempt ||
	       (job->chain.attempt == attempt && job->state == CHAIN_SUBMITTING && job->chain.slurm_job_id == NULL);
}

int adopt_is_lost(struct scheduler *s, struct lost_evaluation *lost, bool *ret_lost, struct nel_err *err)
{
	CLEANUP(job_list_done) struct job_list jobs = {0};
	if (jobs_of_evaluation(s->db, lost->id, &jobs, err) != 0)
		return -1;
	lost->known = jobs.count > 0;
	*ret_lost = !lost->known;
	for (size_t i = 0; i < lost->job_count; i++)
		for (size_t j = 0; j < jobs.count; j++)
			if (jobs.items[j].chain.number == lost->jobs[i].index &&
			    lacks(&jobs.items[j], lost->jobs[i].attempt))
				*ret_lost = true;
	return 0;
}

size_t adopt_choose(const struct lost_attempt *found, size_t count, int newest, bool in_job, bool unsure)
{
	size_t chosen = count;
	size_t first = count;
	for (size_t i = 0; i < count; i++) {
		if (found[i].number <= newest || (found[i].id[0] == '\0' && !unsure))
			continue;
		first = first == count ? i : first;
		if (!in_job || found[i].begun)
			chosen = i;
	}
	/* Of a chain without attempts the first one is nobody's successor. */
	return chosen == count && newest == 0 ? first : chosen;
}

int adopt_budget_from(const int64_t *elapsed_s, int count, int64_t limit_s, int64_t left_s)
{
	int from = 1;
	int64_t nearest = INT64_MAX;
	for (int first = 1; first <= count + 1; first++) {
		int64_t used_s = 0;
		for (int i = first; i <= count; i++)
			used_s += elapsed_s[i - 1];
		int64_t distance = used_s - (limit_s - left_s);
		distance = distance < 0 ? -distance : distance;
		if (distance >= nearest)
			continue;
		nearest = distance;
		from = first;
	}
	return from;
}

/* ---- one chain ---- */

/* What Slurm and the script say of an attempt that is over, in its row. */
static void note_facts(struct attempt_row *row, const struct lost_attempt *found)
{
	const struct observation *o = &found->seen;
	if (row->slurm_job_id == NULL && found->id[0] != '\0')
		row->slurm_job_id = mem_strdup(found->id);
	if (row->submitted_at == 0)
		row->submitted_at = found->submitted;
	if (o->state[0] != '\0') {
		free(row->slurm_state);
		row->slurm_state = mem_strdup(o->state);
	}
	if (o->nodes != NULL) {
		free(row->nodes);
		row->nodes = mem_strdup(o->nodes);
	}
	row->started_at = o->started_at != 0 ? o->started_at : o->stamp_started;
	row->elapsed_s = o->elapsed_s >= 0 ? o->elapsed_s : o->stamp_elapsed_s;
	row->ended_at = o->ended_at != 0 ? o->ended_at : o->stamp_ended;
	if (row->ended_at == 0) /* nobody knows: it is over now, at the latest */
		row->ended_at =
		    row->started_at != 0 && row->elapsed_s >= 0 ? row->started_at + row->elapsed_s : clock_now_s();
	row->exit_code = o->exit_code >= 0 ? o->exit_code : o->stamp_exit;
	row->signal = o->signal;
}

/* The newest attempt of the store is over, since another one followed it: the chain waits for its turn. */
static int close_newest(struct scheduler *s, struct active_chain *chain, const char *reason, struct nel_err *err)
{
	chain->ending = false;
	switch (chain->job.state) {
	case CHAIN_QUEUED:
	case CHAIN_RESUMING: return 0;
	case CHAIN_SUBMITTING:
		if (advance_apply(s, chain, EVENT_ACCEPTED, NULL, NULL, err) != 0)
			return -1;
		return advance_apply(s, chain, EVENT_END_CONTINUE, reason, NULL, err);
	case CHAIN_PENDING:
	case CHAIN_RUNNING: return advance_apply(s, chain, EVENT_END_CONTINUE, reason, NULL, err);
	case CHAIN_CANCELLING:
		if (advance_apply(s, chain, EVENT_END_CANCELLED, chain->job.reason, NULL, err) != 0)
			return -1;
		return advance_resume(s, chain, reason, err);
	case CHAIN_FAILED:
	case CHAIN_CANCELLED:
	case CHAIN_BUDGET_EXHAUSTED: return advance_resume(s, chain, reason, err);
	case CHAIN_SUCCEEDED: break;
	}
	return err_set(err, NEL_INTERNAL, "job %s has succeeded and goes on", chain->job.id);
}

/* Which attempts the budget counts: somebody may have given a new one. */
static void note_budget(struct active_chain *chain, const struct lost_evaluation *lost,
			const struct lost_attempt *found, size_t chosen)
{
	int64_t elapsed_s[64] = {0};
	int newest = found[chosen].number;
	for (size_t i = 0; i < lost->origin.budget_count; i++) {
		const struct origin_budget *budget = &lost->origin.budgets[i];
		if (lost_folder_index(budget->folder) != chain->common->row.number || budget->attempt != newest)
			continue;
		if (budget->from > 0 && budget->from <= newest) {
			chain->common->row.budget_from_attempt = budget->from;
		} else if (budget->left_s >= 0 && chain->common->row.budget_limit_s >= 0 && newest <= 64) {
			for (size_t a = 0; a < chosen; a++)
				if (found[a].number < newest && found[a].seen.elapsed_s > 0)
					elapsed_s[found[a].number - 1] = found[a].seen.elapsed_s;
			chain->common->row.budget_from_attempt =
			    adopt_budget_from(elapsed_s, newest - 1, chain->common->row.budget_limit_s, budget->left_s);
		}
	}
}

/* The jobs of a chain that the attempts which were found are of: those that live, and, when none does, those that have
 * not succeeded. */
struct riders {
	struct active_chain **items;
	size_t count;
};

static void riders_done(struct riders *riders)
{
	free(riders->items);
}

static void find_riders(const struct chain_common *common, struct riders *riders)
{
	riders->items = mem_calloc(common->member_count, sizeof(struct active_chain *));
	for (size_t i = 0; i < common->member_count; i++)
		if (!chain_state_is_end(common->members[i]->job.state) && !common->members[i]->ending)
			riders->items[riders->count++] = common->members[i];
	if (riders->count > 0)
		return;
	for (size_t i = 0; i < common->member_count; i++)
		if (common->members[i]->job.state != CHAIN_SUCCEEDED)
			riders->items[riders->count++] = common->members[i];
}

static int close_all(struct scheduler *s, const struct riders *riders, const char *reason, struct nel_err *err)
{
	for (size_t i = 0; i < riders->count; i++)
		if (close_newest(s, riders->items[i], reason, err) != 0)
			return -1;
	return 0;
}

/* With execution.walltime: auto the time limit is known only where it was chosen. */
static bool note_limit(struct attempt_row *row, const struct lost_attempt *found)
{
	if (found->time_limit_s > 0)
		row->time_limit_s = found->time_limit_s;
	return found->time_limit_s > 0;
}

/* Slurm has taken the newest attempt under this id. */
static int take_id(struct scheduler *s, const struct riders *riders, const struct lost_attempt *found,
		   struct nel_err *err)
{
	struct chain_common *common = riders->items[0]->common;
	char reason[128] = "";
	if (note_limit(&common->attempt, found))
		snprintf(reason, sizeof reason, "attempt %d, for %" PRId64 " s (execution.walltime is auto)",
			 found->number, found->time_limit_s);
	common->attempt.slurm_job_id = mem_strdup(found->id);
	common->attempt.submitted_at = found->submitted;
	free(common->row.slurm_job_id);
	common->row.slurm_job_id = mem_strdup(found->id);
	if (advance_count_submitted(s, riders->items[0], err) != 0)
		return -1;
	for (size_t i = 0; i < riders->count; i++) {
		active_chain_set_pending(riders->items[i], ACTION_NONE);
		if (advance_apply(s, riders->items[i], EVENT_ACCEPTED, reason[0] != '\0' ? reason : NULL, "Slurm",
				  err) != 0)
			return -1;
	}
	return 0;
}

/* The attempts up to the chosen one become the chain's. */
static int adopt_attempts(struct scheduler *s, const struct riders *riders, const struct eval_plan *plan,
			  const struct lost_evaluation *lost, const struct lost_attempt *found, size_t chosen,
			  struct nel_err *err)
{
	char reason[128];
	struct active_chain *chain = riders->items[0];
	struct chain_common *common = chain->common;
	snprintf(reason, sizeof reason, "attempt %d was found on the cluster, of which the store did not know",
		 found[chosen].number);
	for (size_t i = 0; i < chosen; i++) {
		bool had_ended = common->attempt.ended_at != 0;
		if (found[i].number != common->row.attempt)
			continue;
		note_facts(&common->attempt, &found[i]);
		if (!had_ended && common->attempt.slurm_job_id != NULL &&
		    advance_count_end(s, chain, &found[i].seen, err) != 0)
			return -1;
	}
	if (close_all(s, riders, reason, err) != 0)
		return -1;
	note_budget(chain, lost, found, chosen);
	for (size_t i = 0; i <= chosen; i++) {
		if (found[i].number <= common->row.attempt || (found[i].id[0] == '\0' && i != chosen))
			continue;
		if (attempt_intent_found(s, chain, plan, found[i].number, found[i].submitted, err) != 0)
			return -1;
		if (i == chosen)
			break;
		note_facts(&common->attempt, &found[i]);
		note_limit(&common->attempt, &found[i]);
		if (advance_count_submitted(s, chain, err) != 0 ||
		    event_log_attempt(s->db, chain, "attempt.ended", clock_now_s(), err) != 0 ||
		    advance_count_end(s, chain, &found[i].seen, err) != 0 ||
		    attempts_update(s->db, &common->attempt, err) != 0)
			return -1;
	}
	if (attempts_elapsed(s->db, common->seq, common->row.budget_from_attempt, &common->used_before_s, err) != 0)
		return -1;
	common->row.budget_used_s = common->used_before_s;
	common->row.not_before = 0;
	for (size_t i = 0; i < riders->count; i++) {
		riders->items[i]->first_send = false;
		if (advance_apply(s, riders->items[i], EVENT_ADMIT, reason, "the cluster to take the job", err) != 0)
			return -1;
	}
	if (found[chosen].id[0] == '\0')
		return 0; /* it may be on its way to Slurm: it is sent again, under its name */
	return take_id(s, riders, &found[chosen], err);
}

/* The attempt that the store was about to send is there already. */
static int adopt_intended(struct scheduler *s, const struct riders *riders, const struct lost_attempt *found,
			  size_t count, bool *adopted, struct nel_err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (found[i].number != riders->items[0]->common->attempt.number || found[i].id[0] == '\0')
			continue;
		*adopted = true;
		return take_id(s, riders, &found[i], err);
	}
	return 0;
}

/* The jobs of a chain in the store, which the transaction may change; NULL: it has none of that number. */
static int chain_of(struct scheduler *s, const char *evaluation, int number, struct chain_common **ret_common,
		    struct nel_err *err)
{
	CLEANUP(job_list_done) struct job_list jobs = {0};
	*ret_common = NULL;
	if (jobs_of_evaluation(s->db, evaluation, &jobs, err) != 0)
		return -1;
	for (size_t i = 0; i < jobs.count; i++) {
		if (jobs.items[i].chain.number != number)
			continue;
		struct active_chain *chain = active_chains_find_job(&s->chains, jobs.items[i].seq);
		if (chain == NULL) {
			chain = active_chains_put(&s->chains, &jobs.items[i]);
			chain->touched = true;
			if (advance_attach(s, chain, err) != 0)
				return -1;
		}
		chain->touched = true;
		*ret_common = chain->common;
	}
	return 0;
}

static int cancel_all(struct scheduler *s, const struct chain_common *common, struct nel_err *err)
{
	for (size_t i = 0; i < common->member_count; i++)
		if (advance_end(s, common->members[i], EVENT_CANCEL,
				"the store was restored from before this evaluation, and nothing of this job was on "
				"the cluster: it is not sent unless it is resumed",
				err) != 0)
			return -1;
	return 0;
}

/* found: the attempts of the chain with that number, `count` of them. */
static int adopt_found(struct scheduler *s, const struct eval_plan *plan, const struct lost_evaluation *lost,
		       const struct chain_common *common, const struct lost_attempt *found, size_t count, bool *adopted,
		       struct nel_err *err)
{
	const struct active_chain *first = common->members[0];
	size_t chosen =
	    adopt_choose(found, count, common->row.attempt, active_chain_resumes_in_job(first), !lost->known);
	if (chosen == count && !lost->known)
		return cancel_all(s, common, err);
	CLEANUP(riders_done) struct riders riders = {0};
	find_riders(common, &riders);
	if (riders.count == 0)
		return 0;
	if (chosen == count)
		return riders.items[0]->job.state == CHAIN_SUBMITTING && common->attempt.slurm_job_id == NULL
			   ? adopt_intended(s, &riders, found, count, adopted, err)
			   : 0;
	*adopted = true;
	/* Somebody cancelled one meanwhile, when it seemed not to have been sent. */
	CLEANUP(mem_freep) char **reasons = mem_calloc(riders.count, sizeof(char *));
	for (size_t i = 0; i < riders.count; i++) {
		const struct job_row *job = &riders.items[i]->job;
		if (job->state == CHAIN_CANCELLED && job->ended_at >= s->started_s)
			reasons[i] = mem_strdup(job->reason != NULL ? job->reason : "");
	}
	int rc = adopt_attempts(s, &riders, plan, lost, found, chosen, err);
	for (size_t i = 0; i < riders.count; i++) {
		if (rc == 0 && reasons[i] != NULL)
			rc = advance_apply(s, riders.items[i], EVENT_CANCEL, reasons[i], "the cluster to end the job",
					   err);
		free(reasons[i]);
	}
	return rc;
}

static int adopt_chain(struct scheduler *s, const struct eval_plan *plan, const struct lost_evaluation *lost,
		       int number, bool *adopted, struct nel_err *err)
{
	size_t begin = 0;
	size_t count = 0;
	struct chain_common *common = NULL;
	for (size_t i = 0; i < lost->attempt_count; i++) {
		if (lost->attempts[i].index < number)
			begin++;
		else if (lost->attempts[i].index == number)
			count++;
	}
	if (chain_of(s, lost->id, number, &common, err) != 0)
		return -1;
	return common == NULL ? 0 : adopt_found(s, plan, lost, common, &lost->attempts[begin], count, adopted, err);
}

/* ---- one evaluation ---- */

static char *slurm_ids(const struct lost_evaluation *lost)
{
	CLEANUP(json_freep) json_t *ids = json_array();
	for (size_t i = 0; i < lost->attempt_count && json_array_size(ids) < 1000; i++)
		if (lost->attempts[i].id[0] != '\0')
			json_array_append_new(ids, json_string(lost->attempts[i].id));
	return json_dumps(ids, JSON_COMPACT);
}

static int note(struct scheduler *s, const struct cluster_watch *watch, const struct lost_evaluation *lost,
		const char *user, enum orphan_outcome outcome, const char *why, struct nel_err *err)
{
	CLEANUP(orphan_row_done)
	struct orphan_row row = {.cluster = mem_strdup(watch->name),
				 .identity = mem_strdup(watch->identity),
				 .rundir = outcome == ORPHAN_GONE ? NULL : mem_strdup(lost->rundir),
				 .slurm_job_ids = slurm_ids(lost),
				 .live = lost->live,
				 .user = mem_strdup(user),
				 .since = lost->since != 0 ? lost->since : clock_now_s(),
				 .found_at = clock_now_s(),
				 .outcome = outcome,
				 .why = mem_strdup(why)};
	memcpy(row.evaluation, lost->id, sizeof row.evaluation);
	log_warning(outcome == ORPHAN_ADOPTED ? "evaluation found on the cluster, and adopted"
					      : "evaluation found on the cluster, of which the store does not know",
		    LOG_S("cluster", watch->name), LOG_S("eval", lost->id), LOG_S("rundir", lost->rundir),
		    LOG_S("error", why));
	return orphans_put(s->db, &row, err);
}

/* Why the document, which is genuine, is not taken; NULL: it is. */
static const char *unusable(const struct cluster_watch *watch, const struct lost_evaluation *lost)
{
	if (json_integer_value(json_object_get(lost->document, "format")) != ORIGIN_FORMAT)
		return "its .origin is of another version of nel-slurmd";
	const char *cluster = json_string_value(json_object_get(lost->document, "cluster"));
	const char *identity = json_string_value(json_object_get(lost->document, "identity"));
	const char *id = json_string_value(json_object_get(lost->document, "id"));
	const char *rundir = json_string_value(json_object_get(lost->document, "rundir"));
	if (cluster == NULL || identity == NULL || id == NULL || rundir == NULL || rundir[0] != '/' ||
	    strcmp(id, lost->id) != 0)
		return "its .origin lacks something that this version needs";
	if (strcmp(cluster, watch->name) != 0)
		return "it was submitted to this cluster under another name: give the cluster its former name in the "
		       "settings, and start anew";
	if (strcmp(identity, watch->identity) != 0)
		return "it was submitted as another account";
	/* The last part alone: Slurm tells paths without the symbolic links that the settings may name. */
	if (strcmp(strrchr(rundir, '/'), strrchr(lost->rundir, '/')) != 0)
		return "it is not in the directory that it was made in";
	return NULL;
}

static int adopt_unknown(struct scheduler *s, const struct lost_evaluation *lost, const struct eval_plan *plan,
			 const char *user, struct nel_err *err)
{
	if (origin_store(s->db, lost->document, lost->origin.sealed_env, lost->origin.sealed_env_size, clock_now_s(),
			 err) != 0)
		return -1;
	bool any = false;
	int number = -1;
	CLEANUP(job_list_done) struct job_list jobs = {0};
	if (jobs_of_evaluation(s->db, lost->id, &jobs, err) != 0)
		return -1;
	for (size_t i = 0; i < jobs.count; i++) {
		if (jobs.items[i].chain.number == number)
			continue;
		number = jobs.items[i].chain.number;
		if (adopt_chain(s, plan, lost, number, &any, err) != 0)
			return -1;
	}
	return event_log_adopted(s->db, lost->id, user, lost->rundir, clock_now_s(), err);
}

static int adopt_known(struct scheduler *s, const struct lost_evaluation *lost, const struct eval_plan *plan,
		       bool *adopted, struct nel_err *err)
{
	int number = -1;
	for (size_t i = 0; i < lost->attempt_count; i++) {
		if (lost->attempts[i].index == number)
			continue;
		number = lost->attempts[i].index;
		if (adopt_chain(s, plan, lost, number, adopted, err) != 0)
			return -1;
	}
	return 0;
}

/* The evaluation is in the store; whose it is, and its plan. */
static int read_known(struct scheduler *s, const struct lost_evaluation *lost, char **ret_user, json_t **ret_resolved,
		      struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	if (evaluations_get(s->db, lost->id, true, &row, err) != 0)
		return -1;
	*ret_user = mem_strdup(row.user);
	*ret_resolved = json_loads(row.resolved, 0, NULL);
	return 0;
}

int adopt_evaluation(struct scheduler *s, const struct cluster_watch *watch, struct lost_evaluation *lost,
		     struct nel_err *err)
{
	bool is_lost = false;
	CLEANUP(mem_freep) char *user = NULL;
	CLEANUP(json_freep) json_t *resolved = NULL;
	CLEANUP(eval_plan_freep) struct eval_plan *plan = NULL;
	if (adopt_is_lost(s, lost, &is_lost, err) != 0)
		return -1;
	if (!is_lost)
		return 0;
	if (lost->known && read_known(s, lost, &user, &resolved, err) != 0)
		return -1;
	if (!lost->known) {
		const char *why = lost->why != NULL ? lost->why : unusable(watch, lost);
		/* Another service's jobs on the account are its own affair, once they have ended. */
		if (why != NULL && lost->outcome == ORPHAN_OTHER_SERVICE && !lost->live)
			return 0;
		if (why != NULL)
			return note(s, watch, lost, NULL, lost->why != NULL ? lost->outcome : ORPHAN_UNUSABLE, why,
				    err);
		user = mem_strdup(json_string_value(json_object_get(lost->document, "user")));
		const char *text = json_string_value(json_object_get(lost->document, "resolved"));
		resolved = json_loads(text != NULL ? text : "", 0, NULL);
	}
	struct nel_err plan_err = {0};
	if (resolved == NULL || eval_config_replan(resolved, &plan, &plan_err) != 0) {
		err_prefix(&plan_err, "its config cannot be used");
		return note(s, watch, lost, user, ORPHAN_UNUSABLE, plan_err.msg, err);
	}
	bool adopted = !lost->known;
	if (lost->known ? adopt_known(s, lost, plan, &adopted, err) != 0 : adopt_unknown(s, lost, plan, user, err) != 0)
		return -1;
	return adopted ? note(s, watch, lost, user, ORPHAN_ADOPTED, NULL, err) : 0;
}
