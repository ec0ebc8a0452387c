/* Makes the files of a run directory from a plan, and packs them. The text of run.sub is script.c's. */
#include "slurm/rundir.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "config/text/yaml_json.h"
#include "slurm/script_data.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#define SECRETS_HEAD "# The secrets of this job's containers, for run.sub: source .secrets.env CONSUMER\n"
#define REDACTED "<redacted>"
#define SECRET_LINE_MAX 64 /* bytes of what stands around a name and a value in .secrets.env */
#define TAR_ENTRY_MAX \
	8192 /* bytes of headers and padding around an entry's data, a pax header for a long name included */
#define TAR_END_MAX (64 * 1024)

void rundir_files_done(struct rundir_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		struct rundir_file *file = &files->items[i];
		if (file->secret)
			secret_free(file->data, file->size);
		else
			free(file->data);
		free(file->path);
	}
	free(files->items);
	*files = (struct rundir_files){0};
}

/* Takes over path and data. */
static void add(struct rundir_files *files, char *path, char *data, size_t size, mode_t mode, bool secret)
{
	files->items = mem_realloc(files->items, files->count + 1, sizeof *files->items);
	files->items[files->count++] =
	    (struct rundir_file){.path = path, .data = data, .size = size, .mode = mode, .secret = secret};
}

static void add_directory(struct rundir_files *files, const char *dir, const char *name)
{
	add(files, mem_printf("%s/%s", dir, name), mem_calloc(1, 1), 0, 0700, false);
}

static void add_text(struct rundir_files *files, const char *dir, const char *name, char *text, mode_t mode)
{
	add(files, mem_printf("%s/%s", dir, name), text, strlen(text), mode, false);
}

/* ---- secrets ---- */

/* The variables of a job's containers, one group a consumer. */
struct consumer {
	struct str name;
	const struct env_group *group;
};

struct consumers {
	struct consumer *items;
	size_t count;
};

static void consumers_done(struct consumers *consumers)
{
	for (size_t i = 0; i < consumers->count; i++)
		str_done(&consumers->items[i].name);
	free(consumers->items);
}

static struct consumer *add_consumer(struct consumers *consumers, const struct env_group *group)
{
	consumers->items = mem_realloc(consumers->items, consumers->count + 1, sizeof *consumers->items);
	consumers->items[consumers->count] = (struct consumer){.group = group};
	return &consumers->items[consumers->count++];
}

static void add_servers(struct consumers *consumers, const struct eval_plan *plan)
{
	if (plan->deployment != NULL)
		script_append_consumer(&add_consumer(consumers, &plan->deployment->env)->name, plan->deployment);
	for (size_t i = 0; i < plan->auxiliary_count; i++)
		script_append_consumer(&add_consumer(consumers, &plan->auxiliaries[i].env)->name,
				       &plan->auxiliaries[i]);
}

/* Which containers read secrets in a directory: those of the job, and of the servers when it has its own. */
static void consumers_init(struct consumers *consumers, const struct eval_plan *plan, const struct plan_job *job,
			   bool servers)
{
	*consumers = (struct consumers){0};
	if (servers)
		add_servers(consumers, plan);
	if (job == NULL)
		return;
	str_append(&add_consumer(consumers, &job->env)->name, SCRIPT_EVALUATION);
	if (plan->export_ != NULL)
		str_append(&add_consumer(consumers, &plan->export_->env)->name, SCRIPT_EXPORT);
}

static const char *redact(const char *name, void *arg)
{
	(void)name, (void)arg;
	return REDACTED;
}

/* Enough bytes for secrets_text(), so that it never grows and leaves a copy of a secret in freed memory. */
static size_t secrets_bound(const struct consumers *consumers, secret_lookup lookup, void *arg)
{
	size_t size = sizeof SECRETS_HEAD + SECRET_LINE_MAX;
	for (size_t i = 0; i < consumers->count; i++) {
		const struct env_group *group = consumers->items[i].group;
		size += consumers->items[i].name.len + SECRET_LINE_MAX;
		for (size_t v = 0; v < group->count; v++)
			if (group->vars[v].source == ENV_HOST)
				size += strlen(group->vars[v].name) + 4 * strlen(lookup(group->vars[v].value, arg)) +
					SECRET_LINE_MAX;
	}
	return size;
}

