/* Which of a campaign's values are worse than the ones before them. The runner's thread. */
#ifndef NEL_SERVICE_CAMPAIGN_REGRESSIONS_H
#define NEL_SERVICE_CAMPAIGN_REGRESSIONS_H

#include "db/campaigns.h"

#include <stdatomic.h>

/* Holds each value that has scores, once, against the campaign's baseline; without one, against the value with the next
 * smaller step that has scores, as soon as all between them have ended or were refused. What is significantly worse
 * (service/evidence.h) is told by the event campaign.regression. Failures are logged, and tried again by the next call
 * where that may help. */
void campaign_find_regressions(struct db *db, const struct campaign_row *campaign, const atomic_bool *stopping);

#endif
