/* Two jobs' scores compared by the samples that both have. HTTP threads. */
#ifndef NEL_SERVICE_PAIRED_H
#define NEL_SERVICE_PAIRED_H

#include "base/cleanup.h"
#include "db/results.h"
#include "stats/compare.h"

#define PAIRED_ROWS_MAX 2000000 /* samples that one request reads; scores beyond are compared as independent */

/* An item that the two answered differently. */
struct flip {
	int64_t id;      /* as the evaluator counts; -1: it has names */
	size_t a_n, b_n; /* the sample of each job (GET /v1/jobs/ID/samples/N), the first of its repeats */
	double a, b;     /* the means of its repeats */
};

struct flip_list {
	struct flip *items; /* those that got worse first, then by id */
	size_t count;
	size_t more; /* further ones */
};

/* What has been read of the two sides; of each the job that was asked for last. */
struct paired;
struct paired *paired_new(struct db *db);
void paired_free(struct paired *paired); /* accepts NULL */
DEFINE_FREEP(struct paired, paired, paired_free)

/* *ret_found: both have samples of the score: then *ret_comparison is by these, else it is left alone. A column of
 * samples is a score's when it has its name and its mean: what is no mean of its samples (an F1, a BLEU of a corpus)
 * cannot be compared by them. ret_flips (its items are the caller's; NULL: not wanted): at most flips_max. */
int paired_compare(struct paired *paired, const struct result_of_job *a, const struct result_of_job *b,
		   bool lower_is_better, struct comparison *ret_comparison, bool *ret_found, size_t flips_max,
		   struct flip_list *ret_flips, struct nel_err *err);

#endif
