#include "sched/sharing.h"

#include "base/mem.h"
#include "slurm/slurm_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct job_sighting *find_job(const struct observation *o, int index)
{
	for (size_t i = 0; i < o->job_count; i++)
		if (o->jobs[i].job_index == index)
			return &o->jobs[i];
	return NULL;
}

/* Sets what the job waits on; returns whether it is new. */
static bool wait_on(struct job_row *job, const char *text)
{
	if ((text == NULL && job->waiting_on == NULL) ||
	    (text != NULL && job->waiting_on != NULL && strcmp(text, job->waiting_on) == 0))
		return false;
	free(job->waiting_on);
	job->waiting_on = mem_strdup(text);
	return true;
}

/* What cannot be read this time stays as it was. */
static bool note_progress(struct active_chain *chain, const struct job_sighting *sighting, int64_t now_s)
{
	struct job_row *job = &chain->job;
	if (sighting == NULL || sighting->progress < 0)
		return false;
	/* Begun anew in the same attempt, as after the loss of a server. */
	if (sighting->progress < job->progress && job->progress > job->progress_before)
		job->progress_before = job->progress;
	bool changed =
	    sighting->started_at != 0 && !sighting->has_end
		? progress_window_add(&job->window, job->progress, sighting->progress, job->progress_before, now_s)
		: progress_window_clear(&job->window);
	changed |= job->progress != sighting->progress;
	job->progress = sighting->progress;
	if (sighting->progress_total > 0 && sighting->progress_total != job->progress_total) {
		job->progress_total = sighting->progress_total;
		changed = true;
	}
	return changed;
}

/* What the GPUs have done since the look before counts for who was evaluated meanwhile. It grows with every
 * observation: that alone is stored now and then only. */
static bool note_use(struct active_chain *chain, const struct job_sighting *sighting)
{
	const struct gpu_use *added = &chain->common->use_added;
	struct job_row *job = &chain->job;
	int64_t before = job->use.samples;
	bool evaluated = sighting != NULL && (sighting->started_at != 0 || sighting->has_end) && !chain->ending &&
			 !chain_state_is_end(job->state);
	if (!evaluated || added->samples == 0)
		return false;
	struct gpu_use none = {0};
	gpu_use_add(&job->use, &none, added);
	return before == 0 || job->use.samples / GPU_USE_GRAIN > before / GPU_USE_GRAIN;
}

/* Which one it is among those of the attempt, whose ids are a JSON array. */
static void describe_turn(const struct attempt_row *attempt, const char *job_id, char *ret_text, size_t size)
{
	CLEANUP(mem_freep) char *quoted = mem_printf("\"%s\"", job_id);
	const char *jobs = attempt->jobs != NULL ? attempt->jobs : "";
	const char *its = strstr(jobs, quoted);
	int place = 1;
	int count = 1;
	for (const char *p = jobs; *p != '\0'; p++) {
		if (*p != ',')
			continue;
		count++;
		place += its != NULL && p < its;
	}
	snprintf(ret_text, size, "its turn on the shared server: %d of %d", place, count);
}

static void judge_cancelled(const struct active_chain *chain, struct judgement *j)
{
	j->has_event = true;
	j->event = EVENT_END_CANCELLED;
	j->changed = true;
	snprintf(j->reason, sizeof j->reason, "cancelled by %s",
		 chain->job.cancel_requested_by != NULL ? chain->job.cancel_requested_by : "a user");
}

