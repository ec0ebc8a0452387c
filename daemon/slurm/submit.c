#include "slurm/submit.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "slurm/observe.h"
#include "slurm/records.h"
#include "slurm/remote.h"
#include "slurm/sources.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TIME_LIMIT_MAX_S (366 * 86400)
#define OUTPUT_MAX (64 * 1024 + SUBMIT_TASKS_MAX * 1024)

void submit_reply_done(struct submit_reply *reply)
{
	free(reply->items);
	*reply = (struct submit_reply){0};
}

static bool read_fingerprint(const char *text, struct submit_result *result)
{
	size_t size = strlen(text);
	if (size != SUBMIT_FINGERPRINT_SIZE - 1 || strspn(text, "0123456789abcdef") != size)
		return false;
	memcpy(result->fingerprint, text, size + 1);
	return true;
}

/* "<id>|<submit time>|<time limit in s, or 0>|<how it was chosen>" */
static bool read_accepted(char *text, struct submit_result *result)
{
	char *parts[4] = {text};
	for (int i = 1; i < 4; i++) {
		parts[i] = strchr(parts[i - 1], '|');
		if (parts[i] == NULL)
			return false;
		*parts[i]++ = '\0';
	}
	if (!observe_is_job_id(parts[0]))
		return false;
	memcpy(result->slurm_job_id, parts[0], strlen(parts[0]) + 1);
	result->submitted_at = record_time(parts[1]);
	result->time_limit_s = record_number(parts[2], TIME_LIMIT_MAX_S, 0);
	record_text(parts[3], result->message, sizeof result->message);
	return true;
}

/* The rest of "task|<index>|<outcome>|...". */
static bool read_result(struct record *record, struct submit_result *result)
{
	static const struct {
		const char *name;
		enum submit_outcome outcome;
	} outcomes[] = {{"reused", SUBMIT_REUSED},     {"accepted", SUBMIT_ACCEPTED}, {"refused", SUBMIT_REFUSED},
			{"retry", SUBMIT_RETRY},       {"limit", SUBMIT_LIMIT},       {"untold", SUBMIT_UNTOLD},
			{"in_doubt", SUBMIT_IN_DOUBT}, {"passing", SUBMIT_PASSING}};
	for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
		if (strcmp(record->fields[2], outcomes[i].name) != 0)
			continue;
		result->outcome = outcomes[i].outcome;
		if (result->outcome == SUBMIT_REUSED)
			return read_fingerprint(record->fields[3], result);
		if (result->outcome != SUBMIT_ACCEPTED) {
			record_text(record->fields[3], result->message, sizeof result->message);
			return true;
		}
		return read_accepted(record->fields[3], result);
	}
	return false;
}

int submit_parse(const char *text, size_t size, size_t count, struct submit_reply *ret_reply, struct nel_err *err)
{
	struct records records;
	struct record record;
	if (records_begin(text, size, &records, err) != 0)
		return -1;
	CLEANUP(submit_reply_done)
	struct submit_reply reply = {.items = mem_calloc(count, sizeof *reply.items), .count = count};
	CLEANUP(mem_freep) bool *seen = mem_calloc(count, sizeof *seen);
	size_t found = 0;
	while (records_next(&records, &record)) {
		if (record_is(&record, "error"))
			return record_error(&record, err);
		if (record_is(&record, "end") && found == count) {
			*ret_reply = reply;
			reply = (struct submit_reply){0};
			return 0;
		}
		if (record_is(&record, "fingerprint") && record_split(&record, 3, 3)) {
			int64_t of = record_number(record.fields[1], INT32_MAX, -1);
			if (of >= 0 && (size_t)of < count)
				(void)read_fingerprint(record.fields[2], &reply.items[of]);
			continue;
		}
		if (!record_is(&record, "task") || !record_split(&record, 4, 4))
			continue;
		int64_t index = record_number(record.fields[1], INT32_MAX, -1);
		if (index < 0 || (size_t)index >= count || seen[index])
			continue;
		reply.items[index].job_index = (int)index;
		if (read_result(&record, &reply.items[index])) {
			seen[index] = true;
			found++;
		}
	}
	return records_truncated(err);
}

