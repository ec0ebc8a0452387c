#include "slurm/look.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "slurm/observe.h"
#include "slurm/records.h"
#include "slurm/remote.h"
#include "slurm/slurm_state.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_JOBS_MAX 40000
#define LOOK_RUNDIRS_MAX 20000
#define LOOK_OUTPUT_MAX (96 * 1024 * 1024)
#define ORIGIN_TEXT_MAX (8 * 1024 * 1024)                      /* remote_origins.sh, sealed_max in base64 */
#define ORIGINS_OUTPUT_MAX (1024 * 1024 + 2 * ORIGIN_TEXT_MAX) /* room for any one; that of many is small */
#define ORIGIN_ATTEMPTS_MAX 1000
#define NUMBER_MAX 999999999
#define LIMIT_MINUTES_MAX (366 * 1440)

void look_reply_done(struct look_reply *reply)
{
	for (size_t i = 0; i < reply->job_count; i++) {
		free(reply->jobs[i].name);
		free(reply->jobs[i].rundir);
	}
	free(reply->jobs);
	for (size_t i = 0; i < reply->rundir_count; i++)
		free(reply->rundirs[i]);
	free(reply->rundirs);
	*reply = (struct look_reply){0};
}

/* "<what the user chose>.<index>-<evaluation>.<attempt>" */
static bool read_name(const char *name, struct look_job *job)
{
	const char *attempt = strrchr(name, '.');
	if (attempt == NULL || attempt - name < IDS_EVALUATION_SIZE + 2)
		return false;
	const char *id = attempt - (IDS_EVALUATION_SIZE - 1);
	memcpy(job->evaluation, id, IDS_EVALUATION_SIZE - 1);
	job->evaluation[IDS_EVALUATION_SIZE - 1] = '\0';
	const char *index = id - 1;
	if (!ids_is_evaluation(job->evaluation) || *index != '-')
		return false;
	char digits[12] = "";
	const char *end = index;
	while (index > name && index[-1] >= '0' && index[-1] <= '9')
		index--;
	if (index == end || index == name || index[-1] != '.' || (size_t)(end - index) >= sizeof digits)
		return false;
	memcpy(digits, index, (size_t)(end - index));
	job->index = (int)record_number(digits, NUMBER_MAX, -1);
	job->attempt = (int)record_number(attempt + 1, NUMBER_MAX, -1);
	return job->index >= 0 && job->attempt > 0;
}

bool look_rundir_id(const char *rundir, char ret_evaluation[IDS_EVALUATION_SIZE])
{
	const char *slash = strrchr(rundir, '/');
	const char *name = slash != NULL ? slash + 1 : rundir;
	if (slash == NULL || strlen(name) != strlen("YYYYmmdd_HHMMSS-") + IDS_EVALUATION_SIZE - 1 || name[15] != '-' ||
	    !ids_is_evaluation(name + 16))
		return false;
	memcpy(ret_evaluation, name + 16, IDS_EVALUATION_SIZE);
	return true;
}

int64_t look_rundir_time(const char *rundir)
{
	char evaluation[IDS_EVALUATION_SIZE];
	struct tm utc = {0};
	if (!look_rundir_id(rundir, evaluation) || strptime(strrchr(rundir, '/') + 1, "%Y%m%d_%H%M%S-", &utc) == NULL)
		return 0;
	int64_t at = timegm(&utc);
	return at > 0 ? at : 0;
}

/* q|id|state|submitted|name|directory, and the same of sacct. */
static void read_job(struct look_reply *reply, struct record *record, bool queue, size_t *room)
{
	struct look_job job = {0};
	if (!record_split(record, 6, 6) || reply->job_count == LOOK_JOBS_MAX)
		return;
	char **f = record->fields;
	char evaluation[IDS_EVALUATION_SIZE];
	size_t digits = strspn(f[1], "0123456789");
	char *slash = strrchr(f[5], '/');
	if (digits == 0 || digits >= sizeof job.id || !read_name(f[4], &job) || slash == NULL || f[5][0] != '/' ||
	    !record_is_clean(f[5]))
		return;
	memcpy(job.id, f[1], digits);
	slurm_state_word(f[2], job.state);
	job.submitted = record_time(f[3]);
	switch (slurm_state_class(job.state)) {
	case SLURM_PENDING:
	case SLURM_RUNNING:
	case SLURM_REVOKED:
	case SLURM_UNKNOWN: job.live = queue; break;
	case SLURM_SUCCEEDED:
	case SLURM_RESUMABLE:
	case SLURM_CANCELLED:
	case SLURM_FAILED: break;
	}
	*slash = '\0';
	/* One that somebody has given to sbatch by hand, from what `render` wrote, has the name too, but no run
	 * directory. */
	if (!look_rundir_id(f[5], evaluation) || strcmp(evaluation, job.evaluation) != 0)
		return;
	job.name = mem_strdup(f[4]);
	job.rundir = mem_strdup(f[5]);
	if (reply->job_count == *room) {
		*room = *room == 0 ? 64 : *room * 2;
		reply->jobs = mem_realloc(reply->jobs, *room, sizeof *reply->jobs);
	}
	reply->jobs[reply->job_count++] = job;
}

