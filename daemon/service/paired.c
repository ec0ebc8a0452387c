#include "service/paired.h"

#include "base/mem.h"
#include "db/samples.h"
#include "slurm/samples_pack.h"

#include <math.h>
#include <string.h>

#define ROUNDED 0.0006 /* evaluators round scores to 3 digits and more */
#define PERCENT 100

struct side {
	int64_t job_seq;
	struct samples samples;
};

struct paired {
	struct db *db;
	struct side a, b;
	size_t rows; /* read so far */
};

/* Where a score's samples are. */
struct column {
	const struct sample_set *set;
	const double *values;
	double scale;
	size_t first; /* the number of its first sample, of the job's */
};

/* A sample in the order of items. */
struct place {
	uint64_t item;
	double value;
	size_t row;
};

struct paired *paired_new(struct db *db)
{
	struct paired *paired = mem_calloc(1, sizeof *paired);
	paired->db = db;
	return paired;
}

void paired_free(struct paired *paired)
{
	if (paired == NULL)
		return;
	samples_done(&paired->a.samples);
	samples_done(&paired->b.samples);
	free(paired);
}

static int load(struct paired *paired, struct side *side, int64_t job_seq, struct nel_err *err)
{
	CLEANUP(samples_row_done) struct samples_row row = {0};
	if (side->job_seq == job_seq)
		return 0;
	samples_done(&side->samples);
	side->job_seq = job_seq;
	if (samples_get(paired->db, job_seq, &row, err) != 0)
		return err->kind == NEL_NOTFOUND ? 0 : -1;
	if (paired->rows + (size_t)row.rows > PAIRED_ROWS_MAX)
		return 0;
	paired->rows += (size_t)row.rows;
	return samples_unpack(row.data, row.data_size, &side->samples, err);
}

static bool is_near(double mean, double value)
{
	return fabs(mean - value) <= ROUNDED * fmax(1, fabs(value));
}

/* 1 or PERCENT; 0: the score is no mean of these. */
static double scale_of(const double *values, size_t count, double score)
{
	double sum = 0;
	size_t known = 0;
	for (size_t i = 0; i < count; i++) {
		sum += isnan(values[i]) ? 0 : values[i];
		known += !isnan(values[i]);
	}
	if (known == 0)
		return 0;
	double mean = sum / (double)known;
	return is_near(mean, score) ? 1 : is_near(PERCENT * mean, score) ? PERCENT : 0;
}

/* How well names fit: 0 not at all. Evaluators call a score by the metric, and by the filter where there are several.
 */
static int fits(const struct sample_set *set, const char *metric, const struct score *score)
{
	bool of_task = set->task[0] == '\0' || strcmp(set->task, score->task) == 0;
	bool of_metric = strcmp(metric, score->metric) == 0, of_score = strcmp(metric, score->score) == 0;
	bool filtered = set->filter[0] != '\0' && strcmp(set->filter, "none") != 0;
	if (!of_task)
		return 0;
	if (filtered)
		return strcmp(set->filter, score->score) == 0 && (of_metric || set->metric_count == 1) ? 3
		       : of_metric && of_score                                                         ? 1
												       : 0;
	return of_metric || of_score ? 2 : set->metric_count == 1 ? 1 : 0;
}

static bool find_column(const struct samples *samples, const struct score *score, struct column *ret_column)
{
	int best = 0;
	size_t first = 0;
	for (size_t i = 0; i < samples->set_count && !score->group; i++) {
		const struct sample_set *set = &samples->sets[i];
		for (size_t k = 0; k < set->metric_count; k++) {
			int fit = fits(set, set->metrics[k], score);
			double scale = fit > best ? scale_of(set->values[k], set->count, score->value) : 0;
			if (scale > 0) {
				best = fit;
				*ret_column = (struct column){set, set->values[k], scale, first};
			}
		}
		first += set->count;
	}
	return best > 0;
}

static int by_item(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	if (a->item != b->item)
		return a->item < b->item ? -1 : 1;
	return (a->row > b->row) - (a->row < b->row);
}

/* Those with a value, in the order of items. */
static struct place *places_of(const struct column *column, size_t *ret_count)
{
	struct place *places = mem_calloc(column->set->count + 1, sizeof *places);
	size_t count = 0;
	for (size_t i = 0; i < column->set->count; i++)
		if (!isnan(column->values[i]))
			places[count++] =
			    (struct place){samples_item(&column->set->rows[i]), column->scale * column->values[i], i};
	if (count > 0)
		qsort(places, count, sizeof *places, by_item);
	*ret_count = count;
	return places;
}

