/* Listening sockets: unix and TCP. */
#ifndef NEL_API_HTTP_LISTEN_H
#define NEL_API_HTTP_LISTEN_H

#include "base/err.h"

#include <sys/types.h>

/* A unix socket of that mode. A socket file that is left over is replaced; CONFLICT when somebody listens on it or it
 * is another kind of file. */
int listen_unix(const char *path, mode_t mode, int *ret_fd, struct nel_err *err);

/* A TCP socket on a numeric IPv4 or IPv6 address; port 0 lets the kernel choose. *ret_port is the real one. CONFLICT
 * when it is in use. */
int listen_tcp(const char *address, int port, int *ret_fd, int *ret_port, struct nel_err *err);

#endif
