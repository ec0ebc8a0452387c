#include "sched/pruning.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/evaluations.h"
#include "db/events.h"

#define DAY_S (24 * 3600)
#define INTERVAL_MS (60 * 1000)
#define BATCH_INTERVAL_MS 200 /* while there is more: others write in between */
#define EVENTS_BATCH 1000
#define EVALUATIONS_BATCH 20
#define SECRETS_BATCH 100

static int prune(struct scheduler *s, const struct settings *settings, int *ret_secrets, int *ret_events,
		 int *ret_evaluations, struct nel_err *err)
{
	int64_t now_s = clock_now_s();
	if (evaluations_clear_envs(s->db, now_s - settings->secrets_keep_days * DAY_S, SECRETS_BATCH, ret_secrets,
				   err) != 0)
		return -1;
	if (settings->events_keep_days > 0 &&
	    events_prune(s->db, now_s - settings->events_keep_days * DAY_S, EVENTS_BATCH, ret_events, err) != 0)
		return -1;
	if (settings->evaluations_keep_days > 0)
		return evaluations_prune(s->db, now_s - settings->evaluations_keep_days * DAY_S, EVALUATIONS_BATCH,
					 ret_evaluations, err);
	return 0;
}

void pruning_step(struct scheduler *s)
{
	const struct settings *settings = s->settings;
	int64_t now_ms = clock_mono_ms();
	int secrets = 0;
	int events = 0;
	int evaluations = 0;
	struct nel_err err;
	if (now_ms < s->prune_ms)
		return;
	if (prune(s, settings, &secrets, &events, &evaluations, &err) != 0)
		log_warning("nothing can be pruned", LOG_S("error", err.msg));
	else if (events > 0 || evaluations > 0)
		log_info("pruned", LOG_N("events", events), LOG_N("evaluations", evaluations));
	if (secrets > 0)
		log_info("secrets forgotten", LOG_N("evaluations", secrets));
	bool more = secrets >= SECRETS_BATCH || events >= EVENTS_BATCH || evaluations >= EVALUATIONS_BATCH;
	s->prune_ms = now_ms + (more ? BATCH_INTERVAL_MS : INTERVAL_MS);
}
