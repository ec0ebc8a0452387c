#include "slurm/observe_files.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "chain/progress.h"
#include "config/plan/eval_plan.h"
#include "slurm/slurm_state.h"

#include <stdlib.h>
#include <string.h>

#define STAMPS_MAX 64

int64_t observe_add_capped(int64_t sum, int64_t more)
{
	return more > OBSERVE_ELAPSED_MAX - sum ? OBSERVE_ELAPSED_MAX : sum + more;
}

/* Takes the next of a list separated by commas: false at its end. */
static bool next_item(char **list, char **ret_item)
{
	if (*list == NULL || **list == '\0')
		return false;
	*ret_item = *list;
	char *comma = strchr(*list, ',');
	if (comma != NULL)
		*comma++ = '\0';
	*list = comma;
	return true;
}

/* Adds up starts and ends, which belong together in their order (run_body/03_attempt.sh writes an end that is missing
 * before the next start). A start without an end ran until its heartbeat. */
static void read_stamps(struct observation *o, char *starts, char *ends, int64_t heartbeat)
{
	char *start_text = NULL;
	char *end_text = NULL;
	int64_t total = 0;
	int64_t open_start = 0;
	int count = 0;
	while (count < STAMPS_MAX && next_item(&starts, &start_text)) {
		int64_t start = record_time(start_text);
		o->stamp_started = count++ == 0 ? start : o->stamp_started;
		o->stamp_ended = 0;
		o->stamp_exit = -1;
		if (!next_item(&ends, &end_text)) {
			open_start = start;
			break;
		}
		char *exit_text = strchr(end_text, ':');
		if (exit_text != NULL)
			*exit_text++ = '\0';
		o->stamp_ended = record_time(end_text);
		o->stamp_exit = exit_text == NULL ? -1 : (int)record_number(exit_text, 255, -1);
		if (o->stamp_ended > start)
			total += o->stamp_ended - start;
	}
	o->restarts = count > 1 ? count - 1 : 0;
	if (open_start != 0 && heartbeat < open_start)
		return;
	if (count > 0)
		o->stamp_elapsed_s = total + (open_start != 0 ? heartbeat - open_start : 0);
}

/* From each start until the servers were ready then, or, where they never were, until it ended. Where no line says of
 * readiness there is nothing to wait for, or it had not come yet. ready: "line:epoch,...", the line being the start's
 * number. */
static int64_t start_up_of(char *starts, char *ends, char *ready, int64_t heartbeat)
{
	int64_t ready_at[STAMPS_MAX] = {0};
	int64_t total = 0;
	char *item = NULL;
	for (int count = 0; count < STAMPS_MAX && next_item(&ready, &item); count++) {
		char *at = strchr(item, ':');
		if (at == NULL)
			continue;
		*at++ = '\0';
		int64_t line = record_number(item, STAMPS_MAX, 0);
		if (line >= 1 && ready_at[line - 1] == 0) /* servers that died are started again */
			ready_at[line - 1] = record_time(at);
	}
	for (int line = 0; line < STAMPS_MAX && next_item(&starts, &item); line++) {
		int64_t start = record_time(item);
		int64_t end = heartbeat;
		if (next_item(&ends, &item)) {
			item[strcspn(item, ":")] = '\0';
			end = record_time(item);
		}
		if (ready_at[line] != 0)
			end = ready_at[line];
		if (start != 0 && end > start)
			total = observe_add_capped(total, end - start);
	}
	return total;
}

/* Of a job that waits for servers; -1: of one that has none. */
static void read_start_up(struct observation *o, char **f, int64_t heartbeat)
{
	if (f[7][0] == '\0')
		return;
	CLEANUP(mem_freep) char *starts = mem_strdup(f[4]);
	CLEANUP(mem_freep) char *ends = mem_strdup(f[5]);
	CLEANUP(mem_freep) char *ready = mem_strdup(f[7]);
	o->start_up_s = start_up_of(starts, ends, ready, heartbeat);
}

