/* Owns one command's run on a session: its input, output and end. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ssh/session.h"
#include "ssh/session_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_BYTES_MAX 32000  /* libssh2 sends a request as one packet of at most 35000 bytes */
#define ERRORS_BYTES_MAX 16384   /* of standard error, kept */
#define CHUNK_BYTES 32768        /* libssh2 writes at most 32700 at once */
#define CHANNEL_TIMEOUT_MS 10000 /* to open a channel: a dead connection is noticed before the command's own time */

struct run {
	struct ssh_session *session;
	const struct ssh_exec *exec;
	LIBSSH2_CHANNEL *channel;
	size_t input_done;
	bool eof_sent;
	uint64_t output_size;
	struct str output, errors;
	int64_t until_ms; /* monotonic */
};

static void run_done(struct run *run)
{
	str_done(&run->output);
	str_done(&run->errors);
}

void ssh_result_done(struct ssh_result *result)
{
	free(result->output);
	free(result->errors);
	*result = (struct ssh_result){0};
}

static int fail(struct run *run, const char *during, struct nel_err *err)
{
	struct ssh_session *s = run->session;
	return transport_error(&s->transport, s->ssh, s->target.hostname, during, err);
}

/* Sends the request; *ret_sent as in ssh_session_exec(). */
static int start(struct run *run, bool *ret_sent, struct nel_err *err)
{
	struct transport *transport = &run->session->transport;
	uint64_t before = transport->queued;
	int rc;
	do
		rc = libssh2_channel_exec(run->channel, run->exec->command);
	while (rc == LIBSSH2_ERROR_EAGAIN && transport_wait(transport) == 0);
	/* A failure reply means that the server has not run it (RFC 4254, 5.4). */
	*ret_sent = transport->sent > before && rc != LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED;
	return rc == 0 ? 0 : fail(run, "the start of the command", err);
}

static int deliver(struct run *run, const char *data, size_t size, struct nel_err *err)
{
	const struct ssh_exec *exec = run->exec;
	run->output_size += size;
	if (run->output_size > exec->output_max && (exec->on_output == NULL || exec->output_max != 0)) {
		err_set(err, NEL_REMOTE, "%s: the command wrote more than %zu bytes", run->session->target.hostname,
			exec->output_max);
		if (err != NULL)
			err->sys = EMSGSIZE;
		return -1;
	}
	if (exec->on_output == NULL) {
		str_append_n(&run->output, data, size);
		return 0;
	}
	if (exec->on_output(data, size, exec->arg) == 0)
		return 0;
	err_set(err, NEL_REMOTE, "%s: the command was ended by the reader of its output",
		run->session->target.hostname);
	if (err != NULL)
		err->sys = ECANCELED;
	return -1;
}

static void keep_errors(struct run *run, const char *data, size_t size)
{
	size_t room = ERRORS_BYTES_MAX - run->errors.len;
	str_append_n(&run->errors, data, size < room ? size : room);
}

/* Takes all of a stream that has arrived. */
static int read_stream(struct run *run, int stream, struct nel_err *err)
{
	char buffer[CHUNK_BYTES];
	ssize_t n;
	while ((n = libssh2_channel_read_ex(run->channel, stream, buffer, sizeof buffer)) > 0) {
		if (stream == SSH_EXTENDED_DATA_STDERR)
			keep_errors(run, buffer, (size_t)n);
		else if (deliver(run, buffer, (size_t)n, err) != 0)
			return -1;
	}
	return n == 0 || n == LIBSSH2_ERROR_EAGAIN ? 0 : fail(run, "the command", err);
}

