/* Lanes: which work runs beside which, how many threads that takes, and what becomes of lanes that are not needed. The
 * work here speaks no SSH; what it holds on to is a gate that the test opens. */
#include "remote/workers.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/settings/settings_load.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define PATIENCE_MS 60000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int running, most, done, abandoned;
static bool limit_open;
static const struct ssh_pool *last_pool;

struct piece {
	struct lane_work work; /* first */
	bool waits;            /* until the gate is open */
};

static void run(struct lane_work *work, struct ssh_pool *pool)
{
	struct piece *piece = (struct piece *)work;
	pthread_mutex_lock(&lock);
	last_pool = pool;
	running++;
	most = running > most ? running : most;
	pthread_cond_broadcast(&changed);
	while (piece->waits && !limit_open)
		pthread_cond_wait(&changed, &lock);
	running--;
	done++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	free(piece);
}

static void abandon(struct lane_work *work)
{
	pthread_mutex_lock(&lock);
	abandoned++;
	pthread_mutex_unlock(&lock);
	free(work);
}

static int push(struct lanes *lanes, const char *cluster, const char *identity, bool waits, struct nel_err *err)
{
	struct piece *piece = mem_calloc(1, sizeof *piece);
	*piece = (struct piece){.work = {.run = run, .abandon = abandon}, .waits = waits};
	int rc = lanes_push(lanes, cluster, identity, &piece->work, err);
	if (rc != 0)
		free(piece);
	return rc;
}

static void assert_pushed(struct lanes *lanes, const char *cluster, const char *identity, bool waits)
{
	struct nel_err err = {0};
	if (push(lanes, cluster, identity, waits, &err) != 0)
		fail_msg("%s", err.msg);
}

/* Waits until *number, which the lock guards, is at least that. */
static void await(const int *number, int wanted)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	int waited = 0;
	pthread_mutex_lock(&lock);
	while (*number < wanted && waited == 0)
		waited = pthread_cond_timedwait(&changed, &lock, &until);
	pthread_mutex_unlock(&lock);
	assert_int_equal(waited, 0);
}

static void open_limit(void)
{
	pthread_mutex_lock(&lock);
	limit_open = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
}

static struct settings *settings_of(const char *text)
{
	char path[] = "/tmp/test_lanes_XXXXXX";
	struct settings *settings = NULL;
	struct nel_err err = {0};
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	int rc = settings_load(path, &settings, NULL, &err);
	unlink(path);
	if (rc != 0)
		fail_msg("%s", err.msg);
	return settings;
}

#define ALPHA "  - {name: alpha, hostname: a.example, identity: {username: svc, key_file: /k}, max_sessions: 2}\n"
#define BETA "  - {name: beta, hostname: b.example, identity: {username: svc, key_file: /k}, max_sessions: 2}\n"
#define PERSONAL "  - {name: own, hostname: o.example, identity: per_user, max_sessions: 2}\n"

static const char both[] = "database: /nonexistent/nel.db\nclusters:\n" ALPHA BETA PERSONAL;

struct fixture {
	struct settings *settings;
	struct lanes *lanes;
};

static int setup(void **state)
{
	struct fixture *f = mem_calloc(1, sizeof *f);
	struct nel_err err = {0};
	running = most = done = abandoned = 0;
	limit_open = false;
	f->settings = settings_of(both);
	if (lanes_start(f->settings, NULL, &f->lanes, &err) != 0)
		fail_msg("%s", err.msg);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	open_limit();
	lanes_stop(f->lanes);
	lanes_free(f->lanes);
	settings_free(f->settings);
	free(f);
	return 0;
}

static void test_lanes_push_runs_at_most_max_sessions_of_a_lane(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 6; i++)
		assert_pushed(f->lanes, "alpha", "svc", true);
	await(&running, 2);
	nap();
	struct lane_stats stats;
	assert_int_equal(lanes_stats(f->lanes, "alpha", "svc", &stats, NULL), 0);
	assert_int_equal(stats.queued, 4);
	assert_int_equal(stats.lanes, 1);
	open_limit();
	await(&done, 6);
	assert_int_equal(most, 2);
}

