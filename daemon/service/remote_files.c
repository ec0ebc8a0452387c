#include "service/remote_files.h"

#include "base/mem.h"
#include "remote/workers.h"
#include "service/log_place.h"
#include "slurm/files.h"
#include "slurm/shared_log.h"

#include <stdlib.h>
#include <string.h>

/* One reader's question, on its way through a lane. */
struct file_work {
	struct lane_work work; /* first */
	char *job_dir;
	char *chain_dir; /* of a list of logs: whose logs are shown, too; NULL: none */
	const char *folder;
	bool list;
	char *path; /* of a list: the prefix */
	int64_t offset;
	size_t max_bytes;
	int64_t tail_lines;
	int64_t line; /* this one alone; 0: no */
	int64_t timeout_ms;
	remote_callback callback;
	void *arg;
};

static const char *folder_name(enum remote_folder folder)
{
	switch (folder) {
	case REMOTE_LOGS: return "logs";
	case REMOTE_ARTIFACTS: return "artifacts";
	}
	return "logs";
}

static void file_work_free(struct file_work *w)
{
	free(w->job_dir);
	free(w->chain_dir);
	free(w->path);
	free(w);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct remote_entry *)a)->path, ((const struct remote_entry *)b)->path);
}

/* They borrow the paths of files. */
static void add_entries(struct remote_answer *answer, struct remote_entry *entries, const struct remote_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		entries[answer->count++] = (struct remote_entry){.path = files->items[i].path,
								 .size = files->items[i].size,
								 .escaped = files->items[i].escaped,
								 .modified_at = files->items[i].modified_at};
	answer->truncated = answer->truncated || files->truncated;
}

/* Those of the chain's logs, under the names by which they are shown. That there are none yet is no error. */
static int list_chain(const struct file_work *w, struct ssh_pool *pool, struct remote_files *ret_files,
		      struct nel_err *err)
{
	if (w->chain_dir == NULL)
		return 0;
	if (slurm_files_list(pool, w->chain_dir, w->folder, w->path, w->timeout_ms, ret_files, err) != 0)
		return err->kind == NEL_NOTFOUND ? 0 : -1;
	for (size_t i = 0; i < ret_files->count; i++) {
		char *file = ret_files->items[i].path;
		ret_files->items[i].path = shared_log_shown(file);
		free(file);
	}
	return 0;
}

static void answer_list(struct file_work *w, struct ssh_pool *pool)
{
	struct nel_err err;
	CLEANUP(remote_files_done) struct remote_files files = {0};
	CLEANUP(remote_files_done) struct remote_files chains = {0};
	struct remote_answer answer = {0};
	struct remote_entry *entries = NULL;
	if (slurm_files_list(pool, w->job_dir, w->folder, w->path, w->timeout_ms, &files, &err) != 0 ||
	    list_chain(w, pool, &chains, &err) != 0) {
		answer.err = &err;
	} else {
		entries = mem_calloc(files.count + chains.count, sizeof *entries);
		add_entries(&answer, entries, &files);
		add_entries(&answer, entries, &chains);
		if (chains.count > 0)
			qsort(entries, answer.count, sizeof *entries, by_path);
		answer.entries = entries;
	}
	w->callback(&answer, w->arg);
	free(entries);
}

static void answer_read(struct file_work *w, struct ssh_pool *pool)
{
	struct nel_err err;
	CLEANUP(remote_chunk_done) struct remote_chunk chunk = {0};
	struct remote_answer answer = {0};
	int status = w->line > 0 ? slurm_files_read_line(pool, w->job_dir, w->folder, w->path, w->line, w->timeout_ms,
							 &chunk, &err)
				 : slurm_files_read(pool, w->job_dir, w->folder, w->path, w->offset, w->max_bytes,
						    w->tail_lines, w->timeout_ms, &chunk, &err);
	if (status != 0)
		answer.err = &err;
	else
		answer = (struct remote_answer){.data = chunk.data,
						.size = chunk.size,
						.offset = chunk.offset,
						.file_size = chunk.file_size,
						.modified_at = chunk.modified_at,
						.version = chunk.version};
	w->callback(&answer, w->arg);
}

static void run(struct lane_work *work, struct ssh_pool *pool)
{
	struct file_work *w = (struct file_work *)work;
	if (w->list)
		answer_list(w, pool);
	else
		answer_read(w, pool);
	file_work_free(w);
}

static void abandon(struct lane_work *work)
{
	struct file_work *w = (struct file_work *)work;
	struct nel_err err;
	err_set(&err, NEL_BUSY, "the daemon is stopping");
	struct remote_answer answer = {.err = &err};
	w->callback(&answer, w->arg);
	file_work_free(w);
}

/* The path is a log's name, when it is not a list's prefix. */
static void place(struct file_work *w, const struct job_row *job, enum remote_folder folder)
{
	if (folder != REMOTE_LOGS || w->list) {
		w->job_dir = mem_strdup(job->job_dir);
		w->chain_dir = folder == REMOTE_LOGS ? log_place_chain_dir(job) : NULL;
		return;
	}
	CLEANUP(log_place_done) struct log_place place = log_place_of(job, w->path);
	char *file = mem_strdup(place.file);
	free(w->path);
	w->path = file;
	w->job_dir = TAKE(place.dir);
}

static int push(struct service *service, const struct job_row *job, enum remote_folder folder, struct file_work *w,
		struct nel_err *err)
{
	const struct settings_cluster *cluster = settings_cluster_by_name(service->settings, job->cluster);
	w->work = (struct lane_work){.run = run, .abandon = abandon};
	place(w, job, folder);
	w->folder = folder_name(folder);
	w->timeout_ms = cluster != NULL ? cluster->command_timeout_s * 1000 : 0;
	if (lanes_push(service->lanes, job->cluster, job->identity, &w->work, err) == 0)
		return 0;
	file_work_free(w);
	return -1;
}

static struct file_work *new_work(const char *path, remote_callback callback, void *arg)
{
	struct file_work *w = mem_calloc(1, sizeof *w);
	w->path = mem_strdup(path);
	w->callback = callback;
	w->arg = arg;
	return w;
}

int service_list_files(struct service *service, const struct job_row *job, enum remote_folder folder,
		       const char *prefix, remote_callback callback, void *arg, struct nel_err *err)
{
	struct file_work *w = new_work(prefix, callback, arg);
	w->list = true;
	return push(service, job, folder, w, err);
}

int service_read_file(struct service *service, const struct job_row *job, enum remote_folder folder, const char *path,
		      int64_t offset, size_t max_bytes, int64_t tail_lines, remote_callback callback, void *arg,
		      struct nel_err *err)
{
	if (!slurm_files_path_ok(path))
		return err_set(err, NEL_INVALID, "the path leaves the job's directory");
	struct file_work *w = new_work(path, callback, arg);
	w->offset = offset;
	w->max_bytes = max_bytes;
	w->tail_lines = tail_lines;
	return push(service, job, folder, w, err);
}

int service_read_line(struct service *service, const struct job_row *job, enum remote_folder folder, const char *path,
		      int64_t line, remote_callback callback, void *arg, struct nel_err *err)
{
	if (!slurm_files_path_ok(path))
		return err_set(err, NEL_INVALID, "the path leaves the job's directory");
	struct file_work *w = new_work(path, callback, arg);
	w->line = line;
	return push(service, job, folder, w, err);
}
