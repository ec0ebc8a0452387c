#include "sched/fair_share.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* A user with a live chain at some time since the start. */
struct person {
	char *name;
	size_t index;
	UT_hash_handle hh;
};

#define LIMIT_LASTS_TRIES 5

struct turns {
	struct person *by_name; /* uthash */
	struct person **people;
	size_t person_count;
	uint64_t fingerprint; /* of what the last decision was made from */
	bool settled;         /* in it, nobody went */
	pthread_mutex_t lock; /* for what follows */
	struct turn_place *places;
	size_t place_count;
	_Atomic int64_t version;
};

struct turns *turns_new(void)
{
	struct turns *turns = mem_calloc(1, sizeof *turns);
	pthread_mutex_init(&turns->lock, NULL);
	return turns;
}

void turns_free(struct turns *turns)
{
	if (turns == NULL)
		return;
	HASH_CLEAR(hh, turns->by_name);
	for (size_t i = 0; i < turns->person_count; i++) {
		free(turns->people[i]->name);
		free(turns->people[i]);
	}
	free(turns->people);
	free(turns->places);
	pthread_mutex_destroy(&turns->lock);
	free(turns);
}

static size_t person_of(struct turns *turns, struct live *live)
{
	if (live->person != 0)
		return live->person - 1;
	struct person *person = NULL;
	HASH_FIND_STR(turns->by_name, live->job.user, person);
	if (person == NULL) {
		person = mem_calloc(1, sizeof *person);
		person->name = mem_strdup(live->job.user);
		person->index = turns->person_count;
		turns->people = mem_realloc(turns->people, turns->person_count + 1, sizeof(struct person *));
		turns->people[turns->person_count++] = person;
		HASH_ADD_KEYPTR(hh, turns->by_name, person->name, strlen(person->name), person);
	}
	live->person = person->index + 1;
	return person->index;
}

/* Its number in the settings, or -1. *hint: the last answer, for they come in runs. */
static int64_t cluster_of(const struct settings *settings, const char *name, size_t *hint)
{
	if (*hint < settings->cluster_count && strcmp(settings->clusters[*hint].name, name) == 0)
		return (int64_t)*hint;
	for (size_t i = 0; i < settings->cluster_count; i++) {
		if (strcmp(settings->clusters[i].name, name) == 0) {
			*hint = i;
			return (int64_t)i;
		}
	}
	return -1;
}

/* In mode in_job a running attempt has its successor in Slurm's queue. */
static int64_t places_of(const struct live *live)
{
	return strcmp(live->job.resume_mode, "in_job") == 0 ? 2 : 1;
}

/* Is, or may be, an attempt of it in Slurm? */
static bool is_in_slurm(const struct live *live)
{
	switch (live->job.state) {
	case CHAIN_SUBMITTING:
	case CHAIN_PENDING:
	case CHAIN_RUNNING:
	case CHAIN_CANCELLING: return !live->ending;
	case CHAIN_QUEUED:
	case CHAIN_RESUMING:
	case CHAIN_SUCCEEDED:
	case CHAIN_FAILED:
	case CHAIN_CANCELLED:
	case CHAIN_BUDGET_EXHAUSTED: return false;
	}
	return false;
}

/* Does a limit of Slurm's that it met hold the person's later jobs? One that lasts may be of an account or a partition
 * that the others do not use: then they are tried, too, whenever it is. */
static bool holds_others(const struct live *live, int64_t mono_ms)
{
	return live->limited && (live->tries < LIMIT_LASTS_TRIES || live->due_ms > mono_ms || live->in_flight);
}

static void tally_done(struct admission *a)
{
	free(a->people);
	free(a->clusters);
	free(a->shares);
	free(a->jobs);
}

