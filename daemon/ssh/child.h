/* Programs that the settings name, as children of the daemon: each in a process group of its own, with no descriptor
 * but its standard ones, no signal blocked or ignored, and little of the daemon's environment. */
#ifndef NEL_SSH_CHILD_H
#define NEL_SSH_CHILD_H

#include "base/err.h"

#include <sys/types.h>

/* A descriptor above the standard ones, close-on-exec, in the place of fd, which is closed: so that none is overwritten
 * in the child while it is still needed. -1 with errno. */
int child_above_standard(int fd);

/* Starts argv (argv[0] is a path), with those descriptors (all above the standard ones) as its standard input, output
 * and error. Of the daemon's environment it gets PATH, HOME, USER, LOGNAME, LANG, LC_ALL, TZ, TMPDIR, SSH_AUTH_SOCK,
 * KRB5CCNAME and KRB5_CONFIG, and besides these `more` ("NAME=value", NULL-terminated, or NULL). 0 or an errno. */
int child_start(const char *const argv[], int in, int out, int diag, const char *const more[], pid_t *ret_pid);

/* Ends the whole process group and reaps the child: SIGTERM, then after a quarter of a second SIGKILL. *ret_status (or
 * NULL) is as waitpid(2) has it. */
void child_stop(pid_t pid, int *ret_status);

#endif
