#include "sched/reconcile.h"

#include "base/mem.h"
#include "chain/budget.h"
#include "slurm/pending.h"
#include "slurm/slurm_state.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_TIMEOUT "TIMEOUT"
#define STATE_PREEMPTED "PREEMPTED"
#define FATE_WITHDRAWN "WITHDRAWN"
/* How long before its time limit a silent script may have stopped and still count as timed out: the script's sign of
 * life is 30 s old at most, and Slurm looks at limits once a minute or so. */
#define TIMEOUT_SLACK_S 90
#define ELAPSED_GRAIN_S 60
#define FATE_IDLE "IDLE"
#define WAITING_ON_SIZE 600

static bool replace_text(char **text, const char *now)
{
	if (now[0] == '\0')
		now = NULL;
	if ((*text == NULL && now == NULL) || (*text != NULL && now != NULL && strcmp(*text, now) == 0))
		return false;
	free(*text);
	*text = mem_strdup(now);
	return true;
}

static bool replace_number(int64_t *number, int64_t now)
{
	bool changed = *number != now;
	*number = now;
	return changed;
}

static bool is_end(enum slurm_class class)
{
	switch (class) {
	case SLURM_SUCCEEDED:
	case SLURM_RESUMABLE:
	case SLURM_CANCELLED:
	case SLURM_FAILED: return true;
	case SLURM_PENDING:
	case SLURM_RUNNING:
	case SLURM_REVOKED:
	case SLURM_UNKNOWN: return false;
	}
	return false;
}

/* Run time of the attempt as far as it is known, all restarts together; -1 unknown. */
static int64_t elapsed_now(const struct attempt_row *attempt, const struct observation *o, bool ended, int64_t now_s)
{
	if (o->elapsed_s >= 0)
		return o->elapsed_s;
	if (ended && o->stamp_elapsed_s >= 0)
		return o->stamp_elapsed_s;
	if (attempt->started_at == 0)
		return ended ? 0 : -1;
	int64_t end_s = attempt->ended_at != 0 ? attempt->ended_at : now_s;
	return end_s > attempt->started_at ? end_s - attempt->started_at : 0;
}

static bool note_times(struct chain_row *chain, struct job_row *job, struct attempt_row *attempt, int64_t used_before_s,
		       const struct observation *o, bool ended, int64_t now_s)
{
	bool changed = false;
	int64_t started_at = o->started_at != 0 ? o->started_at : o->stamp_started;
	if (started_at != 0)
		changed |= replace_number(&attempt->started_at, started_at);
	if (job->started_at == 0 && started_at != 0)
		changed |= replace_number(&job->started_at, started_at);
	if (ended) {
		int64_t ended_at = o->ended_at != 0 ? o->ended_at : o->stamp_ended != 0 ? o->stamp_ended : now_s;
		changed |= replace_number(&attempt->ended_at, ended_at);
	}
	int64_t elapsed_s = elapsed_now(attempt, o, ended, now_s);
	if (elapsed_s >= 0) {
		/* A running job's time moves with every observation: that alone is stored now and then only. */
		changed |= ended || elapsed_s - attempt->elapsed_s >= ELAPSED_GRAIN_S;
		attempt->elapsed_s = elapsed_s;
		chain->budget_used_s = used_before_s + elapsed_s;
	}
	return changed;
}

/* What a job that does not wait for its start waits on: "" nothing. */
static const char *held_up(const char *state)
{
	if (state[0] == '\0')
		return ""; /* Slurm has said nothing of it yet */
	if (strcmp(state, "SUSPENDED") == 0)
		return "Slurm: SUSPENDED: an administrator, or a job with a higher priority, has stopped it; it goes "
		       "on "
		       "where it was when Slurm lets it, and its walltime does not run meanwhile";
	if (strcmp(state, "STOPPED") == 0)
		return "Slurm: STOPPED: it was sent SIGSTOP and keeps its nodes; `scontrol resume` or scancel "
		       "--signal=CONT lets it go on";
	if (slurm_state_class(state) == SLURM_UNKNOWN)
		return "Slurm: a state that is not known here (slurm_state of the attempt): nothing follows from it, "
		       "and the job counts as before until Slurm says another one";
	if (slurm_state_class(state) == SLURM_REVOKED)
		return "Slurm: REVOKED: another cluster of the federation has started the job, and this cluster does "
		       "not say "
		       "how it goes there";
	return "";
}