static void judge_end(struct active_chain *chain, const struct job_sighting *sighting, struct judgement *j)
{
	struct job_row *job = &chain->job;
	bool withdrawn = sighting->cancelled && job->cancel_requested_at != 0;
	j->has_event = true;
	j->changed = true;
	chain->end_attempt = sighting->end_attempt;
	if (job->started_at == 0 && !sighting->cancelled)
		job->started_at = sighting->end_started_at;
	int64_t took_s = sighting->ended_at - sighting->end_started_at;
	if (withdrawn) {
		judge_cancelled(chain, j);
	} else if (sighting->cancelled) {
		j->event = EVENT_END_CANCELLED;
		snprintf(j->reason, sizeof j->reason, "it was cancelled on the cluster, not through this service");
	} else if (sighting->exit_code == 0) {
		j->event = EVENT_END_SUCCESS;
		snprintf(j->reason, sizeof j->reason, "evaluated in attempt %d, in %" PRId64 " s",
			 sighting->end_attempt, took_s);
	} else {
		j->event = EVENT_END_FAILURE;
		snprintf(j->reason, sizeof j->reason,
			 "the evaluation ended with exit code %d in attempt %d, after %" PRId64 " s",
			 sighting->exit_code, sighting->end_attempt, took_s);
	}
}

/* In mode in_job an attempt may have been queued before a person resumed the job. To its script the end from before is
 * the job's end, so it leaves the job out; the next one that the scheduler sends does not. */
static bool is_left_out(const struct active_chain *chain, const struct job_sighting *sighting)
{
	return active_chain_resumes_in_job(chain) && sighting != NULL && sighting->has_end &&
	       sighting->end_attempt < chain->job.from_attempt;
}

/* The attempt has ended well, and there is no record of the job's end: it may show yet. */
static void judge_without_record(const struct active_chain *chain, bool left_out, const struct reconcile_rules *rules,
				 struct judgement *j)
{
	const struct attempt_row *attempt = &chain->common->attempt;
	if (chain->job.state == CHAIN_CANCELLING) {
		judge_cancelled(chain, j);
	} else if (rules->now_s - attempt->ended_at < rules->absence_deadline_s) {
		j->has_event = false;
	} else if (left_out) {
		j->event = EVENT_END_CONTINUE;
		snprintf(
		    j->reason, sizeof j->reason,
		    "attempt %d was queued before this job was resumed, and left it out; the next one evaluates it",
		    attempt->number);
	} else {
		j->event = EVENT_END_FAILURE;
		snprintf(j->reason, sizeof j->reason, "attempt %d ended without a record of the end of this job",
			 attempt->number);
	}
}

static bool is_over(const struct judgement *j)
{
	if (!j->has_event)
		return false;
	switch (j->event) {
	case EVENT_END_SUCCESS:
	case EVENT_END_CONTINUE:
	case EVENT_END_BUDGET:
	case EVENT_END_FAILURE:
	case EVENT_END_CANCELLED:
	case EVENT_LOST: return true;
	case EVENT_ADMIT:
	case EVENT_ACCEPTED:
	case EVENT_REFUSED:
	case EVENT_REUSED:
	case EVENT_SEEN_PENDING:
	case EVENT_SEEN_RUNNING:
	case EVENT_CANCEL:
	case EVENT_RESUME: return false;
	}
	return false;
}

/* The attempt goes on. */
static void judge_alive(struct active_chain *chain, const struct job_sighting *sighting, struct judgement *j)
{
	const struct attempt_row *attempt = &chain->common->attempt;
	bool runs = attempt->slurm_state != NULL && slurm_state_class(attempt->slurm_state) == SLURM_RUNNING;
	bool begun = sighting != NULL && sighting->started_at != 0;
	char turn[80];
	if (begun && chain->job.started_at == 0) {
		chain->job.started_at = sighting->started_at;
		j->changed = true;
	}
	if (runs && !begun)
		j->has_event = false;
	const char *waits_for = chain->common->waiting_on;
	if (runs && !begun && waits_for == NULL && chain->job.state == CHAIN_PENDING) {
		describe_turn(attempt, chain->job.id, turn, sizeof turn);
		waits_for = turn;
	}
	if (chain->job.state != CHAIN_CANCELLING)
		j->changed |= wait_on(&chain->job, waits_for);
}

