/* Owns the table chains. */
#include "db/chains.h"

#include "db/chain_columns.h"

#include <inttypes.h>

void chain_row_done(struct chain_row *row)
{
	if (row == NULL)
		return;
	CHAIN_FIXED(COLUMN_FREE)
	CHAIN_COURSE(COLUMN_FREE)
	*row = (struct chain_row){0};
}

void chain_columns_read(struct query *q, struct chain_row *row)
{
	CHAIN_FIXED(COLUMN_READ)
	CHAIN_COURSE(COLUMN_READ)
	row->budget_from_attempt = (int)query_int(q);
	row->seq = query_int(q);
}

/* Attempts count from 1, so 0 is a row that nobody has set. */
static void bind_budget_from(struct query *q, const struct chain_row *row)
{
	query_bind_int(q, row->budget_from_attempt > 0 ? row->budget_from_attempt : 1);
}

static struct statement insert_chain = {
    .sql = "INSERT INTO chains (" CHAIN_FIXED(COLUMN_NAME)
	CHAIN_COURSE(COLUMN_NAME) "budget_from_attempt, evaluation)"
				  " VALUES (" CHAIN_FIXED(COLUMN_MARK) CHAIN_COURSE(COLUMN_MARK) "?, ?)",
};

int chains_insert(struct db *db, int64_t evaluation_seq, struct chain_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query insert = query_start(db, &insert_chain);
	struct query *q = &insert;
	CHAIN_FIXED(COLUMN_BIND)
	CHAIN_COURSE(COLUMN_BIND)
	bind_budget_from(q, row);
	query_bind_int(q, evaluation_seq);
	if (query_run(q, err) != 0)
		return err_prefix(err, "chain %d", row->number);
	row->seq = sqlite3_last_insert_rowid(db->sqlite);
	return 0;
}

static struct statement update_chain = {
    .sql = "UPDATE chains SET " CHAIN_COURSE(COLUMN_SET) "budget_from_attempt = ? WHERE seq = ?",
};

int chains_update(struct db *db, const struct chain_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query update = query_start(db, &update_chain);
	struct query *q = &update;
	CHAIN_COURSE(COLUMN_BIND)
	bind_budget_from(q, row);
	query_bind_int(q, row->seq);
	if (query_run(q, err) != 0)
		return -1;
	return query_changes(q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "there is no chain number %" PRId64, row->seq);
}

struct statement *const chains_statements[] = {&insert_chain, &update_chain, NULL};
