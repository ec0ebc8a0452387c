#include "remote/workers.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "remote/workers_internal.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* ---- finding and making lanes; under the lock ---- */

struct tally *lanes_tally(struct lanes *lanes, const char *cluster)
{
	for (struct tally *tally = lanes->tallies; tally != NULL; tally = tally->next)
		if (strcmp(tally->cluster, cluster) == 0)
			return tally;
	struct tally *tally = mem_calloc(1, sizeof *tally);
	tally->cluster = mem_strdup(cluster);
	tally->next = lanes->tallies;
	lanes->tallies = tally;
	return tally;
}

static struct lane *find(const struct lanes *lanes, const char *cluster, const char *identity)
{
	for (struct lane *lane = lanes->first; lane != NULL; lane = lane->next)
		if (!lane->retired && strcmp(lane->cluster->name, cluster) == 0 &&
		    strcmp(lane->identity, identity) == 0)
			return lane;
	return NULL;
}

static struct lane *open_lane(struct lanes *lanes, const char *cluster, const char *identity, struct nel_err *err)
{
	struct lane *lane = find(lanes, cluster, identity);
	if (lane != NULL)
		return lane;
	const struct settings_cluster *found = settings_cluster_of(lanes->settings, cluster, identity);
	if (found == NULL) {
		err_set(err, NEL_NOTFOUND, "the settings have no cluster %s with the account %s", cluster, identity);
		return NULL;
	}
	if (lanes->count >= LANES_MAX) {
		err_set(err, NEL_BUSY, "%d identities are in use, which is the limit; try again soon", LANES_MAX);
		return NULL;
	}
	lane = mem_calloc(1, sizeof *lane);
	lane->cluster = found;
	lane->lanes = lanes;
	lane->identity = mem_strdup(identity);
	lane->tally = lanes_tally(lanes, cluster);
	lane->credentials = credentials_book_get(lanes->source.credentials, found);
	lane->used_ms = clock_mono_ms();
	lane->next = lanes->first;
	lanes->first = lane;
	lanes->count++;
	return lane;
}

/* ---- threads ---- */

static bool is_ready(const struct lane *lane)
{
	return lane->queued > 0 && lane->phase != LANE_OPENING && lane->active < lane->cluster->max_sessions &&
	       lane->tally->active < LANES_CLUSTER_THREADS_MAX;
}

struct lane *lanes_next_ready(struct lanes *lanes)
{
	struct lane *lane = lanes->turn;
	for (size_t i = 0; i < lanes->count; i++, lane = lane->next) {
		if (lane == NULL)
			lane = lanes->first;
		if (is_ready(lane)) {
			lanes->turn = lane->next;
			return lane;
		}
	}
	return NULL;
}

static void *worker_main(void *arg);

/* When none can be started, the tender tries again. */
static void start_worker(struct lanes *lanes)
{
	struct worker *free_place = NULL;
	for (int i = 0; i < LANES_THREADS_MAX && free_place == NULL; i++)
		if (lanes->workers[i].state != WORKER_RUNS)
			free_place = &lanes->workers[i];
	if (free_place == NULL)
		return; /* one of them takes the work when it has done its own */
	if (free_place->state == WORKER_ENDED)
		pthread_join(free_place->thread, NULL); /* it has let go of the lock, or is about to end after that */
	free_place->lanes = lanes;
	free_place->state = WORKER_NONE;
	if (pthread_create(&free_place->thread, NULL, worker_main, free_place) != 0)
		return;
	free_place->state = WORKER_RUNS;
	lanes->threads++;
	lanes->idle++; /* until it has looked around */
}

void lanes_call_worker(struct lanes *lanes)
{
	if (lanes->idle > 0)
		pthread_cond_signal(&lanes->work);
	else
		start_worker(lanes);
}

static struct lane_work *take(struct lanes *lanes, struct lane *lane)
{
	struct lane_work *work = lane->first;
	lane->first = work->next;
	if (lane->first == NULL)
		lane->last = NULL;
	lane->queued--;
	lanes->queued--;
	return work;
}

/* Makes the lane's pool, without the lock. */
static void open_pool(struct lanes *lanes, struct lane *lane)
{
	struct nel_err err;
	struct ssh_pool *pool = NULL;
	const struct settings_cluster *cluster = lane->cluster;
	lane->phase = LANE_OPENING;
	pthread_mutex_unlock(&lanes->lock);
	int rc = lane_login_pool(&lanes->source, cluster, lane->identity, &lanes->stopping, &pool, &err);
	if (rc != 0)
		log_warning("an identity cannot be used", LOG_S("cluster", cluster->name),
			    LOG_S("identity", lane->identity), LOG_S("error", err.msg));
	pthread_mutex_lock(&lanes->lock);
	lane->pool = pool;
	lane->phase = LANE_READY;
	lane->retired = lane->retired || rc != 0; /* whoever comes next finds out anew */
}

