/* The system's accounts, from wherever nsswitch.conf(5) has them. */
#ifndef NEL_BASE_ACCOUNT_H
#define NEL_BASE_ACCOUNT_H

#include "base/err.h"

#include <sys/types.h>

#define ACCOUNT_NAME_MAX 255

/* NOTFOUND: there is no such account. INTERNAL: it cannot be known now (a directory server is away, say). */
int account_by_uid(uid_t uid, char ret_name[ACCOUNT_NAME_MAX + 1], struct nel_err *err);
int account_by_name(const char *name, uid_t *ret_uid, struct nel_err *err);

#endif
