/* Table output_dirs: where the run directories of a cluster's evaluations lie. The store adds to it with each
 * evaluation and takes nothing away: run directories outlive the evaluations that are pruned. */
#ifndef NEL_DB_OUTPUT_DIRS_H
#define NEL_DB_OUTPUT_DIRS_H

#include "db/db.h"

/* What one list answers: the last used. */
#define OUTPUT_DIRS_MAX DB_LIST_MAX

/* NULL-terminated; str_list_free(). */
int output_dirs_list(struct db *db, const char *cluster, char ***ret_paths, struct nel_err *err);

/* Is the path one of them, or above one? As they are written; all of them count. path: as str_tidy_path() makes it. */
int output_dirs_have_below(struct db *db, const char *cluster, const char *path, bool *ret_found, struct nel_err *err);

#endif
