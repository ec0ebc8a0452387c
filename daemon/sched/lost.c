#include "sched/lost.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static void lost_evaluation_done(struct lost_evaluation *lost)
{
	free(lost->rundir);
	for (size_t i = 0; i < lost->job_count; i++) {
		free(lost->jobs[i].name);
		free(lost->jobs[i].rundir);
	}
	free(lost->jobs);
	struct origins origins = {.items = (struct origin *)mem_dup(&lost->origin, sizeof lost->origin), .count = 1};
	origins_done(&origins);
	json_decref(lost->document);
	free(lost->why);
	for (size_t i = 0; i < lost->attempt_count; i++) {
		free(lost->attempts[i].seen.nodes);
		free(lost->attempts[i].seen.reason);
	}
	free(lost->attempts);
	*lost = (struct lost_evaluation){0};
}

void lost_evaluations_done(struct lost_evaluations *list)
{
	for (size_t i = 0; i < list->count; i++)
		lost_evaluation_done(&list->items[i]);
	free(list->items);
	*list = (struct lost_evaluations){0};
}

/* One thing that was found of an evaluation: a Slurm job, or its run directory (job NULL). */
struct found {
	char evaluation[IDS_EVALUATION_SIZE];
	const struct look_job *job;
	const char *rundir;
};

static int by_evaluation(const void *a, const void *b)
{
	const struct found *x = a;
	const struct found *y = b;
	int order = strcmp(x->evaluation, y->evaluation);
	if (order != 0)
		return order;
	return (x->job != NULL) - (y->job != NULL); /* the directory itself first */
}