static void count_live(const struct settings *settings, const struct live *live, size_t *hint, struct admission *a)
{
	struct admission_person *person = &a->people[live->person - 1];
	int64_t cluster = cluster_of(settings, live->job.cluster, hint);
	int64_t places = is_in_slurm(live) ? places_of(live) : 0;
	if (live->job.state != CHAIN_QUEUED)
		person->active++;
	person->in_slurm += places;
	if (cluster < 0)
		return;
	struct admission_share *share = &a->shares[(size_t)cluster * a->person_count + live->person - 1];
	a->clusters[cluster].in_slurm += places;
	share->in_slurm += places;
	share->slurm_limit = share->slurm_limit || holds_others(live, clock_mono_ms());
}

/* What everybody has, and may have; room for `capacity` jobs. */
static void tally(struct turns *turns, const struct settings *settings, const struct live_set *set, size_t capacity,
		  struct admission *a)
{
	struct live *live = NULL;
	struct live *next = NULL;
	HASH_ITER(hh, set->by_seq, live, next)
		person_of(turns, live);
	*a = (struct admission){.person_count = turns->person_count, .cluster_count = settings->cluster_count};
	a->people = mem_calloc(a->person_count + 1, sizeof *a->people);
	a->clusters = mem_calloc(a->cluster_count + 1, sizeof *a->clusters);
	a->shares = mem_calloc(a->person_count * a->cluster_count + 1, sizeof *a->shares);
	a->jobs = mem_calloc(capacity + 1, sizeof *a->jobs);
	for (size_t i = 0; i < a->person_count; i++) {
		struct settings_person person = settings_person_of(settings, turns->people[i]->name);
		a->people[i].weight = person.weight;
		a->people[i].active_max = person.active_jobs;
		a->people[i].in_slurm_max = person.submitted_jobs;
	}
	for (size_t i = 0; i < a->cluster_count; i++)
		a->clusters[i].in_slurm_max = settings->clusters[i].submitted_jobs;
	size_t hint = 0;
	HASH_ITER(hh, set->by_seq, live, next) {
		if (!chain_state_is_end(live->job.state))
			count_live(settings, live, &hint, a);
	}
}

static void add_job(const struct settings *settings, const struct live *live, size_t *hint, struct admission *a)
{
	int64_t cluster = cluster_of(settings, live->job.cluster, hint);
	if (cluster < 0)
		return;
	a->jobs[a->job_count++] = (struct admission_job){.age = live->seq,
							 .person = live->person - 1,
							 .cluster = (size_t)cluster,
							 .begun = live->job.state != CHAIN_QUEUED,
							 .places = places_of(live)};
}

static uint64_t mix(uint64_t hash, int64_t value)
{
	/* splitmix64's finalizer: cheap, and far from linear */
	uint64_t x = hash ^ ((uint64_t)value + 0x9e3779b97f4a7c15U + (hash << 6) + (hash >> 2));
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
	return x ^ (x >> 31);
}

static uint64_t fingerprint_of(const struct admission *a)
{
	uint64_t hash = a->person_count;
	for (size_t i = 0; i < a->person_count; i++) {
		const struct admission_person *p = &a->people[i];
		const int64_t values[] = {p->weight, p->active, p->in_slurm, p->active_max, p->in_slurm_max};
		for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
			hash = mix(hash, values[v]);
	}
	for (size_t i = 0; i < a->cluster_count; i++)
		hash = mix(mix(hash, a->clusters[i].in_slurm), a->clusters[i].in_slurm_max);
	for (size_t i = 0; i < a->person_count * a->cluster_count; i++)
		hash = mix(hash, a->shares[i].in_slurm * 2 + a->shares[i].slurm_limit);
	for (size_t i = 0; i < a->job_count; i++)
		hash = mix(hash, a->jobs[i].age * 2 + a->jobs[i].begun);
	return hash;
}

static int by_seq(const void *a, const void *b)
{
	int64_t x = ((const struct turn_place *)a)->seq;
	int64_t y = ((const struct turn_place *)b)->seq;
	return x < y ? -1 : x > y;
}

