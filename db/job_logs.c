/* Owns the table job_logs. */
#include "db/job_logs.h"

#include "base/mem.h"
#include "db/scope.h"
#include "db/statement.h"

void job_log_row_done(struct job_log_row *row)
{
	free(row->name);
	free(row->data);
	*row = (struct job_log_row){0};
}

void job_log_list_done(struct job_log_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		job_log_row_done(&list->items[i]);
	free(list->items);
	*list = (struct job_log_list){0};
}

static struct statement delete_logs = {.sql = "DELETE FROM job_logs WHERE job = ?"};
static struct statement insert_log = {
    .sql =
	"INSERT INTO job_logs (job, name, size, modified_at, kept_from, data, of_chain) VALUES (?, ?, ?, ?, ?, ?, ?)",
};

static int insert_all(struct db *db, int64_t job_seq, const struct job_log_row *rows, size_t count, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_log);
	for (size_t i = 0; i < count; i++) {
		query_bind_int(&q, job_seq);
		query_bind_text(&q, rows[i].name);
		query_bind_int(&q, rows[i].size);
		query_bind_int(&q, rows[i].modified_at);
		query_bind_int(&q, rows[i].kept_from);
		query_bind_blob(&q, rows[i].data_size > 0 ? rows[i].data : "", rows[i].data_size);
		query_bind_int(&q, rows[i].of_chain);
		if (query_run(&q, err) != 0)
			return -1;
		query_again(&q);
	}
	return 0;
}

int job_logs_replace(struct db *db, int64_t job_seq, const struct job_log_row *rows, size_t count, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0)
		return -1;
	CLEANUP(query_done) struct query q = query_start(db, &delete_logs);
	query_bind_int(&q, job_seq);
	if (query_run(&q, err) != 0 || insert_all(db, job_seq, rows, count, err) != 0)
		return -1;
	return scope_commit(&scope, err);
}

static void read_row(struct query *q, struct job_log_row *row)
{
	row->name = query_text(q);
	row->size = query_int(q);
	row->modified_at = query_int(q);
	row->kept_from = query_int(q);
}

/* The rows of the job ?1: its own, and those that some job of its chain has kept of the chain's. */
#define ROWS(columns, condition) \
	" (SELECT " columns " FROM job_logs WHERE job = ?1" condition " UNION ALL SELECT " columns \
	" FROM job_logs INDEXED BY job_logs_of_chain WHERE of_chain = 1" \
	" AND job IN (SELECT other.seq FROM jobs JOIN jobs other USING (chain) WHERE jobs.seq = ?1)" condition ")"

static struct statement list_logs = {
    .sql = "SELECT name, size, max(modified_at), kept_from FROM" ROWS("name, size, modified_at, kept_from",
								      "") " GROUP BY name ORDER BY name",
};

int job_logs_list(struct db *db, int64_t job_seq, struct job_log_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_logs);
	CLEANUP(job_log_list_done) struct job_log_list list = {0};
	query_bind_int(&q, job_seq);
	while (query_next(&q, err))
		read_row(&q, ROW_ADD(list.items, list.count));
	if (query_failed(&q))
		return -1;
	*ret_list = list;
	list = (struct job_log_list){0};
	return 0;
}

static struct statement get_log = {
    .sql = "SELECT name, size, modified_at, kept_from, data FROM job_logs WHERE rowid = (SELECT rowid FROM" ROWS(
	"rowid, modified_at", " AND name = ?2") " ORDER BY modified_at DESC LIMIT 1)",
};

int job_logs_get(struct db *db, int64_t job_seq, const char *name, struct job_log_row *ret_row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &get_log);
	bool found = false;
	query_bind_int(&q, job_seq);
	query_bind_text(&q, name);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "nothing is kept of the log %s", name);
	*ret_row = (struct job_log_row){0};
	read_row(&q, ret_row);
	ret_row->data = (char *)query_blob(&q, &ret_row->data_size);
	return 0;
}

struct statement *const job_logs_statements[] = {&delete_logs, &insert_log, &list_logs, &get_log, NULL};