static int by_time(const void *a, const void *b)
{
	const struct lost_evaluation *x = a;
	const struct lost_evaluation *y = b;
	if (x->since != y->since)
		return x->since < y->since ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void add_job(struct lost_evaluation *lost, const struct look_job *job)
{
	lost->jobs = mem_realloc(lost->jobs, lost->job_count + 1, sizeof *lost->jobs);
	struct look_job *copy = &lost->jobs[lost->job_count++];
	*copy = *job;
	copy->name = mem_strdup(job->name);
	copy->rundir = mem_strdup(job->rundir);
	lost->live = lost->live || job->live;
	if (lost->since == 0 || (job->submitted != 0 && job->submitted < lost->since))
		lost->since = job->submitted;
}

void lost_evaluations_group(const struct look_reply *reply, struct lost_evaluations *ret_list)
{
	size_t count = 0;
	size_t room = 0;
	struct lost_evaluations list = {0};
	CLEANUP(mem_freep) struct found *found = mem_calloc(reply->job_count + reply->rundir_count, sizeof *found);
	for (size_t i = 0; i < reply->rundir_count; i++) {
		found[count].rundir = reply->rundirs[i];
		count += look_rundir_id(reply->rundirs[i], found[count].evaluation);
	}
	for (size_t i = 0; i < reply->job_count; i++) {
		found[count] = (struct found){.job = &reply->jobs[i], .rundir = reply->jobs[i].rundir};
		memcpy(found[count++].evaluation, reply->jobs[i].evaluation, IDS_EVALUATION_SIZE);
	}
	qsort(found, count, sizeof *found, by_evaluation);
	for (size_t i = 0; i < count; i++) {
		if (list.count == 0 || strcmp(list.items[list.count - 1].id, found[i].evaluation) != 0) {
			if (list.count == room) {
				room = room == 0 ? 16 : room * 2;
				list.items = mem_realloc(list.items, room, sizeof *list.items);
			}
			list.items[list.count] = (struct lost_evaluation){.rundir = mem_strdup(found[i].rundir),
									  .since = look_rundir_time(found[i].rundir)};
			memcpy(list.items[list.count++].id, found[i].evaluation, IDS_EVALUATION_SIZE);
		}
		if (found[i].job != NULL)
			add_job(&list.items[list.count - 1], found[i].job);
	}
	if (list.count > 0)
		qsort(list.items, list.count, sizeof *list.items, by_time);
	*ret_list = list;
}

void lost_evaluations_drop(struct lost_evaluations *list, size_t index)
{
	lost_evaluation_done(&list->items[index]);
	memmove(&list->items[index], &list->items[index + 1], (list->count - index - 1) * sizeof list->items[0]);
	list->count--;
}

void lost_evaluations_put_last(struct lost_evaluations *list, size_t index)
{
	struct lost_evaluation one = list->items[index];
	memmove(&list->items[index], &list->items[index + 1], (list->count - index - 1) * sizeof list->items[0]);
	list->items[list->count - 1] = one;
}

void lost_evaluations_copy(const struct lost_evaluations *list, size_t count, struct lost_evaluations *ret_list)
{
	size_t most = count < list->count ? count : list->count;
	*ret_list = (struct lost_evaluations){.items = mem_calloc(most, sizeof *ret_list->items), .count = most};
	for (size_t i = 0; i < most; i++) {
		const struct lost_evaluation *from = &list->items[i];
		struct lost_evaluation *to = &ret_list->items[i];
		memcpy(to->id, from->id, sizeof to->id);
		to->rundir = mem_strdup(from->rundir);
		to->known = from->known;
		to->busy_since_ms = from->busy_since_ms;
		for (size_t j = 0; j < from->job_count; j++)
			add_job(to, &from->jobs[j]);
		to->since = from->since;
		to->live = from->live;
	}
}

int lost_folder_index(const char *folder)
{
	long long index = 0;
	const char *dot = strrchr(folder, '.');
	return dot != NULL && str_to_int(dot + 1, 0, IDS_JOB_INDEX_MAX, &index) ? (int)index : -1;
}

static struct lost_attempt *attempt_of(struct lost_evaluation *lost, int index, int number)
{
	for (size_t i = 0; i < lost->attempt_count; i++)
		if (lost->attempts[i].index == index && lost->attempts[i].number == number)
			return &lost->attempts[i];
	lost->attempts = mem_realloc(lost->attempts, lost->attempt_count + 1, sizeof *lost->attempts);
	struct lost_attempt *attempt = &lost->attempts[lost->attempt_count++];
	*attempt = (struct lost_attempt){.index = index, .number = number};
	return attempt;
}

static int by_number(const void *a, const void *b)
{
	const struct lost_attempt *x = a;
	const struct lost_attempt *y = b;
	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

void lost_evaluation_merge(struct lost_evaluation *lost)
{
	for (size_t i = 0; i < lost->origin.attempt_count; i++) {
		const struct origin_attempt *from = &lost->origin.attempts[i];
		int index = lost_folder_index(from->folder);
		if (index < 0)
			continue;
		struct lost_attempt *attempt = attempt_of(lost, index, from->number);
		memcpy(attempt->id, from->id, sizeof attempt->id);
		attempt->submitted = from->submitted;
		attempt->begun = from->begun;
		attempt->time_limit_s = from->time_limit_s;
	}
	/* The directory's own word counts more than a name's. */
	for (size_t i = 0; i < lost->job_count; i++) {
		const struct look_job *job = &lost->jobs[i];
		struct lost_attempt *attempt = attempt_of(lost, job->index, job->attempt);
		if (attempt->id[0] == '\0')
			memcpy(attempt->id, job->id, sizeof attempt->id);
		if (strcmp(attempt->id, job->id) == 0 && job->submitted != 0)
			attempt->submitted = job->submitted;
	}
	if (lost->attempt_count > 0)
		qsort(lost->attempts, lost->attempt_count, sizeof *lost->attempts, by_number);
}

char *lost_evaluation_stem(const struct lost_evaluation *lost, int index)
{
	const json_t *jobs = json_object_get(lost->document, "jobs");
	for (size_t i = 0; i < json_array_size(jobs); i++) {
		const json_t *job = json_array_get(jobs, i);
		/* Origins of older versions know of chains of one job only. */
		const json_t *chain = json_object_get(job, "chain");
		if (json_integer_value(chain != NULL ? chain : json_object_get(job, "index")) == index)
			return mem_strdup(json_string_value(json_object_get(job, "name")));
	}
	for (size_t i = 0; i < lost->job_count; i++) {
		const char *name = lost->jobs[i].name;
		if (lost->jobs[i].index == index)
			return mem_strndup(name, (size_t)(strrchr(name, '.') - name));
	}
	return NULL;
}

char *lost_evaluation_folder(const struct lost_evaluation *lost, int index)
{
	for (size_t i = 0; i < lost->origin.attempt_count; i++)
		if (lost_folder_index(lost->origin.attempts[i].folder) == index)
			return mem_printf("%s/%s", lost->rundir, lost->origin.attempts[i].folder);
	return mem_strdup(lost->rundir); /* nothing is read there */
}
