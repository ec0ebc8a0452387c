/* Two runs against each other: is one better, and could it have been seen? PURE. */
#ifndef NEL_STATS_COMPARE_H
#define NEL_STATS_COMPARE_H

#include "stats/estimate.h"

#define COMPARE_ALPHA 0.05
#define COMPARE_PAIRS_MIN 6 /* with fewer no p is below COMPARE_ALPHA: 2 / 2^5 */
/* The smallest difference, in standard errors, that a test at 5 % shows 4 times out of 5: Phi(k - z) + Phi(-k - z) =
 * 0.8. */
#define COMPARE_POWER_80 2.801581787013579

enum compare_method {
	COMPARE_MCNEMAR_EXACT,      /* each item once in either, all 0 or 1 */
	COMPARE_PAIRED_PERMUTATION, /* other values, or repeats, which are averaged by item */
	COMPARE_INDEPENDENT,        /* no pairs: two means with their standard errors */
};
extern const char *const compare_method_names[];

enum compare_verdict {
	COMPARE_BETTER, /* b is */
	COMPARE_WORSE,
	COMPARE_NO_DIFFERENCE_SHOWN,
	COMPARE_INCONCLUSIVE, /* whatever the truth, this could not have shown a difference */
};
extern const char *const compare_verdict_names[];

/* All differences are b - a, over the pairs where there are some. NAN: not known. */
struct comparison {
	enum compare_method method;
	double a, b; /* the means of what is compared */
	double difference;
	struct interval ci;
	double p;
	double detectable; /* the smallest difference that would have been seen with a power of 80 % */
	size_t pairs;
	size_t only_a, only_b; /* items that the other run does not have; they count for nothing */
	size_t better, worse;  /* of the pairs */
};

/* Both sorted by outcomes_sort(). Without pairs: compare_independent() of the two means. */
struct comparison compare_outcomes(const struct outcome *a, size_t a_count, const struct outcome *b, size_t b_count);

/* Two means with standard errors (NAN unknown) of runs that have no item in common. */
struct comparison compare_independent(double a, double a_stderr, double b, double b_stderr);

/* S. Holm, Scandinavian Journal of Statistics 6 (1979): p values of `count` tests, adjusted for being so many. NAN
 * stays and counts as no test. ret_adjusted may be p. */
void compare_holm(const double *p, size_t count, double *ret_adjusted);

/* p_adjusted: from compare_holm(), or the comparison's own p when it is the only one. */
enum compare_verdict compare_verdict(const struct comparison *comparison, double p_adjusted);

#endif
