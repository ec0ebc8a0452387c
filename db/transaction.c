/* Owns the transactions of a connection (db/db.h): their begin and end, and what goes with a commit: the row of the
 * audit, the number of the store, the word to those who wait for events. */
#include "db/audit.h"
#include "db/db.h"
#include "db/events.h"
#include "db/scope.h"
#include "db/statement.h"

#include <assert.h>
#include <stdatomic.h>

static int begin(struct db *db, const struct statement *statement, struct nel_err *err)
{
	assert(!db->in_transaction);
	CLEANUP(query_done) struct query q = query_start(db, statement);
	if (query_run(&q, err) != 0)
		return -1;
	db->in_transaction = true;
	return 0;
}

static struct statement begin_read = {.sql = "BEGIN DEFERRED"};

int db_begin_read(struct db *db, struct nel_err *err)
{
	return begin(db, &begin_read, err);
}

static struct statement begin_write = {.sql = "BEGIN IMMEDIATE"};

int db_begin(struct db *db, struct nel_err *err)
{
	int moved = 0;
	/* What is written to a file that has no name any more is lost with this process. */
	if (sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved)
		return err_set(
		    err, NEL_DB,
		    "the database's file was moved or deleted while the daemon ran: stop the daemon, put the file "
		    "back, and start it again; nothing is stored until then");
	if (begin(db, &begin_write, err) != 0)
		return -1;
	db->in_write = true;
	return 0;
}

int db_begin_within(struct db *db, int wait_ms, struct nel_err *err)
{
	sqlite3_busy_timeout(db->sqlite, wait_ms);
	int rc = db_begin(db, err);
	sqlite3_busy_timeout(db->sqlite, BUSY_TIMEOUT_MS);
	return rc;
}

static struct statement commit = {.sql = "COMMIT"};

static int run_commit(struct db *db, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &commit);
	return query_run(&q, err);
}

/* Of all connections of the process. */
static _Atomic int64_t written;

int64_t db_revision(void)
{
	return atomic_load(&written);
}

int db_commit(struct db *db, struct nel_err *err)
{
	int result = db->in_write ? audit_store_attached(db, err) : 0;
	if (result == 0)
		result = run_commit(db, err);
	if (result != 0) {
		db_rollback(db);
		return result;
	}
	if (db->in_write) {
		audit_attached_is_stored(db);
		atomic_fetch_add(&written, 1);
	}
	if (db->has_events)
		notifier_notify(events_notifier());
	db->in_transaction = false;
	db->in_write = false;
	db->has_events = false;
	db->data_version = 0;
	return 0;
}

static struct statement rollback = {.sql = "ROLLBACK"};

void db_rollback(struct db *db)
{
	db->in_transaction = false;
	db->in_write = false;
	db->has_events = false;
	db->data_version = 0;
	if (sqlite3_get_autocommit(db->sqlite))
		return; /* nothing is open: never begun, committed, or SQLite rolled back by itself */
	CLEANUP(query_done) struct query q = query_start(db, &rollback);
	query_run(&q, NULL); /* a transaction is gone after this even when it says that it failed */
}

static struct statement read_something = {.sql = "SELECT 1 FROM users LIMIT 1"};

static int run_read(struct db *db, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &read_something);
	return query_run(&q, err);
}

int db_ping(struct db *db, struct nel_err *err)
{
	if (sqlite3_db_readonly(db->sqlite, "main") == 1)
		return err_set(err, NEL_DB, "the database can only be read");
	CLEANUP(scope_end) struct scope scope = {NULL};
	return scope_begin_write(&scope, db, err) != 0 || run_read(db, err) != 0 ? -1 : 0;
}

struct statement *const transaction_statements[] = {&begin_read, &begin_write,    &commit,
						    &rollback,   &read_something, NULL};
