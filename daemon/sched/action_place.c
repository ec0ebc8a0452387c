/* Place: a cluster is asked whether it would take the first job of an evaluation, and when that would start. */
#include "base/mem.h"
#include "base/str_list.h"
#include "config/plan/eval_config.h"
#include "db/output_dirs.h"
#include "sched/action.h"
#include "sched/placement.h"

#include <string.h>

/* Its first job, as it would be sent first. */
static int make_question(struct scheduler *s, const struct cluster_watch *watch, const struct placement_plan *where,
			 const char *evaluation, struct check_question **ret_question, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *resolved = json_loads(where->resolved, 0, NULL);
	CLEANUP(eval_plan_freep) struct eval_plan *plan = NULL;
	CLEANUP(str_list_freep) char **output_dirs = NULL;
	bool shared = strchr(watch->identity, '/') == NULL; /* no person's own */
	if (resolved == NULL)
		return err_set(err, NEL_DB, "its stored config is no JSON");
	if (eval_config_replan(resolved, &plan, err) != 0 ||
	    (shared && output_dirs_list(s->db, watch->name, &output_dirs, err) != 0))
		return -1;
	plan->containers = watch->cluster->containers;
	CLEANUP(mem_freep) char *job_name = script_job_name(plan, &plan->jobs[0], evaluation, 1);
	const struct attempt_order order = script_first_order(plan, plan->jobs[0].index, job_name);
	const struct check_input input = {.plan = plan,
					  .evaluation = evaluation,
					  .rundir = where->rundir,
					  .orders = &order,
					  .order_count = 1,
					  .shared = shared,
					  .used_output_dirs = (const char *const *)output_dirs,
					  .has_accounts = watch->cluster->accounting != ACCOUNTING_NONE};
	return check_question_new(&input, ret_question, err);
}

bool placement_ask(struct scheduler *s, const struct placement *p, const struct placement_plan *plan,
		   struct nel_err *err)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, plan->cluster, plan->identity);
	if (watch == NULL) {
		err_set(err, NEL_NOTFOUND, "the settings no longer have it with account %s", plan->identity);
		return false;
	}
	if (watch->cluster->draining) {
		err_set(err, NEL_INVALID, "it is draining");
		return false;
	}
	CLEANUP(action_freep)
	struct action *action = action_new(&action_place, s->inbox, plan->cluster, plan->identity,
					   watch->cluster->connect_timeout_s * 1000, 1);
	action->placement_seq = p->seq;
	action->placement_turn = p->turn;
	if (make_question(s, watch, plan, p->first->job.evaluation, &action->question, err) != 0)
		return false;
	if (!action_push(action, s->lanes)) {
		err_set(err, NEL_BUSY, "too much waits for it");
		return false;
	}
	action = NULL;
	return true;
}

static int run(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	return slurm_check(pool, action->question, action->timeout_ms, &action->checked, err);
}

static const struct check_result *first_bad(const struct check_reply *reply)
{
	for (size_t i = 0; i < reply->count; i++)
		if (reply->items[i].verdict == CHECK_BAD)
			return &reply->items[i];
	return NULL;
}

static int take(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	(void)err;
	CLEANUP(mem_freep) char *message = NULL;
	enum placement_answer answer = ANSWER_TAKES;
	const struct check_result *bad = first_bad(&action->checked);
	struct placement *p = placement_find(s, action->placement_seq);
	if (p == NULL || p->turn != action->placement_turn)
		return 0;
	if (action->failed) {
		answer = ANSWER_SILENT;
		message = mem_strdup(action->err.msg);
	} else if (bad != NULL) {
		answer = bad->silent ? ANSWER_SILENT : ANSWER_REFUSED;
		message = mem_printf("%s: %s", check_kind_name(bad->kind), bad->message);
	} else if (action->checked.start_estimate != 0) {
		answer = ANSWER_STARTS;
	}
	placement_take_answer(p, action->cluster, answer, bad == NULL ? action->checked.start_estimate : 0, message);
	return 0;
}

const struct action_type action_place = {
    .name = "place",
    .run = run,
    .release = action_release_chains,
    .take = take,
    .taken_point = "place-taken",
    .stored_point = "place-stored",
};
