/* nel-slurmd: start order, stop order, signals.
 *
 * Who owns what (daemon/README.md says more):
 *   thread                    how many                  owns
 *   main                      1                         settings, catalogue, master key; waits for signals, reloads
 *   scheduler                 1                         the active chains, whose states it alone writes; a connection
 *   remote workers            by need; bounded          an SSH session at a time, and the action it carries out
 *   their tender              1                         idle sessions, and lanes that are not needed
 *   readers                   1 a lane that is read from  an SSH session, with log followers and transfers on it
 *   resolvers (ssh/dial.c)    1 a name looked up        the look-up; detached
 *   HTTP (libmicrohttpd)      one a core                its requests; a database connection each
 *   reaper (http/server.c)    1                         shuts connections that are slow to send a request
 *   streams' tender           1                         wakes and ends the streams that wait (http/stream.c)
 *   feed (http/feed.c)        1                         who waits for events, and wakes them
 *   webhooks                  1                         what is being sent to receivers; a connection
 *   keeper (keeper.c)         1                         the rendering of evaluations that have ended, the index of
 *                                                       searches; a connection
 *   campaigns                 1                         the submission of campaigns' values, the looks at
 *                                                       the directories that they watch; a connection
 *   oidc                      1                         the fetches of an issuer's keys
 * They meet in queues (base/queue) and in the store. No lock is held across SSH, SQL or a callback.
 * Settings are never changed, only replaced, and all that were in force are kept until the end (reload.h): every thread
 * may read those that it has got hold of. */
#include "api/http/server.h"
#include "api/v1/keeper.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster_keys.h"
#include "commands.h"
#include "config/settings/settings_load.h"
#include "database_lock.h"
#include "db/key_rotation.h"
#include "db/left_log.h"
#include "reload.h"
#include "remote/workers.h"
#include "sched/scheduler.h"
#include "service/campaign_runner.h"
#include "service/log_followers.h"
#include "service/oidc/oidc_issuer.h"
#include "service/service.h"
#include "service/webhook_sender.h"
#include "ssh/session.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define DESCRIPTORS_WANTED 32768

/* Everything that runs, in the order in which it starts. */
struct daemon {
	struct reload settings; /* those in force, and all before them */
	struct catalogue *catalogue;
	struct secret_key *master_key;
	int lock_fd;
	struct lanes *lanes;
	struct look_board *look_board;
	struct log_followers *followers;
	struct scheduler *scheduler;
	struct webhook_sender *webhooks;
	struct oidc_issuer *oidc;
	struct service service;
	struct keeper *keeper;
	struct api_server *api;
};

/* A wrong key, or one that is being changed, is better known now than at a submission. */
static int check_master_key(struct daemon *d, struct nel_err *err)
{
	CLEANUP(db_freep) struct db *db = NULL;
	const struct settings *settings = reload_current(&d->settings);
	if (db_open(settings->database, &db, err) != 0)
		return -1;
	if (key_rotation_check_key(db, d->master_key, err) == 0)
		return 0;
	return err->kind != NEL_DENIED
		   ? -1
		   : err_set(err, NEL_DENIED,
			     "%s is not the master key of %s: put the right one there, or finish an interrupted "
			     "`nel-slurmd rotate-key` by running it again",
			     settings->master_key_file, settings->database);
}

static int start(struct daemon *d, const char *settings_path, struct nel_err *err)
{
	/* First, before there are threads: it takes variables out of the environment, so that no child has them. */
	int handed_over = sd_listen_fds(1);
	if (handed_over < 0)
		return err_sys(err, NEL_INVALID, -handed_over, "the service manager's sockets (LISTEN_FDS)");
	enum log_level level = LOG_LEVEL_INFO;
	struct settings *settings = NULL;
	if (settings_load(settings_path, &settings, NULL, err) != 0)
		return -1;
	reload_begin(&d->settings, settings);
	d->look_board = look_board_new();
	log_level_from_name(settings->log_level, &level);
	log_set_level(level);
	if (cluster_keys_check(settings, err) != 0 || catalogue_load(settings->tasks_file, &d->catalogue, err) != 0 ||
	    secret_key_load(settings->master_key_file, &d->master_key, err) != 0 ||
	    database_lock(settings->database, &d->lock_fd, err) != 0 ||
	    left_log_put_aside(settings->database, err) != 0 || db_migrate(settings->database, NULL, NULL, err) != 0 ||
	    check_master_key(d, err) != 0 || ssh_init(err) != 0 ||
	    lanes_start(settings, d->master_key, &d->lanes, err) != 0 ||
	    scheduler_start(settings, d->lanes, d->look_board, d->master_key, &d->scheduler, err) != 0 ||
	    webhook_sender_start(settings, d->master_key, &d->webhooks, err) != 0 ||
	    keeper_start(settings->database, &d->keeper, err) != 0 || oidc_issuer_start(settings, &d->oidc, err) != 0)
		return -1;
	d->followers = log_followers_new(d->lanes);
	d->service = (struct service){.settings = settings,
				      .catalogue = d->catalogue,
				      .master_key = d->master_key,
				      .scheduler = d->scheduler,
				      .lanes = d->lanes,
				      .look_board = d->look_board,
				      .followers = d->followers,
				      .webhooks = d->webhooks,
				      .oidc = d->oidc,
				      .started_at = clock_now_s()};
	if (campaign_runner_start(&d->service, &d->service.campaigns, err) != 0)
		return -1;
	const struct api_options options = {
	    .service = &d->service, .database = settings->database, .handed_over = handed_over};
	return api_server_start(&options, &d->api, err);
}

