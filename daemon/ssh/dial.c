/* Owns name resolution with a time limit, and the try of each address. */
#include "ssh/dial.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ssh/transport.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES_MAX 8
#define ADDRESS_MIN_MS 1000 /* what each address gets at least, as long as there is time */
#define WAKE_MS 100

/* A connection whose packets are lost is given up by the kernel, also in the middle of a command: after 20 s of silence
 * it asks every 5 s, and 35 s without any answer end it (tcp(7)). */
#define KEEPALIVE_IDLE_S 20
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 3
#define SILENCE_MAX_MS 35000

/* A question to the resolver, on a thread of its own: getaddrinfo() has no time limit. Who drops the last reference
 * frees it. */
struct lookup {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	int references;
	bool done;
	int rc, sys;
	char *host;
	char service[8];
	struct addrinfo *list;
};

static void lookup_drop(struct lookup *l)
{
	pthread_mutex_lock(&l->lock);
	bool last = --l->references == 0;
	pthread_mutex_unlock(&l->lock);
	if (!last)
		return;
	if (l->list != NULL)
		freeaddrinfo(l->list);
	pthread_cond_destroy(&l->ended);
	pthread_mutex_destroy(&l->lock);
	free(l->host);
	free(l);
}

static void lookup_dropp(struct lookup **l)
{
	if (*l != NULL)
		lookup_drop(*l);
}

static int ask(const char *host, const char *service, int flags, struct addrinfo **ret_list)
{
	struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
	return getaddrinfo(host, service, &hints, ret_list);
}

static void *lookup_run(void *arg)
{
	struct lookup *l = arg;
	struct addrinfo *list = NULL;
	int rc = ask(l->host, l->service, AI_ADDRCONFIG, &list);
	int sys = errno;
	pthread_mutex_lock(&l->lock);
	l->list = rc == 0 ? list : NULL;
	l->rc = rc;
	l->sys = sys;
	l->done = true;
	pthread_cond_signal(&l->ended);
	pthread_mutex_unlock(&l->lock);
	lookup_drop(l);
	return NULL;
}

static struct lookup *lookup_new(const char *host, const char *service)
{
	struct lookup *l = mem_calloc(1, sizeof *l);
	l->references = 1;
	l->host = mem_strdup(host);
	snprintf(l->service, sizeof l->service, "%s", service);
	pthread_mutex_init(&l->lock, NULL);
	clock_cond_init(&l->ended);
	return l;
}

static int lookup_start(struct lookup *l, struct nel_err *err)
{
	pthread_attr_t attributes;
	pthread_t thread;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	l->references++;
	int rc = pthread_create(&thread, &attributes, lookup_run, l);
	pthread_attr_destroy(&attributes);
	if (rc == 0)
		return 0;
	l->references--;
	return err_sys(err, NEL_INTERNAL, rc, "cannot start a thread to resolve %s", l->host);
}

static int give_up(const char *address, int port, const volatile bool *stop, struct nel_err *err)
{
	bool stopped = transport_is_stopped(stop);
	err_set(err, NEL_REMOTE,
		stopped ? "connecting to %s port %d: given up, as asked" : "connecting to %s port %d: time-out",
		address, port);
	if (err != NULL)
		err->sys = stopped ? ECANCELED : ETIMEDOUT;
	return -1;
}

static void wait_a_moment(struct lookup *l, int64_t left_ms)
{
	clock_cond_wait(&l->ended, &l->lock, left_ms < WAKE_MS ? left_ms : WAKE_MS);
}

static int lookup_wait(struct lookup *l, int port, int64_t deadline_ms, const volatile bool *stop, struct nel_err *err)
{
	pthread_mutex_lock(&l->lock);
	while (!l->done && !transport_is_stopped(stop)) {
		int64_t left_ms = deadline_ms - clock_mono_ms();
		if (left_ms <= 0)
			break;
		wait_a_moment(l, left_ms);
	}
	bool done = l->done;
	int rc = l->rc, sys = l->sys;
	pthread_mutex_unlock(&l->lock);
	if (!done)
		return give_up(l->host, port, stop, err);
	if (rc == EAI_SYSTEM)
		return err_sys(err, NEL_REMOTE, sys, "cannot resolve %s", l->host);
	if (rc != 0)
		return err_set(err, NEL_REMOTE, "cannot resolve %s: %s", l->host, gai_strerror(rc));
	return 0;
}

static void set_options(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){KEEPALIVE_IDLE_S}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){KEEPALIVE_INTERVAL_S}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){KEEPALIVE_PROBES}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(unsigned){SILENCE_MAX_MS}, sizeof(unsigned));
}

/* 0, or an errno: ETIMEDOUT at until_ms, ECANCELED when stopped. */
static int connect_to(const struct addrinfo *a, int64_t until_ms, const volatile bool *stop, int *ret_fd)
{
	CLEANUP(fd_closep) int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	int sys = 0;
	if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS)
		return errno;
	for (;;) {
		if (transport_is_stopped(stop))
			return ECANCELED;
		int64_t left_ms = until_ms - clock_mono_ms();
		if (left_ms <= 0)
			return ETIMEDOUT;
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		int n = poll(&p, 1, left_ms < WAKE_MS ? (int)left_ms : WAKE_MS);
		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0)
			break;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &(socklen_t){sizeof sys}) != 0)
		return errno;
	if (sys != 0)
		return sys;
	set_options(fd);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int connect_any(const struct addrinfo *list, const char *address, int port, int64_t deadline_ms,
		       const volatile bool *stop, int *ret_fd, struct nel_err *err)
{
	int left = 0, sys = EADDRNOTAVAIL;
	for (const struct addrinfo *a = list; a != NULL && left < ADDRESSES_MAX; a = a->ai_next)
		left++;
	for (const struct addrinfo *a = list; left > 0; a = a->ai_next, left--) {
		int64_t now_ms = clock_mono_ms();
		int64_t share_ms = (deadline_ms - now_ms) / left;
		int64_t until_ms = now_ms + (share_ms < ADDRESS_MIN_MS ? ADDRESS_MIN_MS : share_ms);
		sys = connect_to(a, until_ms < deadline_ms ? until_ms : deadline_ms, stop, ret_fd);
		if (sys == 0)
			return 0;
		if (sys == ECANCELED)
			return give_up(address, port, stop, err);
	}
	return err_sys(err, NEL_REMOTE, sys, "cannot connect to %s port %d", address, port);
}

int dial(const char *address, int port, int64_t deadline_ms, const volatile bool *stop, int *ret_fd,
	 struct nel_err *err)
{
	char service[8];
	snprintf(service, sizeof service, "%d", port);
	struct addrinfo *numeric = NULL;
	if (ask(address, service, AI_NUMERICHOST, &numeric) == 0) {
		int rc = connect_any(numeric, address, port, deadline_ms, stop, ret_fd, err);
		freeaddrinfo(numeric);
		return rc;
	}
	CLEANUP(lookup_dropp) struct lookup *l = lookup_new(address, service);
	if (lookup_start(l, err) != 0 || lookup_wait(l, port, deadline_ms, stop, err) != 0)
		return -1;
	return connect_any(l->list, address, port, deadline_ms, stop, ret_fd, err);
}
