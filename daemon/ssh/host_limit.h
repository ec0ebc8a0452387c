/* What the pools of one host share, whosever they are: how many SSH handshakes may go on at once, since OpenSSH drops
 * connections at random beyond MaxStartups (10:30:100), and the circuit breaker that leaves a host alone whose sshd
 * cannot be reached, until one probe finds it again. Thread-safe. */
#ifndef NEL_SSH_HOST_LIMIT_H
#define NEL_SSH_HOST_LIMIT_H

#include "base/err.h"
#include "ssh/breaker.h"

#include <stdbool.h>
#include <stdint.h>

#define SSH_HOST_LIMIT_DEFAULT 3

struct ssh_host_limit;

struct ssh_host_limit *ssh_host_limit_new(int max);     /* 0: SSH_HOST_LIMIT_DEFAULT */
void ssh_host_limit_free(struct ssh_host_limit *limit); /* nobody may be inside; accepts NULL */

/* Waits for a place, at most timeout_ms. BUSY when there is none, with sys ECANCELED when *stop (or NULL) became true;
 * BUSY also while the breaker is open: the message has `name`, the last fault and when the host will be tried again. */
int ssh_host_limit_enter(struct ssh_host_limit *limit, const char *name, int64_t timeout_ms, const volatile bool *stop,
			 struct nel_err *err);

/* Whoever entered leaves, and says how the host was found. */
enum ssh_host_limit_finding {
	SSH_GATE_ANSWERED, /* it showed its host key, whatever came then */
	SSH_GATE_FAILED,   /* it did not, for the reason in *err */
	SSH_GATE_UNTRIED   /* nothing was learned: the caller was stopped, or had no key to try with */
};
void ssh_host_limit_leave(struct ssh_host_limit *limit, enum ssh_host_limit_finding finding, const struct nel_err *err);

/* The breaker's state, and the milliseconds until the next probe while it is open. */
enum breaker_state ssh_host_limit_breaker(struct ssh_host_limit *limit, int64_t *ret_retry_in_ms);

/* The limits of all hosts. Thread-safe. */
struct ssh_host_limits;

struct ssh_host_limits *ssh_host_limits_new(int max); /* of each limit; 0: SSH_HOST_LIMIT_DEFAULT */
void ssh_host_limits_free(
    struct ssh_host_limits *limits); /* and every limit, after the pools that use them; accepts NULL */

/* The limit of a host, made when it is first asked for; borrowed, valid until ssh_host_limits_free(). The same address
 * by way of another proxy command (or NULL) may be another host. */
struct ssh_host_limit *ssh_host_limits_get(struct ssh_host_limits *limits, const char *address, int port,
					   const char *proxy_command);

#endif
