/* Listening sockets, unix and TCP: those that are made here, and those that the service manager has made. */
#ifndef NEL_API_HTTP_LISTEN_H
#define NEL_API_HTTP_LISTEN_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A unix socket of that mode. A socket file that is left over is replaced; CONFLICT when somebody listens on it or it
 * is another kind of file. */
int listen_unix(const char *path, mode_t mode, int *ret_fd, struct nel_err *err);

/* A TCP socket on a numeric IPv4 or IPv6 address; port 0 lets the kernel choose. *ret_port is the real one. CONFLICT
 * when it is in use. */
int listen_tcp(const char *address, int port, int *ret_fd, int *ret_port, struct nel_err *err);

/* Is fd a stream socket that listens at the unix path, or at the numeric address (any port for 0)? */
bool listen_is_unix(int fd, const char *path);
bool listen_is_tcp(int fd, const char *address, int port);

/* Makes a socket that the service manager handed over fit for use; *ret_port is 0 for a unix socket. */
int listen_adopt(int fd, int *ret_port, struct nel_err *err);

/* The address that fd is bound to, for people: "unix:/run/x", "127.0.0.1:80"; "no socket" when it is none. */
void listen_describe(int fd, char *ret_text, size_t size);

#endif