/* "<least> <most> <start-up> <attempts left>": minutes, seconds, a number; "": the task's script has its time limit. */
static void render_walltimes(const struct submit_package *package, struct str *data)
{
	remote_set(data, "NEL_PARTITION", package->partition != NULL ? package->partition : "");
	remote_array_begin(data, "NEL_TASK_WALLTIMES");
	for (size_t i = 0; i < package->task_count; i++) {
		const struct walltime_range *range = &package->tasks[i].walltime;
		char text[96] = "";
		if (range->most_s > 0)
			snprintf(text, sizeof text, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, range->least_s / 60,
				 range->most_s / 60, range->start_up_s, range->attempts_left);
		remote_array_add(data, text);
	}
	remote_array_end(data);
}

static void render_data(const struct submit_package *package, struct str *data)
{
	remote_set(data, "NEL_RUNDIR", package->rundir);
	remote_set_number(data, "NEL_SHARED", package->shared ? 1 : 0);
	remote_set_number(data, "NEL_SHARE", package->share ? 1 : 0);
	remote_set_number(data, "NEL_IN_JOB", package->in_job ? 1 : 0);
	remote_set_number(data, "NEL_TAR_SIZE", (int64_t)package->tar_size);
	remote_array_begin(data, "NEL_TASK_DIRS");
	for (size_t i = 0; i < package->task_count; i++)
		remote_array_add(data, package->tasks[i].folder);
	remote_array_end(data);
	remote_array_begin(data, "NEL_TASK_NAMES");
	for (size_t i = 0; i < package->task_count; i++)
		remote_array_add(data, package->tasks[i].job_name);
	remote_array_end(data);
	remote_array_begin(data, "NEL_TASK_NUMBERS");
	for (size_t i = 0; i < package->task_count; i++)
		str_appendf(data, "%d ", package->tasks[i].number);
	remote_array_end(data);
	remote_array_begin(data, "NEL_TASK_ADOPT_ONLY");
	for (size_t i = 0; i < package->task_count; i++)
		str_appendf(data, "%d ", package->tasks[i].adopt_only ? 1 : 0);
	remote_array_end(data);
	remote_array_begin(data, "NEL_TASK_REUSE");
	for (size_t i = 0; i < package->task_count; i++)
		remote_array_add(data, package->tasks[i].reuse != NULL ? package->tasks[i].reuse : "");
	remote_array_end(data);
	remote_array_begin(data, "NEL_CHECKPOINTS");
	for (size_t i = 0; package->checkpoints != NULL && package->checkpoints[i] != NULL; i++)
		remote_array_add(data, package->checkpoints[i]);
	remote_array_end(data);
	render_walltimes(package, data);
	/* Two arrays side by side: a path, and the task that needs it (-1: every task). */
	struct str tasks = {0};
	remote_array_begin(data, "NEL_SOURCE_PATHS");
	for (size_t i = 0; package->sources[i] != NULL; i++) {
		remote_array_add(data, package->sources[i]);
		str_append(&tasks, "-1 ");
	}
	for (size_t i = 0; i < package->task_count; i++) {
		for (size_t s = 0; package->tasks[i].sources[s] != NULL; s++) {
			remote_array_add(data, package->tasks[i].sources[s]);
			str_appendf(&tasks, "%zu ", i);
		}
	}
	remote_array_end(data);
	str_appendf(data, "NEL_SOURCE_TASKS=(%s)\n", str_text(&tasks));
	str_done(&tasks);
}

/* Paths and names become lines of answers and of messages. */
static int check_package(const struct submit_package *package, struct nel_err *err)
{
	if (package->rundir[0] != '/' || str_has_control(package->rundir))
		return err_set(err, NEL_INVALID,
			       "the run directory must be an absolute path without control characters");
	if (package->task_count > SUBMIT_TASKS_MAX)
		return err_set(err, NEL_INVALID, "more than %d tasks in one submission", SUBMIT_TASKS_MAX);
	for (size_t i = 0; i < package->task_count; i++)
		if (str_has_control(package->tasks[i].job_name) || str_has_control(package->tasks[i].folder))
			return err_set(err, NEL_INVALID, "a job's name has control characters");
	return 0;
}