/* A bash file that exports the variables of the consumer in $1. Every secret must be there. */
static void secrets_text(const struct consumers *consumers, secret_lookup lookup, void *arg, struct str *s)
{
	s->cap = secrets_bound(consumers, lookup, arg);
	s->data = mem_calloc(s->cap, 1);
	str_append(s, SECRETS_HEAD "case $1 in\n");
	for (size_t i = 0; i < consumers->count; i++) {
		const struct env_group *group = consumers->items[i].group;
		str_appendf(s, "%s)\n", str_text(&consumers->items[i].name));
		for (size_t v = 0; v < group->count; v++) {
			if (group->vars[v].source != ENV_HOST)
				continue;
			str_append(s, "    export ");
			script_append_name(s, group->vars[v].name);
			str_append_c(s, '=');
			str_append_shell(s, lookup(group->vars[v].value, arg));
			str_append_c(s, '\n');
		}
		str_append(s, "    ;;\n");
	}
	str_append(s, "esac\n");
}

char *rundir_secrets_redacted(const struct eval_plan *plan, const struct plan_job *job)
{
	CLEANUP(consumers_done) struct consumers consumers;
	consumers_init(&consumers, plan, job, true);
	struct str s = {0};
	secrets_text(&consumers, redact, NULL, &s);
	return str_take(&s);
}