/* squeue says no exit code, so that without accounting it is the script's own stamp; and sacct takes 128 off one above
 * that (seen with Slurm 22.05: 15 for 143). -1: not known. */
static int exit_code_of(const struct observation *o)
{
	bool cut = o->stamp_ended != 0 && o->stamp_exit > 128 && o->exit_code == o->stamp_exit - 128;
	return o->exit_code >= 0 && !cut ? o->exit_code : o->stamp_exit;
}

/* What the job waits on by what Slurm said of it last: not on anything that was waited for since. */
static bool note_said_last(struct job_row *job, const struct attempt_row *attempt)
{
	char waiting_on[WAITING_ON_SIZE];
	const char *state = attempt->slurm_state != NULL ? attempt->slurm_state : "";
	if (slurm_state_class(state) == SLURM_PENDING)
		pending_describe(attempt->pending_reason != NULL ? attempt->pending_reason : "",
				 attempt->start_estimate, waiting_on, sizeof waiting_on);
	else
		snprintf(waiting_on, sizeof waiting_on, "%s",
			 state[0] == '\0' && job->state == CHAIN_PENDING ? "Slurm" : held_up(state));
	return replace_text(&job->waiting_on, waiting_on);
}

/* What cannot be read this time stays as it was. */
static bool note_progress(struct job_row *job, const struct attempt_row *attempt, const struct observation *o,
			  bool running, int64_t now_s)
{
	bool changed = false;
	if (!running)
		changed |= progress_window_clear(&job->window);
	else if (o->progress >= 0)
		changed |=
		    progress_window_add(&job->window, job->progress, o->progress, attempt->progress_before, now_s);
	if (o->progress >= 0)
		changed |= replace_number(&job->progress, o->progress);
	if (o->progress_total > 0)
		changed |= replace_number(&job->progress_total, o->progress_total);
	return changed;
}

/* It grows with every observation: that alone is stored now and then only. */
static bool note_use(struct job_row *job, struct attempt_row *attempt, const struct observation *o, bool ended)
{
	int64_t before = attempt->use.samples;
	if (!gpu_use_add(&job->use, &attempt->use, &o->use))
		return false;
	return ended || before == 0 || attempt->use.samples / GPU_USE_GRAIN > before / GPU_USE_GRAIN;
}

static bool note_facts(struct chain_row *chain, struct job_row *job, struct attempt_row *attempt, int64_t used_before_s,
		       const struct observation *o, enum slurm_class class, int64_t now_s)
{
	bool changed = replace_text(&attempt->slurm_state, o->state);
	bool pending = class == SLURM_PENDING;
	const char *reason = pending && o->reason != NULL ? o->reason : "";
	changed |= replace_text(&attempt->pending_reason, reason);
	if (o->nodes != NULL)
		changed |= replace_text(&attempt->nodes, o->nodes);
	if (pending) {
		char waiting_on[WAITING_ON_SIZE];
		/* Slurm guesses anew all the time: small moves are not worth a write for every waiting job. */
		if (pending_estimate_moved(attempt->start_estimate, o->start_estimate, now_s))
			changed |= replace_number(&attempt->start_estimate, o->start_estimate);
		pending_describe(reason, attempt->start_estimate, waiting_on, sizeof waiting_on);
		changed |= replace_text(&job->waiting_on, waiting_on);
	} else {
		changed |= replace_text(&job->waiting_on, held_up(o->state));
		changed |= replace_number(&attempt->start_estimate, 0);
	}
	bool ended = is_end(class);
	if (ended) {
		int exit_code = exit_code_of(o);
		if (exit_code >= 0 && attempt->exit_code != exit_code) {
			attempt->exit_code = exit_code;
			changed = true;
		}
		if (attempt->signal != o->signal) {
			attempt->signal = o->signal;
			changed = true;
		}
	}
	if (!pending)
		changed |= note_times(chain, job, attempt, used_before_s, o, ended, now_s);
	changed |= note_use(job, attempt, o, ended);
	changed |= note_progress(job, attempt, o, class == SLURM_RUNNING, now_s);
	changed |= replace_number(&attempt->absent_since, 0);
	return changed;
}

