/* Owns the version of a database file, and how a connection to it is set up. */
#include "db/migrate.h"

#include "base/embed.h"
#include "base/mem.h"
#include "base/str.h"
#include "db/new_file.h"
#include "db/statement.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>

#define MIGRATIONS_PREFIX "db/migrations/"
#define WAL_RETRY_MS 10

static void configure_library(void)
{
	/* Memory statistics cost a lock around every allocation, shared by all threads. Too late is no harm. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int migrate_connect(const char *path, sqlite3 **ret_sqlite, struct nel_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, configure_library);
	if (access(path, F_OK) != 0)
		return err_sys(err, errno == ENOENT ? NEL_NOTFOUND : NEL_DB, errno, "no database %s", path);
	CLEANUP(migrate_closep) sqlite3 *sqlite = NULL;
	int rc =
	    sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(sqlite, BUSY_TIMEOUT_MS);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc == SQLITE_OK)
		/* No mmap: its pages count as resident memory, and a read error would be a SIGBUS. The journal's limit
		 * gives space back after a burst. */
		rc = sqlite3_exec(
		    sqlite,
		    "PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
		    "PRAGMA mmap_size = 0; PRAGMA cache_size = -4096; PRAGMA journal_size_limit = 67108864;",
		    NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		db_error(sqlite, rc, err);
		return err_prefix(err, "cannot open %s", path);
	}
	*ret_sqlite = TAKE(sqlite);
	return 0;
}

int migrate_version(sqlite3 *sqlite, int *ret_version, struct nel_err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(sqlite, "PRAGMA user_version", -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_version = sqlite3_column_int(stmt, 0);
	else
		db_error(sqlite, rc, err);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : -1;
}

int migrate_embedded(struct migration **ret_list, size_t *ret_count, struct nel_err *err)
{
	size_t file_count = 0;
	const struct embed_file *files = embed_files(&file_count);
	CLEANUP(mem_freep) struct migration *list = mem_calloc(file_count, sizeof *list);
	size_t count = 0;
	for (size_t i = 0; i < file_count; i++) { /* sorted by path, so by number */
		if (!str_starts_with(files[i].path, MIGRATIONS_PREFIX))
			continue;
		const char *name = files[i].path + sizeof MIGRATIONS_PREFIX - 1;
		int version = 0;
		for (int digit = 0; digit < 4 && isdigit((unsigned char)name[digit]); digit++)
			version = version * 10 + (name[digit] - '0');
		if (version != (int)count + 1)
			return err_set(err, NEL_INTERNAL, "migration %s should have the number %04zu", name, count + 1);
		list[count++] = (struct migration){version, name, files[i].data};
	}
	*ret_list = TAKE(list);
	*ret_count = count;
	return 0;
}

static int make_file(const char *path, struct nel_err *err)
{
	if (access(path, F_OK) == 0)
		return 0;
	CLEANUP(new_file_discard) char *temporary = NULL;
	if (new_file_make(path, &temporary, err) != 0)
		return -1;
	struct nel_err publish_err = {0};
	if (new_file_publish(temporary, path, &publish_err) == 0 || publish_err.kind == NEL_CONFLICT)
		return 0; /* CONFLICT: another process was faster */
	*err = publish_err;
	return -1;
}

static int use_wal(sqlite3 *sqlite, struct nel_err *err)
{
	int rc = SQLITE_BUSY;
	/* The change needs the file alone, and SQLite does not always wait for that by itself. */
	for (int waited_ms = 0; waited_ms <= BUSY_TIMEOUT_MS; waited_ms += WAL_RETRY_MS) {
		rc = sqlite3_exec(sqlite, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
		if ((rc & 0xff) != SQLITE_BUSY)
			break;
		sqlite3_sleep(WAL_RETRY_MS);
	}
	return rc == SQLITE_OK ? 0 : db_error(sqlite, rc, err);
}

static int count_rows(void *count, int columns, char **values, char **names)
{
	(void)columns;
	(void)values;
	(void)names;
	(*(int *)count)++;
	return 0;
}

/* Within a transaction, which the caller ends. */
static int apply(sqlite3 *sqlite, const struct migration *migration, struct nel_err *err)
{
	int version = 0;
	if (migrate_version(sqlite, &version, err) != 0)
		return -1;
	if (version >= migration->version)
		return 0; /* another process was faster */
	int rc = sqlite3_exec(sqlite, migration->sql, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return db_error(sqlite, rc, err);
	if (sqlite3_get_autocommit(sqlite))
		return err_set(err, NEL_INTERNAL, "it ends its transaction itself");
	int broken = 0;
	rc = sqlite3_exec(sqlite, "PRAGMA foreign_key_check", count_rows, &broken, NULL);
	if (rc != SQLITE_OK)
		return db_error(sqlite, rc, err);
	if (broken != 0)
		return err_set(err, NEL_INTERNAL, "%d rows would refer to missing ones", broken);
	CLEANUP(mem_freep) char *set_version = mem_printf("PRAGMA user_version = %d", migration->version);
	rc = sqlite3_exec(sqlite, set_version, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : db_error(sqlite, rc, err);
}

static int apply_in_transaction(sqlite3 *sqlite, const struct migration *migration, struct nel_err *err)
{
	int rc = sqlite3_exec(sqlite, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return db_error(sqlite, rc, err);
	int result = apply(sqlite, migration, err);
	if (result == 0) {
		rc = sqlite3_exec(sqlite, "COMMIT", NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			result = db_error(sqlite, rc, err);
	}
	if (!sqlite3_get_autocommit(sqlite))
		sqlite3_exec(sqlite, "ROLLBACK", NULL, NULL, NULL);
	return result;
}

int migrate_check_newer(const char *path, int version, size_t newest, struct nel_err *err)
{
	if (version <= (int)newest)
		return 0;
	return err_set(err, NEL_CONFLICT,
		       "database %s has version %d, and this program knows versions up to %zu: run the newer program, "
		       "or restore the backup made before the upgrade",
		       path, version, newest);
}

int migrate_file(const char *path, const struct migration *list, size_t count, int *ret_from, int *ret_to,
		 struct nel_err *err)
{
	CLEANUP(migrate_closep) sqlite3 *sqlite = NULL;
	int from = 0;
	if (make_file(path, err) != 0 || migrate_connect(path, &sqlite, err) != 0)
		return -1;
	if (migrate_version(sqlite, &from, err) != 0)
		return err_prefix(err, "%s", path);
	if (migrate_check_newer(path, from, count, err) != 0)
		return -1;
	if (use_wal(sqlite, err) != 0)
		return err_prefix(err, "%s", path);
	for (size_t i = (size_t)from; i < count; i++)
		if (apply_in_transaction(sqlite, &list[i], err) != 0)
			return err_prefix(err, "%s: migration %s was not applied", path, list[i].name);
	/* Packages read the version from the file itself (systemd/deb/preinst.in), whoever else has it open. */
	sqlite3_exec(sqlite, "PRAGMA wal_checkpoint", NULL, NULL, NULL);
	if (ret_from != NULL)
		*ret_from = from;
	if (ret_to != NULL)
		*ret_to = (int)count;
	return 0;
}
