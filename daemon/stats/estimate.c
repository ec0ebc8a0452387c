#include "stats/estimate.h"

#include <math.h>

struct interval interval_normal(double value, double stderr_)
{
	if (!isfinite(value) || !isfinite(stderr_) || stderr_ < 0)
		return (struct interval){NAN, NAN};
	return (struct interval){value - STATS_Z95 * stderr_, value + STATS_Z95 * stderr_};
}

struct interval interval_wilson(double successes, size_t count)
{
	if (count == 0 || !(successes >= 0 && successes <= (double)count))
		return (struct interval){NAN, NAN};
	double n = (double)count, p = successes / n, z2 = STATS_Z95 * STATS_Z95;
	double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
	double half = STATS_Z95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
	/* At the ends it is exactly 0 or 1; rounding must not make it less sure than that. */
	return (struct interval){successes == 0 ? 0 : fmax(0, middle - half),
				 successes == n ? 1 : fmin(1, middle + half)};
}

struct interval interval_score(double value, double stderr_, int64_t count)
{
	if (stderr_ > 0)
		return interval_normal(value, stderr_);
	if (stderr_ == 0 && count > 0 && (value == 0 || value == 1))
		return interval_wilson(value * (double)count, (size_t)count);
	return (struct interval){NAN, NAN};
}

struct estimate estimate_mean(const struct outcome *sorted, size_t count)
{
	struct estimate estimate = {.value = NAN, .stderr_ = NAN, .ci = {NAN, NAN}, .count = count};
	if (count == 0)
		return estimate;
	double sum = 0;
	bool binary = true;
	for (size_t i = 0; i < count; i++) {
		sum += sorted[i].value;
		binary = binary && (sorted[i].value == 0 || sorted[i].value == 1);
	}
	estimate.value = sum / (double)count;
	double squares = 0;
	for (size_t begin = 0, end; begin < count; begin = end) {
		double deviation = 0;
		for (end = begin; end < count && sorted[end].item == sorted[begin].item; end++)
			deviation += sorted[end].value - estimate.value;
		squares += deviation * deviation;
		estimate.items++;
	}
	if (estimate.items > 1) {
		double items = (double)estimate.items;
		estimate.stderr_ = sqrt(squares * items / (items - 1)) / (double)count;
	}
	if (binary && estimate.items == count)
		estimate.ci = interval_wilson(sum, count);
	else
		estimate.ci = interval_normal(estimate.value, estimate.stderr_);
	return estimate;
}
