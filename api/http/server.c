/* Owns the daemons of libmicrohttpd, what each HTTP thread has, and the closing of slow connections. */
#include "api/http/server.h"

#include "api/http/dispatch.h"
#include "api/http/feed.h"
#include "api/http/limiter.h"
#include "api/http/listen.h"
#include "api/http/proxy.h"
#include "api/http/read_cache.h"
#include "api/http/server_internal.h"
#include "api/http/stream.h"
#include "api/http/wait_room.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define THREADS_MAX 64
#define CONNECTIONS_MAX 8192
#define DESCRIPTORS_KEPT 256         /* for the rest of the daemon, when connections are limited by RLIMIT_NOFILE */
#define IDLE_TIMEOUT_S 30            /* without a byte either way */
#define READ_DEADLINE_MS (60 * 1000) /* from a connection's last reply until its next request is complete */
#define REAP_PAUSE_MS 1000
#if MHD_VERSION >= 0x00097701
#define STRICTNESS MHD_OPTION_CLIENT_DISCIPLINE_LVL
#else
#define STRICTNESS MHD_OPTION_STRICT_FOR_CLIENT
#endif
#define STOP_GRACE_MS 2000
#define STOP_CALLERS_MS 1000
#define STOP_CALM_LOOKS 10
#define PEM_SIZE_MAX (1024 * 1024)

struct listener {
	struct dispatch dispatch;
	struct MHD_Daemon *daemon;
	const struct settings_listen *listen;
	int fd; /* ours: the daemon gives it back when it is quiesced */
	int port;
	bool handed_over; /* by the service manager, whose file it stays */
};

struct api_server {
	struct service *service;
	const char *database;
	pthread_key_t thread_state;
	struct wait_room *wait_room;
	struct limiter *limiter;
	struct read_cache *read_cache;
	_Atomic int64_t unseen_commits;
	struct proxy proxy;
	struct feed *feed;
	struct stream_room *stream_room;
	struct listener *listeners;
	size_t listener_count;

	/* The reaper closes connections that take too long to send a request. The lock guards the list and stopping. */
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping;
	struct dispatch_connection *connections;
	pthread_t reaper;
	bool reaper_runs;
};

/* --- what each HTTP thread has --- */

struct thread_state {
	struct db *db;
	int64_t data_version; /* of its last read transaction */
	int64_t revision;     /* db_revision() before it */
};

static void free_thread_state(void *arg)
{
	struct thread_state *state = arg;
	db_close(state->db);
	free(state);
}

int server_db(struct api_server *server, struct db **ret_db, struct nel_err *err)
{
	struct thread_state *state = pthread_getspecific(server->thread_state);
	if (state == NULL) {
		struct db *db = NULL;
		if (db_open(server->database, &db, err) != 0) {
			err->kind = NEL_DB; /* that there is no file now is no answer to a request */
			return -1;
		}
		state = mem_calloc(1, sizeof *state);
		*state = (struct thread_state){.db = db, .revision = -1};
		pthread_setspecific(server->thread_state, state);
	}
	*ret_db = state->db;
	return 0;
}

/* Commits of other processes (nel-slurmd user, token) are in no db_revision(), but change each connection's data
 * version, as those of this process do. One that may not be this process's makes the instant another one; one that is
 * certainly not makes an end of all that was kept. */
int server_read_instant(struct api_server *server, int64_t revision, int64_t *ret_instant, struct nel_err *err)
{
	struct thread_state *state = pthread_getspecific(server->thread_state);
	int64_t data_version = 0;
	if (db_data_version(state->db, &data_version, err) != 0)
		return -1;
	if (data_version != state->data_version) {
		atomic_fetch_add(&server->unseen_commits, 1);
		if (revision == state->revision)
			read_cache_clear(server->read_cache);
	}
	state->data_version = data_version;
	state->revision = revision;
	*ret_instant = revision + atomic_load(&server->unseen_commits);
	return 0;
}

struct read_cache *server_read_cache(struct api_server *server)
{
	return server->read_cache;
}

struct limiter *server_limiter(struct api_server *server)
{
	return server->limiter;
}

