#include "slurm/cancel.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "slurm/records.h"
#include "slurm/remote.h"

#include <string.h>

#define OUTPUT_MAX (64 * 1024)

/* Reads the answer of remote_cancel.sh. */
static int parse(const char *text, size_t size, struct nel_err *err)
{
	struct records records;
	struct record record;
	if (records_begin(text, size, &records, err) != 0)
		return -1;
	while (records_next(&records, &record)) {
		if (record_is(&record, "error"))
			return record_error(&record, err);
		if (record_is(&record, "end"))
			return 0;
	}
	return records_truncated(err);
}

static int send(struct ssh_pool *pool, const char *script, const struct str *list, int64_t timeout_ms,
		struct nel_err *err)
{
	struct remote_call call = {.script = script,
				   .payload = str_text(list),
				   .payload_size = list->len,
				   .output_max = OUTPUT_MAX,
				   .timeout_ms = timeout_ms};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	return parse(result.output, result.output_size, err);
}

int slurm_cancel(struct ssh_pool *pool, const struct cancel_order *orders, size_t count, int64_t timeout_ms,
		 struct nel_err *err)
{
	CLEANUP(str_done) struct str list = {0};
	for (size_t i = 0; i < count; i++) {
		const char *id = orders[i].slurm_job_id == NULL ? "" : orders[i].slurm_job_id;
		const char *name = orders[i].job_name == NULL ? "" : orders[i].job_name;
		const char *dir = orders[i].chain_dir == NULL ? "" : orders[i].chain_dir;
		if (strspn(id, "0123456789") != strlen(id) || str_has_control(name) || str_has_control(dir))
			return err_set(err, NEL_INVALID, "neither a job id nor a job name: '%s', '%s'", id, name);
		str_appendf(&list, "id=%s\nname=%s\ndir=%s\nonly=%s\n", id, name, dir,
			    orders[i].waiting_only ? "waiting" : "");
	}
	return send(pool, "cancel", &list, timeout_ms, err);
}

int slurm_cancel_jobs(struct ssh_pool *pool, const struct cancel_job_order *orders, size_t count, int64_t timeout_ms,
		      struct nel_err *err)
{
	CLEANUP(str_done) struct str list = {0};
	for (size_t i = 0; i < count; i++) {
		if (orders[i].chain_dir[0] != '/' || str_has_control(orders[i].chain_dir) ||
		    strchr(orders[i].folder, '/') != NULL || str_has_control(orders[i].folder))
			return err_set(err, NEL_INVALID, "no directory of a job: '%s' beside '%s'", orders[i].folder,
				       orders[i].chain_dir);
		str_appendf(&list, "dir=%s\njob=%s\n", orders[i].chain_dir, orders[i].folder);
	}
	return send(pool, "cancel_jobs", &list, timeout_ms, err);
}
