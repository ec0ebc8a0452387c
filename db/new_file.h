/* Internal to db/: files that appear under their name at once, complete, and readable by the owner alone. */
#ifndef NEL_DB_NEW_FILE_H
#define NEL_DB_NEW_FILE_H

#include "base/err.h"

/* Makes an empty file (0600) beside path, under a name of its own, and leaves it closed: closing any descriptor of a
 * database drops the process's locks on it (https://www.sqlite.org/howtocorrupt.html, section 2.2), so nobody may know
 * the file by then. *ret_temporary: its name; new_file_discard() removes it. */
int new_file_make(const char *path, char **ret_temporary, struct nel_err *err);

/* Gives the file the name path, durably. CONFLICT when path exists; then nothing is changed. */
int new_file_publish(const char *temporary, const char *path, struct nel_err *err);

/* Removes the temporary name if it is still there, and frees it; for CLEANUP. */
void new_file_discard(char **temporary);

#endif
