/* In which order the jobs of an evaluation are evaluated where they share a deployment (execution.share_order). */
#ifndef NEL_SERVICE_SHARED_ORDER_H
#define NEL_SERVICE_SHARED_ORDER_H

#include "config/plan/likeness.h"
#include "db/db.h"

/* ret_order has the plan's job_count indices into its jobs: as written, or the shortest first, by what equal runs took
 * that the store has. likeness: of the plan. */
int shared_order_find(struct db *db, const struct eval_plan *plan, const struct likeness *likeness, size_t *ret_order,
		      struct nel_err *err);

#endif
