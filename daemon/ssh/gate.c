/* Owns the count of handshakes under way, for each host. */
#include "ssh/gate.h"

#include "base/clock.h"
#include "base/mem.h"
#include "ssh/wire.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define WAKE_MS 100

struct ssh_gate {
	pthread_mutex_t lock;
	pthread_cond_t left;
	int max, inside;
};

struct ssh_gate *ssh_gate_new(int max)
{
	struct ssh_gate *gate = mem_calloc(1, sizeof *gate);
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->left, NULL);
	gate->max = max > 0 ? max : SSH_GATE_DEFAULT;
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

int ssh_gate_enter(struct ssh_gate *gate, int64_t timeout_ms, const volatile bool *stop, struct nel_err *err)
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
		struct timespec wake;
		clock_gettime(CLOCK_REALTIME, &wake);
		wake.tv_nsec += WAKE_MS * 1000000L;
		if (wake.tv_nsec >= 1000000000L) {
			wake.tv_nsec -= 1000000000L;
			wake.tv_sec++;
		}
		pthread_cond_timedwait(&gate->left, &gate->lock, &wake);
	}
	if (rc == 0)
		gate->inside++;
	pthread_mutex_unlock(&gate->lock);
	return rc;
}

void ssh_gate_leave(struct ssh_gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->inside--;
	pthread_cond_signal(&gate->left);
	pthread_mutex_unlock(&gate->lock);
}

/* Never removed: there are as many as hosts in the settings. */
struct entry {
	char *address;
	int port;
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
		ssh_gate_free(gates->items[i].gate);
	}
	free(gates->items);
	pthread_mutex_destroy(&gates->lock);
	free(gates);
}

struct ssh_gate *ssh_gates_get(struct ssh_gates *gates, const char *address, int port)
{
	struct ssh_gate *gate = NULL;
	pthread_mutex_lock(&gates->lock);
	for (size_t i = 0; i < gates->count && gate == NULL; i++) {
		const struct entry *entry = &gates->items[i];
		if (entry->port == port && strcasecmp(entry->address, address) == 0)
			gate = entry->gate;
	}
	if (gate == NULL) {
		gate = ssh_gate_new(gates->max);
		gates->items = mem_realloc(gates->items, gates->count + 1, sizeof *gates->items);
		gates->items[gates->count++] = (struct entry){mem_strdup(address), port, gate};
	}
	pthread_mutex_unlock(&gates->lock);
	return gate;
}
