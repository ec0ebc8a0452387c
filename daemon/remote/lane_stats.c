#include "remote/workers.h"
#include "remote/workers_internal.h"

#include <string.h>

static int breaker_rank(enum breaker_state state)
{
	switch (state) {
	case BREAKER_CLOSED: return 0;
	case BREAKER_HALF_OPEN: return 1;
	case BREAKER_OPEN: return 2;
	}
	return 0;
}

/* A refused key of one person says nothing of the cluster. */
static bool is_personal(const struct lane *lane, const struct ssh_pool_stats *stats)
{
	return lane->cluster->identity_per_user && err_is_login(stats->last_reason);
}

void lane_stats_take_error(struct ssh_pool_stats *sum, const struct ssh_pool_stats *one)
{
	bool known = sum->last_kind != NEL_OK;
	bool new = one->last_kind != NEL_OK;
	if (known > new || (known == new && one->last_error_s <= sum->last_error_s))
		return;
	sum->last_error_s = one->last_error_s;
	sum->last_kind = one->last_kind;
	sum->last_reason = one->last_reason;
	memcpy(sum->last_error, one->last_error, sizeof sum->last_error);
}

static void add_lane(const struct lane *lane, bool alone, struct lane_stats *sum)
{
	struct ssh_pool_stats one = {0};
	if (lane->phase == LANE_READY)
		ssh_pool_stats(lane->pool, &one);
	sum->queued += lane->queued;
	if (lane->reader != NULL) {
		struct lane_reader_stats reading;
		lane_reader_stats(lane->reader, &reading);
		sum->reader.transfers += reading.transfers;
		sum->reader.followers += reading.followers;
	}
	sum->lanes += lane->retired ? 0 : 1;
	struct ssh_pool_stats *all = &sum->ssh;
	all->sessions += one.sessions;
	all->busy += one.busy;
	all->handshakes += one.handshakes;
	all->execs += one.execs;
	all->failures += one.failures;
	if (lane->retired)
		return;
	if (breaker_rank(one.breaker) > breaker_rank(all->breaker)) {
		all->breaker = one.breaker;
		all->retry_in_ms = one.retry_in_ms;
	}
	if (one.last_ok_s > all->last_ok_s)
		all->last_ok_s = one.last_ok_s;
	if (alone || !is_personal(lane, &one))
		lane_stats_take_error(all, &one);
}

int lanes_stats(struct lanes *lanes, const char *cluster, const char *identity, struct lane_stats *ret_stats,
		struct nel_err *err)
{
	struct lane_stats sum = {0};
	int rc = 0;
	pthread_mutex_lock(&lanes->lock);
	for (const struct lane *lane = lanes->first; lane != NULL; lane = lane->next)
		if (strcmp(lane->cluster->name, cluster) == 0 &&
		    (identity == NULL || strcmp(lane->identity, identity) == 0))
			add_lane(lane, identity != NULL, &sum);
	if (settings_cluster_by_name(lanes->settings, cluster) == NULL) {
		rc = err_set(err, NEL_NOTFOUND, "the settings have no cluster %s", cluster);
	} else if (identity == NULL) {
		const struct tally *tally = lanes_tally(lanes, cluster);
		sum.ssh.handshakes += tally->handshakes;
		sum.ssh.execs += tally->execs;
		sum.ssh.failures += tally->failures;
	}
	pthread_mutex_unlock(&lanes->lock);
	if (rc == 0)
		*ret_stats = sum;
	return rc;
}
