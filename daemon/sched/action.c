#include "sched/action.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "slurm/cancel.h"

#include <string.h>

static void item_done(struct action_item *item)
{
	free(item->job_name);
	free(item->slurm_job_id);
	free(item->job_dir);
	free(item->after_job);
	free(item->exclude_node);
}

void action_free(struct action *action)
{
	if (action == NULL)
		return;
	for (size_t i = 0; i < action->count; i++)
		item_done(&action->items[i]);
	free(action->items);
	free(action->cluster);
	free(action->identity);
	free(action->rundir);
	eval_plan_free(action->plan);
	free(action->sealed_env);
	submit_reply_done(&action->submitted);
	observe_reply_done(&action->observed);
	collect_reply_done(&action->collected);
	scores_done(&action->scores);
	free(action);
}

static const char *lookup_secret(const char *name, void *arg)
{
	return json_string_value(json_object_get(arg, name));
}

static int open_env(const struct action *action, json_t **ret_env, struct nel_err *err)
{
	if (action->sealed_env == NULL) {
		*ret_env = json_object();
		return 0;
	}
	CLEANUP(mem_freep) char *label = mem_printf("env:%s", action->evaluation);
	return secret_open_json(action->master_key, label, action->sealed_env, action->sealed_env_size, ret_env, err);
}

/* What knows the secrets that the job was given, and so may print. */
static int open_mask(const struct action *action, struct mask **ret_mask, struct nel_err *err)
{
	json_t *env = NULL;
	if (open_env(action, &env, err) != 0)
		return -1;
	*ret_mask = mask_new(env);
	secret_free_json(env);
	return 0;
}

static int do_submit(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	json_t *env = NULL;
	if (open_env(action, &env, err) != 0)
		return -1;
	struct attempt_order *orders = mem_calloc(action->count, sizeof *orders);
	for (size_t i = 0; i < action->count; i++) {
		const struct action_item *item = &action->items[i];
		orders[i] = (struct attempt_order){.job_index = item->job_index,
						   .number = item->attempt,
						   .job_name = item->job_name,
						   .time_limit_s = item->time_limit_s,
						   .after_job = item->after_job,
						   .adopt_only = item->adopt_only,
						   .exclude_node = item->exclude_node,
						   .budget_from = item->budget_from,
						   .budget_left_s = item->budget_left_s};
	}
	struct rundir_input input = {.plan = action->plan,
				     .evaluation = action->evaluation,
				     .rundir = action->rundir,
				     .orders = orders,
				     .order_count = action->count,
				     .shared = strchr(action->identity, '/') == NULL, /* no person's own */
				     .secret = lookup_secret,
				     .secret_arg = env};
	fault_point("submit-before-exec");
	int rc = slurm_submit(pool, &input, action->timeout_ms, &action->submitted, &action->sent, err);
	fault_point("submit-after-exec");
	/* A login shell that is not one may answer with what it was sent. */
	CLEANUP(mask_freep) struct mask *mask = mask_new(env);
	if (rc != 0)
		mask_text(mask, err->msg, false);
	for (size_t i = 0; i < action->submitted.count; i++)
		mask_text(mask, action->submitted.items[i].message, false);
	free(orders);
	secret_free_json(env);
	return rc;
}

/* The scheduler takes what squeue says while sacct is asked. */
static void take_early(struct observe_reply *reply, void *arg)
{
	struct action *whole = arg;
	struct action *part = action_new(DO_OBSERVE, whole->inbox, whole->cluster, whole->identity, 0, whole->count);
	part->early = true;
	part->use_sacct = whole->use_sacct;
	part->observed = *reply;
	for (size_t i = 0; i < whole->count; i++)
		part->items[part->count++] =
		    (struct action_item){.seq = whole->items[i].seq, .attempt = whole->items[i].attempt};
	whole->told_early = queue_push(part->inbox, part);
	if (!whole->told_early)
		action_free(part);
}

