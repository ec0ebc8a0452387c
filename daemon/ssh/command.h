/* Commands that run beside each other on one session: each is started, then read in pieces as they come. What is not
 * read waits on the other side, within the channel's window: that is the back-pressure. One thread, the session's. */
#ifndef NEL_SSH_COMMAND_H
#define NEL_SSH_COMMAND_H

#include "ssh/session.h"

struct ssh_command;

/* Opens a channel, starts the command and sends its input; standard input stays open. Waits for the server, at most ten
 * seconds. -1: BUSY when the server allows no further channel, else as ssh_session_exec(), and the session must be
 * closed. */
int ssh_command_start(struct ssh_session *session, const char *command, const void *input, size_t input_size,
		      struct ssh_command **ret_command, struct nel_err *err);

/* Adds to standard input; bounded by the caller. */
void ssh_command_write(struct ssh_command *command, const char *data, size_t size);

/* Moves input along, and takes what has come of standard output into buffer: *ret_size, 0 when there is nothing now.
 * *ret_ended: the command is over and all of its output was taken. Standard error is dropped. -1: the session is
 * broken. */
int ssh_command_read(struct ssh_command *command, char *buffer, size_t size, size_t *ret_size, bool *ret_ended,
		     struct nel_err *err);

/* Asks for the end of the channel, which ends a command that reads or writes. True once it is gone and freed; until
 * then call it again. */
bool ssh_command_close(struct ssh_command *command);

/* Frees the memory; the channel goes with the session. Before ssh_session_close(). */
void ssh_command_abandon(struct ssh_command *command);

/* Waits at most timeout_ms for input (when want_input), for room to send, or for fd to be readable. -1 (REMOTE): the
 * session is broken, or its stop flag is set. */
int ssh_session_wait(struct ssh_session *session, bool want_input, int fd, int64_t timeout_ms, struct nel_err *err);

#endif
