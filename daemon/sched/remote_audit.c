#include "sched/remote_audit.h"

#include "base/clock.h"
#include "base/str.h"
#include "db/audit.h"

#include <stdio.h>
#include <string.h>

#define DAY_S (24 * 3600)
#define DAEMON "daemon" /* no person's name has to fear it: it is told by its role, which is none */

static const char *failure_of(const struct action *action)
{
	if (action->failed)
		return action->err.msg;
	return action->observed.slurm_failed ? action->observed.message : NULL;
}

static int store(struct scheduler *s, const struct action *action, const char *actor, const char *target,
		 const char *detail, struct nel_err *err)
{
	const char *why = failure_of(action);
	char name[32];
	snprintf(name, sizeof name, "remote.%s", action->type->name);
	const struct audit_entry entry = {.actor = actor,
					  .source = DAEMON,
					  .action = name,
					  .target = target,
					  .cluster = action->cluster,
					  .outcome = why == NULL ? AUDIT_OK : AUDIT_FAILED,
					  .detail = why != NULL ? why : detail,
					  .keep_s = s->settings->audit_keep_days * DAY_S};
	return audit_insert_hourly(s->db, &entry, true, clock_now_s(), err);
}

static const char *person_of(struct scheduler *s, const struct action_item *item)
{
	const struct active_chain *chain = active_chains_find(&s->chains, item->seq);
	return chain != NULL ? chain->job.user : DAEMON;
}

static bool seen_before(struct scheduler *s, const struct action *action, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(person_of(s, &action->items[i]), person_of(s, &action->items[index])) == 0)
			return true;
	return false;
}

/* The target is the evaluation, or the job when it is about one; the detail names jobs and account. */
static int store_for(struct scheduler *s, const struct action *action, const char *person, struct nel_err *err)
{
	struct str jobs = {0};
	const struct active_chain *first = NULL;
	size_t count = 0;
	for (size_t i = 0; i < action->count; i++) {
		const struct active_chain *chain = active_chains_find(&s->chains, action->items[i].seq);
		if (strcmp(person_of(s, &action->items[i]), person) != 0)
			continue;
		if (chain != NULL)
			str_appendf(&jobs, " %s", chain->job.id);
		first = first == NULL ? chain : first;
		count++;
	}
	char target[IDS_JOB_SIZE] = "";
	if (first != NULL)
		snprintf(target, sizeof target, "%s", count == 1 ? first->job.id : first->job.evaluation);
	char detail[AUDIT_DETAIL_MAX];
	snprintf(detail, sizeof detail, "as %s:%s", action->identity, str_text(&jobs));
	str_done(&jobs);
	return store(s, action, person, target, detail, err);
}

int remote_audit_store(struct scheduler *s, const struct action *action, struct nel_err *err)
{
	if (action->type == &action_observe || action->type == &action_look) {
		char detail[AUDIT_DETAIL_MAX];
		snprintf(detail, sizeof detail, "as %s", action->identity);
		return store(s, action, DAEMON, action->cluster, detail, err);
	}
	for (size_t i = 0; i < action->count; i++)
		if (!seen_before(s, action, i) && store_for(s, action, person_of(s, &action->items[i]), err) != 0)
			return -1;
	return 0;
}
