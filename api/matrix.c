/* Owns the choice of columns and the cells of a matrix of scores. */
#include "api/matrix.h"

#include "api/csv_out.h"
#include "api/json_out.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* A task's column; the texts are the list's. */
struct column {
	const char *task;
	bool group;
	const char *metric;
	const char *score;
};

struct matrix {
	const struct result_of_job *items;
	const char **models; /* by name, as the list has them */
	size_t model_count;
	struct column *columns; /* tasks by name, then groups */
	size_t column_count;
	const struct result_of_job **cells; /* a row a model; NULL: the model has no such score */
	const char *baseline;               /* NULL: none */
	size_t baseline_row;
};

void matrix_free(struct matrix *matrix)
{
	if (matrix == NULL)
		return;
	free(matrix->models);
	free(matrix->columns);
	free(matrix->cells);
	free(matrix);
}

static int compare_task(bool group, const char *task, bool other_group, const char *other_task)
{
	return group != other_group ? (int)group - (int)other_group : strcmp(task, other_task);
}

/* By group, task, metric and score, so that equal ones stand together. */
static int compare_rows(const void *a, const void *b)
{
	const struct result_row *x = &(*(const struct result_of_job *const *)a)->row;
	const struct result_row *y = &(*(const struct result_of_job *const *)b)->row;
	int order = compare_task(x->group, x->task, y->group, y->task);
	if (order == 0)
		order = strcmp(x->metric, y->metric);
	return order != 0 ? order : strcmp(x->score, y->score);
}

/* The list has a score once a model, so the longest run of equal ones is the score that most models have. */
static void choose_columns(struct matrix *matrix, const struct result_of_job **sorted, size_t count)
{
	size_t best = 0;
	matrix->columns = mem_calloc(count, sizeof *matrix->columns);
	for (size_t i = 0; i < count;) {
		size_t run = 1;
		while (i + run < count && compare_rows(&sorted[i], &sorted[i + run]) == 0)
			run++;
		const struct result_row *row = &sorted[i]->row;
		struct column *last = matrix->column_count > 0 ? &matrix->columns[matrix->column_count - 1] : NULL;
		bool new_task = last == NULL || compare_task(last->group, last->task, row->group, row->task) != 0;
		if (new_task)
			last = &matrix->columns[matrix->column_count++];
		if (new_task || run > best) {
			*last = (struct column){row->task, row->group, row->metric, row->score};
			best = run;
		}
		i += run;
	}
}

/* The number of the task's column. */
static size_t find_column(const struct matrix *matrix, const struct result_row *row)
{
	size_t low = 0;
	size_t high = matrix->column_count;
	while (low + 1 < high) {
		size_t middle = (low + high) / 2;
		const struct column *column = &matrix->columns[middle];
		if (compare_task(row->group, row->task, column->group, column->task) < 0)
			high = middle;
		else
			low = middle;
	}
	return low;
}

static void fill_cells(struct matrix *matrix, size_t count)
{
	matrix->cells = mem_calloc(matrix->model_count * matrix->column_count, sizeof *matrix->cells);
	size_t row = 0;
	for (size_t i = 0; i < count; i++) {
		const struct result_of_job *item = &matrix->items[i];
		if (i > 0 && strcmp(item->model, item[-1].model) != 0)
			row++;
		size_t at = find_column(matrix, &item->row);
		const struct column *column = &matrix->columns[at];
		if (strcmp(column->metric, item->row.metric) == 0 && strcmp(column->score, item->row.score) == 0)
			matrix->cells[row * matrix->column_count + at] = item;
	}
}

int matrix_new(const struct result_of_job_list *list, const char *baseline, struct matrix **ret_matrix,
	       struct nel_err *err)
{
	CLEANUP(matrix_freep) struct matrix *matrix = mem_calloc(1, sizeof *matrix);
	CLEANUP(mem_freep) const struct result_of_job **sorted = mem_calloc(list->count, sizeof *sorted);
	matrix->items = list->items;
	matrix->models = mem_calloc(list->count, sizeof *matrix->models);
	for (size_t i = 0; i < list->count; i++) {
		const struct result_of_job *item = &list->items[i];
		sorted[i] = item;
		if (i == 0 || strcmp(item->model, item[-1].model) != 0)
			matrix->models[matrix->model_count++] = item->model;
	}
	for (size_t i = 0; baseline != NULL && i < matrix->model_count; i++) {
		if (strcmp(matrix->models[i], baseline) == 0) {
			matrix->baseline = matrix->models[i];
			matrix->baseline_row = i;
		}
	}
	if (baseline != NULL && matrix->baseline == NULL)
		return err_set(err, NEL_INVALID, "query parameter \"baseline\": no such score is of the model %.200s",
			       baseline);
	if (list->count > 0)
		qsort(sorted, list->count, sizeof *sorted, compare_rows);
	choose_columns(matrix, sorted, list->count);
	fill_cells(matrix, list->count);
	*ret_matrix = TAKE(matrix);
	return 0;
}

