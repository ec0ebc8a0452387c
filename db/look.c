#include "db/look.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "db/key_rotation.h"
#include "db/migrate.h"
#include "db/statement.h"

#include <string.h>
#include <sys/stat.h>

#define KEY_CHECK_SINCE 6 /* db/migrations/0006_secrets.sql */

/* Of an immutable file SQLite takes no locks, and looks for no log (https://www.sqlite.org/uri.html). */
static int open_immutable(const char *path, sqlite3 **ret_sqlite, struct nel_err *err)
{
	CLEANUP(str_done) struct str uri = {0};
	CLEANUP(migrate_closep) sqlite3 *sqlite = NULL;
	str_append(&uri, "file:");
	for (const char *p = path; *p != '\0'; p++)
		if (strchr("%?#", *p) != NULL)
			str_appendf(&uri, "%%%02X", (unsigned)*p);
		else
			str_append_c(&uri, *p);
	str_append(&uri, "?immutable=1");
	int rc =
	    sqlite3_open_v2(str_text(&uri), &sqlite,
			    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(sqlite, "PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0;", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return db_error(sqlite, rc, err);
	*ret_sqlite = TAKE(sqlite);
	return 0;
}

static int check_version(sqlite3 *sqlite, const char *path, int *ret_version, struct nel_err *err)
{
	CLEANUP(mem_freep) struct migration *list = NULL;
	size_t count = 0;
	if (migrate_version(sqlite, ret_version, err) != 0 || migrate_embedded(&list, &count, err) != 0)
		return -1;
	return migrate_check_newer(path, *ret_version, count, err);
}

/* A store without one takes the key with which the daemon starts. */
static int check_key(sqlite3 *sqlite, const struct secret_key *key, struct nel_err *err)
{
	sqlite3_stmt *stmt = NULL;
	int result = 0;
	int rc = sqlite3_prepare_v2(sqlite, KEY_ROTATION_READ_CHECK, -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		result =
		    key_rotation_try_key(key, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0), err);
	else if (rc != SQLITE_DONE)
		result = db_error(sqlite, rc, err);
	sqlite3_finalize(stmt);
	return result;
}

/* While others write, the file may be seen between two states of it. */
static bool has_log(const char *path)
{
	struct stat st;
	CLEANUP(mem_freep) char *wal = mem_printf("%s-wal", path);
	return stat(wal, &st) == 0 && st.st_size > 0;
}

int db_look(const char *path, const struct secret_key *key, struct nel_err *err)
{
	CLEANUP(migrate_closep) sqlite3 *sqlite = NULL;
	struct nel_err why = {0};
	int version = 0;
	if (open_immutable(path, &sqlite, &why) == 0 && check_version(sqlite, path, &version, &why) == 0 &&
	    (version < KEY_CHECK_SINCE || key == NULL || check_key(sqlite, key, &why) == 0))
		return 0;
	if (why.kind == NEL_DB && has_log(path))
		return 0;
	*err = why;
	return -1;
}
