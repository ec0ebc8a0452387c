#include "sched/placement.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/json_or_null.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "chain/budget.h"
#include "config/plan/eval_config.h"
#include "db/placements.h"
#include "db/totals.h"
#include "sched/event_log.h"
#include "sched/transition.h"
#include "slurm/script.h"
#include "slurm/slurm_state.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define WAIT_SIZE 600

/* ---- the store ---- */

static int store(struct scheduler *s, const struct placement *p, const json_t *document, enum placement_state state,
		 struct nel_err *err)
{
	CLEANUP(mem_freep) char *text = json_dumps(document, JSON_COMPACT);
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "a placement is no JSON");
	return placements_set(s->db, p->seq, text, state != PLACEMENT_SETTLED, clock_now_s(), err);
}

/* The transaction is committed. Takes document over. */
static void adopt(struct placement *p, json_t *document, enum placement_state state)
{
	json_decref(p->document);
	p->document = document;
	p->state = state;
	p->awaited = 0;
	p->leaving = false;
	p->left = false;
	p->tries = 0;
	p->due_ms = 0;
	p->turn++;
}

static json_t *copy_as(const struct placement *p, enum placement_state state)
{
	json_t *document = json_deep_copy(p->document);
	json_object_set_new(document, "state", json_string(placement_state_name(state)));
	return document;
}

static void fail(struct scheduler *s, struct placement *p, const struct nel_err *err)
{
	log_error("a placement cannot be stored", LOG_N("evaluation_seq", p->seq), LOG_S("error", err->msg));
	active_chains_mark_stale(&s->chains);
	p->due_ms = clock_mono_ms() + 1000;
}

static void forget(struct scheduler *s, struct placement *p)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (chain->placement != p)
			continue;
		chain->placement = NULL;
		chain->held = false;
		if (chain->pending == ACTION_WITHDRAW)
			active_chain_set_pending(chain, ACTION_NONE);
	}
	HASH_DELETE(hh, s->placements, p);
	json_decref(p->document);
	free(p);
}

struct placement *placement_find(const struct scheduler *s, int64_t evaluation_seq)
{
	struct placement *p = NULL;
	HASH_FIND(hh, s->placements, &evaluation_seq, sizeof evaluation_seq, p);
	return p;
}

int placement_attach(struct scheduler *s, struct active_chain *chain, struct nel_err *err)
{
	int64_t seq = chain->job.evaluation_seq;
	struct placement *p = placement_find(s, seq);
	if (p == NULL) {
		CLEANUP(mem_freep) char *text = NULL;
		if (placements_get(s->db, seq, &text, err) != 0)
			return -1;
		json_t *document = text != NULL ? json_loads(text, 0, NULL) : NULL;
		if (document == NULL)
			return 0;
		p = mem_calloc(1, sizeof *p);
		p->seq = seq;
		p->document = document;
		p->state = placement_state_from(placement_document_text(document, "state"));
		p->since_s = placement_document_time(document, "placed_at");
		p->move_after_s = json_integer_value(json_object_get(document, "move_after_s"));
		HASH_ADD(hh, s->placements, seq, sizeof p->seq, p);
	}
	chain->placement = p;
	chain->held = p->state != PLACEMENT_PLACED && p->state != PLACEMENT_SETTLED;
	return 0;
}

void placements_done(struct scheduler *s)
{
	struct placement *p = NULL;
	struct placement *next = NULL;
	HASH_ITER(hh, s->placements, p, next)
		forget(s, p);
}

/* ---- its jobs ---- */

