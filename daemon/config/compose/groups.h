/* Config groups: finding and reading their files, the site's before those that the program carries. */
#ifndef NEL_CONFIG_COMPOSE_GROUPS_H
#define NEL_CONFIG_COMPOSE_GROUPS_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>

#define GROUP_FILE_BYTES_MAX (1024 * 1024)
#define GROUP_OPTIONS_MAX 1000

struct group_file {
	json_t *config; /* an object, with its `defaults` if it has any */
	char *package;  /* of the `# @package` header, or NULL */
};

void group_file_done(struct group_file *file);

/* Is `group` ("deployment", "execution/slurm") a folder of group files? dir is the site's folder, or NULL. */
bool groups_exist(const char *dir, const char *group);

/* Is the file ("execution/slurm/default", without ".yaml") one of the site's own? */
bool groups_is_site_file(const char *dir, const char *path);

/* Reads a group's file. -1: NOTFOUND when there is none, INVALID (with file, line and column in the message) when its
 * name or its text is wrong. */
int groups_load(const char *dir, const char *path, struct group_file *ret_file, struct nel_err *err);

/* The options of a group, those in its subfolders included ("slurm/default"): a sorted array, NULL-terminated; free
 * with str_list_free(). */
char **groups_options(const char *dir, const char *group);

#endif