static const struct result_of_job *cell_at(const struct matrix *matrix, size_t row, size_t column)
{
	return matrix->cells[row * matrix->column_count + column];
}

/* How far the cell is from the baseline's, and the error of that when the two are independent; NAN: not known. */
static void find_delta(const struct matrix *matrix, size_t row, size_t column, double *ret_delta, double *ret_stderr)
{
	const struct result_of_job *cell = cell_at(matrix, row, column);
	const struct result_of_job *base = cell_at(matrix, matrix->baseline_row, column);
	*ret_delta = cell == NULL || base == NULL ? NAN : cell->row.value - base->row.value;
	*ret_stderr = cell == NULL || base == NULL || cell == base ? NAN : hypot(cell->row.stderr_, base->row.stderr_);
}

static void render_cell(struct str *s, const struct matrix *matrix, size_t row, size_t column)
{
	const struct result_of_job *cell = cell_at(matrix, row, column);
	if (cell == NULL) {
		OUT(s, "null");
		return;
	}
	OUT(s, "{\"value\":");
	out_double(s, cell->row.value);
	OUT(s, ",\"stderr\":");
	out_double(s, cell->row.stderr_);
	OUT(s, ",\"count\":");
	out_int_or_null(s, cell->row.count, cell->row.count >= 0);
	OUT(s, ",\"job\":");
	out_string(s, cell->job);
	OUT(s, ",\"ended_at\":");
	out_time(s, cell->ended_at);
	if (matrix->baseline != NULL) {
		double delta = NAN;
		double error = NAN;
		find_delta(matrix, row, column, &delta, &error);
		OUT(s, ",\"delta\":");
		out_double(s, delta);
		OUT(s, ",\"delta_stderr\":");
		out_double(s, error);
	}
	OUT(s, "}");
}

static void render_column(struct str *s, const struct column *column)
{
	OUT(s, "{\"task\":");
	out_string(s, column->task);
	OUT(s, ",\"group\":");
	out_bool(s, column->group);
	OUT(s, ",\"metric\":");
	out_string(s, column->metric);
	OUT(s, ",\"score\":");
	out_string(s, column->score);
	OUT(s, "}");
}

void matrix_render(struct str *s, const struct matrix *matrix)
{
	OUT(s, "{\"baseline\":");
	out_string(s, matrix->baseline);
	OUT(s, ",\"columns\":[");
	for (size_t column = 0; column < matrix->column_count; column++) {
		str_append(s, column > 0 ? "," : "");
		render_column(s, &matrix->columns[column]);
	}
	OUT(s, "],\"rows\":[");
	for (size_t row = 0; row < matrix->model_count; row++) {
		str_append(s, row > 0 ? ",{\"model\":" : "{\"model\":");
		out_string(s, matrix->models[row]);
		OUT(s, ",\"cells\":[");
		for (size_t column = 0; column < matrix->column_count; column++) {
			str_append(s, column > 0 ? "," : "");
			render_cell(s, matrix, row, column);
		}
		OUT(s, "]}");
	}
	OUT(s, "]}");
}

static void csv_heading(struct str *s, const struct column *column, const char *what)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("%s%s %s/%s%s", column->task, column->group ? " (group)" : "", column->metric,
				column->score, what);
	str_append_c(s, ',');
	csv_text(s, text);
}

static void csv_cell(struct str *s, const struct matrix *matrix, size_t row, size_t column)
{
	const struct result_of_job *cell = cell_at(matrix, row, column);
	str_append_c(s, ',');
	csv_double(s, cell != NULL ? cell->row.value : NAN);
	str_append_c(s, ',');
	csv_double(s, cell != NULL ? cell->row.stderr_ : NAN);
	str_append_c(s, ',');
	if (cell != NULL && cell->row.count >= 0)
		out_int(s, cell->row.count);
	str_append_c(s, ',');
	csv_text(s, cell != NULL ? cell->job : NULL);
	if (matrix->baseline != NULL) {
		double delta = NAN;
		double error = NAN;
		find_delta(matrix, row, column, &delta, &error);
		str_append_c(s, ',');
		csv_double(s, delta);
		str_append_c(s, ',');
		csv_double(s, error);
	}
}

void matrix_render_csv(struct str *s, const struct matrix *matrix)
{
	static const char *const what[] = {"", " stderr", " count", " job", " delta", " delta stderr"};
	size_t parts = matrix->baseline != NULL ? 6 : 4;
	OUT(s, "model");
	for (size_t column = 0; column < matrix->column_count; column++)
		for (size_t part = 0; part < parts; part++)
			csv_heading(s, &matrix->columns[column], what[part]);
	OUT(s, "\r\n");
	for (size_t row = 0; row < matrix->model_count; row++) {
		csv_text(s, matrix->models[row]);
		for (size_t column = 0; column < matrix->column_count; column++)
			csv_cell(s, matrix, row, column);
		OUT(s, "\r\n");
	}
}