/* Appends how long the attempt ran, where, and what the budget leaves. named: the reason is about the attempt so far.
 */
static void tell_use(const struct chain_row *chain, const struct attempt_row *attempt, bool named, struct judgement *j)
{
	size_t used = strlen(j->reason);
	char *at = j->reason + used;
	size_t size = sizeof j->reason - used;
	int64_t left_s = chain->budget_limit_s - chain->budget_used_s;
	if (named)
		snprintf(at, size, "; it ran");
	else
		snprintf(at, size, "%sattempt %d ran", used > 0 ? "; " : "", attempt->number);
	used = strlen(j->reason);
	snprintf(j->reason + used, sizeof j->reason - used, " %" PRId64 " s%s%s",
		 attempt->elapsed_s > 0 ? attempt->elapsed_s : 0, attempt->nodes != NULL ? " on " : "",
		 attempt->nodes != NULL ? attempt->nodes : "");
	used = strlen(j->reason);
	if (chain->budget_limit_s >= 0)
		snprintf(j->reason + used, sizeof j->reason - used, "; %" PRId64 " s of the walltime budget are left",
			 left_s > 0 ? left_s : 0);
}

static bool state_in_list(const char *list, const char *state)
{
	size_t len = strlen(state);
	for (const char *p = list; *p != '\0';) {
		size_t part = strcspn(p, ",");
		if (part == len && strncmp(p, state, len) == 0)
			return true;
		p += part + (p[part] == ',' ? 1 : 0);
	}
	return false;
}

static void judge(struct judgement *j, enum chain_event event)
{
	j->has_event = true;
	j->event = event;
}

/* How many attempts in a row ended early by a fault of the infrastructure, and when the next may start. */
static void note_back_off(struct chain_row *chain, const struct attempt_row *attempt, const char *state, int64_t now_s)
{
	/* In mode in_job the next attempt is queued already, and its script has seen to it. */
	if (strcmp(chain->resume_mode, "in_job") == 0)
		return;
	if (attempt->elapsed_s >= 0 && backoff_is_fast_failure(state, attempt->elapsed_s)) {
		chain->failures++;
		/* The first one is bad luck; from the second on it waits. */
		chain->not_before =
		    now_s + backoff_s(chain->failures - 1, 30, 1800, (uint32_t)(chain->seq * 2654435761u));
	} else {
		chain->failures = 0;
		chain->not_before = 0;
	}
}

