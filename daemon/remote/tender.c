#include "base/clock.h"
#include "base/mem.h"
#include "remote/workers.h"
#include "remote/workers_internal.h"

#include <malloc.h>

#define TEND_INTERVAL_MS 5000

/* ---- renewals: credentials are had anew before they expire ---- */

struct renewal {
	struct lane_work work; /* first */
	struct lanes *lanes;
	struct ssh_credentials *credentials;
};

/* What went wrong is in the log (remote/credentials.c), and in the state of the credentials. */
static void run_renewal(struct lane_work *work, struct ssh_pool *pool)
{
	struct renewal *renewal = (struct renewal *)work;
	struct lanes *lanes = renewal->lanes;
	(void)pool;
	ssh_credentials_renew(renewal->credentials, &lanes->stopping, NULL);
	free(renewal);
	pthread_mutex_lock(&lanes->lock);
	pthread_cond_signal(&lanes->tender); /* it sees when the next one is due */
	pthread_mutex_unlock(&lanes->lock);
}

static void abandon_renewal(struct lane_work *work)
{
	free(work);
}

/* Under the lock: sends for what is due; when to look again, in milliseconds. What is used in lanes is renewed, the
 * rest when it is needed. */
static int64_t renew_credentials(struct lanes *lanes)
{
	int64_t in_ms = INT64_MAX;
	for (const struct lane *lane = lanes->first; lane != NULL; lane = lane->next)
		if (lane->credentials != NULL && clock_mono_ms() - lane->used_ms < lane->cluster->idle_timeout_s * 1000)
			ssh_credentials_touch(lane->credentials);
	struct ssh_credentials *due;
	while ((due = credentials_book_next(lanes->source.credentials, &in_ms)) != NULL && in_ms <= 0) {
		struct renewal *renewal = mem_calloc(1, sizeof *renewal);
		*renewal =
		    (struct renewal){.work = {.run = run_renewal, .abandon = abandon_renewal, .next = lanes->errands},
				     .lanes = lanes,
				     .credentials = due};
		ssh_credentials_claim(due);
		lanes->errands = &renewal->work;
		lanes_call_worker(lanes);
	}
	return in_ms;
}

/* ---- tending: sessions are kept alive or closed, lanes that are not needed go ---- */

void lane_free(struct lane *lane)
{
	lane_reader_free(lane->reader);
	ssh_pool_free(lane->pool);
	free(lane->identity);
	free(lane);
}

/* Under the lock. A shared identity's lane stays: what it knows of its cluster's health is shown. */
static bool is_done(const struct lane *lane)
{
	bool idle = lane->cluster->identity_per_user && clock_mono_ms() - lane->used_ms > LANE_IDLE_MS;
	return lane->active == 0 && lane->pins == 0 && lane->queued == 0 && (lane->retired || idle) &&
	       (lane->reader == NULL || !lane_reader_is_used(lane->reader));
}

/* Under the lock: takes a lane that is done out of the list; NULL when there is none. */
static struct lane *take_done(struct lanes *lanes)
{
	for (struct lane **at = &lanes->first; *at != NULL; at = &(*at)->next) {
		struct lane *lane = *at;
		if (!is_done(lane))
			continue;
		if (lanes->turn == lane)
			lanes->turn = lane->next;
		*at = lane->next;
		lanes->count--;
		if (lane->pool != NULL) {
			struct ssh_pool_stats stats;
			ssh_pool_stats(lane->pool, &stats);
			lane->tally->handshakes += stats.handshakes;
			lane->tally->execs += stats.execs;
			lane->tally->failures += stats.failures;
		}
		return lane;
	}
	return NULL;
}

/* With the lock held, which is let go of meanwhile. New lanes come first in the list, and only this thread takes lanes
 * out of it, so that the next of one stays its next or goes with it. */
static void tend_all(struct lanes *lanes)
{
	for (struct lane *lane = lanes->first; lane != NULL && !lanes_are_stopping(lanes); lane = lane->next) {
		if (lane->phase != LANE_READY)
			continue;
		lane->pins++;
		pthread_mutex_unlock(&lanes->lock);
		ssh_pool_tend(lane->pool);
		pthread_mutex_lock(&lanes->lock);
		lane->pins--;
	}
	struct lane *done;
	while ((done = take_done(lanes)) != NULL) {
		pthread_mutex_unlock(&lanes->lock);
		lane_free(done);
		pthread_mutex_lock(&lanes->lock);
	}
}

/* Certificates in files are read when they have changed: who watches them sees when they end. */
static void look_at_files(struct lanes *lanes)
{
	pthread_mutex_unlock(&lanes->lock);
	credentials_book_look(lanes->source.credentials);
	pthread_mutex_lock(&lanes->lock);
}

void *lanes_tender_main(void *arg)
{
	struct lanes *lanes = arg;
	pthread_mutex_lock(&lanes->lock);
	while (!lanes_are_stopping(lanes)) {
		look_at_files(lanes);
		int64_t in_ms = renew_credentials(lanes);
		if (!lanes_are_stopping(lanes))
			clock_cond_wait(&lanes->tender, &lanes->lock,
					in_ms < TEND_INTERVAL_MS ? in_ms : TEND_INTERVAL_MS);
		if (lanes_are_stopping(lanes))
			break;
		tend_all(lanes);
		if (lanes_next_ready(lanes) != NULL || lanes->errands != NULL)
			lanes_call_worker(lanes);
		bool trim = lanes->worked && lanes->idle == lanes->threads;
		lanes->worked = lanes->worked && !trim;
		if (trim) { /* the heap's holes after a burst of run directories and answers */
			pthread_mutex_unlock(&lanes->lock);
			malloc_trim(0);
			pthread_mutex_lock(&lanes->lock);
		}
	}
	pthread_mutex_unlock(&lanes->lock);
	return NULL;
}
