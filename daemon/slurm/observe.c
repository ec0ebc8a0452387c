#include "slurm/observe.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "slurm/records.h"
#include "slurm/remote.h"

#include <string.h>

/* Per job: a row of squeue, one or two of sacct, its files. Others of the account are not printed. */
#define OUTPUT_BASE (256 * 1024 + 4000 * 1500) /* jobs on shared deployments: shared_max of remote_observe.sh */
#define OUTPUT_PER_JOB (12 * 1024)
#define ACCOUNTING_OUTPUT_MAX (64 * 1024)

bool observe_is_job_id(const char *text)
{
	size_t length = text == NULL ? 0 : strlen(text);
	return length >= 1 && length <= 20 && strspn(text, "0123456789") == length;
}

void observe_reply_done(struct observe_reply *reply)
{
	for (size_t i = 0; i < reply->count; i++) {
		free(reply->items[i].nodes);
		free(reply->items[i].reason);
		free(reply->items[i].jobs);
	}
	free(reply->items);
	*reply = (struct observe_reply){0};
}

static int render_list(const struct observe_order *orders, size_t count, struct str *list, struct nel_err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (!observe_is_job_id(orders[i].slurm_job_id))
			continue;
		if (str_has_control(orders[i].job_name) || str_has_control(orders[i].job_dir))
			return err_set(err, NEL_INVALID, "the name or directory of job %s has control characters",
				       orders[i].slurm_job_id);
		str_appendf(list, "%zu|%s|%d\nname=%s\ndir=%s\n", i, orders[i].slurm_job_id, orders[i].attempt,
			    orders[i].job_name, orders[i].job_dir);
	}
	return 0;
}

/* An answer on its way. */
struct coming {
	struct observe_parser *parser;
	const struct observe_early *early;
	struct watch_reader looked;
};

static void coming_done(struct coming *coming)
{
	observe_parser_free(coming->parser);
}

static void take_record(struct record *record, void *arg)
{
	struct coming *coming = arg;
	struct observe_reply reply = {0};
	if (coming->looked.count > 0 && watch_reader_take(&coming->looked, record))
		return;
	if (observe_parser_take(coming->parser, record) && coming->early != NULL) {
		observe_parser_early(coming->parser, &reply);
		coming->early->take(&reply, coming->early->arg);
	}
}

int slurm_observe(struct ssh_pool *pool, const struct observe_order *orders, size_t count, struct observe_wants wants,
		  int64_t timeout_ms, const struct observe_early *early, struct observe_reply *ret_reply,
		  struct nel_err *err)
{
	CLEANUP(coming_done) struct coming coming = {.parser = observe_parser_new(orders, count), .early = early};
	CLEANUP(str_done) struct str list = {0};
	CLEANUP(str_done) struct str data = {0};
	size_t bytes = 0;
	const struct watch_look no_look = {0};
	if (wants.look != NULL)
		coming.looked = (struct watch_reader){.replies = wants.look->replies, .count = wants.look->count};
	if (render_list(orders, count, &list, err) != 0)
		return -1;
	remote_set_number(&data, "NEL_USE_SACCT", wants.sacct ? 1 : 0);
	remote_set_number(&data, "NEL_COUNT_NODES", wants.nodes ? 1 : 0);
	watch_render(wants.look != NULL ? wants.look : &no_look, &data);
	struct remote_call call = {.script = "observe",
				   .looks_into_directories = wants.look != NULL,
				   .data = str_text(&data),
				   .payload = str_text(&list),
				   .payload_size = list.len,
				   .output_max = OUTPUT_BASE + count * OUTPUT_PER_JOB +
						 (wants.look != NULL ? watch_output_max(wants.look) : 0),
				   .timeout_ms = timeout_ms,
				   .on_record = take_record,
				   .arg = &coming,
				   .ret_output_size = &bytes};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	if (remote_run(pool, &call, &result, err) != 0 || observe_parser_end(coming.parser, ret_reply, err) != 0)
		return -1;
	watch_reader_end(&coming.looked);
	ret_reply->bytes = bytes;
	return 0;
}

int slurm_has_accounting(struct ssh_pool *pool, int64_t timeout_ms, bool *ret_has, struct nel_err *err)
{
	struct remote_call call = {
	    .script = "accounting", .output_max = ACCOUNTING_OUTPUT_MAX, .timeout_ms = timeout_ms};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	struct records records;
	struct record record;
	if (remote_run(pool, &call, &result, err) != 0 ||
	    records_begin(result.output, result.output_size, &records, err) != 0)
		return -1;
	int has = -1;
	while (records_next(&records, &record)) {
		if (record_is(&record, "error"))
			return record_error(&record, err);
		if (record_is(&record, "accounting") && record_split(&record, 2, 3))
			has = strcmp(record.fields[1], "yes") == 0;
		else if (record_is(&record, "end") && has >= 0) {
			*ret_has = has == 1;
			return 0;
		}
	}
	return records_truncated(err);
}
