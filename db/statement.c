/* Owns the way between C values and SQLite, and what its failures mean. */
#include "db/statement.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define ROWS_FIRST 8 /* room for so many at first, then it doubles */

int db_error(sqlite3 *sqlite, int rc, struct nel_err *err)
{
	/* https://www.sqlite.org/rescode.html: the low byte is the primary code. */
	enum nel_err_kind kind = NEL_DB;
	int primary = rc & 0xff;
	if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED)
		kind = NEL_BUSY;
	else if (primary == SQLITE_NOMEM)
		kind = NEL_NOMEM;
	else if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_ROWID)
		kind = NEL_CONFLICT;
	err_set(err, kind, "database: %s (SQLite code %d)",
		sqlite == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(sqlite), rc);
	return -1;
}

struct query query_start(struct db *db, const struct statement *statement)
{
	assert(statement->slot != 0); /* is it in its file's list? */
	sqlite3_stmt *stmt = db->prepared[statement->slot];
	assert(!sqlite3_stmt_busy(stmt)); /* is a query of the same statement still open? */
	return (struct query){.db = db, .stmt = stmt};
}

void query_again(struct query *q)
{
	/* sqlite3_reset() repeats the failure of the step before it, which was reported then. */
	sqlite3_reset(q->stmt);
	sqlite3_clear_bindings(q->stmt);
	q->rc = SQLITE_OK;
	q->bound = 0;
	q->column = 0;
	q->failed = false;
}

void query_done(struct query *q)
{
	if (q->stmt != NULL)
		query_again(q);
	q->stmt = NULL;
}

static void note(struct query *q, int rc)
{
	if (q->rc == SQLITE_OK)
		q->rc = rc;
}

void query_bind_text(struct query *q, const char *text)
{
	note(q, sqlite3_bind_text(q->stmt, ++q->bound, text, -1, SQLITE_STATIC));
}

void query_bind_int(struct query *q, int64_t value)
{
	note(q, sqlite3_bind_int64(q->stmt, ++q->bound, value));
}

void query_bind_int_or_null(struct query *q, int64_t value, int64_t null_value)
{
	if (value == null_value)
		note(q, sqlite3_bind_null(q->stmt, ++q->bound));
	else
		query_bind_int(q, value);
}

void query_bind_blob(struct query *q, const void *data, size_t size)
{
	note(q, sqlite3_bind_blob64(q->stmt, ++q->bound, data, size, SQLITE_STATIC));
}

void query_bind_double(struct query *q, double value)
{
	note(q, sqlite3_bind_double(q->stmt, ++q->bound, value));
}

int query_step(struct query *q, bool *ret_row, struct nel_err *err)
{
	struct db *db = q->db;
	if (q->rc != SQLITE_OK)
		return err_set(err, NEL_DB, "database: a value cannot be bound: %s", sqlite3_errstr(q->rc));
	/* A full disk or an I/O error can end the transaction by itself (https://www.sqlite.org/lang_transaction.html,
	 * section 4); what follows must not be committed on its own then. */
	if (db->in_transaction && sqlite3_get_autocommit(db->sqlite))
		return err_set(err, NEL_DB, "database: the transaction was rolled back by an earlier failure");
	int rc = sqlite3_step(q->stmt);
	q->column = 0;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return db_error(db->sqlite, rc, err);
	*ret_row = rc == SQLITE_ROW;
	return 0;
}

bool query_next(struct query *q, struct nel_err *err)
{
	bool row = false;
	q->failed = query_step(q, &row, err) != 0;
	return row;
}

bool query_failed(const struct query *q)
{
	return q->failed;
}

void *rows_make_room(void *items, size_t count, size_t size)
{
	if (count == 0)
		items = mem_realloc(items, ROWS_FIRST, size);
	else if (count >= ROWS_FIRST && (count & (count - 1)) == 0)
		items = mem_realloc(items, 2 * count, size);
	memset((char *)items + count * size, 0, size);
	return items;
}

int query_run(struct query *q, struct nel_err *err)
{
	bool row = false;
	return query_step(q, &row, err);
}

int query_changes(const struct query *q)
{
	return sqlite3_changes(q->db->sqlite);
}

static const char *borrow_text(struct query *q, int column)
{
	const char *text = (const char *)sqlite3_column_text(q->stmt, column);
	if (text == NULL && sqlite3_column_type(q->stmt, column) != SQLITE_NULL)
		abort(); /* no memory left: see base/mem.h */
	return text;
}

char *query_text(struct query *q)
{
	int column = q->column++;
	const char *text = borrow_text(q, column);
	return text == NULL ? NULL : mem_dup(text, (size_t)sqlite3_column_bytes(q->stmt, column));
}

bool query_append(struct query *q, struct str *text)
{
	int column = q->column++;
	const char *part = borrow_text(q, column);
	size_t size = part == NULL ? 0 : (size_t)sqlite3_column_bytes(q->stmt, column);
	str_append_n(text, part, size);
	return size > 0;
}

void query_text_into(struct query *q, char *buf, size_t size)
{
	const char *text = borrow_text(q, q->column++);
	size_t len = text == NULL ? 0 : strnlen(text, size - 1);
	if (len != 0)
		memcpy(buf, text, len);
	buf[len] = '\0';
}

unsigned char *query_blob(struct query *q, size_t *ret_size)
{
	int column = q->column++;
	*ret_size = 0;
	if (sqlite3_column_type(q->stmt, column) == SQLITE_NULL)
		return NULL;
	const void *data = sqlite3_column_blob(q->stmt, column);
	size_t size = (size_t)sqlite3_column_bytes(q->stmt, column);
	if (data == NULL && size != 0)
		abort(); /* no memory left: see base/mem.h */
	*ret_size = size;
	return (unsigned char *)mem_dup(data, size);
}

int64_t query_int(struct query *q)
{
	return sqlite3_column_int64(q->stmt, q->column++);
}

int64_t query_int_or(struct query *q, int64_t null_value)
{
	int column = q->column++;
	return sqlite3_column_type(q->stmt, column) == SQLITE_NULL ? null_value : sqlite3_column_int64(q->stmt, column);
}

double query_double(struct query *q)
{
	int column = q->column++;
	return sqlite3_column_type(q->stmt, column) == SQLITE_NULL ? (double)NAN
								   : sqlite3_column_double(q->stmt, column);
}
