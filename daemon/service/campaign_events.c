#include "service/campaign_events.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "db/events.h"

#include <jansson.h>

#include <math.h>

/* Takes data. evaluation: NULL where it is of none. */
static int insert(struct db *db, const char *kind, const struct campaign_row *campaign, const char *evaluation,
		  json_t *data, int64_t now_s, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *owned = data;
	CLEANUP(mem_freep) char *text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "an event %s is no JSON", kind);
	return events_insert(db, now_s, kind, campaign->user, evaluation, NULL, text, err);
}

static json_t *step_json(int64_t step)
{
	return step != CAMPAIGN_NO_STEP ? json_integer(step) : json_null();
}

int campaign_log_value_found(struct db *db, const struct campaign_row *campaign, const struct campaign_value *value,
			     int64_t now_s, struct nel_err *err)
{
	json_t *step = step_json(value->step);
	json_t *data = json_pack("{s:s, s:s, s:s, s:o}", "campaign", campaign->id, "name", campaign->name, "value",
				 value->value, "step", step);
	return insert(db, "campaign.value_found", campaign, NULL, data, now_s, err);
}

static json_t *number_or_null(double number)
{
	return isfinite(number) ? json_real(number) : json_null();
}

static json_t *interval_json(struct interval interval)
{
	if (!isfinite(interval.lo) || !isfinite(interval.hi))
		return json_null();
	return json_pack("[f, f]", interval.lo, interval.hi);
}

static json_t *worse_json(const struct evidence_item *item)
{
	const struct comparison *found = &item->comparison;
	return json_pack("{s:s, s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:o}", "task", item->b->row.task, "group",
			 item->b->row.group, "metric", item->b->row.metric, "score", item->b->row.score, "a",
			 number_or_null(found->a), "b", number_or_null(found->b), "difference",
			 number_or_null(found->difference), "ci95", interval_json(found->ci), "method",
			 compare_method_names[found->method], "p_adjusted", number_or_null(item->p_adjusted));
}

int campaign_log_regression(struct db *db, const struct campaign_row *campaign, const struct campaign_value *value,
			    const struct campaign_reference *reference, const struct evidence_item *const *worse,
			    size_t worse_count, int64_t now_s, struct nel_err *err)
{
	json_t *scores = json_array();
	for (size_t i = 0; i < worse_count && i < SCORE_EVENT_MAX; i++)
		json_array_append_new(scores, worse_json(worse[i]));
	json_t *step = step_json(value->step);
	json_t *reference_step = step_json(reference->step);
	json_t *data = json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:I, s:o}", "campaign", campaign->id, "name",
				 campaign->name, "value", value->value, "step", step, "reference", reference->what,
				 "reference_step", reference_step, "count", (json_int_t)worse_count, "scores", scores);
	return insert(db, "campaign.regression", campaign, value->evaluation, data, now_s, err);
}

int campaign_log_ended(struct db *db, const struct campaign_row *campaign, enum campaign_state to, int64_t now_s,
		       struct nel_err *err)
{
	json_t *data = json_pack("{s:s, s:s, s:s}", "campaign", campaign->id, "name", campaign->name, "state",
				 campaign_state_name(to));
	return insert(db, "campaign.ended", campaign, NULL, data, now_s, err);
}
