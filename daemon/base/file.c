#include "base/file.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int file_sync_name(const char *path, struct nel_err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(mem_freep)
	char *directory = slash == NULL ? mem_strdup(".") : mem_strndup(path, (size_t)(slash - path) + 1);
	CLEANUP(fd_closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return err_sys(err, NEL_INTERNAL, errno, "cannot make the name %s durable", path);
	return 0;
}

ssize_t file_read(int fd, void *buf, size_t size)
{
	size_t got = 0;
	while (got < size) {
		ssize_t n = read(fd, (char *)buf + got, size - got);
		if (n == 0)
			break;
		if (n > 0)
			got += (size_t)n;
		else if (errno != EINTR)
			return -1;
	}
	return (ssize_t)got;
}
