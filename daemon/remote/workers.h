/* Lanes: the way to the clusters. There is one for each (cluster, identity) that somebody uses: a bounded queue of work
 * and the pool of SSH sessions that it runs on, at most max_sessions pieces at a time. The threads belong to no lane:
 * they are started when there is work, take it from the lanes in turn, and end when there has been none for a while; so
 * people who are idle cost none. A hung cluster stalls its own lanes only: it can hold no more than
 * LANES_CLUSTER_THREADS_MAX of the threads. */
#ifndef NEL_REMOTE_WORKERS_H
#define NEL_REMOTE_WORKERS_H

#include "base/err.h"
#include "base/secret.h"
#include "config/settings/settings.h"
#include "remote/credentials.h"
#include "remote/readers.h"
#include "ssh/pool.h"

#define LANE_QUEUE_MAX 512            /* pieces of work that wait in one lane */
#define LANES_QUEUED_MAX 65536        /* and in all of them */
#define LANES_MAX 4096                /* open at once */
#define LANES_THREADS_MAX 256         /* of all lanes */
#define LANES_CLUSTER_THREADS_MAX 64  /* of them for one cluster */
#define LANES_THREAD_IDLE_MS 10000    /* then a thread without work ends */
#define LANE_IDLE_MS (15 * 60 * 1000) /* then a person's lane without work is closed */

/* One piece of remote work; embed it first in what it needs. Exactly one of the two functions is called, once, on a
 * lane thread (abandon: on the thread that stops the lanes, when it did not get its turn); it frees the work. */
struct lane_work {
	void (*run)(struct lane_work *work, struct ssh_pool *pool);
	void (*abandon)(struct lane_work *work);
	struct lane_work *next; /* the lanes' own */
};

struct lanes;

/* settings (its database, too, where the keys of people are) and the key must outlive them. */
int lanes_start(const struct settings *settings, const struct secret_key *master_key, struct lanes **ret_lanes,
		struct nel_err *err);

/* Other settings: work that is pushed from now on goes to clusters as they are there. What a lane has goes on as it
 * was. The old settings must outlive the lanes, too. Any thread. */
void lanes_reload(struct lanes *lanes, const struct settings *settings);

/* Ends running commands and abandons what waits; no more work is taken. Any thread. */
void lanes_interrupt(struct lanes *lanes);
/* lanes_interrupt(), then joins the threads. */
void lanes_stop(struct lanes *lanes);
void lanes_free(struct lanes *lanes); /* after lanes_stop(); accepts NULL */

/* Hands work over. identity: the account of a shared one, "<person>/<account>" where each person has a key of his own
 * (db/identities.h). -1: it stays the caller's: BUSY (too much waits), NOTFOUND (the settings have no such cluster with
 * such an identity). */
int lanes_push(struct lanes *lanes, const char *cluster, const char *identity, struct lane_work *work,
	       struct nel_err *err);

/* The key or account may be another one now, or be let in now: what is pushed from now on gets new sessions, and no
 * refusal is remembered. Any thread. */
void lanes_renew(struct lanes *lanes, const char *cluster, const char *identity);

/* Hands over a command that lasts, to the lane's reader, which has a session of its own. Errors as lanes_push(), and as
 * lane_reader_start(). Any thread. */
int lanes_read(struct lanes *lanes, const char *cluster, const char *identity, struct reading *reading,
	       struct nel_err *err);

struct lane_stats {
	struct ssh_pool_stats ssh;
	size_t queued;
	struct lane_reader_stats reader;
	int lanes; /* open now, of those asked for */
};

/* Any thread. identity NULL: all of the cluster's lanes together, with the worst breaker and the latest error that is
 * not a refusal of a person's key; counts are then since the start, also of lanes that are closed. Without any, all
 * zero. NOTFOUND when the settings have no such cluster. */
int lanes_stats(struct lanes *lanes, const char *cluster, const char *identity, struct lane_stats *ret_stats,
		struct nel_err *err);

/* Of two pools' errors the sum has one whole, text, kind and time: the later one, but one that lasts before one that is
 * over. */
void lane_stats_take_error(struct ssh_pool_stats *sum, const struct ssh_pool_stats *one);

/* What is known of the certificate of the cluster's shared account; json_decref() the warnings. False: it has none that
 * is in a file or handed out. Any thread. */
bool lanes_credentials(struct lanes *lanes, const struct settings_cluster *cluster,
		       struct ssh_credentials_state *ret_state);

/* How many threads there are now. Any thread. */
int lanes_threads(struct lanes *lanes);

#endif
