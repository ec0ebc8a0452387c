/* A command whose standard input and output are the connection, as ssh(1)'s ProxyCommand. */
#ifndef NEL_SSH_PROXY_COMMAND_H
#define NEL_SSH_PROXY_COMMAND_H

#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

/* Appends command to *ret_text with %h, %p, %r and %% replaced. INVALID on another %x, and on a host or user with
 * characters that a shell could take for more than a word (nothing is quoted, as in ssh). */
int proxy_command_expand(const char *command, const char *host, int port, const char *user, struct str *ret_text,
			 struct nel_err *err);

/* Starts /bin/sh -c text in a process group of its own. *ret_fd is the connection (non-blocking), *ret_diag_fd what it
 * writes to standard error; the caller closes both, and ends it with child_stop(). */
int proxy_command_start(const char *text, int *ret_fd, int *ret_diag_fd, pid_t *ret_pid, struct nel_err *err);

#endif