/* The attempt ended, and another may follow it. */
static void judge_resumable(struct chain_row *chain, struct attempt_row *attempt, const char *state, int64_t now_s,
			    struct judgement *j)
{
	if (strcmp(chain->resume_mode, "off") == 0) {
		judge(j, EVENT_END_FAILURE);
		snprintf(j->reason, sizeof j->reason, "attempt %d ended with %s, and execution.auto_resume.mode is off",
			 attempt->number, state);
	} else if (chain->max_attempts > 0 && attempt->number - chain->withdrawn >= chain->max_attempts) {
		judge(j, EVENT_END_FAILURE);
		snprintf(j->reason, sizeof j->reason,
			 "attempt %d ended with %s, and execution.auto_resume.max_attempts is %d", attempt->number,
			 state, chain->max_attempts);
	} else if (budget_next_time_limit(chain->walltime_s, chain->budget_limit_s, chain->budget_used_s) == 0) {
		int attempts = attempt->number - chain->budget_from_attempt + 1;
		judge(j, EVENT_END_BUDGET);
		snprintf(j->reason, sizeof j->reason,
			 "the walltime budget is spent: %d attempt%s ran %" PRId64 " s of %" PRId64
			 " s (execution.max_walltime), the last one ended with %s",
			 attempts, attempts == 1 ? "" : "s", chain->budget_used_s, chain->budget_limit_s, state);
	} else {
		judge(j, EVENT_END_CONTINUE);
		note_back_off(chain, attempt, state, now_s);
		snprintf(j->reason, sizeof j->reason, "attempt %d ended with %s and will be continued", attempt->number,
			 state);
	}
	tell_use(chain, attempt, j->event != EVENT_END_BUDGET, j);
}

/* In mode in_job the attempt before queues the next one, which may then turn out to have nothing to do: it is withdrawn
 * or ends itself with this exit code. When the chain goes on nevertheless (a person resumed it), it takes another. */
#define EXIT_NOTHING_TO_DO 4 /* stand_down() of run_body/06_chain.sh */

static bool judge_unneeded(const struct chain_row *chain, const struct attempt_row *attempt,
			   const struct observation *o, enum slurm_class class, struct judgement *j)
{
	if (strcmp(chain->resume_mode, "in_job") != 0)
		return false;
	bool withdrawn = class == SLURM_CANCELLED && strcmp(o->fate, FATE_WITHDRAWN) == 0;
	bool stood_down = class == SLURM_FAILED && attempt->exit_code == EXIT_NOTHING_TO_DO;
	if (!withdrawn && !stood_down)
		return false;
	bool spent = budget_next_time_limit(chain->walltime_s, chain->budget_limit_s, chain->budget_used_s) == 0;
	judge(j, spent ? EVENT_END_BUDGET : EVENT_END_CONTINUE);
	snprintf(j->reason, sizeof j->reason, "attempt %d, which attempt %d had queued, %s; %s", attempt->number,
		 attempt->number - 1, withdrawn ? "was withdrawn before it began" : "found nothing to do",
		 spent ? "the walltime budget is spent" : "another one takes its place");
	tell_use(chain, attempt, true, j);
	return true;
}

/* It was to end before it began, for another cluster, and did. Slurm may have begun it at that very moment; one that
 * was seen to run is not asked for any more. */
static bool judge_withdrawn(struct chain_row *chain, const struct attempt_row *attempt, const struct observation *o,
			    enum slurm_class class, struct judgement *j)
{
	if (attempt->withdrawn_at == 0 || class != SLURM_CANCELLED || o->elapsed_s > ATTEMPTS_WITHDRAWN_RUN_MAX_S ||
	    o->stamp_elapsed_s > ATTEMPTS_WITHDRAWN_RUN_MAX_S)
		return false;
	chain->withdrawn++;
	j->changed = true;
	judge(j, EVENT_END_CONTINUE);
	snprintf(j->reason, sizeof j->reason,
		 "attempt %d was withdrawn, since it had not started (execution.move_after)", attempt->number);
	return true;
}

/* The script ended it, because neither GPUs nor servers did anything for execution.idle_limit. Once it goes on; who
 * does nothing twice would go on doing so. */
static void judge_idle(struct chain_row *chain, struct attempt_row *attempt, int64_t now_s, struct judgement *j)
{
	attempt->idle = true;
	j->changed = true;
	if (attempt->idle_before == 0) {
		judge_resumable(chain, attempt, "idle GPUs and servers (execution.idle_limit)", now_s, j);
		return;
	}
	judge(j, EVENT_END_FAILURE);
	snprintf(j->reason, sizeof j->reason,
		 "attempt %d ended with idle GPUs and servers (execution.idle_limit), as one before it had",
		 attempt->number);
	tell_use(chain, attempt, true, j);
}

