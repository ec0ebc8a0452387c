/* Owns the choice of columns and the cells of a matrix of scores. */
#include "api/v1/matrix.h"

#include "api/http/csv_out.h"
#include "api/v1/differs.h"
#include "api/v1/render.h"
#include "base/mem.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

/* A task's column with one protocol; the texts are the list's. */
struct column {
	const char *task;
	bool group;
	const char *metric;
	const char *score;
	const struct job_basis *basis;
	json_t *parts;   /* of the protocol; NULL: not known */
	json_t *differs; /* names of the parts in which the task's columns differ */
};

/* A cell against what it is compared with. */
struct difference {
	const struct result_of_job *base; /* NULL: the baseline has no such score */
	size_t base_column;
	struct comparison found;
	double stderr_; /* by the method; NAN: not known */
	double p_adjusted;
	enum compare_verdict verdict;
};

/* A model with one subject. */
struct row {
	const char *model;
	const struct job_basis *basis;
	json_t *parts; /* of the subject */
	json_t *differs;
	int64_t newest_job;
};

struct matrix {
	const struct result_of_job *items;
	struct row *rows; /* by name, as the list has them */
	size_t row_count;
	struct column *columns; /* tasks by name, then groups */
	size_t column_count;
	const struct result_of_job **cells; /* NULL: there is no such score */
	const struct row *baseline;         /* NULL: none */
	struct difference *differences;     /* with a baseline: of each of `items` */
};

void matrix_free(struct matrix *matrix)
{
	if (matrix == NULL)
		return;
	for (size_t i = 0; i < matrix->row_count; i++) {
		json_decref(matrix->rows[i].parts);
		json_decref(matrix->rows[i].differs);
	}
	for (size_t i = 0; i < matrix->column_count; i++) {
		json_decref(matrix->columns[i].parts);
		json_decref(matrix->columns[i].differs);
	}
	free(matrix->rows);
	free(matrix->columns);
	free(matrix->cells);
	free(matrix->differences);
	free(matrix);
}

static json_t *parts_of(const char *text)
{
	return text != NULL ? json_loads(text, 0, NULL) : NULL;
}

static int compare_task(bool group, const char *task, bool other_group, const char *other_task)
{
	return group != other_group ? (int)group - (int)other_group : strcmp(task, other_task);
}

static int compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* By names, then by protocol, so that equal ones stand together. */
static int compare_items(const void *a, const void *b)
{
	const struct result_of_job *x = *(const struct result_of_job *const *)a;
	const struct result_of_job *y = *(const struct result_of_job *const *)b;
	int order = score_compare_names(&x->row, &y->row);
	return order != 0 ? order : compare_numbers(x->basis->protocol, y->basis->protocol);
}

static void add_columns(struct matrix *matrix, const struct result_of_job **sorted, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct result_of_job *item = sorted[i];
		if (i > 0 && item->basis->protocol == sorted[i - 1]->basis->protocol)
			continue;
		matrix->columns[matrix->column_count++] =
		    (struct column){.task = item->row.task,
				    .group = item->row.group,
				    .metric = item->row.metric,
				    .score = item->row.score,
				    .basis = item->basis,
				    .parts = parts_of(item->basis->protocol_parts)};
	}
}

/* The list has a score once a model, subject and protocol, so the longest run of equal names is the score that most
 * have. Of each task that one is shown, in a column a protocol. */
static void choose_columns(struct matrix *matrix, const struct result_of_job **sorted, size_t count)
{
	matrix->columns = mem_calloc(count, sizeof *matrix->columns);
	for (size_t i = 0; i < count;) {
		const struct score *row = &sorted[i]->row;
		size_t best = i;
		size_t best_size = 0;
		size_t end = i;
		while (end < count &&
		       compare_task(row->group, row->task, sorted[end]->row.group, sorted[end]->row.task) == 0) {
			size_t begin = end;
			while (end < count && score_compare_names(&sorted[begin]->row, &sorted[end]->row) == 0)
				end++;
			if (end - begin > best_size) {
				best = begin;
				best_size = end - begin;
			}
		}
		add_columns(matrix, sorted + best, best_size);
		i = end;
	}
}