int submit_send(struct ssh_pool *pool, const struct submit_package *package, int64_t timeout_ms,
		struct submit_reply *ret_reply, bool *ret_sent, struct nel_err *err)
{
	*ret_sent = false;
	if (check_package(package, err) != 0)
		return -1;
	CLEANUP(str_done) struct str data = {0};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	render_data(package, &data);
	struct remote_call call = {.ret_sent = ret_sent,
				   .script = "submit",
				   .asks_mounts = true,
				   .takes_fingerprint = true,
				   .chooses_walltime = true,
				   .data = str_text(&data),
				   .payload = package->tar,
				   .payload_size = package->tar_size,
				   .output_max = OUTPUT_MAX,
				   .timeout_ms = timeout_ms};
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	return submit_parse(result.output, result.output_size, package->task_count, ret_reply, err);
}

/* The tasks of the orders, with what they own. */
struct tasks {
	struct submit_task *items;
	char **dirs;
	struct sources *sources;
	size_t count;
};

static void tasks_done(struct tasks *tasks)
{
	for (size_t i = 0; i < tasks->count; i++) {
		free(tasks->dirs[i]);
		sources_done(&tasks->sources[i]);
	}
	free(tasks->items);
	free(tasks->dirs);
	free(tasks->sources);
	*tasks = (struct tasks){0};
}

static int tasks_init(struct tasks *tasks, const struct rundir_input *in, struct nel_err *err)
{
	tasks->items = mem_calloc(in->order_count, sizeof *tasks->items);
	tasks->dirs = mem_calloc(in->order_count, sizeof *tasks->dirs);
	tasks->sources = mem_calloc(in->order_count, sizeof *tasks->sources);
	for (size_t i = 0; i < in->order_count; i++) {
		const struct attempt_order *order = &in->orders[i];
		const int *jobs = order->share != NULL ? order->share->jobs : &order->job_index;
		size_t job_count = order->share != NULL ? order->share->job_count : 1;
		tasks->dirs[i] = script_chain_dir(in->plan, in->rundir, order, err);
		if (tasks->dirs[i] == NULL)
			return -1;
		sources_init(&tasks->sources[i]);
		tasks->count++;
		for (size_t k = 0; k < job_count; k++) {
			const struct plan_job *job = eval_plan_job(in->plan, jobs[k]);
			if (job == NULL)
				return err_set(err, NEL_INTERNAL, "the plan has no job %d", jobs[k]);
			sources_add_job(&tasks->sources[i], job);
		}
		tasks->items[i] = (struct submit_task){.folder = tasks->dirs[i] + strlen(in->rundir) + 1,
						       .job_name = order->job_name,
						       .number = order->number,
						       .adopt_only = order->adopt_only,
						       .reuse = order->reuse,
						       .walltime = order->walltime,
						       .sources = tasks->sources[i].items};
	}
	return 0;
}

struct tar {
	char *data;
	size_t size;
};

static void tar_done(struct tar *tar)
{
	secret_free(tar->data, tar->size);
}

static int make_tar(const struct rundir_input *in, struct tar *tar, struct nel_err *err)
{
	CLEANUP(rundir_files_done) struct rundir_files files = {0};
	if (rundir_build(in, &files, err) != 0)
		return -1;
	return rundir_tar(&files, &tar->data, &tar->size, err);
}

int slurm_submit(struct ssh_pool *pool, const struct rundir_input *in, int64_t timeout_ms,
		 struct submit_reply *ret_reply, bool *ret_sent, struct nel_err *err)
{
	*ret_sent = false;
	CLEANUP(tasks_done) struct tasks tasks = {0};
	CLEANUP(sources_done) struct sources sources = {0};
	CLEANUP(tar_done) struct tar tar = {0};
	if (tasks_init(&tasks, in, err) != 0 || make_tar(in, &tar, err) != 0)
		return -1;
	sources_init(&sources);
	sources_add_plan(&sources, in->plan);
	struct submit_package package = {.rundir = in->rundir,
					 .partition = in->plan->partition,
					 .sources = sources.items,
					 .tasks = tasks.items,
					 .task_count = tasks.count,
					 .checkpoints = in->checkpoints,
					 .shared = in->shared,
					 .share = in->order_count > 0 && in->orders[0].share != NULL,
					 .in_job = in->plan->resume_mode == RESUME_IN_JOB,
					 .tar = tar.data,
					 .tar_size = tar.size};
	struct submit_reply reply = {0};
	if (submit_send(pool, &package, timeout_ms, &reply, ret_sent, err) != 0)
		return -1;
	for (size_t i = 0; i < reply.count; i++)
		reply.items[i].job_index = in->orders[i].share != NULL ? -1 : in->orders[i].job_index;
	*ret_reply = reply;
	return 0;
}
