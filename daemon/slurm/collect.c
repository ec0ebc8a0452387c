#include "slurm/collect.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "slurm/records.h"
#include "slurm/remote.h"

#include <string.h>

#define LOG_TAIL_MAX 4096
#define DESTINATION_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
#define OUTPUT_MAX (COLLECT_RESULTS_MAX + COLLECT_KEPT_MAX + 128 * 1024)

void collect_reply_done(struct collect_reply *reply)
{
	free(reply->results);
	free(reply->log_tail);
	free(reply->log_name);
	for (size_t i = 0; i < reply->export_.destination_count; i++)
		free(reply->export_.destinations[i].name);
	free(reply->export_.destinations);
	for (size_t i = 0; i < reply->kept_count; i++) {
		free(reply->kept[i].name);
		free(reply->kept[i].data);
	}
	free(reply->kept);
	*reply = (struct collect_reply){0};
}

void collect_reply_mask(struct collect_reply *reply, const struct mask *mask)
{
	mask_text(mask, reply->log_tail, true);
	mask_text(mask, reply->export_.text, false);
	for (size_t i = 0; i < reply->export_.destination_count; i++)
		mask_text(mask, reply->export_.destinations[i].name, false);
	for (size_t i = 0; i < reply->kept_count; i++)
		mask_bytes(mask, reply->kept[i].data, reply->kept[i].data_size, true);
}

/* Keeps whole lines: the first of a full tail began before it, unless it is all there is. */
static char *whole_lines(const char *data, size_t size)
{
	const char *newline = size < LOG_TAIL_MAX - 1 ? NULL : memchr(data, '\n', size);
	if (newline != NULL && newline + 1 < data + size) {
		size -= (size_t)(newline + 1 - data);
		data = newline + 1;
	}
	return record_text_block(data, size);
}

/* "<kind>|<size>|<name>", then that many bytes. False when they are not there. */
static bool read_block(struct records *records, struct record *record, struct collect_reply *reply)
{
	const char *data = NULL;
	if (!record_split(record, 3, 3))
		return false;
	int64_t size = record_number(record->fields[1], OUTPUT_MAX, -1);
	if (size < 0 || !records_take(records, (size_t)size, &data))
		return false;
	if (strcmp(record->fields[0], "results") == 0) {
		free(reply->results);
		reply->results = size > COLLECT_RESULTS_MAX ? NULL : mem_dup(data, (size_t)size);
		reply->results_size = reply->results == NULL ? 0 : (size_t)size;
		reply->results_too_large = reply->results == NULL;
		return true;
	}
	size_t tail = size > LOG_TAIL_MAX ? LOG_TAIL_MAX : (size_t)size;
	char name[256];
	record_text(record->fields[2], name, sizeof name);
	free(reply->log_tail);
	free(reply->log_name);
	reply->log_tail = whole_lines(data + size - tail, tail);
	reply->log_name = mem_strdup(name);
	return true;
}

/* "kept|<bytes>|<size>|<modified>|<from>|<name>", then the bytes. False when they are not there. */
static bool read_kept(struct records *records, struct record *record, struct collect_reply *reply)
{
	const char *data = NULL;
	if (!record_split(record, 6, 6))
		return false;
	int64_t bytes = record_number(record->fields[1], COLLECT_KEPT_MAX, -1);
	int64_t size = record_number(record->fields[2], INT64_MAX / 2, -1);
	int64_t from = record_number(record->fields[4], INT64_MAX / 2, -1);
	if (bytes < 0 || size < 0 || from < 0 || !records_take(records, (size_t)bytes, &data))
		return false;
	if (reply->kept_count == COLLECT_LOGS_MAX || !record_is_clean(record->fields[5]) || from + bytes > size)
		return true;
	for (size_t i = 0; i < reply->kept_count; i++)
		if (strcmp(reply->kept[i].name, record->fields[5]) == 0)
			return true;
	reply->kept = mem_realloc(reply->kept, reply->kept_count + 1, sizeof *reply->kept);
	reply->kept[reply->kept_count++] = (struct collect_log){
	    .name = mem_strdup(record->fields[5]),
	    .size = size,
	    .modified_at = record_time(record->fields[3]),
	    .from = from,
	    .data = mem_dup(data, (size_t)bytes),
	    .data_size = (size_t)bytes,
	};
	return true;
}

