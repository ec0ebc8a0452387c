/* Owns the socket of a connection and what waits to be sent on it. */
#include "ssh/transport.h"

#include "base/clock.h"
#include "base/mem.h"
#include "ssh/kexinit.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_ROOM_BYTES (256 * 1024) /* no channel data is added above this */
#define DIAG_BYTES_MAX 300
#define WAKE_MS 100

void wire_init(struct wire *wire, int fd, int diag_fd)
{
	*wire = (struct wire){.fd = fd, .diag_fd = diag_fd};
}

void wire_done(struct wire *wire)
{
	if (wire->fd >= 0)
		close(wire->fd);
	if (wire->diag_fd >= 0)
		close(wire->diag_fd);
	str_done(&wire->diag);
	str_done(&wire->told);
	str_done(&wire->heard);
	free(wire->out);
	*wire = (struct wire){.fd = -1, .diag_fd = -1};
}

void wire_set_deadline(struct wire *wire, int64_t timeout_ms, const volatile bool *stop)
{
	wire->deadline_ms = clock_mono_ms() + timeout_ms;
	wire->stop = stop;
}

bool wire_is_stopped(const volatile bool *stop)
{
	return stop != NULL && __atomic_load_n(stop, __ATOMIC_RELAXED);
}

static void set_fault(struct wire *wire, enum wire_fault fault, int sys)
{
	if (wire->fault != WIRE_OK)
		return;
	wire->fault = fault;
	wire->sys = sys;
}

/* Also asked on each read, so that a flood of packets cannot keep libssh2 busy past the deadline. */
static bool is_over(struct wire *wire)
{
	if (wire->fault == WIRE_OK && wire_is_stopped(wire->stop))
		set_fault(wire, WIRE_STOPPED, ECANCELED);
	if (wire->fault == WIRE_OK && clock_mono_ms() >= wire->deadline_ms)
		set_fault(wire, WIRE_TIMEOUT, ETIMEDOUT);
	return wire->fault != WIRE_OK;
}

static void record(struct wire *wire, struct str *first, const void *data, size_t size)
{
	if (!wire->recording)
		return;
	size_t room = KEXINIT_BYTES_MAX - first->len;
	str_append_n(first, data, size < room ? size : room);
}

static ssize_t on_receive(libssh2_socket_t fd, void *buffer, size_t size, int flags, void **abstract)
{
	(void)flags;
	struct wire *wire = *abstract;
	if (wire->closing)
		return -ECONNRESET;
	if (is_over(wire))
		return -EAGAIN;
	ssize_t n;
	do
		n = recv(fd, buffer, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		wire->received += (uint64_t)n;
		record(wire, &wire->heard, buffer, (size_t)n);
		return n;
	}
	if (n == 0)
		set_fault(wire, WIRE_EOF, 0);
	else if (errno != EAGAIN && errno != EWOULDBLOCK)
		set_fault(wire, WIRE_BROKEN, errno);
	return -EAGAIN;
}

void wire_flush(struct wire *wire)
{
	while (wire->out_at < wire->out_end && !wire->closing) {
		ssize_t n =
		    send(wire->fd, wire->out + wire->out_at, wire->out_end - wire->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				set_fault(wire, WIRE_BROKEN, errno);
			return;
		}
		wire->out_at += (size_t)n;
		wire->sent += (uint64_t)n;
	}
	wire->out_at = 0;
	wire->out_end = 0;
}

static ssize_t on_send(libssh2_socket_t fd, const void *data, size_t size, int flags, void **abstract)
{
	(void)fd;
	(void)flags;
	struct wire *wire = *abstract;
	if (wire->closing)
		return (ssize_t)size;
	if (wire->out_at > 0 && wire->out_cap - wire->out_end < size) {
		memmove(wire->out, wire->out + wire->out_at, wire->out_end - wire->out_at);
		wire->out_end -= wire->out_at;
		wire->out_at = 0;
	}
	if (wire->out_cap - wire->out_end < size) {
		wire->out_cap = wire->out_end + size + OUT_ROOM_BYTES / 4;
		wire->out = mem_realloc(wire->out, wire->out_cap, 1);
	}
	memcpy(wire->out + wire->out_end, data, size);
	wire->out_end += size;
	wire->queued += size;
	record(wire, &wire->told, data, size);
	wire_flush(wire);
	return (ssize_t)size;
}

static void add_diag(struct wire *wire, const char *text, size_t size)
{
	size_t room = DIAG_BYTES_MAX - wire->diag.len;
	str_append_n(&wire->diag, text, size < room ? size : room);
}