const struct proxy *server_proxy(const struct api_server *server)
{
	return &server->proxy;
}

struct wait_room *server_wait_room(struct api_server *server)
{
	return server->wait_room;
}

struct feed *server_feed(struct api_server *server)
{
	return server->feed;
}

struct stream_room *server_stream_room(struct api_server *server)
{
	return server->stream_room;
}

/* --- slow connections --- */

static void connection_opened(struct api_server *server, struct MHD_Connection *connection, void **context)
{
	struct dispatch_connection *kept = mem_calloc(1, sizeof *kept);
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	kept->fd = info == NULL ? -1 : info->connect_fd;
	atomic_init(&kept->reading_since_ms, clock_mono_ms());
	pthread_mutex_lock(&server->lock);
	kept->next = server->connections;
	if (kept->next != NULL)
		kept->next->previous = kept;
	server->connections = kept;
	pthread_mutex_unlock(&server->lock);
	*context = kept;
}

static void connection_closed(struct api_server *server, struct dispatch_connection *kept)
{
	if (kept == NULL)
		return;
	dispatch_abandon(kept);
	pthread_mutex_lock(&server->lock);
	if (kept->previous != NULL)
		kept->previous->next = kept->next;
	else
		server->connections = kept->next;
	if (kept->next != NULL)
		kept->next->previous = kept->previous;
	pthread_mutex_unlock(&server->lock);
	free(kept);
}

/* MHD_OPTION_NOTIFY_CONNECTION. A connection's descriptor is closed after this, so the reaper never shuts another one's
 * down. */
static void notify_connection(void *cls, struct MHD_Connection *connection, void **context,
			      enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		connection_opened(cls, connection, context);
	else
		connection_closed(cls, *context);
}

/* With the lock held. libmicrohttpd's own time-out starts anew with each byte, which a slow sender could use to hold
 * connections for ever. */
static void shut_slow_connections(struct api_server *server)
{
	int64_t now_ms = clock_mono_ms();
	for (struct dispatch_connection *kept = server->connections; kept != NULL; kept = kept->next) {
		int64_t since_ms = atomic_load_explicit(&kept->reading_since_ms, memory_order_relaxed);
		if (since_ms >= 0 && now_ms - since_ms > READ_DEADLINE_MS && kept->fd >= 0)
			shutdown(kept->fd, SHUT_RDWR);
	}
}

