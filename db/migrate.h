/* Internal to db/: bringing a database file to a version. Numbered, append-only SQL texts, each applied in a
 * transaction of its own; SQLite's user_version is the number of the last one. */
#ifndef NEL_DB_MIGRATE_H
#define NEL_DB_MIGRATE_H

#include "base/err.h"

#include <sqlite3.h>
#include <stddef.h>

struct migration {
	int version;      /* 1, 2, 3, ... without a gap */
	const char *name; /* of its file */
	const char *sql;
};

/* The migrations that the program carries (db/migrations/NNNN_name.sql), by version; *ret_list is free()d by the
 * caller. INTERNAL when their numbers have a gap. */
int migrate_embedded(struct migration **ret_list, size_t *ret_count, struct nel_err *err);

/* Makes the file if need be and applies the migrations that it lacks. What was applied before a failure stays. Any
 * number of processes and threads may do this at once. CONFLICT when the database is newer than the last migration. */
int migrate_file(const char *path, const struct migration *list, size_t count, int *ret_from, int *ret_to,
		 struct nel_err *err);

/* Opens an existing file for one thread, with what every connection needs set. *ret_sqlite is closed by the caller. */
int migrate_connect(const char *path, sqlite3 **ret_sqlite, struct nel_err *err);

int migrate_version(sqlite3 *sqlite, int *ret_version, struct nel_err *err);

/* CONFLICT when the version of the database is above `newest`, the program's. */
int migrate_check_newer(const char *path, int version, size_t newest, struct nel_err *err);

static inline void migrate_closep(sqlite3 **sqlite)
{
	sqlite3_close(*sqlite);
}

#endif
