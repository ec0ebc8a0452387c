/* credential_command of the settings: a program that hands out a private key and its certificate, as a site's authority
 * gives them for a while. Both stay in memory. */
#ifndef NEL_SSH_CREDENTIAL_COMMAND_H
#define NEL_SSH_CREDENTIAL_COMMAND_H

#include "ssh/certificate.h"

#include <stddef.h>

#define CREDENTIAL_OUTPUT_MAX (64 * 1024) /* bytes of its standard output */

/* All borrowed. */
struct credential_order {
	const char *const *argv; /* NULL-terminated; argv[0] is a path */
	const char *cluster;     /* it is told: NEL_CLUSTER, NEL_HOSTNAME, NEL_USERNAME */
	const char *hostname;
	const char *username;
	int64_t timeout_ms;
	const volatile bool *stop; /* ends it when it becomes true; NULL: never */
};

/* Zeroed: none. */
struct credential {
	char *key; /* NUL-terminated text in locked memory */
	size_t key_size;
	struct certificate certificate;
};

void credential_done(struct credential *credential); /* wipes */

/* Runs it to its end, on the calling thread: no shell, no input, the environment of child_start(). What it writes to
 * standard output has to be a private key in OpenSSH's or PEM format without a passphrase, and after it a line with a
 * user certificate of that key, both of use here now. DENIED with the reason, which has the end of its standard error,
 * without anything of the key; REMOTE with sys ECANCELED when *stop became true. Whatever it started is ended with it.
 */
int credential_command_run(const struct credential_order *order, struct credential *ret_credential,
			   struct nel_err *err);

#endif
