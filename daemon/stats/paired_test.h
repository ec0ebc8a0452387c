/* Tests of paired outcomes: how likely are differences at least as great as these, if none of the two were better? All
 * are two-sided. PURE. */
#ifndef NEL_STATS_PAIRED_TEST_H
#define NEL_STATS_PAIRED_TEST_H

#include <stddef.h>
#include <stdint.h>

#define SIGN_FLIP_EXACT_MAX 20 /* with so many differences that are not 0, all of their signs are tried */
#define SIGN_FLIP_SEED UINT64_C(0x6e656c2d736c7264) /* of the others' random signs; see sign_flip_word() */
#define SIGN_FLIP_TRIES 20000                       /* a multiple of 8; fewer where that would be more than: */
#define SIGN_FLIP_WORK 1000000000                   /* signs in all */
#define SIGN_FLIP_TRIES_MIN 2000

/* McNemar's test, exact (binomial): of the items that the two answered differently, `better` and `worse`. Q. McNemar,
 * Psychometrika 12 (1947). 1 when there are none. */
double mcnemar_exact(size_t better, size_t worse);

/* The permutation test of paired differences (R. A. Fisher, The Design of Experiments, 1935): each sign is as likely as
 * the other. With at most SIGN_FLIP_EXACT_MAX that are not 0, all are tried; else sign_flip_tries() random ones, always
 * the same, and p = (1 + those as extreme) / (1 + all). NAN when there are no differences at all. */
double sign_flip_test(const double *differences, size_t count);

/* How many random signs are tried for so many differences that are not 0. */
size_t sign_flip_tries(size_t count);

/* The word `index` of the sequence of signs: SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014). Bit i of byte
 * r of word `group * (tries / 8) + k` is the sign, 1 for minus, of difference 8 * group + i in try 8 * k + r. */
uint64_t sign_flip_word(uint64_t index);

#endif