/* A SHA-256 in hexadecimal digits, or that word. */
static bool read_hash(const char *text, const char *const *words, char ret_hash[COLLECT_HASH_SIZE])
{
	size_t size = strlen(text);
	if (!str_in(text, words) && (size != COLLECT_HASH_SIZE - 1 || strspn(text, "0123456789abcdef") != size))
		return false;
	memcpy(ret_hash, text, size + 1);
	return true;
}

/* "export|<kind>|<Slurm id>|<text>" */
static bool read_export(struct record *record, struct collect_export *export_)
{
	static const char *const kinds[] = {
	    [COLLECT_EXPORT_NONE] = "none",       [COLLECT_EXPORT_REFUSED] = "refused",
	    [COLLECT_EXPORT_PENDING] = "pending", [COLLECT_EXPORT_RUNNING] = "running",
	    [COLLECT_EXPORT_UNSEEN] = "unseen",   [COLLECT_EXPORT_GONE] = "gone",
	    [COLLECT_EXPORT_ENDED] = "ended",
	};
	if (!record_split(record, 4, 4))
		return false;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strcmp(record->fields[1], kinds[i]) != 0)
			continue;
		export_->kind = (enum collect_export_kind)i;
		record_text(record->fields[2], export_->slurm_job_id, sizeof export_->slurm_job_id);
		record_text(record->fields[3], export_->text, sizeof export_->text);
		/* An end whose exit code cannot be read is no success. */
		export_->exit_code = (int)record_number(record->fields[3], 255, 255);
		return true;
	}
	return false;
}

/* "destination|<exit code>|<name>". A container wrote it: what is no name of a destination is not one of ours. */
static bool read_destination(struct record *record, struct collect_export *export_)
{
	char name[256];
	if (!record_split(record, 3, 3))
		return false;
	if (export_->destination_count == COLLECT_DESTINATIONS_MAX)
		return true;
	record_text(record->fields[2], name, sizeof name);
	if (name[0] == '\0' || name[strspn(name, DESTINATION_BYTES)] != '\0')
		return true;
	export_->destinations =
	    mem_realloc(export_->destinations, export_->destination_count + 1, sizeof *export_->destinations);
	export_->destinations[export_->destination_count++] = (struct collect_destination){
	    .name = mem_strdup(name),
	    .exit_code = (int)record_number(record->fields[1], 255, 255),
	};
	return true;
}

int collect_parse(const char *text, size_t size, struct collect_reply *ret_reply, struct nel_err *err)
{
	struct records records;
	struct record record;
	if (records_begin(text, size, &records, err) != 0)
		return -1;
	static const char *const seals[] = {"none", COLLECT_CONVERSION, NULL};
	static const char *const changing[] = {"changing", NULL};
	static const char *const no_words[] = {"", NULL};
	CLEANUP(collect_reply_done)
	struct collect_reply reply = {.progress = -1, .log_tail = mem_strdup(""), .log_name = mem_strdup("")};
	while (records_next(&records, &record)) {
		if (record_is(&record, "error"))
			return record_error(&record, err);
		if (record_is(&record, "end")) {
			*ret_reply = reply;
			reply = (struct collect_reply){0};
			return 0;
		}
		if (record_is(&record, "results") || record_is(&record, "log")) {
			if (!read_block(&records, &record, &reply))
				break;
		} else if (record_is(&record, "kept")) {
			if (!read_kept(&records, &record, &reply))
				break;
		} else if (record_is(&record, "export")) {
			if (!read_export(&record, &reply.export_))
				break;
		} else if (record_is(&record, "destination")) {
			if (!read_destination(&record, &reply.export_))
				break;
		} else if (record_is(&record, "sealed") && record_split(&record, 2, 2)) {
			if (!read_hash(record.fields[1], seals, reply.sealed_hash))
				break;
		} else if (record_is(&record, "fingerprint") && record_split(&record, 2, 2)) {
			if (!read_hash(record.fields[1], no_words, reply.fingerprint))
				break;
		} else if (record_is(&record, "hash") && record_split(&record, 3, 3)) {
			if (!read_hash(record.fields[1], changing, reply.results_hash))
				break;
			reply.results_older = strcmp(record.fields[2], "1") == 0;
		} else if (record_is(&record, "samples")) {
			reply.has_samples = true;
		} else if (record_is(&record, "progress") && record_split(&record, 2, 2)) {
			reply.progress = record_number(record.fields[1], INT64_MAX, -1);
		}
	}
	return records_truncated(err);
}