/* "17/40": what is finished, and of how many; either may be missing. */
static void read_progress(char *text, int64_t *ret_requests, int64_t *ret_total)
{
	char *slash = strchr(text, '/');
	if (slash != NULL)
		*slash++ = '\0';
	*ret_requests = record_number(text, PROGRESS_MAX, -1);
	*ret_total = slash != NULL ? record_number(slash, PROGRESS_MAX, 0) : 0;
}

/* "samples:percents:low:still", as run_body/10_use.sh adds them up. */
static void read_use(char *text, struct gpu_use *ret_use)
{
	int64_t numbers[4] = {-1, -1, -1, -1};
	for (size_t i = 0; i < 4 && text != NULL; i++) {
		char *colon = strchr(text, ':');
		if (colon != NULL)
			*colon++ = '\0';
		numbers[i] = record_number(text, 100 * GPU_USE_SAMPLES_MAX, -1);
		text = colon;
	}
	const struct gpu_use use = {numbers[0], numbers[1], numbers[2], numbers[3]};
	if (gpu_use_is_sound(&use))
		*ret_use = use;
}

/* f|index|progress/total|heartbeat|start,start|end:exit,end:exit|fate|line:ready,line:ready|use */
void observe_files_take_files(struct observe_reply *reply, struct record *record)
{
	if (!record_split(record, 7, 9))
		return;
	char **f = record->fields;
	int64_t index = record_number(f[1], INT32_MAX, -1);
	if (index < 0 || (size_t)index >= reply->count)
		return;
	struct observation *o = &reply->items[index];
	read_progress(f[2], &o->progress, &o->progress_total);
	if (record->count > 7)
		read_start_up(o, f, record_time(f[3]));
	if (record->count > 8)
		read_use(f[8], &o->use);
	read_stamps(o, f[4], f[5], record_time(f[3]));
	slurm_state_word(f[6], o->fate);
}

/* Has the fields of an end: exit code, start, end, attempt, why. */
static bool read_job_end(char **f, struct job_sighting *job)
{
	job->exit_code = (int)record_number(f[0], 255, -1);
	job->end_started_at = record_time(f[1]);
	job->ended_at = record_time(f[2]);
	job->end_attempt = (int)record_number(f[3], INT32_MAX, 0);
	job->cancelled = strcmp(f[4], "cancelled") == 0;
	return job->exit_code >= 0 && job->ended_at > 0 && job->end_attempt > 0 &&
	       (job->cancelled || strcmp(f[4], "ended") == 0);
}

/* Puts it at its place by its index; of a job that is told of twice the first counts. */
static void insert_job(struct observation *o, const struct job_sighting *job)
{
	size_t at = o->job_count;
	while (at > 0 && o->jobs[at - 1].job_index > job->job_index)
		at--;
	if (at > 0 && o->jobs[at - 1].job_index == job->job_index)
		return;
	o->jobs = mem_realloc(o->jobs, o->job_count + 1, sizeof *o->jobs);
	memmove(o->jobs + at + 1, o->jobs + at, (o->job_count - at) * sizeof *o->jobs);
	o->jobs[at] = *job;
	o->job_count++;
}

/* j|index|job|start,start|progress/total|, and exit|start|end|attempt|why, or nothing. */
void observe_files_take_job(struct observe_reply *reply, struct record *record)
{
	struct job_sighting job = {0};
	if (!record_split(record, 6, 10))
		return;
	char **f = record->fields;
	int64_t index = record_number(f[1], INT32_MAX, -1);
	job.job_index = (int)record_number(f[2], EVAL_JOBS_MAX - 1, -1);
	if (index < 0 || (size_t)index >= reply->count || job.job_index < 0)
		return;
	f[3][strcspn(f[3], ",")] = '\0';
	job.started_at = record_time(f[3]);
	read_progress(f[4], &job.progress, &job.progress_total);
	job.has_end = record->count == 10 && read_job_end(f + 5, &job);
	if (job.started_at == 0 && !job.has_end)
		return;
	insert_job(&reply->items[index], &job);
}