static bool same_task(const struct column *a, const struct column *b)
{
	return compare_task(a->group, a->task, b->group, b->task) == 0;
}

/* What the columns of one task, and the rows of one model, differ by. */
static void find_differences(struct matrix *matrix)
{
	for (size_t i = 0, first = 0; i < matrix->column_count; i++) {
		struct column *column = &matrix->columns[i];
		if (!same_task(column, &matrix->columns[first]))
			first = i;
		column->differs = first == i ? json_object() : json_incref(matrix->columns[first].differs);
		differs_add(column->differs, matrix->columns[first].parts, column->parts);
	}
	for (size_t i = 0, first = 0; i < matrix->row_count; i++) {
		struct row *row = &matrix->rows[i];
		if (strcmp(row->model, matrix->rows[first].model) != 0)
			first = i;
		row->differs = first == i ? json_object() : json_incref(matrix->rows[first].differs);
		differs_add(row->differs, matrix->rows[first].parts, row->parts);
	}
}

/* The number of the item's column, if it has one. */
static size_t find_column(const struct matrix *matrix, const struct result_of_job *item)
{
	size_t low = 0;
	size_t high = matrix->column_count;
	while (low + 1 < high) {
		size_t middle = (low + high) / 2;
		const struct column *column = &matrix->columns[middle];
		int order = compare_task(item->row.group, item->row.task, column->group, column->task);
		if (order == 0)
			order = compare_numbers(item->basis->protocol, column->basis->protocol);
		if (order < 0)
			high = middle;
		else
			low = middle;
	}
	return low;
}

static void add_rows(struct matrix *matrix, const struct result_of_job_list *list)
{
	matrix->rows = mem_calloc(list->count, sizeof *matrix->rows);
	for (size_t i = 0; i < list->count; i++) {
		const struct result_of_job *item = &list->items[i];
		struct row *row = matrix->row_count > 0 ? &matrix->rows[matrix->row_count - 1] : NULL;
		if (row == NULL || strcmp(row->model, item->model) != 0 ||
		    row->basis->subject != item->basis->subject) {
			row = &matrix->rows[matrix->row_count++];
			*row = (struct row){
			    .model = item->model, .basis = item->basis, .parts = parts_of(item->basis->subject_parts)};
		}
		if (item->job_seq > row->newest_job)
			row->newest_job = item->job_seq;
	}
}

static void fill_cells(struct matrix *matrix, size_t count)
{
	matrix->cells = mem_calloc(matrix->row_count * matrix->column_count, sizeof *matrix->cells);
	size_t row = 0;
	for (size_t i = 0; i < count; i++) {
		const struct result_of_job *item = &matrix->items[i];
		if (strcmp(item->model, matrix->rows[row].model) != 0 ||
		    item->basis->subject != matrix->rows[row].basis->subject)
			row++;
		size_t at = find_column(matrix, item);
		const struct column *column = &matrix->columns[at];
		if (column->basis->protocol == item->basis->protocol && strcmp(column->metric, item->row.metric) == 0 &&
		    strcmp(column->score, item->row.score) == 0)
			matrix->cells[row * matrix->column_count + at] = item;
	}
}

/* Of several rows with the baseline's name the one with the newest job. */
static int find_baseline(struct matrix *matrix, const char *baseline, struct nel_err *err)
{
	for (size_t i = 0; baseline != NULL && i < matrix->row_count; i++) {
		const struct row *row = &matrix->rows[i];
		if (strcmp(row->model, baseline) == 0 &&
		    (matrix->baseline == NULL || row->newest_job > matrix->baseline->newest_job))
			matrix->baseline = row;
	}
	if (baseline != NULL && matrix->baseline == NULL)
		return err_set(err, NEL_INVALID, "query parameter \"baseline\": no such score is of the model %.200s",
			       baseline);
	return 0;
}

static const struct result_of_job *cell_at(const struct matrix *matrix, const struct row *row, size_t column)
{
	return matrix->cells[(size_t)(row - matrix->rows) * matrix->column_count + column];
}