/* Its attempt waited in Slurm's queue when the mark of its cancellation was there: the script will leave it out. */
static bool never_begins(const struct active_chain *chain, const struct job_sighting *sighting,
			 const struct observation *o, const struct reconcile_rules *rules)
{
	return chain->job.state == CHAIN_CANCELLING && chain->marked_attempt == chain->common->attempt.number &&
	       chain->marked_ms != 0 && chain->marked_ms < rules->asked_ms && o->squeue == SIGHT_SEEN &&
	       strcmp(o->state, "PENDING") == 0 && (sighting == NULL || sighting->started_at == 0);
}

static bool has_end(const struct active_chain *chain, const struct job_sighting *sighting)
{
	return sighting != NULL && sighting->has_end && sighting->end_attempt >= chain->job.from_attempt;
}

/* Has it ended in an attempt that this one had queued, while nobody looked? The chain goes on to that one first, which
 * is the job's and counts. */
static bool ended_later(const struct active_chain *chain, const struct job_sighting *sighting,
			const struct judgement *j)
{
	return sighting->end_attempt > chain->common->attempt.number && is_over(j) && j->event == EVENT_END_CONTINUE;
}

/* Is one evaluated in the attempt, or to be? */
static bool any_lives(const struct chain_common *common, const struct observation *o)
{
	for (size_t i = 0; i < common->member_count; i++) {
		const struct active_chain *member = common->members[i];
		if (active_chain_is_in_slurm(member) && !has_end(member, find_job(o, member->job.index)))
			return true;
	}
	return false;
}

/* The last end is told together with that of the attempt, which only chains that are in Slurm are observed for: what it
 * used would never be known, and those that wait for the next attempt would meet it. */
static void hold_end(struct active_chain *chain, const struct job_sighting *sighting, struct judgement *j)
{
	if (sighting->started_at == 0)
		j->has_event = false;
	else if (chain->job.started_at == 0) {
		chain->job.started_at = sighting->started_at;
		j->changed = true;
	}
	if (chain->job.state != CHAIN_CANCELLING)
		j->changed |= wait_on(&chain->job, "the end of its Slurm job, in which all have ended");
}

void sharing_reconcile(struct active_chain *chain, bool is_first, const struct observation *o,
		       const struct reconcile_rules *rules, struct judgement *ret_judgement)
{
	struct chain_common *common = chain->common;
	const struct job_sighting *sighting = find_job(o, chain->job.index);
	struct chain_row copy = common->row; /* its numbers alone are written to */
	/* What the attempt says as of a job of its own. */
	struct job_row whole = chain->job;
	whole.waiting_on = common->waiting_on;
	whole.window = (struct progress_window){0};
	whole.started_at = 1;            /* the job's own start is another */
	whole.use = (struct gpu_use){0}; /* and so is what it used */
	struct judgement j = {0};
	reconcile(is_first ? &common->row : &copy, &whole, &common->attempt, common->used_before_s, o, rules, &j);
	common->waiting_on = whole.waiting_on;
	if (is_first)
		common->use_added = whole.use;
	j.changed |= note_use(chain, sighting);
	j.changed |= note_progress(chain, sighting, rules->now_s);
	bool left_out = is_left_out(chain, sighting);
	bool ended = has_end(chain, sighting) && !ended_later(chain, sighting, &j);
	if (is_first)
		common->any_lives = any_lives(common, o);
	if (ended && (is_over(&j) || common->any_lives))
		judge_end(chain, sighting, &j);
	else if (ended)
		hold_end(chain, sighting, &j);
	else if (is_over(&j) && j.event == EVENT_END_SUCCESS)
		judge_without_record(chain, left_out, rules, &j);
	else if (!is_over(&j) && never_begins(chain, sighting, o, rules))
		judge_cancelled(chain, &j);
	else if (!is_over(&j))
		judge_alive(chain, sighting, &j);
	if (left_out && is_over(&j) && j.event == EVENT_END_CONTINUE) {
		chain->job.from_attempt = common->attempt.number + 1;
		j.changed = true;
	}
	*ret_judgement = j;
}
