/* Owns the table results. */
#include "db/results.h"

#include "base/mem.h"
#include "db/postings.h"

#include <inttypes.h>
#include <math.h>

static void result_row_done(struct result_row *row)
{
	free(row->task);
	free(row->metric);
	free(row->score);
}

void result_list_done(struct result_list *list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < list->count; i++)
		result_row_done(&list->items[i]);
	free(list->items);
	*list = (struct result_list){0};
}

void result_of_job_list_done(struct result_of_job_list *list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < list->count; i++) {
		struct result_of_job *item = &list->items[i];
		free(item->job);
		free(item->evaluation);
		free(item->model);
		free(item->user);
		result_row_done(&item->row);
	}
	free(list->items);
	*list = (struct result_of_job_list){0};
}

static struct statement delete_results = {.sql = "DELETE FROM results WHERE job = ?"};

static int delete_of_job(struct db *db, int64_t job_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_results);
	query_bind_int(&q, job_seq);
	return query_run(&q, err);
}

/* The scores come from a file on the cluster: of two with one name the later one counts. */
static struct statement insert_result = {
    .sql = "INSERT OR REPLACE INTO results (job, task, is_group, metric, score, value, stderr, count, recorded_at)"
	   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
};

static int insert_of_job(struct db *db, int64_t job_seq, const struct result_row *rows, size_t count, int64_t now_s,
			 struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_result);
	for (size_t i = 0; i < count; i++) {
		if (!isfinite(rows[i].value))
			return err_set(err, NEL_INVALID, "the score %s of %s is not a finite number", rows[i].score,
				       rows[i].task);
		query_bind_int(&q, job_seq);
		query_bind_text(&q, rows[i].task);
		query_bind_int(&q, rows[i].group);
		query_bind_text(&q, rows[i].metric);
		query_bind_text(&q, rows[i].score);
		query_bind_double(&q, rows[i].value);
		query_bind_double(&q, isfinite(rows[i].stderr_) ? rows[i].stderr_ : (double)NAN);
		query_bind_int_or_null(&q, rows[i].count, -1);
		query_bind_int(&q, now_s);
		if (query_run(&q, err) != 0)
			return -1;
		query_again(&q);
	}
	return 0;
}

int results_replace(struct db *db, int64_t job_seq, const struct result_row *rows, size_t count, int64_t now_s,
		    struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 || delete_of_job(db, job_seq, err) != 0 ||
	    insert_of_job(db, job_seq, rows, count, now_s, err) != 0 || scope_commit(&scope, err) != 0)
		return err_prefix(err, "scores of job number %" PRId64, job_seq);
	return 0;
}

#define ROW_COLUMNS "task, is_group, metric, score, value, stderr, count"

static void read_row(struct query *q, struct result_row *row)
{
	row->task = query_text(q);
	row->group = query_int(q) != 0;
	row->metric = query_text(q);
	row->score = query_text(q);
	row->value = query_double(q);
	row->stderr_ = query_double(q);
	row->count = query_int_or(q, -1);
}

static struct statement of_job = {
    .sql = "SELECT " ROW_COLUMNS " FROM results WHERE job = ?1 AND (?2 IS NULL OR task = ?2)"
	   " AND (?3 IS NULL OR metric = ?3) ORDER BY is_group, task, metric, score",
};

/* Appends the job's scores of a task and metric (NULL: any) to the list. */
static int append_of_job(struct db *db, int64_t job_seq, const char *task, const char *metric, struct result_list *list,
			 struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &of_job);
	query_bind_int(&q, job_seq);
	query_bind_text(&q, task);
	query_bind_text(&q, metric);
	for (;;) {
		bool found = false;
		if (query_step(&q, &found, err) != 0)
			return -1;
		if (!found)
			return 0;
		list->items = mem_realloc(list->items, list->count + 1, sizeof *list->items);
		read_row(&q, &list->items[list->count++]);
	}
}

int results_of_job(struct db *db, int64_t job_seq, struct result_list *ret_list, struct nel_err *err)
{
	CLEANUP(result_list_done) struct result_list list = {0};
	if (append_of_job(db, job_seq, NULL, NULL, &list, err) != 0)
		return -1;
	*ret_list = list;
	list = (struct result_list){0};
	return 0;
}