static int do_observe(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	if (action->ask_accounting && slurm_has_accounting(pool, action->timeout_ms, &action->use_sacct, err) != 0)
		return -1;
	struct observe_order *orders = mem_calloc(action->count, sizeof *orders);
	for (size_t i = 0; i < action->count; i++) {
		const struct action_item *item = &action->items[i];
		orders[i] = (struct observe_order){.slurm_job_id = item->slurm_job_id,
						   .job_name = item->job_name,
						   .job_dir = item->job_dir,
						   .submitted_at = item->submitted_at,
						   .attempt = item->attempt};
	}
	const struct observe_early early = {.take = take_early, .arg = action};
	int rc = slurm_observe(pool, orders, action->count, action->use_sacct && !action->skip_sacct,
			       action->timeout_ms, &early, &action->observed, err);
	free(orders);
	return rc;
}

static struct cancel_order cancel_order_of(const struct action_item *item)
{
	return (struct cancel_order){.slurm_job_id = item->slurm_job_id,
				     .job_name = item->job_name,
				     .chain_dir = item->in_job ? item->job_dir : NULL};
}

static int do_cancel(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	struct cancel_order *orders = mem_calloc(action->count, sizeof *orders);
	for (size_t i = 0; i < action->count; i++)
		orders[i] = cancel_order_of(&action->items[i]);
	fault_point("cancel-before-exec");
	int rc = slurm_cancel(pool, orders, action->count, action->timeout_ms, err);
	fault_point("cancel-after-exec");
	free(orders);
	return rc;
}

static int do_collect(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	CLEANUP(mask_freep) struct mask *mask = NULL;
	fault_point("collect-before-exec");
	if (open_mask(action, &mask, err) != 0)
		return -1;
	/* However the chain ended: what its last attempt queued goes with it. */
	struct cancel_order order = cancel_order_of(&action->items[0]);
	if (!action->items[0].export_only && order.chain_dir != NULL && order.job_name != NULL &&
	    slurm_cancel(pool, &order, 1, action->timeout_ms, err) != 0)
		return -1;
	struct collect_order wanted = {.job_dir = action->items[0].job_dir,
				       .keep_bytes = action->items[0].keep_bytes,
				       .attempt = action->items[0].attempt,
				       .slurm_job_id = action->items[0].slurm_job_id,
				       .wish = action->items[0].export_wish,
				       .export_only = action->items[0].export_only};
	if (slurm_collect(pool, &wanted, action->timeout_ms, &action->collected, err) != 0)
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
	return 0;
}

static int carry_out(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	switch (action->kind) {
	case DO_SUBMIT: return do_submit(action, pool, err);
	case DO_OBSERVE: return do_observe(action, pool, err);
	case DO_CANCEL: return do_cancel(action, pool, err);
	case DO_COLLECT: return do_collect(action, pool, err);
	}
	return err_set(err, NEL_INTERNAL, "no such action");
}

static void run(struct lane_work *work, struct ssh_pool *pool)
{
	struct action *action = (struct action *)work;
	int64_t begun_ms = clock_mono_ms();
	action->failed = carry_out(action, pool, &action->err) != 0;
	action->took_ms = clock_mono_ms() - begun_ms;
	/* A closed inbox means that the daemon stops; the store has what is needed to go on from. */
	if (!queue_push(action->inbox, action))
		action_free(action);
}

static void abandon(struct lane_work *work)
{
	action_free((struct action *)work);
}

struct action *action_new(enum action_kind kind, struct queue *inbox, const char *cluster, const char *identity,
			  int64_t timeout_ms, size_t capacity)
{
	struct action *action = mem_calloc(1, sizeof *action);
	action->work.run = run;
	action->work.abandon = abandon;
	action->kind = kind;
	action->inbox = inbox;
	action->timeout_ms = timeout_ms;
	action->cluster = mem_strdup(cluster);
	action->identity = mem_strdup(identity);
	action->items = mem_calloc(capacity, sizeof *action->items);
	return action;
}
