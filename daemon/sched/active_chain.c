#include "sched/active_chain.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "chain/budget.h"
#include "slurm/script.h"
#include "slurm/slurm_state.h"

#include <jansson.h>
#include <sodium.h>
#include <string.h>

static void active_chain_free(struct active_chain *chain)
{
	job_row_done(&chain->job);
	free(chain->end_reason);
	free(chain);
}

static struct chain_common *find_common(const struct active_chains *set, int64_t seq)
{
	struct chain_common *common = NULL;
	HASH_FIND(hh, set->common, &seq, sizeof seq, common);
	return common;
}

/* The first one of the kind. */
static struct active_chain *first_that(const struct chain_common *common, bool (*is_so)(const struct active_chain *))
{
	for (size_t i = 0; i < common->member_count; i++)
		if (is_so(common->members[i]))
			return common->members[i];
	return NULL;
}

static bool goes_on(const struct active_chain *chain)
{
	return active_chain_is_in_slurm(chain) && chain->job.state != CHAIN_CANCELLING;
}

static struct active_chain *leader_of(const struct chain_common *common)
{
	struct active_chain *leader = first_that(common, goes_on);
	leader = leader != NULL ? leader : first_that(common, active_chain_is_in_slurm);
	leader = leader != NULL ? leader : first_that(common, active_chain_waits);
	return leader != NULL ? leader : common->members[0];
}

struct active_chain *active_chains_find(const struct active_chains *set, int64_t seq)
{
	const struct chain_common *common = find_common(set, seq);
	return common != NULL ? leader_of(common) : NULL;
}

struct active_chain *active_chains_find_job(const struct active_chains *set, int64_t job_seq)
{
	struct active_chain *chain = NULL;
	HASH_FIND(hh, set->by_seq, &job_seq, sizeof job_seq, chain);
	return chain;
}

static void join(struct chain_common *common, struct active_chain *chain)
{
	size_t at = common->member_count++;
	common->members = mem_realloc(common->members, common->member_count, sizeof(struct active_chain *));
	for (; at > 0 && common->members[at - 1]->job.index > chain->job.index; at--)
		common->members[at] = common->members[at - 1];
	common->members[at] = chain;
}

static void leave(struct chain_common *common, const struct active_chain *chain)
{
	size_t kept = 0;
	for (size_t i = 0; i < common->member_count; i++)
		if (common->members[i] != chain)
			common->members[kept++] = common->members[i];
	common->member_count = kept;
}

struct active_chain *active_chains_put(struct active_chains *set, struct job_row *row)
{
	struct active_chain *chain = active_chains_find_job(set, row->seq);
	struct chain_common *common = find_common(set, row->chain.seq);
	bool is_new = chain == NULL;
	if (common == NULL) {
		common = mem_calloc(1, sizeof *common);
		common->seq = row->chain.seq;
		HASH_ADD(hh, set->common, seq, sizeof common->seq, common);
	}
	if (is_new) {
		chain = mem_calloc(1, sizeof *chain);
		chain->seq = common->seq;
		chain->job_seq = row->seq;
		chain->common = common;
		HASH_ADD(hh, set->by_seq, job_seq, sizeof chain->job_seq, chain);
	}
	struct chain_row carrier = row->chain;
	job_row_done(&chain->job);
	chain->job = *row;
	chain->job.chain = (struct chain_row){.seq = carrier.seq, .number = carrier.number};
	*row = (struct job_row){0};
	if (is_new)
		join(common, chain);
	if (common->row.seq == 0 || chain->stale) {
		chain_row_done(&common->row);
		common->row = carrier;
		common->known = false;
	} else {
		chain_row_done(&carrier);
	}
	return chain;
}

void active_chains_remove(struct active_chains *set, struct active_chain *chain)
{
	struct chain_common *common = chain->common;
	HASH_DELETE(hh, set->by_seq, chain);
	leave(common, chain);
	active_chain_free(chain);
	if (common->member_count > 0)
		return;
	HASH_DELETE(hh, set->common, common);
	chain_row_done(&common->row);
	attempt_row_done(&common->attempt);
	free(common->waiting_on);
	free(common->members);
	free(common);
}

void active_chains_done(struct active_chains *set)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, set->by_seq, chain, next)
		active_chains_remove(set, chain);
}

bool active_chain_is_observable(const struct active_chain *chain)
{
	switch (chain->job.state) {
	case CHAIN_PENDING:
	case CHAIN_RUNNING:
	case CHAIN_CANCELLING: return chain->common->attempt.slurm_job_id != NULL && !chain->ending;
	case CHAIN_QUEUED:
	case CHAIN_SUBMITTING:
	case CHAIN_RESUMING:
	case CHAIN_SUCCEEDED:
	case CHAIN_FAILED:
	case CHAIN_CANCELLED:
	case CHAIN_BUDGET_EXHAUSTED: return false;
	}
	return false;
}

