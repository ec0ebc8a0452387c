/* What a look at a campaign's directory found, into the store: checkpoints that are complete, and have not changed for
 * quiet_s, become values. The campaigns' thread. */
#ifndef NEL_SERVICE_CAMPAIGN_FINDS_H
#define NEL_SERVICE_CAMPAIGN_FINDS_H

#include "db/campaigns.h"
#include "slurm/watch.h"

/* In one transaction: values with their events, what else lies there, and when it was looked at. sent_s: when the look
 * was sent, so that all it tells is not older. reply NULL: it failed, why says why. *ret_changed: something lies there
 * that did not, or otherwise than before; *ret_found: values are new. A campaign that is not active any more takes
 * nothing. */
int campaign_take_look(struct db *db, const char *id, const struct watch_reply *reply, const char *why, int64_t sent_s,
		       bool *ret_changed, bool *ret_found, struct nel_err *err);

#endif
