/* Owns the tables jobs and history. */
#include "db/jobs.h"

#include "base/mem.h"
#include "db/chain_columns.h"
#include "db/columns.h"
#include "db/job_postings.h"
#include "db/observations.h"
#include "db/postings.h"
#include "db/scope.h"
#include "db/search.h"

#include <inttypes.h>

/* What a job is from its beginning. */
/* clang-format off */
#define JOB_FIXED(C) \
	C(INT, evaluation_seq, evaluation_seq) \
	C(INT, idx, index) \
	C(NAME, id, id) \
	C(NAME, evaluation, evaluation) \
	C(TEXT, user, user) \
	C(TEXT, cluster, cluster) \
	C(TEXT, identity, identity) \
	C(TEXT, task, task) \
	C(TEXT, model, model) \
	C(TEXT, job_dir, job_dir) \
	C(TEXT, partition, partition) \
	C(TEXT, account, account) \
	C(NULL_MINUS_1, gpus, gpus) \
	C(INT, created_at, created_at)

/* What jobs_update() stores. */
#define JOB_COURSE(C) \
	C(TEXT, waiting_on, waiting_on) \
	C(NULL_MINUS_1, progress, progress) \
	C(NULL_0, progress_total, progress_total) \
	C(INT, rate_from_at, window.from_at) \
	C(INT, rate_from_requests, window.from_requests) \
	C(INT, rate_next_at, window.next_at) \
	C(INT, rate_next_requests, window.next_requests) \
	C(INT, progress_before, progress_before) \
	C(INT, gpu_samples, use.samples) \
	C(INT, gpu_percents, use.percents) \
	C(INT, gpu_low_samples, use.low_samples) \
	C(INT, gpu_still_s, use.still_s) \
	C(TEXT, export, export_) \
	C(NULL_0, observed_at, observed_at) \
	C(NULL_0, started_at, started_at) \
	C(INT, from_attempt, from_attempt) \
	C(INT, updated_at, updated_at)

/* What has functions of its own. */
#define JOB_MARKS(C) \
	C(TEXT, reason, reason) \
	C(NULL_0, cancel_requested_at, cancel_requested_at) \
	C(TEXT, cancel_requested_by, cancel_requested_by) \
	C(NULL_0, ended_at, ended_at) \
	C(INT, collected, collected)

/* The same, and never there from the beginning. */
#define JOB_LATER(C) \
	C(NULL_0, resume_requested_at, resume_requested_at) \
	C(TEXT, resume_requested_by, resume_requested_by) \
	C(INT, resume_resets_budget, resume_resets_budget) \
	C(TEXT, results_seal, results_seal) \
	C(TEXT, reused_from, reused_from) \
	C(TEXT, warnings, warnings) \
	C(INT, version, version)
/* clang-format on */

/* What Slurm says of the attempt that waits there. */
#define OF_PENDING(column) \
	", CASE WHEN jobs.state = 'pending' THEN (SELECT a." column \
	" FROM attempts a WHERE a.chain = chains.seq AND a.number = chains.attempt) END"
#define IN_SLURM OF_PENDING("pending_reason") OF_PENDING("start_estimate")
#define JOB_NEW(C) JOB_FIXED(C) JOB_COURSE(C) JOB_MARKS(C)
#define JOB_COLUMN_NAME(kind, column, field) "jobs." #column ", "
#define ROW_COLUMNS \
	JOB_NEW(JOB_COLUMN_NAME) \
	JOB_LATER(JOB_COLUMN_NAME) \
	"jobs.seq, jobs.state, jobs.observation, " OBSERVED_AT("jobs") IN_SLURM ", " CHAIN_COLUMNS
/* The planner has no choice: a job has one chain, found by its key. */
#define WITH_CHAIN " CROSS JOIN chains ON chains.seq = jobs.chain"

void job_row_done(struct job_row *row)
{
	if (row == NULL)
		return;
	JOB_NEW(COLUMN_FREE)
	JOB_LATER(COLUMN_FREE)
	chain_row_done(&row->chain);
	free(row->queue.slurm_reason);
	*row = (struct job_row){0};
}

void job_list_done(struct job_list *list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < list->count; i++)
		job_row_done(&list->items[i]);
	free(list->items);
	*list = (struct job_list){0};
}

static struct statement insert_history = {
    .sql = "INSERT INTO history (job, at, from_state, to_state, reason) VALUES (?, ?, ?, ?, ?)",
};