struct active_chain *active_chains_find_attempt(const struct active_chains *set, int64_t job_seq, int attempt)
{
	struct active_chain *chain = active_chains_find_job(set, job_seq);
	return chain != NULL && !chain->stale && chain->common->attempt.number == attempt ? chain : NULL;
}

struct chain_common *active_chains_find_common(const struct active_chains *set, int64_t seq, int attempt)
{
	struct chain_common *common = find_common(set, seq);
	return common != NULL && common->attempt.number == attempt ? common : NULL;
}

void active_chains_touch(struct active_chain *const *chains, size_t count)
{
	for (size_t i = 0; i < count; i++)
		chains[i]->touched = true;
}

void active_chains_mark_stale(struct active_chains *set)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, set->by_seq, chain, next) {
		if (chain->touched)
			chain->stale = true;
		chain->touched = false;
	}
}

void active_chain_set_pending(struct active_chain *chain, enum chain_action pending)
{
	chain->pending = pending;
	chain->tries = 0;
	chain->due_ms = 0;
}

void active_chain_back_off(struct active_chain *chain, int64_t base_s, int64_t max_s)
{
	chain->tries++;
	chain->due_ms = clock_mono_ms() + backoff_s(chain->tries, base_s, max_s, randombytes_random()) * 1000;
}

bool active_chain_is_shared(const struct active_chain *chain)
{
	return chain->common->row.at_once > 0;
}

char *active_chain_dir(const struct active_chain *chain)
{
	const char *job_dir = chain->job.job_dir;
	if (!active_chain_is_shared(chain) || job_dir == NULL)
		return mem_strdup(job_dir);
	return script_shared_dir_of(job_dir, chain->common->row.number);
}

bool active_chain_leads(const struct active_chain *chain)
{
	return chain == leader_of(chain->common);
}

bool active_chain_is_in_slurm(const struct active_chain *chain)
{
	switch (chain->job.state) {
	case CHAIN_SUBMITTING:
	case CHAIN_PENDING:
	case CHAIN_RUNNING:
	case CHAIN_CANCELLING: return !chain->ending;
	case CHAIN_QUEUED:
	case CHAIN_RESUMING:
	case CHAIN_SUCCEEDED:
	case CHAIN_FAILED:
	case CHAIN_CANCELLED:
	case CHAIN_BUDGET_EXHAUSTED: return false;
	}
	return false;
}

bool active_chain_waits(const struct active_chain *chain)
{
	return (chain->job.state == CHAIN_QUEUED || chain->job.state == CHAIN_RESUMING) && !chain->ending;
}

void active_chain_list_jobs(const struct chain_common *common, bool (*is_so)(const struct active_chain *),
			    int **ret_jobs, int **ret_resumed_for, size_t *ret_count)
{
	CLEANUP(json_freep) json_t *ids = json_loads(common->attempt.jobs != NULL ? common->attempt.jobs : "", 0, NULL);
	*ret_jobs = mem_calloc(common->member_count, sizeof **ret_jobs);
	*ret_resumed_for = mem_calloc(common->member_count, sizeof **ret_resumed_for);
	*ret_count = 0;
	for (size_t n = 0; n < json_array_size(ids); n++) {
		const char *id = json_string_value(json_array_get(ids, n));
		for (size_t i = 0; i < common->member_count; i++) {
			const struct job_row *job = &common->members[i]->job;
			if (strcmp(job->id, id) != 0 || !is_so(common->members[i]))
				continue;
			(*ret_jobs)[*ret_count] = job->index;
			(*ret_resumed_for)[(*ret_count)++] = job->from_attempt;
		}
	}
}

bool active_chain_awaits_turn(const struct active_chain *chain, int64_t now_s)
{
	return active_chain_waits(chain) && !chain->held && active_chain_leads(chain) &&
	       chain->common->row.not_before <= now_s;
}

bool active_chain_resumes_in_job(const struct active_chain *chain)
{
	return strcmp(chain->common->row.resume_mode, "in_job") == 0;
}

bool active_chain_was_cut_off(const struct active_chain *chain)
{
	return chain->common->attempt.slurm_state != NULL &&
	       slurm_state_class(chain->common->attempt.slurm_state) == SLURM_RESUMABLE;
}

const char *active_chain_end_reason(const struct active_chain *chain, const char *reason)
{
	return chain->job.state == CHAIN_CANCELLING && chain->job.reason != NULL ? chain->job.reason : reason;
}

void chain_list_add(struct chain_list *list, struct active_chain *chain)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
		list->items = mem_realloc(list->items, list->capacity, sizeof(struct active_chain *));
	}
	list->items[list->count++] = chain;
}
