/* Lanes: the threads that speak SSH. One lane per (cluster, identity), with as many threads as it may have sessions,
 * fed through a bounded queue. A hung cluster stalls its own lane only. */
#ifndef NEL_SCHED_LANES_H
#define NEL_SCHED_LANES_H

#include "base/err.h"
#include "config/settings.h"
#include "ssh/pool.h"

#define LANE_QUEUE_MAX 512

/* One piece of remote work; embed it first in what it needs. Exactly one of the two functions is called, once, on a
 * lane thread (abandon: on the thread that stops the lanes, when it did not get its turn); it frees the work. */
struct lane_work {
	void (*run)(struct lane_work *work, struct ssh_pool *pool);
	void (*abandon)(struct lane_work *work);
};

struct lanes;

/* Starts the lanes of every cluster that has a shared identity. settings must outlive them. */
int lanes_start(const struct settings *settings, struct lanes **ret_lanes, struct nel_err *err);

/* Ends running commands and abandons what waits; no more work is taken. Any thread. */
void lanes_interrupt(struct lanes *lanes);
/* lanes_interrupt(), then joins the threads. */
void lanes_stop(struct lanes *lanes);
void lanes_free(struct lanes *lanes); /* after lanes_stop(); accepts NULL */

/* Hands work over. -1: it stays the caller's: BUSY (queue full), NOTFOUND (no such lane). */
int lanes_push(struct lanes *lanes, const char *cluster, const char *identity, struct lane_work *work,
	       struct nel_err *err);

struct lane_stats {
	struct ssh_pool_stats ssh;
	size_t queued;
};

/* Any thread. NOTFOUND. */
int lanes_stats(struct lanes *lanes, const char *cluster, const char *identity, struct lane_stats *ret_stats,
		struct nel_err *err);

#endif
