/* execution.walltime: auto. Between which lengths an attempt's time limit is chosen; which of them it is, is said by
 * the cluster when the attempt is submitted. PURE. */
#ifndef NEL_CHAIN_WALLTIME_RANGE_H
#define NEL_CHAIN_WALLTIME_RANGE_H

#include <stdint.h>

/* The shortest where nobody knows how long the servers take to start. */
#define WALLTIME_LEAST_S 1800

/* Whole minutes, Slurm's own grain; most_s 0: nothing is to be chosen. */
struct walltime_range {
	int64_t least_s;
	int64_t most_s;
	int64_t start_up_s;    /* of the servers, which each attempt has before it works; 0: not known */
	int64_t attempts_left; /* with this one; 0: as many as it takes */
};

/* What is known of the work that is left. */
struct walltime_facts {
	int64_t budget_s;   /* for this attempt: budget_next_time_limit(), so at least BUDGET_MIN_S */
	int64_t start_up_s; /* 0: not known */
	int64_t equal_s;    /* what runs equal to it took, their p90; 0: there are none */
	int64_t ran_s;      /* what it ran already, all attempts together */
	int64_t attempts_left;
};

/* Twice the start-up at least, so that half of an attempt is work; and so long at most that the work that is left ends
 * in it, with a quarter to spare. Both give way to the budget. */
struct walltime_range walltime_range_of(const struct walltime_facts *facts);

#endif
