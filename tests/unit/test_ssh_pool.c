/* Pools against a real sshd: reuse, limits, replacement of dead sessions, the breaker, refusals. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ssh/pool.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "real_sshd.h"

DEFINE_FREEP(struct ssh_pool, pool, ssh_pool_free)

/* The sanitizers make a handshake slow, and look for leaks themselves. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RECONNECTS 30
#else
#define RECONNECTS 200
#endif

static struct ssh_pool *new_pool(const char *key, int max_sessions)
{
	struct sshd_paths paths;
	struct ssh_pool_options options = {
	    .target = sshd_target(&sshd, key, &paths), .max_sessions = max_sessions, .idle_timeout_ms = 60000};
	return ssh_pool_new(&options);
}

static int run(struct ssh_pool *pool, const char *command, bool *ret_sent, struct nel_err *err)
{
	struct ssh_exec exec = {.command = command, .output_max = 1 << 20, .timeout_ms = 30000};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	return ssh_pool_exec(pool, &exec, &result, ret_sent, err);
}

static void assert_runs(struct ssh_pool *pool)
{
	struct nel_err err = {0};
	bool sent = false;
	if (run(pool, "true", &sent, &err) != 0)
		fail_msg("%s", err.msg);
	assert_true(sent);
}

static void assert_fails(struct ssh_pool *pool, enum nel_err_kind kind, const char *part)
{
	struct nel_err err = {0};
	bool sent = true;
	assert_int_equal(run(pool, "true", &sent, &err), -1);
	assert_false(sent);
	if (err.kind != kind || strstr(err.msg, part) == NULL)
		fail_msg("%s: %s", err_kind_name(err.kind), err.msg);
}

static struct ssh_pool_stats stats_of(struct ssh_pool *pool)
{
	struct ssh_pool_stats stats;
	ssh_pool_stats(pool, &stats);
	return stats;
}

static void test_exec_many_commands_one_handshake(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(pool_freep) struct ssh_pool *pool = new_pool("user", 4);
	for (int i = 0; i < 50; i++)
		assert_runs(pool);
	struct ssh_pool_stats stats = stats_of(pool);
	assert_int_equal(stats.handshakes, 1);
	assert_int_equal(stats.execs, 50);
	assert_int_equal(stats.failures, 0);
	assert_int_equal(stats.sessions, 1);
	assert_int_equal(stats.busy, 0);
	assert_int_equal(stats.breaker, BREAKER_CLOSED);
	assert_string_equal(stats.last_error, "");
	assert_true(stats.last_ok_s > 0);
}

/* A command that runs until it is told to stop. */
struct holder {
	struct ssh_pool *pool;
	volatile bool stop;
	pthread_mutex_t lock;
	pthread_cond_t began;
	bool running;
};

static int note_began(const char *data, size_t size, void *arg)
{
	(void)data;
	(void)size;
	struct holder *h = arg;
	pthread_mutex_lock(&h->lock);
	h->running = true;
	pthread_cond_signal(&h->began);
	pthread_mutex_unlock(&h->lock);
	return 0;
}

static void *hold(void *arg)
{
	struct holder *h = arg;
	struct ssh_exec exec = {.command = "echo began; sleep 60",
				.timeout_ms = 60000,
				.on_output = note_began,
				.arg = h,
				.stop = &h->stop};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	bool sent;
	ssh_pool_exec(h->pool, &exec, &result, &sent, NULL);
	note_began(NULL, 0, h);
	return NULL;
}

