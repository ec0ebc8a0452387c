#include "service/planned_files.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/str_list.h"
#include "db/output_dirs.h"
#include "slurm/check.h"
#include "slurm/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The first attempts, as they would be sent. */
struct first_orders {
	struct attempt_order *items;
	size_t count;
	struct share_order share; /* of the one order, where the jobs share a deployment */
	int *jobs;
};

static void first_orders_done(struct first_orders *orders)
{
	for (size_t i = 0; i < orders->count; i++)
		free((char *)(uintptr_t)orders->items[i].job_name);
	free(orders->items);
	free(orders->jobs);
}

/* each: one of every job, also where they share a deployment. */
static void first_orders_init(const struct eval_plan *plan, const char *evaluation, bool each,
			      struct first_orders *orders)
{
	bool shared = eval_plan_is_shared(plan) && !each;
	*orders = (struct first_orders){.items = mem_calloc(plan->job_count, sizeof *orders->items),
					.count = shared ? 1 : plan->job_count,
					.jobs = mem_calloc(plan->job_count, sizeof *orders->jobs)};
	for (size_t i = 0; i < plan->job_count; i++)
		orders->jobs[i] = (int)i;
	orders->share = (struct share_order){.number = script_shared_number(plan),
					     .jobs = orders->jobs,
					     .job_count = plan->job_count,
					     .at_once = plan->share_at_once};
	for (size_t i = 0; i < orders->count; i++) {
		char *name = shared ? script_shared_name(plan, orders->share.number, evaluation, 1)
				    : script_job_name(plan, &plan->jobs[i], evaluation, 1);
		orders->items[i] = script_first_order(plan, (int)i, name);
		orders->items[i].share = shared ? &orders->share : NULL;
	}
}

static const char *request_secret(const char *name, void *arg)
{
	const char *value = arg == NULL ? NULL : submit_request_env(arg, name);
	return value != NULL ? value : PLANNED_PLACEHOLDER;
}

static int build_files(const struct planned *planned, const struct submit_request *request, const char *evaluation,
		       const char *rundir, const struct attempt_order *orders, size_t order_count,
		       struct rundir_files *ret_files, struct nel_err *err)
{
	const struct rundir_input input = {.plan = planned->plan,
					   .evaluation = evaluation,
					   .rundir = rundir,
					   .orders = orders,
					   .order_count = order_count,
					   .secret = request_secret,
					   .secret_arg = (void *)(uintptr_t)request};
	return rundir_build(&input, ret_files, err);
}

static json_t *describe_file(const struct rundir_file *file)
{
	char mode[8];
	snprintf(mode, sizeof mode, "%04o", (unsigned)file->mode & 07777);
	bool directory = str_ends_with(file->path, "/");
	json_t *content = file->secret || directory ? json_null() : json_stringn(file->data, file->size);
	return json_pack("{s:s, s:s, s:I, s:o}", "path", file->path, "mode", mode, "size",
			 (json_int_t)(file->secret ? 0 : file->size), "content", content);
}

/* The job's own file, or that of the chain that it shares, which is shown with the first. */
static bool is_of_job(const struct planned *planned, const struct plan_job *job, const char *path)
{
	if (!eval_plan_is_shared(planned->plan))
		return true;
	CLEANUP(mem_freep) char *own = script_job_dir("", job);
	CLEANUP(mem_freep) char *shared = script_shared_dir("", script_shared_number(planned->plan));
	size_t len = strcspn(path, "/");
	bool is_own = strlen(own) == len + 1 && strncmp(path, own + 1, len) == 0;
	return is_own || (job->index == 0 && strlen(shared) == len + 1 && strncmp(path, shared + 1, len) == 0);
}

/* files: with those of this job; NULL: they are not shown. */
static json_t *describe_job(const struct planned *planned, const struct plan_job *job, const struct rundir_files *files)
{
	CLEANUP(mem_freep) char *secrets = files != NULL ? rundir_secrets_redacted(planned->plan, job) : NULL;
	json_t *list = files != NULL ? json_array() : json_null();
	json_t *script = json_null();
	for (size_t i = 0; files != NULL && i < files->count; i++) {
		const struct rundir_file *file = &files->items[i];
		if (str_ends_with(file->path, "/run.sub"))
			script = json_stringn(file->data, file->size);
		else if (is_of_job(planned, job, file->path))
			json_array_append_new(list, describe_file(file));
	}
	return json_pack("{s:s, s:i, s:s, s:s, s:o, s:o, s:s?}", "task", job->task, "index", job->index, "container",
			 job->container, "endpoint_type", job->endpoint_type != NULL ? job->endpoint_type : "",
			 "script", script, "files", list, "secrets", secrets);
}

/* The jobs with their files, as long as these come to less than shown_max bytes. */
static int describe_jobs(const struct planned *planned, const char *evaluation, const char *rundir, size_t shown_max,
			 json_t *jobs, size_t *ret_shown, struct nel_err *err)
{
	const struct eval_plan *plan = planned->plan;
	bool shared = eval_plan_is_shared(plan);
	CLEANUP(first_orders_done) struct first_orders orders;
	first_orders_init(plan, evaluation, false, &orders);
	size_t size = 0;
	*ret_shown = 0;
	for (size_t i = 0; i < plan->job_count; i++) {
		CLEANUP(rundir_files_done) struct rundir_files files = {0};
		bool shown = size < shown_max;
		if (shown &&
		    build_files(planned, NULL, evaluation, rundir, &orders.items[shared ? 0 : i], 1, &files, err) != 0)
			return -1;
		for (size_t f = 0; f < files.count; f++)
			size += files.items[f].size;
		*ret_shown += shown;
		json_array_append_new(jobs, describe_job(planned, &plan->jobs[i], shown ? &files : NULL));
	}
	return 0;
}