static void count(struct placement *p, struct active_chain *chain)
{
	const struct job_row *job = &chain->job;
	const struct attempt_row *attempt = &chain->common->attempt;
	bool cancelled = job->state == CHAIN_CANCELLED || job->cancel_requested_at != 0;
	bool ended = chain_state_is_end(job->state) || chain->ending;
	p->members++;
	p->busy += chain->in_flight != NULL || chain->stale;
	p->sent |= chain->common->row.attempt > 0;
	/* sacct gives an attempt that was withdrawn a start, too; and of a shared chain the attempt begins before its
	 * jobs do. */
	bool runs = attempt->slurm_state != NULL && slurm_state_class(attempt->slurm_state) == SLURM_RUNNING;
	bool in_slurm = active_chain_is_in_slurm(chain) && attempt->number > 0;
	bool has_run = (in_slurm && (runs || (attempt->started_at != 0 && attempt->withdrawn_at == 0))) ||
		       job->state == CHAIN_RUNNING || (ended && !cancelled) ||
		       (job->state == CHAIN_RESUMING && attempt->withdrawn_at == 0);
	p->begun |= has_run;
	if (!ended) {
		p->live++;
		p->first = p->first != NULL ? p->first : chain;
		p->waiting += active_chain_waits(chain);
		p->pending += job->state == CHAIN_PENDING;
	}
	if (has_run && attempt->started_at != 0 && (p->started_at == 0 || attempt->started_at < p->started_at))
		p->started_at = attempt->started_at;
}

static void count_all(struct scheduler *s)
{
	struct placement *p = NULL;
	struct placement *next_p = NULL;
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->placements, p, next_p) {
		p->first = NULL;
		p->members = p->live = p->waiting = p->pending = p->busy = 0;
		p->begun = p->sent = false;
		p->started_at = 0;
	}
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (chain->placement != NULL)
			count(chain->placement, chain);
	}
}

static void hold(struct scheduler *s, const struct placement *p, bool held)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (chain->placement == p)
			chain->held = held;
	}
}

static int tell(struct scheduler *s, const struct placement *p, const char *waiting_on, struct nel_err *err)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (chain->placement == p && active_chain_waits(chain) &&
		    transition_waiting_on(s->db, chain, waiting_on, clock_now_s(), err) != 0)
			return -1;
	}
	return 0;
}

/* ---- it stays ---- */

/* In the history of its jobs. */
static int tell_error(struct scheduler *s, const struct placement *p, const char *cluster, int64_t expected_s,
		      int64_t error_s, struct nel_err *err)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	char at[CLOCK_RFC3339_SIZE];
	char text[160];
	snprintf(text, sizeof text, "the first job started %" PRId64 " s %s than %s had said (%s)",
		 error_s < 0 ? -error_s : error_s, error_s < 0 ? "earlier" : "later", cluster,
		 clock_rfc3339(expected_s, at));
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (chain->placement == p && placements_tell_job(s->db, chain->job_seq, text, clock_now_s(), err) != 0)
			return -1;
	}
	return 0;
}

/* How far the expectation was out, in what is told and counted. */
static int note_error(struct scheduler *s, const struct placement *p, json_t *document, struct nel_err *err)
{
	int64_t expected_s = placement_document_time(document, "expected_start");
	const char *cluster = placement_document_text(document, "cluster");
	if (p->started_at == 0)
		return 0;
	json_object_set_new(document, "started_at", json_or_null_time(p->started_at));
	if (expected_s == 0)
		return 0;
	int64_t error_s = p->started_at - expected_s;
	json_object_set_new(document, "error_s", json_integer(error_s));
	if (tell_error(s, p, cluster, expected_s, error_s, err) != 0)
		return -1;
	if (totals_add(s->db, "start_forecasts", cluster, "", 1, err) != 0)
		return -1;
	return totals_add(s->db, "start_forecast_error_seconds", cluster, "", error_s < 0 ? -error_s : error_s, err);
}

static void settle(struct scheduler *s, struct placement *p)
{
	struct nel_err err;
	CLEANUP(json_freep) json_t *document = copy_as(p, PLACEMENT_SETTLED);
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	json_object_set_new(document, "target", json_null());
	if (db_begin(s->db, &err) != 0 || note_error(s, p, document, &err) != 0 ||
	    store(s, p, document, PLACEMENT_SETTLED, &err) != 0 ||
	    (p->state != PLACEMENT_PLACED && tell(s, p, "its turn", &err) != 0) || db_commit(s->db, &err) != 0) {
		fail(s, p, &err);
		return;
	}
	forget(s, p);
}

/* ---- asking ---- */

static int64_t patience_ms(const struct scheduler *s, const char *cluster)
{
	const struct settings_cluster *found = settings_cluster_by_name(s->watches.settings, cluster);
	return (found != NULL ? found->connect_timeout_s : 0) * 1000;
}

