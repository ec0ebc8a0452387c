/* The scores in a results.yml, as the evaluators of NeMo Evaluator write it. Pure. */
#ifndef NEL_SLURM_SCORES_H
#define NEL_SLURM_SCORES_H

#include "base/err.h"
#include "base/mask.h"
#include "base/score.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCORES_COUNT_MAX 10000 /* further ones are dropped */

struct scores {
	struct score *items;
	size_t count;
	size_t left_out;      /* what was there and could not be read, or is no finite number, or too much */
	char *first_left_out; /* the name of one of them; NULL unknown */
};

void scores_done(struct scores *scores);

/* A sentence about what was left out; the caller frees it. */
char *scores_describe_left_out(const struct scores *scores);

/* How many samples the tasks had together, groups apart; -1: of one it is not said, or there are none. */
int64_t scores_samples(const struct scores *scores);

/* Takes secrets out of the names; each keeps its length. */
void scores_mask(struct scores *scores, const struct mask *mask);

/* Parses results.yml: INVALID when it is not YAML or has no results. NeMo Evaluator writes what its EvaluationResult
 * holds, `results: {tasks: {T: {metrics: {M: {scores: {S: {value, stats: {stderr, count, ...}}}}}}}, groups: {G:
 * {metrics, groups: {...}}}}`; of two groups with one name, within each other or not, the outer one comes last. Without
 * tasks and groups it is read as lm-evaluation-harness's own `results: {T: {"metric,filter": number, ...}}`. A value
 * may be a number as text; entries without a finite value are left out, as is whatever scores_yaml_read() leaves out.
 */
int scores_parse(const char *text, size_t size, struct scores *ret_scores, struct nel_err *err);

#endif
