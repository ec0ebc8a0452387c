#include "service/evidence.h"

#include "base/cleanup.h"
#include "base/ids.h"
#include "base/mem.h"
#include "base/str.h"
#include "db/evaluations.h"
#include "db/jobs.h"

#include <math.h>
#include <string.h>

#define MODEL_PREFIX "model:"

static void side_done(struct evidence_side *side)
{
	free(side->evaluation);
	free(side->job);
	free(side->model);
	free(side->scores);
	result_of_job_list_done(&side->stored);
}

void evidence_done(struct evidence *evidence)
{
	side_done(&evidence->a);
	side_done(&evidence->b);
	for (size_t i = 0; i < evidence->count; i++)
		free(evidence->items[i].flips.items);
	free(evidence->items);
	free(evidence->only_a);
	free(evidence->only_b);
	*evidence = (struct evidence){0};
}

struct interval evidence_interval(const struct score *score)
{
	return interval_score(score->value, score->stderr_, score->count);
}

struct comparison evidence_compare_scores(const struct score *a, const struct score *b)
{
	return compare_independent(a->value, a->stderr_, b->value, b->stderr_);
}

/* Metrics where less is better, by how evaluators call them. */
bool evidence_lower_is_better(const struct score *score)
{
	static const char *const parts[] = {"perplexity", "bits_per_byte", "word_error_rate", "edit_distance",
					    "toxicity"};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (strstr(score->metric, parts[i]) != NULL || strstr(score->score, parts[i]) != NULL)
			return true;
	return false;
}

enum compare_verdict evidence_verdict(const struct comparison *comparison, bool lower_is_better, double p_adjusted)
{
	struct comparison sense = *comparison;
	if (lower_is_better)
		sense.difference = -sense.difference;
	return compare_verdict(&sense, p_adjusted);
}

static int by_names_and_age(const void *left, const void *right)
{
	const struct result_of_job *a = *(const struct result_of_job *const *)left;
	const struct result_of_job *b = *(const struct result_of_job *const *)right;
	int order = score_compare_names(&a->row, &b->row);
	return order != 0 ? order : (a->job_seq < b->job_seq) - (a->job_seq > b->job_seq);
}

/* Which of the stored ones count: of the job when one was named, of one subject when a model was. */
static void choose_scores(struct evidence_side *side, const struct result_of_job *newest_of_model)
{
	side->scores = mem_calloc(side->stored.count + 1, sizeof *side->scores);
	for (size_t i = 0; i < side->stored.count; i++) {
		const struct result_of_job *item = &side->stored.items[i];
		if ((side->job == NULL || strcmp(item->job, side->job) == 0) &&
		    (newest_of_model == NULL || item->basis->subject == newest_of_model->basis->subject))
			side->scores[side->count++] = item;
	}
	if (side->count > 0)
		qsort(side->scores, side->count, sizeof *side->scores, by_names_and_age);
}

static int read_by_id(struct db *db, const char *what, struct evidence_side *side, struct nel_err *err)
{
	char evaluation[IDS_EVALUATION_SIZE];
	int index = 0;
	CLEANUP(job_row_done) struct job_row job = {0};
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	if (ids_parse_job(what, evaluation, &index)) {
		if (jobs_get(db, what, &job, err) != 0)
			return -1;
		side->job = mem_strdup(what);
		side->evaluation = mem_strdup(evaluation);
		side->model = mem_strdup(job.model);
	} else if (ids_is_evaluation(what)) {
		if (evaluations_get(db, what, false, &row, err) != 0)
			return -1;
		side->evaluation = mem_strdup(what);
		side->model = mem_strdup(row.model);
	} else {
		return err_set(err, NEL_INVALID,
			       "\"%.100s\" is no id of an evaluation or a job, and no model: model:NAME", what);
	}
	const struct result_filter filter = {
	    .evaluation = side->evaluation, .state = "succeeded", .limit = DB_LIST_MAX};
	if (results_list(db, &filter, &side->stored, err) != 0)
		return -1;
	if (side->stored.last_job_seq != 0)
		return err_set(err, NEL_INVALID, "%.100s has scores of more than %d jobs: compare job by job", what,
			       DB_LIST_MAX);
	choose_scores(side, NULL);
	if (side->count == 0)
		return err_set(err, NEL_CONFLICT, "%.100s has no scores (yet): they come with jobs that have succeeded",
			       what);
	return 0;
}

/* Several checkpoints may have been evaluated under one name: the one evaluated last counts. */
static int read_by_model(struct db *db, const char *model, struct evidence_side *side, struct nel_err *err)
{
	const struct result_filter filter = {.model = model};
	const struct result_of_job *newest = NULL;
	if (results_newest(db, &filter, &side->stored, err) != 0)
		return -1;
	for (size_t i = 0; i < side->stored.count; i++)
		if (newest == NULL || side->stored.items[i].job_seq > newest->job_seq)
			newest = &side->stored.items[i];
	if (newest == NULL)
		return err_set(err, NEL_NOTFOUND, "there are no scores of a model %.300s", model);
	side->model = mem_strdup(model);
	choose_scores(side, newest);
	return 0;
}

