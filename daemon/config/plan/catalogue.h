/* The task catalogue: which harness and container run a task. Immutable once loaded, so threads may share it. */
#ifndef NEL_CONFIG_PLAN_CATALOGUE_H
#define NEL_CONFIG_PLAN_CATALOGUE_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>

struct catalogue_task {
	char *harness;
	char *task;
	char *container;
	char **endpoint_types; /* the default first; NULL-terminated */
};

struct catalogue;

/* From a tab-separated file (harness, task, image, endpoint types separated by commas; '#' starts a comment line).
 * path NULL: the built-in one. */
int catalogue_load(const char *path, struct catalogue **ret_catalogue, struct nel_err *err);
void catalogue_free(struct catalogue *catalogue);
DEFINE_FREEP(struct catalogue, catalogue, catalogue_free)

size_t catalogue_count(const struct catalogue *catalogue);
const struct catalogue_task *catalogue_at(const struct catalogue *catalogue, size_t index); /* file order */

enum catalogue_match {
	CATALOGUE_FOUND,         /* *ret_task is the one */
	CATALOGUE_AMBIGUOUS,     /* several harnesses have it: *ret_task is the first; the caller lists them */
	CATALOGUE_HARNESS_KNOWN, /* "harness.task": the harness is there, the task is not: *ret_task lends its container
				  */
	CATALOGUE_UNKNOWN
};

/* Looks up "task" or "harness.task". */
enum catalogue_match catalogue_find(const struct catalogue *catalogue, const char *name,
				    const struct catalogue_task **ret_task);

#endif
