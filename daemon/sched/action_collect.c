/* Collect: at a chain's end the scores and the log that matters are read and the secrets removed, and what was waited
 * for is stored together with the end; then an export is followed. */
#include "sched/action.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str_list.h"
#include "db/evaluations.h"
#include "db/fingerprints.h"
#include "db/job_logs.h"
#include "sched/advance.h"
#include "sched/exports.h"
#include "sched/results.h"
#include "sched/reuse.h"
#include "sched/transition.h"
#include "slurm/samples_fetch.h"
#include "slurm/samples_pack.h"
#include "slurm/shared_log.h"

#include <stdio.h>
#include <string.h>

#define RESULTS_LOOK_MS 3000
#define SAMPLES_TIMEOUT_MS 120000
#define COLLECT_TRIES_MAX 3 /* then the end is stored without the scores; they follow when the cluster answers */

static bool is_due(const struct active_chain *chain, int64_t now_s)
{
	(void)now_s;
	return chain->pending == ACTION_COLLECT;
}

/* With the secrets that the job may have printed. */
static int add_env(struct scheduler *s, const struct active_chain *chain, struct action *action)
{
	struct nel_err err;
	snprintf(action->evaluation, sizeof action->evaluation, "%s", chain->job.evaluation);
	action->master_key = s->master_key;
	if (evaluations_get_env(s->db, chain->job.evaluation_seq, &action->sealed_env, &action->sealed_env_size,
				&err) == 0)
		return 0;
	log_error("an environment cannot be read", LOG_S("job", chain->job.id), LOG_S("error", err.msg));
	return -1;
}

/* One that has succeeded may be reused, when its checkpoints are what they were. */
static int add_checkpoints(struct scheduler *s, const struct active_chain *chain, struct action *action)
{
	struct nel_err err;
	if (action->items[0].export_only)
		return 0;
	if (fingerprints_unsettled(s->db, chain->job.seq, &action->items[0].checkpoints, &err) == 0) {
		action->timeout_ms += action->items[0].checkpoints != NULL ? REUSE_ASKS_S * 1000 : 0;
		return 0;
	}
	log_error("what a job's checkpoints were cannot be read", LOG_S("job", chain->job.id), LOG_S("error", err.msg));
	return -1;
}

/* Does no job of its chain live beside it? */
static bool is_last(const struct active_chain *chain)
{
	for (size_t i = 0; i < chain->common->member_count; i++) {
		const struct active_chain *other = chain->common->members[i];
		if (other != chain && (active_chain_is_in_slurm(other) || active_chain_waits(other)))
			return false;
	}
	return true;
}

/* Of those that end together, one keeps the chain's logs for all. */
static bool keeps_for_chain(const struct active_chain *chain)
{
	for (size_t i = 0; i < chain->common->member_count; i++) {
		const struct active_chain *other = chain->common->members[i];
		if (other->ending && other->job.index < chain->job.index)
			return false;
	}
	return is_last(chain);
}

static void prepare(struct scheduler *s, const struct chain_list *due)
{
	for (size_t i = 0; i < due->count; i++) {
		struct active_chain *chain = due->items[i];
		struct cluster_watch *watch = cluster_watch_of(&s->watches, chain);
		/* A later attempt, of which the store does not know yet, may need what goes with an end. */
		if (watch != NULL && !watch->looked && chain->job.seq <= s->newest_job_seq)
			continue;
		int64_t timeout_s = watch != NULL ? watch->cluster->command_timeout_s : 60;
		CLEANUP(action_freep)
		struct action *action =
		    action_new(&action_collect, s->inbox, chain->job.cluster, chain->job.identity, timeout_s * 1000, 1);
		action_add(action, chain);
		action->items[0].export_request = exports_request(chain, clock_now_s());
		action->items[0].export_only = exports_followed(chain);
		action->items[0].keep_rows = s->watches.settings->samples_keep_rows;
		action->items[0].is_last = is_last(chain);
		action->items[0].sealed_attempt =
		    chain->end_attempt > 0 ? chain->end_attempt : chain->common->attempt.number;
		action->items[0].by_attempt = chain->ending && chain->end_attempt == 0;
		action->items[0].keep_bytes = s->watches.settings->logs_keep_bytes;
		action->items[0].chain_keep_bytes = keeps_for_chain(chain) ? action->items[0].keep_bytes : 0;
		if (add_env(s, chain, action) != 0 || add_checkpoints(s, chain, action) != 0) {
			active_chain_back_off(chain, 1, 60);
			continue;
		}
		chain->in_flight = action_push(action, s->lanes) ? &action_collect : NULL;
		if (chain->in_flight != NULL)
			action = NULL;
		else
			active_chain_back_off(chain, 1, 30);
	}
}

/* What goes wrong with the samples costs them alone. */
static void read_samples(struct action *action, struct ssh_pool *pool, const struct mask *mask)
{
	CLEANUP(samples_done) struct samples samples = {0};
	struct nel_err *err = &action->samples_err;
	size_t keep_rows = (size_t)action->items[0].keep_rows, short_ = 0;
	if (!action->collected.has_samples || keep_rows == 0 || !results_stand(action))
		return;
	if (samples_fetch(pool, action->items[0].job_dir, keep_rows, SAMPLES_TIMEOUT_MS, &samples, &short_, err) != 0) {
		action->samples_failed = true;
		mask_text(mask, err->msg, false);
		return;
	}
	samples_mask(&samples, mask);
	if (samples.set_count == 0 && samples.spoilt == 0 && short_ == 0)
		return;
	action->samples = (struct samples_row){.rows = (int64_t)samples.count,
					       .left_out = (int64_t)samples.left_out,
					       .spoilt = (int64_t)samples.spoilt,
					       .short_ = (int64_t)short_};
	action->samples_failed = samples_pack(&samples, &action->samples.data, &action->samples.data_size, err) != 0;
}