static void test_lanes_push_hung_lane_stalls_no_other(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 10; i++)
		assert_pushed(f->lanes, "alpha", "svc", true);
	await(&running, 2);
	for (int i = 0; i < 5; i++)
		assert_pushed(f->lanes, "beta", "svc", false);
	await(&done, 5);
	assert_int_equal(running, 2);
}

static void test_lanes_push_two_hundred_people_share_bounded_threads(void **state)
{
	struct fixture *f = *state;
	char identity[32];
	for (int person = 0; person < 200; person++) {
		snprintf(identity, sizeof identity, "p%d/acct", person);
		for (int i = 0; i < 4; i++)
			assert_pushed(f->lanes, "own", identity, true);
	}
	await(&running, LANES_CLUSTER_THREADS_MAX);
	nap();
	assert_true(lanes_threads(f->lanes) <= LANES_CLUSTER_THREADS_MAX + 2); /* idle ones */
	/* However many hang, another cluster has its own. */
	assert_pushed(f->lanes, "beta", "svc", false);
	await(&done, 1);
	open_limit();
	await(&done, 801);
	assert_true(most <= LANES_CLUSTER_THREADS_MAX + 1);
}

static void test_lanes_push_refusals(void **state)
{
	struct fixture *f = *state;
	struct nel_err err = {0};
	assert_int_equal(push(f->lanes, "gamma", "svc", false, &err), -1);
	assert_int_equal(err.kind, NEL_NOTFOUND);
	assert_int_equal(push(f->lanes, "alpha", "other", false, &err), -1);
	assert_int_equal(err.kind, NEL_NOTFOUND);
	assert_int_equal(push(f->lanes, "own", "svc", false, &err), -1);
	assert_int_equal(err.kind, NEL_NOTFOUND);
	for (int i = 0; i < LANE_QUEUE_MAX + 2; i++) {
		assert_pushed(f->lanes, "alpha", "svc", true);
		if (i < 2)
			await(&running, i + 1);
	}
	assert_int_equal(push(f->lanes, "alpha", "svc", true, &err), -1);
	assert_int_equal(err.kind, NEL_BUSY);
}

static void test_lanes_interrupt_abandons_what_waits_and_takes_no_more(void **state)
{
	struct fixture *f = *state;
	struct nel_err err = {0};
	for (int i = 0; i < 7; i++)
		assert_pushed(f->lanes, "alpha", "svc", true);
	await(&running, 2);
	lanes_interrupt(f->lanes);
	assert_int_equal(abandoned, 5);
	assert_int_equal(push(f->lanes, "beta", "svc", false, &err), -1);
	assert_int_equal(err.kind, NEL_BUSY);
}

static const struct ssh_pool *pool_of_next(struct fixture *f, const char *cluster, int *count)
{
	assert_pushed(f->lanes, cluster, "svc", false);
	await(&done, ++*count);
	return last_pool;
}

static void test_lanes_renew_gives_a_new_pool(void **state)
{
	struct fixture *f = *state;
	int count = 0;
	const struct ssh_pool *first = pool_of_next(f, "alpha", &count);
	assert_ptr_equal(pool_of_next(f, "alpha", &count), first);
	lanes_renew(f->lanes, "alpha", "svc");
	assert_ptr_not_equal(pool_of_next(f, "alpha", &count), first);
}

static void test_lanes_reload_changes_lanes_of_changed_clusters_only(void **state)
{
	struct fixture *f = *state;
	int count = 0;
	const struct ssh_pool *alpha = pool_of_next(f, "alpha", &count);
	const struct ssh_pool *beta = pool_of_next(f, "beta", &count);
	CLEANUP(settings_freep)
	struct settings *other = settings_of(
	    "clusters:\n  - {name: alpha, hostname: a.example, identity: {username: svc, key_file: /k}, "
	    "max_sessions: 2, poll_interval_s: 7}\n"
	    "  - {name: beta, hostname: b.example, identity: {username: svc, key_file: /other}, max_sessions: 2}\n"
	    "  - {name: gamma, hostname: c.example, identity: {username: svc, key_file: /k}}\n");
	lanes_reload(f->lanes, other);
	assert_ptr_equal(pool_of_next(f, "alpha", &count), alpha);
	assert_ptr_not_equal(pool_of_next(f, "beta", &count), beta);
	assert_non_null(pool_of_next(f, "gamma", &count));
	struct nel_err err = {0};
	assert_int_equal(push(f->lanes, "own", "p/acct", false, &err), -1);
	assert_int_equal(err.kind, NEL_NOTFOUND);
	lanes_reload(f->lanes, f->settings);
}