static void read_rundir(struct look_reply *reply, struct record *record, size_t *room)
{
	char evaluation[IDS_EVALUATION_SIZE];
	if (!record_split(record, 2, 2) || reply->rundir_count == LOOK_RUNDIRS_MAX)
		return;
	const char *rundir = record->fields[1];
	if (rundir[0] != '/' || !record_is_clean(rundir) || !look_rundir_id(rundir, evaluation))
		return;
	if (reply->rundir_count == *room) {
		*room = *room == 0 ? 64 : *room * 2;
		reply->rundirs = mem_realloc(reply->rundirs, *room, sizeof *reply->rundirs);
	}
	reply->rundirs[reply->rundir_count++] = mem_strdup(rundir);
}

int look_parse(const char *text, size_t size, struct look_reply *ret_reply, struct nel_err *err)
{
	struct records records;
	struct record record;
	size_t jobs_room = 0;
	size_t rundirs_room = 0;
	CLEANUP(look_reply_done) struct look_reply reply = {0};
	if (records_begin(text, size, &records, err) != 0)
		return -1;
	while (records_next(&records, &record)) {
		if (record_is(&record, "error"))
			return record_error(&record, err);
		if (record_is(&record, "q") || record_is(&record, "a")) {
			read_job(&reply, &record, record_is(&record, "q"), &jobs_room);
		} else if (record_is(&record, "d")) {
			read_rundir(&reply, &record, &rundirs_room);
		} else if (record_is(&record, "m") && record_split(&record, 3, 3)) {
			char why[400];
			record_text(record.fields[2], why, sizeof why);
			reply.partial = true;
			snprintf(reply.message, sizeof reply.message, "%.80s: %s", record.fields[1], why);
		} else if (record_is(&record, "end")) {
			*ret_reply = reply;
			reply = (struct look_reply){0};
			return 0;
		}
	}
	return records_truncated(err);
}

int slurm_look(struct ssh_pool *pool, const struct look_order *order, int64_t timeout_ms, struct look_reply *ret_reply,
	       struct nel_err *err)
{
	char stamp[32] = "";
	time_t since = (time_t)order->since_s;
	struct tm utc;
	CLEANUP(str_done) struct str data = {0};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	if (gmtime_r(&since, &utc) != NULL)
		strftime(stamp, sizeof stamp, "%Y%m%d_%H%M%S", &utc);
	remote_set_number(&data, "NEL_USE_SACCT", order->use_sacct ? 1 : 0);
	remote_set_number(&data, "NEL_AGE_S", order->now_s > order->since_s ? order->now_s - order->since_s : 0);
	remote_set(&data, "NEL_SINCE_STAMP", stamp);
	remote_array_begin(&data, "NEL_OUTPUT_DIRS");
	for (size_t i = 0; order->output_dirs != NULL && order->output_dirs[i] != NULL; i++)
		if (!str_has_control(order->output_dirs[i]))
			remote_array_add(&data, order->output_dirs[i]);
	remote_array_end(&data);
	struct remote_call call = {
	    .script = "look", .data = str_text(&data), .output_max = LOOK_OUTPUT_MAX, .timeout_ms = timeout_ms};
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	return look_parse(result.output, result.output_size, ret_reply, err);
}

/* ---- origins ---- */

void origins_done(struct origins *origins)
{
	for (size_t i = 0; i < origins->count; i++) {
		struct origin *origin = &origins->items[i];
		free(origin->sealed);
		free(origin->sealed_env);
		for (size_t a = 0; a < origin->attempt_count; a++)
			free(origin->attempts[a].folder);
		free(origin->attempts);
		for (size_t b = 0; b < origin->budget_count; b++)
			free(origin->budgets[b].folder);
		free(origin->budgets);
	}
	free(origins->items);
	*origins = (struct origins){0};
}

static bool read_state(const char *text, enum origin_state *ret_state)
{
	static const char *const names[] = {
	    [ORIGIN_OK] = "ok", [ORIGIN_BUSY] = "busy", [ORIGIN_GONE] = "gone", [ORIGIN_OTHER] = "other"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		*ret_state = (enum origin_state)i;
		return true;
	}
	return false;
}

/* The bytes behind "o|i|size"; what is no base64 counts as if it were not there. False when the answer lacks them. */
static bool read_sealed(struct records *records, const char *size_text, unsigned char **sealed, size_t *sealed_size)
{
	const char *text = NULL;
	int64_t size = record_number(size_text, ORIGIN_TEXT_MAX + 4, -1);
	if (size < 0 || !records_take(records, (size_t)size, &text))
		return false;
	unsigned char *data = mem_calloc((size_t)size + 1, 1);
	size_t used = 0;
	if (size == 0 || sodium_base642bin(data, (size_t)size, text, (size_t)size, NULL, &used, NULL,
					   sodium_base64_VARIANT_ORIGINAL) != 0) {
		free(data);
		return true;
	}
	free(*sealed);
	*sealed = data;
	*sealed_size = used;
	return true;
}