static void judge_failure(const struct attempt_row *attempt, const char *state, struct judgement *j)
{
	judge(j, EVENT_END_FAILURE);
	if (strcmp(state, "OUT_OF_MEMORY") == 0)
		snprintf(j->reason, sizeof j->reason, "OUT_OF_MEMORY: the job used more memory than it had been given");
	else if (strcmp(state, "DEADLINE") == 0)
		snprintf(j->reason, sizeof j->reason, "DEADLINE: Slurm ended the job at its deadline");
	else if (attempt->signal > 0)
		snprintf(j->reason, sizeof j->reason, "%s: the job was ended by signal %d", state, attempt->signal);
	else if (attempt->exit_code >= 0)
		snprintf(j->reason, sizeof j->reason, "%s: the job ended with exit code %d", state, attempt->exit_code);
	else
		snprintf(j->reason, sizeof j->reason, "%s: Slurm does not say with which exit code", state);
}

/* Was it Slurm itself, or an administrator, that cancelled the job? root and Slurm's own user do both, and at some
 * sites nobody is named. */
static bool cancelled_by_system(const struct observation *o)
{
	return strcmp(o->cancelled_by, "0") == 0 || strcmp(o->cancelled_by, "root") == 0 ||
	       strcmp(o->cancelled_by, "slurm") == 0;
}

/* Preemption that does not requeue shows at some sites as CANCELLED. What slurmctld or the script heard of it decides;
 * of what Slurm ended on its nodes before the script began nobody could have heard. An operator's scancel, and
 * a person's, is none of these. */
static bool was_preempted(const struct observation *o)
{
	bool at_once = cancelled_by_system(o) && o->elapsed_s == 0 && o->stamp_started == 0 && o->started_at != 0 &&
		       o->nodes != NULL;
	return o->preempted || strcmp(o->fate, STATE_PREEMPTED) == 0 || at_once;
}

/* The state to judge by. The script may have ended before Slurm's signal killed it, or for the budget: what it wrote of
 * that counts more than the exit code. */
static const char *telling_state(const struct job_row *job, const struct observation *o)
{
	bool cancelling = job->cancel_requested_at != 0;
	if (strcmp(o->state, "CANCELLED") == 0 && !cancelling && was_preempted(o))
		return STATE_PREEMPTED;
	bool told = strcmp(o->fate, STATE_TIMEOUT) == 0 || strcmp(o->fate, STATE_PREEMPTED) == 0;
	if (strcmp(o->state, "FAILED") == 0 && told)
		return o->fate;
	return o->state;
}

/* Had the script finished, with its own end stamp, before Slurm ended the job? */
static bool had_finished(const struct observation *o, enum slurm_class class)
{
	bool by_slurm = class == SLURM_RESUMABLE || (class == SLURM_CANCELLED && cancelled_by_system(o));
	return by_slurm && o->stamp_ended != 0 && o->stamp_exit == 0;
}

static void judge_cancelled(const struct chain_row *chain, const struct job_row *job, const struct attempt_row *attempt,
			    const struct observation *o, struct judgement *j)
{
	judge(j, EVENT_END_CANCELLED);
	if (job->cancel_requested_at != 0)
		snprintf(j->reason, sizeof j->reason, "cancelled by %s",
			 job->cancel_requested_by != NULL ? job->cancel_requested_by : "a user");
	else
		snprintf(j->reason, sizeof j->reason,
			 "Slurm job %s was cancelled on the cluster%s%s, not through this service",
			 attempt->slurm_job_id, o->cancelled_by[0] != '\0' ? " by user " : "", o->cancelled_by);
	tell_use(chain, attempt, false, j);
}