static void test_lanes_idle_threads_end_and_lanes_of_people_are_closed(void **state)
{
	struct fixture *f = *state;
	struct lane_stats stats = {0};
	assert_pushed(f->lanes, "own", "ann/alice", false);
	assert_pushed(f->lanes, "alpha", "svc", false);
	await(&done, 2);
	assert_int_equal(lanes_stats(f->lanes, "own", NULL, &stats, NULL), 0);
	assert_true(lanes_threads(f->lanes) > 0);
	int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
	while (lanes_threads(f->lanes) > 0 && clock_mono_ms() < until_ms)
		nap();
	assert_int_equal(lanes_threads(f->lanes), 0);
	clock_fake_set_ms(clock_mono_ms() + 2 * LANE_IDLE_MS);
	for (int i = 0; i < PATIENCE_MS / 20; i++) {
		assert_int_equal(lanes_stats(f->lanes, "own", NULL, &stats, NULL), 0);
		if (stats.lanes == 0)
			break;
		nap();
	}
	clock_fake_set_ms(-1);
	assert_int_equal(stats.lanes, 0);
	/* What is known of a cluster with one account stays. */
	assert_int_equal(lanes_stats(f->lanes, "alpha", NULL, &stats, NULL), 0);
	assert_int_equal(stats.lanes, 1);
	/* And work goes on as before. */
	assert_pushed(f->lanes, "own", "ann/alice", false);
	await(&done, 3);
}

#define READY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void test_stats_of_two_lanes_have_the_error_of_one(void **state)
{
	(void)state;
	static const struct ssh_pool_stats lasting = {
	    .last_error = "no route", .last_kind = NEL_REMOTE, .last_error_s = 10};
	static const struct ssh_pool_stats over = {.last_error_s = 30};
	static const struct ssh_pool_stats later = {
	    .last_error = "refused", .last_kind = NEL_DENIED, .last_reason = NEL_REASON_LOGIN, .last_error_s = 20};
	static const struct {
		const struct ssh_pool_stats *lanes[3];
		const struct ssh_pool_stats *shown;
	} cases[] = {
	    {{&lasting, &over}, &lasting},
	    {{&over, &lasting}, &lasting},
	    {{&lasting, &later, &over}, &later},
	    {{&later, &lasting}, &later},
	    {{&over}, &over},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ssh_pool_stats sum = {0};
		for (size_t k = 0; k < 3 && cases[i].lanes[k] != NULL; k++)
			lane_stats_take_error(&sum, cases[i].lanes[k]);
		assert_string_equal(sum.last_error, cases[i].shown->last_error);
		assert_int_equal(sum.last_kind, cases[i].shown->last_kind);
		assert_int_equal(sum.last_reason, cases[i].shown->last_reason);
		assert_int_equal(sum.last_error_s, cases[i].shown->last_error_s);
	}
}

int main(void)
{
	log_init(LOG_LEVEL_ERROR);
	const struct CMUnitTest tests[] = {
	    READY(test_lanes_push_runs_at_most_max_sessions_of_a_lane),
	    READY(test_lanes_push_hung_lane_stalls_no_other),
	    READY(test_lanes_push_two_hundred_people_share_bounded_threads),
	    READY(test_lanes_push_refusals),
	    READY(test_lanes_interrupt_abandons_what_waits_and_takes_no_more),
	    READY(test_lanes_renew_gives_a_new_pool),
	    READY(test_lanes_reload_changes_lanes_of_changed_clusters_only),
	    READY(test_lanes_idle_threads_end_and_lanes_of_people_are_closed),
	    cmocka_unit_test(test_stats_of_two_lanes_have_the_error_of_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