/* from NULL: the job is new. */
static int add_history(struct db *db, int64_t job_seq, int64_t at_s, const char *from, const char *to,
		       const char *reason, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_history);
	query_bind_int(&q, job_seq);
	query_bind_int(&q, at_s);
	query_bind_text(&q, from);
	query_bind_text(&q, to);
	query_bind_text(&q, reason);
	return query_run(&q, err);
}

static struct statement later_job = {.sql = "SELECT 1 FROM jobs WHERE (evaluation_seq, idx) > (?, ?) LIMIT 1"};

/* Lists lean on seq having the order of (evaluation_seq, index). */
static int check_order(struct db *db, const struct job_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &later_job);
	bool found = false;
	query_bind_int(&q, row->evaluation_seq);
	query_bind_int(&q, row->index);
	if (query_step(&q, &found, err) != 0)
		return -1;
	return found ? err_set(err, NEL_INTERNAL, "a job of a later evaluation or index is stored already") : 0;
}

static struct statement insert_job = {
    .sql =
	"INSERT INTO jobs (" JOB_NEW(COLUMN_NAME) "chain, state, attention) VALUES (" JOB_NEW(COLUMN_MARK) "?, ?, 0)",
};

static int insert_row(struct db *db, const struct job_row *row, int64_t *ret_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query insert = query_start(db, &insert_job);
	struct query *q = &insert;
	JOB_NEW(COLUMN_BIND)
	query_bind_int(q, row->chain.seq);
	query_bind_text(q, chain_state_name(row->state));
	if (query_run(q, err) != 0)
		return -1;
	*ret_seq = sqlite3_last_insert_rowid(db->sqlite);
	return 0;
}

int jobs_insert(struct db *db, struct job_row *row, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	int64_t seq = 0;
	bool first = row->chain.seq == 0;
	if (scope_begin_write(&scope, db, err) != 0 || check_order(db, row, err) != 0 ||
	    (first && chains_insert(db, row->evaluation_seq, &row->chain, err) != 0) ||
	    insert_row(db, row, &seq, err) != 0 ||
	    add_history(db, seq, row->created_at, NULL, chain_state_name(row->state), row->reason, err) != 0 ||
	    scope_commit(&scope, err) != 0) {
		row->chain.seq = first ? 0 : row->chain.seq;
		return err_prefix(err, "job %s", row->id);
	}
	row->seq = seq;
	row->version = 1;
	return 0;
}

static int read_row(struct query *q, struct job_row *row, struct nel_err *err)
{
	char state[32];
	JOB_NEW(COLUMN_READ)
	JOB_LATER(COLUMN_READ)
	row->seq = query_int(q);
	query_text_into(q, state, sizeof state);
	row->observation = query_int(q);
	row->observed_at = query_int(q);
	row->queue.slurm_reason = query_text(q);
	row->queue.expected_start = query_int(q);
	chain_columns_read(q, &row->chain);
	if (chain_state_from_name(state, &row->state) != 0)
		return err_set(err, NEL_DB, "job %s has the unknown state %s", row->id, state);
	return 0;
}

/* The one row that q answers. `what` names it in the error. */
static int read_one(struct query *q, const char *what, struct job_row *ret_row, struct nel_err *err)
{
	CLEANUP(job_row_done) struct job_row row = {0};
	bool found = false;
	if (query_step(q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "there is no job %s", what);
	if (read_row(q, &row, err) != 0)
		return -1;
	*ret_row = row;
	row = (struct job_row){0};
	return 0;
}

/* All rows that q answers. */
static int read_all(struct query *q, struct job_list *ret_list, struct nel_err *err)
{
	CLEANUP(job_list_done) struct job_list list = {0};
	while (query_next(q, err))
		if (read_row(q, ROW_ADD(list.items, list.count), err) != 0)
			return -1;
	if (query_failed(q))
		return -1;
	*ret_list = list;
	list = (struct job_list){0};
	return 0;
}

static struct statement by_id = {.sql = "SELECT " ROW_COLUMNS " FROM jobs" WITH_CHAIN " WHERE jobs.id = ?"};

int jobs_get(struct db *db, const char *id, struct job_row *ret_row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &by_id);
	query_bind_text(&q, id);
	return read_one(&q, id, ret_row, err);
}

static struct statement by_seq = {.sql = "SELECT " ROW_COLUMNS " FROM jobs" WITH_CHAIN " WHERE jobs.seq = ?"};

int jobs_get_seq(struct db *db, int64_t seq, struct job_row *ret_row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &by_seq);
	CLEANUP(mem_freep) char *what = mem_printf("number %" PRId64, seq);
	query_bind_int(&q, seq);
	return read_one(&q, what, ret_row, err);
}

