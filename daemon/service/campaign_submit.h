/* The submission of one value of a campaign, whose row has its texts: its config with one more override. HTTP threads,
 * and the runner's. */
#ifndef NEL_SERVICE_CAMPAIGN_SUBMIT_H
#define NEL_SERVICE_CAMPAIGN_SUBMIT_H

#include "db/campaigns.h"
#include "service/submit.h"

#define CAMPAIGN_LABEL "campaign"              /* of its evaluations, with its id */
#define CAMPAIGN_CONVERSION_LABEL "conversion" /* in its place, of what converts their checkpoints */

/* Would the value, and its conversion, be accepted now? As service_plan(), but stores nothing and shows nothing. */
int campaign_check_value(struct service *service, struct db *db, const struct campaign_row *campaign,
			 const struct actor *actor, const char *value, struct submit_reply_to_client *ret_reply,
			 struct nel_err *err);

/* As service_plan_run(), of the value as it is, converted or not. */
int campaign_plan_run(struct service *service, struct db *db, const struct campaign_row *campaign,
		      const struct actor *actor, const char *value, char ret_hash[SECRET_HASH_SIZE],
		      struct submit_reply_to_client *ret_reply, struct nel_err *err);

/* As service_submit(), of the value's conversion, for a campaign that has one (config/plan/plan_convert.h): an
 * evaluation of one job. Which it is is stored in the same transaction; CONFLICT as below. */
int campaign_submit_conversion(struct service *service, struct db *db, const struct campaign_row *campaign,
			       const struct actor *actor, const struct campaign_value *value,
			       struct submit_reply_to_client *ret_reply, struct nel_err *err);

/* As service_submit(), of what was converted where the campaign has conversions; which evaluation the value has is
 * stored in the transaction that stores the evaluation. CONFLICT when the value does not wait any more or the campaign
 * is not active: nothing was stored then. */
int campaign_submit_value(struct service *service, struct db *db, const struct campaign_row *campaign,
			  const struct actor *actor, const struct campaign_value *value,
			  struct submit_reply_to_client *ret_reply, struct nel_err *err);

#endif
