/* Checks of a server's host key against a known_hosts file, as ssh(1) with StrictHostKeyChecking=yes. */
#ifndef NEL_SSH_HOST_KEY_H
#define NEL_SSH_HOST_KEY_H

#include "base/err.h"

#include <libssh2.h>

/* After the handshake. DENIED when the key is unknown or changed: the message has the file, the key's SHA256
 * fingerprint and the known_hosts line to add (or the line number to replace). Hashed entries ("|1|") and @revoked are
 * understood. */
int host_key_check(LIBSSH2_SESSION *session, const char *known_hosts_file, const char *address, int port,
		   struct nel_err *err);

/* Before the handshake: makes libssh2 ask the server for a key type that known_hosts has for it, so that a server with
 * several keys is not refused for showing another one. */
int host_key_prefer_known(LIBSSH2_SESSION *session, const char *known_hosts_file, const char *address, int port,
			  struct nel_err *err);

/* Without a connection: has the file any key for the host? DENIED when not: the message says how to get one. */
int host_key_check_listed(const char *known_hosts_file, const char *address, int port, struct nel_err *err);

#endif
