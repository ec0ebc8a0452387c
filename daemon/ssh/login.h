/* The login on one connection: with a key from a file or from memory, or with the help of an ssh-agent. */
#ifndef NEL_SSH_LOGIN_H
#define NEL_SSH_LOGIN_H

#include "ssh/agent.h"
#include "ssh/credentials.h"
#include "ssh/session_internal.h"

/* What is needed for it; zeroed: nothing. */
struct login {
	char *key; /* a copy, wiped at the end; NULL with an agent or a command */
	size_t key_size;
	struct certificate certificate; /* of the key, or of the agent's only one */
	struct credential handed_out;   /* by a credential_command: key and certificate */
	struct agent_keys agent;
	const struct agent_key *agent_only; /* of these, the one that the certificate is of; NULL: all as they are */
};

/* Reads the key, asks the agent which ones it has, or has a command hand one out: before anything is connected to.
 * DENIED with the reason (of err.h: CREDENTIAL where it is the certificate's or the command's, else LOGIN); REMOTE with
 * sys ECANCELED when *stop (or NULL) became true. */
int login_prepare(const struct ssh_target *target, const volatile bool *stop, struct login *ret_login,
		  struct nel_err *err);

/* After the handshake, within the transport's deadline. DENIED when no key was taken. */
int login_run(struct ssh_session *session, const struct login *login, struct nel_err *err);

void login_done(struct login *login);

#endif
