/* The write-ahead log that is left where a backup takes the place of a database. */
#ifndef NEL_DB_LEFT_LOG_H
#define NEL_DB_LEFT_LOG_H

#include "base/err.h"

/* A backup (db_backup()) is not in WAL mode before it is first used, so a log beside it is that of the database whose
 * place it took: SQLite would write it into the backup, and spoil it (https://www.sqlite.org/howtocorrupt.html,
 * section 1.4). It is renamed. For whoever alone may use the file, before anything else here. */
int left_log_put_aside(const char *path, struct nel_err *err);

#endif
