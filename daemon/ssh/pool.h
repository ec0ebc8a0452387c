/* The warm sessions of one identity on one cluster, and what keeps them polite: at most max_sessions at once, few
 * handshakes at the same time, idle ones closed, and circuit breakers that stop asking a login node that fails: the
 * limit's counts faults until the server has shown its host key, the pool's own those after that, which may be the
 * account's.
 * Thread-safe; no lock is held while SSH is spoken. */
#ifndef NEL_SSH_POOL_H
#define NEL_SSH_POOL_H

#include "ssh/breaker.h"
#include "ssh/host_limit.h"
#include "ssh/session.h"

struct ssh_pool;

struct ssh_pool_options {
	struct ssh_target target; /* its strings are copied */
	int max_sessions;
	int max_handshakes; /* at once; 0: 3, well below OpenSSH's MaxStartups 10:30:100 */
	int64_t idle_timeout_ms;
	struct ssh_host_limit *limit; /* shared by the pools of one host (borrowed); NULL: the pool has its own */
	/* "NAME=value", NULL-terminated, copied; NULL: none. For ssh_pool_environment(). */
	const char *const *environment;
	const volatile bool *stop; /* ends every command when it becomes true (borrowed); NULL: never */
};

struct ssh_pool_stats {
	int sessions;                /* open now */
	int busy;                    /* of these, in use */
	bool lent;                   /* and the one of ssh_pool_lend() */
	int64_t handshakes;          /* tried since start */
	int64_t execs;               /* commands sent since start */
	int64_t failures;            /* connects and execs that failed */
	enum breaker_state breaker;  /* its own, or else the limit's */
	int64_t retry_in_ms;         /* while the breaker is open: until the next probe */
	enum nel_err_kind last_kind; /* of the last thing; OK when it went well */
	enum nel_err_reason last_reason;
	char last_error[512]; /* "" when the last thing went well */
	int64_t last_ok_s;    /* UTC; 0: never */
	int64_t last_error_s;
};

struct ssh_pool *ssh_pool_new(const struct ssh_pool_options *options);
void ssh_pool_free(struct ssh_pool *pool); /* no exec may be running; accepts NULL */

/* The variables that remote commands on this cluster want set (sshd refuses most that a client sends, so whoever
 * writes a command sets them in it); NULL-terminated, never NULL, unchanging for the pool's life. */
const char *const *ssh_pool_environment(const struct ssh_pool *pool);

/* Runs one command on a warm session, or on a new one. A warm session that turns out dead before the command was sent
 * is replaced once, and a connection that the server closes at once (MaxStartups) is tried again a few times. Errors
 * as ssh_session_open/exec; BUSY while the breaker is open (the message has the last error and
 * when it will be tried again) and when every session is in use. Only faults of the network or the host count for the
 * breaker: a command's time-out, its too long output or a stop do not. DENIED is remembered and returned again without
 * connecting, until ten seconds have passed or the key file, the certificate or the known_hosts file has changed.
 * *ret_sent as in ssh_session_exec(). sys of *err is ECANCELED after a stop or a reader's end. */
int ssh_pool_exec(struct ssh_pool *pool, const struct ssh_exec *exec, struct ssh_result *ret_result, bool *ret_sent,
		  struct nel_err *err);

/* A session of its own beside the max_sessions, for commands that last: log followers and transfers must not keep
 * observations and submissions waiting. There is one at a time; errors as ssh_pool_exec(). The pool's
 * stop flag ends the connecting. */
int ssh_pool_lend(struct ssh_pool *pool, struct ssh_session **ret_session, struct nel_err *err);
/* Takes it back, and closes it. err: what broke it, or NULL. */
void ssh_pool_take_back(struct ssh_pool *pool, const struct nel_err *err);
/* Counts a command that was started on it. */
void ssh_pool_count_exec(struct ssh_pool *pool);

/* Closes sessions idle for longer than the time-out and keeps the others alive; called every few seconds. */
void ssh_pool_tend(struct ssh_pool *pool);

void ssh_pool_stats(struct ssh_pool *pool, struct ssh_pool_stats *ret_stats);

#endif
