/* Owns the tables usage and usage_labels. */
#include "db/usage.h"

#include "base/mem.h"
#include "db/scope.h"
#include "db/statement.h"

/* The index-th of `count` equal parts of a whole. */
static int64_t part_of(int64_t whole, size_t index, size_t count)
{
	return whole / (int64_t)count + ((int64_t)index < whole % (int64_t)count);
}

/* GPU seconds of an attempt, and those that were wasted, each in one at most. */
struct split {
	int64_t run_s;
	int64_t gpu_s;
	int64_t start_up_gpu_s;
	int64_t idle_gpu_s;
	int64_t lost_gpu_s;
};

/* The part of gpu_s that lies in part_s of run_s. */
static int64_t share_of(int64_t gpu_s, int64_t part_s, int64_t run_s)
{
	if (part_s <= 0 || run_s <= 0)
		return 0;
	return part_s >= run_s ? gpu_s : (int64_t)((double)gpu_s * (double)part_s / (double)run_s);
}

static struct split split_of(int64_t run_s, int64_t gpu_s, int64_t start_up_s, int64_t idle_s, bool lost)
{
	struct split split = {.run_s = run_s, .gpu_s = gpu_s};
	if (lost) {
		split.lost_gpu_s = gpu_s;
		return split;
	}
	split.start_up_gpu_s = share_of(gpu_s, start_up_s, run_s);
	split.idle_gpu_s = share_of(gpu_s, idle_s, run_s);
	if (split.idle_gpu_s > gpu_s - split.start_up_gpu_s)
		split.idle_gpu_s = gpu_s - split.start_up_gpu_s;
	return split;
}

static struct statement put_usage = {
    .sql =
	"INSERT INTO usage (attempt, job, evaluation, user, cluster, model, task, slurm_job_id, slurm_state,"
	" ended_at, queue_s, run_s, gpu_s, start_up_gpu_s, idle_gpu_s, lost_gpu_s, start_up_s, idle_s, lost, source)"
	" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (attempt, job) DO UPDATE"
	" SET slurm_job_id = excluded.slurm_job_id, slurm_state = excluded.slurm_state, ended_at = excluded.ended_at,"
	" queue_s = excluded.queue_s, run_s = excluded.run_s, gpu_s = excluded.gpu_s,"
	" start_up_gpu_s = excluded.start_up_gpu_s, idle_gpu_s = excluded.idle_gpu_s,"
	" lost_gpu_s = excluded.lost_gpu_s, start_up_s = excluded.start_up_s, idle_s = excluded.idle_s,"
	" lost = excluded.lost, source = excluded.source, asks = 0",
};

static struct statement put_labels = {
    .sql = "INSERT OR IGNORE INTO usage_labels (evaluation, key, value)"
	   " SELECT ?, key, value FROM labels WHERE evaluation = ?",
};

static int put_part(struct db *db, const struct usage_row *row, const struct job_row *job, size_t index, size_t count,
		    struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &put_usage);
	const struct split split = split_of(row->run_s, row->gpu_s, row->start_up_s, row->idle_s, row->lost);
	const int64_t wholes[] = {row->queue_s,         split.run_s,      split.gpu_s,
				  split.start_up_gpu_s, split.idle_gpu_s, split.lost_gpu_s};
	query_bind_text(&q, row->attempt);
	query_bind_text(&q, job->id);
	query_bind_text(&q, job->evaluation);
	query_bind_text(&q, job->user);
	query_bind_text(&q, job->cluster);
	query_bind_text(&q, job->model);
	query_bind_text(&q, job->task);
	query_bind_text(&q, row->slurm_job_id);
	query_bind_text(&q, row->slurm_state);
	query_bind_int(&q, row->ended_at);
	for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++)
		query_bind_int(&q, part_of(wholes[i], index, count));
	query_bind_int(&q, row->start_up_s);
	query_bind_int(&q, row->idle_s);
	query_bind_int(&q, row->lost);
	query_bind_text(&q, row->by_sacct ? "sacct" : "service");
	return query_run(&q, err);
}

int usage_put(struct db *db, const struct usage_row *row, const struct job_row *const *jobs, size_t count,
	      struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		CLEANUP(query_done) struct query q = query_start(db, &put_labels);
		query_bind_text(&q, jobs[i]->evaluation);
		query_bind_int(&q, jobs[i]->evaluation_seq);
		if (query_run(&q, err) != 0 || put_part(db, row, jobs[i], i, count, err) != 0)
			return -1;
	}
	return scope_commit(&scope, err);
}

