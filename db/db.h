/* A connection to the store (SQLite): opening, migrations, transactions. One connection belongs to one thread. SQL
 * stands only under db/: each table's file has its statements, prepared when the connection is opened, and a function
 * for each. */
#ifndef NEL_DB_DB_H
#define NEL_DB_DB_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct db;

/* No list answers more rows than this, whatever limit it is given. */
#define DB_LIST_MAX 1000
/* A page of a list: numbers of its rows, and the position behind each, with which the list goes on. */
struct seq_list {
	int64_t seqs[DB_LIST_MAX];
	int64_t positions[DB_LIST_MAX];
	size_t count;
	/* Where it goes on though there are fewer than asked for: looking on would take too long; 0: else. */
	int64_t next;
};

enum list_sort {
	LIST_NEWEST, /* first */
	LIST_OLDEST, /* first */
	LIST_CHANGED /* last come first */
};

#define DB_TOTAL_MAX 10000        /* up to so many a list says how many it has */
#define DB_TOTAL_LEAPS_MAX 100000 /* and looks at rows so often for that (db/postings.h): a fifth of a second */

/* Makes the file (0600) if need be and brings it to the newest version; each migration is one transaction. CONFLICT
 * when the database is newer than the program. *ret_from and *ret_to (may be NULL) are the versions before and after.
 */
int db_migrate(const char *path, int *ret_from, int *ret_to, struct nel_err *err);

/* Opens a migrated database (WAL, foreign keys, synchronous=FULL, busy time-out 10 s) and prepares every statement.
 * NOTFOUND when there is no file, CONFLICT when its version is not the program's. */
int db_open(const char *path, struct db **ret_db, struct nel_err *err);
void db_close(struct db *db); /* accepts NULL */
DEFINE_FREEP(struct db, db, db_close)

/* What is read between this and db_commit() or db_rollback() is the store at one instant. Writes nothing and waits for
 * no writer. Not nested. */
int db_begin_read(struct db *db, struct nel_err *err);

/* A number that is another one once any other connection has changed the store; this one's own changes leave it as it
 * is (https://www.sqlite.org/pragma.html#pragma_data_version). Within a read transaction it goes with what is read. */
int db_data_version(struct db *db, int64_t *ret_version, struct nel_err *err);

/* Another number than before: a transaction of this process has written since. What is read in a transaction begun
 * after this is at least as new as the number. Any thread. */
int64_t db_revision(void);

/* BEGIN IMMEDIATE ... COMMIT. BUSY when another connection writes for longer than the busy time-out. A failed commit is
 * rolled back. Not nested. */
int db_begin(struct db *db, struct nel_err *err);
int db_begin_within(struct db *db, int wait_ms, struct nel_err *err); /* BUSY after that long */
int db_commit(struct db *db, struct nel_err *err);
void db_rollback(struct db *db); /* nothing when no transaction is open */

/* CLEANUP(db_rollbackp) struct db *tx = db; rolls back at scope end unless db_commit() went well (then nothing is
 * open). */
static inline void db_rollbackp(struct db **db)
{
	if (*db != NULL)
		db_rollback(*db);
}

/* Is the store readable, and can the write lock be had? */
int db_ping(struct db *db, struct nel_err *err);

/* Writes the whole file anew, so that nothing of what was deleted or replaced is left in it. For a store that nobody
 * else has open; needs as much disk space again. */
int db_scrub(struct db *db, struct nel_err *err);

/* A consistent copy of the live database into a new file (0600; SQLite's online backup; writers go on meanwhile). The
 * file appears under its name when it is complete. CONFLICT when it exists. */
int db_backup(struct db *db, const char *to_path, struct nel_err *err);

#endif
