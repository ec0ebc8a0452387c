/* Owns the stations: what the scheduler knows of each identity on each cluster, from its first chain on. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "chain/budget.h"
#include "sched/scheduler_state.h"

#include <string.h>

#define REFUSED_MIN_MS 10000 /* between logins that are refused, doubled each time */
#define REFUSED_MAX_MS 60000

static struct station *find(struct scheduler *s, const char *cluster, const char *identity)
{
	for (size_t i = 0; i < s->station_count; i++)
		if (strcmp(s->stations[i]->name, cluster) == 0 && strcmp(s->stations[i]->identity, identity) == 0)
			return s->stations[i];
	return NULL;
}

static void take_accounting(struct station *station)
{
	station->accounting_known = station->cluster->accounting != ACCOUNTING_AUTO;
	station->accounting = station->cluster->accounting == ACCOUNTING_SACCT;
}

struct station *core_station(struct scheduler *s, const char *cluster, const char *identity)
{
	struct station *station = find(s, cluster, identity);
	if (station != NULL)
		return station;
	const struct settings_cluster *found = settings_cluster_of(s->known_settings, cluster, identity);
	if (found == NULL)
		return NULL;
	station = mem_calloc(1, sizeof *station);
	station->name = mem_strdup(cluster);
	station->identity = mem_strdup(identity);
	station->cluster = found;
	take_accounting(station);
	pthread_mutex_lock(&s->sight_lock);
	s->stations = mem_realloc(s->stations, s->station_count + 1, sizeof(struct station *));
	s->stations[s->station_count++] = station;
	pthread_mutex_unlock(&s->sight_lock);
	return station;
}

struct station *core_station_of(struct scheduler *s, struct live *live)
{
	if (live->station == NULL)
		live->station = core_station(s, live->job.cluster, live->job.identity);
	return live->station;
}

void stations_adopt(struct scheduler *s, const struct settings *settings)
{
	s->known_settings = settings;
	for (size_t i = 0; i < s->station_count; i++) {
		struct station *station = s->stations[i];
		const struct settings_cluster *now = settings_cluster_of(settings, station->name, station->identity);
		if (now == NULL)
			continue; /* its chains end as they began */
		bool accounting = now->accounting != station->cluster->accounting;
		station->cluster = now;
		if (accounting)
			take_accounting(station);
		core_quicken(station); /* a shorter interval holds at once */
		stations_let_in(station);
	}
}

void stations_refused(struct station *station, const char *why)
{
	int64_t now_ms = clock_mono_ms();
	if (station->refused_ms <= now_ms) {
		int64_t pause_ms = REFUSED_MIN_MS;
		for (int i = 0; i < station->refusals && pause_ms < REFUSED_MAX_MS; i++)
			pause_ms *= 2;
		station->refusals++;
		station->refused_ms = now_ms + (pause_ms < REFUSED_MAX_MS ? pause_ms : REFUSED_MAX_MS);
	}
	free(station->refused_why);
	station->refused_why = mem_strdup(why);
}

void stations_let_in(struct station *station)
{
	station->refusals = 0;
	station->refused_ms = 0;
}

void stations_take_nudges(struct scheduler *s)
{
	for (size_t i = 0; i < s->station_count; i++) {
		struct station *station = s->stations[i];
		pthread_mutex_lock(&s->sight_lock);
		bool nudged = station->nudged;
		station->nudged = false;
		pthread_mutex_unlock(&s->sight_lock);
		if (!nudged)
			continue;
		stations_let_in(station);
		struct live *live = NULL;
		struct live *next = NULL;
		HASH_ITER(hh, s->live.by_seq, live, next) {
			if (live->station == station)
				live->due_ms = 0;
		}
	}
}

void stations_free(struct scheduler *s)
{
	for (size_t i = 0; i < s->station_count; i++) {
		free(s->stations[i]->name);
		free(s->stations[i]->identity);
		free(s->stations[i]->refused_why);
		free(s->stations[i]);
	}
	free(s->stations);
}

void scheduler_nudge(struct scheduler *s, const char *cluster, const char *identity)
{
	pthread_mutex_lock(&s->sight_lock);
	struct station *station = find(s, cluster, identity);
	if (station != NULL)
		station->nudged = true;
	pthread_mutex_unlock(&s->sight_lock);
	if (station != NULL && !atomic_exchange(&s->nudged, true))
		queue_push(s->inbox, NULL);
}

void scheduler_sight(struct scheduler *s, const char *cluster, const char *identity, struct scheduler_sight *ret_sight)
{
	struct scheduler_sight sum = {0};
	pthread_mutex_lock(&s->sight_lock);
	for (size_t i = 0; i < s->station_count; i++) {
		const struct station *station = s->stations[i];
		if (strcmp(station->name, cluster) != 0 ||
		    (identity != NULL && strcmp(station->identity, identity) != 0))
			continue;
		const struct scheduler_sight *one = &station->sight;
		sum.looks += one->looks;
		sum.bad_looks += one->bad_looks;
		sum.looks_ms += one->looks_ms;
		sum.looks_bytes += one->looks_bytes;
		if (one->observed_at > sum.observed_at)
			sum.observed_at = one->observed_at;
		if (one->accounting_error[0] != '\0')
			memcpy(sum.accounting_error, one->accounting_error, sizeof sum.accounting_error);
		if (one->failures > sum.failures) {
			sum.failures = one->failures;
			memcpy(sum.error, one->error, sizeof sum.error);
		}
	}
	pthread_mutex_unlock(&s->sight_lock);
	*ret_sight = sum;
}
