/* What people do with campaigns. HTTP threads. */
#ifndef NEL_SERVICE_CAMPAIGNS_H
#define NEL_SERVICE_CAMPAIGNS_H

#include "db/campaign_watches.h"
#include "db/campaigns.h"
#include "service/submit.h"

#define CAMPAIGN_NAME_MAX 128
#define CAMPAIGN_PARAMETER_MAX 256
#define CAMPAIGN_VALUE_MAX 4096
#define CAMPAIGN_DIRECTORY_MAX 1024
#define CAMPAIGN_BASELINE_MAX 4096
#define CAMPAIGN_LIVE_MAX 100
#define CAMPAIGN_LIVE_DEFAULT 4
#define CAMPAIGN_QUIET_DEFAULT_S 60
#define CAMPAIGN_QUIET_MAX_S (24 * 3600)
#define CAMPAIGNS_OPEN_MAX 100 /* of one person, active and paused */

/* All borrowed. */
struct campaign_request {
	const struct submit_request *base; /* text, overrides, env, labels, reuse, actor and idempotency count */
	const char *name;
	const char *parameter;
	const char *const *values;
	size_t value_count;                 /* 1 to CAMPAIGN_VALUES_MAX; 0 with a watch */
	const struct campaign_watch *watch; /* NULL: none */
	enum campaign_order order;
	int live;              /* 1 to CAMPAIGN_LIVE_MAX */
	const json_t *convert; /* an object: what converts each value before its evaluation; NULL: nothing */
	const char *baseline;  /* what values are held against, as service_compare() takes it; NULL: the one before */
};

/* The first value (of a watch: one that may come) is planned as a submission is, so that mistakes of the config are
 * told now: INVALID, with ret_reply->errors; so is a parameter of which two values would run the same. Then the
 * campaign is stored, and its runner woken. INVALID also for a parameter, a value or a watch that cannot be, or where
 * the maker is nobody on the watch's cluster; CONFLICT: the Idempotency-Key belongs to another request (clash), or the
 * person has CAMPAIGNS_OPEN_MAX campaigns. ret_reply->id is the campaign's. */
int service_make_campaign(struct service *service, struct db *db, const struct campaign_request *request,
			  struct submit_reply_to_client *ret_reply, struct nel_err *err);

/* All three: NOTFOUND; DENIED when it is another person's and the actor is no admin; CONFLICT when it has ended.
 * Asking again changes nothing. What is submitted goes on when a campaign is paused. */
int service_pause_campaign(struct service *service, struct db *db, const struct actor *actor, const char *id,
			   struct nel_err *err);
int service_resume_campaign(struct service *service, struct db *db, const struct actor *actor, const char *id,
			    struct nel_err *err);
/* First nothing more is submitted, then each evaluation that lives is cancelled; asking again does the second anew. */
int service_cancel_campaign(struct service *service, struct db *db, const struct actor *actor, const char *id,
			    struct nel_err *err);

#endif