void unsettled_list_done(struct unsettled_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].attempt);
		free(list->items[i].slurm_job_id);
		free(list->items[i].job_dir);
	}
	free(list->items);
	*list = (struct unsettled_list){0};
}

/* Where several jobs shared the attempt, it is asked about once, as one of theirs. */
static struct statement list_unsettled = {
    .sql = "SELECT u.attempt, a.slurm_job_id, j.job_dir, a.submitted_at, a.number, a.gpus"
	   " FROM usage u INDEXED BY usage_unsettled JOIN attempts a ON a.job_name = u.attempt"
	   " JOIN jobs j ON j.id = u.job AND j.chain = a.chain"
	   " WHERE u.job = (SELECT min(one.job) FROM usage one WHERE one.attempt = u.attempt) AND u.source = 'service' "
	   "AND u.asks < 5 AND u.cluster = ?1 AND j.identity = ?2"
	   " AND a.slurm_job_id IS NOT NULL AND u.ended_at BETWEEN ?3 - 7 * 86400 AND ?3 - 10"
	   " AND u.ended_at + (10 << (3 * u.asks)) <= ?3 ORDER BY u.ended_at LIMIT ?4",
};

int usage_unsettled(struct db *db, const char *cluster, const char *identity, int64_t now_s, int limit,
		    struct unsettled_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_unsettled);
	CLEANUP(unsettled_list_done) struct unsettled_list list = {0};
	query_bind_text(&q, cluster);
	query_bind_text(&q, identity);
	query_bind_int(&q, now_s);
	query_bind_int(&q, limit);
	while (query_next(&q, err)) {
		struct unsettled_row *row = ROW_ADD(list.items, list.count);
		row->attempt = query_text(&q);
		row->slurm_job_id = query_text(&q);
		row->job_dir = query_text(&q);
		row->submitted_at = query_int(&q);
		row->number = (int)query_int(&q);
		row->gpus = query_int(&q);
	}
	if (query_failed(&q))
		return -1;
	*ret_list = list;
	list = (struct unsettled_list){0};
	return 0;
}

static struct statement find_parts = {
    .sql = "SELECT count(*), max(start_up_s), max(idle_s), max(lost) FROM usage WHERE attempt = ?",
};

/* The part that is the index-th by job. */
static struct statement settle_part = {
    .sql = "UPDATE usage SET run_s = ?3, gpu_s = ?4, start_up_gpu_s = ?5, idle_gpu_s = ?6, lost_gpu_s = ?7,"
	   " source = 'sacct'"
	   " WHERE attempt = ?1 AND job = (SELECT job FROM usage WHERE attempt = ?1 ORDER BY job LIMIT 1 OFFSET ?2)",
};

static int settle(struct db *db, const char *attempt, const struct split *split, size_t index, size_t count,
		  struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &settle_part);
	const int64_t wholes[] = {split->run_s, split->gpu_s, split->start_up_gpu_s, split->idle_gpu_s,
				  split->lost_gpu_s};
	query_bind_text(&q, attempt);
	query_bind_int(&q, (int64_t)index);
	for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++)
		query_bind_int(&q, part_of(wholes[i], index, count));
	return query_run(&q, err);
}

int usage_settle(struct db *db, const char *attempt, int64_t run_s, int64_t gpu_s, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(query_done) struct query found = query_start(db, &find_parts);
	bool row = false;
	query_bind_text(&found, attempt);
	if (scope_begin_write(&scope, db, err) != 0 || query_step(&found, &row, err) != 0)
		return -1;
	size_t count = row ? (size_t)query_int(&found) : 0;
	int64_t start_up_s = count > 0 ? query_int(&found) : 0;
	int64_t idle_s = count > 0 ? query_int(&found) : 0;
	bool lost = count > 0 && query_int(&found) != 0;
	const struct split split = split_of(run_s, gpu_s, start_up_s, idle_s, lost);
	for (size_t i = 0; i < count; i++)
		if (settle(db, attempt, &split, i, count, err) != 0)
			return -1;
	return scope_commit(&scope, err);
}

static struct statement count_ask = {
    .sql = "UPDATE usage SET asks = asks + 1 WHERE attempt = ?",
};

int usage_asked(struct db *db, const char *attempt, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count_ask);
	query_bind_text(&q, attempt);
	return query_run(&q, err);
}

