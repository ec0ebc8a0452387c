/* Owns the table results. */
#include "db/results.h"

#include "base/mem.h"
#include "db/created.h"
#include "db/job_postings.h"
#include "db/postings.h"
#include "db/scope.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void result_list_done(struct result_list *list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < list->count; i++)
		score_done(&list->items[i]);
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
		free(item->state);
		score_done(&item->row);
	}
	free(list->items);
	for (size_t i = 0; i < list->basis_count; i++) {
		job_basis_done(list->bases[i]);
		free(list->bases[i]);
	}
	free(list->bases);
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
    .sql = "INSERT OR REPLACE INTO results"
	   " (job, task, is_group, metric, score, value, stderr, count, recorded_at, model, subject, protocol)"
	   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, (SELECT model FROM jobs WHERE seq = ?1),"
	   " coalesce((SELECT subject FROM job_likenesses WHERE job = ?1), 0),"
	   " coalesce((SELECT protocol FROM job_likenesses WHERE job = ?1), 0))",
};

static int insert_of_job(struct db *db, int64_t job_seq, const struct score *rows, size_t count, int64_t now_s,
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

int results_replace(struct db *db, int64_t job_seq, const struct score *rows, size_t count, int64_t now_s,
		    struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 || delete_of_job(db, job_seq, err) != 0 ||
	    insert_of_job(db, job_seq, rows, count, now_s, err) != 0 || scope_commit(&scope, err) != 0)
		return err_prefix(err, "scores of job number %" PRId64, job_seq);
	return 0;
}

#define ROW_COLUMNS "task, is_group, metric, score, value, stderr, count"

static void read_row(struct query *q, struct score *row)
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
	   " AND (?3 IS NULL OR metric = ?3) AND (?4 IS NULL OR score = ?4) ORDER BY is_group, task, metric, score",
};

static int append_rows(struct query *q, struct result_list *list, struct nel_err *err)
{
	while (query_next(q, err))
		read_row(q, ROW_ADD(list->items, list->count));
	return query_failed(q) ? -1 : 0;
}

/* Appends the job's scores that the filter names to the list. */
static int append_of_job(struct db *db, int64_t job_seq, const struct result_filter *filter, struct result_list *list,
			 struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &of_job);
	query_bind_int(&q, job_seq);
	query_bind_text(&q, filter->task);
	query_bind_text(&q, filter->metric);
	query_bind_text(&q, filter->score);
	return append_rows(&q, list, err);
}

int results_of_job(struct db *db, int64_t job_seq, struct result_list *ret_list, struct nel_err *err)
{
	static const struct result_filter any = {0};
	CLEANUP(result_list_done) struct result_list list = {0};
	if (append_of_job(db, job_seq, &any, &list, err) != 0)
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
static struct statement list_score = {
    .sql = "SELECT job FROM results INDEXED BY results_score WHERE score = ?1 AND job <= ?2 ORDER BY job DESC",
};

/* All but task, metric, model and state. */
static void add_common_filters(struct postings *postings, struct db *db, const struct result_filter *filter,
			       const struct created_bounds *bounds)
{
	postings_add_text(postings, db, &list_score, filter->score);
	postings_add_text(postings, db, &job_postings_user, filter->user);
	postings_add_text(postings, db, &job_postings_cluster, filter->cluster);
	postings_add_text(postings, db, &job_postings_evaluation, filter->evaluation);
	job_postings_add_label(postings, db, filter->label_key, filter->label_value);
	job_postings_add_span(postings, db, bounds, filter->since_s, filter->until_s);
}

static void add_filters(struct postings *postings, struct db *db, const struct result_filter *filter,
			const struct created_bounds *bounds)
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
	postings_add_text(postings, db, &job_postings_model, filter->model);
	postings_add_text(postings, db, &job_postings_state, filter->state);
	add_common_filters(postings, db, filter, bounds);
}

/* Many scores of one job follow each other. */
static int add_basis(struct db *db, int64_t job_seq, struct result_of_job_list *list,
		     const struct job_basis **ret_basis, struct nel_err *err)
{
	if (list->count > 0 && list->items[list->count - 1].job_seq == job_seq) {
		*ret_basis = list->items[list->count - 1].basis;
		return 0;
	}
	struct job_basis *basis = mem_calloc(1, sizeof *basis);
	*ROW_ADD(list->bases, list->basis_count) = basis;
	*ret_basis = basis;
	return likenesses_basis(db, job_seq, basis, err);
}

