#include "stats/outcomes.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static int by_item(const void *left, const void *right)
{
	const struct outcome *a = left, *b = right;
	if (a->item != b->item)
		return a->item < b->item ? -1 : 1;
	/* Repeats in one order, too, so that a sum never depends on the order in which they came. */
	return (a->value > b->value) - (a->value < b->value);
}

size_t outcomes_sort(struct outcome *outcomes, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (isfinite(outcomes[i].value))
			outcomes[kept++] = outcomes[i];
	if (kept > 0)
		qsort(outcomes, kept, sizeof *outcomes, by_item);
	return kept;
}

void outcomes_by_item(const struct outcome *sorted, size_t count, struct outcome **ret_items, size_t *ret_count,
		      bool *ret_binary)
{
	struct outcome *items = mem_calloc(count > 0 ? count : 1, sizeof *items);
	size_t found = 0;
	bool binary = true;
	for (size_t begin = 0, end; begin < count; begin = end) {
		double sum = 0;
		for (end = begin; end < count && sorted[end].item == sorted[begin].item; end++)
			sum += sorted[end].value;
		items[found++] = (struct outcome){sorted[begin].item, sum / (double)(end - begin)};
		binary = binary && end - begin == 1 && (sum == 0 || sum == 1);
	}
	*ret_items = items;
	*ret_count = found;
	*ret_binary = binary;
}
