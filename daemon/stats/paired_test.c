#include "stats/paired_test.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* What rounding may make of two sums that are equal, as a part of the sum of all sizes. */
#define TIE 1e-12

double mcnemar_exact(size_t better, size_t worse)
{
	size_t fewer = better < worse ? better : worse, n = better + worse;
	if (better == worse)
		return 1;
	/* P(X <= fewer), X binomial (n, 1/2): the terms downwards from the greatest, each from the one before. */
	double term = exp(lgamma((double)n + 1) - lgamma((double)fewer + 1) - lgamma((double)(n - fewer) + 1) -
			  (double)n * M_LN2);
	double sum = 0;
	for (size_t k = fewer;; k--) {
		sum += term;
		if (k == 0 || term < sum * 1e-17)
			break;
		term *= (double)k / (double)(n - k + 1);
	}
	return fmin(1, 2 * sum);
}

uint64_t sign_flip_word(uint64_t index)
{
	uint64_t z = SIGN_FLIP_SEED + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

size_t sign_flip_tries(size_t count)
{
	size_t tries = SIGN_FLIP_WORK / (count > 0 ? count : 1) / 8 * 8;
	if (tries < SIGN_FLIP_TRIES_MIN)
		return SIGN_FLIP_TRIES_MIN;
	return tries > SIGN_FLIP_TRIES ? SIGN_FLIP_TRIES : tries;
}

/* The sums of all signs of so few values; ret_sums has 2^count of them. */
static void list_sums(const double *values, size_t count, double *ret_sums)
{
	ret_sums[0] = 0;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < (size_t)1 << i; k++) {
			ret_sums[k + ((size_t)1 << i)] = ret_sums[k] - values[i];
			ret_sums[k] += values[i];
		}
}

static double try_all(const double *values, size_t count, double threshold)
{
	/* In two halves, so that each sum is one addition. */
	double low[1 << (SIGN_FLIP_EXACT_MAX / 2)], high[1 << (SIGN_FLIP_EXACT_MAX - SIGN_FLIP_EXACT_MAX / 2)];
	size_t half = count / 2, extreme = 0;
	list_sums(values, half, low);
	list_sums(values + half, count - half, high);
	for (size_t i = 0; i < (size_t)1 << half; i++)
		for (size_t k = 0; k < (size_t)1 << (count - half); k++)
			extreme += fabs(low[i] + high[k]) >= threshold;
	return (double)extreme / (double)((size_t)1 << count);
}

/* Eight differences at once: what each of their 256 combinations of signs adds is worked out once for all tries. */
static double try_random(const double *values, size_t count, double threshold)
{
	size_t tries = sign_flip_tries(count), extreme = 0;
	CLEANUP(mem_freep) double *sums = mem_calloc(tries, sizeof *sums);
	uint64_t index = 0;
	for (size_t begin = 0; begin < count; begin += 8) {
		double by_signs[256];
		list_sums(values + begin, count - begin < 8 ? count - begin : 8, by_signs);
		for (size_t done = count - begin; done < 8; done++) /* the last ones: further signs change nothing */
			memcpy(by_signs + ((size_t)1 << done), by_signs, sizeof *by_signs << done);
		for (size_t k = 0; k < tries; k += 8) {
			uint64_t signs = sign_flip_word(index++);
			for (size_t r = 0; r < 8; r++)
				sums[k + r] += by_signs[signs >> 8 * r & 0xff];
		}
	}
	for (size_t k = 0; k < tries; k++)
		extreme += fabs(sums[k]) >= threshold;
	return (double)(extreme + 1) / (double)(tries + 1);
}

double sign_flip_test(const double *differences, size_t count)
{
	if (count == 0)
		return NAN;
	CLEANUP(mem_freep) double *values = mem_calloc(count, sizeof *values);
	double sum = 0, size = 0;
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		sum += differences[i];
		size += fabs(differences[i]);
		if (differences[i] != 0)
			values[used++] = differences[i];
	}
	double threshold = fabs(sum) - TIE * size;
	return used <= SIGN_FLIP_EXACT_MAX ? try_all(values, used, threshold) : try_random(values, used, threshold);
}
