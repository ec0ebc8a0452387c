/* Leave: the secrets of an evaluation are removed from the cluster that it leaves. */
#include "base/mem.h"
#include "sched/action.h"
#include "sched/placement.h"
#include "slurm/leave.h"
#include "slurm/script.h"

bool placement_leave(struct scheduler *s, const struct placement *p, const struct active_chain *job)
{
	const struct cluster_watch *watch = cluster_watch_get(&s->watches, job->job.cluster, job->job.identity);
	if (watch == NULL)
		return false;
	CLEANUP(action_freep)
	struct action *action = action_new(&action_leave, s->inbox, watch->name, watch->identity,
					   watch->cluster->command_timeout_s * 1000, 1);
	action->placement_seq = p->seq;
	action->placement_turn = p->turn;
	action->rundir = script_rundir_of(job->job.job_dir);
	if (!action_push(action, s->lanes))
		return false;
	action = NULL;
	return true;
}

static int run(struct action *action, struct ssh_pool *pool, struct nel_err *err)
{
	return slurm_leave(pool, action->rundir, action->timeout_ms, err);
}

static int take(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	struct placement *p = placement_find(s, action->placement_seq);
	if (p == NULL || p->turn != action->placement_turn)
		return 0;
	return placement_left(s, p, action->failed ? action->err.msg : NULL, err);
}

const struct action_type action_leave = {
    .name = "leave",
    .run = run,
    .release = action_release_chains,
    .take = take,
    .taken_point = "leave-taken",
    .stored_point = "leave-stored",
};
