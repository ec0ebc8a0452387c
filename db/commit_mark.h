/* Internal to db/: whether anybody, of this process or another, has committed to a database since, without a statement.
 * In WAL mode each commit changes the header of the WAL index, which is in shared memory, in a format that all versions
 * of SQLite that may use a database at the same time agree on (https://www.sqlite.org/walformat.html, 2.1).
 *
 * What it saves: PRAGMA data_version, for the token and again for the cached reply of each GET, each with a lock on the
 * file taken and given back. Of one evaluation that is cached, a GET cost 8.6 us of CPU with the mark, 11.9 us without.
 */
#ifndef NEL_DB_COMMIT_MARK_H
#define NEL_DB_COMMIT_MARK_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define COMMIT_MARK_WORDS 12 /* WalIndexHdr: 48 bytes */

struct commit_mark {
	uint32_t words[COMMIT_MARK_WORDS]; /* the first is the format's version; 0: not known */
};

/* Of the newest commit. Not known where there is no WAL, where its format is another one, or while one is being made.
 * *index is the connection's own, NULL at first: then where it has the index mapped. SQLite unmaps it when the last
 * connection of the process to the file is closed or leaves WAL mode (os_unix.c, unixShmPurge()), and keeps the same
 * pointer itself (wal.c, apWiData). No connection of a struct db leaves WAL mode. */
struct commit_mark commit_mark_read(sqlite3 *sqlite, const volatile uint32_t **index);

/* Both known, and of the same commit. */
bool commit_mark_equal(const struct commit_mark *a, const struct commit_mark *b);

#endif
