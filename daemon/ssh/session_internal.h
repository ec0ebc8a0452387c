/* What session.c, login.c and session_exec.c share: one connection's state. Nobody else includes this but pool.c, for
 * the stop flag while connecting. */
#ifndef NEL_SSH_SESSION_INTERNAL_H
#define NEL_SSH_SESSION_INTERNAL_H

#include "base/err.h"
#include "ssh/target.h"
#include "ssh/transport.h"

#include <libssh2.h>
#include <stdbool.h>
#include <sys/types.h>

/* A keepalive is a channel that is opened and closed again: unlike libssh2's own keepalive it proves that the server
 * answers, reads what the server has sent meanwhile, and leaves no replies behind in libssh2's list of packets. */
enum probe { PROBE_NONE, PROBE_OPENING, PROBE_CLOSING };

struct ssh_session {
	struct ssh_target target;
	LIBSSH2_SESSION *ssh;
	struct transport transport;
	pid_t proxy; /* 0: none */
	enum probe probe;
	LIBSSH2_CHANNEL *channel; /* the probe's, while it is closing */
	int64_t probe_until_ms;   /* monotonic: when an unanswered probe means that the connection is gone */
	int64_t heard_ms;         /* monotonic: when the server last proved to be there */
	uint64_t looked_at;       /* transport.received when ssh_session_wait() was last called */
};

/* libssh2's return value until it is other than "again", or EAGAIN when the transport gave up. */
#define UNTIL_DONE(session, rc, call) \
	do \
		(rc) = (call); \
	while ((rc) == LIBSSH2_ERROR_EAGAIN && transport_wait(&(session)->transport) == 0)

/* As ssh_session_open(), given up (REMOTE, sys ECANCELED) when *stop becomes true; stop may be NULL. *ret_met says,
 * also after -1, whether the server has come so far as to show its host key. */
int session_open(const struct ssh_target *target, const volatile bool *stop, struct ssh_session **ret_session,
		 bool *ret_met, struct nel_err *err);

/* Finishes a keepalive that is under way and opens a channel, within the transport's deadline. */
int session_open_channel(struct ssh_session *session, LIBSSH2_CHANNEL **ret_channel, struct nel_err *err);

#endif
