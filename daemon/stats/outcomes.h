/* What an evaluation's samples came to: a list of outcomes, and the same with repeats of an item taken together. PURE.
 */
#ifndef NEL_STATS_OUTCOMES_H
#define NEL_STATS_OUTCOMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outcome {
	uint64_t item; /* one number for a sample's id and content: equal in two runs that asked the same */
	double value;  /* of one metric; NAN: the evaluator gave none, and it is left out everywhere */
};

/* Sorts by item, which everything else in this folder wants; what has no finite value goes. Returns how many are left.
 */
size_t outcomes_sort(struct outcome *outcomes, size_t count);

/* Items in order, each with the mean of its repeats. The caller frees *ret_items. ret_binary: each item came once, and
 * every value is 0 or 1. */
void outcomes_by_item(const struct outcome *sorted, size_t count, struct outcome **ret_items, size_t *ret_count,
		      bool *ret_binary);

#endif
