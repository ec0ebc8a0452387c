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

struct ssh_gate {
	pthread_mutex_t lock;
	pthread_cond_t left;
	int max, inside;
	struct breaker breaker;
	char fault[512]; /* the last one */
};

struct ssh_gate *ssh_gate_new(int max)
{
	struct ssh_gate *gate = mem_calloc(1, sizeof *gate);
	pthread_mutex_init(&gate->lock, NULL);
	clock_cond_init(&gate->left);
	gate->max = max > 0 ? max : SSH_GATE_DEFAULT;
	uint64_t seed;
	randombytes_buf(&seed, sizeof seed);
	breaker_init(&gate->breaker, seed);
	return gate;
}

void ssh_gate_free(struct ssh_gate *gate)
{
	if (gate == NULL)
		return;
	pthread_cond_destroy(&gate->left);
	pthread_mutex_destroy(&gate->lock);
	free(gate);
}

/* Under the lock. */
static int say_broken(struct ssh_gate *gate, const char *name, struct nel_err *err)
{
	int64_t left_ms = breaker_retry_in_ms(&gate->breaker);
	if (gate->breaker.state == BREAKER_HALF_OPEN)
		return err_set(err, NEL_BUSY, "%s is being tried again after: %s", name, gate->fault);
	return err_set(err, NEL_BUSY, "%s is left alone for another %lld s after: %s", name,
		       (long long)((left_ms + 999) / 1000), gate->fault);
}

int ssh_gate_enter(struct ssh_gate *gate, const char *name, int64_t timeout_ms, const volatile bool *stop,
		   struct nel_err *err)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	int rc = 0;
	pthread_mutex_lock(&gate->lock);
	while (gate->inside >= gate->max && rc == 0) {
		bool stopped = wire_is_stopped(stop);
		if (stopped || clock_mono_ms() >= until_ms) {
			rc =
			    err_set(err, NEL_BUSY, "%d SSH handshakes are under way, which is the limit", gate->inside);
			if (err != NULL && stopped)
				err->sys = ECANCELED;
			break;
		}
		clock_cond_wait(&gate->left, &gate->lock, WAKE_MS);
	}
	if (rc == 0 && !breaker_enter(&gate->breaker))
		rc = say_broken(gate, name, err);
	else if (rc == 0)
		gate->inside++;
	pthread_mutex_unlock(&gate->lock);
	return rc;
}

void ssh_gate_leave(struct ssh_gate *gate, enum ssh_gate_finding finding, const struct nel_err *err)
{
	pthread_mutex_lock(&gate->lock);
	gate->inside--;
	switch (finding) {
	case SSH_GATE_ANSWERED: breaker_success(&gate->breaker); break;
	case SSH_GATE_UNTRIED: breaker_cancel(&gate->breaker); break;
	case SSH_GATE_FAILED:
		breaker_failure(&gate->breaker);
		snprintf(gate->fault, sizeof gate->fault, "%.*s", (int)sizeof gate->fault - 1, err->msg);
		break;
	}
	pthread_cond_signal(&gate->left);
	pthread_mutex_unlock(&gate->lock);
}

enum breaker_state ssh_gate_breaker(struct ssh_gate *gate, int64_t *ret_retry_in_ms)
{
	pthread_mutex_lock(&gate->lock);
	enum breaker_state state = gate->breaker.state;
	*ret_retry_in_ms = breaker_retry_in_ms(&gate->breaker);
	pthread_mutex_unlock(&gate->lock);
	return state;
}

/* Never removed: there are as many as hosts in the settings. */
struct entry {
	char *address;
	int port;
	char *proxy_command; /* NULL: none */
	struct ssh_gate *gate;
};

struct ssh_gates {
	pthread_mutex_t lock;
	int max;
	struct entry *items;
	size_t count;
};

struct ssh_gates *ssh_gates_new(int max)
{
	struct ssh_gates *gates = mem_calloc(1, sizeof *gates);
	pthread_mutex_init(&gates->lock, NULL);
	gates->max = max;
	return gates;
}

void ssh_gates_free(struct ssh_gates *gates)
{
	if (gates == NULL)
		return;
	for (size_t i = 0; i < gates->count; i++) {
		free(gates->items[i].address);
		free(gates->items[i].proxy_command);
		ssh_gate_free(gates->items[i].gate);
	}
	free(gates->items);
	pthread_mutex_destroy(&gates->lock);
	free(gates);
}

static bool is_way(const struct entry *entry, const char *address, int port, const char *proxy_command)
{
	if (entry->port != port || strcasecmp(entry->address, address) != 0)
		return false;
	if (entry->proxy_command == NULL || proxy_command == NULL)
		return entry->proxy_command == proxy_command;
	return strcmp(entry->proxy_command, proxy_command) == 0;
}

struct ssh_gate *ssh_gates_get(struct ssh_gates *gates, const char *address, int port, const char *proxy_command)
{
	struct ssh_gate *gate = NULL;
	pthread_mutex_lock(&gates->lock);
	for (size_t i = 0; i < gates->count && gate == NULL; i++)
		if (is_way(&gates->items[i], address, port, proxy_command))
			gate = gates->items[i].gate;
	if (gate == NULL) {
		gate = ssh_gate_new(gates->max);
		gates->items = mem_realloc(gates->items, gates->count + 1, sizeof *gates->items);
		gates->items[gates->count++] =
		    (struct entry){mem_strdup(address), port, mem_strdup(proxy_command), gate};
	}
	pthread_mutex_unlock(&gates->lock);
	return gate;
}