static void run_one(struct lanes *lanes, struct lane *lane)
{
	lane->active++;
	lane->tally->active++;
	lanes->worked = true;
	if (lane->phase == LANE_NEW)
		open_pool(lanes, lane);
	struct lane_work *work = lane->queued > 0 ? take(lanes, lane) : NULL; /* they may have been stopped meanwhile */
	if (lanes_next_ready(lanes) != NULL)
		lanes_call_worker(lanes);
	pthread_mutex_unlock(&lanes->lock);
	if (work != NULL)
		work->run(work, lane->pool);
	pthread_mutex_lock(&lanes->lock);
	lane->active--;
	lane->tally->active--;
	lane->used_ms = clock_mono_ms();
}

/* Work of no lane, with the lock held, which is let go of meanwhile; false: there is none. */
static bool run_errand(struct lanes *lanes)
{
	struct lane_work *errand = lanes->errands;
	if (errand == NULL)
		return false;
	lanes->errands = errand->next;
	pthread_mutex_unlock(&lanes->lock);
	errand->run(errand, NULL);
	pthread_mutex_lock(&lanes->lock);
	return true;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct lanes *lanes = worker->lanes;
	int waited = 0;
	pthread_mutex_lock(&lanes->lock);
	lanes->idle--;
	for (;;) {
		if (run_errand(lanes)) {
			waited = 0;
			continue;
		}
		struct lane *lane = lanes_next_ready(lanes);
		if (lane != NULL) {
			run_one(lanes, lane);
			waited = 0;
			continue;
		}
		if (lanes_are_stopping(lanes) || waited != 0)
			break;
		lanes->idle++;
		waited = clock_cond_wait(&lanes->work, &lanes->lock, LANES_THREAD_IDLE_MS);
		lanes->idle--;
	}
	worker->state = WORKER_ENDED;
	lanes->threads--;
	pthread_mutex_unlock(&lanes->lock);
	return NULL;
}

/* ---- start and stop ---- */

int lanes_start(const struct settings *settings, const struct secret_key *master_key, struct lanes **ret_lanes,
		struct nel_err *err)
{
	struct lanes *lanes = mem_calloc(1, sizeof *lanes);
	lanes->source = (struct lane_source){.database = settings->database,
					     .master_key = master_key,
					     .limits = ssh_host_limits_new(0),
					     .credentials = credentials_book_new()};
	credentials_book_adopt(lanes->source.credentials, settings);
	lanes->settings = settings;
	lanes->workers = mem_calloc(LANES_THREADS_MAX, sizeof *lanes->workers);
	pthread_mutex_init(&lanes->lock, NULL);
	clock_cond_init(&lanes->work);
	clock_cond_init(&lanes->tender);
	int sys = pthread_create(&lanes->tending, NULL, lanes_tender_main, lanes);
	if (sys != 0) {
		lanes_free(lanes);
		return err_sys(err, NEL_INTERNAL, sys, "cannot start the thread that tends SSH sessions");
	}
	lanes->tends = true;
	*ret_lanes = lanes;
	return 0;
}

/* Under the lock: a lane whose cluster is another one now goes when its work is done. */
void lanes_reload(struct lanes *lanes, const struct settings *settings)
{
	pthread_mutex_lock(&lanes->lock);
	lanes->settings = settings;
	for (struct lane *lane = lanes->first; lane != NULL; lane = lane->next) {
		const struct settings_cluster *now = settings_cluster_of(settings, lane->cluster->name, lane->identity);
		if (now != NULL && settings_cluster_same(lane->cluster, now))
			lane->cluster = now;
		else
			lane->retired = true;
	}
	credentials_book_adopt(lanes->source.credentials, settings);
	pthread_mutex_unlock(&lanes->lock);
}

void lanes_interrupt(struct lanes *lanes)
{
	__atomic_store_n(&lanes->stopping, true, __ATOMIC_RELAXED);
	pthread_mutex_lock(&lanes->lock);
	struct lane_work *left = TAKE(lanes->errands);
	for (struct lane *lane = lanes->first; lane != NULL; lane = lane->next) {
		if (lane->reader != NULL)
			lane_reader_interrupt(lane->reader);
		while (lane->queued > 0) {
			struct lane_work *work = take(lanes, lane);
			work->next = left;
			left = work;
		}
	}
	pthread_cond_broadcast(&lanes->work);
	pthread_cond_signal(&lanes->tender);
	pthread_mutex_unlock(&lanes->lock);
	while (left != NULL) {
		struct lane_work *work = left;
		left = work->next;
		work->abandon(work);
	}
}