static void fill_place(const struct admission *a, const struct admission_job *job, struct turn_place *place)
{
	const struct admission_person *person = &a->people[job->person];
	const struct admission_cluster *cluster = &a->clusters[job->cluster];
	*place = (struct turn_place){.seq = job->age, .place = job->place, .queue = job->queue, .hold = job->hold};
	switch (job->hold) {
	case ADMISSION_PERSON_IN_SLURM:
		place->has = person->in_slurm;
		place->most = person->in_slurm_max;
		break;
	case ADMISSION_PERSON_ACTIVE:
		place->has = person->active;
		place->most = person->active_max;
		break;
	case ADMISSION_CLUSTER_FULL:
		place->has = cluster->in_slurm;
		place->most = cluster->in_slurm_max;
		break;
	case ADMISSION_GO:
	case ADMISSION_SLURM_LIMIT: break;
	}
}

static void publish(struct turns *turns, const struct admission *a)
{
	struct turn_place *places = a->job_count > 0 ? mem_calloc(a->job_count, sizeof *places) : NULL;
	for (size_t i = 0; i < a->job_count; i++)
		fill_place(a, &a->jobs[i], &places[i]);
	if (a->job_count > 1)
		qsort(places, a->job_count, sizeof *places, by_seq);
	pthread_mutex_lock(&turns->lock);
	struct turn_place *old = turns->places;
	turns->places = places;
	turns->place_count = a->job_count;
	pthread_mutex_unlock(&turns->lock);
	atomic_fetch_add(&turns->version, 1);
	free(old);
}

/* The chains whose turn has come, in its order, to the front of waiting. */
static size_t pick(const struct live_set *set, const struct admission *a, struct live **waiting)
{
	size_t taken = 0;
	for (size_t i = 0; i < a->job_count; i++) {
		if (a->jobs[i].hold != ADMISSION_GO)
			continue;
		struct live *live = live_set_find(set, a->jobs[i].age);
		waiting[taken++] = live;
		live->turn = (int64_t)taken;
	}
	return taken;
}

size_t turns_take(struct turns *turns, const struct settings *settings, const struct live_set *set,
		  struct live **waiting, size_t count)
{
	if (count == 0) {
		if (turns->place_count > 0)
			publish(turns, &(struct admission){0});
		turns->settled = false;
		return 0;
	}
	CLEANUP(tally_done) struct admission a = {0};
	tally(turns, settings, set, count, &a);
	size_t hint = 0;
	for (size_t i = 0; i < count; i++)
		add_job(settings, waiting[i], &hint, &a);
	uint64_t fingerprint = fingerprint_of(&a);
	if (turns->settled && fingerprint == turns->fingerprint)
		return 0;
	admission_decide(&a);
	publish(turns, &a);
	size_t taken = pick(set, &a, waiting);
	turns->fingerprint = fingerprint;
	turns->settled = taken == 0;
	return taken;
}

bool turns_retry(struct turns *turns, const struct settings *settings, const struct live_set *set, const char *cluster,
		 const char *identity, int room)
{
	CLEANUP(tally_done) struct admission a = {0};
	tally(turns, settings, set, HASH_COUNT(set->by_seq), &a);
	struct live *live = NULL;
	struct live *next = NULL;
	size_t hint = 0;
	bool any = false;
	HASH_ITER(hh, set->by_seq, live, next) {
		any = any || live->limited;
		if (live->limited && !live->in_flight && strcmp(live->job.cluster, cluster) == 0 &&
		    strcmp(live->job.identity, identity) == 0)
			add_job(settings, live, &hint, &a);
	}
	admission_decide(&a);
	for (size_t i = 0; i < a.job_count && room > 0; i++, room--)
		live_set_find(set, a.jobs[i].age)->due_ms = 0;
	return any;
}

bool turns_place(struct turns *turns, int64_t seq, struct turn_place *ret_place)
{
	struct turn_place wanted = {.seq = seq};
	pthread_mutex_lock(&turns->lock);
	const struct turn_place *found =
	    turns->place_count > 0 ? bsearch(&wanted, turns->places, turns->place_count, sizeof wanted, by_seq) : NULL;
	if (found != NULL)
		*ret_place = *found;
	pthread_mutex_unlock(&turns->lock);
	return found != NULL;
}

int64_t turns_version(struct turns *turns)
{
	return atomic_load(&turns->version);
}
