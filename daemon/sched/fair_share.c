#include "sched/fair_share.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/evaluations.h"
#include "db/usage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* A user with an active chain at some time since the start. */
struct person {
	char *name;
	size_t index;
	UT_hash_handle hh;
};

#define LIMIT_LASTS_TRIES 5

struct fair_share {
	struct person *by_name; /* uthash */
	struct person **people;
	size_t person_count;
	uint64_t fingerprint; /* of what the last decision was made from */
	bool settled;         /* in it, nobody went */
	pthread_mutex_t lock; /* for what follows */
	struct queue_position *positions;
	size_t position_count;
	_Atomic int64_t version;
};

struct fair_share *fair_share_new(void)
{
	struct fair_share *fair = mem_calloc(1, sizeof *fair);
	pthread_mutex_init(&fair->lock, NULL);
	return fair;
}

void fair_share_free(struct fair_share *fair)
{
	if (fair == NULL)
		return;
	HASH_CLEAR(hh, fair->by_name);
	for (size_t i = 0; i < fair->person_count; i++) {
		free(fair->people[i]->name);
		free(fair->people[i]);
	}
	free(fair->people);
	free(fair->positions);
	pthread_mutex_destroy(&fair->lock);
	free(fair);
}

static size_t person_of(struct fair_share *fair, struct active_chain *chain)
{
	if (chain->person != 0)
		return chain->person - 1;
	struct person *person = NULL;
	HASH_FIND_STR(fair->by_name, chain->job.user, person);
	if (person == NULL) {
		person = mem_calloc(1, sizeof *person);
		person->name = mem_strdup(chain->job.user);
		person->index = fair->person_count;
		fair->people = mem_realloc(fair->people, fair->person_count + 1, sizeof(struct person *));
		fair->people[fair->person_count++] = person;
		HASH_ADD_KEYPTR(hh, fair->by_name, person->name, strlen(person->name), person);
	}
	chain->person = person->index + 1;
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
static int64_t slots_of(const struct active_chain *chain)
{
	return strcmp(chain->common->row.resume_mode, "in_job") == 0 ? 2 : 1;
}

/* Does a limit of Slurm's that it met hold the person's later jobs? One that lasts may be of an account or a partition
 * that the others do not use: then they are tried, too, whenever it is. */
static bool holds_others(const struct active_chain *chain, int64_t mono_ms)
{
	return chain->limited && (chain->tries < LIMIT_LASTS_TRIES || chain->due_ms > mono_ms || chain->in_flight);
}

/* GPUs of its attempts; 0 where they are not known before sacct tells. */
static int64_t gpus_of(const struct active_chain *chain)
{
	if (chain->common->attempt.number > 0 && chain->common->attempt.gpus > 0)
		return chain->common->attempt.gpus;
	return chain->job.gpus > 0 ? chain->job.gpus : 0;
}

/* GPU seconds that count towards quotas and are not in the ledger yet: those that its attempt has used, or, before it
 * runs, that it may use. */
static int64_t gpu_s_in_slurm(const struct active_chain *chain, int64_t now_s)
{
	const struct attempt_row *attempt = &chain->common->attempt;
	if (!active_chain_is_in_slurm(chain) || attempt->number == 0 || attempt->ended_at != 0)
		return 0;
	if (chain->job.state == CHAIN_SUBMITTING || chain->job.state == CHAIN_PENDING)
		return attempt->time_limit_s * gpus_of(chain);
	int64_t run_s = attempt->started_at != 0 && attempt->started_at < now_s ? now_s - attempt->started_at : 0;
	return (run_s > attempt->elapsed_s ? run_s : attempt->elapsed_s) * gpus_of(chain);
}

/* GPU seconds that its next attempt may use. */
static int64_t gpu_s_of_next(const struct active_chain *chain)
{
	int64_t left_s = chain->common->row.budget_limit_s - chain->common->row.budget_used_s;
	bool clipped = chain->common->row.budget_limit_s >= 0 && left_s < chain->common->row.walltime_s;
	return (clipped ? left_s : chain->common->row.walltime_s) * gpus_of(chain);
}

/* Which of the labels with a quota it has: found once for each settings. */
static int find_labels(const struct settings *settings, struct db *db, struct active_chain *chain, struct nel_err *err)
{
	const struct settings_quotas *quotas = &settings->quotas;
	if (quotas->label_count == 0 || chain->labels_of == settings)
		return 0;
	uint64_t labels = 0;
	for (size_t i = 0; i < quotas->label_count; i++) {
		bool has = false;
		if (evaluations_has_label(db, chain->job.evaluation_seq, quotas->labels[i].name, &has, err) != 0)
			return -1;
		labels |= (uint64_t)has << i;
	}
	chain->labels = labels;
	chain->labels_of = settings;
	return 0;
}

static int read_quota(struct db *db, int64_t now_s, int64_t most_s, enum usage_of of, const char *name,
		      struct admission_quota *quota, struct nel_err *err)
{
	*quota = (struct admission_quota){.limited = most_s >= 0, .most_s = most_s};
	return most_s >= 0 ? usage_month(db, now_s, of, name, &quota->used_s, err) : 0;
}

/* What the ledger has of this month. */
static int read_quotas(const struct fair_share *fair, const struct settings *settings, struct db *db,
		       const struct active_chains *set, int64_t now_s, struct admission *a, struct nel_err *err)
{
	const struct settings_quotas *quotas = &settings->quotas;
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	if (!quotas->any || db == NULL)
		return 0;
	a->label_count = quotas->label_count;
	a->labels = mem_calloc(a->label_count + 1, sizeof *a->labels);
	if (read_quota(db, now_s, quotas->all_gpu_s, USAGE_OF_ALL, "", &a->all, err) != 0)
		return -1;
	for (size_t i = 0; i < a->label_count; i++)
		if (read_quota(db, now_s, quotas->labels[i].gpu_s, USAGE_OF_LABEL, quotas->labels[i].name,
			       &a->labels[i], err) != 0)
			return -1;
	for (size_t i = 0; i < a->person_count; i++) {
		const char *name = fair->people[i]->name;
		if (read_quota(db, now_s, settings_quota_of(settings, name), USAGE_OF_USER, name, &a->people[i].quota,
			       err) != 0)
			return -1;
	}
	HASH_ITER(hh, set->by_seq, chain, next) {
		if (find_labels(settings, db, chain, err) != 0)
			return -1;
	}
	return 0;
}

static void add_to_quotas(const struct active_chain *chain, int64_t now_s, struct admission *a)
{
	int64_t gpu_s = gpu_s_in_slurm(chain, now_s);
	a->people[chain->person - 1].quota.used_s += gpu_s;
	a->all.used_s += gpu_s;
	for (size_t i = 0; i < a->label_count; i++)
		a->labels[i].used_s += (chain->labels >> i & 1) != 0 ? gpu_s : 0;
}

static void tally_done(struct admission *a)
{
	free(a->people);
	free(a->clusters);
	free(a->shares);
	free(a->labels);
	free(a->jobs);
}

static void count_chain(const struct settings *settings, const struct active_chain *chain, int64_t now_s, size_t *hint,
			struct admission *a)
{
	struct admission_person *person = &a->people[chain->person - 1];
	int64_t cluster = cluster_of(settings, chain->job.cluster, hint);
	int64_t slots = active_chain_is_in_slurm(chain) ? slots_of(chain) : 0;
	if (chain->job.state != CHAIN_QUEUED)
		person->active++;
	person->in_slurm += slots;
	if (settings->quotas.any)
		add_to_quotas(chain, now_s, a);
	if (cluster < 0)
		return;
	struct admission_share *share = &a->shares[(size_t)cluster * a->person_count + chain->person - 1];
	a->clusters[cluster].in_slurm += slots;
	share->in_slurm += slots;
	share->slurm_limit = share->slurm_limit || holds_others(chain, clock_mono_ms());
}

/* What everybody has, and may have; room for `capacity` jobs. db: NULL where quotas do not matter. */
static int tally(struct fair_share *fair, const struct settings *settings, struct db *db,
		 const struct active_chains *set, size_t capacity, struct admission *a, struct nel_err *err)
{
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	HASH_ITER(hh, set->by_seq, chain, next)
		person_of(fair, chain);
	*a = (struct admission){.person_count = fair->person_count, .cluster_count = settings->cluster_count};
	a->people = mem_calloc(a->person_count + 1, sizeof *a->people);
	a->clusters = mem_calloc(a->cluster_count + 1, sizeof *a->clusters);
	a->shares = mem_calloc(a->person_count * a->cluster_count + 1, sizeof *a->shares);
	a->jobs = mem_calloc(capacity + 1, sizeof *a->jobs);
	for (size_t i = 0; i < a->person_count; i++) {
		struct settings_person person = settings_person_of(settings, fair->people[i]->name);
		a->people[i].weight = person.weight;
		a->people[i].active_max = person.active_jobs;
		a->people[i].in_slurm_max = person.submitted_jobs;
	}
	for (size_t i = 0; i < a->cluster_count; i++)
		a->clusters[i].in_slurm_max = settings->clusters[i].submitted_jobs;
	int64_t now_s = clock_now_s();
	if (read_quotas(fair, settings, db, set, now_s, a, err) != 0)
		return -1;
	size_t hint = 0;
	HASH_ITER(hh, set->by_seq, chain, next) {
		if (!chain_state_is_end(chain->job.state) && active_chain_leads(chain))
			count_chain(settings, chain, now_s, &hint, a);
	}
	return 0;
}

static void add_job(const struct settings *settings, const struct active_chain *chain, size_t *hint,
		    struct admission *a)
{
	int64_t cluster = cluster_of(settings, chain->job.cluster, hint);
	if (cluster < 0)
		return;
	a->jobs[a->job_count++] = (struct admission_job){.age = chain->seq,
							 .person = chain->person - 1,
							 .cluster = (size_t)cluster,
							 .begun = chain->job.state != CHAIN_QUEUED,
							 .slots = slots_of(chain),
							 .gpu_s = gpu_s_of_next(chain),
							 .labels = chain->labels};
}

static uint64_t mix(uint64_t hash, int64_t value)
{
	/* splitmix64's finalizer: cheap, and far from linear */
	uint64_t x = hash ^ ((uint64_t)value + 0x9e3779b97f4a7c15U + (hash << 6) + (hash >> 2));
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
	return x ^ (x >> 31);
}

static uint64_t mix_quota(uint64_t hash, const struct admission_quota *quota)
{
	if (!quota->limited)
		return hash;
	/* Not each second: what is shown are hours. */
	return mix(mix(mix(hash, quota->used_s >= quota->most_s), quota->used_s / 3600), quota->most_s);
}

static uint64_t fingerprint_of(const struct admission *a)
{
	uint64_t hash = mix_quota(a->person_count, &a->all);
	for (size_t i = 0; i < a->label_count; i++)
		hash = mix_quota(hash, &a->labels[i]);
	for (size_t i = 0; i < a->person_count; i++) {
		const struct admission_person *p = &a->people[i];
		const int64_t values[] = {p->weight, p->active, p->in_slurm, p->active_max, p->in_slurm_max};
		for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
			hash = mix(hash, values[v]);
		hash = mix_quota(hash, &p->quota);
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
	int64_t x = ((const struct queue_position *)a)->seq;
	int64_t y = ((const struct queue_position *)b)->seq;
	return x < y ? -1 : x > y;
}

static void fill_quota(const struct admission_quota *quota, struct queue_position *position)
{
	int64_t begin_s = 0;
	position->has = quota->used_s / 3600;
	position->most = quota->most_s / 3600;
	clock_month(clock_now_s(), &begin_s, &position->until_s);
}

static void fill_position(const struct settings *settings, const struct admission *a, const struct admission_job *job,
			  struct queue_position *position)
{
	const struct admission_person *person = &a->people[job->person];
	const struct admission_cluster *cluster = &a->clusters[job->cluster];
	*position =
	    (struct queue_position){.seq = job->age, .position = job->position, .queue = job->queue, .hold = job->hold};
	switch (job->hold) {
	case ADMISSION_PERSON_IN_SLURM:
		position->has = person->in_slurm;
		position->most = person->in_slurm_max;
		break;
	case ADMISSION_PERSON_ACTIVE:
		position->has = person->active;
		position->most = person->active_max;
		break;
	case ADMISSION_CLUSTER_FULL:
		position->has = cluster->in_slurm;
		position->most = cluster->in_slurm_max;
		break;
	case ADMISSION_PERSON_QUOTA: fill_quota(&person->quota, position); break;
	case ADMISSION_LABEL_QUOTA:
		fill_quota(&a->labels[job->label], position);
		position->label = settings->quotas.labels[job->label].name;
		break;
	case ADMISSION_ALL_QUOTA: fill_quota(&a->all, position); break;
	case ADMISSION_GO:
	case ADMISSION_SLURM_LIMIT: break;
	}
}

static void publish(struct fair_share *fair, const struct settings *settings, const struct admission *a)
{
	struct queue_position *positions = a->job_count > 0 ? mem_calloc(a->job_count, sizeof *positions) : NULL;
	for (size_t i = 0; i < a->job_count; i++)
		fill_position(settings, a, &a->jobs[i], &positions[i]);
	if (a->job_count > 1)
		qsort(positions, a->job_count, sizeof *positions, by_seq);
	pthread_mutex_lock(&fair->lock);
	struct queue_position *old = fair->positions;
	fair->positions = positions;
	fair->position_count = a->job_count;
	pthread_mutex_unlock(&fair->lock);
	atomic_fetch_add(&fair->version, 1);
	free(old);
}

/* The chains whose turn has come, in its order, to the front of waiting. */
static size_t pick(const struct active_chains *set, const struct admission *a, struct active_chain **waiting)
{
	size_t taken = 0;
	for (size_t i = 0; i < a->job_count; i++) {
		if (a->jobs[i].hold != ADMISSION_GO)
			continue;
		struct active_chain *chain = active_chains_find(set, a->jobs[i].age);
		waiting[taken++] = chain;
		chain->turn = (int64_t)taken;
	}
	return taken;
}

size_t fair_share_take(struct fair_share *fair, const struct settings *settings, struct db *db,
		       const struct active_chains *set, struct active_chain **waiting, size_t count)
{
	struct nel_err err;
	if (count == 0) {
		if (fair->position_count > 0)
			publish(fair, settings, &(struct admission){0});
		fair->settled = false;
		return 0;
	}
	CLEANUP(tally_done) struct admission a = {0};
	if (tally(fair, settings, db, set, count, &a, &err) != 0) {
		log_error("quotas cannot be looked at, and nothing is sent", LOG_S("error", err.msg));
		return 0;
	}
	size_t hint = 0;
	for (size_t i = 0; i < count; i++)
		add_job(settings, waiting[i], &hint, &a);
	uint64_t fingerprint = fingerprint_of(&a);
	if (fair->settled && fingerprint == fair->fingerprint)
		return 0;
	admission_decide(&a);
	publish(fair, settings, &a);
	size_t taken = pick(set, &a, waiting);
	fair->fingerprint = fingerprint;
	fair->settled = taken == 0;
	return taken;
}

bool fair_share_retry(struct fair_share *fair, const struct settings *settings, const struct active_chains *set,
		      const char *cluster, const char *identity, int room)
{
	CLEANUP(tally_done) struct admission a = {0};
	struct nel_err err;
	if (tally(fair, settings, NULL, set, HASH_COUNT(set->by_seq), &a, &err) != 0)
		return true;
	struct active_chain *chain = NULL;
	struct active_chain *next = NULL;
	size_t hint = 0;
	bool any = false;
	HASH_ITER(hh, set->by_seq, chain, next) {
		any = any || chain->limited;
		if (chain->limited && !chain->in_flight && active_chain_leads(chain) &&
		    strcmp(chain->job.cluster, cluster) == 0 && strcmp(chain->job.identity, identity) == 0)
			add_job(settings, chain, &hint, &a);
	}
	admission_decide(&a);
	for (size_t i = 0; i < a.job_count && room > 0; i++, room--)
		active_chains_find(set, a.jobs[i].age)->due_ms = 0;
	return any;
}

bool fair_share_position(struct fair_share *fair, int64_t seq, struct queue_position *ret_position)
{
	struct queue_position wanted = {.seq = seq};
	pthread_mutex_lock(&fair->lock);
	const struct queue_position *found =
	    fair->position_count > 0 ? bsearch(&wanted, fair->positions, fair->position_count, sizeof wanted, by_seq)
				     : NULL;
	if (found != NULL)
		*ret_position = *found;
	pthread_mutex_unlock(&fair->lock);
	return found != NULL;
}

int64_t fair_share_version(struct fair_share *fair)
{
	return atomic_load(&fair->version);
}