static void on_disconnect(LIBSSH2_SESSION *session, int reason, const char *message, int message_len,
			  const char *language, int language_len, void **abstract)
{
	(void)session;
	(void)language;
	(void)language_len;
	struct wire *wire = *abstract;
	wire->disconnect_reason = reason;
	if (message != NULL && message_len > 0)
		add_diag(wire, message, (size_t)message_len);
}

/* libssh2 1.11.1 has a new function for this and calls the old one deprecated. */
#if LIBSSH2_VERSION_NUM >= 0x010b01
#define SET_CALLBACK(session, which, function) \
	libssh2_session_callback_set2(session, which, (libssh2_cb_generic *)(function))
#else
#define SET_CALLBACK(session, which, function) libssh2_session_callback_set(session, which, (void *)(function))
#endif

void wire_attach(struct wire *wire, LIBSSH2_SESSION *session)
{
	*libssh2_session_abstract(session) = wire;
	SET_CALLBACK(session, LIBSSH2_CALLBACK_RECV, on_receive);
	SET_CALLBACK(session, LIBSSH2_CALLBACK_SEND, on_send);
	SET_CALLBACK(session, LIBSSH2_CALLBACK_DISCONNECT, on_disconnect);
}

bool wire_has_room(const struct wire *wire)
{
	return wire->out_end - wire->out_at < OUT_ROOM_BYTES;
}

static void read_diag(struct wire *wire)
{
	char text[512];
	ssize_t n = read(wire->diag_fd, text, sizeof text);
	if (n > 0) {
		add_diag(wire, text, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(wire->diag_fd);
		wire->diag_fd = -1;
	}
}

int wire_wait_with(struct wire *wire, bool want_input, int fd, int64_t timeout_ms)
{
	if (is_over(wire))
		return -1;
	struct pollfd fds[3] = {{.fd = wire->fd, .events = want_input ? POLLIN : 0},
				{.fd = wire->diag_fd, .events = POLLIN},
				{.fd = fd, .events = POLLIN}};
	if (wire->out_at < wire->out_end)
		fds[0].events |= POLLOUT;
	if (fds[0].events == 0) /* poll(2) would still report that it is closed, again and again */
		fds[0].fd = -1;
	int n = poll(fds, 3, (int)timeout_ms);
	if (n < 0 && errno != EINTR)
		set_fault(wire, WIRE_BROKEN, errno);
	if (n > 0 && (fds[0].revents & POLLOUT) != 0)
		wire_flush(wire);
	if (n > 0 && fds[1].revents != 0)
		read_diag(wire);
	return is_over(wire) ? -1 : 0;
}

int wire_wait(struct wire *wire)
{
	int64_t left_ms = wire->deadline_ms - clock_mono_ms();
	if (left_ms > WAKE_MS)
		left_ms = WAKE_MS;
	return wire_wait_with(wire, true, -1, left_ms < 0 ? 0 : left_ms);
}

int wire_error(struct wire *wire, LIBSSH2_SESSION *session, const char *host, const char *during, struct nel_err *err)
{
	if (wire->diag_fd >= 0)
		read_diag(wire);
	const char *open = wire->diag.len != 0 ? " (" : "";
	const char *close_ = wire->diag.len != 0 ? ")" : "";
	const char *diag = str_text(&wire->diag);
	switch (wire->fault) {
	case WIRE_OK: {
		char *text = NULL;
		int number = libssh2_session_last_error(session, &text, NULL, 0);
		err_set(err, NEL_REMOTE, "%s: %s during %s%s%s%s", host,
			text == NULL || *text == '\0' ? "SSH failed" : text, during, open, diag, close_);
		if (err != NULL)
			err->sys = number;
		return -1;
	}
	case WIRE_EOF:
		err_set(err, NEL_REMOTE, "%s closed the connection during %s%s%s%s", host, during, open, diag, close_);
		if (err != NULL)
			err->sys = ECONNRESET;
		return -1;
	case WIRE_BROKEN:
		err_sys(err, NEL_REMOTE, wire->sys, "the connection to %s broke during %s%s%s%s", host, during, open,
			diag, close_);
		if (err != NULL && err->sys == ETIMEDOUT)
			err->sys = ECONNABORTED;
		/* The other end had closed it before something was written: what WIRE_EOF tells a reader. */
		if (err != NULL && err->sys == EPIPE)
			err->sys = ECONNRESET;
		return -1;
	case WIRE_TIMEOUT:
		err_set(err, NEL_REMOTE, "%s: time-out during %s%s%s%s", host, during, open, diag, close_);
		break;
	case WIRE_STOPPED: err_set(err, NEL_REMOTE, "%s: given up, as asked, during %s", host, during); break;
	}
	if (err != NULL)
		err->sys = wire->sys;
	return -1;
}
