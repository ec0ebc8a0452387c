/* One score with what is known of its error: standard errors and 95 % intervals. PURE.
 *
 * Sources: E. B. Wilson, JASA 22 (1927) for proportions; standard errors of repeats are clustered by item as in K.-Y.
 * Liang and S. L. Zeger, Biometrika 73 (1986), with the factor G / (G - 1) for G items. */
#ifndef NEL_STATS_ESTIMATE_H
#define NEL_STATS_ESTIMATE_H

#include "stats/outcomes.h"

#define STATS_Z95 1.959963984540054 /* of the normal distribution, two-sided, 5 % */

/* NAN in both: not known. */
struct interval {
	double lo, hi;
};

struct estimate {
	double value;       /* the mean of all outcomes; NAN without any */
	double stderr_;     /* clustered by item; NAN with fewer than two items */
	struct interval ci; /* Wilson's where each item came once and is 0 or 1, else the normal one */
	size_t count;       /* outcomes */
	size_t items;
};

/* value +- z * stderr; NAN when the standard error is not known. */
struct interval interval_normal(double value, double stderr_);

/* Of `successes` in `count`; needs no standard error, and stays within [0, 1]. */
struct interval interval_wilson(double successes, size_t count);

/* Of a score of which no more is known than its standard error (NAN: not that either) and how many samples it is of
 * (-1: not known). The normal one; where all samples came to 0, or all to 1, and so the error is 0, Wilson's; NAN for
 * other errors of 0. */
struct interval interval_score(double value, double stderr_, int64_t count);

/* Of outcomes that outcomes_sort() has sorted. */
struct estimate estimate_mean(const struct outcome *sorted, size_t count);

#endif
