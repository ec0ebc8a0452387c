/* Where each node of a parsed document stands in its text: JSON pointer -> line and column. */
#ifndef NEL_CONFIG_TEXT_SOURCE_MAP_H
#define NEL_CONFIG_TEXT_SOURCE_MAP_H

#include "base/cleanup.h"

#include <stdbool.h>

struct source_map;

struct source_map *source_map_new(void);
void source_map_free(struct source_map *map); /* accepts NULL */
DEFINE_FREEP(struct source_map, source_map, source_map_free)

/* Records the place of a node (for a mapping's member: of its key). */
void source_map_put(struct source_map *map, const char *pointer, int line, int column);

/* The place of pointer or, when it is not in the text, of its nearest ancestor that is; false (and 0, 0) when none is
 * or map is NULL. */
bool source_map_find(const struct source_map *map, const char *pointer, int *ret_line, int *ret_column);

/* Is pointer itself in the text? false when map is NULL. */
bool source_map_has(const struct source_map *map, const char *pointer);

/* After elements of the list at `pointer` were taken out: element i (of count) is now at new_index[i], or gone (-1). */
void source_map_renumber(struct source_map *map, const char *pointer, const int *new_index, size_t count);

#endif
