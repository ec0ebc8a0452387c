#include "base/account.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ENTRY_SIZE_MAX (1024 * 1024)

/* getpwnam_r(3): what means that there is none is not the same everywhere. */
static bool means_none(int sys)
{
	return sys == 0 || sys == ENOENT || sys == ESRCH || sys == EBADF || sys == EPERM;
}

/* By name, or when that is NULL by uid; *entry points into *buf, which is the caller's (free()). */
static int find(const char *name, uid_t uid, struct passwd *entry, char **buf, struct nel_err *err)
{
	struct passwd *found = NULL;
	int sys = ERANGE;
	for (size_t size = 4096; sys == ERANGE && size <= ENTRY_SIZE_MAX; size *= 2) {
		free(*buf);
		*buf = mem_calloc(size, 1);
		do {
			sys = name != NULL ? getpwnam_r(name, entry, *buf, size, &found)
					   : getpwuid_r(uid, entry, *buf, size, &found);
		} while (sys == EINTR);
	}
	if (found != NULL)
		return 0;
	char which[64];
	snprintf(which, sizeof which, "with uid %u", (unsigned)uid);
	if (name != NULL)
		snprintf(which, sizeof which, "%.50s", name);
	if (means_none(sys))
		return err_set(err, NEL_NOTFOUND, "there is no account %s here", which);
	return err_sys(err, NEL_INTERNAL, sys, "whether there is an account %s cannot be known now", which);
}

int account_by_uid(uid_t uid, char ret_name[ACCOUNT_NAME_MAX + 1], struct nel_err *err)
{
	CLEANUP(mem_freep) char *buf = NULL;
	struct passwd entry;
	if (find(NULL, uid, &entry, &buf, err) != 0)
		return -1;
	if (strlen(entry.pw_name) > ACCOUNT_NAME_MAX)
		return err_set(err, NEL_NOTFOUND, "the account with uid %u has too long a name", (unsigned)uid);
	memcpy(ret_name, entry.pw_name, strlen(entry.pw_name) + 1);
	return 0;
}

int account_by_name(const char *name, uid_t *ret_uid, struct nel_err *err)
{
	CLEANUP(mem_freep) char *buf = NULL;
	struct passwd entry;
	if (find(name, 0, &entry, &buf, err) != 0)
		return -1;
	*ret_uid = entry.pw_uid;
	return 0;
}