void placement_take_answer(struct placement *p, const char *cluster, enum placement_answer answer,
			   int64_t expected_start, const char *message)
{
	if (p->awaited > 0 && placement_document_take(p->document, cluster, answer, expected_start, message))
		p->awaited--;
}

static void ask_one(struct scheduler *s, struct placement *p, json_t *candidate)
{
	struct nel_err err;
	const char *cluster = placement_document_text(candidate, "cluster");
	struct placement_plan plan = {0};
	json_object_set_new(candidate, "answer", json_null());
	p->awaited++;
	if (placements_plan(s->db, p->seq, cluster, &plan, &err) != 0 || !placement_ask(s, p, &plan, &err))
		placement_take_answer(p, cluster, ANSWER_SILENT, 0, err.msg);
	placement_plan_done(&plan);
}

/* All that are open. */
static void ask(struct scheduler *s, struct placement *p)
{
	size_t i;
	json_t *candidate;
	int64_t most_ms = 0;
	p->turn++;
	p->awaited = 1; /* while they are being asked */
	json_array_foreach(placement_document_candidates(p->document), i, candidate) {
		if (!placement_document_is_open(candidate))
			continue;
		int64_t its_ms = patience_ms(s, placement_document_text(candidate, "cluster"));
		most_ms = its_ms > most_ms ? its_ms : most_ms;
		ask_one(s, p, candidate);
	}
	p->deadline_ms = clock_mono_ms() + most_ms;
}

/* Have all answered, or was it too long? What is missing is silence then. */
static bool have_answers(const struct scheduler *s, struct placement *p)
{
	size_t i;
	json_t *candidate;
	if (p->awaited > 1 && clock_mono_ms() < p->deadline_ms)
		return false;
	json_array_foreach(placement_document_candidates(p->document), i, candidate) {
		char message[80];
		const char *cluster = placement_document_text(candidate, "cluster");
		snprintf(message, sizeof message, "no answer in %" PRId64 " s (connect_timeout_s)",
			 patience_ms(s, cluster) / 1000);
		placement_take_answer(p, cluster, ANSWER_SILENT, 0, message);
	}
	p->awaited = 0;
	p->turn++;
	return true;
}

/* None that would take it is there: they are asked again, later each time. Where it is already, it stays meanwhile. */
static void ask_later(struct scheduler *s, struct placement *p)
{
	struct nel_err err;
	CLEANUP(str_done) struct str answers = {0};
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	char text[WAIT_SIZE];
	placement_document_describe(p->document, &answers);
	snprintf(text, sizeof text, "a cluster that takes it: %s", str_text(&answers));
	p->tries++;
	p->due_ms = clock_mono_ms() + backoff_s(p->tries, 10, 300, randombytes_random()) * 1000;
	if (db_begin(s->db, &err) != 0 || store(s, p, p->document, p->state, &err) != 0 ||
	    (p->state == PLACEMENT_CHOOSING && tell(s, p, text, &err) != 0) || db_commit(s->db, &err) != 0)
		fail(s, p, &err);
}

/* ---- choosing ---- */

/* Its jobs' rows, in memory and in the store, are on the plan's cluster. */
static int move_jobs(struct scheduler *s, const struct placement *p, const struct placement_plan *where,
		     const struct eval_plan *plan, const char *reason, struct nel_err *err)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		struct job_row *job = &chain->job;
		if (chain->placement != p || !active_chain_waits(chain))
			continue;
		const struct plan_job *plan_job = eval_plan_job(plan, job->index);
		if (plan_job == NULL)
			return err_set(err, NEL_DB, "job %s: its evaluation has %zu tasks", job->id, plan->job_count);
		chain->touched = true;
		chain->watch = NULL;
		free(job->cluster);
		free(job->identity);
		free(job->job_dir);
		free(job->partition);
		free(job->account);
		job->cluster = mem_strdup(where->cluster);
		job->identity = mem_strdup(where->identity);
		job->job_dir = script_job_dir(where->rundir, plan_job);
		job->partition = mem_strdup(plan->partition);
		job->account = mem_strdup(plan->account);
		job->gpus = eval_plan_gpus(plan);
		if (placements_move_job(s->db, job, reason, clock_now_s(), err) != 0 ||
		    transition_waiting_on(s->db, chain, "its turn", clock_now_s(), err) != 0)
			return -1;
	}
	return 0;
}

