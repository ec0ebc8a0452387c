/* Owns the table output_dirs. */
#include "db/output_dirs.h"

#include "base/mem.h"
#include "base/str_list.h"
#include "db/statement.h"

#include <stdlib.h>
#include <string.h>

static struct statement newest = {
    .sql = "SELECT path FROM output_dirs WHERE cluster = ? ORDER BY used_seq DESC LIMIT ?",
};

int output_dirs_list(struct db *db, const char *cluster, char ***ret_paths, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &newest);
	query_bind_text(&q, cluster);
	query_bind_int(&q, OUTPUT_DIRS_MAX);
	CLEANUP(str_list_freep) char **paths = mem_calloc(OUTPUT_DIRS_MAX + 1, sizeof *paths);
	for (size_t count = 0; count < OUTPUT_DIRS_MAX && query_next(&q, err); count++)
		paths[count] = query_text(&q);
	if (query_failed(&q))
		return -1;
	*ret_paths = TAKE(paths);
	return 0;
}

/* '0' is what follows '/'. */
static struct statement below = {
    .sql = "SELECT 1 FROM output_dirs WHERE cluster = ?1 AND (path = ?2 OR (path > ?3 || '/' AND path < ?3 || '0'))"
	   " LIMIT 1",
};

int output_dirs_have_below(struct db *db, const char *cluster, const char *path, bool *ret_found, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &below);
	query_bind_text(&q, cluster);
	query_bind_text(&q, path);
	query_bind_text(&q, strcmp(path, "/") == 0 ? "" : path);
	return query_step(&q, ret_found, err);
}

struct statement *const output_dirs_statements[] = {&newest, &below, NULL};
