#include "db/commit_mark.h"

#include <stddef.h>
#include <string.h>

#define FORMAT_VERSION 3007000 /* of the WAL index, since SQLite 3.7.0 */
#define REGION_BYTES 32768     /* SQLite maps the index by so many */

/* The index as the connection has it mapped; NULL when it has not. */
static const volatile uint32_t *find_index(sqlite3 *sqlite)
{
	sqlite3_file *file = NULL;
	volatile void *index = NULL;
	if (sqlite3_file_control(sqlite, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || file == NULL ||
	    file->pMethods == NULL || file->pMethods->iVersion < 2 || file->pMethods->xShmMap == NULL ||
	    file->pMethods->xShmMap(file, 0, REGION_BYTES, 0, &index) != SQLITE_OK)
		return NULL;
	return index;
}

static void copy(const volatile uint32_t *from, uint32_t to[COMMIT_MARK_WORDS])
{
	for (size_t i = 0; i < COMMIT_MARK_WORDS; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
}

struct commit_mark commit_mark_read(sqlite3 *sqlite, const volatile uint32_t **index)
{
	static const struct commit_mark unknown;
	struct commit_mark mark = {0};
	struct commit_mark again = {0};
	if (*index == NULL)
		*index = find_index(sqlite);
	if (*index == NULL)
		return unknown;
	/* The header is there twice. Who commits writes the second one first. */
	copy(*index, mark.words);
	copy(*index + COMMIT_MARK_WORDS, again.words);
	bool whole = memcmp(&mark, &again, sizeof mark) == 0 && mark.words[0] == FORMAT_VERSION;
	return whole ? mark : unknown;
}

bool commit_mark_equal(const struct commit_mark *a, const struct commit_mark *b)
{
	return a->words[0] != 0 && memcmp(a, b, sizeof *a) == 0;
}