/* t|i|attempt|id|submitted|begun|minutes|folder */
static void read_attempt(struct origin *origin, struct record *record)
{
	char **f = record->fields;
	if (!record_split(record, 8, 8) || origin->attempt_count == ORIGIN_ATTEMPTS_MAX || !record_is_clean(f[7]))
		return;
	struct origin_attempt attempt = {.number = (int)record_number(f[2], NUMBER_MAX, -1),
					 .submitted = record_time(f[4]),
					 .begun = strcmp(f[5], "1") == 0,
					 .time_limit_s = record_number(f[6], LIMIT_MINUTES_MAX, 0) * 60};
	if (attempt.number <= 0 || (f[3][0] != '\0' && !observe_is_job_id(f[3])))
		return;
	memcpy(attempt.id, f[3], strlen(f[3]) + 1);
	attempt.folder = mem_strdup(f[7]);
	origin->attempts = mem_realloc(origin->attempts, origin->attempt_count + 1, sizeof *origin->attempts);
	origin->attempts[origin->attempt_count++] = attempt;
}

/* b|i|attempt|left|from|folder */
static void read_budget(struct origin *origin, struct record *record)
{
	char **f = record->fields;
	if (!record_split(record, 6, 6) || origin->budget_count == ORIGIN_ATTEMPTS_MAX || !record_is_clean(f[5]))
		return;
	struct origin_budget budget = {.attempt = (int)record_number(f[2], NUMBER_MAX, -1),
				       .left_s = record_number(f[3], INT64_MAX / 2, -1),
				       .from = (int)record_number(f[4], NUMBER_MAX, 0),
				       .folder = mem_strdup(f[5])};
	origin->budgets = mem_realloc(origin->budgets, origin->budget_count + 1, sizeof *origin->budgets);
	origin->budgets[origin->budget_count++] = budget;
}

/* "<kind>|<i>|..." of the directory that i counts; *known: it has been told how that is. False: the answer is broken.
 */
static bool read_origin(struct records *records, struct record *record, struct origins *origins, bool *known)
{
	char *rest = record->fields[0] + 2;
	size_t digits = strspn(rest, "0123456789");
	char number[4] = "";
	if (digits == 0 || digits >= sizeof number || rest[digits] != '|')
		return true;
	memcpy(number, rest, digits);
	int64_t index = record_number(number, ORIGINS_MAX, -1);
	if (index < 0 || (size_t)index >= origins->count)
		return true;
	struct origin *origin = &origins->items[index];
	switch (record->fields[0][0]) {
	case 'r': known[index] = read_state(rest + digits + 1, &origin->state); break;
	case 'o': return read_sealed(records, rest + digits + 1, &origin->sealed, &origin->sealed_size);
	case 'e': return read_sealed(records, rest + digits + 1, &origin->sealed_env, &origin->sealed_env_size);
	case 't': read_attempt(origin, record); break;
	case 'b': read_budget(origin, record); break;
	default: break;
	}
	return true;
}

int origins_parse(const char *text, size_t size, size_t count, struct origins *ret_origins, struct nel_err *err)
{
	struct records records;
	struct record record;
	bool known[ORIGINS_MAX] = {false};
	if (count > ORIGINS_MAX)
		return err_set(err, NEL_INTERNAL, "more than %d run directories at once", ORIGINS_MAX);
	if (records_begin(text, size, &records, err) != 0)
		return -1;
	CLEANUP(origins_done)
	struct origins origins = {.items = mem_calloc(count, sizeof *origins.items), .count = count};
	while (records_next(&records, &record)) {
		const char *line = record.fields[0];
		if (record_is(&record, "error"))
			return record_error(&record, err);
		if (record_is(&record, "end")) {
			for (size_t i = 0; i < count; i++)
				if (!known[i])
					return records_truncated(err);
			*ret_origins = origins;
			origins = (struct origins){0};
			return 0;
		}
		if (line[0] != '\0' && line[1] == '|' && !read_origin(&records, &record, &origins, known))
			return records_truncated(err);
	}
	return records_truncated(err);
}

int slurm_origins(struct ssh_pool *pool, const char *const *rundirs, size_t count, int64_t timeout_ms,
		  struct origins *ret_origins, struct nel_err *err)
{
	CLEANUP(str_done) struct str list = {0};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	for (size_t i = 0; i < count; i++) {
		if (rundirs[i][0] != '/' || str_has_control(rundirs[i]))
			return err_set(err, NEL_INVALID, "'%s' is no run directory", rundirs[i]);
		str_appendf(&list, "%s\n", rundirs[i]);
	}
	struct remote_call call = {.script = "origins",
				   .payload = str_text(&list),
				   .payload_size = list.len,
				   .output_max = ORIGINS_OUTPUT_MAX,
				   .timeout_ms = timeout_ms};
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	return origins_parse(result.output, result.output_size, count, ret_origins, err);
}