static struct statement job_of = {.sql = "SELECT id, evaluation, model, user, state, ended_at FROM jobs WHERE seq = ?"};

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
	CLEANUP(mem_freep) char *state = query_text(&q);
	int64_t ended_at = query_int(&q);
	const struct job_basis *basis = NULL;
	if (rows->count == 0)
		return 0;
	if (add_basis(db, job_seq, list, &basis, err) != 0)
		return -1;
	for (size_t i = 0; i < rows->count; i++) {
		*ROW_ADD(list->items, list->count) = (struct result_of_job){
		    .job_seq = job_seq,
		    .job = mem_strdup(job),
		    .evaluation = mem_strdup(evaluation),
		    .model = mem_strdup(model),
		    .user = mem_strdup(user),
		    .state = mem_strdup(state),
		    .ended_at = ended_at,
		    .basis = basis,
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
	if (append_of_job(db, job_seq, filter, &rows, err) != 0)
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
	struct created_bounds bounds;
	if (scope_begin_read(&scope, db, err) != 0 ||
	    created_bounds_find(db, filter->since_s, filter->until_s, &bounds, err) != 0)
		return -1;
	add_filters(&postings, db, filter, &bounds);
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

/* --- the newest --- */

struct newest_key {
	char *model;
	int64_t subject;
	char *task;
	int64_t group;
	char *metric;
	int64_t protocol;
};

static void newest_key_done(struct newest_key *key)
{
	free(key->model);
	free(key->task);
	free(key->metric);
	*key = (struct newest_key){0};
}

static void newest_key_set(struct newest_key *key, const char *model, int64_t subject, const char *task)
{
	struct newest_key set = {.model = mem_strdup(model),
				 .subject = subject,
				 .task = mem_strdup(task),
				 .group = -1,
				 .metric = mem_strdup("")};
	newest_key_done(key);
	*key = set;
}

/* With the greatest job number, so that SQLite seeks past the key's jobs and does not walk over them. */
static struct statement next_key = {
    .sql = "SELECT model, subject, task, is_group, metric, protocol FROM results INDEXED BY results_newest"
	   " WHERE (model, subject, task, is_group, metric, protocol, job) > (?, ?, ?, ?, ?, ?, 9223372036854775807)"
	   " ORDER BY model, subject, task, is_group, metric, protocol LIMIT 1",
};
static struct statement next_subject = {
    .sql = "SELECT model, subject, task, is_group, metric, protocol FROM results INDEXED BY results_newest"
	   " WHERE (model, subject) > (?, ?) ORDER BY model, subject, task, is_group, metric, protocol LIMIT 1",
};

/* Moves the key on: to the next one, or to the first of the next subject. */
static int advance(struct db *db, bool over_subject, struct newest_key *key, bool *ret_found, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, over_subject ? &next_subject : &next_key);
	query_bind_text(&q, key->model);
	query_bind_int(&q, key->subject);
	if (!over_subject) {
		query_bind_text(&q, key->task);
		query_bind_int(&q, key->group);
		query_bind_text(&q, key->metric);
		query_bind_int(&q, key->protocol);
	}
	if (query_step(&q, ret_found, err) != 0)
		return -1;
	if (!*ret_found)
		return 0;
	struct newest_key next = {.model = query_text(&q)};
	next.subject = query_int(&q);
	next.task = query_text(&q);
	next.group = query_int(&q);
	next.metric = query_text(&q);
	next.protocol = query_int(&q);
	query_done(&q);
	newest_key_done(key);
	*key = next;
	return 0;
}

/* Moves the key on to the next one that the filter's model, task and metric let through. */
static int next_wanted(struct db *db, const struct result_filter *filter, struct newest_key *key, bool *ret_found,
		       struct nel_err *err)
{
	for (bool over_subject = false;;) {
		if (advance(db, over_subject, key, ret_found, err) != 0)
			return -1;
		if (!*ret_found)
			return 0;
		if (filter->model != NULL && strcmp(key->model, filter->model) != 0) {
			*ret_found = false;
			return 0;
		}
		int order = filter->task != NULL ? strcmp(key->task, filter->task) : 0;
		if (order == 0 && (filter->metric == NULL || strcmp(key->metric, filter->metric) == 0))
			return 0;
		over_subject = order > 0;
		if (order < 0) {
			CLEANUP(mem_freep) char *model = mem_strdup(key->model);
			newest_key_set(key, model, key->subject, filter->task);
		}
	}
}

static struct statement of_key = {
    .sql = "SELECT " ROW_COLUMNS " FROM results INDEXED BY sqlite_autoindex_results_1 WHERE job = ?1 AND is_group = ?2 "
	   "AND task = ?3 AND metric = ?4"
	   " AND (?5 IS NULL OR score = ?5) ORDER BY score",
};

static int append_of_key(struct db *db, int64_t job_seq, const struct newest_key *key, const char *score,
			 struct result_of_job_list *list, struct nel_err *err)
{
	CLEANUP(result_list_done) struct result_list rows = {0};
	CLEANUP(query_done) struct query q = query_start(db, &of_key);
	query_bind_int(&q, job_seq);
	query_bind_int(&q, key->group);
	query_bind_text(&q, key->task);
	query_bind_text(&q, key->metric);
	query_bind_text(&q, score);
	return append_rows(&q, &rows, err) != 0 ? -1 : append_with_job(db, job_seq, &rows, list, err);
}

static struct statement has_state = {.sql = "SELECT 1 FROM jobs WHERE seq = ? AND state = ?"};

static int check_state(struct db *db, int64_t job_seq, const char *state, bool *ret_has, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &has_state);
	query_bind_int(&q, job_seq);
	query_bind_text(&q, state != NULL ? state : "succeeded");
	return query_step(&q, ret_has, err);
}

