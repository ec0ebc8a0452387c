/* Scores as a matrix: a row a model, a column a task, and what is unlike in rows and columns of its own; which score
 * stands for a task; the matrix as JSON and CSV. Pure. */
#ifndef NEL_API_V1_MATRIX_H
#define NEL_API_V1_MATRIX_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json_out.h"
#include "base/str.h"
#include "db/results.h"

#define MATRIX_CELLS_MAX 1000000

struct matrix;

/* Makes a matrix of what results_newest() answered, which must outlive it. A model has a row for each of its subjects,
 * a task a column for each protocol, all with the metric and score that most have for it, of several the first by name.
 * baseline NULL: none; of its rows the one with the newest job. INVALID when no score is the baseline's, or there are
 * more than MATRIX_CELLS_MAX cells. */
int matrix_new(struct db *db, const struct result_of_job_list *list, const char *baseline, struct matrix **ret_matrix,
	       struct nel_err *err);
void matrix_free(struct matrix *matrix); /* accepts NULL */
DEFINE_FREEP(struct matrix, matrix, matrix_free)

void matrix_render(struct json_out *out, const struct matrix *matrix); /* schema ScoreMatrix */
void matrix_render_csv(struct str *s, const struct matrix *matrix);    /* a heading, then a line a row */

#endif
