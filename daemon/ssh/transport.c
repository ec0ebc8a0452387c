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

void transport_init(struct transport *transport, int fd, int diag_fd)
{
	*transport = (struct transport){.fd = fd, .diag_fd = diag_fd};
}

void transport_done(struct transport *transport)
{
	if (transport->fd >= 0)
		close(transport->fd);
	if (transport->diag_fd >= 0)
		close(transport->diag_fd);
	str_done(&transport->diag);
	str_done(&transport->first_sent);
	str_done(&transport->first_received);
	free(transport->out);
	*transport = (struct transport){.fd = -1, .diag_fd = -1};
}

void transport_set_deadline(struct transport *transport, int64_t timeout_ms, const volatile bool *stop)
{
	transport->deadline_ms = clock_mono_ms() + timeout_ms;
	transport->stop = stop;
}

bool transport_is_stopped(const volatile bool *stop)
{
	return stop != NULL && __atomic_load_n(stop, __ATOMIC_RELAXED);
}

static void set_fault(struct transport *transport, enum transport_fault fault, int sys)
{
	if (transport->fault != TRANSPORT_OK)
		return;
	transport->fault = fault;
	transport->sys = sys;
}

/* Also asked on each read, so that a flood of packets cannot keep libssh2 busy past the deadline. */
static bool is_over(struct transport *transport)
{
	if (transport->fault == TRANSPORT_OK && transport_is_stopped(transport->stop))
		set_fault(transport, TRANSPORT_STOPPED, ECANCELED);
	if (transport->fault == TRANSPORT_OK && clock_mono_ms() >= transport->deadline_ms)
		set_fault(transport, TRANSPORT_TIMEOUT, ETIMEDOUT);
	return transport->fault != TRANSPORT_OK;
}

static void record(struct transport *transport, struct str *first, const void *data, size_t size)
{
	if (!transport->recording)
		return;
	size_t room = KEXINIT_BYTES_MAX - first->len;
	str_append_n(first, data, size < room ? size : room);
}

static ssize_t on_receive(libssh2_socket_t fd, void *buffer, size_t size, int flags, void **abstract)
{
	(void)flags;
	struct transport *transport = *abstract;
	if (transport->closing)
		return -ECONNRESET;
	if (is_over(transport))
		return -EAGAIN;
	ssize_t n;
	do
		n = recv(fd, buffer, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		transport->received += (uint64_t)n;
		record(transport, &transport->first_received, buffer, (size_t)n);
		return n;
	}
	if (n == 0)
		set_fault(transport, TRANSPORT_EOF, 0);
	else if (errno != EAGAIN && errno != EWOULDBLOCK)
		set_fault(transport, TRANSPORT_BROKEN, errno);
	return -EAGAIN;
}

void transport_flush(struct transport *transport)
{
	while (transport->out_at < transport->out_end && !transport->closing) {
		ssize_t n = send(transport->fd, transport->out + transport->out_at,
				 transport->out_end - transport->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				set_fault(transport, TRANSPORT_BROKEN, errno);
			return;
		}
		transport->out_at += (size_t)n;
		transport->sent += (uint64_t)n;
	}
	transport->out_at = 0;
	transport->out_end = 0;
}

static ssize_t on_send(libssh2_socket_t fd, const void *data, size_t size, int flags, void **abstract)
{
	(void)fd;
	(void)flags;
	struct transport *transport = *abstract;
	if (transport->closing)
		return (ssize_t)size;
	if (transport->out_at > 0 && transport->out_cap - transport->out_end < size) {
		memmove(transport->out, transport->out + transport->out_at, transport->out_end - transport->out_at);
		transport->out_end -= transport->out_at;
		transport->out_at = 0;
	}
	if (transport->out_cap - transport->out_end < size) {
		transport->out_cap = transport->out_end + size + OUT_ROOM_BYTES / 4;
		transport->out = mem_realloc(transport->out, transport->out_cap, 1);
	}
	memcpy(transport->out + transport->out_end, data, size);
	transport->out_end += size;
	transport->queued += size;
	record(transport, &transport->first_sent, data, size);
	transport_flush(transport);
	return (ssize_t)size;
}

static void add_diag(struct transport *transport, const char *text, size_t size)
{
	size_t room = DIAG_BYTES_MAX - transport->diag.len;
	str_append_n(&transport->diag, text, size < room ? size : room);
}

static void on_disconnect(LIBSSH2_SESSION *session, int reason, const char *message, int message_len,
			  const char *language, int language_len, void **abstract)
{
	(void)session;
	(void)language;
	(void)language_len;
	struct transport *transport = *abstract;
	transport->disconnect_reason = reason;
	if (message != NULL && message_len > 0)
		add_diag(transport, message, (size_t)message_len);
}