/* Adds the chain's logs to those of the job that are kept. */
static void take_logs(struct collect_reply *reply, struct collect_reply *chain)
{
	if (chain->kept_count == 0)
		return;
	reply->kept = mem_realloc(reply->kept, reply->kept_count + chain->kept_count, sizeof *reply->kept);
	for (size_t i = 0; i < chain->kept_count; i++) {
		struct collect_log *log = &chain->kept[i];
		char *file = log->name;
		log->name = shared_log_shown(file);
		log->of_chain = true;
		free(file);
		reply->kept[reply->kept_count++] = *log;
	}
	chain->kept_count = 0;
}

/* Nothing is evaluated any more on the deployment that the job shared: its secrets go, its logs are kept, and when it
 * was the attempt that ended, its log tells why. */
static int collect_chain(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	const struct action_item *item = &action->items[0];
	CLEANUP(collect_reply_done) struct collect_reply chain = {0};
	struct collect_order order = {.job_dir = item->chain_dir,
				      .keep_bytes = item->chain_keep_bytes,
				      .attempt = item->attempt,
				      .slurm_job_id = item->slurm_job_id,
				      .wanted = COLLECT_EXPORT_FOLLOW};
	if (slurm_collect(pool, &order, action->timeout_ms, &chain, err) != 0)
		return -1;
	take_logs(&action->collected, &chain);
	if (!item->by_attempt || chain.log_tail == NULL || chain.log_tail[0] == '\0')
		return 0;
	free(action->collected.log_tail);
	action->collected.log_tail = TAKE(chain.log_tail);
	free(action->collected.log_name);
	action->collected.log_name = shared_log_shown(chain.log_name);
	return 0;
}

static int run(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	CLEANUP(mask_freep) struct mask *mask = NULL;
	fault_point("collect-before-exec");
	if (action_open_mask(action, &mask, err) != 0)
		return -1;
	/* However the chain ended: what its last attempt queued goes with it. */
	struct cancel_order order = action_cancel_order(&action->items[0]);
	if (!action->items[0].export_only && action->items[0].is_last && order.chain_dir != NULL &&
	    order.job_name != NULL && slurm_cancel(pool, &order, 1, action->timeout_ms, err) != 0)
		return -1;
	bool shared = action->items[0].at_once > 0;
	const char *checkpoints_json = action->items[0].checkpoints;
	CLEANUP(str_list_freep)
	char **checkpoints = checkpoints_json != NULL ? reuse_checkpoints(checkpoints_json) : NULL;
	struct collect_order wanted = {.job_dir = action->items[0].job_dir,
				       .chain_dir = shared ? action->items[0].chain_dir : NULL,
				       .keep_bytes = action->items[0].keep_bytes,
				       .attempt = action->items[0].sealed_attempt,
				       .slurm_job_id = action->items[0].slurm_job_id,
				       .wanted = action->items[0].export_request,
				       .checkpoints = (const char *const *)checkpoints,
				       .export_only = action->items[0].export_only};
	if (slurm_collect(pool, &wanted, action->timeout_ms, &action->collected, err) != 0)
		return -1;
	if (shared && action->items[0].is_last && !action->items[0].export_only &&
	    collect_chain(action, pool, err) != 0)
		return -1;
	fault_point("collect-after-exec");
	/* Here text of a job enters the daemon to be kept: nothing behind this line sees a secret in it. */
	collect_reply_mask(&action->collected, mask);
	if (action->collected.results != NULL)
		action->scores_failed = scores_parse(action->collected.results, action->collected.results_size,
						     &action->scores, &action->scores_err) != 0;
	else if (action->collected.results_too_large)
		action->scores_failed = err_set(&action->scores_err, NEL_INVALID, "it is larger than %d MiB",
						COLLECT_RESULTS_MAX / (1024 * 1024)) != 0;
	scores_mask(&action->scores, mask);
	mask_text(mask, action->scores_err.msg, false);
	read_samples(action, pool, mask);
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
	char wait[ACTION_WAIT_SIZE];
	action_describe_wait(action, wait);
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
					       .data_size = log->data_size,
					       .of_chain = log->of_chain};
	}
	return job_logs_replace(s->db, chain->job.seq, rows, collected->kept_count, err);
}

static bool wait_for_results(struct scheduler *s, struct active_chain *chain, const struct action *action)
{
	const struct cluster_watch *watch = cluster_watch_of(&s->watches, chain);
	if (watch == NULL || !results_awaited(chain, action, watch->cluster->results_wait_s))
		return false;
	chain->due_ms = clock_mono_ms() + RESULTS_LOOK_MS;
	return true;
}

static int take(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	struct active_chain *chain =
	    active_chains_find_attempt(&s->chains, action->items[0].job_seq, action->items[0].attempt);
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
	/* The rest of its life may bring another attempt, but for a success. */
	if (first && action->items[0].checkpoints != NULL && results_end_state(chain) == CHAIN_SUCCEEDED &&
	    fingerprints_settle(s->db, chain->job.seq, action->collected.fingerprint, err) != 0)
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
	return jobs_set_collected(s->db, chain->job.seq, err);
}

const struct action_type action_collect = {
    .name = "collect",
    .is_due = is_due,
    .prepare = prepare,
    .run = run,
    .release = action_release_chains,
    .take = take,
    .taken_point = "collect-taken",
    .stored_point = "collect-stored",
};