/* A job stands in these as often as it has scores; postings_next() passes over the repeats. */
static struct statement list_all = {.sql = "SELECT job FROM results WHERE job <= ?1 ORDER BY job DESC"};
static struct statement list_task = {
    .sql = "SELECT job FROM results INDEXED BY results_task WHERE task = ?1 AND job <= ?2 ORDER BY job DESC",
};
static struct statement list_metric = {
    .sql = "SELECT job FROM results INDEXED BY results_metric WHERE metric = ?1 AND job <= ?2 ORDER BY job DESC",
};
static struct statement list_task_metric = {
    .sql = "SELECT job FROM results INDEXED BY results_task_metric WHERE task = ?1 AND metric = ?2 AND job <= ?3"
	   " ORDER BY job DESC",
};
static struct statement list_model = {
    .sql = "SELECT seq FROM jobs INDEXED BY jobs_model WHERE model = ?1 AND seq <= ?2 ORDER BY seq DESC",
};
/* Labels belong to evaluations; jobs have the order of their evaluations (see the migration). */
static struct statement list_label = {
    .sql = "SELECT j.seq FROM labels l INDEXED BY labels_value CROSS JOIN jobs j ON j.evaluation_seq = l.evaluation"
	   " WHERE l.key = ?1 AND l.value = ?2"
	   " AND l.evaluation <= (SELECT evaluation_seq FROM jobs WHERE seq <= ?3 ORDER BY seq DESC LIMIT 1)"
	   " AND j.seq <= ?3 ORDER BY l.evaluation DESC, j.idx DESC",
};

static void add_filters(struct postings *postings, struct db *db, const struct result_filter *filter)
{
	if (filter->task != NULL && filter->metric != NULL) {
		struct query q = query_start(db, &list_task_metric);
		query_bind_text(&q, filter->task);
		query_bind_text(&q, filter->metric);
		postings_add(postings, q);
	} else {
		postings_add_text(postings, db, &list_task, filter->task);
		postings_add_text(postings, db, &list_metric, filter->metric);
	}
	if (postings->count == 0)
		postings_add(postings, query_start(db, &list_all));
	postings_add_text(postings, db, &list_model, filter->model);
	if (filter->label_key != NULL) {
		struct query q = query_start(db, &list_label);
		query_bind_text(&q, filter->label_key);
		query_bind_text(&q, filter->label_value);
		postings_add(postings, q);
	}
}

static struct statement job_of = {.sql = "SELECT id, evaluation, model, user, ended_at FROM jobs WHERE seq = ?"};

/* Appends the rows, which it takes over, each with its job. */
static int append_with_job(struct db *db, int64_t job_seq, struct result_list *rows, struct result_of_job_list *list,
			   struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &job_of);
	bool found = false;
	query_bind_int(&q, job_seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_DB, "job number %" PRId64 " is missing", job_seq);
	CLEANUP(mem_freep) char *job = query_text(&q);
	CLEANUP(mem_freep) char *evaluation = query_text(&q);
	CLEANUP(mem_freep) char *model = query_text(&q);
	CLEANUP(mem_freep) char *user = query_text(&q);
	int64_t ended_at = query_int(&q);
	list->items = mem_realloc(list->items, list->count + rows->count, sizeof *list->items);
	for (size_t i = 0; i < rows->count; i++) {
		list->items[list->count++] = (struct result_of_job){
		    .job_seq = job_seq,
		    .job = mem_strdup(job),
		    .evaluation = mem_strdup(evaluation),
		    .model = mem_strdup(model),
		    .user = mem_strdup(user),
		    .ended_at = ended_at,
		    .row = rows->items[i],
		};
	}
	rows->count = 0;
	return 0;
}

static int append_job(struct db *db, int64_t job_seq, const struct result_filter *filter,
		      struct result_of_job_list *list, struct nel_err *err)
{
	CLEANUP(result_list_done) struct result_list rows = {0};
	if (append_of_job(db, job_seq, filter->task, filter->metric, &rows, err) != 0)
		return -1;
	return append_with_job(db, job_seq, &rows, list, err);
}

int results_list(struct db *db, const struct result_filter *filter, struct result_of_job_list *ret_list,
		 struct nel_err *err)
{
	int limit = filter->limit < DB_LIST_MAX ? filter->limit : DB_LIST_MAX;
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(postings_done) struct postings postings = {0};
	CLEANUP(result_of_job_list_done) struct result_of_job_list list = {0};
	if (scope_begin_read(&scope, db, err) != 0)
		return -1;
	add_filters(&postings, db, filter);
	int64_t seq = filter->before_seq;
	for (int jobs = 0;; jobs++) {
		if (postings_next(&postings, seq, &seq, err) != 0)
			return -1;
		if (seq == 0 || jobs >= limit)
			break;
		if (append_job(db, seq, filter, &list, err) != 0)
			return -1;
		list.last_job_seq = seq;
	}
	if (seq == 0)
		list.last_job_seq = 0; /* there are no more */
	*ret_list = list;
	list = (struct result_of_job_list){0};
	return 0;
}

struct statement *const results_statements[] = {
    &delete_results,   &insert_result, &of_job,     &list_all, &list_task, &list_metric,
    &list_task_metric, &list_model,    &list_label, &job_of,   NULL};
