/* Owns who is told by a notifier. */
#include "base/notifier.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int notifier_listen(struct notifier *notifier, int *ret_fd, struct nel_err *err)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, NEL_INTERNAL, errno, "eventfd");
	pthread_mutex_lock(&notifier->lock);
	size_t i = 0;
	while (i < NOTIFIER_LISTENERS_MAX && notifier->listeners[i] != 0)
		i++;
	if (i < NOTIFIER_LISTENERS_MAX)
		notifier->listeners[i] = fd + 1;
	pthread_mutex_unlock(&notifier->lock);
	if (i == NOTIFIER_LISTENERS_MAX) {
		close(fd);
		return err_set(err, NEL_BUSY, "more than %d threads listen to one notifier", NOTIFIER_LISTENERS_MAX);
	}
	*ret_fd = fd;
	return 0;
}

void notifier_leave(struct notifier *notifier, int fd)
{
	if (fd < 0)
		return;
	pthread_mutex_lock(&notifier->lock);
	for (size_t i = 0; i < NOTIFIER_LISTENERS_MAX; i++)
		if (notifier->listeners[i] == fd + 1)
			notifier->listeners[i] = 0;
	pthread_mutex_unlock(&notifier->lock);
	close(fd);
}

void notifier_notify(struct notifier *notifier)
{
	const uint64_t one = 1;
	pthread_mutex_lock(&notifier->lock);
	for (size_t i = 0; i < NOTIFIER_LISTENERS_MAX; i++) {
		/* A counter that is full is readable already. */
		if (notifier->listeners[i] != 0 && write(notifier->listeners[i] - 1, &one, sizeof one) < 0)
			continue;
	}
	pthread_mutex_unlock(&notifier->lock);
}

void notifier_drain(int fd)
{
	uint64_t rings = 0;
	/* EAGAIN: somebody else took them, or there were none. */
	if (read(fd, &rings, sizeof rings) < 0)
		return;
}
