/* TCP connections by name, within a deadline. */
#ifndef NEL_SSH_DIAL_H
#define NEL_SSH_DIAL_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Connects to the first of the addresses that answers; *ret_fd is a non-blocking, close-on-exec socket. REMOTE when the
 * name cannot be resolved or no address answers by deadline_ms (base/clock, monotonic); sys is ECANCELED when *stop
 * became true (stop may be NULL). */
int dial(const char *address, int port, int64_t deadline_ms, const volatile bool *stop, int *ret_fd,
	 struct nel_err *err);

#endif
