#include "sched/action.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str_list.h"
#include "db/identities.h"
#include "db/output_dirs.h"
#include "sched/scheduler_state.h"

#include <stdio.h>
#include <string.h>

static void item_done(struct action_item *item)
{
	free(item->job_name);
	free(item->slurm_job_id);
	free(item->job_dir);
	free(item->chain_dir);
	free(item->jobs);
	free(item->resumed_for);
	free(item->after_job);
	free(item->exclude_node);
	free(item->reuse);
	free(item->checkpoints);
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
	str_list_free(action->used_output_dirs);
	eval_plan_free(action->plan);
	free(action->sealed_env);
	free(action->origin);
	check_question_free(action->question);
	check_reply_done(&action->checked);
	free(action->checkpoints);
	look_reply_done(&action->looked);
	lost_evaluations_done(&action->lost);
	submit_reply_done(&action->submitted);
	unsettled_list_done(&action->unsettled);
	observe_reply_done(&action->observed);
	collect_reply_done(&action->collected);
	scores_done(&action->scores);
	samples_row_done(&action->samples);
	free(action);
}

static void run(struct lane_work *work, struct ssh_pool *pool)
{
	struct action *action = (struct action *)work;
	int64_t begun_ms = clock_mono_ms();
	action->failed = action->type->run(action, pool, &action->err) != 0;
	action->took_ms = clock_mono_ms() - begun_ms;
	/* A closed inbox means that the daemon stops; the store has what is needed to go on from. */
	if (!queue_push(action->inbox, action))
		action_free(action);
}

static void abandon(struct lane_work *work)
{
	action_free((struct action *)work);
}

struct action *action_new(const struct action_type *type, struct queue *inbox, const char *cluster,
			  const char *identity, int64_t timeout_ms, size_t capacity)
{
	struct action *action = mem_calloc(1, sizeof *action);
	action->work.run = run;
	action->work.abandon = abandon;
	action->type = type;
	action->inbox = inbox;
	action->timeout_ms = timeout_ms;
	action->cluster = mem_strdup(cluster);
	action->identity = mem_strdup(identity);
	action->items = mem_calloc(capacity, sizeof *action->items);
	return action;
}

void action_add(struct action *action, const struct active_chain *chain)
{
	action->items[action->count++] = (struct action_item){
	    .seq = chain->seq,
	    .job_seq = chain->job_seq,
	    .job_index = chain->job.index,
	    .attempt = chain->common->attempt.number,
	    .job_name = mem_strdup(chain->common->attempt.job_name),
	    .slurm_job_id = mem_strdup(chain->common->attempt.slurm_job_id),
	    .job_dir = mem_strdup(chain->job.job_dir),
	    .chain_dir = active_chain_dir(chain),
	    .at_once = chain->common->row.at_once,
	    .chain_number = chain->common->row.number,
	    .time_limit_s = chain->common->attempt.time_limit_s,
	    .after_job = mem_strdup(chain->common->attempt.after_job),
	    .exclude_node = mem_strdup(chain->common->attempt.exclude_node),
	    .submitted_at = chain->common->attempt.submitted_at,
	    .adopt_only = chain->job.state == CHAIN_CANCELLING,
	    .first_send = chain->first_send,
	    .budget_from = chain->common->row.budget_from_attempt,
	    .budget_left_s = chain->common->row.budget_limit_s >= 0
				 ? chain->common->row.budget_limit_s - chain->common->used_before_s
				 : chain->common->row.budget_limit_s,
	    .in_job = active_chain_resumes_in_job(chain),
	};
}

bool action_push(struct action *action, struct lanes *lanes)
{
	struct nel_err err;
	if (lanes_push(lanes, action->cluster, action->identity, &action->work, &err) == 0)
		return true;
	log_debug("lane refused work", LOG_S("cluster", action->cluster), LOG_S("error", err.msg));
	return false;
}

int action_open_env(const struct action *action, json_t **ret_env, struct nel_err *err)
{
	if (action->sealed_env == NULL) {
		*ret_env = json_object();
		return 0;
	}
	CLEANUP(mem_freep) char *label = mem_printf("env:%s", action->evaluation);
	return secret_open_json(action->master_key, label, action->sealed_env, action->sealed_env_size, ret_env, err);
}

int action_open_mask(const struct action *action, struct mask **ret_mask, struct nel_err *err)
{
	json_t *env = NULL;
	if (action_open_env(action, &env, err) != 0)
		return -1;
	*ret_mask = mask_new(env);
	secret_free_json(env);
	return 0;
}

struct cancel_order action_cancel_order(const struct action_item *item)
{
	return (struct cancel_order){.slurm_job_id = item->slurm_job_id,
				     .job_name = item->job_name,
				     .chain_dir = item->in_job && !item->waiting_only ? item->chain_dir : NULL,
				     .waiting_only = item->waiting_only};
}

bool action_was_refused(const struct action *action)
{
	return action->failed && err_is_login(action->err.reason);
}

void action_describe_wait(const struct action *action, char ret_text[ACTION_WAIT_SIZE])
{
	char user[USER_NAME_MAX + 1];
	char account[IDENTITY_USERNAME_MAX + 1];
	if (action->failed && action->err.reason == NEL_REASON_CREDENTIAL)
		snprintf(ret_text, ACTION_WAIT_SIZE, "credentials for %s: %s", action->cluster, action->err.msg);
	else if (action_was_refused(action) && identity_name_split(action->identity, user, account))
		snprintf(ret_text, ACTION_WAIT_SIZE,
			 "credentials for %s: the account %s there does not take the key of %s yet; the line to add to "
			 "its authorized_keys is in GET /v1/identities/%s, and POST /v1/identities/%s/check tries it",
			 action->cluster, account, user, action->cluster, action->cluster);
	else if (action_was_refused(action))
		snprintf(ret_text, ACTION_WAIT_SIZE, "credentials for %s", action->cluster);
	else
		snprintf(ret_text, ACTION_WAIT_SIZE, "cluster %s: %s", action->cluster, action->err.msg);
}

void action_release_chains(struct scheduler *s, const struct action *action)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	if (watch != NULL && !action->failed)
		cluster_watch_let_in(watch);
	for (size_t i = 0; i < action->count; i++) {
		const struct active_chain *leader = active_chains_find(&s->chains, action->items[i].seq);
		for (size_t m = 0; leader != NULL && m < leader->common->member_count; m++) {
			struct active_chain *chain = leader->common->members[m];
			bool its = action->type != &action_collect || chain->job_seq == action->items[i].job_seq;
			if (its && chain->in_flight == action->type)
				chain->in_flight = NULL;
		}
	}
}
