#include "chain/admission.h"

#include <stdlib.h>

static int compare(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

/* One person's jobs on one cluster stand together, in the order of their turns. */
static int by_share(const void *a, const void *b, void *arg)
{
	const struct admission_job *x = a;
	const struct admission_job *y = b;
	(void)arg;
	if (x->cluster != y->cluster)
		return x->cluster < y->cluster ? -1 : 1;
	if (x->person != y->person)
		return x->person < y->person ? -1 : 1;
	if (x->begun != y->begun)
		return x->begun ? -1 : 1;
	return compare(x->age, y->age);
}

static int by_turn(const void *a, const void *b, void *arg)
{
	const struct admission_job *x = a;
	const struct admission_job *y = b;
	const struct admission *all = arg;
	if (x->begun != y->begun)
		return x->begun ? -1 : 1;
	/* x->ahead / weight of x against y->ahead / weight of y */
	int order = compare(x->ahead * all->people[y->person].weight, y->ahead * all->people[x->person].weight);
	if (order != 0)
		return order;
	if (x->head_age != y->head_age)
		return compare(x->head_age, y->head_age);
	return compare(x->age, y->age);
}

static struct admission_share *share_of(struct admission *a, const struct admission_job *job)
{
	return &a->shares[job->cluster * a->person_count + job->person];
}

/* What each person will have when each turn comes, if all before it have gone. */
static void look_ahead(struct admission *a)
{
	int64_t ahead = 0;
	int64_t head_age = 0;
	for (size_t i = 0; i < a->job_count; i++) {
		struct admission_job *job = &a->jobs[i];
		const struct admission_job *before = i > 0 ? job - 1 : NULL;
		bool first = before == NULL || before->cluster != job->cluster || before->person != job->person;
		if (first)
			ahead = share_of(a, job)->in_slurm;
		if (first || before->begun != job->begun)
			head_age = job->age;
		job->ahead = ahead;
		job->head_age = head_age;
		ahead += job->slots;
	}
}

/* Is there room for `more` slots? What alone needs more than the limit may go where nothing else is. */
static bool has_room(int64_t has, int64_t most, int64_t more)
{
	return has + more <= most || has == 0;
}

static bool is_spent(const struct admission_quota *quota)
{
	return quota->limited && quota->used_s >= quota->most_s;
}

static bool has_label(const struct admission_job *job, size_t label)
{
	return (job->labels >> label & 1) != 0;
}

/* Quotas come first: whoever waits for one waits longest. */
static enum admission_hold quota_hold_of(const struct admission *a, struct admission_job *job)
{
	if (is_spent(&a->people[job->person].quota))
		return ADMISSION_PERSON_QUOTA;
	for (size_t i = 0; i < a->label_count; i++) {
		if (!has_label(job, i) || !is_spent(&a->labels[i]))
			continue;
		job->label = i;
		return ADMISSION_LABEL_QUOTA;
	}
	return is_spent(&a->all) ? ADMISSION_ALL_QUOTA : ADMISSION_GO;
}

static enum admission_hold hold_of(struct admission *a, struct admission_job *job)
{
	const struct admission_person *person = &a->people[job->person];
	const struct admission_cluster *cluster = &a->clusters[job->cluster];
	enum admission_hold quota = quota_hold_of(a, job);
	if (quota != ADMISSION_GO)
		return quota;
	if (share_of(a, job)->slurm_limit)
		return ADMISSION_SLURM_LIMIT;
	if (person->closed || !has_room(person->in_slurm, person->in_slurm_max, job->slots))
		return ADMISSION_PERSON_IN_SLURM;
	if (!job->begun && person->active >= person->active_max)
		return ADMISSION_PERSON_ACTIVE;
	if (cluster->closed ||
	    (cluster->in_slurm_max >= 0 && !has_room(cluster->in_slurm, cluster->in_slurm_max, job->slots)))
		return ADMISSION_CLUSTER_FULL;
	return ADMISSION_GO;
}

/* Takes the slots of a job that goes. Whoever waits for more room than there is must not be overtaken by those who
 * need less: there the limit counts as reached for all who come later. */
static void settle(struct admission *a, const struct admission_job *job)
{
	struct admission_person *person = &a->people[job->person];
	struct admission_cluster *cluster = &a->clusters[job->cluster];
	switch (job->hold) {
	case ADMISSION_GO:
		person->in_slurm += job->slots;
		person->active += job->begun ? 0 : 1;
		cluster->in_slurm += job->slots;
		person->quota.used_s += job->gpu_s;
		a->all.used_s += job->gpu_s;
		for (size_t i = 0; i < a->label_count; i++)
			a->labels[i].used_s += has_label(job, i) ? job->gpu_s : 0;
		break;
	case ADMISSION_PERSON_IN_SLURM: person->closed = true; break;
	case ADMISSION_CLUSTER_FULL: cluster->closed = true; break;
	case ADMISSION_PERSON_ACTIVE:
	case ADMISSION_SLURM_LIMIT:
	case ADMISSION_PERSON_QUOTA:
	case ADMISSION_LABEL_QUOTA:
	case ADMISSION_ALL_QUOTA: break;
	}
}

void admission_decide(struct admission *a)
{
	if (a->job_count == 0)
		return;
	qsort_r(a->jobs, a->job_count, sizeof *a->jobs, by_share, NULL);
	look_ahead(a);
	qsort_r(a->jobs, a->job_count, sizeof *a->jobs, by_turn, a);
	for (size_t cluster = 0; cluster < a->cluster_count; cluster++) {
		int64_t queue = 0;
		for (size_t i = 0; i < a->job_count; i++)
			if (a->jobs[i].cluster == cluster)
				a->jobs[i].position = ++queue;
		for (size_t i = 0; i < a->job_count; i++)
			if (a->jobs[i].cluster == cluster)
				a->jobs[i].queue = queue;
	}
	for (size_t i = 0; i < a->job_count; i++) {
		a->jobs[i].hold = hold_of(a, &a->jobs[i]);
		settle(a, &a->jobs[i]);
	}
}
