/* Fair turns: who of those that wait goes to Slurm now, and which positions the others have. It counts what is active,
 * asks chain/admission.h, and keeps the positions for readers; nothing of it is stored, for it follows from the store
 * and the settings. Scheduler thread, but for fair_share_position() and fair_share_version(). */
#ifndef NEL_SCHED_FAIR_SHARE_H
#define NEL_SCHED_FAIR_SHARE_H

#include "chain/admission.h"
#include "config/settings/settings.h"
#include "sched/active_chain.h"

struct fair_share;

struct fair_share *fair_share_new(void);
void fair_share_free(struct fair_share *fair); /* accepts NULL */

/* waiting: the chains that could be sent, all on clusters of the settings. Afterwards it begins with those whose turn
 * has come, in that order, and chain->turn numbers them from 1; what follows them means nothing. Returns how many they
 * are. db has what quotas are compared with; it is not looked at where the settings have none. When it cannot be read,
 * nobody goes. */
size_t fair_share_take(struct fair_share *fair, const struct settings *settings, struct db *db,
		       const struct active_chains *set, struct active_chain **waiting, size_t count);

/* Room has become free in a cluster's Slurm, for one identity: of the chains that Slurm refused there for a limit of
 * its own, up to `room`, in the order of their turns, are due at once. Returns whether any chain waits for such a
 * limit. */
bool fair_share_retry(struct fair_share *fair, const struct settings *settings, const struct active_chains *set,
		      const char *cluster, const char *identity, int room);

/* Where a waiting chain stands. */
struct queue_position {
	int64_t seq;
	int64_t position; /* from 1 */
	int64_t queue;    /* of so many in the cluster's queue */
	enum admission_hold hold;
	int64_t has; /* of what holds it: slots taken, GPU hours of a quota */
	int64_t most;
	const char *label; /* whose quota holds it; the settings' */
	int64_t until_s;   /* a quota holds it until then; 0: none does */
};

/* Any thread. False: the chain does not wait for its turn. */
bool fair_share_position(struct fair_share *fair, int64_t seq, struct queue_position *ret_position);
/* Another number than before: positions have changed. It only grows. Any thread. */
int64_t fair_share_version(struct fair_share *fair);

#endif