/* The baseline's score of the same column or, when it has none, the newest of another column of the task. */
static const struct result_of_job *find_base(const struct matrix *matrix, size_t column, size_t *ret_column)
{
	const struct result_of_job *base = cell_at(matrix, matrix->baseline, column);
	size_t first = column;
	*ret_column = column;
	if (base != NULL)
		return base;
	while (first > 0 && same_task(&matrix->columns[first - 1], &matrix->columns[column]))
		first--;
	for (size_t i = first; i < matrix->column_count && same_task(&matrix->columns[i], &matrix->columns[column]);
	     i++) {
		const struct result_of_job *other = cell_at(matrix, matrix->baseline, i);
		if (other != NULL && (base == NULL || other->job_seq > base->job_seq)) {
			base = other;
			*ret_column = i;
		}
	}
	return base;
}

/* Samples that cannot be read leave the two as independent, which is said. */
static void compare_cell(struct paired *paired, const struct result_of_job *base, const struct result_of_job *cell,
			 struct difference *difference)
{
	struct comparison found = {0};
	struct nel_err err;
	bool sampled = false;
	difference->found = evidence_compare_scores(&base->row, &cell->row);
	difference->stderr_ = hypot(cell->row.stderr_, base->row.stderr_);
	if (base->job_seq == cell->job_seq ||
	    paired_compare(paired, base, cell, false, &found, &sampled, 0, NULL, &err) != 0 || !sampled)
		return;
	difference->found = found;
	difference->stderr_ = (found.ci.hi - found.ci.lo) / 2 / STATS_Z95;
}

static struct difference *difference_of(const struct matrix *matrix, const struct result_of_job *cell)
{
	return &matrix->differences[cell - matrix->items];
}

/* Holm over a row's tasks, as in a comparison of the two models. */
static void judge_row(struct matrix *matrix, const struct row *row, double *p)
{
	size_t count = 0;
	for (size_t column = 0; column < matrix->column_count; column++) {
		const struct result_of_job *cell = cell_at(matrix, row, column);
		if (cell != NULL)
			p[count++] = difference_of(matrix, cell)->found.p;
	}
	compare_holm(p, count, p);
	count = 0;
	for (size_t column = 0; column < matrix->column_count; column++) {
		const struct result_of_job *cell = cell_at(matrix, row, column);
		if (cell == NULL)
			continue;
		struct difference *difference = difference_of(matrix, cell);
		difference->p_adjusted = p[count++];
		difference->verdict =
		    evidence_verdict(&difference->found, evidence_lower_is_better(&cell->row), difference->p_adjusted);
	}
}

/* Column by column, so that the baseline's samples are read once. */
static void compare_with_baseline(struct matrix *matrix, struct db *db, size_t count)
{
	static const struct comparison unknown = {.method = COMPARE_INDEPENDENT,
						  .a = NAN,
						  .b = NAN,
						  .difference = NAN,
						  .ci = {NAN, NAN},
						  .p = NAN,
						  .detectable = NAN};
	CLEANUP(paired_freep) struct paired *paired = paired_new(db);
	CLEANUP(mem_freep) double *p = mem_calloc(matrix->column_count + 1, sizeof *p);
	matrix->differences = mem_calloc(count + 1, sizeof *matrix->differences);
	for (size_t column = 0; column < matrix->column_count; column++) {
		size_t base_column = 0;
		const struct result_of_job *base = find_base(matrix, column, &base_column);
		for (size_t i = 0; i < matrix->row_count; i++) {
			const struct result_of_job *cell = cell_at(matrix, &matrix->rows[i], column);
			if (cell == NULL)
				continue;
			struct difference *difference = difference_of(matrix, cell);
			*difference = (struct difference){base, base_column, unknown, NAN, NAN, COMPARE_INCONCLUSIVE};
			if (base == cell)
				difference->found.difference = 0;
			else if (base != NULL)
				compare_cell(paired, base, cell, difference);
		}
	}
	for (size_t i = 0; i < matrix->row_count; i++)
		judge_row(matrix, &matrix->rows[i], p);
}

