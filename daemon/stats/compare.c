#include "stats/compare.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "stats/paired_test.h"

#include <math.h>
#include <stdlib.h>

const char *const compare_method_names[] = {"mcnemar_exact", "paired_permutation", "independent", NULL};
const char *const compare_verdict_names[] = {"better", "worse", "no_difference_shown", "inconclusive", NULL};

/* Where every pair says the same, the spread of the sample tells nothing. What a sample of so many that never showed
 * something leaves possible (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934): its probability is below this,
 * with 97.5 %. */
static double unseen_at_most(size_t count)
{
	return 1 - pow(COMPARE_ALPHA / 2, 1 / (double)count);
}

static void estimate_difference(const double *differences, size_t count, bool binary, struct comparison *comparison)
{
	double mean = 0, squares = 0;
	for (size_t i = 0; i < count; i++)
		mean += differences[i];
	mean /= (double)count;
	for (size_t i = 0; i < count; i++)
		squares += (differences[i] - mean) * (differences[i] - mean);
	comparison->difference = mean;
	if (squares > 0) {
		double stderr_ = sqrt(squares / (double)(count - 1) / (double)count);
		comparison->ci = interval_normal(mean, stderr_);
		comparison->detectable = COMPARE_POWER_80 * stderr_;
	} else if (binary) {
		double rate = unseen_at_most(count);
		comparison->ci.lo = mean == 0 ? -rate : mean > 0 ? 1 - 2 * rate : -1;
		comparison->ci.hi = mean == 0 ? rate : mean > 0 ? 1 : 2 * rate - 1;
		comparison->detectable = fmin(1, COMPARE_POWER_80 * sqrt(rate / (double)count));
	}
}

struct comparison compare_outcomes(const struct outcome *a, size_t a_count, const struct outcome *b, size_t b_count)
{
	CLEANUP(mem_freep) struct outcome *a_items = NULL;
	CLEANUP(mem_freep) struct outcome *b_items = NULL;
	size_t a_found, b_found;
	bool a_binary, b_binary;
	outcomes_by_item(a, a_count, &a_items, &a_found, &a_binary);
	outcomes_by_item(b, b_count, &b_items, &b_found, &b_binary);
	CLEANUP(mem_freep) double *differences = mem_calloc(a_found > 0 ? a_found : 1, sizeof *differences);

	struct comparison found = {.difference = NAN, .ci = {NAN, NAN}, .p = NAN, .detectable = NAN};
	for (size_t i = 0, k = 0; i < a_found || k < b_found;) {
		if (k == b_found || (i < a_found && a_items[i].item < b_items[k].item)) {
			found.only_a++;
			i++;
		} else if (i == a_found || b_items[k].item < a_items[i].item) {
			found.only_b++;
			k++;
		} else {
			double difference = b_items[k].value - a_items[i].value;
			found.a += a_items[i++].value;
			found.b += b_items[k++].value;
			found.better += difference > 0;
			found.worse += difference < 0;
			differences[found.pairs++] = difference;
		}
	}
	if (found.pairs == 0) {
		struct estimate left = estimate_mean(a, a_count), right = estimate_mean(b, b_count);
		struct comparison apart = compare_independent(left.value, left.stderr_, right.value, right.stderr_);
		apart.only_a = found.only_a;
		apart.only_b = found.only_b;
		return apart;
	}
	found.a /= (double)found.pairs;
	found.b /= (double)found.pairs;
	bool binary = a_binary && b_binary;
	found.method = binary ? COMPARE_MCNEMAR_EXACT : COMPARE_PAIRED_PERMUTATION;
	found.p = binary ? mcnemar_exact(found.better, found.worse) : sign_flip_test(differences, found.pairs);
	estimate_difference(differences, found.pairs, binary, &found);
	return found;
}

struct comparison compare_independent(double a, double a_stderr, double b, double b_stderr)
{
	struct comparison found = {.method = COMPARE_INDEPENDENT,
				   .a = a,
				   .b = b,
				   .difference = b - a,
				   .ci = {NAN, NAN},
				   .p = NAN,
				   .detectable = NAN};
	double stderr_ = hypot(a_stderr, b_stderr);
	if (!isfinite(found.difference) || !isfinite(stderr_) || stderr_ <= 0)
		return found;
	found.ci = interval_normal(found.difference, stderr_);
	found.p = erfc(fabs(found.difference) / stderr_ / M_SQRT2);
	found.detectable = COMPARE_POWER_80 * stderr_;
	return found;
}

struct ranked {
	double p;
	size_t place;
};

static int by_p(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;
	return (a->p > b->p) - (a->p < b->p);
}

void compare_holm(const double *p, size_t count, double *ret_adjusted)
{
	CLEANUP(mem_freep) struct ranked *ranked = mem_calloc(count > 0 ? count : 1, sizeof *ranked);
	size_t tests = 0;
	for (size_t i = 0; i < count; i++) {
		if (!isnan(p[i]))
			ranked[tests++] = (struct ranked){p[i], i};
		ret_adjusted[i] = p[i];
	}
	if (tests > 0)
		qsort(ranked, tests, sizeof *ranked, by_p);
	double least = 0;
	for (size_t i = 0; i < tests; i++) {
		least = fmax(least, fmin(1, ranked[i].p * (double)(tests - i)));
		ret_adjusted[ranked[i].place] = least;
	}
}

enum compare_verdict compare_verdict(const struct comparison *comparison, double p_adjusted)
{
	bool too_few = comparison->method != COMPARE_INDEPENDENT && comparison->pairs < COMPARE_PAIRS_MIN;
	if (isnan(p_adjusted) || too_few)
		return COMPARE_INCONCLUSIVE;
	if (p_adjusted > COMPARE_ALPHA)
		return COMPARE_NO_DIFFERENCE_SHOWN;
	return comparison->difference > 0 ? COMPARE_BETTER : COMPARE_WORSE;
}
