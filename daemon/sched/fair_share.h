/* Fair turns: who of those that wait goes to Slurm now, and which place the others have. It counts what is live, asks
 * chain/admission.h, and keeps the places for readers; nothing of it is stored, for it follows from the store and the
 * settings. Scheduler thread, but for turns_place() and turns_version(). */
#ifndef NEL_SCHED_TURNS_H
#define NEL_SCHED_TURNS_H

#include "chain/admission.h"
#include "config/settings.h"
#include "sched/active_chain.h"

struct turns;

struct turns *turns_new(void);
void turns_free(struct turns *turns); /* accepts NULL */

/* waiting: the chains that could be sent, all on clusters of the settings. Afterwards it begins with those whose turn
 * has come, in that order, and live->turn numbers them from 1; what follows them means nothing. Returns how many they
 * are. */
size_t turns_take(struct turns *turns, const struct settings *settings, const struct live_set *set,
		  struct live **waiting, size_t count);

/* Room has become free in a cluster's Slurm, for one identity: of the chains that Slurm refused there for a limit of
 * its own, up to `room`, in the order of their turns, are due at once. Returns whether any chain waits for such a
 * limit. */
bool turns_retry(struct turns *turns, const struct settings *settings, const struct live_set *set, const char *cluster,
		 const char *identity, int room);

/* Where a waiting chain stands. */
struct turn_place {
	int64_t seq;
	int64_t place; /* from 1 */
	int64_t queue; /* of so many in the cluster's queue */
	enum admission_hold hold;
	int64_t has; /* places taken, of what holds it */
	int64_t most;
};

/* Any thread. False: the chain does not wait for its turn. */
bool turns_place(struct turns *turns, int64_t seq, struct turn_place *ret_place);
/* Another number than before: places have changed. It only grows. Any thread. */
int64_t turns_version(struct turns *turns);

#endif