static void *reap(void *arg)
{
	struct api_server *server = arg;
	pthread_mutex_lock(&server->lock);
	while (!server->stopping) {
		clock_cond_wait(&server->stop, &server->lock, REAP_PAUSE_MS);
		shut_slow_connections(server);
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* --- starting --- */

__attribute__((format(printf, 2, 0))) static void log_library(void *cls, const char *fmt, va_list ap)
{
	char text[512];
	(void)cls;
	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("libmicrohttpd", LOG_S("error", text));
}

static int read_pem(const char *path, char **ret_text, struct nel_err *err)
{
	CLEANUP(file_closep) FILE *file = fopen(path, "re");
	if (file == NULL)
		return err_sys(err, NEL_INVALID, errno, "tls: %s", path);
	char *text = mem_calloc(1, PEM_SIZE_MAX + 1);
	size_t size = fread(text, 1, PEM_SIZE_MAX, file);
	if (size == 0 || size == PEM_SIZE_MAX) {
		free(text);
		return err_set(err, NEL_INVALID, "tls: %s: not a PEM file", path);
	}
	*ret_text = text;
	return 0;
}

static enum MHD_Result answer_nobody(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
				     const char *version, const char *data, size_t *size, void **state)
{
	(void)cls, (void)connection, (void)url, (void)method, (void)version, (void)data, (void)size, (void)state;
	return MHD_NO;
}

/* Are they what libmicrohttpd takes? It is asked with a daemon that listens nowhere. */
static int try_pair(const struct settings *settings, const char *cert, const char *key, struct nel_err *err)
{
	struct MHD_Daemon *daemon =
	    MHD_start_daemon(MHD_USE_TLS | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL, answer_nobody,
			     NULL, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_HTTPS_MEM_CERT, cert,
			     MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_END);
	if (daemon == NULL)
		return err_set(err, NEL_INVALID,
			       "tls: %s and %s are not the certificate and the key, as PEM files, of one pair",
			       settings->tls_cert_file, settings->tls_key_file);
	MHD_stop_daemon(daemon);
	return 0;
}

/* The certificate and its key: free() one, secret_wipe() and free() the other, also when it fails. */
static int read_pair(const struct settings *settings, char **ret_cert, char **ret_key, struct nel_err *err)
{
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		return err_set(err, NEL_INVALID, "tls: this libmicrohttpd was built without it");
	if (read_pem(settings->tls_cert_file, ret_cert, err) != 0 ||
	    read_pem(settings->tls_key_file, ret_key, err) != 0)
		return -1;
	return try_pair(settings, *ret_cert, *ret_key, err);
}

int api_server_check_tls(const struct settings *settings, struct nel_err *err)
{
	CLEANUP(mem_freep) char *cert = NULL;
	CLEANUP(mem_freep) char *key = NULL;
	int result = settings->tls_cert_file == NULL ? 0 : read_pair(settings, &cert, &key, err);
	secret_wipe(key);
	return result;
}

static unsigned connection_limit(size_t listener_count)
{
	struct rlimit limit = {0};
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return CONNECTIONS_MAX;
	unsigned long long usable =
	    limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT : limit.rlim_cur / 2;
	usable /= listener_count;
	return usable < CONNECTIONS_MAX ? (unsigned)usable : CONNECTIONS_MAX;
}

/* One address leaves a quarter to the others, whatever the settings say. */
static unsigned address_limit(const struct api_server *server)
{
	int64_t wanted = server->service->settings->limits.connections_per_address;
	unsigned all = connection_limit(server->listener_count);
	unsigned most = all - all / 4;
	return wanted < most ? (unsigned)wanted : most;
}

static unsigned thread_count(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	return cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores;
}

static int start_daemon(struct api_server *server, struct listener *listener, const char *cert, const char *key,
			struct nel_err *err)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	unsigned threads = thread_count();
	struct MHD_OptionItem options[9];
	size_t n = 0;
	if (threads > 1)
		options[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL};
	if (cert != NULL && !listener->listen->is_unix) {
		flags |= MHD_USE_TLS;
		options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)cert};
		options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key};
	}
	options[n++] = (struct MHD_OptionItem){STRICTNESS, 1, NULL};
	/* Not of unix sockets, says libmicrohttpd, which knows addresses of the Internet only. */
	options[n++] =
	    (struct MHD_OptionItem){MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)address_limit(server), NULL};
	options[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	listener->daemon = MHD_start_daemon(
	    flags, 0, NULL, NULL, dispatch_access, &listener->dispatch, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
	    MHD_OPTION_LISTEN_SOCKET, listener->fd, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
	    MHD_OPTION_CONNECTION_LIMIT, connection_limit(server->listener_count), MHD_OPTION_URI_LOG_CALLBACK,
	    dispatch_begin, &listener->dispatch, MHD_OPTION_NOTIFY_COMPLETED, dispatch_completed, &listener->dispatch,
	    MHD_OPTION_NOTIFY_CONNECTION, notify_connection, server, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	if (listener->daemon == NULL) {
		listener->fd = -1; /* closed with the daemon that failed */
		return err_set(err, NEL_INVALID, "the HTTP server did not start; log_level: debug shows why");
	}
	return 0;
}

static bool is_open_at(int fd, const struct settings_listen *listen)
{
	return listen->is_unix ? listen_is_unix(fd, listen->path) : listen_is_tcp(fd, listen->address, listen->port);
}

/* Gives each socket of the service manager to the listener of its address. One that no setting names would be open to
 * people who are never answered. */
static int take_handed_over(struct api_server *server, int count, struct nel_err *err)
{
	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; fd++) {
		size_t i = 0;
		while (i < server->listener_count &&
		       (server->listeners[i].handed_over || !is_open_at(fd, server->listeners[i].listen)))
			i++;
		if (i == server->listener_count) {
			char address[256];
			listen_describe(fd, address, sizeof address);
			return err_set(err, NEL_INVALID,
				       "the service manager listens at %s, which the settings' listen does not name: "
				       "put it there, or take it out of the socket unit",
				       address);
		}
		if (listen_adopt(fd, &server->listeners[i].port, err) != 0)
			return -1;
		server->listeners[i].fd = fd;
		server->listeners[i].handed_over = true;
	}
	return 0;
}

