/* Files whose names must survive a crash. */
#ifndef NEL_BASE_FILE_H
#define NEL_BASE_FILE_H

#include "base/err.h"

/* Makes what was last done to the name (made, linked, renamed) durable: fsync(2) of its directory. INTERNAL. */
int file_sync_name(const char *path, struct nel_err *err);

#endif