int matrix_new(struct db *db, const struct result_of_job_list *list, const char *baseline, struct matrix **ret_matrix,
	       struct nel_err *err)
{
	CLEANUP(matrix_freep) struct matrix *matrix = mem_calloc(1, sizeof *matrix);
	CLEANUP(mem_freep) const struct result_of_job **sorted = mem_calloc(list->count, sizeof *sorted);
	matrix->items = list->items;
	for (size_t i = 0; i < list->count; i++)
		sorted[i] = &list->items[i];
	if (list->count > 0)
		qsort(sorted, list->count, sizeof *sorted, compare_items);
	add_rows(matrix, list);
	choose_columns(matrix, sorted, list->count);
	if (matrix->row_count * matrix->column_count > MATRIX_CELLS_MAX)
		return err_set(err, NEL_INVALID,
			       "the matrix would have %zu rows and %zu columns: narrow it down by model, task or label",
			       matrix->row_count, matrix->column_count);
	fill_cells(matrix, list->count);
	find_differences(matrix);
	if (find_baseline(matrix, baseline, err) != 0)
		return -1;
	if (matrix->baseline != NULL)
		compare_with_baseline(matrix, db, list->count);
	*ret_matrix = TAKE(matrix);
	return 0;
}

/* Names of the parts that make a cell and what it is compared with unlike, beside the model. */
static json_t *differs_from_base(const struct matrix *matrix, const struct row *row, size_t column,
				 const struct difference *difference)
{
	json_t *names = json_object();
	if (difference->base == NULL)
		return names;
	differs_add(names, matrix->columns[column].parts, matrix->columns[difference->base_column].parts);
	if (strcmp(row->model, matrix->baseline->model) == 0)
		differs_add(names, row->parts, matrix->baseline->parts);
	return names;
}

/* NULL: how is not known, since the errors are not. */
static const char *method_name(const struct difference *difference)
{
	return isfinite(difference->stderr_) ? compare_method_names[difference->found.method] : NULL;
}

/* NULL: there is nothing to compare with, or it is compared with itself. */
static const char *verdict_name(const struct difference *difference, const struct result_of_job *cell)
{
	bool compared = difference->base != NULL && difference->base != cell;
	return compared ? compare_verdict_names[difference->verdict] : NULL;
}

static void render_difference(struct json_out *out, const struct matrix *matrix, const struct row *row, size_t column)
{
	const struct result_of_job *cell = cell_at(matrix, row, column);
	const struct difference *difference = difference_of(matrix, cell);
	CLEANUP(json_freep) json_t *differs = differs_from_base(matrix, row, column, difference);
	out_double(out, "delta", difference->found.difference);
	out_double(out, "delta_stderr", difference->stderr_);
	render_interval(out, "delta_ci95", difference->found.ci);
	out_string(out, "method", method_name(difference));
	out_double(out, "p_adjusted", difference->p_adjusted);
	out_string(out, "verdict", verdict_name(difference, cell));
	differs_render(out, "differs", differs);
}

static void render_cell(struct json_out *out, const struct matrix *matrix, const struct row *row, size_t column)
{
	const struct result_of_job *cell = cell_at(matrix, row, column);
	if (cell == NULL) {
		out_null(out, NULL);
		return;
	}
	out_object(out, NULL);
	out_double(out, "value", cell->row.value);
	out_double(out, "stderr", cell->row.stderr_);
	render_interval(out, "ci95", evidence_interval(&cell->row));
	out_int_or_null(out, "count", cell->row.count, cell->row.count >= 0);
	out_string(out, "job", cell->job);
	out_time(out, "ended_at", cell->ended_at);
	if (matrix->baseline != NULL)
		render_difference(out, matrix, row, column);
	out_end(out);
}

static void render_column(struct json_out *out, const struct column *column)
{
	out_object(out, NULL);
	out_string(out, "task", column->task);
	out_bool(out, "group", column->group);
	out_string(out, "metric", column->metric);
	out_string(out, "score", column->score);
	out_bool(out, "lower_is_better",
		 evidence_lower_is_better(
		     &(struct score){.metric = (char *)column->metric, .score = (char *)column->score}));
	render_protocol(out, column->basis);
	differs_render(out, "differs", column->differs);
	out_end(out);
}

static void render_row(struct json_out *out, const struct matrix *matrix, const struct row *row)
{
	out_object(out, NULL);
	out_string(out, "model", row->model);
	render_subject(out, row->basis);
	differs_render(out, "differs", row->differs);
	out_bool(out, "baseline", row == matrix->baseline);
	out_array(out, "cells");
	for (size_t column = 0; column < matrix->column_count; column++)
		render_cell(out, matrix, row, column);
	out_end(out);
	out_end(out);
}

