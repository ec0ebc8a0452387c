/* Owns the format of kept replies, and makes them. */
#include "api/v1/kept_replies.h"

#include "api/http/read_cache.h"
#include "api/v1/render.h"
#include "base/mem.h"
#include "db/replies.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

#define BATCH 50 /* texts in a transaction */

/* --- the format --- */

/* An evaluation with everything in it that can be, or with nothing. */
static void render_sample(bool full, struct json_out *out)
{
	struct label label = {(char *)"key", (char *)"value"};
	struct evaluation_row row = {.id = "0123456789abcdef",
				     .user = (char *)"user",
				     .cluster = (char *)"cluster",
				     .state = (char *)"failed",
				     .model = (char *)"model",
				     .config_hash = (char *)"hash",
				     .images = (char *)"[]",
				     .warnings = (char *)(full ? "[{\"pointer\":\"/a\",\"message\":\"m\"}]" : "[]"),
				     .labels = &label,
				     .label_count = full,
				     .created_at = 1,
				     .updated_at = 2};
	struct job_row job = {.id = "0123456789abcdef.0",
			      .evaluation = "0123456789abcdef",
			      .task = (char *)"task",
			      .job_dir = (char *)"/dir",
			      .state = CHAIN_FAILED,
			      .chain.budget_limit_s = -1,
			      .progress = -1};
	if (full) {
		job.reason = (char *)"reason";
		job.waiting_on = (char *)"waiting on";
		job.chain.slurm_job_id = (char *)"1";
		job.chain.attempt = 1;
		job.chain.budget_limit_s = 10;
		job.chain.budget_used_s = 3;
		job.progress = 5;
		job.export_ = (char *)"{}";
		job.warnings = (char *)"[]";
		job.observed_at = job.created_at = job.started_at = job.ended_at = 1;
	}
	struct job_list jobs = {.items = &job, .count = 1};
	render_evaluation(out, &row, &jobs);
}

/* Follows from what is rendered, so that nobody has to remember to change it. */
static int64_t work_out_format(void)
{
	uint64_t hash = 0;
	struct str text = {0};
	str_append(&text, NEL_VERSION);
	for (int full = 0; full < 2; full++) {
		CLEANUP(json_out_done) struct json_out out = {0};
		render_sample(full, &out);
		str_append(&text, str_text(&out.text));
	}
	crypto_generichash((unsigned char *)&hash, sizeof hash, (const unsigned char *)text.data, text.len, NULL, 0);
	str_done(&text);
	return (int64_t)(hash >> 1) | 1;
}

static int64_t format;

static void set_format(void)
{
	format = work_out_format();
}

int64_t reply_format(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_format);
	return format;
}

/* --- keeping --- */

/* Its text follows from its own rows alone: no place in a queue, no observation that others share. */
static bool can_be_kept(const struct revision *revision, const struct job_list *jobs)
{
	for (size_t i = 0; i < jobs->count; i++)
		if (jobs->items[i].observation != 0)
			return false;
	return !revision->waits;
}

/* Within a write transaction, so that nothing changes between reading and keeping. */
static int keep_one(struct db *db, int64_t seq, struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(job_list_done) struct job_list jobs = {0};
	CLEANUP(json_out_done) struct json_out out = {0};
	if (evaluations_get_at(db, seq, &row, err) != 0 || jobs_of_evaluation(db, row.id, &jobs, err) != 0)
		return -1;
	struct revision revision = revision_of(&row, &jobs);
	if (can_be_kept(&revision, &jobs))
		render_evaluation(&out, &row, &jobs);
	bool keep = out.text.len <= READ_CACHE_TEXT_MAX;
	return replies_put(db, &revision, reply_format(), keep ? str_text(&out.text) : "", err);
}

int replies_keep_some(struct db *db, bool *ret_more, struct nel_err *err)
{
	int64_t seqs[BATCH];
	size_t count = 0;
	*ret_more = false;
	if (replies_missing(db, reply_format(), BATCH, seqs, &count, err) != 0)
		return -1;
	if (count == 0)
		return 0;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || replies_missing(db, reply_format(), BATCH, seqs, &count, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (keep_one(db, seqs[i], err) != 0)
			return -1;
	if (db_commit(db, err) != 0)
		return -1;
	*ret_more = count == BATCH;
	return 0;
}
