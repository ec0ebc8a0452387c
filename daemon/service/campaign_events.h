/* The events of campaigns. Within the transaction of what they tell of. */
#ifndef NEL_SERVICE_CAMPAIGN_EVENTS_H
#define NEL_SERVICE_CAMPAIGN_EVENTS_H

#include "db/campaigns.h"

/* campaign.value_found: the value became one of the campaign's. */
int campaign_log_value_found(struct db *db, const struct campaign_row *campaign, const struct campaign_value *value,
			     int64_t now_s, struct nel_err *err);

/* campaign.ended, in state `to`: CAMPAIGN_ENDED or CAMPAIGN_CANCELLED. */
int campaign_log_ended(struct db *db, const struct campaign_row *campaign, enum campaign_state to, int64_t now_s,
		       struct nel_err *err);

#endif