static struct statement list_all = {.sql = "SELECT seq FROM jobs WHERE seq <= ?1 ORDER BY seq DESC"};
static int add_filters(struct postings *postings, struct db *db, const struct job_filter *filter, struct nel_err *err)
{
	struct created_bounds bounds;
	if (created_bounds_find(db, filter->since_s, filter->until_s, &bounds, err) != 0)
		return -1;
	postings_add_text(postings, db, &job_postings_state, filter->state);
	postings_add_text(postings, db, &job_postings_evaluation, filter->evaluation);
	postings_add_text(postings, db, &job_postings_user, filter->user);
	postings_add_text(postings, db, &job_postings_cluster, filter->cluster);
	postings_add_text(postings, db, &job_postings_task, filter->task);
	postings_add_text(postings, db, &job_postings_model, filter->model);
	search_add_jobs(postings, db, filter->search);
	job_postings_add_label(postings, db, filter->label_key, filter->label_value);
	job_postings_add_span(postings, db, &bounds, filter->since_s, filter->until_s);
	if (postings->count == 0)
		postings_add(postings, query_start(db, &list_all));
	return 0;
}

int jobs_total(struct db *db, const struct job_filter *filter, int64_t *ret_total, bool *ret_capped,
	       struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(postings_done) struct postings postings = {0};
	if (scope_begin_read(&scope, db, err) != 0 || add_filters(&postings, db, filter, err) != 0)
		return -1;
	return postings_total(&postings, ret_total, ret_capped, err);
}

/* For postings_list(). */
static struct statement walk_oldest = {.sql = "SELECT seq, ?1 FROM jobs WHERE seq > ?2 ORDER BY seq"};
static struct statement walk_changed = {
    .sql = "SELECT seq, updated_at FROM jobs INDEXED BY jobs_updated WHERE (updated_at, seq) < (?1, ?2)"
	   " ORDER BY updated_at DESC, seq DESC",
};

int jobs_list(struct db *db, const struct job_filter *filter, struct seq_list *ret_list, struct nel_err *err)
{
	size_t limit = filter->limit < 0 ? 0 : filter->limit < DB_LIST_MAX ? (size_t)filter->limit : DB_LIST_MAX;
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(postings_done) struct postings postings = {0};
	if (scope_begin_read(&scope, db, err) != 0 || add_filters(&postings, db, filter, err) != 0)
		return -1;
	return postings_list(&postings, db, filter->sort == LIST_OLDEST ? &walk_oldest : &walk_changed, filter->sort,
			     filter->position, limit, ret_list, err);
}

static struct statement of_evaluation = {
    .sql = "SELECT " ROW_COLUMNS " FROM jobs" WITH_CHAIN
	   " WHERE jobs.evaluation_seq = (SELECT seq FROM evaluations WHERE id = ?) ORDER BY jobs.idx",
};

int jobs_of_evaluation(struct db *db, const char *evaluation, struct job_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &of_evaluation);
	query_bind_text(&q, evaluation);
	return read_all(&q, ret_list, err);
}

static struct statement states_of_evaluation = {.sql = "SELECT state FROM jobs WHERE evaluation_seq = ?"};

int jobs_counts(struct db *db, int64_t evaluation_seq, int ret_counts[CHAIN_STATE_COUNT], struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &states_of_evaluation);
	int counts[CHAIN_STATE_COUNT] = {0};
	query_bind_int(&q, evaluation_seq);
	for (;;) {
		bool found = false;
		char name[32];
		enum chain_state state = CHAIN_QUEUED;
		if (query_step(&q, &found, err) != 0)
			return -1;
		if (!found)
			break;
		query_text_into(&q, name, sizeof name);
		if (chain_state_from_name(name, &state) != 0)
			return err_set(err, NEL_DB, "a job has the unknown state %s", name);
		counts[state]++;
	}
	for (int i = 0; i < CHAIN_STATE_COUNT; i++)
		ret_counts[i] = counts[i];
	return 0;
}

static struct statement list_live = {
    .sql = "SELECT " ROW_COLUMNS " FROM jobs INDEXED BY jobs_live" WITH_CHAIN
	   " WHERE jobs.ended_at IS NULL OR jobs.collected = 0 ORDER BY jobs.seq",
};

int jobs_list_active(struct db *db, struct job_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_live);
	return read_all(&q, ret_list, err);
}

