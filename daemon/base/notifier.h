/* A bell: whoever changed something rings it, and threads that wait for descriptors hear it. Rings that come close
 * together are heard as one. Thread-safe. */
#ifndef NEL_BASE_NOTIFIER_H
#define NEL_BASE_NOTIFIER_H

#include "base/err.h"

#include <pthread.h>

#define BELL_EARS_MAX 8

/* Static, with BELL_INITIALIZER. */
struct bell {
	pthread_mutex_t lock;
	int ears[BELL_EARS_MAX]; /* descriptors + 1; 0: free */
};

/* clang-format off */
#define BELL_INITIALIZER {.lock = PTHREAD_MUTEX_INITIALIZER}
/* clang-format on */

/* *ret_fd becomes readable when the bell rings, from now on (eventfd(2)). BUSY: too many listen. */
int bell_listen(struct bell *bell, int *ret_fd, struct nel_err *err);
/* Closes the descriptor. Accepts -1. */
void bell_leave(struct bell *bell, int fd);

/* Never blocks. */
void bell_ring(struct bell *bell);

/* Makes the descriptor unreadable until the next ring. */
void bell_heard(int fd);

#endif
