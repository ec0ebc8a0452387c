#include "slurm/leave.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "slurm/records.h"
#include "slurm/remote.h"

#define OUTPUT_MAX (64 * 1024)

/* Reads the answer of remote_leave.sh. */
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

int slurm_leave(struct ssh_pool *pool, const char *rundir, int64_t timeout_ms, struct nel_err *err)
{
	CLEANUP(str_done) struct str list = {0};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	if (rundir[0] != '/' || str_has_control(rundir))
		return err_set(err, NEL_INVALID, "no run directory: '%s'", rundir);
	str_appendf(&list, "dir=%s\n", rundir);
	struct remote_call call = {.script = "leave",
				   .payload = str_text(&list),
				   .payload_size = list.len,
				   .output_max = OUTPUT_MAX,
				   .timeout_ms = timeout_ms};
	if (remote_run(pool, &call, &result, err) != 0)
		return -1;
	return parse(result.output, result.output_size, err);
}
