/* Owns the watches: what the scheduler knows of each identity on each cluster, from its first chain on. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "chain/budget.h"
#include "sched/scheduler_state.h"

#include <string.h>

#define REFUSED_MIN_MS 10000 /* between logins that are refused, doubled each time */
#define REFUSED_MAX_MS 60000

static struct cluster_watch *find(struct scheduler *s, const char *cluster, const char *identity)
{
	for (size_t i = 0; i < s->watch_count; i++)
		if (strcmp(s->watches[i]->name, cluster) == 0 && strcmp(s->watches[i]->identity, identity) == 0)
			return s->watches[i];
	return NULL;
}

static void take_accounting(struct cluster_watch *watch)
{
	watch->accounting_known = watch->cluster->accounting != ACCOUNTING_AUTO;
	watch->accounting = watch->cluster->accounting == ACCOUNTING_SACCT;
}

struct cluster_watch *cluster_watch_get(struct scheduler *s, const char *cluster, const char *identity)
{
	struct cluster_watch *watch = find(s, cluster, identity);
	if (watch != NULL)
		return watch;
	const struct settings_cluster *found = settings_cluster_of(s->known_settings, cluster, identity);
	if (found == NULL)
		return NULL;
	watch = mem_calloc(1, sizeof *watch);
	watch->name = mem_strdup(cluster);
	watch->identity = mem_strdup(identity);
	watch->cluster = found;
	take_accounting(watch);
	pthread_mutex_lock(&s->watch_lock);
	s->watches = mem_realloc(s->watches, s->watch_count + 1, sizeof(struct cluster_watch *));
	s->watches[s->watch_count++] = watch;
	pthread_mutex_unlock(&s->watch_lock);
	return watch;
}

struct cluster_watch *cluster_watch_of(struct scheduler *s, struct active_chain *chain)
{
	if (chain->watch == NULL)
		chain->watch = cluster_watch_get(s, chain->job.cluster, chain->job.identity);
	return chain->watch;
}

void cluster_watch_adopt(struct scheduler *s, const struct settings *settings)
{
	s->known_settings = settings;
	for (size_t i = 0; i < s->watch_count; i++) {
		struct cluster_watch *watch = s->watches[i];
		const struct settings_cluster *now = settings_cluster_of(settings, watch->name, watch->identity);
		if (now == NULL)
			continue; /* its chains end as they began */
		bool accounting = now->accounting != watch->cluster->accounting;
		watch->cluster = now;
		if (accounting)
			take_accounting(watch);
		cluster_watch_quicken(watch); /* a shorter interval holds at once */
		cluster_watch_let_in(watch);
	}
}

void cluster_watch_refused(struct cluster_watch *watch, const char *why)
{
	int64_t now_ms = clock_mono_ms();
	if (watch->refused_ms <= now_ms) {
		int64_t pause_ms = REFUSED_MIN_MS;
		for (int i = 0; i < watch->refusals && pause_ms < REFUSED_MAX_MS; i++)
			pause_ms *= 2;
		watch->refusals++;
		watch->refused_ms = now_ms + (pause_ms < REFUSED_MAX_MS ? pause_ms : REFUSED_MAX_MS);
	}
	free(watch->refused_why);
	watch->refused_why = mem_strdup(why);
}

void cluster_watch_let_in(struct cluster_watch *watch)
{
	watch->refusals = 0;
	watch->refused_ms = 0;
}

void cluster_watch_take_nudges(struct scheduler *s)
{
	for (size_t i = 0; i < s->watch_count; i++) {
		struct cluster_watch *watch = s->watches[i];
		pthread_mutex_lock(&s->watch_lock);
		bool nudged = watch->nudged;
		watch->nudged = false;
		pthread_mutex_unlock(&s->watch_lock);
		if (!nudged)
			continue;
		cluster_watch_let_in(watch);
		struct active_chain *chain = NULL;
		struct active_chain *next = NULL;
		HASH_ITER(hh, s->chains.by_seq, chain, next) {
			if (chain->watch == watch)
				chain->due_ms = 0;
		}
	}
}

void cluster_watch_free(struct scheduler *s)
{
	for (size_t i = 0; i < s->watch_count; i++) {
		free(s->watches[i]->name);
		free(s->watches[i]->identity);
		free(s->watches[i]->refused_why);
		free(s->watches[i]);
	}
	free(s->watches);
}

void scheduler_nudge(struct scheduler *s, const char *cluster, const char *identity)
{
	pthread_mutex_lock(&s->watch_lock);
	struct cluster_watch *watch = find(s, cluster, identity);
	if (watch != NULL)
		watch->nudged = true;
	pthread_mutex_unlock(&s->watch_lock);
	if (watch != NULL && !atomic_exchange(&s->nudged, true))
		queue_push(s->inbox, NULL);
}

void scheduler_observation(struct scheduler *s, const char *cluster, const char *identity,
			   struct observation_stats *ret_stats)
{
	struct observation_stats sum = {0};
	pthread_mutex_lock(&s->watch_lock);
	for (size_t i = 0; i < s->watch_count; i++) {
		const struct cluster_watch *watch = s->watches[i];
		if (strcmp(watch->name, cluster) != 0 || (identity != NULL && strcmp(watch->identity, identity) != 0))
			continue;
		const struct observation_stats *one = &watch->stats;
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
	pthread_mutex_unlock(&s->watch_lock);
	*ret_stats = sum;
}
