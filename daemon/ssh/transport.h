/* The byte stream under one SSH connection: a non-blocking socket, a buffer of what is to be sent, a deadline.
 *
 * libssh2 sends through the buffer, which takes everything. So a libssh2 call never stops in the middle of a packet
 * that it sends, and reading and writing can be mixed freely: without this, a window adjustment that falls between the
 * parts of a half-sent packet fails with LIBSSH2_ERROR_BAD_USE, and a key re-exchange at that moment blocks for ever
 * (libssh2 issue 2110). What is sent is bounded by asking transport_has_room() before a channel is written to.
 *
 * Every fault of the connection is reported by transport_wait() alone: libssh2 is only told to come back later, so that
 * all packets that had arrived are still used. One owner, as the session. */
#ifndef NEL_SSH_TRANSPORT_H
#define NEL_SSH_TRANSPORT_H

#include "base/err.h"
#include "base/str.h"

#include <libssh2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum transport_fault {
	TRANSPORT_OK,
	TRANSPORT_EOF,     /* the other side closed the connection */
	TRANSPORT_BROKEN,  /* errno in sys */
	TRANSPORT_TIMEOUT, /* the deadline has passed */
	TRANSPORT_STOPPED  /* the caller's stop flag was set */
};

struct transport {
	int fd;          /* owned */
	int diag_fd;     /* standard error of the proxy command, owned; -1: none */
	struct str diag; /* its beginning, and what the server said when it disconnected */
	char *out;
	size_t out_at, out_end, out_cap; /* out[out_at, out_end) is still to be sent */
	uint64_t queued, sent, received; /* bytes since the start */
	int64_t deadline_ms;             /* monotonic */
	const volatile bool *stop;       /* NULL: never */
	enum transport_fault fault;
	int sys;
	int disconnect_reason; /* of the server's SSH_MSG_DISCONNECT (RFC 4253, 11.1); 0: none came */
	bool recording;        /* until the handshake is over: each side's first bytes are kept, for kexinit.h */
	struct str first_sent, first_received;
	bool closing; /* nothing is read or sent any more */
};

/* Takes fd and diag_fd (or -1). */
void transport_init(struct transport *transport, int fd, int diag_fd);
void transport_done(struct transport *transport);

/* Makes session read and write through transport, which must stay where it is. */
void transport_attach(struct transport *transport, LIBSSH2_SESSION *session);

/* What follows must be finished within timeout_ms, or by *stop becoming true. */
void transport_set_deadline(struct transport *transport, int64_t timeout_ms, const volatile bool *stop);

bool transport_has_room(const struct transport *transport);

/* Sends what can be sent now, without waiting. */
void transport_flush(struct transport *transport);

/* Waits until there is something to read or room to send. -1 when the connection is over: see fault. Wakes at least
 * every 100 ms to look at the stop flag. */
int transport_wait(struct transport *transport);

/* The same for several commands on one connection: waits at most timeout_ms, also for fd to be readable, and looks at
 * the connection's input only when want_input. */
int transport_wait_with(struct transport *transport, bool want_input, int fd, int64_t timeout_ms);

/* Fills *err (REMOTE) with what happened to the connection to `host` "during" something; libssh2's own last error when
 * the connection itself is sound. sys is ETIMEDOUT (our own deadline), ECANCELED (stopped), ECONNRESET (closed by the
 * other side), ECONNABORTED (the kernel heard nothing from it any more), another errno, or 0. Returns -1. */
int transport_error(struct transport *transport, LIBSSH2_SESSION *session, const char *host, const char *during,
		    struct nel_err *err);

/* True when *stop is not NULL and set; other threads set it. */
bool transport_is_stopped(const volatile bool *stop);

#endif
