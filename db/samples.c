/* Owns the table samples. */
#include "db/samples.h"

#include "base/cleanup.h"
#include "db/statement.h"

void samples_row_done(struct samples_row *row)
{
	free(row->data);
	*row = (struct samples_row){0};
}

static struct statement replace_samples = {
    .sql = "INSERT OR REPLACE INTO samples (job, rows, left_out, spoilt, short, data) VALUES (?, ?, ?, ?, ?, ?)",
};

int samples_replace(struct db *db, int64_t job_seq, const struct samples_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &replace_samples);
	query_bind_int(&q, job_seq);
	query_bind_int(&q, row->rows);
	query_bind_int(&q, row->left_out);
	query_bind_int(&q, row->spoilt);
	query_bind_int(&q, row->short_);
	query_bind_blob(&q, row->data, row->data_size);
	return query_run(&q, err);
}

static struct statement remove_samples = {.sql = "DELETE FROM samples WHERE job = ?"};

int samples_remove(struct db *db, int64_t job_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &remove_samples);
	query_bind_int(&q, job_seq);
	return query_run(&q, err);
}

static struct statement get_samples = {
    .sql = "SELECT rows, left_out, spoilt, short, data FROM samples WHERE job = ?",
};

int samples_get(struct db *db, int64_t job_seq, struct samples_row *ret_row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &get_samples);
	bool found = false;
	query_bind_int(&q, job_seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "nothing is stored of the job's samples");
	*ret_row = (struct samples_row){0};
	ret_row->rows = query_int(&q);
	ret_row->left_out = query_int(&q);
	ret_row->spoilt = query_int(&q);
	ret_row->short_ = query_int(&q);
	ret_row->data = (char *)query_blob(&q, &ret_row->data_size);
	return 0;
}

struct statement *const samples_statements[] = {&replace_samples, &remove_samples, &get_samples, NULL};