static struct statement list_runs = {
    .sql = "SELECT (SELECT sum(gpu_s) FROM usage INDEXED BY usage_job WHERE job = j.id),"
	   " (SELECT sum(run_s) FROM usage INDEXED BY usage_job WHERE job = j.id),"
	   " (SELECT max((SELECT sum(start_up_s) FROM usage a WHERE a.attempt = u.attempt))"
	   " FROM usage u INDEXED BY usage_job WHERE u.job = j.id),"
	   " (SELECT max((SELECT sum(start_up_gpu_s) FROM usage a WHERE a.attempt = u.attempt))"
	   " FROM usage u INDEXED BY usage_job WHERE u.job = j.id),"
	   " CASE WHEN s.hash = ?3 AND p.hash = ?4 THEN 2"
	   " WHEN json_extract(p.parts, '$.image') IS json_extract(?5, '$.image')"
	   " AND json_extract(p.parts, '$.params.limit_samples') IS json_extract(?5, '$.params.limit_samples')"
	   " THEN 1 ELSE 0 END"
	   " FROM jobs j INDEXED BY jobs_succeeded JOIN job_likenesses l ON l.job = j.seq"
	   " JOIN likenesses s ON s.seq = l.subject JOIN likenesses p ON p.seq = l.protocol"
	   " WHERE j.state = 'succeeded' AND j.task = ?1 AND j.model = ?2 ORDER BY j.seq DESC LIMIT ?6",
};

int usage_runs(struct db *db, const char *task, const char *model, const struct likeness_row *subject,
	       const struct likeness_row *protocol, size_t limit, struct usage_run *runs, size_t *ret_count,
	       struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_runs);
	size_t count = 0;
	query_bind_text(&q, task);
	query_bind_text(&q, model);
	query_bind_text(&q, subject->hash);
	query_bind_text(&q, protocol->hash);
	query_bind_text(&q, protocol->parts);
	query_bind_int(&q, (int64_t)limit);
	while (query_next(&q, err)) {
		struct usage_run run = {.gpu_s = query_int_or(&q, -1), .run_s = query_int_or(&q, -1)};
		run.start_up_s = query_int_or(&q, 0);
		run.start_up_gpu_s = query_int_or(&q, 0);
		run.likeness = (enum usage_likeness)query_int(&q);
		if (run.run_s >= 0) /* the ledger has it */
			runs[count++] = run;
	}
	if (query_failed(&q))
		return -1;
	*ret_count = count;
	return 0;
}

static struct statement equal_p90 = {
    .sql =
	"WITH newest AS (SELECT j.seq, j.id FROM jobs j INDEXED BY jobs_succeeded WHERE j.state = 'succeeded'"
	" AND j.task = ?1 AND j.model = ?2 ORDER BY j.seq DESC LIMIT 30),"
	" runs AS (SELECT (SELECT sum(run_s) FROM usage INDEXED BY usage_job WHERE job = n.id) AS run_s FROM newest n"
	" JOIN job_likenesses l ON l.job = n.seq JOIN likenesses s ON s.seq = l.subject"
	" JOIN likenesses p ON p.seq = l.protocol WHERE s.hash = ?3 AND p.hash = ?4)"
	" SELECT run_s FROM runs WHERE run_s > 0 ORDER BY run_s"
	" LIMIT 1 OFFSET ((SELECT count(*) FROM runs WHERE run_s > 0) * 90 + 99) / 100 - 1",
};

int usage_equal_p90(struct db *db, const char *task, const char *model, const char *subject_hash,
		    const char *protocol_hash, int64_t *ret_run_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &equal_p90);
	bool found = false;
	query_bind_text(&q, task);
	query_bind_text(&q, model);
	query_bind_text(&q, subject_hash);
	query_bind_text(&q, protocol_hash);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_run_s = found ? query_int(&q) : 0;
	return 0;
}

static struct statement start_up = {
    .sql =
	"SELECT max(s) FROM (SELECT max(u.start_up_s) AS s FROM jobs j JOIN usage u ON u.job = j.id WHERE j.chain = ?1"
	" UNION ALL SELECT max(u.start_up_s) FROM (SELECT id FROM jobs INDEXED BY jobs_model WHERE model = ?2"
	" ORDER BY seq DESC LIMIT 100) n JOIN usage u ON u.job = n.id WHERE u.lost = 0)",
};

int usage_start_up(struct db *db, int64_t chain_seq, const char *model, int64_t *ret_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &start_up);
	bool found = false;
	query_bind_int(&q, chain_seq);
	query_bind_text(&q, model);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_s = found ? query_int_or(&q, 0) : 0;
	return 0;
}

static struct statement find_month = {
    .sql = "SELECT gpu_s FROM usage_months WHERE month = strftime('%Y-%m', ?, 'unixepoch') AND kind = ? AND name = ?",
};

