/* OpenSSH's user certificates (PROTOCOL.certkeys): which one is of use, said before anything is connected to. */
#ifndef NEL_SSH_CERTIFICATE_H
#define NEL_SSH_CERTIFICATE_H

#include "base/err.h"

#include <stdint.h>

/* Reads the certificate at path, as ssh-keygen -s writes it. DENIED when it cannot be read, is none of a user's, is not
 * valid at that time (UTC epoch), or is of a type that the libssh2 here cannot log in with. *ret_line: without its
 * line's end; free(). */
int certificate_load(const char *path, int64_t now_s, char **ret_line, struct nel_err *err);

#endif