void lanes_stop(struct lanes *lanes)
{
	lanes_interrupt(lanes);
	for (int i = 0; i < LANES_THREADS_MAX; i++) {
		/* No thread is started any more: nothing is ready, and nothing is taken. */
		pthread_mutex_lock(&lanes->lock);
		bool join = lanes->workers[i].state != WORKER_NONE;
		pthread_mutex_unlock(&lanes->lock);
		if (join)
			pthread_join(lanes->workers[i].thread, NULL);
		lanes->workers[i].state = WORKER_NONE;
	}
	if (lanes->tends)
		pthread_join(lanes->tending, NULL);
	lanes->tends = false;
}

void lanes_free(struct lanes *lanes)
{
	if (lanes == NULL)
		return;
	for (struct lane *lane = lanes->first, *next; lane != NULL; lane = next) {
		next = lane->next;
		lane_free(lane);
	}
	for (struct tally *tally = lanes->tallies, *next; tally != NULL; tally = next) {
		next = tally->next;
		free(tally->cluster);
		free(tally);
	}
	ssh_host_limits_free(lanes->source.limits);
	credentials_book_free(lanes->source.credentials);
	pthread_cond_destroy(&lanes->work);
	pthread_cond_destroy(&lanes->tender);
	pthread_mutex_destroy(&lanes->lock);
	free(lanes->workers);
	free(lanes);
}

/* ---- work ---- */

static int push(struct lanes *lanes, const char *cluster, const char *identity, struct lane_work *work,
		struct nel_err *err)
{
	if (lanes_are_stopping(lanes))
		return err_set(err, NEL_BUSY, "the daemon is stopping");
	struct lane *lane = open_lane(lanes, cluster, identity, err);
	if (lane == NULL)
		return -1;
	if (lane->queued >= LANE_QUEUE_MAX || lanes->queued >= LANES_QUEUED_MAX)
		return err_set(err, NEL_BUSY, "cluster %s has too much waiting; try again soon", cluster);
	work->next = NULL;
	if (lane->last != NULL)
		lane->last->next = work;
	else
		lane->first = work;
	lane->last = work;
	lane->queued++;
	lanes->queued++;
	if (is_ready(lane))
		lanes_call_worker(lanes);
	return 0;
}

int lanes_push(struct lanes *lanes, const char *cluster, const char *identity, struct lane_work *work,
	       struct nel_err *err)
{
	pthread_mutex_lock(&lanes->lock);
	int rc = push(lanes, cluster, identity, work, err);
	pthread_mutex_unlock(&lanes->lock);
	return rc;
}

/* A reader's way to its lane's pool; on the reader's thread, which keeps the lane. */
static struct ssh_pool *pool_of(void *arg)
{
	struct lane *lane = arg;
	struct lanes *lanes = lane->lanes;
	pthread_mutex_lock(&lanes->lock);
	while (lane->phase != LANE_READY) {
		if (lane->phase == LANE_NEW) {
			open_pool(lanes, lane);
			continue;
		}
		pthread_mutex_unlock(&lanes->lock);
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		pthread_mutex_lock(&lanes->lock);
	}
	pthread_mutex_unlock(&lanes->lock);
	return lane->pool;
}

int lanes_read(struct lanes *lanes, const char *cluster, const char *identity, struct reading *reading,
	       struct nel_err *err)
{
	int rc = -1;
	pthread_mutex_lock(&lanes->lock);
	if (lanes_are_stopping(lanes)) {
		err_set(err, NEL_BUSY, "the daemon is stopping");
	} else {
		struct lane *lane = open_lane(lanes, cluster, identity, err);
		if (lane != NULL && lane->reader == NULL)
			lane->reader = lane_reader_new(pool_of, lane);
		if (lane != NULL) {
			lane->used_ms = clock_mono_ms();
			rc = lane_reader_start(lane->reader, reading, err);
		}
	}
	pthread_mutex_unlock(&lanes->lock);
	return rc;
}

void lanes_renew(struct lanes *lanes, const char *cluster, const char *identity)
{
	pthread_mutex_lock(&lanes->lock);
	struct lane *lane = find(lanes, cluster, identity);
	if (lane != NULL)
		lane->retired = true;
	pthread_mutex_unlock(&lanes->lock);
}

/* ---- how they are ---- */

bool lanes_credentials(struct lanes *lanes, const struct settings_cluster *cluster,
		       struct ssh_credentials_state *ret_state)
{
	struct ssh_credentials *credentials =
	    cluster->identity_per_user ? NULL : credentials_book_get(lanes->source.credentials, cluster);
	if (credentials != NULL)
		ssh_credentials_state(credentials, ret_state);
	return credentials != NULL;
}

int lanes_threads(struct lanes *lanes)
{
	pthread_mutex_lock(&lanes->lock);
	int threads = lanes->threads;
	pthread_mutex_unlock(&lanes->lock);
	return threads;
}