void matrix_render(struct json_out *out, const struct matrix *matrix)
{
	out_object(out, NULL);
	out_string(out, "baseline", matrix->baseline != NULL ? matrix->baseline->model : NULL);
	out_array(out, "columns");
	for (size_t column = 0; column < matrix->column_count; column++)
		render_column(out, &matrix->columns[column]);
	out_end(out);
	out_array(out, "rows");
	for (size_t i = 0; i < matrix->row_count; i++)
		render_row(out, matrix, &matrix->rows[i]);
	out_end(out);
	out_end(out);
}

static void csv_heading(struct str *s, const struct column *column, const char *what)
{
	CLEANUP(str_done) struct str text = {0};
	str_appendf(&text, "%s%s %s/%s", column->task, column->group ? " (group)" : "", column->metric, column->score);
	differs_append_text(&text, column->differs, column->parts);
	str_append(&text, what);
	str_append_c(s, ',');
	csv_text(s, str_text(&text));
}

static void csv_difference(struct str *s, const struct matrix *matrix, const struct row *row, size_t column)
{
	static const struct difference none = {.found = {.difference = NAN, .ci = {NAN, NAN}}, .stderr_ = NAN};
	const struct result_of_job *cell = cell_at(matrix, row, column);
	const struct difference *difference = cell != NULL ? difference_of(matrix, cell) : &none;
	CLEANUP(json_freep) json_t *differs = differs_from_base(matrix, row, column, difference);
	CLEANUP(str_done) struct str names = {0};
	const char *name = NULL;
	json_t *ignored = NULL;
	json_object_foreach(differs, name, ignored)
		str_appendf(&names, "%s%s", names.len > 0 ? " " : "", name);
	const double numbers[] = {difference->found.difference, difference->stderr_, difference->found.ci.lo,
				  difference->found.ci.hi};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		str_append_c(s, ',');
		csv_double(s, numbers[i]);
	}
	str_append_c(s, ',');
	csv_text(s, method_name(difference));
	str_append_c(s, ',');
	csv_text(s, verdict_name(difference, cell));
	str_append_c(s, ',');
	csv_text(s, names.len > 0 ? str_text(&names) : NULL);
}

static void csv_cell(struct str *s, const struct matrix *matrix, const struct row *row, size_t column)
{
	const struct result_of_job *cell = cell_at(matrix, row, column);
	str_append_c(s, ',');
	csv_double(s, cell != NULL ? cell->row.value : NAN);
	str_append_c(s, ',');
	csv_double(s, cell != NULL ? cell->row.stderr_ : NAN);
	str_append_c(s, ',');
	if (cell != NULL && cell->row.count >= 0)
		str_appendf(s, "%" PRId64, cell->row.count);
	str_append_c(s, ',');
	csv_text(s, cell != NULL ? cell->job : NULL);
	if (matrix->baseline != NULL)
		csv_difference(s, matrix, row, column);
}

void matrix_render_csv(struct str *s, const struct matrix *matrix)
{
	static const char *const what[] = {"",        " stderr",       " count",     " job",
					   " delta",  " delta stderr", " delta low", " delta high",
					   " method", " verdict",      " differs"};
	size_t parts = matrix->baseline != NULL ? sizeof what / sizeof what[0] : 4;
	str_append(s, "model");
	for (size_t column = 0; column < matrix->column_count; column++)
		for (size_t part = 0; part < parts; part++)
			csv_heading(s, &matrix->columns[column], what[part]);
	str_append(s, ",checkpoint,subject\r\n");
	for (size_t i = 0; i < matrix->row_count; i++) {
		const struct row *row = &matrix->rows[i];
		csv_text(s, row->model);
		for (size_t column = 0; column < matrix->column_count; column++)
			csv_cell(s, matrix, row, column);
		str_append_c(s, ',');
		csv_text(s, row->basis->checkpoint);
		str_append_c(s, ',');
		render_short_hash_csv(s, row->basis->subject_hash);
		str_append(s, "\r\n");
	}
}