static struct statement list_key = {
    .sql = "SELECT job FROM results INDEXED BY results_newest"
	   " WHERE model = ?1 AND subject = ?2 AND task = ?3 AND is_group = ?4 AND metric = ?5 AND protocol = ?6"
	   " AND job <= ?7 ORDER BY job DESC",
};

static int append_newest(struct db *db, const struct result_filter *filter, const struct created_bounds *bounds,
			 const struct newest_key *key, struct result_of_job_list *list, struct nel_err *err)
{
	CLEANUP(postings_done) struct postings postings = {0};
	struct query q = query_start(db, &list_key);
	query_bind_text(&q, key->model);
	query_bind_int(&q, key->subject);
	query_bind_text(&q, key->task);
	query_bind_int(&q, key->group);
	query_bind_text(&q, key->metric);
	query_bind_int(&q, key->protocol);
	postings_add(&postings, q);
	postings_add_text(&postings, db, &job_postings_state, filter->state);
	add_common_filters(&postings, db, filter, bounds);
	for (int64_t seq = 0;;) {
		bool wanted = false;
		if (postings_next(&postings, seq, &seq, err) != 0 ||
		    (seq != 0 && check_state(db, seq, filter->state, &wanted, err) != 0))
			return -1;
		if (seq == 0)
			return 0;
		if (wanted)
			return append_of_key(db, seq, key, filter->score, list, err);
	}
}

int results_newest(struct db *db, const struct result_filter *filter, struct result_of_job_list *ret_list,
		   struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(newest_key_done) struct newest_key key = {0};
	CLEANUP(result_of_job_list_done) struct result_of_job_list list = {0};
	struct created_bounds bounds;
	if (scope_begin_read(&scope, db, err) != 0 ||
	    created_bounds_find(db, filter->since_s, filter->until_s, &bounds, err) != 0)
		return -1;
	newest_key_set(&key, filter->model != NULL ? filter->model : "", -1, "");
	for (;;) {
		bool found = false;
		if (next_wanted(db, filter, &key, &found, err) != 0)
			return -1;
		list.truncated = found && list.count >= RESULTS_NEWEST_MAX;
		if (!found || list.truncated)
			break;
		if (append_newest(db, filter, &bounds, &key, &list, err) != 0)
			return -1;
	}
	*ret_list = list;
	list = (struct result_of_job_list){0};
	return 0;
}

struct statement *const results_statements[] = {&delete_results, &insert_result,    &of_job,     &list_all,  &list_task,
						&list_metric,    &list_task_metric, &list_score, &job_of,    &next_key,
						&next_subject,   &of_key,           &list_key,   &has_state, NULL};
