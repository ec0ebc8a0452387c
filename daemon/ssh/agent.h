/* A client of ssh-agent: which keys it holds, and signatures by them (draft-ietf-sshm-ssh-agent).
 *
 * libssh2's own client is not used: it writes to the agent through the callback that sends to the server, which is
 * the transport's here, and it waits without limit for an agent that hangs. */
#ifndef NEL_SSH_AGENT_H
#define NEL_SSH_AGENT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_TIMEOUT_MS 5000 /* for its answer */

struct agent_key {
	unsigned char *blob; /* RFC 4253, 6.6 */
	size_t blob_size;
	char *type; /* "ssh-ed25519" */
	char *comment;
};

/* Zeroed: empty. */
struct agent_keys {
	struct agent_key *items;
	size_t count;
};

void agent_keys_done(struct agent_keys *keys);

/* The keys and certificates of the agent at the socket that libssh2 can log in with (as key_file.h has it), of the
 * latter those that are valid, in the agent's order; only the one of public_key, a line as in a .pub file, unless that
 * is NULL. DENIED when there is none (the message says why, for RSA keys as key_file.h) or the agent cannot be reached
 * or does not answer in time; REMOTE with sys ECANCELED when *stop (or NULL) became true. */
int agent_list(const char *socket_path, const char *public_key, const volatile bool *stop, struct agent_keys *ret_keys,
	       struct nel_err *err);

/* Signs the data of a login (RFC 4252, 7), by the algorithm that it names; *ret_signature (free()) is without that
 * name. Errors as above. */
int agent_sign(const char *socket_path, const struct agent_key *key, const void *data, size_t size,
	       const volatile bool *stop, unsigned char **ret_signature, size_t *ret_size, struct nel_err *err);

/* Is this line a public key to log in with? DENIED with the reason. */
int agent_public_key_check(const char *line, struct nel_err *err);

#endif