static int open_listener(struct listener *listener, int socket_mode, struct nel_err *err)
{
	const struct settings_listen *listen = listener->listen;
	if (listener->handed_over)
		return 0;
	if (listen->is_unix)
		return listen_unix(listen->path, (mode_t)socket_mode, &listener->fd, err);
	return listen_tcp(listen->address, listen->port, &listener->fd, &listener->port, err);
}

static void log_listening(const struct listener *listener, bool tls)
{
	const struct settings_listen *listen = listener->listen;
	if (listen->is_unix)
		log_info("listening", LOG_S("address", listen->path),
			 LOG_S("opened_by", listener->handed_over ? "service manager" : "nel-slurmd"));
	else
		log_info("listening", LOG_S("address", listen->address), LOG_N("port", listener->port),
			 LOG_S("tls", tls ? "yes" : "no"),
			 LOG_S("opened_by", listener->handed_over ? "service manager" : "nel-slurmd"));
}

static int start_listeners(struct api_server *server, const char *cert, const char *key, struct nel_err *err)
{
	for (size_t i = 0; i < server->listener_count; i++)
		if (open_listener(&server->listeners[i], server->service->settings->socket_mode, err) != 0)
			return -1;
	for (size_t i = 0; i < server->listener_count; i++) {
		if (start_daemon(server, &server->listeners[i], cert, key, err) != 0)
			return -1;
		log_listening(&server->listeners[i], cert != NULL);
	}
	return 0;
}

static int start_with_tls(struct api_server *server, int handed_over, struct nel_err *err)
{
	const struct settings *settings = server->service->settings;
	if (proxy_init(settings, &server->proxy, err) != 0 || take_handed_over(server, handed_over, err) != 0)
		return -1;
	CLEANUP(mem_freep) char *cert = NULL;
	CLEANUP(mem_freep) char *key = NULL;
	if (settings->tls_cert_file != NULL) {
		if (read_pair(settings, &cert, &key, err) != 0) {
			secret_wipe(key);
			return -1;
		}
	}
	int result = start_listeners(server, cert, key, err);
	secret_wipe(key);
	return result;
}

static void init_reaper(struct api_server *server)
{
	pthread_mutex_init(&server->lock, NULL);
	clock_cond_init(&server->stop);
}

int api_server_start(const struct api_options *options, struct api_server **ret_server, struct nel_err *err)
{
	const struct settings *settings = options->service->settings;
	pthread_key_t thread_state;
	int sys = pthread_key_create(&thread_state, free_thread_state);
	if (sys != 0)
		return err_sys(err, NEL_INTERNAL, sys, "the HTTP server");
	struct api_server *server = mem_calloc(1, sizeof *server);
	server->thread_state = thread_state;
	server->service = options->service;
	server->database = options->database;
	server->wait_room = wait_room_new();
	server->limiter = limiter_new();
	server->read_cache = read_cache_new();
	server->listener_count = settings->listen_count;
	server->listeners = mem_calloc(settings->listen_count, sizeof *server->listeners);
	for (size_t i = 0; i < settings->listen_count; i++) {
		struct listener *listener = &server->listeners[i];
		listener->listen = &settings->listen[i];
		listener->fd = -1;
		listener->dispatch.server = server;
		listener->dispatch.service = options->service;
		listener->dispatch.on_unix = settings->listen[i].is_unix;
	}
	init_reaper(server);
	sys = pthread_create(&server->reaper, NULL, reap, server);
	server->reaper_runs = sys == 0;
	int result = sys == 0 ? 0 : err_sys(err, NEL_INTERNAL, sys, "the HTTP server");
	/* Half of the connections may wait for events, so that those who ask for something else get theirs. */
	if (result == 0)
		result = feed_start(connection_limit(server->listener_count) / 2, &server->feed, err);
	if (result == 0 && (server->stream_room = stream_room_new(err)) == NULL)
		result = -1;
	if (result == 0)
		result = start_with_tls(server, options->handed_over, err);
	if (result != 0) {
		api_server_stop(server);
		return -1;
	}
	*ret_server = server;
	return 0;
}

