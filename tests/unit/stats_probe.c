/* Answers for tests/unit/stats_against_scipy.py: a line of numbers in, a line of numbers out, by daemon/stats/. */
#include "stats/compare.h"
#include "stats/paired_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS_MAX 2000000

static double numbers[NUMBERS_MAX];
static struct outcome outcomes[2][NUMBERS_MAX / 2];

static size_t read_numbers(char *text)
{
	size_t count = 0;
	for (char *word = strtok(text, " \n"); word != NULL && count < NUMBERS_MAX; word = strtok(NULL, " \n"))
		numbers[count++] = strtod(word, NULL);
	return count;
}

/* "item value item value ..." */
static size_t take_outcomes(const double *from, size_t count, struct outcome *ret)
{
	for (size_t i = 0; i < count / 2; i++)
		ret[i] = (struct outcome){(uint64_t)from[2 * i], from[2 * i + 1]};
	return outcomes_sort(ret, count / 2);
}

static void answer(const char *what, size_t count)
{
	if (strcmp(what, "mcnemar") == 0) {
		printf("%.17g\n", mcnemar_exact((size_t)numbers[0], (size_t)numbers[1]));
	} else if (strcmp(what, "sign_flip") == 0) {
		printf("%.17g\n", sign_flip_test(numbers, count));
	} else if (strcmp(what, "wilson") == 0) {
		struct interval interval = interval_wilson(numbers[0], (size_t)numbers[1]);
		printf("%.17g %.17g\n", interval.lo, interval.hi);
	} else if (strcmp(what, "mean") == 0) {
		size_t kept = take_outcomes(numbers, count, outcomes[0]);
		struct estimate e = estimate_mean(outcomes[0], kept);
		printf("%.17g %.17g %.17g %.17g %zu %zu\n", e.value, e.stderr_, e.ci.lo, e.ci.hi, e.count, e.items);
	} else if (strcmp(what, "independent") == 0) {
		struct comparison c = compare_independent(numbers[0], numbers[1], numbers[2], numbers[3]);
		printf("%.17g %.17g %.17g %.17g %.17g\n", c.difference, c.p, c.ci.lo, c.ci.hi, c.detectable);
	} else if (strcmp(what, "holm") == 0) {
		compare_holm(numbers, count, numbers);
		for (size_t i = 0; i < count; i++)
			printf("%.17g%c", numbers[i], i + 1 < count ? ' ' : '\n');
	} else if (strcmp(what, "compare") == 0) { /* how many numbers are a's, then both */
		size_t of_a = (size_t)numbers[0];
		size_t a = take_outcomes(numbers + 1, of_a, outcomes[0]);
		size_t b = take_outcomes(numbers + 1 + of_a, count - 1 - of_a, outcomes[1]);
		struct comparison c = compare_outcomes(outcomes[0], a, outcomes[1], b);
		printf("%d %.17g %.17g %.17g %.17g %.17g %zu %zu %zu %zu %zu %d\n", (int)c.method, c.difference,
		       c.ci.lo, c.ci.hi, c.p, c.detectable, c.pairs, c.only_a, c.only_b, c.better, c.worse,
		       (int)compare_verdict(&c, c.p));
	} else {
		printf("unknown\n");
	}
	fflush(stdout);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, stdin) > 0) {
		char *rest = strchr(line, ' ');
		if (rest == NULL)
			return 1;
		*rest++ = 0;
		answer(line, read_numbers(rest));
	}
	free(line);
	return 0;
}
