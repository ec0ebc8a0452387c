#include "sched/lanes.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>

#define TEND_INTERVAL_MS 5000

struct lane {
	const struct settings_cluster *cluster;
	const char *identity;
	struct queue *queue;
	struct ssh_pool *pool;
	pthread_t *threads;
	int thread_count;
};

struct lanes {
	struct lane *items;
	size_t count;
	struct ssh_gates *gates; /* lanes to one host share its handshakes and its breaker */
	volatile bool stopping;
};

static void *lane_main(void *arg)
{
	struct lane *lane = arg;
	bool worked = false;
	for (;;) {
		struct lane_work *work = queue_pop(lane->queue, TEND_INTERVAL_MS);
		if (work != NULL)
			work->run(work, lane->pool);
		else if (queue_is_closed(lane->queue))
			return NULL;
		else if (worked) /* the heap's holes after a burst of run directories and answers */
			malloc_trim(0);
		worked = work != NULL;
		ssh_pool_tend(lane->pool);
	}
}

/* "NAME=value" for each variable of the settings; NULL-terminated. */
static char **environment_of(const struct settings_cluster *cluster)
{
	char **list = mem_calloc(cluster->environment_count + 1, sizeof *list);
	for (size_t i = 0; i < cluster->environment_count; i++)
		list[i] = mem_printf("%s=%s", cluster->environment[i].name, cluster->environment[i].value);
	return list;
}

static void free_list(char **list)
{
	for (char **item = list; *item != NULL; item++)
		free(*item);
	free(list);
}

static int lane_start(struct lane *lane, struct ssh_gates *gates, const volatile bool *stop, struct nel_err *err)
{
	const struct settings_cluster *cluster = lane->cluster;
	char **environment = environment_of(cluster);
	struct ssh_pool_options options = {
	    .target = {.cluster = cluster->name,
		       .hostname = cluster->hostname,
		       .address = cluster->address,
		       .port = cluster->port,
		       .username = lane->identity,
		       .key_file = cluster->key_file,
		       .known_hosts_file = cluster->known_hosts_file,
		       .proxy_command = cluster->proxy_command,
		       .connect_timeout_ms = cluster->connect_timeout_s * 1000},
	    .max_sessions = cluster->max_sessions,
	    .idle_timeout_ms = cluster->idle_timeout_s * 1000,
	    .gate = ssh_gates_get(gates, cluster->address, cluster->port, cluster->proxy_command),
	    .environment = (const char *const *)environment,
	    .stop = stop,
	};
	lane->queue = queue_new(LANE_QUEUE_MAX);
	lane->pool = ssh_pool_new(&options);
	free_list(environment);
	lane->threads = mem_calloc((size_t)cluster->max_sessions, sizeof *lane->threads);
	for (int i = 0; i < cluster->max_sessions; i++) {
		int sys = pthread_create(&lane->threads[i], NULL, lane_main, lane);
		if (sys != 0)
			return err_sys(err, NEL_INTERNAL, sys, "cannot start a thread for cluster %s", cluster->name);
		lane->thread_count++;
	}
	return 0;
}

int lanes_start(const struct settings *settings, struct lanes **ret_lanes, struct nel_err *err)
{
	struct lanes *lanes = mem_calloc(1, sizeof *lanes);
	lanes->items = mem_calloc(settings->cluster_count, sizeof *lanes->items);
	lanes->gates = ssh_gates_new(0);
	for (size_t i = 0; i < settings->cluster_count; i++) {
		const struct settings_cluster *cluster = &settings->clusters[i];
		struct lane *lane = &lanes->items[lanes->count++];
		lane->cluster = cluster;
		lane->identity = cluster->username;
		if (lane_start(lane, lanes->gates, &lanes->stopping, err) != 0) {
			lanes_stop(lanes);
			lanes_free(lanes);
			return -1;
		}
	}
	*ret_lanes = lanes;
	return 0;
}

void lanes_interrupt(struct lanes *lanes)
{
	__atomic_store_n(&lanes->stopping, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->items[i];
		queue_close(lane->queue);
		struct lane_work *work = NULL;
		while ((work = queue_pop(lane->queue, 0)) != NULL)
			work->abandon(work);
	}
}

void lanes_stop(struct lanes *lanes)
{
	lanes_interrupt(lanes);
	for (size_t i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->items[i];
		for (int t = 0; t < lane->thread_count; t++)
			pthread_join(lane->threads[t], NULL);
		lane->thread_count = 0;
	}
}

void lanes_free(struct lanes *lanes)
{
	if (lanes == NULL)
		return;
	for (size_t i = 0; i < lanes->count; i++) {
		ssh_pool_free(lanes->items[i].pool);
		queue_free(lanes->items[i].queue);
		free(lanes->items[i].threads);
	}
	ssh_gates_free(lanes->gates);
	free(lanes->items);
	free(lanes);
}

static struct lane *find(struct lanes *lanes, const char *cluster, const char *identity, struct nel_err *err)
{
	for (size_t i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->items[i];
		if (strcmp(lane->cluster->name, cluster) == 0 && strcmp(lane->identity, identity) == 0)
			return lane;
	}
	err_set(err, NEL_NOTFOUND, "the settings have no cluster %s with the account %s", cluster, identity);
	return NULL;
}

int lanes_push(struct lanes *lanes, const char *cluster, const char *identity, struct lane_work *work,
	       struct nel_err *err)
{
	struct lane *lane = find(lanes, cluster, identity, err);
	if (lane == NULL)
		return -1;
	if (!queue_push(lane->queue, work))
		return err_set(err, NEL_BUSY, "cluster %s has too much waiting; try again soon", cluster);
	return 0;
}

int lanes_stats(struct lanes *lanes, const char *cluster, const char *identity, struct lane_stats *ret_stats,
		struct nel_err *err)
{
	struct lane *lane = find(lanes, cluster, identity, err);
	if (lane == NULL)
		return -1;
	ssh_pool_stats(lane->pool, &ret_stats->ssh);
	ret_stats->queued = queue_length(lane->queue);
	return 0;
}
