#include "sched/reuse.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/plan/checkpoints.h"
#include "db/attempts.h"
#include "db/fingerprints.h"
#include "db/likenesses.h"
#include "db/results.h"
#include "db/samples.h"
#include "sched/action.h"
#include "sched/advance.h"
#include "sched/event_log.h"
#include "sched/transition.h"

#include <string.h>

char **reuse_checkpoints(const char *checkpoints)
{
	CLEANUP(json_freep) json_t *paths = json_loads(checkpoints, 0, NULL);
	char **list = mem_calloc(json_array_size(paths) + 1, sizeof *list);
	for (size_t i = 0; i < json_array_size(paths); i++)
		list[i] = mem_strdup(json_string_value(json_array_get(paths, i)));
	return list;
}

static int candidates_of(struct db *db, const struct job_row *job, struct fingerprint_candidates *ret_candidates,
			 struct nel_err *err)
{
	CLEANUP(job_basis_done) struct job_basis basis = {0};
	*ret_candidates = (struct fingerprint_candidates){.count = 0};
	if (likenesses_basis(db, job->seq, &basis, err) != 0)
		return -1;
	if (basis.subject_hash == NULL || basis.protocol_hash == NULL)
		return 0;
	const struct fingerprint_question question = {.but = job->seq,
						      .task = job->task,
						      .model = job->model,
						      .cluster = job->cluster,
						      .identity = job->identity,
						      .subject_hash = basis.subject_hash,
						      .protocol_hash = basis.protocol_hash};
	return fingerprints_candidates(db, &question, ret_candidates, err);
}

/* Leaves those that the other has, too. */
static void keep_common(struct fingerprint_candidates *kept, const struct fingerprint_candidates *other)
{
	size_t count = 0;
	for (size_t i = 0; i < kept->count; i++)
		if (fingerprints_find(other, kept->items[i].fingerprint) != 0)
			kept->items[count++] = kept->items[i];
	kept->count = count;
}

static bool is_in(const struct action_item *item, int index)
{
	for (size_t i = 0; i < item->job_count; i++)
		if (item->jobs[i] == index)
			return true;
	return false;
}

/* Is the attempt the chain's first, but for those that were withdrawn before they began? */
static bool is_first(const struct chain_common *common, int attempt)
{
	return attempt - common->row.withdrawn == 1;
}

static int offer(struct scheduler *s, struct action_item *item, struct nel_err *err)
{
	const struct active_chain *leader = active_chains_find(&s->chains, item->seq);
	struct fingerprint_candidates kept = {.count = 0};
	bool first = true;
	if (leader == NULL || !is_first(leader->common, item->attempt))
		return 0;
	for (size_t i = 0; i < leader->common->member_count; i++) {
		struct fingerprint_candidates its;
		const struct job_row *job = &leader->common->members[i]->job;
		if (!is_in(item, job->index))
			continue;
		if (candidates_of(s->db, job, &its, err) != 0)
			return -1;
		if (first)
			kept = its;
		else
			keep_common(&kept, &its);
		first = false;
	}
	struct str text = {0};
	for (size_t i = 0; i < kept.count; i++)
		str_appendf(&text, "%s%s", i > 0 ? " " : "", kept.items[i].fingerprint);
	item->reuse = str_take(&text);
	return 0;
}

int reuse_prepare(struct scheduler *s, const struct evaluation_row *evaluation, struct action *action,
		  struct nel_err *err)
{
	const char *pointer = NULL;
	const char *why = NULL;
	CLEANUP(json_freep) json_t *checkpoints = plan_checkpoints(action->plan, &pointer, &why);
	if (checkpoints == NULL)
		return 0;
	action->checkpoints = json_dumps(checkpoints, JSON_COMPACT);
	action->timeout_ms += REUSE_ASKS_S * 1000;
	for (size_t i = 0; evaluation->reuse && i < action->count; i++)
		if (!action->items[i].adopt_only && offer(s, &action->items[i], err) != 0)
			return -1;
	return 0;
}

int reuse_note_submitted(struct scheduler *s, const struct action *action, const struct active_chain *chain,
			 const char *fingerprint, struct nel_err *err)
{
	if (action->checkpoints == NULL || fingerprint[0] == '\0')
		return 0;
	return fingerprints_put(s->db, chain->job.seq, action->checkpoints, fingerprint, err);
}

/* Scores and samples become the job's own: the other may be pruned. */
static int copy(struct db *db, struct active_chain *chain, const struct job_row *from, struct nel_err *err)
{
	CLEANUP(result_list_done) struct result_list scores = {0};
	CLEANUP(samples_row_done) struct samples_row samples = {0};
	struct job_row *job = &chain->job;
	if (results_of_job(db, from->seq, &scores, err) != 0 ||
	    results_replace(db, job->seq, scores.items, scores.count, clock_now_s(), err) != 0)
		return -1;
	int found = samples_get(db, from->seq, &samples, err);
	if (found == 0 && samples_replace(db, job->seq, &samples, err) != 0)
		return -1;
	if (found != 0 && err->kind != NEL_NOTFOUND)
		return -1;
	const struct scores recorded = {.items = scores.items, .count = scores.count};
	if (fingerprints_copy(db, from->seq, job->seq, err) != 0 ||
	    jobs_set_results(db, job->seq, from->results_seal, from->warnings, err) != 0 ||
	    jobs_set_reused(db, job->seq, from->id, from->job_dir, err) != 0 ||
	    event_log_results(db, chain, &recorded, clock_now_s(), err) != 0)
		return -1;
	job->progress = from->progress;
	job->progress_total = from->progress_total;
	return 0;
}

int reuse_take(struct scheduler *s, struct active_chain *chain, const char *fingerprint, bool *ret_found,
	       struct nel_err *err)
{
	struct fingerprint_candidates candidates;
	*ret_found = true;
	if (chain->job.state == CHAIN_CANCELLING)
		return advance_end(s, chain, EVENT_REUSED, active_chain_end_reason(chain, NULL), err);
	if (candidates_of(s->db, &chain->job, &candidates, err) != 0)
		return -1;
	int64_t seq = fingerprints_find(&candidates, fingerprint);
	*ret_found = seq != 0;
	if (seq == 0)
		return 0;
	CLEANUP(job_row_done) struct job_row from = {0};
	if (jobs_get_seq(s->db, seq, &from, err) != 0 || copy(s->db, chain, &from, err) != 0)
		return -1;
	CLEANUP(mem_freep)
	char *reason = mem_printf("reused from %s: an equal job, of the same checkpoint", from.id);
	return advance_apply(s, chain, EVENT_REUSED, reason, NULL, err);
}

int reuse_drop_attempt(struct scheduler *s, struct chain_common *common, struct nel_err *err)
{
	for (size_t i = 0; i < common->member_count; i++)
		if (common->members[i]->job.state != CHAIN_SUCCEEDED)
			return 0;
	int number = common->attempt.number;
	if (!is_first(common, number) || common->attempt.slurm_job_id != NULL)
		return 0;
	attempt_row_done(&common->attempt);
	common->attempt = (struct attempt_row){0};
	common->row.attempt = number - 1;
	if (number > 1) {
		if (attempts_get(s->db, common->seq, number - 1, &common->attempt, err) != 0)
			return -1;
		free(common->row.slurm_job_id);
		common->row.slurm_job_id = mem_strdup(common->attempt.slurm_job_id);
	}
	if (chains_update(s->db, &common->row, err) != 0)
		return -1;
	return attempts_delete(s->db, common->seq, number, err);
}
