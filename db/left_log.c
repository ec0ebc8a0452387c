#include "db/left_log.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* https://www.sqlite.org/fileformat.html, section 1.3 */
#define HEADER_SIZE 100
#define READ_VERSION_AT 19
#define READ_VERSION_ROLLBACK 1
#define USER_VERSION_AT 63 /* its last byte */

int left_log_put_aside(const char *path, struct nel_err *err)
{
	unsigned char head[HEADER_SIZE] = {0};
	struct stat st;
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(mem_freep) char *wal = mem_printf("%s-wal", path);
	CLEANUP(mem_freep) char *shm = mem_printf("%s-shm", path);
	bool in_use = fd < 0 || pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
		      head[READ_VERSION_AT] != READ_VERSION_ROLLBACK || head[USER_VERSION_AT] == 0;
	if (in_use || stat(wal, &st) != 0)
		return 0;
	CLEANUP(mem_freep) char *aside = mem_printf("%s-of-the-database-before", wal);
	if (rename(wal, aside) != 0)
		return err_sys(err, NEL_DB, errno,
			       "%s is of the database that this one took the place of: move it away", wal);
	unlink(shm);
	return 0;
}
