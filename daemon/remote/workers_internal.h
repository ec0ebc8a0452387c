/* The parts of lanes (remote/workers.h): workers.c has the threads and the work, tender.c what goes on beside it,
 * lane_stats.c what is shown of them. */
#ifndef NEL_REMOTE_WORKERS_INTERNAL_H
#define NEL_REMOTE_WORKERS_INTERNAL_H

#include "remote/lane_login.h"
#include "remote/readers.h"

#include <pthread.h>

struct lane_work;

enum lane_phase {
	LANE_NEW, /* its pool is made by the first thread that works for it: a key may have to be read from the store */
	LANE_OPENING,
	LANE_READY
};

/* What is counted of a cluster beyond the life of its lanes. */
struct tally {
	struct tally *next;
	char *cluster;
	int active;                          /* threads that work for it now */
	int64_t handshakes, execs, failures; /* of closed lanes */
};

struct lane {
	struct lane *next;
	const struct settings_cluster *cluster;
	char *identity;
	struct tally *tally;
	struct ssh_credentials *credentials; /* of the shared account; NULL: it has no certificate */
	enum lane_phase phase;
	struct ssh_pool *pool;
	struct lane_reader *reader; /* NULL: never needed */
	struct lanes *lanes;
	struct lane_work *first, *last; /* what waits */
	size_t queued;
	int active;      /* pieces that run now */
	int pins;        /* the tender looks at it */
	int64_t used_ms; /* monotonic */
	bool retired;    /* takes no more work, and is freed when it has none */
};

enum worker_state { WORKER_NONE, WORKER_RUNS, WORKER_ENDED };

struct worker {
	struct lanes *lanes;
	pthread_t thread;
	enum worker_state state;
};

struct lanes {
	pthread_mutex_t lock;  /* of all below; never held while work runs or SSH is spoken */
	pthread_cond_t work;   /* there is some, or the end has come */
	pthread_cond_t tender; /* there may be something to renew, or the end has come */
	const struct settings *settings;
	struct lane_source source; /* does not change */
	struct lane *first;
	struct lane *turn; /* the lane looked at next */
	size_t count, queued;
	struct tally *tallies;
	struct worker *workers; /* LANES_THREADS_MAX */
	int threads, idle;
	struct lane_work *errands; /* of no lane; they wait for a thread */
	bool worked;               /* since the last tending */
	pthread_t tending;
	bool tends;
	volatile bool stopping;
};

static inline bool lanes_are_stopping(const struct lanes *lanes)
{
	return __atomic_load_n(&lanes->stopping, __ATOMIC_RELAXED);
}

/* The following are called under the lock. */

/* What is counted of a cluster; made when it is not there. */
struct tally *lanes_tally(struct lanes *lanes, const char *cluster);

/* The next lane in turn that has work which may run now; NULL when none has. */
struct lane *lanes_next_ready(struct lanes *lanes);

/* Sees to it that ready work finds a thread. */
void lanes_call_worker(struct lanes *lanes);

/* Without the lock: frees one that is in no list. */
void lane_free(struct lane *lane);

/* The tender's thread: renews credentials, keeps sessions alive, closes lanes that are done. arg: the lanes. */
void *lanes_tender_main(void *arg);

#endif