static int read_side(struct db *db, const char *what, struct evidence_side *side, struct nel_err *err)
{
	if (str_starts_with(what, MODEL_PREFIX))
		return read_by_model(db, what + strlen(MODEL_PREFIX), side, err);
	return read_by_id(db, what, side, err);
}

int service_check_side(struct db *db, const char *what, struct nel_err *err)
{
	CLEANUP(evidence_done) struct evidence evidence = {0};
	return read_side(db, what, &evidence.a, err);
}

/* Of the other side's scores of that name the one that came to be in the same way, else the newest. */
static const struct result_of_job *choose(const struct result_of_job *like, const struct result_of_job **of_name,
					  size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (like->basis->protocol != 0 && of_name[i]->basis->protocol == like->basis->protocol)
			return of_name[i];
	return of_name[0];
}

static void add_item(struct evidence *evidence, const struct result_of_job *a, const struct result_of_job *b)
{
	evidence->items[evidence->count++] = (struct evidence_item){
	    .a = a,
	    .b = b,
	    .lower_is_better = evidence_lower_is_better(&a->row),
	    .comparison = evidence_compare_scores(&a->row, &b->row),
	};
}

/* How many scores of one name stand there. */
static size_t run_of_name(const struct evidence_side *side, size_t begin)
{
	size_t end = begin;
	while (end < side->count && score_compare_names(&side->scores[begin]->row, &side->scores[end]->row) == 0)
		end++;
	return end - begin;
}

/* Each name of a score once: two protocols of one task would be the same evidence twice. */
static void match(struct evidence *evidence)
{
	const struct evidence_side *a = &evidence->a, *b = &evidence->b;
	evidence->items = mem_calloc(a->count + 1, sizeof *evidence->items);
	evidence->only_a = mem_calloc(a->count + 1, sizeof *evidence->only_a);
	evidence->only_b = mem_calloc(b->count + 1, sizeof *evidence->only_b);
	for (size_t i = 0, k = 0; i < a->count || k < b->count;) {
		size_t of_a = run_of_name(a, i), of_b = run_of_name(b, k);
		int order = of_a == 0   ? 1
			    : of_b == 0 ? -1
					: score_compare_names(&a->scores[i]->row, &b->scores[k]->row);
		if (order < 0) {
			evidence->only_a[evidence->only_a_count++] = a->scores[i];
		} else if (order > 0) {
			evidence->only_b[evidence->only_b_count++] = b->scores[k];
		} else {
			const struct result_of_job *chosen = choose(a->scores[i], b->scores + k, of_b);
			add_item(evidence, choose(chosen, a->scores + i, of_a), chosen);
		}
		i += order <= 0 ? of_a : 0;
		k += order >= 0 ? of_b : 0;
	}
}

/* By samples, where both have those of a score. */
static int pair(struct evidence *evidence, struct db *db, size_t flips_max, struct nel_err *err)
{
	CLEANUP(paired_freep) struct paired *paired = paired_new(db);
	for (size_t i = 0; i < evidence->count; i++) {
		struct evidence_item *item = &evidence->items[i];
		if (item->a->job_seq != item->b->job_seq &&
		    paired_compare(paired, item->a, item->b, item->lower_is_better, &item->comparison, &item->sampled,
				   flips_max, flips_max > 0 ? &item->flips : NULL, err) != 0)
			return -1;
	}
	return 0;
}

static bool same_task(const struct evidence_item *a, const struct evidence_item *b)
{
	return a->a->row.group == b->a->row.group && strcmp(a->a->row.task, b->a->row.task) == 0;
}

/* Holm over the tasks: scores of one task are not further tests, so of each other task the least p stands for all. */
static void adjust(struct evidence *evidence)
{
	CLEANUP(mem_freep) double *least = mem_calloc(evidence->count + 1, sizeof *least);
	CLEANUP(mem_freep) double *adjusted = mem_calloc(evidence->count + 1, sizeof *adjusted);
	size_t tasks = 0;
	for (size_t i = 0; i < evidence->count; i++) {
		if (i == 0 || !same_task(&evidence->items[i], &evidence->items[i - 1]))
			least[tasks++] = NAN;
		least[tasks - 1] = fmin(least[tasks - 1], evidence->items[i].comparison.p);
	}
	for (size_t i = 0, task = 0; i < evidence->count; i++) {
		struct evidence_item *item = &evidence->items[i];
		task += i > 0 && !same_task(item, &evidence->items[i - 1]);
		double own = least[task];
		least[task] = item->comparison.p;
		compare_holm(least, tasks, adjusted);
		least[task] = own;
		item->p_adjusted = adjusted[task];
		item->verdict = evidence_verdict(&item->comparison, item->lower_is_better, item->p_adjusted);
	}
}

int service_compare(struct db *db, const char *a, const char *b, size_t flips_max, struct evidence *ret_evidence,
		    struct nel_err *err)
{
	CLEANUP(evidence_done) struct evidence evidence = {0};
	if (read_side(db, a, &evidence.a, err) != 0 || read_side(db, b, &evidence.b, err) != 0)
		return -1;
	match(&evidence);
	if (pair(&evidence, db, flips_max, err) != 0)
		return -1;
	adjust(&evidence);
	*ret_evidence = evidence;
	evidence = (struct evidence){0};
	return 0;
}
