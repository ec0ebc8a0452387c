#include "chain/walltime_range.h"

static int64_t whole_minutes(int64_t seconds)
{
	return (seconds + 59) / 60 * 60;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* How long an attempt that ends the work would run; 0: not known, also of what takes longer than equal runs did. */
static int64_t needed_s(const struct walltime_facts *facts)
{
	int64_t left_s = facts->equal_s - facts->ran_s;
	if (facts->equal_s <= 0 || left_s <= 0)
		return 0;
	if (facts->ran_s > 0)
		left_s += facts->start_up_s; /* once more */
	return left_s + left_s / 4;
}

struct walltime_range walltime_range_of(const struct walltime_facts *facts)
{
	int64_t budget_s = facts->budget_s / 60 * 60;
	int64_t least_s = facts->start_up_s > 0 ? whole_minutes(2 * facts->start_up_s) : WALLTIME_LEAST_S;
	int64_t needed = whole_minutes(needed_s(facts));
	int64_t most_s = needed == 0 ? budget_s : needed > least_s ? needed : least_s;
	return (struct walltime_range){.least_s = smaller(least_s, budget_s),
				       .most_s = smaller(most_s, budget_s),
				       .start_up_s = facts->start_up_s,
				       .attempts_left = facts->attempts_left};
}
