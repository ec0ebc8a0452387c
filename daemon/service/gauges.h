/* What the daemon's parts say of themselves, for GET /metrics. HTTP threads. */
#ifndef NEL_SERVICE_GAUGES_H
#define NEL_SERVICE_GAUGES_H

#include "service/service.h"

struct cluster_gauges {
	const char *name;    /* the settings' */
	int64_t observed_at; /* 0: not yet */
	int failures;        /* observations, in a row */
	int64_t looks;
	int64_t bad_looks;
	int64_t looks_ms;
	int64_t looks_bytes;
	int sessions;
	int busy;
	int64_t handshakes;
	int64_t execs;
	int64_t ssh_failures;
	const char *breaker;
	size_t queued;
};

/* Of the cluster with that index in these settings; false when they name it twice and this is the second. */
bool service_cluster_gauges(struct service *service, const struct settings *settings, size_t index,
			    struct cluster_gauges *ret_gauges);

struct daemon_gauges {
	int64_t active_chains;
	size_t scheduler_queue;
	int64_t scheduler_silence_ms;
	int64_t webhooks_delivered;
	int64_t webhooks_retried;
	int64_t webhooks_failed;
	int webhooks_sending;
};

void service_gauges(struct service *service, struct daemon_gauges *ret_gauges);

/* Of the whole process (proc(5)). */
struct process_gauges {
	double cpu_s;
	double started_at; /* seconds since the epoch */
	int64_t resident_bytes;
	int64_t virtual_bytes;
	int64_t descriptors;
	int64_t descriptors_max;
	int64_t threads;
};

void service_process_gauges(struct process_gauges *ret_gauges);

#endif
