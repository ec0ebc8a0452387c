#include "remote/workers.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "remote/lane_login.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define TEND_INTERVAL_MS 5000

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
	struct worker workers[LANES_THREADS_MAX];
	int threads, idle;
	struct lane_work *errands; /* of no lane; they wait for a thread */
	bool worked;               /* since the last tending */
	pthread_t tending;
	bool tends;
	volatile bool stopping;
};

static bool is_stopping(const struct lanes *lanes)
{
	return __atomic_load_n(&lanes->stopping, __ATOMIC_RELAXED);
}

/* ---- finding and making lanes; under the lock ---- */

static struct tally *tally_of(struct lanes *lanes, const char *cluster)
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
	lane->tally = tally_of(lanes, cluster);
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

/* The next lane in turn that has work which may run now; NULL when none has. */
static struct lane *next_ready(struct lanes *lanes)
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

/* Sees to it that ready work finds a thread. */
static void call_worker(struct lanes *lanes)
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
	if (next_ready(lanes) != NULL)
		call_worker(lanes);
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
		struct lane *lane = next_ready(lanes);
		if (lane != NULL) {
			run_one(lanes, lane);
			waited = 0;
			continue;
		}
		if (is_stopping(lanes) || waited != 0)
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
		call_worker(lanes);
	}
	return in_ms;
}

/* ---- tending: sessions are kept alive or closed, lanes that are not needed go ---- */

static void free_lane(struct lane *lane)
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
	for (struct lane *lane = lanes->first; lane != NULL && !is_stopping(lanes); lane = lane->next) {
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
		free_lane(done);
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

static void *tender_main(void *arg)
{
	struct lanes *lanes = arg;
	pthread_mutex_lock(&lanes->lock);
	while (!is_stopping(lanes)) {
		look_at_files(lanes);
		int64_t in_ms = renew_credentials(lanes);
		if (!is_stopping(lanes))
			clock_cond_wait(&lanes->tender, &lanes->lock,
					in_ms < TEND_INTERVAL_MS ? in_ms : TEND_INTERVAL_MS);
		if (is_stopping(lanes))
			break;
		tend_all(lanes);
		if (next_ready(lanes) != NULL || lanes->errands != NULL)
			call_worker(lanes);
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
	pthread_mutex_init(&lanes->lock, NULL);
	clock_cond_init(&lanes->work);
	clock_cond_init(&lanes->tender);
	int sys = pthread_create(&lanes->tending, NULL, tender_main, lanes);
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
		free_lane(lane);
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
	free(lanes);
}

/* ---- work ---- */

static int push(struct lanes *lanes, const char *cluster, const char *identity, struct lane_work *work,
		struct nel_err *err)
{
	if (is_stopping(lanes))
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
		call_worker(lanes);
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
	if (is_stopping(lanes)) {
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

static int breaker_rank(enum breaker_state state)
{
	switch (state) {
	case BREAKER_CLOSED: return 0;
	case BREAKER_HALF_OPEN: return 1;
	case BREAKER_OPEN: return 2;
	}
	return 0;
}

/* A refused key of one person says nothing of the cluster. */
static bool is_personal(const struct lane *lane, const struct ssh_pool_stats *stats)
{
	return lane->cluster->identity_per_user && err_is_login(stats->last_reason);
}

void lane_stats_take_error(struct ssh_pool_stats *sum, const struct ssh_pool_stats *one)
{
	bool known = sum->last_kind != NEL_OK;
	bool new = one->last_kind != NEL_OK;
	if (known > new || (known == new && one->last_error_s <= sum->last_error_s))
		return;
	sum->last_error_s = one->last_error_s;
	sum->last_kind = one->last_kind;
	sum->last_reason = one->last_reason;
	memcpy(sum->last_error, one->last_error, sizeof sum->last_error);
}

static void add_lane(const struct lane *lane, bool alone, struct lane_stats *sum)
{
	struct ssh_pool_stats one = {0};
	if (lane->phase == LANE_READY)
		ssh_pool_stats(lane->pool, &one);
	sum->queued += lane->queued;
	if (lane->reader != NULL) {
		struct lane_reader_stats reading;
		lane_reader_stats(lane->reader, &reading);
		sum->reader.transfers += reading.transfers;
		sum->reader.followers += reading.followers;
	}
	sum->lanes += lane->retired ? 0 : 1;
	struct ssh_pool_stats *all = &sum->ssh;
	all->sessions += one.sessions;
	all->busy += one.busy;
	all->handshakes += one.handshakes;
	all->execs += one.execs;
	all->failures += one.failures;
	if (lane->retired)
		return;
	if (breaker_rank(one.breaker) > breaker_rank(all->breaker)) {
		all->breaker = one.breaker;
		all->retry_in_ms = one.retry_in_ms;
	}
	if (one.last_ok_s > all->last_ok_s)
		all->last_ok_s = one.last_ok_s;
	if (alone || !is_personal(lane, &one))
		lane_stats_take_error(all, &one);
}

int lanes_stats(struct lanes *lanes, const char *cluster, const char *identity, struct lane_stats *ret_stats,
		struct nel_err *err)
{
	struct lane_stats sum = {0};
	int rc = 0;
	pthread_mutex_lock(&lanes->lock);
	for (const struct lane *lane = lanes->first; lane != NULL; lane = lane->next)
		if (strcmp(lane->cluster->name, cluster) == 0 &&
		    (identity == NULL || strcmp(lane->identity, identity) == 0))
			add_lane(lane, identity != NULL, &sum);
	if (settings_cluster_by_name(lanes->settings, cluster) == NULL) {
		rc = err_set(err, NEL_NOTFOUND, "the settings have no cluster %s", cluster);
	} else if (identity == NULL) {
		const struct tally *tally = tally_of(lanes, cluster);
		sum.ssh.handshakes += tally->handshakes;
		sum.ssh.execs += tally->execs;
		sum.ssh.failures += tally->failures;
	}
	pthread_mutex_unlock(&lanes->lock);
	if (rc == 0)
		*ret_stats = sum;
	return rc;
}

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