/* libssh2 1.11.1 has a new function for this and calls the old one deprecated. */
#if LIBSSH2_VERSION_NUM >= 0x010b01
#define SET_CALLBACK(session, which, function) \
	libssh2_session_callback_set2(session, which, (libssh2_cb_generic *)(function))
#else
#define SET_CALLBACK(session, which, function) libssh2_session_callback_set(session, which, (void *)(function))
#endif

void transport_attach(struct transport *transport, LIBSSH2_SESSION *session)
{
	*libssh2_session_abstract(session) = transport;
	SET_CALLBACK(session, LIBSSH2_CALLBACK_RECV, on_receive);
	SET_CALLBACK(session, LIBSSH2_CALLBACK_SEND, on_send);
	SET_CALLBACK(session, LIBSSH2_CALLBACK_DISCONNECT, on_disconnect);
}

bool transport_has_room(const struct transport *transport)
{
	return transport->out_end - transport->out_at < OUT_ROOM_BYTES;
}

static void read_diag(struct transport *transport)
{
	char text[512];
	ssize_t n = read(transport->diag_fd, text, sizeof text);
	if (n > 0) {
		add_diag(transport, text, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(transport->diag_fd);
		transport->diag_fd = -1;
	}
}

int transport_wait_with(struct transport *transport, bool want_input, int fd, int64_t timeout_ms)
{
	if (is_over(transport))
		return -1;
	struct pollfd fds[3] = {{.fd = transport->fd, .events = want_input ? POLLIN : 0},
				{.fd = transport->diag_fd, .events = POLLIN},
				{.fd = fd, .events = POLLIN}};
	if (transport->out_at < transport->out_end)
		fds[0].events |= POLLOUT;
	if (fds[0].events == 0) /* poll(2) would still report that it is closed, again and again */
		fds[0].fd = -1;
	int n = poll(fds, 3, (int)timeout_ms);
	if (n < 0 && errno != EINTR)
		set_fault(transport, TRANSPORT_BROKEN, errno);
	if (n > 0 && (fds[0].revents & POLLOUT) != 0)
		transport_flush(transport);
	if (n > 0 && fds[1].revents != 0)
		read_diag(transport);
	return is_over(transport) ? -1 : 0;
}

int transport_wait(struct transport *transport)
{
	int64_t left_ms = transport->deadline_ms - clock_mono_ms();
	if (left_ms > WAKE_MS)
		left_ms = WAKE_MS;
	return transport_wait_with(transport, true, -1, left_ms < 0 ? 0 : left_ms);
}

int transport_error(struct transport *transport, LIBSSH2_SESSION *session, const char *host, const char *during,
		    struct nel_err *err)
{
	if (transport->diag_fd >= 0)
		read_diag(transport);
	const char *open = transport->diag.len != 0 ? " (" : "";
	const char *close_ = transport->diag.len != 0 ? ")" : "";
	const char *diag = str_text(&transport->diag);
	switch (transport->fault) {
	case TRANSPORT_OK: {
		char *text = NULL;
		int number = libssh2_session_last_error(session, &text, NULL, 0);
		err_set(err, NEL_REMOTE, "%s: %s during %s%s%s%s", host,
			text == NULL || *text == '\0' ? "SSH failed" : text, during, open, diag, close_);
		if (err != NULL)
			err->sys = number;
		return -1;
	}
	case TRANSPORT_EOF:
		err_set(err, NEL_REMOTE, "%s closed the connection during %s%s%s%s", host, during, open, diag, close_);
		if (err != NULL)
			err->sys = ECONNRESET;
		return -1;
	case TRANSPORT_BROKEN:
		err_sys(err, NEL_REMOTE, transport->sys, "the connection to %s broke during %s%s%s%s", host, during,
			open, diag, close_);
		if (err != NULL && err->sys == ETIMEDOUT)
			err->sys = ECONNABORTED;
		/* The other end had closed it before something was written: what TRANSPORT_EOF tells a reader. */
		if (err != NULL && err->sys == EPIPE)
			err->sys = ECONNRESET;
		return -1;
	case TRANSPORT_TIMEOUT:
		err_set(err, NEL_REMOTE, "%s: time-out during %s%s%s%s", host, during, open, diag, close_);
		break;
	case TRANSPORT_STOPPED: err_set(err, NEL_REMOTE, "%s: given up, as asked, during %s", host, during); break;
	}
	if (err != NULL)
		err->sys = transport->sys;
	return -1;
}