static struct statement list_attention = {
    .sql = "SELECT " ROW_COLUMNS " FROM jobs" WITH_CHAIN
	   " WHERE jobs.seq IN (SELECT seq FROM jobs INDEXED BY jobs_attention"
	   " WHERE attention = 1 UNION ALL SELECT seq FROM jobs WHERE seq > ?) ORDER BY jobs.seq",
};

static int read_attention(struct db *db, int64_t after_seq, struct job_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_attention);
	query_bind_int(&q, after_seq);
	return read_all(&q, ret_list, err);
}

static struct statement clear_attention = {
    .sql = "UPDATE jobs INDEXED BY jobs_attention SET attention = 0 WHERE attention = 1",
};

int jobs_take_attention(struct db *db, int64_t after_seq, struct job_list *ret_list, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(job_list_done) struct job_list list = {0};
	if (scope_begin_write(&scope, db, err) != 0 || read_attention(db, after_seq, &list, err) != 0)
		return -1;
	if (list.count != 0) {
		CLEANUP(query_done) struct query q = query_start(db, &clear_attention);
		if (query_run(&q, err) != 0)
			return -1;
	}
	if (scope_commit(&scope, err) != 0)
		return -1;
	*ret_list = list;
	list = (struct job_list){0};
	return 0;
}

static struct statement state_of = {.sql = "SELECT id, state FROM jobs WHERE seq = ?"};

/* Why the state of a job was not changed. */
static int refuse_state(struct db *db, int64_t seq, enum chain_state from, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &state_of);
	bool found = false;
	char id[IDS_JOB_SIZE];
	char state[32];
	query_bind_int(&q, seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "there is no job number %" PRId64, seq);
	query_text_into(&q, id, sizeof id);
	query_text_into(&q, state, sizeof state);
	return err_set(err, NEL_CONFLICT, "job %s is %s, not %s", id, state, chain_state_name(from));
}

/* A job that ended and goes on (a manual resume) is no longer to be cancelled, and its next end is to be collected. */
static struct statement set_state = {
    .sql =
	"UPDATE jobs SET state = ?3, reason = ?4, waiting_on = ?5, ended_at = ?6, updated_at = ?7,"
	" version = version + 1,"
	" cancel_requested_at = CASE WHEN ended_at IS NOT NULL AND ?6 IS NULL THEN NULL ELSE cancel_requested_at END,"
	" cancel_requested_by = CASE WHEN ended_at IS NOT NULL AND ?6 IS NULL THEN NULL ELSE cancel_requested_by END,"
	" collected = CASE WHEN ended_at IS NOT NULL AND ?6 IS NULL THEN 0 ELSE collected END"
	" WHERE seq = ?1 AND state = ?2",
};

int jobs_set_state(struct db *db, int64_t seq, enum chain_state from, enum chain_state to, const char *reason,
		   const char *waiting_on, int64_t ended_at, int64_t now_s, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0)
		return -1;
	CLEANUP(query_done) struct query q = query_start(db, &set_state);
	query_bind_int(&q, seq);
	query_bind_text(&q, chain_state_name(from));
	query_bind_text(&q, chain_state_name(to));
	query_bind_text(&q, reason);
	query_bind_text(&q, waiting_on);
	query_bind_int_or_null(&q, ended_at, 0);
	query_bind_int(&q, now_s);
	if (query_run(&q, err) != 0)
		return -1;
	if (query_changes(&q) == 0)
		return refuse_state(db, seq, from, err);
	if (add_history(db, seq, now_s, chain_state_name(from), chain_state_name(to), reason, err) != 0)
		return -1;
	return scope_commit(&scope, err);
}

static struct statement update_job = {
    .sql = "UPDATE jobs SET " JOB_COURSE(COLUMN_SET) "observation = NULL, version = version + 1 WHERE seq = ?",
};

int jobs_update(struct db *db, const struct job_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query update = query_start(db, &update_job);
	struct query *q = &update;
	JOB_COURSE(COLUMN_BIND)
	query_bind_int(q, row->seq);
	if (query_run(q, err) != 0)
		return -1;
	return query_changes(q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "there is no job %s", row->id);
}

static struct statement set_results = {
    .sql = "UPDATE jobs SET results_seal = ?, warnings = ?, version = version + 1 WHERE seq = ?",
};

int jobs_set_results(struct db *db, int64_t seq, const char *seal, const char *warnings, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_results);
	query_bind_text(&q, seal);
	query_bind_text(&q, warnings);
	query_bind_int(&q, seq);
	return query_run(&q, err);
}

static struct statement set_reused = {
    .sql = "UPDATE jobs SET reused_from = ?2, job_dir = ?3, version = version + 1 WHERE seq = ?1",
};

