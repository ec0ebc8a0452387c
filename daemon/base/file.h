/* Files: names that must survive a crash, contents of small ones. */
#ifndef NEL_BASE_FILE_H
#define NEL_BASE_FILE_H

#include "base/err.h"

#include <sys/types.h>

/* Makes what was last done to the name (made, linked, renamed) durable: fsync(2) of its directory. INTERNAL. */
int file_sync_name(const char *path, struct nel_err *err);

/* Reads until the end or until buf is full, past short reads and signals. How many bytes; -1 with errno. */
ssize_t file_read(int fd, void *buf, size_t size);

#endif
