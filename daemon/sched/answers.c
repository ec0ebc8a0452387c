#include "sched/answers.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "db/events.h"
#include "sched/event_log.h"
#include "sched/remote_audit.h"

#include <string.h>

/* Why the cluster did not do what it was asked; NULL when it did, or when the reason is another than the cluster. */
static const char *cluster_fault(const struct action *action)
{
	if (action_was_refused(action) && strchr(action->identity, '/') != NULL)
		return NULL; /* a person's own key: the next one's may do */
	if (action->failed && (action->err.kind == NEL_REMOTE || action->err.kind == NEL_DENIED))
		return action->err.msg;
	if (!action->failed && action->observed.slurm_failed)
		return action->observed.message;
	return NULL;
}

/* Tells of a cluster that can no longer be worked with, and when it can again; each once, also over restarts. */
static int note_reach(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	const char *why = cluster_fault(action);
	bool reached = why == NULL;
	/* Where each person has a key of his own, a refused one says nothing of the cluster. */
	bool own_key = watch != NULL && watch->cluster->identity_per_user && action_was_refused(action);
	if (watch == NULL || (action->failed && (reached || own_key)))
		return 0;
	if (!watch->reach_known && events_cluster_reachable(s->db, action->cluster, &watch->reachable, err) != 0)
		return -1;
	watch->reach_known = true;
	if (watch->reachable == reached)
		return 0;
	/* Read again, by others on the cluster, too, and in case this transaction fails. */
	for (size_t i = 0; i < s->watches.count; i++)
		if (strcmp(s->watches.items[i]->name, action->cluster) == 0)
			s->watches.items[i]->reach_known = false;
	return event_log_cluster(s->db, action->cluster, why, clock_now_s(), err);
}

/* Whatever the answer changes of its chains in memory is read again from the store when the transaction fails, also by
 * a statement before the first that stores it. */
static void touch_chains(struct scheduler *s, const struct action *action)
{
	for (size_t i = 0; i < action->count; i++) {
		const struct active_chain *leader = active_chains_find(&s->chains, action->items[i].seq);
		if (leader != NULL)
			active_chains_touch(leader->common->members, leader->common->member_count);
	}
}

static bool look_is_wanted(struct scheduler *s, const struct action *action)
{
	const struct cluster_watch *watch = cluster_watch_get(&s->watches, action->cluster, action->identity);
	return watch != NULL && watch->look_wanted;
}

static int take(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	touch_chains(s, action);
	/* A cluster that nothing waits for is nobody's trouble. */
	bool idle = (action->type == &action_look && !look_is_wanted(s, action)) ||
		    (action->type == &action_observe && action->count == 0);
	int rc = action->early || idle ? 0 : note_reach(s, action, err);
	if (rc == 0 && !action->early && !(idle && action->failed))
		rc = remote_audit_store(s, action, err);
	if (rc == 0)
		rc = action->type->take(s, action, err);
	fault_point(action->type->taken_point);
	return rc;
}

void answers_take(struct scheduler *s, struct action *given)
{
	CLEANUP(action_freep) struct action *action = given;
	const struct action_type *type = action->type;
	struct nel_err err = {0};
	type->release(s, action);
	if (action->failed && type != &action_observe)
		log_warning("remote work failed", LOG_S("cluster", action->cluster),
			    LOG_S("eval", type == &action_submit ? action->evaluation : NULL),
			    LOG_S("error", action->err.msg));
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	if (db_begin(s->db, &err) != 0 || take(s, action, &err) != 0 || db_commit(s->db, &err) != 0) {
		log_error("an answer cannot be stored; it will be asked for again", LOG_S("cluster", action->cluster),
			  LOG_S("error", err.msg));
		active_chains_mark_stale(&s->chains);
		if (type->ask_again != NULL)
			type->ask_again(s, action);
		return;
	}
	fault_point(type->stored_point);
}
