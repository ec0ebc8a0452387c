/* db/db.c and db/migrate.c: migrations, transactions, failures, backup, and what a killed process leaves. */
#include "db/left_log.h"
#include "db_fixture.h"

#include "db/events.h"
#include "db/migrate.h"
#include "db/users.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void execute(struct fixture *f, const char *sql)
{
	sqlite3 *sqlite = NULL;
	assert_ok(f, migrate_connect(f->path, &sqlite, &f->err));
	if (sqlite3_exec(sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(sqlite));
	sqlite3_close(sqlite);
}

static int64_t number_of(struct fixture *f, const char *sql)
{
	sqlite3 *sqlite = NULL;
	assert_ok(f, migrate_connect(f->path, &sqlite, &f->err));
	int64_t number = query_number(sqlite, sql);
	sqlite3_close(sqlite);
	return number;
}

static int add_event(struct db *db, const char *kind, struct nel_err *err)
{
	return events_insert(db, 1, kind, "anna", "0000000000000001", NULL, "{}", err);
}

static void test_db_migrate_no_file_makes_private_wal_database(void **state)
{
	struct fixture *f = *state;
	int from = -1, to = -1;
	assert_ok(f, db_migrate(f->path, &from, &to, &f->err));
	assert_int_equal(from, 0);
	assert_true(to >= 1);
	assert_ok(f, db_open(f->path, &f->db, &f->err));
	assert_ok(f, add_event(f->db, "x", &f->err));
	const char *suffixes[] = {"", "-wal", "-shm"};
	for (size_t i = 0; i < COUNT(suffixes); i++) {
		char path[sizeof f->path + 8];
		struct stat st;
		snprintf(path, sizeof path, "%s%s", f->path, suffixes[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	assert_int_equal(query_number(f->db->sqlite, "PRAGMA user_version"), to);
	assert_int_equal(query_number(f->db->sqlite, "PRAGMA foreign_keys"), 1);
	assert_int_equal(query_number(f->db->sqlite, "PRAGMA synchronous"), 2);
	assert_int_equal(query_number(f->db->sqlite, "PRAGMA trusted_schema"), 0);
}

static void test_db_migrate_twice_changes_nothing(void **state)
{
	struct fixture *f = *state;
	int from = -1, to = -1;
	assert_ok(f, add_event(f->db, "x", &f->err));
	assert_ok(f, db_migrate(f->path, &from, &to, &f->err));
	assert_int_equal(from, to);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM events"), 1);
}

static void test_db_migrate_newer_database_is_refused(void **state)
{
	struct fixture *f = *state;
	struct db *db = NULL;
	execute(f, "PRAGMA user_version = 99");
	assert_refused(f, NEL_CONFLICT, db_migrate(f->path, NULL, NULL, &f->err));
	assert_non_null(strstr(f->err.msg, "version 99"));
	assert_non_null(strstr(f->err.msg, "run the newer program"));
	assert_refused(f, NEL_CONFLICT, db_open(f->path, &db, &f->err));
	assert_non_null(strstr(f->err.msg, "run the newer program"));
}

static void test_db_open_not_migrated_is_refused(void **state)
{
	struct fixture *f = *state;
	struct db *db = NULL;
	assert_refused(f, NEL_NOTFOUND, db_open(f->path, &db, &f->err));
	CLEANUP(fd_closep) int fd = open(f->path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_refused(f, NEL_CONFLICT, db_open(f->path, &db, &f->err));
	assert_non_null(strstr(f->err.msg, "nel-slurmd migrate"));
}

static void test_db_migrate_no_database_file_is_an_error(void **state)
{
	struct fixture *f = *state;
	CLEANUP(file_closep) FILE *file = fopen(f->path, "w");
	assert_non_null(file);
	fputs("This is a letter to a friend, and by no means a database of anything.\n", file);
	for (int i = 0; i < 1000; i++)
		fputc('x', file);
	fflush(file);
	assert_refused(f, NEL_DB, db_migrate(f->path, NULL, NULL, &f->err));
	assert_non_null(strstr(f->err.msg, f->path));
}

static void test_migrate_file_failing_migration_leaves_the_version_before(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name;
		const char *sql;
		enum nel_err_kind kind;
	} cases[] = {
	    {"syntax error at the end", "CREATE TABLE b (x); INSERT INTO a VALUES (2); CREATE TABEL c (x);", NEL_DB},
	    {"constraint", "CREATE TABLE b (x); INSERT INTO a VALUES (1);", NEL_CONFLICT},
	    {"unknown function", "CREATE TABLE b (x); SELECT nothing();", NEL_DB},
	    {"broken reference", "CREATE TABLE b (x REFERENCES a (x)); INSERT INTO b VALUES (7);", NEL_INTERNAL},
	};
	static const struct migration first = {1, "0001_a.sql",
					       "CREATE TABLE a (x PRIMARY KEY); INSERT INTO a VALUES (1);"};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct migration list[] = {first, {2, "0002_b.sql", cases[i].sql}};
		assert_refused(f, cases[i].kind, migrate_file(f->path, list, 2, NULL, NULL, &f->err));
		assert_non_null(strstr(f->err.msg, "0002_b.sql"));
		assert_int_equal(number_of(f, "PRAGMA user_version"), 1);
		assert_int_equal(number_of(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 1);
		assert_int_equal(number_of(f, "SELECT count(*) FROM a"), 1);
	}
	struct migration good[] = {first, {2, "0002_b.sql", "CREATE TABLE b (x); INSERT INTO a VALUES (2);"}};
	int from = -1, to = -1;
	assert_ok(f, migrate_file(f->path, good, 2, &from, &to, &f->err));
	assert_int_equal(from, 1);
	assert_int_equal(to, 2);
	assert_int_equal(number_of(f, "SELECT count(*) FROM a"), 2);
}

static void test_migrate_file_migration_that_commits_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct migration list[] = {{1, "0001_a.sql", "CREATE TABLE a (x); COMMIT;"}};
	assert_refused(f, NEL_INTERNAL, migrate_file(f->path, list, 1, NULL, NULL, &f->err));
	assert_int_equal(number_of(f, "PRAGMA user_version"), 0);
}

static void *migrate_in_thread(void *argument)
{
	struct nel_err *err = mem_calloc(1, sizeof *err);
	db_migrate(argument, NULL, NULL, err);
	return err;
}

static void test_db_migrate_many_at_once_all_succeed(void **state)
{
	struct fixture *f = *state;
	for (int round = 0; round < 10; round++) {
		pthread_t threads[4];
		pid_t child = fork();
		if (child == 0)
			_exit(db_migrate(f->path, NULL, NULL, &f->err) == 0 ? 0 : 1);
		for (size_t i = 0; i < COUNT(threads); i++)
			assert_int_equal(pthread_create(&threads[i], NULL, migrate_in_thread, f->path), 0);
		for (size_t i = 0; i < COUNT(threads); i++) {
			void *result = NULL;
			pthread_join(threads[i], &result);
			struct nel_err err = *(struct nel_err *)result;
			free(result);
			if (err.kind != NEL_OK)
				fail_msg("%s", err.msg);
		}
		int status = -1;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		assert_ok(f, db_open(f->path, &f->db, &f->err));
		assert_integrity(f->db->sqlite);
		db_close(TAKE(f->db));
		unlink(f->path);
	}
}

static void test_db_commit_and_rollback(void **state)
{
	struct fixture *f = *state;
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, add_event(f->db, "kept", &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
	db_rollback(f->db);
	{
		CLEANUP(db_rollbackp) struct db *tx = f->db;
		assert_ok(f, db_begin(tx, &f->err));
		assert_ok(f, add_event(tx, "dropped", &f->err));
	}
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM events"), 1);
	assert_refused(f, NEL_DB, db_commit(f->db, &f->err)); /* nothing is open */
	assert_ok(f, add_event(f->db, "alone", &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM events"), 2);
}

static void test_db_begin_two_connections_writer_and_reader(void **state)
{
	struct fixture *f = *state;
	CLEANUP(db_freep) struct db *other = NULL;
	assert_ok(f, db_open(f->path, &other, &f->err));
	sqlite3_busy_timeout(other->sqlite, 0);
	struct user_row user;

	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	assert_refused(f, NEL_NOTFOUND, users_get(other, "anna", &user, &f->err));
	assert_refused(f, NEL_BUSY, db_begin(other, &f->err));
	assert_refused(f, NEL_BUSY, users_insert(other, "bert", ROLE_USER, 1, &f->err));
	assert_refused(f, NEL_BUSY, db_ping(other, &f->err));
	assert_ok(f, db_begin_read(other, &f->err)); /* a reader does not wait */
	assert_refused(f, NEL_NOTFOUND, users_get(other, "anna", &user, &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
	/* still the instant at which it began */
	assert_refused(f, NEL_NOTFOUND, users_get(other, "anna", &user, &f->err));
	db_rollback(other);
	assert_ok(f, users_get(other, "anna", &user, &f->err));
	assert_ok(f, users_insert(other, "bert", ROLE_USER, 1, &f->err));
	assert_ok(f, db_ping(other, &f->err));
}

static void test_db_data_version_others_change_another_number(void **state)
{
	struct fixture *f = *state;
	CLEANUP(db_freep) struct db *other = NULL;
	assert_ok(f, db_open(f->path, &other, &f->err));
	int64_t before = 0;
	int64_t after = 0;
	assert_ok(f, db_data_version(f->db, &before, &f->err));
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	assert_ok(f, db_data_version(f->db, &after, &f->err));
	assert_int_equal(after, before); /* its own change */
	assert_ok(f, users_insert(other, "bert", ROLE_USER, 1, &f->err));
	assert_ok(f, db_data_version(f->db, &after, &f->err));
	assert_int_not_equal(after, before);
	/* Within a read transaction it stays, as what is read does. */
	struct user_row user;
	assert_ok(f, db_begin_read(f->db, &f->err));
	assert_ok(f, db_data_version(f->db, &before, &f->err));
	assert_ok(f, users_insert(other, "carl", ROLE_USER, 1, &f->err));
	assert_ok(f, db_data_version(f->db, &after, &f->err));
	assert_int_equal(after, before);
	assert_refused(f, NEL_NOTFOUND, users_get(f->db, "carl", &user, &f->err));
	db_rollback(f->db);
	assert_ok(f, db_data_version(f->db, &after, &f->err));
	assert_int_not_equal(after, before);
	/* The next one has another, though nobody asked between the two. */
	assert_ok(f, db_begin_read(f->db, &f->err));
	assert_ok(f, db_data_version(f->db, &before, &f->err));
	db_rollback(f->db);
	assert_ok(f, users_insert(other, "dora", ROLE_USER, 1, &f->err));
	assert_ok(f, db_begin_read(f->db, &f->err));
	assert_ok(f, db_data_version(f->db, &after, &f->err));
	assert_int_not_equal(after, before);
	assert_ok(f, db_commit(f->db, &f->err));
	assert_ok(f, users_insert(other, "emil", ROLE_USER, 1, &f->err));
	assert_ok(f, db_begin_read(f->db, &f->err));
	assert_ok(f, db_data_version(f->db, &before, &f->err));
	assert_int_not_equal(after, before);
	db_rollback(f->db);
}

/* Commits pairs of events until one fails; returns the number of pairs. */
static int fill_up(struct fixture *f, enum nel_err_kind expected_kind)
{
	char data[2000];
	memset(data, 'x', sizeof data - 1);
	data[sizeof data - 1] = '\0';
	for (int pairs = 0; pairs < 10000; pairs++) {
		CLEANUP(db_rollbackp) struct db *tx = f->db;
		struct nel_err err = {0};
		if (db_begin(tx, &err) != 0 || events_insert(tx, 1, "pair", "u", "e", NULL, data, &err) != 0 ||
		    events_insert(tx, 1, "pair", "u", "e", NULL, data, &err) != 0 || db_commit(tx, &err) != 0) {
			if (err.kind != expected_kind)
				fail_msg("%s: %s", err_kind_name(err.kind), err.msg);
			assert_non_null(strstr(err.msg, "full"));
			return pairs;
		}
	}
	fail_msg("it never became full");
	return -1;
}

static void test_db_full_loses_nothing_and_stays_usable(void **state)
{
	struct fixture *f = *state;
	int64_t pages = query_number(f->db->sqlite, "PRAGMA page_count");
	CLEANUP(mem_freep) char *limit = mem_printf("PRAGMA max_page_count = %d", (int)pages + 40);
	query_number(f->db->sqlite, limit);
	int pairs = fill_up(f, NEL_DB);
	assert_true(pairs > 5);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM events"), 2 * pairs);
	assert_int_equal(fill_up(f, NEL_DB), 0); /* still full, and the same answer */
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM events"), 2 * pairs);
	query_number(f->db->sqlite, "PRAGMA max_page_count = 1000000"); /* room again */
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, add_event(f->db, "x", &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM events"), 2 * pairs + 1);
	assert_integrity(f->db->sqlite);
}

static void test_db_commit_after_sqlite_rolled_back_stores_nothing(void **state)
{
	struct fixture *f = *state;
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, add_event(f->db, "first", &f->err));
	/* As SQLite does by itself after some failures. */
	assert_int_equal(sqlite3_exec(f->db->sqlite, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_refused(f, NEL_DB, add_event(f->db, "second", &f->err));
	assert_refused(f, NEL_DB, db_commit(f->db, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM events"), 0);
	assert_ok(f, add_event(f->db, "third", &f->err));
}

static void test_db_commit_that_fails_is_rolled_back(void **state)
{
	struct fixture *f = *state;
	assert_ok(f, db_begin(f->db, &f->err));
	/* A reference that is checked at the commit: the commit fails, and SQLite leaves the transaction open. */
	assert_int_equal(sqlite3_exec(f->db->sqlite, "PRAGMA defer_foreign_keys = ON", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(f->db->sqlite, "INSERT INTO labels VALUES (99, 'k', 'v')", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_refused(f, NEL_DB, db_commit(f->db, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM labels"), 0);
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
}

static void test_events_insert_grows_and_never_reuses_a_number(void **state)
{
	struct fixture *f = *state;
	assert_ok(f, add_event(f->db, "a", &f->err));
	assert_ok(f, events_insert(f->db, 7, "job.state", "anna", "0000000000000001", "0000000000000001.0",
				   "{\"to\":\"running\"}", &f->err));
	assert_int_equal(query_number(f->db->sqlite,
				      "SELECT seq FROM events WHERE job = '0000000000000001.0' AND at = 7"
				      " AND user = 'anna' AND data LIKE '%running%'"),
			 2);
	execute(f, "DELETE FROM events");
	assert_ok(f, add_event(f->db, "b", &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT seq FROM events"), 3);
}

static void test_db_backup_copies_what_is_committed(void **state)
{
	struct fixture *f = *state;
	CLEANUP(db_freep) struct db *writer = NULL;
	char to[sizeof f->directory + 32];
	snprintf(to, sizeof to, "%s/copy", f->directory);
	for (int i = 0; i < 500; i++)
		assert_ok(f, add_event(f->db, "x", &f->err));
	assert_ok(f, db_open(f->path, &writer, &f->err));
	assert_ok(f, db_begin(writer, &f->err));
	assert_ok(f, add_event(writer, "not yet", &f->err));
	assert_ok(f, db_backup(f->db, to, &f->err));
	assert_ok(f, db_commit(writer, &f->err));

	struct stat st;
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	int files = 0;
	DIR *directory = opendir(f->directory);
	assert_non_null(directory);
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
		files += entry->d_name[0] != '.';
	closedir(directory);
	assert_int_equal(files, 4); /* the database, its -wal and -shm, the copy */

	CLEANUP(db_freep) struct db *copy = NULL;
	assert_ok(f, db_open(to, &copy, &f->err));
	assert_int_equal(query_number(copy->sqlite, "SELECT count(*) FROM events"), 500);
	assert_integrity(copy->sqlite);
	assert_refused(f, NEL_CONFLICT, db_backup(f->db, to, &f->err));
	assert_refused(f, NEL_DB, db_backup(f->db, "/nonexistent/directory/copy", &f->err));
}

/* As a package of an older version reads it while a daemon runs, or Litestream has the file open. */
static void test_db_migrate_leaves_its_version_in_the_file_itself(void **state)
{
	struct fixture *f = *state;
	unsigned char version[4] = {0};
	CLEANUP(mem_freep) char *path = mem_printf("%s/other", f->directory);
	sqlite3 *beside = NULL;
	assert_int_equal(sqlite3_open(path, &beside), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(beside, "PRAGMA journal_mode = WAL; CREATE TABLE x (y); SELECT * FROM x", NULL, NULL, NULL),
	    SQLITE_OK);
	int to = 0;
	assert_int_equal(sqlite3_exec(beside, "DROP TABLE x", NULL, NULL, NULL), SQLITE_OK);
	assert_ok(f, db_migrate(path, NULL, &to, &f->err));
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, 60, SEEK_SET), 0);
	assert_int_equal(fread(version, 1, sizeof version, file), sizeof version);
	fclose(file);
	sqlite3_close(beside);
	assert_true(to > 0);
	assert_int_equal(version[2] << 8 | version[3], to);
}

/* The drill with its usual mistake: only the database's file was replaced, and the log of the one before is still
 * there. */
static void test_db_migrate_puts_the_log_of_another_database_aside(void **state)
{
	struct fixture *f = *state;
	CLEANUP(mem_freep) char *copy = mem_printf("%s/copy", f->directory);
	CLEANUP(mem_freep) char *restored = mem_printf("%s/restored", f->directory);
	CLEANUP(mem_freep)
	char *commands =
	    mem_printf("cd '%s' && cp nel.db restored && cp nel.db-wal restored-wal && cp copy restored", f->directory);
	CLEANUP(mem_freep) char *aside = mem_printf("%s-wal-of-the-database-before", restored);
	for (int i = 0; i < 20; i++)
		assert_ok(f, add_event(f->db, "x", &f->err));
	assert_ok(f, db_backup(f->db, copy, &f->err));
	for (int i = 0; i < 200; i++)
		assert_ok(f, add_event(f->db, "later", &f->err));
	assert_string_equal(strrchr(f->path, '/'), "/nel.db");
	assert_int_equal(system(commands), 0);
	assert_ok(f, left_log_put_aside(restored, &f->err));
	assert_ok(f, db_migrate(restored, NULL, NULL, &f->err));
	CLEANUP(db_freep) struct db *db = NULL;
	assert_ok(f, db_open(restored, &db, &f->err));
	assert_int_equal(query_number(db->sqlite, "SELECT count(*) FROM events"), 20);
	assert_integrity(db->sqlite);
	assert_int_equal(access(aside, F_OK), 0);
	/* Once it is in use, its log is its own. */
	assert_ok(f, add_event(db, "y", &f->err));
	assert_ok(f, left_log_put_aside(restored, &f->err));
	CLEANUP(db_freep) struct db *again = NULL;
	assert_ok(f, db_open(restored, &again, &f->err));
	assert_int_equal(query_number(again->sqlite, "SELECT count(*) FROM events"), 21);
}

/* Every statement of the store finds its rows through an index, in their order; but the few whose ids begin alike. */
static void test_statements_none_scans_or_sorts(void **state)
{
	struct fixture *f = *state;
	static const char *const excused[] = {
	    "SCAN jobs USING INDEX jobs_live",                          /* a partial index: the live ones only */
	    "SCAN jobs USING INDEX jobs_attention",                     /* likewise */
	    "SCAN jobs USING COVERING INDEX jobs_attention",            /* as SQLite 3.46 has it */
	    "SCAN users USING COVERING INDEX sqlite_autoindex_users_1", /* one row, for db_ping() */
	    "SCAN events USING INDEX events_cluster",                   /* a partial index: few */
	    "SCAN CONSTANT ROW",                                        /* no table */
	    "SCAN t USING COVERING INDEX evaluation_texts_sealed",      /* a partial index: those that are kept */
	    "SCAN t USING INDEX evaluation_texts_sealed",               /* likewise */
	    "SCAN family",
	    "SCAN made",                                          /* what a recursion has found so far */
	    "SCAN sqlite_sequence",                               /* a row a table */
	    "SCAN evaluation_search VIRTUAL TABLE INDEX 192:M1<", /* what matches, in the order of rowid */
	    "SCAN evaluation_search VIRTUAL TABLE INDEX 0:=",     /* by rowid */
	    "SCAN evaluation_search VIRTUAL TABLE INDEX 192:",    /* downwards by rowid, of which one is read */
	    "SCAN job_search VIRTUAL TABLE INDEX 192:M1<",
	    "SCAN job_search VIRTUAL TABLE INDEX 0:=",
	};
	int checked = 0;
	int by_id = 0;
	for (size_t i = 1; i < f->db->prepared_count; i++) {
		CLEANUP(mem_freep) char *sql = mem_printf("EXPLAIN QUERY PLAN %s", sqlite3_sql(f->db->prepared[i]));
		sqlite3_stmt *stmt = NULL;
		assert_int_equal(sqlite3_prepare_v2(f->db->sqlite, sql, -1, &stmt, NULL), SQLITE_OK);
		while (sqlite3_step(stmt) == SQLITE_ROW) {
			const char *detail = (const char *)sqlite3_column_text(stmt, 3);
			bool fine = strncmp(detail, "SCAN", 4) != 0 && strstr(detail, "TEMP B-TREE") == NULL;
			for (size_t k = 0; k < COUNT(excused); k++)
				fine = fine || strcmp(detail, excused[k]) == 0;
			if (strstr(sql, "id < ?1 || 'g'") != NULL) {
				fine = strcmp(detail, "USE TEMP B-TREE FOR ORDER BY") == 0 ||
				       strstr(detail, "(id>? AND id<?)") != NULL;
				by_id++;
			}
			/* Sums: over counters that the store keeps, and over so many jobs at most. */
			if (strstr(sql, " FROM day_counts WHERE time = ?5") != NULL ||
			    strstr(sql, " INDEXED BY jobs_failed") != NULL)
				fine = fine || strstr(detail, "TEMP B-TREE") != NULL || strcmp(detail, "SCAN f") == 0;
			/* The ledger is summed up by what the request names, over the index of ended_at. */
			if (strstr(sql, " FROM (SELECT 1 FROM usage WHERE ended_at >= ?") != NULL)
				fine = fine || strstr(detail, "subquery") != NULL || strstr(detail, "SUBQUERY") != NULL;
			if (strstr(sql, " WHERE ended_at >= ?7 AND ended_at < ?8 GROUP BY 1") != NULL)
				fine = fine || strstr(detail, "TEMP B-TREE") != NULL;
			/* The newest runs like it, so many at most. */
			if (strstr(sql, "WITH newest AS (SELECT j.seq, j.id FROM jobs j INDEXED BY jobs_succeeded") !=
			    NULL)
				fine = fine || strstr(detail, "TEMP B-TREE") != NULL || strcmp(detail, "SCAN n") == 0 ||
				       strcmp(detail, "SCAN runs") == 0;
			/* So many logs as are kept of a job and a chain. */
			if (strstr(sql, " FROM job_logs INDEXED BY job_logs_of_chain") != NULL)
				fine = fine || strstr(detail, "TEMP B-TREE") != NULL ||
				       strstr(detail, "SCAN (subquery") == detail;
			if (!fine)
				fail_msg("%s\n%s", sql, detail);
			checked++;
		}
		sqlite3_finalize(stmt);
	}
	assert_true(checked > 50);
	assert_int_equal(by_id, 2);
}

#define EVENTS_PER_TRANSACTION 3

/* Commits transactions for ever and writes a byte after each. */
static void commit_for_ever(const char *path, int fd)
{
	struct nel_err err = {0};
	struct db *db = NULL;
	if (db_open(path, &db, &err) != 0)
		_exit(1);
	for (;;) {
		if (db_begin(db, &err) != 0)
			_exit(2);
		for (int i = 0; i < EVENTS_PER_TRANSACTION; i++)
			if (add_event(db, "x", &err) != 0)
				_exit(3);
		if (db_commit(db, &err) != 0 || write(fd, "x", 1) != 1)
			_exit(4);
	}
}

static void test_db_killed_in_the_middle_keeps_whole_transactions(void **state)
{
	struct fixture *f = *state;
	db_close(TAKE(f->db));
	int64_t before = 0;
	for (int round = 0; round < 8; round++) {
		int ends[2];
		assert_int_equal(pipe(ends), 0);
		pid_t child = fork();
		if (child == 0) {
			close(ends[0]);
			commit_for_ever(f->path, ends[1]);
		}
		close(ends[1]);
		int64_t told = 0;
		char byte;
		while (told < 20 + 7 * round && read(ends[0], &byte, 1) == 1)
			told++;
		assert_int_equal(kill(child, SIGKILL), 0);
		while (read(ends[0], &byte, 1) == 1)
			told++;
		close(ends[0]);
		int status = 0;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));

		assert_ok(f, db_open(f->path, &f->db, &f->err));
		assert_integrity(f->db->sqlite);
		int64_t events = query_number(f->db->sqlite, "SELECT count(*) FROM events") - before;
		assert_int_equal(events % EVENTS_PER_TRANSACTION, 0);
		int64_t transactions = events / EVENTS_PER_TRANSACTION;
		assert_true(transactions == told || transactions == told + 1);
		before += events;
		db_close(TAKE(f->db));
	}
}

static void test_migrate_embedded_is_numbered_without_gaps(void **state)
{
	struct fixture *f = *state;
	CLEANUP(mem_freep) struct migration *list = NULL;
	size_t count = 0;
	assert_ok(f, migrate_embedded(&list, &count, &f->err));
	assert_true(count >= 1);
	assert_string_equal(list[0].name, "0001_initial.sql");
	for (size_t i = 0; i < count; i++)
		assert_int_equal(list[i].version, (int)i + 1);
}

/* 0025 and 0026 fill what they add from the rows that a store of version 24 has. */
static void test_migrations_0025_and_0026_fill_from_the_rows_that_there_are(void **state)
{
	struct fixture *f = *state;
	CLEANUP(mem_freep) struct migration *list = NULL;
	size_t count = 0;
	assert_ok(f, migrate_embedded(&list, &count, &f->err));
	assert_ok(f, migrate_file(f->path, list, 24, NULL, NULL, &f->err));
	/* Three evaluations of a job each: one that has ended and says all, one that says nothing, one without JSON. */
	execute(f,
		"WITH e(seq, state, ended) AS (VALUES (1, 'succeeded', 2 * 86400 + 5), (2, 'queued', NULL), "
		"(3, 'queued', NULL)) "
		"INSERT INTO evaluations (seq, id, user, cluster, identity, state, model, rundir, submitted_type, "
		"config_hash, created_at, created_high, updated_at, ended_at, overrides, warnings) "
		"SELECT seq, printf('%016x', seq), 'anna', 'alpha', 'svc', state, 'm', '/r', 'application/yaml', 'c', "
		"86400 + seq, 86400 + seq, 86400 + seq, ended, '[]', '[]' FROM e;"
		"INSERT INTO evaluation_texts (evaluation, submitted_text, resolved) VALUES "
		"(1, '', '{\"execution\": {\"partition\": \"gpu\", \"account\": \"llm\"}}'), "
		"(2, '', '{\"execution\": {\"partition\": 7}}'), (3, '', '{');"
		"INSERT INTO jobs (seq, id, evaluation_seq, evaluation, idx, user, cluster, identity, task, model, "
		"job_dir, state, walltime_s, resume_mode, resume_on, attempt, created_at, updated_at, ended_at) "
		"SELECT seq, id || '.0', seq, id, 0, user, cluster, identity, 't', model, '/r/0', state, 60, 'daemon', "
		"'', CASE seq WHEN 1 THEN 2 ELSE 0 END, created_at, updated_at, ended_at FROM evaluations;"
		"INSERT INTO script_bodies (hash, text) VALUES ('h', '');"
		"INSERT INTO attempts (job, number, job_name, script_header, script_body, time_limit_s, intended_at, "
		"gpus) VALUES (1, 1, 'n1', '', 'h', 60, 1, 4), (1, 2, 'n2', '', 'h', 60, 1, 8)");
	assert_ok(f, db_migrate(f->path, NULL, NULL, &f->err));
	assert_int_equal(number_of(f, "SELECT count(*) FROM jobs WHERE seq = 1 AND partition = 'gpu' AND "
				      "account = 'llm' AND gpus = 8"),
			 1);
	assert_int_equal(number_of(f, "SELECT count(*) FROM jobs WHERE seq > 1 AND partition IS NULL AND "
				      "account IS NULL AND gpus IS NULL"),
			 2);
	assert_int_equal(number_of(f, "SELECT count(*) FROM day_counts"), 3);
	assert_int_equal(number_of(f, "SELECT count(*) FROM day_counts WHERE cluster = 'alpha' AND user = 'anna' AND "
				      "(time, day, state, evaluations, jobs) IN (VALUES "
				      "('created', 1, 'succeeded', 1, 1), ('created', 1, 'queued', 2, 2), "
				      "('ended', 2, 'succeeded', 1, 1))"),
			 3);
	/* What is counted from now on goes on from there. */
	execute(f, "DELETE FROM jobs WHERE seq = 2");
	assert_int_equal(number_of(f, "SELECT jobs FROM day_counts WHERE state = 'queued'"), 1);
}

#define EMPTY(test) cmocka_unit_test_setup_teardown(test, fixture_setup_empty, fixture_teardown)
#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    EMPTY(test_db_migrate_no_file_makes_private_wal_database),
	    READY(test_db_migrate_twice_changes_nothing),
	    READY(test_db_migrate_newer_database_is_refused),
	    EMPTY(test_db_open_not_migrated_is_refused),
	    EMPTY(test_db_migrate_no_database_file_is_an_error),
	    EMPTY(test_migrate_file_failing_migration_leaves_the_version_before),
	    EMPTY(test_migrate_file_migration_that_commits_is_an_error),
	    EMPTY(test_migrate_embedded_is_numbered_without_gaps),
	    EMPTY(test_migrations_0025_and_0026_fill_from_the_rows_that_there_are),
	    EMPTY(test_db_migrate_many_at_once_all_succeed),
	    READY(test_db_commit_and_rollback),
	    READY(test_db_data_version_others_change_another_number),
	    READY(test_db_begin_two_connections_writer_and_reader),
	    READY(test_db_full_loses_nothing_and_stays_usable),
	    READY(test_db_commit_after_sqlite_rolled_back_stores_nothing),
	    READY(test_db_commit_that_fails_is_rolled_back),
	    READY(test_events_insert_grows_and_never_reuses_a_number),
	    READY(test_db_backup_copies_what_is_committed),
	    READY(test_db_migrate_leaves_its_version_in_the_file_itself),
	    READY(test_db_migrate_puts_the_log_of_another_database_aside),
	    READY(test_statements_none_scans_or_sorts),
	    READY(test_db_killed_in_the_middle_keeps_whole_transactions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
