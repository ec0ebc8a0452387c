/* Cancel: Slurm is told to end an attempt, again and again until an observation shows the end. Withdraw: the same of
 * one that has not begun. */
#include "sched/action.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "sched/scheduler_state.h"
#include "sched/transition.h"

#include <string.h>

#define CANCELS_MAX 500 /* in one remote command */
#define CANCEL_REPEAT_MS 30000

static bool is_due(const struct active_chain *chain, int64_t now_s)
{
	(void)now_s;
	return chain->pending == ACTION_CANCEL;
}

static bool is_due_to_withdraw(const struct active_chain *chain, int64_t now_s)
{
	(void)now_s;
	return chain->pending == ACTION_WITHDRAW;
}

static bool has_one_of(struct scheduler *s, const struct chain_list *list, const struct cluster_watch *watch)
{
	for (size_t i = 0; i < list->count; i++)
		if (cluster_watch_of(&s->watches, list->items[i]) == watch)
			return true;
	return false;
}

/* Of those in the attempt: then it is not the attempt that is cancelled. */
static bool others_go_on(const struct active_chain *chain)
{
	for (size_t i = 0; i < chain->common->member_count; i++) {
		const struct active_chain *other = chain->common->members[i];
		if (active_chain_is_in_slurm(other) && other->job.state != CHAIN_CANCELLING)
			return true;
	}
	return false;
}

static void prepare_as(struct scheduler *s, const struct action_type *type, const struct chain_list *due)
{
	for (size_t n = 0; n < s->watches.count; n++) {
		struct cluster_watch *watch = s->watches.items[n];
		if (!has_one_of(s, due, watch))
			continue;
		CLEANUP(action_freep)
		struct action *action = action_new(type, s->inbox, watch->cluster->name, watch->identity,
						   watch->cluster->command_timeout_s * 1000, CANCELS_MAX);
		struct active_chain *mine[CANCELS_MAX];
		size_t taken = 0;
		for (size_t i = 0; i < due->count && taken < CANCELS_MAX; i++) {
			struct active_chain *chain = due->items[i];
			if (cluster_watch_of(&s->watches, chain) != watch)
				continue;
			action_add(action, chain);
			action->items[taken].waiting_only = type == &action_withdraw;
			action->items[taken].job_only =
			    type == &action_cancel && active_chain_is_shared(chain) && others_go_on(chain);
			mine[taken++] = chain;
		}
		bool pushed = action_push(action, s->lanes);
		if (pushed)
			action = NULL;
		for (size_t i = 0; i < taken; i++) {
			mine[i]->in_flight = pushed ? type : NULL;
			if (!pushed)
				active_chain_back_off(mine[i], 1, 30);
		}
	}
}

static void prepare(struct scheduler *s, const struct chain_list *due)
{
	prepare_as(s, &action_cancel, due);
}

static void prepare_to_withdraw(struct scheduler *s, const struct chain_list *due)
{
	prepare_as(s, &action_withdraw, due);
}

static bool is_first_of_chain(const struct action *action, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (action->items[i].seq == action->items[index].seq)
			return false;
	return true;
}

static int run(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	struct cancel_order *orders = mem_calloc(action->count, sizeof *orders);
	struct cancel_job_order *jobs = mem_calloc(action->count, sizeof *jobs);
	size_t count = 0;
	size_t job_count = 0;
	for (size_t i = 0; i < action->count; i++) {
		const struct action_item *item = &action->items[i];
		if (item->job_only)
			jobs[job_count++] = (struct cancel_job_order){.chain_dir = item->chain_dir,
								      .folder = strrchr(item->job_dir, '/') + 1};
		else if (is_first_of_chain(action, i))
			orders[count++] = action_cancel_order(item);
	}
	fault_point("cancel-before-exec");
	int rc = count > 0 ? slurm_cancel(pool, orders, count, action->timeout_ms, err) : 0;
	if (rc == 0 && job_count > 0)
		rc = slurm_cancel_jobs(pool, jobs, job_count, action->timeout_ms, err);
	fault_point("cancel-after-exec");
	free(orders);
	free(jobs);
	return rc;
}

static int take(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	char wait[ACTION_WAIT_SIZE];
	enum chain_action pending = action->type == &action_withdraw ? ACTION_WITHDRAW : ACTION_CANCEL;
	action_describe_wait(action, wait);
	for (size_t i = 0; i < action->count; i++) {
		struct active_chain *chain =
		    active_chains_find_attempt(&s->chains, action->items[i].job_seq, action->items[i].attempt);
		if (chain == NULL || chain->pending != pending)
			continue;
		if (action->failed) {
			active_chain_back_off(chain, 2, 120);
			if (transition_waiting_on(s->db, chain, wait, clock_now_s(), err) != 0)
				return -1;
			continue;
		}
		/* Slurm took the request; until an observation shows the end, it is repeated now and then. */
		if (action->items[i].job_only) {
			chain->marked_attempt = action->items[i].attempt;
			chain->marked_ms = clock_mono_ms();
		}
		chain->tries = 0;
		chain->due_ms = clock_mono_ms() + CANCEL_REPEAT_MS;
		cluster_watch_quicken(cluster_watch_of(&s->watches, chain));
	}
	return 0;
}

const struct action_type action_cancel = {
    .name = "cancel",
    .is_due = is_due,
    .prepare = prepare,
    .run = run,
    .release = action_release_chains,
    .take = take,
    .taken_point = "cancel-taken",
    .stored_point = "cancel-stored",
};

const struct action_type action_withdraw = {
    .name = "withdraw",
    .is_due = is_due_to_withdraw,
    .prepare = prepare_to_withdraw,
    .run = run,
    .release = action_release_chains,
    .take = take,
    .taken_point = "withdraw-taken",
    .stored_point = "withdraw-stored",
};