int slurm_collect(struct ssh_pool *pool, const struct collect_order *order, int64_t timeout_ms,
		  struct collect_reply *ret_reply, struct nel_err *err)
{
	static const char *const requests[] = {
	    [COLLECT_EXPORT_FOLLOW] = "follow", [COLLECT_EXPORT_CANCEL] = "cancel", [COLLECT_EXPORT_DROP] = "drop"};
	CLEANUP(str_done) struct str data = {0};
	if (order->job_dir[0] != '/' || str_has_control(order->job_dir) ||
	    (order->chain_dir != NULL && (order->chain_dir[0] != '/' || str_has_control(order->chain_dir))))
		return err_set(err, NEL_INVALID, "the job's directory must be an absolute path");
	remote_set(&data, "NEL_JOB_DIR", order->job_dir);
	CLEANUP(mem_freep)
	char *record = order->chain_dir == NULL
			   ? mem_strdup(order->job_dir)
			   : mem_printf("%s/.jobs%s", order->chain_dir, strrchr(order->job_dir, '/'));
	remote_set(&data, "NEL_RECORD_DIR", record);
	remote_set(&data, "NEL_SLURM_JOB_ID", order->slurm_job_id != NULL ? order->slurm_job_id : "");
	remote_set(&data, "NEL_EXPORT", requests[order->wanted]);
	remote_array_begin(&data, "NEL_CHECKPOINTS");
	for (size_t i = 0; order->checkpoints != NULL && order->checkpoints[i] != NULL; i++)
		remote_array_add(&data, order->checkpoints[i]);
	remote_array_end(&data);
	remote_set_number(&data, "NEL_EXPORT_ONLY", order->export_only);
	remote_set_number(&data, "NEL_RESULTS_MAX", COLLECT_RESULTS_MAX);
	remote_set_number(&data, "NEL_ATTEMPT", order->attempt);
	remote_set_number(&data, "NEL_KEEP_BYTES", order->keep_bytes);
	remote_set_number(&data, "NEL_KEEP_TOTAL", COLLECT_KEPT_MAX);
	struct remote_call call = {.script = "collect",
				   .takes_fingerprint = true,
				   .data = str_text(&data),
				   .output_max = OUTPUT_MAX,
				   .timeout_ms = timeout_ms};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	return collect_parse(result.output, result.output_size, ret_reply, err);
}

/* What stands behind every failed step, whatever its fault was. */
static bool is_noise(const char *line, size_t len)
{
	static const char *const noise[] = {"Failed to invoke spank plugin stack",
					    "spank: required plugin",
					    "pyxis: couldn't start container",
					    "pyxis: container start failed",
					    "srun: error:",
					    "srun: Terminating",
					    "srun: Job step aborted",
					    "*** STEP ",
					    "slurmstepd: error: *** ",
					    "ended with exit code"};
	if (strspn(line, " \t\r") >= len)
		return true;
	for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++)
		if (memmem(line, len, noise[i], strlen(noise[i])) != NULL)
			return true;
	return false;
}

void collect_telling_line(const char *log_tail, char *ret_line, size_t size)
{
	size_t end = strlen(log_tail);
	size_t best = 0;
	size_t best_len = 0;
	while (end > 0) {
		size_t start = end;
		while (start > 0 && log_tail[start - 1] != '\n')
			start--;
		size_t len = end - start;
		if (!is_noise(log_tail + start, len)) {
			best = start;
			best_len = len;
			break;
		}
		end = start > 0 ? start - 1 : 0;
	}
	if (best_len == 0) { /* nothing but noise: its last line is better than none */
		best_len = strlen(log_tail);
		while (best_len > 0 && strchr("\n\r \t", log_tail[best_len - 1]) != NULL)
			best_len--;
		best = best_len;
		while (best > 0 && log_tail[best - 1] != '\n')
			best--;
		best_len -= best;
	}
	if (best_len > size - 1)
		best_len = size - 1;
	memcpy(ret_line, log_tail + best, best_len);
	ret_line[best_len] = '\0';
	for (char *p = ret_line; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}
