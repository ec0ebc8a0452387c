/* The text of a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): which keys it has for a host. No I/O.
 *
 * libssh2's own reader is used for hashed names only: it knows neither wildcards nor markers, and stops at the first
 * line that it does not understand. */
#ifndef NEL_SSH_KNOWN_HOSTS_H
#define NEL_SSH_KNOWN_HOSTS_H

#include "base/str.h"

#include <libssh2.h>

enum known_hosts_verdict {
	KNOWN_HOSTS_MATCH,
	KNOWN_HOSTS_UNKNOWN, /* no line has a key of this type for the host */
	KNOWN_HOSTS_CHANGED, /* a line has another key of this type */
	KNOWN_HOSTS_REVOKED  /* a @revoked line has this key */
};

/* Looks up a host's key: type as in its blob ("ssh-ed25519"), key in base64. Names are looked up as ssh(1) does:
 * "address" (and "[address]:22") for port 22, else "[address]:port", and when no line has that, "address". *ret_line is
 * the number of the line that decided, from 1; 0 for UNKNOWN. `session` only computes hashes; no lines are kept. */
enum known_hosts_verdict known_hosts_find(LIBSSH2_SESSION *session, const char *text, const char *address, int port,
					  const char *type, const char *key, int *ret_line);

/* Appends the types of key that text has for the host, each once, separated by commas, in the file's order. */
void known_hosts_types(LIBSSH2_SESSION *session, const char *text, const char *address, int port,
		       struct str *ret_types);

/* Appends the name under which ssh-keygen and ssh would store the host. */
void known_hosts_name(const char *address, int port, struct str *ret_name);

#endif
