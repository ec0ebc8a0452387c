/* Whoever changed something notifies, and threads that wait for descriptors are told. Notifications that come close
 * together are one. Thread-safe. */
#ifndef NEL_BASE_NOTIFIER_H
#define NEL_BASE_NOTIFIER_H

#include "base/err.h"

#include <pthread.h>

#define NOTIFIER_LISTENERS_MAX 8

/* Static, with NOTIFIER_INITIALIZER. */
struct notifier {
	pthread_mutex_t lock;
	int listeners[NOTIFIER_LISTENERS_MAX]; /* descriptors + 1; 0: free */
};

/* clang-format off */
#define NOTIFIER_INITIALIZER {.lock = PTHREAD_MUTEX_INITIALIZER}
/* clang-format on */

/* *ret_fd becomes readable at each notification from now on (eventfd(2)). BUSY: too many listen. */
int notifier_listen(struct notifier *notifier, int *ret_fd, struct nel_err *err);
/* Closes the descriptor. Accepts -1. */
void notifier_leave(struct notifier *notifier, int fd);

/* Never blocks. */
void notifier_notify(struct notifier *notifier);

/* Makes the descriptor unreadable until the next notification. */
void notifier_drain(int fd);

#endif