static void test_exec_all_sessions_in_use_is_busy(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(pool_freep) struct ssh_pool *pool = new_pool("user", 2);
	struct holder holders[2];
	pthread_t threads[2];
	for (int i = 0; i < 2; i++) {
		holders[i] = (struct holder){.pool = pool};
		pthread_mutex_init(&holders[i].lock, NULL);
		pthread_cond_init(&holders[i].began, NULL);
		assert_int_equal(pthread_create(&threads[i], NULL, hold, &holders[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_mutex_lock(&holders[i].lock);
		while (!holders[i].running)
			pthread_cond_wait(&holders[i].began, &holders[i].lock);
		pthread_mutex_unlock(&holders[i].lock);
	}
	assert_fails(pool, NEL_BUSY, "all 2 SSH sessions to alpha are in use");
	assert_int_equal(stats_of(pool).busy, 2);
	for (int i = 0; i < 2; i++) {
		__atomic_store_n(&holders[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(threads[i], NULL);
		pthread_cond_destroy(&holders[i].began);
		pthread_mutex_destroy(&holders[i].lock);
	}
	/* A stop is nobody's fault. */
	assert_int_equal(stats_of(pool).failures, 0);
	assert_int_equal(stats_of(pool).busy, 0);
	assert_runs(pool);
}

#define WORKERS 8
#define WORKER_EXECS 15

static void *work(void *arg)
{
	struct ssh_pool *pool = arg;
	intptr_t wrong = 0;
	for (int i = 0; i < WORKER_EXECS;) {
		struct nel_err err = {0};
		bool sent = false;
		if (run(pool, "true", &sent, &err) == 0)
			i++;
		else if (err.kind == NEL_BUSY)
			nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
		else
			return (void *)(wrong + 1);
		ssh_pool_tend(pool);
	}
	return (void *)wrong;
}

static void test_exec_many_threads_stay_within_sessions(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(pool_freep) struct ssh_pool *pool = new_pool("user", 3);
	CLEANUP(pool_freep) struct ssh_pool *other = new_pool("pem", 2);
	pthread_t threads[WORKERS];
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, i % 4 == 0 ? other : pool), 0);
	for (int i = 0; i < WORKERS; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	struct ssh_pool_stats stats = stats_of(pool);
	assert_in_range(stats.handshakes, 1, 3);
	assert_in_range(stats.sessions, 1, 3);
	assert_int_equal(stats.execs + stats_of(other).execs, WORKERS * WORKER_EXECS);
}

/* The number of the sshd process behind the pool's session. */
static pid_t server_of(struct ssh_pool *pool)
{
	struct ssh_exec exec = {.command = "echo $PPID", .output_max = 100, .timeout_ms = 30000};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	struct nel_err err = {0};
	bool sent;
	if (ssh_pool_exec(pool, &exec, &result, &sent, &err) != 0)
		fail_msg("%s", err.msg);
	result.output[strcspn(result.output, "\n")] = '\0';
	long long pid;
	assert_true(str_to_int(result.output, 2, INT32_MAX, &pid));
	return (pid_t)pid;
}

static void test_exec_dead_warm_session_is_replaced(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(pool_freep) struct ssh_pool *pool = new_pool("user", 2);
	for (int i = 1; i <= 3; i++) {
		kill(server_of(pool), SIGKILL);
		assert_runs(pool);
		assert_int_equal(stats_of(pool).handshakes, i + 1);
	}
	assert_int_equal(stats_of(pool).failures, 0);
}

static void test_exec_connection_lost_after_sending_is_not_repeated(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(pool_freep) struct ssh_pool *pool = new_pool("user", 2);
	assert_runs(pool);
	char command[300];
	snprintf(command, sizeof command, "echo x >> %s/ran; kill -9 $PPID; sleep 60", sshd.dir);
	struct nel_err err = {0};
	bool sent = false;
	assert_int_equal(run(pool, command, &sent, &err), -1);
	assert_true(sent);
	assert_int_equal(err.kind, NEL_REMOTE);
	assert_runs(pool);
	char path[SSHD_PATH_SIZE];
	struct stat st;
	assert_int_equal(stat(sshd_path(&sshd, "ran", path), &st), 0);
	assert_int_equal(st.st_size, 2);
	assert_int_equal(stats_of(pool).failures, 1);
	assert_int_equal(stats_of(pool).handshakes, 2);
}

static void test_exec_command_timeouts_do_not_open_breaker(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(pool_freep) struct ssh_pool *pool = new_pool("user", 2);
	struct ssh_exec exec = {.command = "sleep 60", .timeout_ms = 1};
	for (int i = 0; i < 2 * BREAKER_THRESHOLD; i++) {
		struct ssh_result result = {0};
		struct nel_err err = {0};
		bool sent = false;
		assert_runs(pool);
		exec.timeout_ms = 200;
		assert_int_equal(ssh_pool_exec(pool, &exec, &result, &sent, &err), -1);
		assert_true(sent);
	}
	assert_int_equal(stats_of(pool).breaker, BREAKER_CLOSED);
	assert_int_equal(stats_of(pool).failures, 2 * BREAKER_THRESHOLD);
}

static void test_exec_host_down_opens_breaker_until_probe_succeeds(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(pool_freep) struct ssh_pool *pool = new_pool("user", 2);
	sshd_stop(&sshd);
	int64_t now_ms = clock_mono_ms();
	clock_fake_set_ms(now_ms);
	for (int i = 0; i < BREAKER_THRESHOLD; i++)
		assert_fails(pool, NEL_REMOTE, "Connection refused");
	assert_fails(pool, NEL_BUSY, "Connection refused");
	struct ssh_pool_stats stats = stats_of(pool);
	assert_int_equal(stats.breaker, BREAKER_OPEN);
	assert_int_equal(stats.handshakes, BREAKER_THRESHOLD);
	assert_int_equal(stats.failures, BREAKER_THRESHOLD);
	assert_int_equal(stats.last_kind, NEL_REMOTE);
	assert_in_range(stats.retry_in_ms, 1, BREAKER_OPEN_MAX_MS);
	now_ms += stats.retry_in_ms;
	clock_fake_set_ms(now_ms);
	assert_fails(pool, NEL_REMOTE, "Connection refused");
	assert_fails(pool, NEL_BUSY, "is left alone");
	now_ms += stats_of(pool).retry_in_ms;
	assert_int_equal(sshd_start(&sshd), 0);
	clock_fake_set_ms(now_ms);
	assert_runs(pool);
	stats = stats_of(pool);
	assert_int_equal(stats.breaker, BREAKER_CLOSED);
	assert_string_equal(stats.last_error, "");
	clock_fake_set_ms(-1);
}

static void test_exec_refused_key_waits_for_time_or_a_new_key(void **state)
{
	(void)state;
	NEEDS_SSHD();
	char from[SSHD_PATH_SIZE], to[SSHD_PATH_SIZE];
	const char *wrong[] = {"cp", "-p", sshd_path(&sshd, "wrong", from), sshd_path(&sshd, "mine", to), NULL};
	assert_int_equal(sshd_run(wrong), 0);
	CLEANUP(pool_freep) struct ssh_pool *pool = new_pool("mine", 2);
	int64_t now_ms = clock_mono_ms();
	clock_fake_set_ms(now_ms);
	for (int i = 0; i < 2 * BREAKER_THRESHOLD; i++)
		assert_fails(pool, NEL_DENIED, "refused the key");
	assert_int_equal(stats_of(pool).handshakes, 1);
	assert_int_equal(stats_of(pool).breaker, BREAKER_CLOSED);
	clock_fake_set_ms(now_ms + 10000);
	assert_fails(pool, NEL_DENIED, "refused the key");
	assert_fails(pool, NEL_DENIED, "refused the key");
	assert_int_equal(stats_of(pool).handshakes, 2);
	const char *right[] = {"cp", sshd_path(&sshd, "user", from), to, NULL};
	assert_int_equal(sshd_run(right), 0);
	assert_runs(pool);
	assert_int_equal(stats_of(pool).handshakes, 3);
	clock_fake_set_ms(-1);
}

static void test_tend_idle_session_is_closed(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(pool_freep) struct ssh_pool *pool = new_pool("user", 2);
	int64_t now_ms = clock_mono_ms();
	clock_fake_set_ms(now_ms);
	assert_runs(pool);
	for (int i = 0; i < 30; i++) {
		now_ms += 2000;
		clock_fake_set_ms(now_ms);
		ssh_pool_tend(pool);
		assert_int_equal(stats_of(pool).sessions, 1);
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* sshd answers in real time */
	}
	clock_fake_set_ms(now_ms + 2000);
	ssh_pool_tend(pool);
	assert_int_equal(stats_of(pool).sessions, 0);
	assert_runs(pool);
	assert_int_equal(stats_of(pool).handshakes, 2);
	clock_fake_set_ms(-1);
}

/* So many entries has a directory of /proc. */
static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* A thread that has been joined, or that ends by itself, may show for a moment. */
static void assert_threads(int count)
{
	for (int i = 0; i < 1000 && count_entries("/proc/self/task") != count; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	assert_int_equal(count_entries("/proc/self/task"), count);
}

static void reconnect(struct ssh_pool *pool)
{
	assert_runs(pool);
	clock_fake_set_ms(clock_mono_ms() + 61000);
	ssh_pool_tend(pool);
	clock_fake_set_ms(-1);
	assert_int_equal(stats_of(pool).sessions, 0);
}

static void test_reconnects_leak_no_descriptors_and_no_threads(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct sshd_paths paths;
	struct ssh_pool_options options = {
	    .target = sshd_target(&sshd, "user", &paths), .max_sessions = 2, .idle_timeout_ms = 60000};
	options.target.address = "localhost"; /* is looked up, on a thread of its own */
	CLEANUP(mem_freep) char *hosts = NULL;
	char key[1024];
	sshd_read_line(&sshd, "host.pub", key, sizeof key);
	hosts = mem_printf("[localhost]:%d %s\n", sshd.port, key);
	sshd_write(&sshd, "known_hosts", "a", hosts);
	CLEANUP(pool_freep) struct ssh_pool *by_name = ssh_pool_new(&options);
	options.target.proxy_command = "exec bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'";
	CLEANUP(pool_freep) struct ssh_pool *by_proxy = ssh_pool_new(&options);
	reconnect(by_name);
	reconnect(by_proxy);
	int fds = count_entries("/proc/self/fd"), threads = count_entries("/proc/self/task");
	for (int i = 0; i < RECONNECTS; i++) {
		reconnect(i % 8 == 0 ? by_proxy : by_name);
		if (i % 20 != 0)
			continue;
		CLEANUP(pool_freep) struct ssh_pool *refused = new_pool("wrong", 1);
		assert_fails(refused, NEL_DENIED, "refused the key");
	}
	assert_int_equal(stats_of(by_name).handshakes + stats_of(by_proxy).handshakes, RECONNECTS + 2);
	assert_int_equal(count_entries("/proc/self/fd"), fds);
	assert_threads(threads);
	sshd_write_known_hosts(&sshd, "host.pub");
}

static void test_tend_dead_session_is_dropped(void **state)
{
	(void)state;
	NEEDS_SSHD();
	CLEANUP(pool_freep) struct ssh_pool *pool = new_pool("user", 2);
	kill(server_of(pool), SIGKILL);
	for (int i = 0; i < 10000 && stats_of(pool).sessions != 0; i++) {
		ssh_pool_tend(pool);
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	assert_int_equal(stats_of(pool).sessions, 0);
}

/* A proxy command that hangs up at once until it has run so often, then carries the connection. */
static struct ssh_pool *new_dropping_pool(int drops, char command[400])
{
	struct sshd_paths paths;
	snprintf(command, 400,
		 "echo x >> %s/drops; [ $(wc -l < %s/drops) -gt %d ] || exit 0; "
		 "exec bash -c 'exec 3<>/dev/tcp/%%h/%%p; cat <&3 & exec cat >&3'",
		 sshd.dir, sshd.dir, drops);
	struct ssh_pool_options options = {
	    .target = sshd_target(&sshd, "user", &paths), .max_sessions = 1, .idle_timeout_ms = 60000};
	options.target.proxy_command = command;
	sshd_write(&sshd, "drops", "w", "");
	return ssh_pool_new(&options);
}

static void test_exec_dropped_connections_are_tried_again(void **state)
{
	(void)state;
	NEEDS_SSHD();
	char command[400];
	CLEANUP(pool_freep) struct ssh_pool *pool = new_dropping_pool(2, command);
	assert_runs(pool);
	assert_int_equal(stats_of(pool).handshakes, 3);
	assert_int_equal(stats_of(pool).failures, 0);
	/* Not for ever, and it counts as one fault. */
	CLEANUP(pool_freep) struct ssh_pool *never = new_dropping_pool(1000, command);
	assert_fails(never, NEL_REMOTE, "during the SSH handshake");
	assert_int_equal(stats_of(never).handshakes, 5);
	assert_int_equal(stats_of(never).failures, 1);
	assert_int_equal(stats_of(never).breaker, BREAKER_CLOSED);
}

static void *run_once(void *arg)
{
	struct nel_err err = {0};
	bool sent;
	/* Long enough for every thread to need a session of its own. */
	return run(arg, "sleep 1", &sent, &err) == 0 ? NULL : mem_strdup(err.msg);
}

static void test_exec_burst_with_low_max_startups_fails_nothing(void **state)
{
	(void)state;
	NEEDS_SSHD();
	sshd_stop(&sshd);
	sshd_write_config(&sshd, "MaxStartups 2:100:2");
	assert_int_equal(sshd_start(&sshd), 0);
	struct ssh_host_limits *limits = ssh_host_limits_new(0);
	struct ssh_pool *pools[2];
	pthread_t threads[6];
	for (int i = 0; i < 2; i++) {
		struct sshd_paths paths;
		struct ssh_pool_options options = {.target = sshd_target(&sshd, i == 0 ? "user" : "pem", &paths),
						   .max_sessions = 3,
						   .idle_timeout_ms = 60000,
						   .limit = ssh_host_limits_get(limits, "127.0.0.1", sshd.port, NULL)};
		pools[i] = ssh_pool_new(&options);
	}
	for (int i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_once, pools[i % 2]), 0);
	for (int i = 0; i < 6; i++) {
		void *message;
		pthread_join(threads[i], &message);
		if (message != NULL)
			fail_msg("%s", (char *)message);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(stats_of(pools[i]).failures, 0);
		assert_int_equal(stats_of(pools[i]).execs, 3);
		ssh_pool_free(pools[i]);
	}
	ssh_host_limits_free(limits);
	sshd_stop(&sshd);
	sshd_write_config(&sshd, "");
	assert_int_equal(sshd_start(&sshd), 0);
}

static struct ssh_pool *new_pool_at(struct ssh_host_limit *limit, const char *key, const char *proxy_command,
				    const volatile bool *stop)
{
	struct sshd_paths paths;
	struct ssh_pool_options options = {.target = sshd_target(&sshd, key, &paths),
					   .max_sessions = 1,
					   .idle_timeout_ms = 60000,
					   .limit = limit,
					   .stop = stop};
	options.target.proxy_command = proxy_command;
	return ssh_pool_new(&options);
}

static void *probe(void *pool)
{
	struct nel_err err = {0};
	bool sent;
	run(pool, "true", &sent, &err);
	return NULL;
}

static void test_breaker_of_a_host_is_shared_with_one_probe(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct ssh_host_limit *limit = ssh_host_limit_new(3);
	volatile bool stop = false;
	CLEANUP(pool_freep) struct ssh_pool *one = new_pool_at(limit, "user", NULL, NULL);
	CLEANUP(pool_freep) struct ssh_pool *other = new_pool_at(limit, "pem", NULL, NULL);
	CLEANUP(pool_freep) struct ssh_pool *silent = new_pool_at(limit, "user", "sleep 60", &stop);
	sshd_stop(&sshd);
	int64_t now_ms = clock_mono_ms();
	clock_fake_set_ms(now_ms);
	for (int i = 0; i < BREAKER_THRESHOLD; i++)
		assert_fails(one, NEL_REMOTE, "Connection refused");
	assert_fails(other, NEL_BUSY, "alpha is left alone for another");
	assert_int_equal(stats_of(other).handshakes, 0);
	assert_int_equal(stats_of(other).breaker, BREAKER_OPEN);
	clock_fake_set_ms(now_ms + stats_of(other).retry_in_ms);
	/* While the one probe hangs the others are told so. */
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, probe, silent), 0);
	while (stats_of(silent).handshakes == 0)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	for (int i = 0; i < 5; i++) {
		assert_fails(one, NEL_BUSY, "alpha is being tried again after");
		assert_fails(other, NEL_BUSY, "Connection refused");
	}
	assert_int_equal(stats_of(other).breaker, BREAKER_HALF_OPEN);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(stats_of(one).handshakes, BREAKER_THRESHOLD);
	assert_int_equal(stats_of(other).handshakes, 0);
	/* It learned nothing, so the next one may go at once. */
	assert_int_equal(sshd_start(&sshd), 0);
	assert_runs(other);
	assert_runs(one);
	assert_int_equal(stats_of(one).breaker, BREAKER_CLOSED);
	clock_fake_set_ms(-1);
	ssh_pool_free(TAKE(one));
	ssh_pool_free(TAKE(other));
	ssh_pool_free(TAKE(silent));
	ssh_host_limit_free(limit);
}

static void test_breaker_of_a_host_knows_no_accounts_faults(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct ssh_host_limit *limit = ssh_host_limit_new(3);
	CLEANUP(pool_freep) struct ssh_pool *bad = new_pool_at(limit, "user", NULL, NULL);
	CLEANUP(pool_freep) struct ssh_pool *refused = new_pool_at(limit, "wrong", NULL, NULL);
	CLEANUP(pool_freep) struct ssh_pool *good = new_pool_at(limit, "pem", NULL, NULL);
	for (int i = 0; i < BREAKER_THRESHOLD; i++) {
		struct nel_err err = {0};
		bool sent;
		assert_int_equal(run(bad, "kill -9 $PPID; sleep 60", &sent, &err), -1);
		assert_true(sent);
	}
	assert_fails(bad, NEL_BUSY, "is left alone");
	assert_fails(refused, NEL_DENIED, "refused the key");
	assert_int_equal(stats_of(good).breaker, BREAKER_CLOSED);
	assert_runs(good);
	ssh_pool_free(TAKE(bad));
	ssh_pool_free(TAKE(refused));
	ssh_pool_free(TAKE(good));
	ssh_host_limit_free(limit);
}

static void test_host_limit_full_is_busy(void **state)
{
	(void)state;
	struct ssh_host_limit *limit = ssh_host_limit_new(2);
	struct nel_err err = {0};
	volatile bool stop = true;
	assert_int_equal(ssh_host_limit_enter(limit, "alpha", 0, NULL, &err), 0);
	assert_int_equal(ssh_host_limit_enter(limit, "alpha", 0, NULL, &err), 0);
	assert_int_equal(ssh_host_limit_enter(limit, "alpha", 0, NULL, &err), -1);
	assert_int_equal(err.kind, NEL_BUSY);
	assert_int_equal(ssh_host_limit_enter(limit, "alpha", 60000, &stop, &err), -1);
	assert_int_equal(err.sys, ECANCELED);
	ssh_host_limit_leave(limit, SSH_GATE_ANSWERED, NULL);
	assert_int_equal(ssh_host_limit_enter(limit, "alpha", 0, NULL, &err), 0);
	ssh_host_limit_free(limit);
}

static void test_host_limits_pools_of_one_host_share(void **state)
{
	(void)state;
	NEEDS_SSHD();
	struct ssh_host_limits *limits = ssh_host_limits_new(1);
	struct ssh_host_limit *limit = ssh_host_limits_get(limits, "Login.alpha", 22, NULL);
	assert_ptr_equal(ssh_host_limits_get(limits, "login.Alpha", 22, NULL), limit);
	assert_ptr_not_equal(ssh_host_limits_get(limits, "login.alpha", 2222, NULL), limit);
	assert_ptr_not_equal(ssh_host_limits_get(limits, "login.beta", 22, NULL), limit);
	assert_ptr_not_equal(ssh_host_limits_get(limits, "login.alpha", 22, "nc %h %p"), limit);
	assert_ptr_equal(ssh_host_limits_get(limits, "login.alpha", 22, "nc %h %p"),
			 ssh_host_limits_get(limits, "login.alpha", 22, "nc %h %p"));
	/* While its only place is taken no pool connects; another host's do. */
	static const char *const keys[] = {"user", "pem"};
	struct sshd_paths paths;
	assert_int_equal(ssh_host_limit_enter(limit, "alpha", 0, NULL, NULL), 0);
	for (size_t i = 0; i < 2; i++) {
		volatile bool stop = true;
		struct ssh_pool_options options = {.target = sshd_target(&sshd, keys[i], &paths),
						   .max_sessions = 1,
						   .idle_timeout_ms = 60000,
						   .limit = limit,
						   .stop = &stop};
		CLEANUP(pool_freep) struct ssh_pool *pool = ssh_pool_new(&options);
		assert_fails(pool, NEL_BUSY, "1 SSH handshakes are under way");
		assert_int_equal(stats_of(pool).handshakes, 0);
		options.limit = ssh_host_limits_get(limits, "login.beta", 22, NULL);
		options.stop = NULL;
		CLEANUP(pool_freep) struct ssh_pool *other = ssh_pool_new(&options);
		assert_runs(other);
	}
	ssh_host_limit_leave(limit, SSH_GATE_ANSWERED, NULL);
	ssh_host_limits_free(limits);
}

static void test_environment_is_copied(void **state)
{
	(void)state;
	char entry[] = "SLURM_CONF=/etc/a.conf";
	const char *const list[] = {entry, "B=2", NULL};
	struct ssh_pool_options options = {.target = {.cluster = "alpha"}, .environment = list};
	CLEANUP(pool_freep) struct ssh_pool *pool = ssh_pool_new(&options);
	entry[0] = 'X';
	assert_string_equal(ssh_pool_environment(pool)[0], "SLURM_CONF=/etc/a.conf");
	assert_string_equal(ssh_pool_environment(pool)[1], "B=2");
	assert_null(ssh_pool_environment(pool)[2]);
	options.environment = NULL;
	CLEANUP(pool_freep) struct ssh_pool *bare = ssh_pool_new(&options);
	assert_null(ssh_pool_environment(bare)[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exec_many_commands_one_handshake),
	    cmocka_unit_test(test_exec_all_sessions_in_use_is_busy),
	    cmocka_unit_test(test_exec_many_threads_stay_within_sessions),
	    cmocka_unit_test(test_exec_dead_warm_session_is_replaced),
	    cmocka_unit_test(test_exec_connection_lost_after_sending_is_not_repeated),
	    cmocka_unit_test(test_exec_command_timeouts_do_not_open_breaker),
	    cmocka_unit_test(test_exec_host_down_opens_breaker_until_probe_succeeds),
	    cmocka_unit_test(test_exec_refused_key_waits_for_time_or_a_new_key),
	    cmocka_unit_test(test_tend_idle_session_is_closed),
	    cmocka_unit_test(test_reconnects_leak_no_descriptors_and_no_threads),
	    cmocka_unit_test(test_tend_dead_session_is_dropped),
	    cmocka_unit_test(test_exec_dropped_connections_are_tried_again),
	    cmocka_unit_test(test_exec_burst_with_low_max_startups_fails_nothing),
	    cmocka_unit_test(test_breaker_of_a_host_is_shared_with_one_probe),
	    cmocka_unit_test(test_breaker_of_a_host_knows_no_accounts_faults),
	    cmocka_unit_test(test_host_limit_full_is_busy),
	    cmocka_unit_test(test_host_limits_pools_of_one_host_share),
	    cmocka_unit_test(test_environment_is_copied),
	};
	return cmocka_run_group_tests(tests, sshd_group_setup, sshd_group_teardown);
}