static struct outcome *outcomes_of(const struct place *places, size_t count, double scale)
{
	struct outcome *outcomes = mem_calloc(count + 1, sizeof *outcomes);
	for (size_t i = 0; i < count; i++)
		outcomes[i] = (struct outcome){places[i].item, places[i].value / scale};
	outcomes_sort(outcomes, count);
	return outcomes;
}

/* The mean of an item's repeats; *at goes to the next item. */
static double mean_of_item(const struct place *places, size_t count, size_t *at)
{
	size_t begin = *at;
	double sum = 0;
	for (; *at < count && places[*at].item == places[begin].item; ++*at)
		sum += places[*at].value;
	return sum / (double)(*at - begin);
}

static int worse_first(const void *left, const void *right)
{
	const struct flip *a = left, *b = right;
	bool a_worse = a->b < a->a, b_worse = b->b < b->a;
	if (a_worse != b_worse)
		return a_worse ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->a_n > b->a_n) - (a->a_n < b->a_n);
}

static void find_flips(const struct column *a, const struct place *a_places, size_t a_count, const struct column *b,
		       const struct place *b_places, size_t b_count, bool lower_is_better, size_t max,
		       struct flip_list *ret_flips)
{
	double sense = lower_is_better ? -1 : 1;
	struct flip *flips = mem_calloc((a_count < b_count ? a_count : b_count) + 1, sizeof *flips);
	size_t count = 0;
	for (size_t i = 0, k = 0; i < a_count && k < b_count;) {
		if (a_places[i].item != b_places[k].item) {
			if (a_places[i].item < b_places[k].item)
				i++;
			else
				k++;
			continue;
		}
		size_t a_row = a_places[i].row, b_row = b_places[k].row;
		double left = mean_of_item(a_places, a_count, &i), right = mean_of_item(b_places, b_count, &k);
		if (left != right)
			flips[count++] = (struct flip){.id = a->set->named ? -1 : a->set->rows[a_row].id,
						       .a_n = a->first + a_row,
						       .b_n = b->first + b_row,
						       .a = sense * left,
						       .b = sense * right};
	}
	if (count > 0)
		qsort(flips, count, sizeof *flips, worse_first);
	for (size_t i = 0; i < count; i++) {
		flips[i].a *= sense;
		flips[i].b *= sense;
	}
	*ret_flips = (struct flip_list){flips, count < max ? count : max, count < max ? 0 : count - max};
}

/* In the score's own unit. */
static void scale_comparison(struct comparison *comparison, double scale)
{
	comparison->a *= scale;
	comparison->b *= scale;
	comparison->difference *= scale;
	comparison->ci.lo *= scale;
	comparison->ci.hi *= scale;
	comparison->detectable *= scale;
}

int paired_compare(struct paired *paired, const struct result_of_job *a, const struct result_of_job *b,
		   bool lower_is_better, struct comparison *ret_comparison, bool *ret_found, size_t flips_max,
		   struct flip_list *ret_flips, struct nel_err *err)
{
	struct column left = {0}, right = {0};
	*ret_found = false;
	if (load(paired, &paired->a, a->job_seq, err) != 0 || load(paired, &paired->b, b->job_seq, err) != 0)
		return -1;
	if (!find_column(&paired->a.samples, &a->row, &left) || !find_column(&paired->b.samples, &b->row, &right) ||
	    left.scale != right.scale)
		return 0;
	size_t a_count = 0, b_count = 0;
	CLEANUP(mem_freep) struct place *a_places = places_of(&left, &a_count);
	CLEANUP(mem_freep) struct place *b_places = places_of(&right, &b_count);
	CLEANUP(mem_freep) struct outcome *a_outcomes = outcomes_of(a_places, a_count, left.scale);
	CLEANUP(mem_freep) struct outcome *b_outcomes = outcomes_of(b_places, b_count, left.scale);
	*ret_comparison = compare_outcomes(a_outcomes, a_count, b_outcomes, b_count);
	scale_comparison(ret_comparison, left.scale);
	*ret_found = true;
	if (ret_flips != NULL)
		find_flips(&left, a_places, a_count, &right, b_places, b_count, lower_is_better, flips_max, ret_flips);
	return 0;
}
