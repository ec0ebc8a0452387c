#include "service/shared_order.h"

#include "base/mem.h"
#include "chain/shortest_first.h"
#include "db/likenesses.h"

int shared_order_find(struct db *db, const struct eval_plan *plan, const struct likeness *likeness, size_t *ret_order,
		      struct nel_err *err)
{
	CLEANUP(mem_freep) int64_t *durations_s = mem_calloc(plan->job_count, sizeof *durations_s);
	if (plan->share_order == SHARE_SHORTEST_FIRST)
		for (size_t i = 0; i < plan->job_count; i++)
			if (likenesses_duration(db, plan->jobs[i].task, likeness->jobs[i].subject.hash,
						likeness->jobs[i].protocol.hash, &durations_s[i], err) != 0)
				return -1;
	shortest_first(durations_s, plan->job_count, ret_order);
	return 0;
}
