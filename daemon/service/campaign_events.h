/* The events of campaigns. Within the transaction of what they tell of. */
#ifndef NEL_SERVICE_CAMPAIGN_EVENTS_H
#define NEL_SERVICE_CAMPAIGN_EVENTS_H

#include "db/campaigns.h"
#include "service/evidence.h"

/* campaign.value_found: the value became one of the campaign's. */
int campaign_log_value_found(struct db *db, const struct campaign_row *campaign, const struct campaign_value *value,
			     int64_t now_s, struct nel_err *err);

/* What a value is held against. */
struct campaign_reference {
	const char *what; /* the evaluation of another value, or the campaign's baseline */
	int64_t step;     /* of the other value; CAMPAIGN_NO_STEP */
};

/* campaign.regression: those scores (their b) are significantly worse than the reference's. */
int campaign_log_regression(struct db *db, const struct campaign_row *campaign, const struct campaign_value *value,
			    const struct campaign_reference *reference, const struct evidence_item *const *worse,
			    size_t worse_count, int64_t now_s, struct nel_err *err);

/* campaign.ended, in state `to`: CAMPAIGN_ENDED or CAMPAIGN_CANCELLED. */
int campaign_log_ended(struct db *db, const struct campaign_row *campaign, enum campaign_state to, int64_t now_s,
		       struct nel_err *err);

#endif
