#include "chain/budget.h"

#include <string.h>

#define FAST_FAILURE_S 120

int64_t budget_next_time_limit(int64_t walltime_s, int64_t limit_s, int64_t used_s)
{
	if (limit_s < 0)
		return walltime_s;
	int64_t left_s = limit_s - used_s;
	if (left_s < BUDGET_MIN_S)
		return 0;
	int64_t granted_s = (walltime_s + 59) / 60 * 60; /* what Slurm makes of it */
	return left_s >= granted_s ? walltime_s : left_s / 60 * 60;
}

int64_t backoff_s(int failures, int64_t base_s, int64_t max_s, uint32_t random)
{
	if (failures <= 0)
		return 0;
	int64_t delay_s = base_s;
	for (int i = 1; i < failures && delay_s < max_s; i++)
		delay_s *= 2;
	if (delay_s > max_s)
		delay_s = max_s;
	int64_t spread_s = delay_s / 4;
	return delay_s - (spread_s > 0 ? (int64_t)(random % (uint32_t)(spread_s + 1)) : 0);
}

bool backoff_is_fast_failure(const char *slurm_state, int64_t elapsed_s)
{
	return elapsed_s < FAST_FAILURE_S && strcmp(slurm_state, "TIMEOUT") != 0;
}
