#include "database_lock.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

int database_lock(const char *database, int *ret_fd, struct nel_err *err)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s.lock", database);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int sys = errno;
		close(fd);
		if (sys == EWOULDBLOCK)
			return err_set(err, NEL_CONFLICT, "another nel-slurmd already works on %s", database);
		return err_sys(err, NEL_INTERNAL, sys, "cannot lock %s", path);
	}
	*ret_fd = fd;
	return 0;
}