int planned_describe(const struct planned *planned, const char *evaluation, int64_t now_s, size_t shown_max,
		     json_t **ret_document, struct nel_err *err)
{
	CLEANUP(mem_freep) char *rundir = script_rundir(planned->plan, evaluation, now_s);
	CLEANUP(json_freep) json_t *jobs = json_array();
	CLEANUP(json_freep) json_t *warnings = problems_to_json(&planned->warnings);
	size_t shown = 0;
	if (describe_jobs(planned, evaluation, rundir, shown_max, jobs, &shown, err) != 0)
		return -1;
	if (shown < planned->plan->job_count)
		json_array_append_new(
		    warnings, json_pack("{s:s, s:o}", "pointer", "/evaluation/tasks", "message",
					json_sprintf("The files of the first %zu of %zu jobs are shown here, for they "
						     "are large together; ?task=NAME shows those of a task",
						     shown, planned->plan->job_count)));
	*ret_document = json_pack("{s:O, s:s?, s:s, s:O, s:O}", "config", planned->plan->resolved, "cluster",
				  planned->cluster != NULL ? planned->cluster->name : NULL, "rundir", rundir,
				  "warnings", warnings, "jobs", jobs);
	return *ret_document != NULL ? 0 : err_set(err, NEL_INTERNAL, "the plan cannot be put into JSON");
}

int planned_run_hash(const struct planned *planned, char ret_hash[SECRET_HASH_SIZE], struct nel_err *err)
{
	const struct eval_plan *plan = planned->plan;
	CLEANUP(json_freep) json_t *jobs = json_array();
	size_t shown = 0;
	size_t i = 0;
	json_t *job = NULL;
	if (describe_jobs(planned, "0000000000000000", plan->output_dir, PLANNED_SHOWN_MAX, jobs, &shown, err) != 0)
		return -1;
	json_array_foreach(jobs, i, job) {
		json_t *config = json_copy(plan->jobs[i].evaluator_config);
		json_object_del(config, "metadata");
		json_object_set_new(job, "config", config);
		json_object_del(job, "files");
	}
	json_array_append_new(jobs, json_pack("{s:s?, s:s?}", "model", plan->model, "cluster",
					      planned->cluster != NULL ? planned->cluster->name : NULL));
	CLEANUP(mem_freep) char *text = json_dumps(jobs, JSON_COMPACT | JSON_SORT_KEYS);
	if (text == NULL)
		return err_set(err, NEL_INTERNAL, "the plan cannot be put into JSON");
	secret_hash(text, ret_hash);
	return 0;
}

int planned_question(const struct planned *planned, struct db *db, const char *evaluation, int64_t now_s,
		     struct check_question **ret_question, struct nel_err *err)
{
	CLEANUP(str_list_freep) char **output_dirs = NULL;
	if (output_dirs_list(db, planned->cluster->name, &output_dirs, err) != 0)
		return -1;
	CLEANUP(mem_freep) char *rundir = script_rundir(planned->plan, evaluation, now_s);
	CLEANUP(first_orders_done) struct first_orders orders;
	first_orders_init(planned->plan, evaluation, true, &orders); /* a shared one asks Slurm for the same */
	const struct check_input input = {.plan = planned->plan,
					  .evaluation = evaluation,
					  .rundir = rundir,
					  .orders = orders.items,
					  .order_count = orders.count,
					  .shared = !planned->cluster->identity_per_user,
					  .used_output_dirs = (const char *const *)output_dirs,
					  .has_accounts = planned->cluster->accounting != ACCOUNTING_NONE};
	return check_question_new(&input, ret_question, err);
}

static int write_file(const char *path, const struct rundir_file *file, struct nel_err *err)
{
	CLEANUP(fd_closep)
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, file->mode);
	/* A file that was there may have another mode. */
	if (fd < 0 || fchmod(fd, file->mode) != 0)
		return err_sys(err, NEL_INVALID, errno, "cannot write %s", path);
	for (size_t at = 0; at < file->size;) {
		ssize_t n = write(fd, file->data + at, file->size - at);
		if (n < 0)
			return err_sys(err, NEL_INVALID, errno, "cannot write %s", path);
		at += (size_t)n;
	}
	return 0;
}

static int make_directory(const char *path, mode_t mode, struct nel_err *err)
{
	if (mkdir(path, mode) != 0 && errno != EEXIST)
		return err_sys(err, NEL_INVALID, errno, "cannot make the directory %s", path);
	return 0;
}

int planned_write(const struct planned *planned, const struct submit_request *request, const char *evaluation,
		  const char *dir, struct nel_err *err)
{
	CLEANUP(rundir_files_done) struct rundir_files files = {0};
	CLEANUP(mem_freep) char *rundir = realpath(dir, NULL);
	if (rundir == NULL)
		return err_sys(err, NEL_INVALID, errno, "cannot use the directory %s", dir);
	CLEANUP(first_orders_done) struct first_orders orders;
	first_orders_init(planned->plan, evaluation, false, &orders);
	if (build_files(planned, request, evaluation, rundir, orders.items, orders.count, &files, err) != 0)
		return -1;
	for (size_t i = 0; i < files.count; i++) {
		const struct rundir_file *file = &files.items[i];
		CLEANUP(mem_freep) char *path = mem_printf("%s/%s", rundir, file->path);
		bool directory = str_ends_with(path, "/");
		if (directory ? make_directory(path, file->mode, err) != 0 : write_file(path, file, err) != 0)
			return -1;
	}
	return 0;
}
