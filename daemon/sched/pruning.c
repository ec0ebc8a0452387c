#include "sched/pruning.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/campaigns.h"
#include "db/evaluations.h"
#include "db/events.h"
#include "db/jobs.h"

#define DAY_S (24 * 3600)
#define INTERVAL_MS (60 * 1000)
#define BATCH_INTERVAL_MS 200 /* while there is more: others write in between */
#define EVENTS_BATCH 1000
#define EVALUATIONS_BATCH 20
#define SECRETS_BATCH 100

/* How many rows were. */
struct pruned {
	int secrets;
	int events;
	int evaluations;
	int campaigns;
};

/* The numbers of the newest jobs are given anew once these are gone. What has one of them then is a submission of which
 * the scheduler knows nothing yet: which are left is read before anybody else can write. */
static int prune_evaluations(struct scheduler *s, int64_t ended_before_s, int *ret_count, struct nel_err *err)
{
	CLEANUP(db_rollbackp) struct db *tx = s->db;
	int64_t newest = 0;
	if (db_begin(s->db, err) != 0 ||
	    evaluations_prune(s->db, ended_before_s, EVALUATIONS_BATCH, ret_count, err) != 0 ||
	    jobs_newest(s->db, &newest, err) != 0 || db_commit(s->db, err) != 0)
		return -1;
	if (s->taken_job_seq > newest)
		s->taken_job_seq = newest;
	if (s->newest_job_seq > newest)
		s->newest_job_seq = newest;
	return 0;
}

static int prune(struct scheduler *s, const struct settings *settings, struct pruned *ret_pruned, struct nel_err *err)
{
	int64_t now_s = clock_now_s();
	int64_t evaluations_s = now_s - settings->evaluations_keep_days * DAY_S;
	if (evaluations_clear_envs(s->db, now_s - settings->secrets_keep_days * DAY_S, SECRETS_BATCH,
				   &ret_pruned->secrets, err) != 0)
		return -1;
	if (settings->events_keep_days > 0 && events_prune(s->db, now_s - settings->events_keep_days * DAY_S,
							   EVENTS_BATCH, &ret_pruned->events, err) != 0)
		return -1;
	if (settings->evaluations_keep_days == 0)
		return 0;
	if (prune_evaluations(s, evaluations_s, &ret_pruned->evaluations, err) != 0)
		return -1;
	return campaigns_prune(s->db, evaluations_s, EVALUATIONS_BATCH, &ret_pruned->campaigns, err);
}

void pruning_step(struct scheduler *s)
{
	const struct settings *settings = s->settings;
	int64_t now_ms = clock_mono_ms();
	struct pruned pruned = {0};
	struct nel_err err;
	if (now_ms < s->prune_ms)
		return;
	if (prune(s, settings, &pruned, &err) != 0)
		log_warning("nothing can be pruned", LOG_S("error", err.msg));
	else if (pruned.events > 0 || pruned.evaluations > 0 || pruned.campaigns > 0)
		log_info("pruned", LOG_N("events", pruned.events), LOG_N("evaluations", pruned.evaluations),
			 LOG_N("campaigns", pruned.campaigns));
	if (pruned.secrets > 0)
		log_info("secrets forgotten", LOG_N("evaluations", pruned.secrets));
	bool more = pruned.secrets >= SECRETS_BATCH || pruned.events >= EVENTS_BATCH ||
		    pruned.evaluations >= EVALUATIONS_BATCH || pruned.campaigns >= EVALUATIONS_BATCH;
	s->prune_ms = now_ms + (more ? BATCH_INTERVAL_MS : INTERVAL_MS);
}