static int place_in_store(struct scheduler *s, const struct placement *p, json_t *document, const char *cluster,
			  struct nel_err *err)
{
	int rc = -1;
	CLEANUP(json_freep) json_t *resolved = NULL;
	CLEANUP(eval_plan_freep) struct eval_plan *plan = NULL;
	CLEANUP(str_done) struct str reason = {0};
	struct placement_plan where = {0};
	const char *from = placement_document_text(document, "cluster");
	bool moved = p->state == PLACEMENT_LEAVING;
	if (moved)
		str_appendf(&reason, "moved from %s to %s, since it had not started (execution.move_after): ", from,
			    cluster);
	else
		str_appendf(&reason, "placed on %s: ", cluster);
	placement_document_describe(p->document, &reason);
	CLEANUP(mem_freep) char *before = moved ? mem_strdup(from) : NULL;
	json_object_set_new(document, "cluster", json_string(cluster));
	json_object_set_new(document, "target", json_null());
	json_object_set_new(document, "placed_at", json_or_null_time(clock_now_s()));
	if (placements_plan(s->db, p->seq, cluster, &where, err) == 0) {
		resolved = json_loads(where.resolved, 0, NULL);
		rc = resolved == NULL ? err_set(err, NEL_DB, "a stored config is no JSON")
				      : eval_config_replan(resolved, &plan, err);
	}
	if (rc == 0)
		rc = placements_move(s->db, p->seq, &where, clock_now_s(), err);
	if (rc == 0)
		rc = move_jobs(s, p, &where, plan, str_text(&reason), err);
	if (rc == 0)
		rc = store(s, p, document, PLACEMENT_PLACED, err);
	if (rc == 0)
		rc = event_log_placed(s->db, &p->first->job, before, str_text(&reason),
				      placement_document_candidates(p->document), clock_now_s(), err);
	if (rc == 0)
		rc = totals_add(s->db, moved ? "moves" : "placements", cluster, "", 1, err);
	placement_plan_done(&where);
	return rc;
}

/* The choice is committed before anything is sent. */
static void place(struct scheduler *s, struct placement *p, const char *name)
{
	struct nel_err err;
	CLEANUP(mem_freep) char *cluster = mem_strdup(name);
	CLEANUP(json_freep) json_t *document = copy_as(p, PLACEMENT_PLACED);
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	json_t *candidate = placement_document_candidate(document, cluster);
	json_object_set(document, "expected_start", json_object_get(candidate, "expected_start"));
	json_object_set_new(candidate, "had", json_true());
	fault_point("place-before-commit");
	if (db_begin(s->db, &err) != 0 || place_in_store(s, p, document, cluster, &err) != 0 ||
	    db_commit(s->db, &err) != 0) {
		fail(s, p, &err);
		return;
	}
	fault_point("place-committed");
	adopt(p, TAKE(document), PLACEMENT_PLACED);
	p->since_s = clock_now_s();
	hold(s, p, false);
	log_info("evaluation placed", LOG_S("eval", p->first->job.evaluation), LOG_S("cluster", cluster));
}

static void choose(struct scheduler *s, struct placement *p)
{
	const char *cluster = placement_document_choice(p->document);
	if (cluster == NULL)
		ask_later(s, p);
	else
		place(s, p, cluster);
}

static void step_choosing(struct scheduler *s, struct placement *p)
{
	if (p->awaited == 0)
		ask(s, p);
	else if (have_answers(s, p))
		choose(s, p);
}

/* ---- moving ---- */

/* Another would take it: what waits here is to end. */
static void withdraw(struct scheduler *s, struct placement *p, const char *target)
{
	struct nel_err err;
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	CLEANUP(json_freep) json_t *document = copy_as(p, PLACEMENT_WITHDRAWING);
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	json_object_set_new(document, "target", json_string(target));
	int rc = db_begin(s->db, &err);
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (rc != 0 || chain->placement != p || chain->job.state != CHAIN_PENDING)
			continue;
		chain->touched = true;
		chain->common->attempt.withdrawn_at = clock_now_s();
		rc = transition_store(s->db, chain, clock_now_s(), &err);
	}
	if (rc != 0 || store(s, p, document, PLACEMENT_WITHDRAWING, &err) != 0 || db_commit(s->db, &err) != 0) {
		fail(s, p, &err);
		return;
	}
	fault_point("withdraw-committed");
	adopt(p, TAKE(document), PLACEMENT_WITHDRAWING);
	hold(s, p, true);
}