/* Gives libssh2 as much input as the channel's window and the transport take. */
static int write_input(struct run *run, struct nel_err *err)
{
	const struct ssh_exec *exec = run->exec;
	while (run->input_done < exec->input_size && transport_has_room(&run->session->transport)) {
		size_t left = exec->input_size - run->input_done;
		ssize_t n = libssh2_channel_write(run->channel, (const char *)exec->input + run->input_done,
						  left < CHUNK_BYTES ? left : CHUNK_BYTES);
		if (n == 0 || n == LIBSSH2_ERROR_EAGAIN)
			return 0;
		if (n < 0)
			return fail(run, "the command's input", err);
		run->input_done += (size_t)n;
	}
	if (run->input_done < exec->input_size || run->eof_sent)
		return 0;
	int rc = libssh2_channel_send_eof(run->channel);
	if (rc != 0 && rc != LIBSSH2_ERROR_EAGAIN)
		return fail(run, "the command's input", err);
	run->eof_sent = rc == 0;
	return 0;
}

/* The server closes the channel last, after the end of output and the exit status (RFC 4254, 5.3 and 6.10), whether or
 * not the input was wanted. */
static bool is_closed(struct run *run)
{
	return libssh2_channel_eof(run->channel) == 1 && libssh2_channel_wait_closed(run->channel) == 0;
}

/* Moves input and both outputs together: each can block the others through the channel's windows. */
static int pump(struct run *run, struct nel_err *err)
{
	struct transport *transport = &run->session->transport;
	for (;;) {
		uint64_t received = transport->received;
		if (write_input(run, err) != 0 || read_stream(run, 0, err) != 0 ||
		    read_stream(run, SSH_EXTENDED_DATA_STDERR, err) != 0)
			return -1;
		if (is_closed(run))
			return 0;
		/* Each call may have taken in packets for the others. */
		if (transport->received == received && transport_wait(transport) != 0)
			return fail(run, "the command", err);
	}
}

static int exit_status(LIBSSH2_SESSION *ssh, LIBSSH2_CHANNEL *channel)
{
	char *name = NULL;
	if (libssh2_channel_get_exit_signal(channel, &name, NULL, NULL, NULL, NULL, NULL) == 0 && name != NULL) {
		libssh2_free(ssh, name);
		return -1;
	}
	return libssh2_channel_get_exit_status(channel);
}

/* When this fails the command is over all the same; the session's next user finds it dead. */
static void free_channel(struct run *run)
{
	int rc;
	do
		rc = libssh2_channel_free(run->channel);
	while (rc == LIBSSH2_ERROR_EAGAIN && transport_wait(&run->session->transport) == 0);
}

static int run_command(struct run *run, bool *ret_sent, struct nel_err *err)
{
	struct ssh_session *s = run->session;
	const struct ssh_exec *exec = run->exec;
	transport_set_deadline(
	    &s->transport, exec->timeout_ms < CHANNEL_TIMEOUT_MS ? exec->timeout_ms : CHANNEL_TIMEOUT_MS, exec->stop);
	if (session_open_channel(s, &run->channel, err) != 0)
		return -1;
	transport_set_deadline(&s->transport, run->until_ms - clock_mono_ms(), exec->stop);
	return start(run, ret_sent, err) != 0 || pump(run, err) != 0 ? -1 : 0;
}

int ssh_session_exec(struct ssh_session *session, const struct ssh_exec *exec, struct ssh_result *ret_result,
		     bool *ret_sent, struct nel_err *err)
{
	*ret_sent = false;
	if (strlen(exec->command) > COMMAND_BYTES_MAX)
		return err_set(err, NEL_INVALID, "a command of more than %d bytes cannot be sent", COMMAND_BYTES_MAX);
	CLEANUP(run_done)
	struct run run = {.session = session, .exec = exec, .until_ms = clock_mono_ms() + exec->timeout_ms};
	/* After a failure the channel stays: it goes with the session. */
	if (run_command(&run, ret_sent, err) != 0)
		return -1;
	int status = exit_status(session->ssh, run.channel);
	free_channel(&run);
	session->heard_ms = clock_mono_ms();
	ret_result->output_size = run.output.len;
	ret_result->output = str_take(&run.output);
	ret_result->errors_size = run.errors.len;
	ret_result->errors = str_take(&run.errors);
	ret_result->exit_status = status;
	return 0;
}