static void judge_state(struct chain_row *chain, struct job_row *job, struct attempt_row *attempt,
			const struct observation *o, int64_t now_s, struct judgement *j)
{
	const char *state = o->state;
	enum slurm_class class = slurm_state_class(state);
	/* The config may have widened or narrowed what is resumed: its list decides for every end that is not a success
	 * and not somebody's cancellation. */
	bool listed = state_in_list(chain->resume_on, state);
	if (job->state != CHAIN_CANCELLING && judge_withdrawn(chain, attempt, o, class, j))
		return;
	if (judge_unneeded(chain, attempt, o, class, j))
		return;
	if (class == SLURM_FAILED && strcmp(o->fate, FATE_IDLE) == 0) {
		judge_idle(chain, attempt, now_s, j);
		return;
	}
	if (had_finished(o, class)) {
		judge(j, EVENT_END_SUCCESS);
		snprintf(j->reason, sizeof j->reason, "attempt %d had finished when Slurm ended it with %s",
			 attempt->number, state);
		tell_use(chain, attempt, true, j);
		return;
	}
	switch (class) {
	case SLURM_PENDING: judge(j, EVENT_SEEN_PENDING); return;
	case SLURM_RUNNING: judge(j, EVENT_SEEN_RUNNING); return;
	case SLURM_SUCCEEDED:
		judge(j, EVENT_END_SUCCESS);
		tell_use(chain, attempt, false, j);
		return;
	case SLURM_CANCELLED: judge_cancelled(chain, job, attempt, o, j); return;
	case SLURM_RESUMABLE:
	case SLURM_FAILED:
		if (listed) {
			judge_resumable(chain, attempt, state, now_s, j);
		} else if (class == SLURM_RESUMABLE) {
			judge(j, EVENT_END_FAILURE);
			snprintf(j->reason, sizeof j->reason,
				 "attempt %d ended with %s, which execution.auto_resume.on leaves out", attempt->number,
				 state);
			tell_use(chain, attempt, true, j);
		} else {
			judge_failure(attempt, state, j);
			tell_use(chain, attempt, false, j);
		}
		return;
	case SLURM_REVOKED:
	case SLURM_UNKNOWN: return;
	}
}

/* No accounting, and squeue has forgotten the job: the script's own stamps tell, when they are there. */
static bool judge_stamps(struct chain_row *chain, struct job_row *job, struct attempt_row *attempt,
			 int64_t used_before_s, const struct observation *o, int64_t now_s, struct judgement *j)
{
	struct observation told = *o;
	const char *state = NULL;
	/* A script that Slurm ended writes an exit code of its own, but also what Slurm said. */
	if (o->stamp_ended != 0 && o->stamp_exit == 0) {
		state = "COMPLETED";
		told.exit_code = 0;
	} else if (is_end(slurm_state_class(o->fate))) {
		state = o->fate;
	} else if (strcmp(o->fate, FATE_WITHDRAWN) == 0) {
		state = "CANCELLED";
	} else if (o->stamp_ended != 0 && o->stamp_exit >= 0) {
		/* Of a chain that is being cancelled, a script that SIGTERM ended was cancelled. */
		bool cancelled = job->state == CHAIN_CANCELLING && o->stamp_exit == 128 + SIGTERM;
		state = cancelled ? "CANCELLED" : "FAILED";
		told.exit_code = o->stamp_exit;
	} else if (o->stamp_started != 0 && o->stamp_elapsed_s >= attempt->time_limit_s - TIMEOUT_SLACK_S) {
		state = STATE_TIMEOUT;
	} else {
		return false;
	}
	snprintf(told.state, sizeof told.state, "%s", state);
	note_facts(chain, job, attempt, used_before_s, &told, slurm_state_class(state), now_s);
	j->changed = true;
	judge_state(chain, job, attempt, &told, now_s, j);
	return true;
}