int api_server_port(const struct api_server *server, size_t index)
{
	return index < server->listener_count ? server->listeners[index].port : 0;
}

/* --- stopping --- */

static void stop_reaper(struct api_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	pthread_cond_signal(&server->stop);
	pthread_mutex_unlock(&server->lock);
	if (server->reaper_runs)
		pthread_join(server->reaper, NULL);
}

static int active_requests(struct api_server *server)
{
	int active = 0;
	for (size_t i = 0; i < server->listener_count; i++)
		active += atomic_load(&server->listeners[i].dispatch.active);
	return active;
}

/* Has a connection that is open sent something that is not read yet? */
static bool has_unread(struct api_server *server)
{
	bool unread = false;
	pthread_mutex_lock(&server->lock);
	for (struct dispatch_connection *kept = server->connections; kept != NULL && !unread; kept = kept->next) {
		int size = 0;
		unread = kept->fd >= 0 && ioctl(kept->fd, FIONREAD, &size) == 0 && size > 0;
	}
	pthread_mutex_unlock(&server->lock);
	return unread;
}

static bool has_callers(struct api_server *server)
{
	for (size_t i = 0; i < server->listener_count; i++) {
		struct pollfd caller = {.fd = server->listeners[i].fd, .events = POLLIN};
		if (server->listeners[i].daemon != NULL && poll(&caller, 1, 0) > 0)
			return true;
	}
	return false;
}

/* Waits until the condition has not held for a moment, at most until deadline_ms: between the kernel and a handler
 * there are instants in which a request is seen nowhere. */
static void wait_while(struct api_server *server, bool (*condition)(struct api_server *), int64_t deadline_ms)
{
	const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
	for (int calm = 0; calm < STOP_CALM_LOOKS && clock_mono_ms() < deadline_ms;) {
		calm = condition(server) ? 0 : calm + 1;
		nanosleep(&pause, NULL);
	}
}

static bool is_at_work(struct api_server *server)
{
	return active_requests(server) > 0 || has_unread(server);
}

/* After quiescing, the listening socket is ours again; it must stay open until its daemon has stopped. */
static void stop_listening(struct listener *listener)
{
	if (listener->daemon != NULL)
		MHD_quiesce_daemon(listener->daemon);
	if (listener->fd >= 0 && listener->listen->is_unix && !listener->handed_over)
		unlink(listener->listen->path);
}

void api_server_stop(struct api_server *server)
{
	if (server == NULL)
		return;
	int64_t deadline_ms = clock_mono_ms() + STOP_GRACE_MS;
	/* Who connected before the stop gets an answer: closing a socket cuts off whom the kernel has let in. */
	wait_while(server, has_callers, clock_mono_ms() + STOP_CALLERS_MS);
	for (size_t i = 0; i < server->listener_count; i++)
		stop_listening(&server->listeners[i]);
	wait_room_close(server->wait_room);
	if (server->feed != NULL)
		feed_close(server->feed);
	if (server->stream_room != NULL)
		stream_room_close(server->stream_room);
	wait_while(server, is_at_work, deadline_ms);
	for (size_t i = 0; i < server->listener_count; i++) {
		if (server->listeners[i].daemon != NULL)
			MHD_stop_daemon(server->listeners[i].daemon);
		fd_closep(&server->listeners[i].fd);
	}
	stop_reaper(server);
	pthread_key_delete(server->thread_state);
	pthread_cond_destroy(&server->stop);
	pthread_mutex_destroy(&server->lock);
	wait_room_release(server->wait_room);
	limiter_free(server->limiter);
	read_cache_free(server->read_cache);
	feed_free(server->feed);
	stream_room_free(server->stream_room);
	free(server->listeners);
	free(server);
}
