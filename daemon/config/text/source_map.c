/* The places of a document's nodes: a hash table from JSON pointer to line and column. */
#include "config/text/source_map.h"

#include "base/mem.h"

#include <string.h>
#include <uthash.h>

/* Longer pointers are not kept (their nearest ancestor's place is given), so that a text of deep long keys does not
 * cost many times its size. */
#define POINTER_BYTES_MAX 512

struct place {
	UT_hash_handle hh;
	int line;
	int column;
	char pointer[];
};

struct source_map {
	struct place *places;
};

struct source_map *source_map_new(void)
{
	return mem_calloc(1, sizeof(struct source_map));
}

void source_map_free(struct source_map *map)
{
	if (map == NULL)
		return;
	struct place *place = map->places;
	HASH_CLEAR(hh, map->places);
	while (place != NULL) {
		struct place *next = place->hh.next;
		free(place);
		place = next;
	}
	free(map);
}

void source_map_put(struct source_map *map, const char *pointer, int line, int column)
{
	size_t size = strlen(pointer);
	if (size > POINTER_BYTES_MAX)
		return;
	struct place *place = NULL;
	unsigned hash = 0;
	HASH_VALUE(pointer, size, hash);
	HASH_FIND_BYHASHVALUE(hh, map->places, pointer, size, hash, place);
	if (place == NULL) {
		place = mem_calloc(1, sizeof *place + size + 1);
		memcpy(place->pointer, pointer, size + 1);
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, map->places, place->pointer, size, hash, place);
	}
	place->line = line;
	place->column = column;
}

static struct place *place_of(const struct source_map *map, const char *pointer, size_t size)
{
	struct place *place = NULL;
	if (size <= POINTER_BYTES_MAX)
		HASH_FIND(hh, map->places, pointer, size, place);
	return place;
}

bool source_map_has(const struct source_map *map, const char *pointer)
{
	return map != NULL && place_of(map, pointer, strlen(pointer)) != NULL;
}

bool source_map_find(const struct source_map *map, const char *pointer, int *ret_line, int *ret_column)
{
	*ret_line = 0;
	*ret_column = 0;
	if (map == NULL)
		return false;
	size_t size = strlen(pointer);
	for (;;) {
		const struct place *place = place_of(map, pointer, size);
		if (place != NULL) {
			*ret_line = place->line;
			*ret_column = place->column;
			return true;
		}
		if (size == 0)
			return false;
		do
			size--;
		while (size > 0 && pointer[size] != '/');
	}
}

/* Where a place below the list is now; NULL: it is gone. size: of the list's pointer. */
static char *renumbered(const char *pointer, size_t size, const int *new_index, size_t count)
{
	char *rest = NULL;
	unsigned long long index = strtoull(pointer + size + 1, &rest, 10);
	if (index >= count || new_index[index] < 0)
		return NULL;
	return mem_printf("%.*s/%d%s", (int)size, pointer, new_index[index], rest);
}

void source_map_renumber(struct source_map *map, const char *pointer, const int *new_index, size_t count)
{
	if (map == NULL)
		return;
	struct source_map old = *map;
	size_t size = strlen(pointer);
	map->places = NULL;
	struct place *place = NULL;
	struct place *next = NULL;
	HASH_ITER(hh, old.places, place, next) {
		bool below = strncmp(place->pointer, pointer, size) == 0 && place->pointer[size] == '/';
		CLEANUP(mem_freep)
		char *now = below ? renumbered(place->pointer, size, new_index, count) : mem_strdup(place->pointer);
		if (now != NULL)
			source_map_put(map, now, place->line, place->column);
		HASH_DEL(old.places, place);
		free(place);
	}
}
