/* A login on a host: where to, as whom, with what. */
#ifndef NEL_SSH_TARGET_H
#define NEL_SSH_TARGET_H

#include <stddef.h>
#include <stdint.h>

struct ssh_credentials; /* ssh/credentials.h */

/* Where to connect and as whom; all strings borrowed for the session's life. */
struct ssh_target {
	const char *cluster;  /* for messages */
	const char *hostname; /* the name of the login node */
	const char *address;  /* what to connect to; known_hosts is looked up with this name, as ssh(1) would:
				 "[address]:port"  unless the port is 22 */
	int port;
	const char *username;
	/* One of the four, looked at in the order agent_socket, credentials that a command hands out, key, key_file.
	 * Keys are ed25519, ECDSA or RSA; before libssh2 1.11 RSA is refused with the reason. */
	const char *key_file;         /* private key, as ssh-keygen writes it */
	const char *certificate_file; /* beside key_file, or of a key of the agent's; read anew for each login; or NULL
				       */
	const char *key;              /* the same text in memory; copies of it are wiped */
	size_t key_size;
	const char *key_name;    /* what messages call the key in memory, as "of alice (GET /v1/identities)"; or NULL */
	const char *certificate; /* beside key: the line of its certificate; or NULL */
	struct ssh_credentials *credentials; /* borrowed; or NULL */
	const char *agent_socket;            /* of an ssh-agent, whose keys are tried in its order */
	const char *agent_key; /* the only key of the agent to use: its public half, as in a .pub file; or NULL */
	const char *known_hosts_file;
	const char *proxy_command;  /* NULL: connect directly; else /bin/sh -c runs it, its stdin/stdout are the
				       connection (%h, %p, %r, %%) */
	int64_t connect_timeout_ms; /* for TCP, handshake and login together */
};

#endif