static void judge_absence(struct chain_row *chain, struct job_row *job, struct attempt_row *attempt,
			  int64_t used_before_s, const struct observation *o, const struct reconcile_rules *rules,
			  struct judgement *j)
{
	/* Accounting may not have a job that never began (seen with Slurm 22.05). */
	bool withdrawn = strcmp(o->fate, FATE_WITHDRAWN) == 0;
	if ((!rules->accounting || withdrawn) && judge_stamps(chain, job, attempt, used_before_s, o, rules->now_s, j))
		return;
	j->changed |= note_said_last(job, attempt);
	if (attempt->absent_since == 0) {
		attempt->absent_since = rules->now_s;
		j->changed = true;
	}
	int64_t absent_s = rules->now_s - attempt->absent_since;
	if (absent_s <= rules->absence_deadline_s)
		return;
	note_times(chain, job, attempt, used_before_s, o, true, rules->now_s);
	j->changed = true;
	judge(j, EVENT_LOST);
	snprintf(j->reason, sizeof j->reason, "Slurm job %s is unknown to squeue%s for %" PRId64 " s",
		 attempt->slurm_job_id, rules->accounting ? " and sacct" : "", absent_s);
	tell_use(chain, attempt, false, j);
}

/* squeue no longer has the job, and the one that would know its end does not answer. */
static bool note_silence(struct job_row *job, const char *why)
{
	char text[400];
	if (why == NULL || why[0] == '\0')
		return false;
	snprintf(text, sizeof text, "accounting, which knows how it ended and does not answer: %s", why);
	return replace_text(&job->waiting_on, text);
}

/* The federation's other cluster runs the job, where nothing can be asked; but the script's stamps may be in sight.
 * Without them it is waited for as for an absent one. */
static void judge_revoked(struct chain_row *chain, struct job_row *job, struct attempt_row *attempt,
			  int64_t used_before_s, const struct observation *o, const struct reconcile_rules *rules,
			  struct judgement *j)
{
	if (judge_stamps(chain, job, attempt, used_before_s, o, rules->now_s, j))
		return;
	if (o->stamp_started != 0) {
		attempt->absent_since = 0;
		judge(j, EVENT_SEEN_RUNNING);
		return;
	}
	judge_absence(chain, job, attempt, used_before_s, o, rules, j);
	if (j->has_event)
		snprintf(
		    j->reason, sizeof j->reason,
		    "Slurm job %s is REVOKED: another cluster of the federation has started it, and its run directory "
		    "is not there; keep it here with sbatch_extra_flags: {clusters: NAME}",
		    attempt->slurm_job_id);
}

void reconcile(struct chain_row *chain, struct job_row *job, struct attempt_row *attempt, int64_t used_before_s,
	       const struct observation *o, const struct reconcile_rules *rules, struct judgement *ret_judgement)
{
	struct judgement j = {0};
	struct observation told = *o;
	snprintf(told.state, sizeof told.state, "%s", telling_state(job, o));
	enum slurm_class class = slurm_state_class(told.state);
	if (class == SLURM_REVOKED) {
		int64_t absent_since = attempt->absent_since;
		j.changed = note_facts(chain, job, attempt, used_before_s, &told, class, rules->now_s);
		attempt->absent_since = absent_since;
		judge_revoked(chain, job, attempt, used_before_s, &told, rules, &j);
	} else if (told.state[0] != '\0') {
		/* Accounting that still says RUNNING of a job gone from squeue lags behind: its end is awaited. */
		j.changed = note_facts(chain, job, attempt, used_before_s, &told, class, rules->now_s);
		judge_state(chain, job, attempt, &told, rules->now_s, &j);
	} else if (o->squeue == SIGHT_ABSENT && rules->accounting && o->sacct == SIGHT_UNOBSERVABLE) {
		j.changed = note_silence(job, rules->accounting_error);
	} else if (o->squeue == SIGHT_ABSENT && (!rules->accounting || o->sacct == SIGHT_ABSENT)) {
		judge_absence(chain, job, attempt, used_before_s, o, rules, &j);
	}
	*ret_judgement = j;
}