static const char *kind_name(enum usage_of of)
{
	switch (of) {
	case USAGE_OF_ALL: return "all";
	case USAGE_OF_USER: return "user";
	case USAGE_OF_LABEL: return "label";
	}
	return "all";
}

int usage_month(struct db *db, int64_t at_s, enum usage_of of, const char *name, int64_t *ret_gpu_s,
		struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_month);
	bool found = false;
	query_bind_int(&q, at_s);
	query_bind_text(&q, kind_name(of));
	query_bind_text(&q, name);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_gpu_s = found ? query_int(&q) : 0;
	return 0;
}

void usage_sums_done(struct usage_sums *sums)
{
	for (size_t i = 0; i < sums->count; i++) {
		free(sums->items[i].user);
		free(sums->items[i].cluster);
		free(sums->items[i].model);
		free(sums->items[i].task);
		free(sums->items[i].month);
		free(sums->items[i].label);
	}
	free(sums->items);
	*sums = (struct usage_sums){0};
}

static struct statement count_rows = {
    .sql = "SELECT count(*) FROM (SELECT 1 FROM usage WHERE ended_at >= ? AND ended_at < ? LIMIT ?)",
};

static void bind_span(struct query *q, const struct usage_filter *filter)
{
	query_bind_int(q, filter->since_s);
	query_bind_int(q, filter->until_s != 0 ? filter->until_s : INT64_MAX);
}

/* Sums take sorting, on a thread that others wait for. */
static int check_count(struct db *db, const struct usage_filter *filter, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count_rows);
	bool found = false;
	bind_span(&q, filter);
	query_bind_int(&q, USAGE_ROWS_MAX + 1);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (query_int(&q) <= USAGE_ROWS_MAX)
		return 0;
	return err_set(err, NEL_INVALID,
		       "more than %d attempts ended in that time: ask for a shorter one with `since` and `until`, "
		       "and add up the answers",
		       USAGE_ROWS_MAX);
}

static struct statement sum_usage = {
    .sql = "SELECT CASE WHEN ?1 THEN user END, CASE WHEN ?2 THEN cluster END, CASE WHEN ?3 THEN model END,"
	   " CASE WHEN ?4 THEN task END, CASE WHEN ?5 THEN strftime('%Y-%m', ended_at, 'unixepoch') END,"
	   " l.value, sum(gpu_s), sum(start_up_gpu_s), sum(idle_gpu_s), sum(lost_gpu_s), sum(run_s), sum(queue_s),"
	   " count(DISTINCT attempt), count(DISTINCT job)"
	   " FROM usage LEFT JOIN usage_labels l ON l.evaluation = usage.evaluation AND l.key = ?6"
	   " WHERE ended_at >= ?7 AND ended_at < ?8"
	   " GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6 LIMIT ?9",
};

int usage_sum_up(struct db *db, const struct usage_filter *filter, struct usage_sums *ret_sums, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(usage_sums_done) struct usage_sums sums = {0};
	if (scope_begin_read(&scope, db, err) != 0 || check_count(db, filter, err) != 0)
		return -1;
	CLEANUP(query_done) struct query q = query_start(db, &sum_usage);
	query_bind_int(&q, filter->by_user);
	query_bind_int(&q, filter->by_cluster);
	query_bind_int(&q, filter->by_model);
	query_bind_int(&q, filter->by_task);
	query_bind_int(&q, filter->by_month);
	query_bind_text(&q, filter->label);
	bind_span(&q, filter);
	query_bind_int(&q, filter->limit);
	while (query_next(&q, err)) {
		struct usage_sum *sum = ROW_ADD(sums.items, sums.count);
		sum->user = query_text(&q);
		sum->cluster = query_text(&q);
		sum->model = query_text(&q);
		sum->task = query_text(&q);
		sum->month = query_text(&q);
		sum->label = query_text(&q);
		sum->gpu_s = query_int(&q);
		sum->start_up_gpu_s = query_int(&q);
		sum->idle_gpu_s = query_int(&q);
		sum->lost_gpu_s = query_int(&q);
		sum->run_s = query_int(&q);
		sum->queue_s = query_int(&q);
		sum->attempts = query_int(&q);
		sum->jobs = query_int(&q);
	}
	if (query_failed(&q))
		return -1;
	*ret_sums = sums;
	sums = (struct usage_sums){0};
	return 0;
}

struct statement *const usage_statements[] = {
    &put_usage, &put_labels, &list_unsettled, &list_runs, &find_month, &find_parts, &settle_part,
    &count_ask, &count_rows, &sum_usage,      &equal_p90, &start_up,   NULL};
