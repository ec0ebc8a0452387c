#include "chain/shortest_first.h"

#include "base/mem.h"

#include <stdlib.h>

struct place {
	int64_t duration_s;
	size_t index;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *left = a;
	const struct place *right = b;
	if (left->duration_s != right->duration_s)
		return left->duration_s < right->duration_s ? -1 : 1;
	return (left->index > right->index) - (left->index < right->index);
}

void shortest_first(const int64_t *durations_s, size_t count, size_t *ret_order)
{
	struct place *places = mem_calloc(count, sizeof *places);
	for (size_t i = 0; i < count; i++)
		places[i] = (struct place){durations_s[i] > 0 ? durations_s[i] : INT64_MAX, i};
	qsort(places, count, sizeof *places, compare_places);
	for (size_t i = 0; i < count; i++)
		ret_order[i] = places[i].index;
	free(places);
}
