#include "sched/cluster_watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "chain/budget.h"
#include "slurm/slurm_state.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define FIRST_OBSERVATION_MS 1000
#define OBSERVATION_BACKOFF 10 /* a failing cluster is asked this many times less often, at most */
#define SACCT_PAUSE_S 10       /* after sacct has failed, and up to */
#define SACCT_PAUSE_MAX_S 300
#define REFUSED_MIN_MS 10000 /* between logins that are refused, doubled each time */
#define REFUSED_MAX_MS 60000

void cluster_watches_init(struct cluster_watches *watches, const struct settings *settings)
{
	*watches = (struct cluster_watches){.settings = settings};
	pthread_mutex_init(&watches->lock, NULL);
}

void cluster_watches_done(struct cluster_watches *watches)
{
	for (size_t i = 0; i < watches->count; i++) {
		free(watches->items[i]->name);
		free(watches->items[i]->identity);
		free(watches->items[i]->refused_why);
		free(watches->items[i]->look_why);
		lost_evaluations_done(&watches->items[i]->lost);
		free(watches->items[i]);
	}
	free(watches->items);
	pthread_mutex_destroy(&watches->lock);
}

static struct cluster_watch *find(struct cluster_watches *watches, const char *cluster, const char *identity)
{
	for (size_t i = 0; i < watches->count; i++)
		if (strcmp(watches->items[i]->name, cluster) == 0 && strcmp(watches->items[i]->identity, identity) == 0)
			return watches->items[i];
	return NULL;
}

static void take_accounting(struct cluster_watch *watch)
{
	watch->accounting_known = watch->cluster->accounting != ACCOUNTING_AUTO;
	watch->accounting = watch->cluster->accounting == ACCOUNTING_SACCT;
}

struct cluster_watch *cluster_watch_get(struct cluster_watches *watches, const char *cluster, const char *identity)
{
	struct cluster_watch *watch = find(watches, cluster, identity);
	if (watch != NULL)
		return watch;
	const struct settings_cluster *found = settings_cluster_of(watches->settings, cluster, identity);
	if (found == NULL)
		return NULL;
	watch = mem_calloc(1, sizeof *watch);
	watch->name = mem_strdup(cluster);
	watch->identity = mem_strdup(identity);
	watch->cluster = found;
	take_accounting(watch);
	pthread_mutex_lock(&watches->lock);
	watches->items = mem_realloc(watches->items, watches->count + 1, sizeof(struct cluster_watch *));
	watches->items[watches->count++] = watch;
	pthread_mutex_unlock(&watches->lock);
	return watch;
}

struct cluster_watch *cluster_watch_of(struct cluster_watches *watches, struct active_chain *chain)
{
	if (chain->watch == NULL)
		chain->watch = cluster_watch_get(watches, chain->job.cluster, chain->job.identity);
	return chain->watch;
}

void cluster_watch_quicken(struct cluster_watch *watch)
{
	if (watch == NULL)
		return;
	int64_t most_ms = watch->cluster->poll_interval_s * 1000;
	watch->interval_ms = FIRST_OBSERVATION_MS < most_ms ? FIRST_OBSERVATION_MS : most_ms;
	int64_t soon_ms = clock_mono_ms() + watch->interval_ms;
	if (watch->failures == 0 && watch->next_ms > soon_ms)
		watch->next_ms = soon_ms;
}

bool cluster_watch_is_due(const struct cluster_watch *watch, int64_t now_ms)
{
	return !watch->observing && watch->next_ms <= now_ms;
}

void cluster_watch_release(struct cluster_watch *watch, bool early, bool told_early)
{
	if (early)
		watch->sacct_since_ms = clock_mono_ms();
	watch->sacct_asked = early || (watch->sacct_asked && !told_early);
	if (!told_early)
		watch->observing = false;
}

void cluster_watch_plan(struct cluster_watch *watch, bool changed)
{
	int64_t most_ms = watch->cluster->poll_interval_s * 1000;
	if (watch->failures > 0)
		log_info("cluster can be observed again", LOG_S("cluster", watch->cluster->name),
			 LOG_N("failures", watch->failures));
	watch->failures = 0;
	watch->interval_ms = changed ? FIRST_OBSERVATION_MS : watch->interval_ms * 2;
	if (watch->interval_ms > most_ms)
		watch->interval_ms = most_ms;
	/* With a tenth of jitter either way. */
	int64_t jitter_ms =
	    (int64_t)(randombytes_uniform((uint32_t)(watch->interval_ms / 5) + 1)) - watch->interval_ms / 10;
	watch->next_ms = clock_mono_ms() + watch->interval_ms + jitter_ms;
}

void cluster_watch_note_stats(struct cluster_watches *watches, struct cluster_watch *watch, const char *why)
{
	pthread_mutex_lock(&watches->lock);
	struct observation_stats *stats = &watch->stats;
	stats->failures = watch->failures;
	if (why == NULL)
		stats->observed_at = clock_now_s();
	snprintf(stats->error, sizeof stats->error, "%.*s", (int)sizeof stats->error - 1, why != NULL ? why : "");
	memcpy(stats->accounting_error, watch->sacct_error, sizeof stats->accounting_error);
	pthread_mutex_unlock(&watches->lock);
}

