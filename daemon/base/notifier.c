/* Owns who hears a bell. */
#include "base/notifier.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int bell_listen(struct bell *bell, int *ret_fd, struct nel_err *err)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, NEL_INTERNAL, errno, "eventfd");
	pthread_mutex_lock(&bell->lock);
	size_t i = 0;
	while (i < BELL_EARS_MAX && bell->ears[i] != 0)
		i++;
	if (i < BELL_EARS_MAX)
		bell->ears[i] = fd + 1;
	pthread_mutex_unlock(&bell->lock);
	if (i == BELL_EARS_MAX) {
		close(fd);
		return err_set(err, NEL_BUSY, "more than %d threads listen to one bell", BELL_EARS_MAX);
	}
	*ret_fd = fd;
	return 0;
}

void bell_leave(struct bell *bell, int fd)
{
	if (fd < 0)
		return;
	pthread_mutex_lock(&bell->lock);
	for (size_t i = 0; i < BELL_EARS_MAX; i++)
		if (bell->ears[i] == fd + 1)
			bell->ears[i] = 0;
	pthread_mutex_unlock(&bell->lock);
	close(fd);
}

void bell_ring(struct bell *bell)
{
	const uint64_t one = 1;
	pthread_mutex_lock(&bell->lock);
	for (size_t i = 0; i < BELL_EARS_MAX; i++) {
		/* A counter that is full is readable already. */
		if (bell->ears[i] != 0 && write(bell->ears[i] - 1, &one, sizeof one) < 0)
			continue;
	}
	pthread_mutex_unlock(&bell->lock);
}

void bell_heard(int fd)
{
	uint64_t rings = 0;
	/* EAGAIN: somebody else took them, or there were none. */
	if (read(fd, &rings, sizeof rings) < 0)
		return;
}
