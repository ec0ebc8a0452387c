/* The looks at the directories that campaigns watch: one an identity on a cluster and interval, whatever the number of
 * campaigns (one for each WATCHES_MAX; one an observation). It goes along with the observation of jobs there
 * (remote/look_board.h); it is an exec of its own where no job lives, or when a file system took too long for others to
 * wait. The interval is the cluster's poll_interval_s after a change, grows while nothing changes, and more when the
 * cluster does not answer. The campaigns' thread, but for what says otherwise. */
#ifndef NEL_SERVICE_CAMPAIGN_LOOKS_H
#define NEL_SERVICE_CAMPAIGN_LOOKS_H

#include "db/campaign_watches.h"
#include "db/campaigns.h"
#include "service/service.h"

struct campaign_looks;

/* kick: an eventfd that is written to when an answer has come. Both must outlive it. */
struct campaign_looks *campaign_looks_new(struct service *service, int kick);
void campaign_looks_close(struct campaign_looks *looks); /* no more answers are kept; any thread */
void campaign_looks_free(struct campaign_looks *looks);  /* once the lanes are stopped; accepts NULL */

/* Stores what has been answered; true when values are new. */
bool campaign_looks_take(struct campaign_looks *looks, struct db *db);

/* A round: campaign_looks_begin(), then each active campaign that watches something, then campaign_looks_send(). */
void campaign_looks_begin(struct campaign_looks *looks);
/* Takes the watch's texts. identity: as whom its maker is known there. */
void campaign_looks_add(struct campaign_looks *looks, const struct campaign_row *campaign, struct campaign_watch *watch,
			const char *identity);
/* Sends what is due. How many milliseconds until something is again; INT64_MAX: nothing will be. */
int64_t campaign_looks_send(struct campaign_looks *looks, struct db *db);

#endif