void cluster_watch_failed(struct cluster_watches *watches, struct cluster_watch *watch, const char *why)
{
	int64_t interval_s = watch->cluster->poll_interval_s;
	watch->failures++;
	watch->next_ms =
	    clock_mono_ms() +
	    backoff_s(watch->failures, interval_s, interval_s * OBSERVATION_BACKOFF, randombytes_random()) * 1000;
	cluster_watch_note_stats(watches, watch, why);
	log_warning("cluster cannot be observed", LOG_S("cluster", watch->cluster->name),
		    LOG_N("failures", watch->failures), LOG_S("error", why));
}

void cluster_watch_note_cost(struct cluster_watches *watches, struct cluster_watch *watch, bool bad, int64_t took_ms,
			     int64_t bytes)
{
	pthread_mutex_lock(&watches->lock);
	watch->stats.looks += !bad;
	watch->stats.bad_looks += bad;
	watch->stats.looks_ms += took_ms;
	watch->stats.looks_bytes += bytes;
	pthread_mutex_unlock(&watches->lock);
}

void cluster_watch_note_counts(struct cluster_watches *watches, struct cluster_watch *watch,
			       const struct node_counts *counts)
{
	if (counts->nodes == 0)
		return;
	pthread_mutex_lock(&watches->lock);
	watch->stats.counts = *counts;
	watch->stats.counted_at = clock_now_s();
	pthread_mutex_unlock(&watches->lock);
}

void cluster_watch_note_sacct(struct cluster_watch *watch, const struct observe_reply *reply)
{
	if (reply->sacct_failed) {
		int64_t pause_s =
		    backoff_s(++watch->sacct_failures, SACCT_PAUSE_S, SACCT_PAUSE_MAX_S, randombytes_random());
		watch->sacct_ms = clock_mono_ms() + pause_s * 1000;
		if (watch->sacct_error[0] == '\0')
			log_warning("accounting does not answer", LOG_S("cluster", watch->cluster->name),
				    LOG_S("error", reply->message));
		snprintf(watch->sacct_error, sizeof watch->sacct_error, "%.255s", reply->message);
	} else if (reply->sacct_asked) {
		if (watch->sacct_error[0] != '\0')
			log_info("accounting answers again", LOG_S("cluster", watch->cluster->name));
		watch->sacct_failures = 0;
		watch->sacct_ms = 0;
		watch->sacct_error[0] = '\0';
	}
}

void cluster_watch_note_state(struct cluster_watch *watch, const char *state, const char *job)
{
	char word[32];
	if (state[0] == '\0' || slurm_state_class(state) != SLURM_UNKNOWN)
		return;
	size_t used = strlen(watch->unknown_states);
	snprintf(word, sizeof word, "%s ", state);
	if (strstr(watch->unknown_states, word) != NULL || used + strlen(word) >= sizeof watch->unknown_states)
		return;
	memcpy(watch->unknown_states + used, word, strlen(word) + 1);
	log_warning("Slurm says a state that is not known here; nothing follows from it",
		    LOG_S("cluster", watch->cluster->name), LOG_S("state", state), LOG_S("job", job));
}

void cluster_watches_adopt(struct cluster_watches *watches, const struct settings *settings)
{
	watches->settings = settings;
	for (size_t i = 0; i < watches->count; i++) {
		struct cluster_watch *watch = watches->items[i];
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

void cluster_watch_retry(struct cluster_watch *watch)
{
	cluster_watch_let_in(watch);
	watch->next_ms = 0;
}

void cluster_watches_take_nudges(struct cluster_watches *watches, const struct active_chains *chains)
{
	for (size_t i = 0; i < watches->count; i++) {
		struct cluster_watch *watch = watches->items[i];
		pthread_mutex_lock(&watches->lock);
		bool nudged = watch->nudged;
		watch->nudged = false;
		pthread_mutex_unlock(&watches->lock);
		if (!nudged)
			continue;
		cluster_watch_let_in(watch);
		struct active_chain *chain = NULL;
		struct active_chain *next = NULL;
		HASH_ITER(hh, chains->by_seq, chain, next) {
			if (chain->watch == watch)
				chain->due_ms = 0;
		}
	}
}

bool cluster_watches_nudge(struct cluster_watches *watches, const char *cluster, const char *identity)
{
	pthread_mutex_lock(&watches->lock);
	struct cluster_watch *watch = find(watches, cluster, identity);
	if (watch != NULL)
		watch->nudged = true;
	pthread_mutex_unlock(&watches->lock);
	return watch != NULL;
}

void cluster_watches_stats(struct cluster_watches *watches, const char *cluster, const char *identity,
			   struct observation_stats *ret_stats)
{
	struct observation_stats sum = {0};
	pthread_mutex_lock(&watches->lock);
	for (size_t i = 0; i < watches->count; i++) {
		const struct cluster_watch *watch = watches->items[i];
		if (strcmp(watch->name, cluster) != 0 || (identity != NULL && strcmp(watch->identity, identity) != 0))
			continue;
		const struct observation_stats *one = &watch->stats;
		sum.looks += one->looks;
		sum.bad_looks += one->bad_looks;
		sum.looks_ms += one->looks_ms;
		sum.looks_bytes += one->looks_bytes;
		if (one->observed_at > sum.observed_at)
			sum.observed_at = one->observed_at;
		if (one->counted_at > sum.counted_at) {
			sum.counts = one->counts;
			sum.counted_at = one->counted_at;
		}
		if (one->accounting_error[0] != '\0')
			memcpy(sum.accounting_error, one->accounting_error, sizeof sum.accounting_error);
		if (one->failures > sum.failures) {
			sum.failures = one->failures;
			memcpy(sum.error, one->error, sizeof sum.error);
		}
	}
	pthread_mutex_unlock(&watches->lock);
	*ret_stats = sum;
}