static void step_placed(struct scheduler *s, struct placement *p)
{
	bool at_rest = p->waiting + p->pending == p->live && p->busy == 0;
	bool late = p->move_after_s > 0 && clock_now_s() - p->since_s >= p->move_after_s;
	if (p->begun) {
		settle(s, p);
	} else if (p->awaited > 0) {
		const char *best = have_answers(s, p) ? placement_document_best(p->document) : NULL;
		CLEANUP(mem_freep) char *target = best != NULL ? mem_strdup(best) : NULL;
		if (target != NULL && at_rest)
			withdraw(s, p, target);
		else if (p->awaited == 0)
			ask_later(s, p);
	} else if (late && at_rest && placement_document_has_open(p->document)) {
		ask(s, p);
	}
}

static void step_withdrawing(struct scheduler *s, struct placement *p)
{
	struct nel_err err;
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	if (p->begun) {
		settle(s, p); /* what was withdrawn meanwhile is sent here again */
		return;
	}
	HASH_ITER(hh, s->chains.by_seq, chain, next) {
		if (chain->placement != p || chain->in_flight != NULL || chain->stale)
			continue;
		bool waits = chain->job.state == CHAIN_PENDING && active_chain_leads(chain);
		if (waits && chain->pending == ACTION_NONE)
			active_chain_set_pending(chain, ACTION_WITHDRAW);
		else if (!waits && chain->pending == ACTION_WITHDRAW)
			active_chain_set_pending(chain, ACTION_NONE);
	}
	if (p->waiting < p->live || p->busy > 0)
		return;
	CLEANUP(json_freep) json_t *document = copy_as(p, PLACEMENT_LEAVING);
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	if (db_begin(s->db, &err) != 0 || store(s, p, document, PLACEMENT_LEAVING, &err) != 0 ||
	    db_commit(s->db, &err) != 0) {
		fail(s, p, &err);
		return;
	}
	fault_point("withdraw-gone");
	adopt(p, TAKE(document), PLACEMENT_LEAVING);
}

int placement_left(struct scheduler *s, struct placement *p, const char *why, struct nel_err *err)
{
	char text[WAIT_SIZE];
	p->leaving = false;
	if (p->first == NULL || p->state != PLACEMENT_LEAVING)
		return 0;
	p->left = why == NULL;
	if (p->left)
		return 0;
	p->tries++;
	p->due_ms = clock_mono_ms() + backoff_s(p->tries, 2, 120, randombytes_random()) * 1000;
	snprintf(text, sizeof text, "cluster %s, where its secrets are to be removed: %s",
		 placement_document_text(p->document, "cluster"), why);
	return tell(s, p, text, err);
}

static void step_leaving(struct scheduler *s, struct placement *p)
{
	if (p->leaving || p->busy > 0)
		return;
	if (p->left || !p->sent) {
		place(s, p, placement_document_text(p->document, "target"));
		return;
	}
	p->turn++;
	p->leaving = placement_leave(s, p, p->first);
	if (!p->leaving)
		p->due_ms = clock_mono_ms() + 1000;
}

static void step(struct scheduler *s, struct placement *p)
{
	if (p->live == 0) {
		if (p->busy == 0)
			settle(s, p);
		return;
	}
	if (p->due_ms > clock_mono_ms() && !(p->begun && p->state != PLACEMENT_CHOOSING))
		return;
	switch (p->state) {
	case PLACEMENT_CHOOSING: step_choosing(s, p); return;
	case PLACEMENT_PLACED: step_placed(s, p); return;
	case PLACEMENT_WITHDRAWING: step_withdrawing(s, p); return;
	case PLACEMENT_LEAVING: step_leaving(s, p); return;
	case PLACEMENT_SETTLED: forget(s, p); return;
	}
}

void placement_step(struct scheduler *s)
{
	struct placement *p = NULL;
	struct placement *next = NULL;
	if (s->placements == NULL)
		return;
	count_all(s);
	HASH_ITER(hh, s->placements, p, next)
		step(s, p);
}
