/* Who works on a database: two daemons on one would both move chains, and a change of the master key wants it alone. */
#ifndef NEL_DATABASE_LOCK_H
#define NEL_DATABASE_LOCK_H

#include "base/err.h"

/* Held until *ret_fd is closed. CONFLICT when another process has it. */
int database_lock(const char *database, int *ret_fd, struct nel_err *err);

#endif
