#include "service/campaign_events.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "db/events.h"

#include <jansson.h>

/* Takes data. */
static int insert(struct db *db, const char *kind, const struct campaign_row *campaign, json_t *data, int64_t now_s,
		  struct nel_err *err)
{
	CLEANUP(json_freep) json_t *owned = data;
	CLEANUP(mem_freep) char *text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "an event %s is no JSON", kind);
	return events_insert(db, now_s, kind, campaign->user, NULL, NULL, text, err);
}

int campaign_log_value_found(struct db *db, const struct campaign_row *campaign, const struct campaign_value *value,
			     int64_t now_s, struct nel_err *err)
{
	json_t *step = value->step != CAMPAIGN_NO_STEP ? json_integer(value->step) : json_null();
	json_t *data = json_pack("{s:s, s:s, s:s, s:o}", "campaign", campaign->id, "name", campaign->name, "value",
				 value->value, "step", step);
	return insert(db, "campaign.value_found", campaign, data, now_s, err);
}

int campaign_log_ended(struct db *db, const struct campaign_row *campaign, enum campaign_state to, int64_t now_s,
		       struct nel_err *err)
{
	json_t *data = json_pack("{s:s, s:s, s:s}", "campaign", campaign->id, "name", campaign->name, "state",
				 campaign_state_name(to));
	return insert(db, "campaign.ended", campaign, data, now_s, err);
}
