/* Owns the moment at which a file gets its name. */
#include "db/new_file.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int new_file_make(const char *path, char **ret_temporary, struct nel_err *err)
{
	CLEANUP(mem_freep) char *temporary = mem_printf("%s.XXXXXX", path);
	int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return err_sys(err, NEL_DB, errno, "cannot make a file beside %s", path);
	close(fd);
	*ret_temporary = TAKE(temporary);
	return 0;
}

int new_file_publish(const char *temporary, const char *path, struct nel_err *err)
{
	if (link(temporary, path) != 0)
		return err_sys(err, errno == EEXIST ? NEL_CONFLICT : NEL_DB, errno, "cannot make %s", path);
	unlink(temporary);
	if (file_sync_name(path, err) == 0)
		return 0;
	err->kind = NEL_DB;
	return -1;
}

void new_file_discard(char **temporary)
{
	if (*temporary != NULL)
		unlink(*temporary);
	mem_freep(temporary);
}
