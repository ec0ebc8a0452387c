/* Owns a connection: its prepared statements, its transactions, the backup through it. */
#include "db/db.h"

#include "base/mem.h"
#include "db/events.h"
#include "db/migrate.h"
#include "db/new_file.h"
#include "db/statement.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

/* One a line. */
/* clang-format off */
struct statement *const *const statement_lists[] = {
	db_statements,
	users_statements,
	tokens_statements,
	secrets_statements,
	key_rotation_statements,
	audit_statements,
	idempotency_statements,
	evaluations_statements,
	jobs_statements,
	jobs_live_statements,
	attempts_statements,
	events_statements,
	results_statements,
	likenesses_statements,
	failures_statements,
	job_logs_statements,
	revisions_statements,
	identities_statements,
	webhooks_statements,
	totals_statements,
	output_dirs_statements,
	NULL,
};
/* clang-format on */

static size_t slot_count = 1; /* slot 0 is that of a statement which no list has */

static void number_statements(void)
{
	for (size_t i = 0; statement_lists[i] != NULL; i++)
		for (size_t k = 0; statement_lists[i][k] != NULL; k++)
			statement_lists[i][k]->slot = slot_count++;
}

static int prepare_all(struct db *db, struct nel_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, number_statements);
	db->prepared = mem_calloc(slot_count, sizeof(sqlite3_stmt *));
	db->prepared_count = slot_count;
	for (size_t i = 0; statement_lists[i] != NULL; i++) {
		for (size_t k = 0; statement_lists[i][k] != NULL; k++) {
			const struct statement *statement = statement_lists[i][k];
			int rc = sqlite3_prepare_v3(db->sqlite, statement->sql, -1, SQLITE_PREPARE_PERSISTENT,
						    &db->prepared[statement->slot], NULL);
			if (rc != SQLITE_OK)
				return db_error(db->sqlite, rc, err);
		}
	}
	return 0;
}

int db_migrate(const char *path, int *ret_from, int *ret_to, struct nel_err *err)
{
	CLEANUP(mem_freep) struct migration *list = NULL;
	size_t count = 0;
	if (migrate_embedded(&list, &count, err) != 0)
		return -1;
	return migrate_file(path, list, count, ret_from, ret_to, err);
}

static int check_version(sqlite3 *sqlite, struct nel_err *err)
{
	CLEANUP(mem_freep) struct migration *list = NULL;
	size_t count = 0;
	int version = 0;
	if (migrate_embedded(&list, &count, err) != 0 || migrate_version(sqlite, &version, err) != 0)
		return -1;
	if (version == (int)count)
		return 0;
	return err_set(err, NEL_CONFLICT, "it has version %d, and this program needs version %zu: %s", version, count,
		       version < (int)count ? "nel-slurmd migrate brings it there" : "run the newer program");
}

int db_open(const char *path, struct db **ret_db, struct nel_err *err)
{
	CLEANUP(db_freep) struct db *db = mem_calloc(1, sizeof *db);
	if (migrate_connect(path, &db->sqlite, err) != 0)
		return -1;
	int rc = sqlite3_exec(db->sqlite, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return db_error(db->sqlite, rc, err);
	if (check_version(db->sqlite, err) != 0 || prepare_all(db, err) != 0)
		return err_prefix(err, "database %s", path);
	*ret_db = TAKE(db);
	return 0;
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < db->prepared_count; i++)
		sqlite3_finalize(db->prepared[i]);
	free(db->prepared);
	free(db->tokens);
	sqlite3_close(db->sqlite); /* rolls back what is open */
	free(db);
}

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

static struct statement data_version = {.sql = "PRAGMA data_version"};

int db_data_version(struct db *db, int64_t *ret_version, struct nel_err *err)
{
	bool row = false;
	CLEANUP(query_done) struct query q = query_start(db, &data_version);
	if (query_step(&q, &row, err) != 0)
		return -1;
	*ret_version = query_int(&q);
	return 0;
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
	db->audit.stored = db->audit.stored || (db->in_write && db->audit.entry != NULL);
	if (db->in_write)
		atomic_fetch_add(&written, 1);
	if (db->has_events)
		notifier_notify(events_notifier());
	db->in_transaction = false;
	db->in_write = false;
	db->has_events = false;
	return 0;
}

static struct statement rollback = {.sql = "ROLLBACK"};

void db_rollback(struct db *db)
{
	db->in_transaction = false;
	db->in_write = false;
	db->has_events = false;
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

static int copy(sqlite3 *from, sqlite3 *to, struct nel_err *err)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	if (backup == NULL)
		return db_error(to, sqlite3_extended_errcode(to), err);
	/* All pages in one step: one snapshot, which in WAL mode stops no writer, and no restart when somebody writes.
	 */
	int step = sqlite3_backup_step(backup, -1);
	int rc = sqlite3_backup_finish(backup);
	return step == SQLITE_DONE && rc == SQLITE_OK ? 0 : db_error(to, rc == SQLITE_OK ? step : rc, err);
}

int db_backup(struct db *db, const char *to_path, struct nel_err *err)
{
	if (access(to_path, F_OK) == 0)
		return err_set(err, NEL_CONFLICT, "%s exists already", to_path);
	CLEANUP(new_file_discard) char *temporary = NULL;
	if (new_file_make(to_path, &temporary, err) != 0)
		return -1;
	sqlite3 *to = NULL;
	if (migrate_connect(temporary, &to, err) != 0)
		return -1;
	int result = copy(db->sqlite, to, err);
	int rc = sqlite3_close(to);
	if (result == 0 && rc != SQLITE_OK)
		result = db_error(NULL, rc, err);
	if (result != 0)
		return err_prefix(err, "cannot back up to %s", to_path);
	return new_file_publish(temporary, to_path, err);
}

int db_scrub(struct db *db, struct nel_err *err)
{
	int rc = sqlite3_exec(db->sqlite, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE);", NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : db_error(db->sqlite, rc, err);
}

struct statement *const db_statements[] = {&begin_read,     &begin_write,  &commit, &rollback,
					   &read_something, &data_version, NULL};
