/* Owns the count of handshakes under way and the breaker, for each host. */
#include "ssh/host_limit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "ssh/transport.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define WAKE_MS 100

struct ssh_host_limit {
	pthread_mutex_t lock;
	pthread_cond_t left;
	int max, inside;
	struct breaker breaker;
	char fault[512]; /* the last one */
};

struct ssh_host_limit *ssh_host_limit_new(int max)
{
	struct ssh_host_limit *limit = mem_calloc(1, sizeof *limit);
	pthread_mutex_init(&limit->lock, NULL);
	clock_cond_init(&limit->left);
	limit->max = max > 0 ? max : SSH_HOST_LIMIT_DEFAULT;
	uint64_t seed;
	randombytes_buf(&seed, sizeof seed);
	breaker_init(&limit->breaker, seed);
	return limit;
}

void ssh_host_limit_free(struct ssh_host_limit *limit)
{
	if (limit == NULL)
		return;
	pthread_cond_destroy(&limit->left);
	pthread_mutex_destroy(&limit->lock);
	free(limit);
}

/* Under the lock. */
static int say_broken(struct ssh_host_limit *limit, const char *name, struct nel_err *err)
{
	int64_t left_ms = breaker_retry_in_ms(&limit->breaker);
	if (limit->breaker.state == BREAKER_HALF_OPEN)
		return err_set(err, NEL_BUSY, "%s is being tried again after: %s", name, limit->fault);
	return err_set(err, NEL_BUSY, "%s is left alone for another %lld s after: %s", name,
		       (long long)((left_ms + 999) / 1000), limit->fault);
}

int ssh_host_limit_enter(struct ssh_host_limit *limit, const char *name, int64_t timeout_ms, const volatile bool *stop,
			 struct nel_err *err)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	int rc = 0;
	pthread_mutex_lock(&limit->lock);
	while (limit->inside >= limit->max && rc == 0) {
		bool stopped = transport_is_stopped(stop);
		if (stopped || clock_mono_ms() >= until_ms) {
			rc = err_set(err, NEL_BUSY, "%d SSH handshakes are under way, which is the limit",
				     limit->inside);
			if (err != NULL && stopped)
				err->sys = ECANCELED;
			break;
		}
		clock_cond_wait(&limit->left, &limit->lock, WAKE_MS);
	}
	if (rc == 0 && !breaker_enter(&limit->breaker))
		rc = say_broken(limit, name, err);
	else if (rc == 0)
		limit->inside++;
	pthread_mutex_unlock(&limit->lock);
	return rc;
}

void ssh_host_limit_leave(struct ssh_host_limit *limit, enum ssh_host_limit_finding finding, const struct nel_err *err)
{
	pthread_mutex_lock(&limit->lock);
	limit->inside--;
	switch (finding) {
	case SSH_GATE_ANSWERED: breaker_success(&limit->breaker); break;
	case SSH_GATE_UNTRIED: breaker_cancel(&limit->breaker); break;
	case SSH_GATE_FAILED:
		breaker_failure(&limit->breaker);
		snprintf(limit->fault, sizeof limit->fault, "%.*s", (int)sizeof limit->fault - 1, err->msg);
		break;
	}
	pthread_cond_signal(&limit->left);
	pthread_mutex_unlock(&limit->lock);
}

enum breaker_state ssh_host_limit_breaker(struct ssh_host_limit *limit, int64_t *ret_retry_in_ms)
{
	pthread_mutex_lock(&limit->lock);
	enum breaker_state state = limit->breaker.state;
	*ret_retry_in_ms = breaker_retry_in_ms(&limit->breaker);
	pthread_mutex_unlock(&limit->lock);
	return state;
}

/* Never removed: there are as many as hosts in the settings. */
struct entry {
	char *address;
	int port;
	char *proxy_command; /* NULL: none */
	struct ssh_host_limit *limit;
};

struct ssh_host_limits {
	pthread_mutex_t lock;
	int max;
	struct entry *items;
	size_t count;
};

struct ssh_host_limits *ssh_host_limits_new(int max)
{
	struct ssh_host_limits *limits = mem_calloc(1, sizeof *limits);
	pthread_mutex_init(&limits->lock, NULL);
	limits->max = max;
	return limits;
}

void ssh_host_limits_free(struct ssh_host_limits *limits)
{
	if (limits == NULL)
		return;
	for (size_t i = 0; i < limits->count; i++) {
		free(limits->items[i].address);
		free(limits->items[i].proxy_command);
		ssh_host_limit_free(limits->items[i].limit);
	}
	free(limits->items);
	pthread_mutex_destroy(&limits->lock);
	free(limits);
}

static bool is_way(const struct entry *entry, const char *address, int port, const char *proxy_command)
{
	if (entry->port != port || strcasecmp(entry->address, address) != 0)
		return false;
	if (entry->proxy_command == NULL || proxy_command == NULL)
		return entry->proxy_command == proxy_command;
	return strcmp(entry->proxy_command, proxy_command) == 0;
}

struct ssh_host_limit *ssh_host_limits_get(struct ssh_host_limits *limits, const char *address, int port,
					   const char *proxy_command)
{
	struct ssh_host_limit *limit = NULL;
	pthread_mutex_lock(&limits->lock);
	for (size_t i = 0; i < limits->count && limit == NULL; i++)
		if (is_way(&limits->items[i], address, port, proxy_command))
			limit = limits->items[i].limit;
	if (limit == NULL) {
		limit = ssh_host_limit_new(limits->max);
		limits->items = mem_realloc(limits->items, limits->count + 1, sizeof *limits->items);
		limits->items[limits->count++] =
		    (struct entry){mem_strdup(address), port, mem_strdup(proxy_command), limit};
	}
	pthread_mutex_unlock(&limits->lock);
	return limit;
}
