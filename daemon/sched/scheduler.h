/* The scheduler: one thread that alone moves chains. It loads the active ones from the store, hands remote work to the
 * lanes, and turns their answers into transitions, one transaction an answer. After a crash it goes on from the store.
 */
#ifndef NEL_SCHED_SCHEDULER_H
#define NEL_SCHED_SCHEDULER_H

#include "base/secret.h"
#include "config/settings/settings.h"
#include "remote/look_board.h"
#include "remote/workers.h"
#include "sched/fair_share.h"
#include "sched/observation_stats.h"

struct scheduler;

/* Opens its own database connection and starts the thread. settings, lanes, board and key must outlive it. */
int scheduler_start(const struct settings *settings, struct lanes *lanes, struct look_board *look_board,
		    const struct secret_key *master_key, struct scheduler **ret_scheduler, struct nel_err *err);

/* Something was stored that it should look at. Any thread; never blocks. */
void scheduler_wake(struct scheduler *scheduler);

/* Other settings; those before must outlive the scheduler, too. Any thread. */
void scheduler_reload(struct scheduler *scheduler, const struct settings *settings);

/* The login of that identity, which was refused, may work now: what waits for it is tried at once. Any thread. */
void scheduler_nudge(struct scheduler *scheduler, const char *cluster, const char *identity);

/* Ends the thread after the answer it is working on. Lanes may still deliver; what comes is dropped. */
void scheduler_stop(struct scheduler *scheduler);
void scheduler_free(struct scheduler *scheduler); /* after scheduler_stop() and lanes_stop(); accepts NULL */

/* How much there is to do. */
struct scheduler_load {
	int64_t active; /* chains that have not ended, or whose end is not collected */
	size_t queued;  /* answers of lanes that wait */
};

/* Any thread. All zero for what was never looked at. identity NULL: of all identities on the cluster the latest good
 * look, and the failures of the one that fails most. */
void scheduler_observation(struct scheduler *scheduler, const char *cluster, const char *identity,
			   struct observation_stats *ret_stats);

/* Where a job that waits for its turn stands; false when it does not. Any thread. */
bool scheduler_queue_position(struct scheduler *scheduler, int64_t chain_seq, struct queue_position *ret_position);
/* Another number than before: positions have changed. It only grows. Any thread. */
int64_t scheduler_queue_version(struct scheduler *scheduler);

/* Any thread. */
void scheduler_load(struct scheduler *scheduler, struct scheduler_load *ret_load);

/* Milliseconds since the loop last went round: more than a few seconds means that it hangs. Any thread. */
int64_t scheduler_silence_ms(const struct scheduler *scheduler);

#endif