/* In the order that lets nothing wait for what is already gone: no new requests, no new transitions, then the lanes. */
static void stop(struct daemon *d)
{
	api_server_stop(d->api); /* requests that wait for a cluster are told that the daemon stops */
	if (d->lanes != NULL)
		lanes_interrupt(d->lanes);
	campaign_runner_stop(d->service.campaigns);
	keeper_stop(d->keeper);
	webhook_sender_stop(d->webhooks);
	oidc_issuer_stop(d->oidc);
	if (d->scheduler != NULL)
		scheduler_stop(d->scheduler);
	if (d->lanes != NULL)
		lanes_stop(d->lanes);
	campaign_runner_free(d->service.campaigns);
	scheduler_free(d->scheduler);
	look_board_free(d->look_board);
	lanes_free(d->lanes);
	log_followers_free(d->followers);
	ssh_done();
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	secret_key_free(d->master_key);
	catalogue_free(d->catalogue);
	reload_done(&d->settings);
}

/* sd_notify(3): a reload is told with the time at which it began. */
static void reload(struct daemon *d)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	reload_run(&d->settings, &d->service);
	sd_notify(0, "READY=1");
}

/* WatchdogSec= of the unit (sd_watchdog_enabled(3)): the service manager is told that all is well while the scheduler
 * goes round, and kills a daemon of which it has heard nothing for a period. */
static void wait_for_end(struct daemon *d, const sigset_t *signals)
{
	uint64_t period_us = 0;
	bool watched = sd_watchdog_enabled(0, &period_us) > 0;
	int64_t step_us = watched ? (int64_t)(period_us / 4) : INT64_MAX;
	const struct timespec step = {.tv_sec = step_us / 1000000, .tv_nsec = step_us % 1000000 * 1000};
	for (;;) {
		if (watched && scheduler_silence_ms(d->scheduler) * 1000 < 2 * step_us)
			sd_notify(0, "WATCHDOG=1");
		int signal_number = sigtimedwait(signals, NULL, watched ? &step : NULL);
		if (signal_number == SIGHUP)
			reload(d);
		else if (signal_number > 0 || (errno != EAGAIN && errno != EINTR))
			return;
	}
}

/* Listeners to events keep their connections open. The soft limit is low for the sake of programs that use select(2),
 * which this one does not. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit = {0};
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS_WANTED)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Secrets pass through memory. A program that core_pattern pipes to is run whatever the limit is (core(5)), so there is
 * also nothing to be dumped. */
static void forbid_core_dumps(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	CLEANUP(fd_closep) int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		log_warning("core dumps cannot be emptied", LOG_S("error", strerror(errno)));
}

static int serve(const char *settings_path)
{
	struct nel_err err = {0};
	struct daemon daemon = {.lock_fd = -1};
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* inherited by every thread: only main takes them */
	signal(SIGPIPE, SIG_IGN);
	forbid_core_dumps();
	raise_descriptor_limit();
	/* Run directories and observations are megabytes, for a moment: a fixed limit gives them back when they are
	 * freed; by default it grows with them (mallopt(3)). */
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	int rc = start(&daemon, settings_path, &err);
	if (rc == 0) {
		log_info("ready", LOG_S("version", NEL_VERSION), LOG_S("config", settings_path));
		sd_notify(0, "READY=1");
		wait_for_end(&daemon, &signals);
		sd_notify(0, "STOPPING=1");
		log_info("stopping");
	} else {
		log_error("cannot start", LOG_S("error", err.msg));
	}
	stop(&daemon);
	return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct nel_err err = {0};
	struct command_line line;
	log_init(LOG_LEVEL_INFO);
	if (secret_init(&err) != 0) {
		fprintf(stderr, "nel-slurmd: %s\n", err.msg);
		return 1;
	}
	int rc = command_line_parse(argc, argv, &line);
	if (rc != COMMAND_GO_ON)
		return rc;
	if (line.command != NULL)
		return command_run(&line);
	const char *other = command_line_other_option(&line);
	if (other == NULL)
		return serve(line.settings_path);
	fprintf(stderr, "nel-slurmd: --%s belongs to a command\nnel-slurmd --help tells the usage\n", other);
	return 2;
}
