/* Owns the channels of commands that share a session. */
#include "ssh/command.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ssh/session_internal.h"

#include <stdlib.h>
#include <string.h>

#define START_TIMEOUT_MS 10000
#define WAIT_LIMIT_MS (3600 * 1000) /* the transport's own deadline, while each reader keeps its own */
#define WRITE_BYTES 32000           /* libssh2 writes at most 32700 at once */

struct ssh_command {
	struct ssh_session *session;
	LIBSSH2_CHANNEL *channel;
	struct str input; /* not sent yet */
};

static int fail(struct ssh_session *s, const char *during, struct nel_err *err)
{
	return transport_error(&s->transport, s->ssh, s->target.hostname, during, err);
}

/* Sends what the window and the transport take. */
static int send_input(struct ssh_command *c)
{
	size_t done = 0;
	ssize_t n = 0;
	while (done < c->input.len && transport_has_room(&c->session->transport)) {
		size_t left = c->input.len - done;
		n = libssh2_channel_write(c->channel, c->input.data + done, left < WRITE_BYTES ? left : WRITE_BYTES);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done > 0) {
		memmove(c->input.data, c->input.data + done, c->input.len - done);
		c->input.len -= done;
	}
	return n < 0 && n != LIBSSH2_ERROR_EAGAIN ? -1 : 0;
}

static int start(struct ssh_command *c, const char *command, struct nel_err *err)
{
	struct ssh_session *s = c->session;
	int rc;
	transport_set_deadline(&s->transport, START_TIMEOUT_MS, s->transport.stop);
	if (session_open_channel(s, &c->channel, err) != 0) {
		if (s->transport.fault == TRANSPORT_OK &&
		    libssh2_session_last_errno(s->ssh) == LIBSSH2_ERROR_CHANNEL_FAILURE)
			return err_set(err, NEL_BUSY, "%s allows no further command on this connection",
				       s->target.hostname);
		return -1;
	}
	libssh2_channel_handle_extended_data2(c->channel, LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE);
	do
		rc = libssh2_channel_exec(c->channel, command);
	while (rc == LIBSSH2_ERROR_EAGAIN && transport_wait(&s->transport) == 0);
	if (rc != 0)
		return fail(s, "the start of the command", err);
	return send_input(c) == 0 ? 0 : fail(s, "the command's input", err);
}

int ssh_command_start(struct ssh_session *session, const char *command, const void *input, size_t input_size,
		      struct ssh_command **ret_command, struct nel_err *err)
{
	struct ssh_command *c = mem_calloc(1, sizeof *c);
	c->session = session;
	str_append_n(&c->input, input, input_size);
	if (start(c, command, err) != 0) {
		ssh_command_abandon(c);
		return -1;
	}
	transport_set_deadline(&session->transport, WAIT_LIMIT_MS, session->transport.stop);
	*ret_command = c;
	return 0;
}

void ssh_command_write(struct ssh_command *command, const char *data, size_t size)
{
	str_append_n(&command->input, data, size);
}

int ssh_command_read(struct ssh_command *command, char *buffer, size_t size, size_t *ret_size, bool *ret_ended,
		     struct nel_err *err)
{
	struct ssh_session *s = command->session;
	if (send_input(command) != 0)
		return fail(s, "the command's input", err);
	ssize_t n = libssh2_channel_read(command->channel, buffer, size);
	if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
		return fail(s, "the command", err);
	*ret_size = n > 0 ? (size_t)n : 0;
	*ret_ended = n <= 0 && libssh2_channel_eof(command->channel) == 1;
	s->heard_ms = clock_mono_ms();
	return 0;
}

bool ssh_command_close(struct ssh_command *command)
{
	if (libssh2_channel_free(command->channel) == LIBSSH2_ERROR_EAGAIN)
		return false;
	ssh_command_abandon(command);
	return true;
}

void ssh_command_abandon(struct ssh_command *command)
{
	str_done(&command->input);
	free(command);
}

int ssh_session_wait(struct ssh_session *session, bool want_input, int fd, int64_t timeout_ms, struct nel_err *err)
{
	transport_set_deadline(&session->transport, WAIT_LIMIT_MS, session->transport.stop);
	/* Reading one command's output may have taken in another's, whose turn was before. */
	if (want_input && session->transport.received != session->looked_at)
		timeout_ms = 0;
	session->looked_at = session->transport.received;
	if (transport_wait_with(&session->transport, want_input, fd, timeout_ms) == 0)
		return 0;
	return fail(session, "a command", err);
}