/* Adds the name to the list in missing, if it is not there yet. */
static void note_missing(const char *name, char ***missing, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp((*missing)[i], name) == 0)
			return;
	*missing = mem_realloc(*missing, *count + 1, sizeof **missing);
	(*missing)[(*count)++] = mem_strdup(name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All secrets of these consumers are there and fit into a variable. */
static int check_secrets(const struct consumers *consumers, const struct rundir_input *in, struct nel_err *err)
{
	char **missing = NULL;
	size_t count = 0;
	const char *too_long = NULL;
	for (size_t i = 0; i < consumers->count; i++) {
		const struct env_group *group = consumers->items[i].group;
		for (size_t v = 0; v < group->count; v++) {
			if (group->vars[v].source != ENV_HOST)
				continue;
			const char *value = in->secret(group->vars[v].value, in->secret_arg);
			if (value == NULL)
				note_missing(group->vars[v].value, &missing, &count);
			else if (strlen(value) > SCRIPT_WORD_MAX)
				too_long = group->vars[v].value;
		}
	}
	int rc = 0;
	if (count > 0) {
		struct str names = {0};
		qsort(missing, count, sizeof *missing, by_text);
		for (size_t i = 0; i < count; i++)
			str_appendf(&names, "%s%s", i == 0 ? "" : ", ", missing[i]);
		rc = err_set(err, NEL_INVALID, "no value for the secret%s %s", count > 1 ? "s" : "", str_text(&names));
		str_done(&names);
	} else if (too_long != NULL) {
		rc = err_set(err, NEL_INVALID, "the secret %s is longer than %d bytes", too_long, SCRIPT_WORD_MAX);
	}
	for (size_t i = 0; i < count; i++)
		free(missing[i]);
	free(missing);
	return rc;
}

static void add_secrets(struct rundir_files *files, const char *dir, const struct rundir_input *in,
			const struct plan_job *job, bool servers)
{
	CLEANUP(consumers_done) struct consumers consumers;
	consumers_init(&consumers, in->plan, job, servers);
	struct str s = {0};
	secrets_text(&consumers, in->secret, in->secret_arg, &s);
	size_t size = s.len;
	add(files, mem_printf("%s/.secrets.env", dir), str_take(&s), size, 0600, true);
}

/* ---- files ---- */

/* What `nemo-evaluator-launcher export` reads beside the scores. */
static void add_export(struct rundir_files *files, const char *dir, const struct eval_plan *plan)
{
	if (plan->export_ == NULL)
		return;
	json_t *export_ = json_object_get(plan->resolved, "export");
	CLEANUP(json_freep) json_t *config = json_object();
	if (export_ != NULL)
		json_object_set(config, "export", export_);
	else
		json_object_set_new(config, "export", json_object());
	add_text(files, dir, "artifacts/export_config.yml", yaml_json_emit(config), 0600);
	add_text(files, dir, "artifacts/config.yml", yaml_json_emit(plan->resolved), 0600);
}

/* run.sub and what a chain's directory has beside. */
static int add_chain(struct rundir_files *files, const struct rundir_input *in, const struct attempt_order *order,
		     struct nel_err *err)
{
	CLEANUP(mem_freep) char *chain_dir = script_chain_dir(in->plan, in->rundir, order, err);
	CLEANUP(str_done) struct str script = {0};
	if (chain_dir == NULL || script_render_header(in->plan, order, in->evaluation, chain_dir, &script, err) != 0)
		return -1;
	const char *dir = strrchr(chain_dir, '/') + 1;
	str_append(&script, order->share != NULL ? script_shared_body() : script_body());
	add_directory(files, dir, "");
	add_directory(files, dir, "logs/");
	add_directory(files, dir, "artifacts/");
	add_text(files, dir, "run.sub", str_take(&script), 0700);
	return 0;
}

static void add_job(struct rundir_files *files, const struct rundir_input *in, const struct plan_job *job, bool servers)
{
	CLEANUP(mem_freep) char *job_dir = script_job_dir(in->rundir, job);
	const char *dir = strrchr(job_dir, '/') + 1;
	if (!servers) { /* of a chain's own directory add_chain() has made them */
		add_directory(files, dir, "");
		add_directory(files, dir, "logs/");
		add_directory(files, dir, "artifacts/");
	}
	add_text(files, dir, "config_ef.yaml", yaml_json_emit(job->evaluator_config), 0600);
	add_export(files, dir, in->plan);
	add_secrets(files, dir, in, job, servers);
	if (in->sealed_env != NULL)
		add(files, mem_printf("%s/.secrets.sealed", dir), mem_dup(in->sealed_env, in->sealed_env_size),
		    in->sealed_env_size, 0600, false);
}

static int add_order(struct rundir_files *files, const struct rundir_input *in, const struct attempt_order *order,
		     struct nel_err *err)
{
	const struct share_order *share = order->share;
	if (add_chain(files, in, order, err) != 0)
		return -1;
	if (share == NULL) {
		add_job(files, in, eval_plan_job(in->plan, order->job_index), true);
		return 0;
	}
	CLEANUP(mem_freep) char *chain_dir = script_shared_dir("", share->number);
	add_secrets(files, chain_dir + 1, in, NULL, true);
	for (size_t i = 0; i < share->job_count; i++)
		add_job(files, in, eval_plan_job(in->plan, share->jobs[i]), false);
	return 0;
}

/* One to a line; a path with a newline in it has no run directories. */
static void add_output_dirs(struct rundir_files *files, const struct rundir_input *in)
{
	struct str text = {0};
	for (const char *const *dir = in->used_output_dirs; dir != NULL && *dir != NULL; dir++)
		str_appendf(&text, "%s\n", *dir);
	size_t size = text.len;
	add(files, mem_strdup(".output_dirs"), str_take(&text), size, 0600, false);
}

static void add_consumers(struct consumers *all, const struct rundir_input *in, const struct plan_job *job)
{
	if (job == NULL)
		return;
	struct consumers consumers;
	consumers_init(&consumers, in->plan, job, true);
	for (size_t c = 0; c < consumers.count; c++)
		add_consumer(all, consumers.items[c].group);
	consumers_done(&consumers);
}

/* Before any file is made, so that what is missing is told for all jobs at once. */
static int check_all_secrets(const struct rundir_input *in, struct nel_err *err)
{
	struct consumers all = {0};
	for (size_t i = 0; i < in->order_count; i++) {
		const struct share_order *share = in->orders[i].share;
		if (share == NULL)
			add_consumers(&all, in, eval_plan_job(in->plan, in->orders[i].job_index));
		for (size_t k = 0; share != NULL && k < share->job_count; k++)
			add_consumers(&all, in, eval_plan_job(in->plan, share->jobs[k]));
	}
	int rc = check_secrets(&all, in, err);
	consumers_done(&all);
	return rc;
}

int rundir_build(const struct rundir_input *in, struct rundir_files *ret_files, struct nel_err *err)
{
	struct rundir_files files = {0};
	int rc = check_all_secrets(in, err);
	for (size_t i = 0; rc == 0 && i < in->order_count; i++)
		rc = add_order(&files, in, &in->orders[i], err);
	if (rc == 0 && in->shared)
		add_output_dirs(&files, in);
	if (rc == 0 && in->origin != NULL)
		add(&files, mem_strdup(".origin"), mem_dup(in->origin, in->origin_size), in->origin_size, 0600, false);
	if (rc == 0)
		*ret_files = files;
	else
		rundir_files_done(&files);
	return rc;
}

/* ---- tar ---- */

static int tar_error(struct archive *tar, struct nel_err *err)
{
	const char *text = archive_error_string(tar);
	return err_set(err, NEL_INTERNAL, "cannot pack the run directory: %s", text == NULL ? "unknown" : text);
}

static int tar_entry(struct archive *tar, const struct rundir_file *file, struct archive_entry *entry,
		     struct nel_err *err)
{
	bool directory = str_ends_with(file->path, "/");
	archive_entry_set_pathname(entry, file->path);
	archive_entry_set_filetype(entry, directory ? AE_IFDIR : AE_IFREG);
	archive_entry_set_perm(entry, file->mode);
	archive_entry_set_size(entry, directory ? 0 : (la_int64_t)file->size);
	/* Not the epoch: clusters purge what looks old. */
	archive_entry_set_mtime(entry, clock_now_s(), 0);
	if (archive_write_header(tar, entry) != ARCHIVE_OK)
		return tar_error(tar, err);
	if (!directory && file->size > 0 && archive_write_data(tar, file->data, file->size) != (la_ssize_t)file->size)
		return tar_error(tar, err);
	return 0;
}

static int tar_all(struct archive *tar, const struct rundir_files *files, char *data, size_t bound, size_t *used,
		   struct nel_err *err)
{
	/* Without blocks libarchive keeps no copy of the data, which has secrets. */
	if (archive_write_set_format_pax_restricted(tar) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(tar, 0) != ARCHIVE_OK ||
	    archive_write_open_memory(tar, data, bound, used) != ARCHIVE_OK)
		return tar_error(tar, err);
	for (size_t i = 0; i < files->count; i++) {
		struct archive_entry *entry = archive_entry_new();
		int rc = tar_entry(tar, &files->items[i], entry, err);
		archive_entry_free(entry);
		if (rc != 0)
			return -1;
	}
	return archive_write_close(tar) == ARCHIVE_OK ? 0 : tar_error(tar, err);
}

int rundir_tar(const struct rundir_files *files, char **ret_data, size_t *ret_size, struct nel_err *err)
{
	size_t bound = TAR_END_MAX;
	for (size_t i = 0; i < files->count; i++)
		bound += files->items[i].size + 2 * strlen(files->items[i].path) + TAR_ENTRY_MAX;
	char *data = mem_calloc(bound, 1);
	size_t used = 0;
	struct archive *tar = archive_write_new();
	int rc = tar == NULL ? err_set(err, NEL_NOMEM, "cannot pack the run directory")
			     : tar_all(tar, files, data, bound, &used, err);
	archive_write_free(tar);
	if (rc != 0) {
		secret_free(data, bound);
		return -1;
	}
	*ret_data = data;
	*ret_size = used;
	return 0;
}
