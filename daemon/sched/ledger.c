#include "sched/ledger.h"

#include "base/mem.h"
#include "slurm/slurm_state.h"

#include <jansson.h>
#include <stdlib.h>

static bool has_end(const struct observation *o)
{
	return o->sacct == SIGHT_SEEN && o->acct_ended;
}

/* GPU seconds by sacct: where it does not say, the GPUs that were asked for count. */
static int64_t gpu_s_of(const struct observation *o, int64_t gpus)
{
	return o->gpu_s + o->gpus_untold_s * gpus;
}

int ledger_settle(struct db *db, const struct unsettled_row *row, const struct observation *o, struct nel_err *err)
{
	if (has_end(o))
		return usage_settle(db, row->attempt, o->acct_elapsed_s, gpu_s_of(o, row->gpus), err);
	return o->sacct == SIGHT_UNOBSERVABLE ? 0 : usage_asked(db, row->attempt, err);
}

/* The jobs that an attempt is for. */
struct jobs_of_attempt {
	struct job_row *rows; /* those of the store; of a chain with one job none */
	const struct job_row **items;
	size_t count;
};

static void jobs_of_attempt_done(struct jobs_of_attempt *jobs)
{
	for (size_t i = 0; jobs->rows != NULL && i < jobs->count; i++)
		job_row_done(&jobs->rows[i]);
	free(jobs->rows);
	free(jobs->items);
}

static const struct job_sighting *sighting_of(const struct observation *o, int index)
{
	for (size_t i = 0; i < o->job_count; i++)
		if (o->jobs[i].job_index == index)
			return &o->jobs[i];
	return NULL;
}

static int read_jobs(struct db *db, const struct active_chain *chain, struct jobs_of_attempt *jobs, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *ids = json_loads(chain->common->attempt.jobs, 0, NULL);
	size_t count = active_chain_is_shared(chain) ? json_array_size(ids) : 1;
	jobs->items = mem_calloc(count, sizeof *jobs->items);
	if (!active_chain_is_shared(chain)) {
		jobs->items[jobs->count++] = &chain->job;
		return 0;
	}
	jobs->rows = mem_calloc(count, sizeof *jobs->rows);
	for (size_t i = 0; i < count; i++) {
		if (jobs_get(db, json_string_value(json_array_get(ids, i)), &jobs->rows[i], err) != 0)
			return -1;
		jobs->items[jobs->count++] = &jobs->rows[i];
	}
	return 0;
}

static bool is_lost(const struct attempt_row *attempt, const struct jobs_of_attempt *jobs, const struct observation *o)
{
	const char *state = attempt->slurm_state != NULL ? attempt->slurm_state : "";
	int64_t progress = 0;
	if (slurm_state_class(state) == SLURM_SUCCEEDED)
		return false;
	for (size_t i = 0; i < jobs->count; i++) {
		const struct job_sighting *sighting = sighting_of(o, jobs->items[i]->index);
		if (sighting != NULL && sighting->has_end && sighting->exit_code == 0 &&
		    sighting->end_attempt == attempt->number)
			return false;
		int64_t its =
		    sighting != NULL && sighting->progress >= 0 ? sighting->progress : jobs->items[i]->progress;
		progress += its > 0 ? its : 0;
	}
	return progress <= attempt->progress_before;
}

/* Leaves those that were evaluated in it; all, when nobody knows of any. */
static void keep_evaluated(struct attempt_row *attempt, struct jobs_of_attempt *jobs, const struct observation *o)
{
	size_t kept = 0;
	CLEANUP(json_freep) json_t *ids = json_array();
	for (size_t i = 0; i < jobs->count; i++) {
		const struct job_sighting *sighting = sighting_of(o, jobs->rows[i].index);
		if (sighting == NULL || sighting->started_at == 0)
			continue;
		json_array_append_new(ids, json_string(jobs->rows[i].id));
		struct job_row row = jobs->rows[kept];
		jobs->rows[kept++] = jobs->rows[i];
		jobs->rows[i] = row;
	}
	if (kept == 0)
		return;
	while (jobs->count > kept)
		job_row_done(&jobs->rows[--jobs->count]);
	for (size_t i = 0; i < jobs->count; i++)
		jobs->items[i] = &jobs->rows[i];
	free(attempt->jobs);
	attempt->jobs = json_dumps(ids, JSON_COMPACT);
}

int ledger_attempt_ended(struct db *db, const struct active_chain *chain, const struct observation *o, bool *ret_lost,
			 struct nel_err *err)
{
	struct attempt_row *attempt = &chain->common->attempt;
	CLEANUP(jobs_of_attempt_done) struct jobs_of_attempt jobs = {0};
	if (read_jobs(db, chain, &jobs, err) != 0)
		return -1;
	bool by_sacct = has_end(o);
	int64_t run_s = by_sacct ? o->acct_elapsed_s : attempt->elapsed_s > 0 ? attempt->elapsed_s : 0;
	int64_t gpu_s = by_sacct ? gpu_s_of(o, attempt->gpus) : run_s * attempt->gpus;
	bool lost = is_lost(attempt, &jobs, o);
	bool waited = attempt->submitted_at != 0 && attempt->started_at > attempt->submitted_at;
	*ret_lost = lost;
	if (jobs.rows != NULL)
		keep_evaluated(attempt, &jobs, o);
	const struct usage_row row = {
	    .attempt = attempt->job_name,
	    .slurm_job_id = attempt->slurm_job_id,
	    .slurm_state = attempt->slurm_state,
	    .ended_at = attempt->ended_at,
	    .run_s = run_s,
	    .queue_s = waited ? attempt->started_at - attempt->submitted_at : 0,
	    .gpu_s = gpu_s,
	    .start_up_s = o->start_up_s > 0 ? o->start_up_s : 0,
	    .idle_s = attempt->use.still_s,
	    .lost = lost,
	    .by_sacct = by_sacct,
	};
	return usage_put(db, &row, jobs.items, jobs.count, err);
}
