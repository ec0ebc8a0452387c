/* One SSH connection to a login node, and commands on it. A session belongs to one thread at a time. libssh2. */
#ifndef NEL_SSH_SESSION_H
#define NEL_SSH_SESSION_H

#include "base/err.h"
#include "ssh/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssh_session;

/* Connects, checks the host key, logs in. Errors: DENIED (host key unknown or changed: the message has the line to add
 * to known_hosts; key refused; key file unreadable or of no use), REMOTE (network, time-out). */
int ssh_session_open(const struct ssh_target *target, struct ssh_session **ret_session, struct nel_err *err);
void ssh_session_close(struct ssh_session *session); /* accepts NULL */

/* One command. */
struct ssh_exec {
	const char *command; /* run by the account's login shell: keep it free of user data */
	const void *input;   /* standard input, then EOF; NULL for none */
	size_t input_size;
	size_t output_max;  /* more standard output than this is REMOTE; of standard error the first 16 KiB are kept */
	int64_t timeout_ms; /* for the whole command */
	/* When set, standard output goes here instead of into the result (output_max still bounds it, 0: no bound);
	 * returning non-zero ends the command. Called on the executing thread. */
	int (*on_output)(const char *data, size_t size, void *arg);
	void *arg;
	const volatile bool *stop; /* when it becomes true the command is abandoned (REMOTE); NULL: never */
};

struct ssh_result {
	char *output; /* NUL-terminated; NUL bytes inside are possible */
	size_t output_size;
	char *errors; /* standard error, NUL-terminated */
	size_t errors_size;
	/* -1 when a signal ended it. libssh2 cannot tell "0" from a channel that the server closed without any status
	 * (OpenSSH's ChannelTimeout does so): who must be sure has the command write something last. */
	int exit_status;
};

void ssh_result_done(struct ssh_result *result);

/* Runs it to its end. 0 whatever the command's exit status. -1: *ret_sent says whether the command may have begun on
 * the other side (false: certainly not, so that a repeat is safe). After -1 the session must be closed. */
int ssh_session_exec(struct ssh_session *session, const struct ssh_exec *exec, struct ssh_result *ret_result,
		     bool *ret_sent, struct nel_err *err);

/* Sends a keepalive when one is due; -1 when the connection is gone. */
int ssh_session_keepalive(struct ssh_session *session, struct nel_err *err);

/* libssh2's global state: once, before threads; and at the end. */
int ssh_init(struct nel_err *err);
void ssh_done(void);

#endif