int jobs_set_reused(struct db *db, int64_t seq, const char *from, const char *job_dir, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_reused);
	query_bind_int(&q, seq);
	query_bind_text(&q, from);
	query_bind_text(&q, job_dir);
	if (query_run(&q, err) != 0)
		return -1;
	return query_changes(&q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "there is no job number %" PRId64, seq);
}

static struct statement set_collected = {.sql = "UPDATE jobs SET collected = 1, version = version + 1 WHERE seq = ?"};

int jobs_set_collected(struct db *db, int64_t seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_collected);
	query_bind_int(&q, seq);
	if (query_run(&q, err) != 0)
		return -1;
	return query_changes(&q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "there is no job number %" PRId64, seq);
}

static struct statement request_cancel = {
    .sql = "UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, ?1),"
	   " cancel_requested_by = coalesce(cancel_requested_by, ?2), attention = 1, updated_at = ?1,"
	   " version = version + 1 WHERE id = ?3 AND ended_at IS NULL",
};

static struct statement withdraw_resume = {
    .sql =
	"UPDATE jobs SET resume_requested_at = NULL, resume_requested_by = NULL, updated_at = ?1, version = version + 1"
	" WHERE id = ?2 AND resume_requested_at IS NOT NULL AND ended_at IS NOT NULL",
};

int jobs_request_cancel(struct db *db, const char *job_id, const char *by, int64_t now_s, int *ret_marked,
			struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &request_cancel);
	query_bind_int(&q, now_s);
	query_bind_text(&q, by);
	query_bind_text(&q, job_id);
	if (query_run(&q, err) != 0)
		return -1;
	*ret_marked = query_changes(&q);
	CLEANUP(query_done) struct query withdraw = query_start(db, &withdraw_resume);
	query_bind_int(&withdraw, now_s);
	query_bind_text(&withdraw, job_id);
	if (query_run(&withdraw, err) != 0)
		return -1;
	*ret_marked += query_changes(&withdraw);
	return 0;
}

static struct statement request_resume = {
    .sql = "UPDATE jobs SET resume_requested_at = ?1, resume_requested_by = ?2, resume_resets_budget = ?3,"
	   " attention = 1, updated_at = ?1, version = version + 1"
	   " WHERE id = ?4 AND ended_at IS NOT NULL AND state <> 'succeeded'",
};

int jobs_request_resume(struct db *db, const char *job_id, const char *by, bool reset_budget, int64_t now_s,
			int *ret_marked, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &request_resume);
	query_bind_int(&q, now_s);
	query_bind_text(&q, by);
	query_bind_int(&q, reset_budget);
	query_bind_text(&q, job_id);
	if (query_run(&q, err) != 0)
		return -1;
	*ret_marked = query_changes(&q);
	return 0;
}

static struct statement clear_resume = {
    .sql = "UPDATE jobs SET resume_requested_at = NULL, resume_requested_by = NULL WHERE seq = ?",
};

int jobs_clear_resume(struct db *db, int64_t seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &clear_resume);
	query_bind_int(&q, seq);
	return query_run(&q, err);
}

void history_list_done(struct history_list *list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].from);
		free(list->items[i].to);
		free(list->items[i].reason);
	}
	free(list->items);
	*list = (struct history_list){0};
}

static struct statement history_of = {
    .sql = "SELECT at, from_state, to_state, reason FROM history INDEXED BY history_job WHERE job = ? ORDER BY seq",
};

int history_of_job(struct db *db, int64_t job_seq, struct history_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &history_of);
	CLEANUP(history_list_done) struct history_list list = {0};
	query_bind_int(&q, job_seq);
	while (query_next(&q, err)) {
		struct history_row *row = ROW_ADD(list.items, list.count);
		row->at = query_int(&q);
		row->from = query_text(&q);
		row->to = query_text(&q);
		row->reason = query_text(&q);
	}
	if (query_failed(&q))
		return -1;
	*ret_list = list;
	list = (struct history_list){0};
	return 0;
}

struct statement *const jobs_statements[] = {&insert_history,
					     &later_job,
					     &insert_job,
					     &by_id,
					     &by_seq,
					     &list_all,
					     &of_evaluation,
					     &states_of_evaluation,
					     &list_live,
					     &list_attention,
					     &clear_attention,
					     &state_of,
					     &set_state,
					     &update_job,
					     &set_collected,
					     &set_results,
					     &request_cancel,
					     &withdraw_resume,
					     &request_resume,
					     &clear_resume,
					     &history_of,
					     &walk_oldest,
					     &walk_changed,
					     &set_reused,
					     NULL};
