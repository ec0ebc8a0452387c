/* In which order several jobs are evaluated on one deployment, so that an attempt that is cut off has ended as many as
 * it can. PURE. */
#ifndef NEL_CHAIN_SHORTEST_FIRST_H
#define NEL_CHAIN_SHORTEST_FIRST_H

#include <stddef.h>
#include <stdint.h>

/* durations_s: of each job, 0: not known. ret_order: their indices; the shortest first, equal ones and those that are
 * not known as they are written, the latter behind all others. */
void shortest_first(const int64_t *durations_s, size_t count, size_t *ret_order);

#endif
