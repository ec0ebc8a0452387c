/* Owns the table failures. */
#include "db/failures.h"

#include "base/mem.h"
#include "db/statement.h"

void failure_row_done(struct failure_row *row)
{
	free(row->log);
	free(row->lines);
	free(row->advice);
	*row = (struct failure_row){0};
}

static struct statement set_failure = {
    .sql = "INSERT OR REPLACE INTO failures (job, log, lines, advice) VALUES (?, ?, ?, ?)",
};

int failures_set(struct db *db, int64_t job_seq, const char *log, const char *lines, const char *advice,
		 struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_failure);
	query_bind_int(&q, job_seq);
	query_bind_text(&q, log);
	query_bind_text(&q, lines);
	query_bind_text(&q, advice);
	return query_run(&q, err);
}

static struct statement get_failure = {.sql = "SELECT log, lines, advice FROM failures WHERE job = ?"};

int failures_get(struct db *db, int64_t job_seq, struct failure_row *ret_row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &get_failure);
	bool found = false;
	query_bind_int(&q, job_seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_row = (struct failure_row){0};
	if (found) {
		ret_row->log = query_text(&q);
		ret_row->lines = query_text(&q);
		ret_row->advice = query_text(&q);
	}
	return 0;
}

static struct statement delete_failure = {.sql = "DELETE FROM failures WHERE job = ?"};

int failures_delete(struct db *db, int64_t job_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_failure);
	query_bind_int(&q, job_seq);
	return query_run(&q, err);
}

struct statement *const failures_statements[] = {&set_failure, &get_failure, &delete_failure, NULL};
