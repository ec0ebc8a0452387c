/* db/results.c: scores of a job, and across evaluations. */
#include "db_fixture.h"

#include "db/results.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int64_t add_job(struct fixture *f, int number)
{
	struct evaluation_row evaluation = sample_evaluation(number);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row job = sample_job(&evaluation, 0);
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	return job.seq;
}

static struct score score(const char *task, bool group, const char *metric, const char *name, double value)
{
	return (struct score){.task = (char *)task,
			      .group = group,
			      .metric = (char *)metric,
			      .score = (char *)name,
			      .value = value,
			      .stderr_ = NAN,
			      .count = -1};
}

static void test_results_replace_and_read_back(void **state)
{
	struct fixture *f = *state;
	int64_t job = add_job(f, 1);
	struct score first[] = {score("gsm8k", false, "exact", "strict", 0.5),
				score("gsm8k", true, "exact", "strict", 1), score("aime", false, "pass", "k", -2.25)};
	first[0].stderr_ = 0.125;
	first[0].count = 1319;
	first[1].stderr_ = INFINITY; /* no error at all */
	assert_ok(f, results_replace(f->db, job, first, COUNT(first), 10, &f->err));

	CLEANUP(result_list_done) struct result_list list = {0};
	assert_ok(f, results_of_job(f->db, job, &list, &f->err));
	static const int order[] = {2, 0, 1}; /* tasks by name, then groups */
	assert_int_equal(list.count, COUNT(order));
	for (size_t i = 0; i < COUNT(order); i++) {
		const struct score *expected = &first[order[i]];
		const struct score *got = &list.items[i];
		assert_string_equal(got->task, expected->task);
		assert_string_equal(got->metric, expected->metric);
		assert_string_equal(got->score, expected->score);
		assert_int_equal(got->group, expected->group);
		assert_true(got->value == expected->value);
		assert_int_equal(got->count, expected->count);
		if (isfinite(expected->stderr_))
			assert_true(got->stderr_ == expected->stderr_);
		else
			assert_true(isnan(got->stderr_));
	}

	struct score second[] = {score("mmlu", false, "acc", "micro", 0.1), score("mmlu", false, "acc", "micro", 0.7)};
	assert_ok(f, results_replace(f->db, job, second, COUNT(second), 11, &f->err));
	result_list_done(&list);
	assert_ok(f, results_of_job(f->db, job, &list, &f->err));
	assert_int_equal(list.count, 1);
	assert_true(list.items[0].value == 0.7);
	assert_ok(f, results_replace(f->db, job, NULL, 0, 12, &f->err));
	result_list_done(&list);
	assert_ok(f, results_of_job(f->db, job, &list, &f->err));
	assert_int_equal(list.count, 0);
}

static void test_results_replace_not_finite_is_refused_and_keeps_the_old_ones(void **state)
{
	struct fixture *f = *state;
	int64_t job = add_job(f, 1);
	struct score good = score("gsm8k", false, "exact", "strict", 0.5);
	assert_ok(f, results_replace(f->db, job, &good, 1, 10, &f->err));
	static const double values[] = {NAN, INFINITY, -INFINITY};
	for (size_t i = 0; i < COUNT(values); i++) {
		struct score rows[] = {score("a", false, "m", "s", 1), score("b", false, "m", "s", values[i])};
		assert_refused(f, NEL_INVALID, results_replace(f->db, job, rows, COUNT(rows), 11, &f->err));
	}
	assert_refused(f, NEL_DB, results_replace(f->db, 99, &good, 1, 11, &f->err)); /* there is no such job */
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM results WHERE task = 'gsm8k'"), 1);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM results"), 1);
}

static const char *const tasks[] = {"gsm8k", "mmlu", "aime"};
static const char *const metrics[] = {"exact", "acc"};
static const char *const models[] = {"meta/llama", "nvidia/nemotron"};
static const char *const label_values[] = {"x", "y"};
static const char *const users[] = {"anna", "ben"};
static const char *const clusters[] = {"alpha", "beta"};
static const char *const scores[] = {"s", "t"};

#define SCORES_MAX 4

struct stored {
	struct job_row job;
	const char *model;
	const char *label; /* of the key "team"; NULL: none */
	size_t count;
	struct score rows[SCORES_MAX]; /* in the order in which they are read */
};

static int by_key(const void *a, const void *b)
{
	const struct score *x = a;
	const struct score *y = b;
	int order = x->group != y->group ? x->group - y->group : strcmp(x->task, y->task);
	return order != 0 ? order : strcmp(x->metric, y->metric);
}

/* `count` jobs that look random, two an evaluation, some of them without scores. */
static struct stored *fill_store(struct fixture *f, int count)
{
	struct stored *all = mem_calloc((size_t)count, sizeof *all);
	struct evaluation_row evaluation = {0};
	unsigned seed = 5;
	assert_ok(f, db_begin(f->db, &f->err));
	for (int i = 0; i < count; i++) {
		struct stored *stored = &all[i];
		if (i % 2 == 0) {
			evaluation = sample_evaluation(i / 2 + 1);
			evaluation.model = (char *)models[next_random(&seed, 2)];
			evaluation.user = (char *)users[next_random(&seed, 2)];
			evaluation.cluster = (char *)clusters[next_random(&seed, 2)];
			evaluation.created_at -=
			    next_random(&seed, count > 1000 ? 1000 : 10) == 0 ? 30 : 0; /* the clock was set back */
			stored->label = next_random(&seed, 3) == 0 ? NULL : label_values[next_random(&seed, 2)];
			struct label label = {(char *)"team", (char *)stored->label};
			evaluation.labels = stored->label == NULL ? NULL : &label;
			evaluation.label_count = stored->label == NULL ? 0 : 1;
			assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
			evaluation.labels = NULL;
		} else {
			stored->label = all[i - 1].label;
		}
		stored->model = evaluation.model;
		stored->job = sample_job(&evaluation, i % 2);
		stored->job.state = next_random(&seed, 4) == 0 ? CHAIN_FAILED : CHAIN_SUCCEEDED;
		assert_ok(f, jobs_insert(f->db, &stored->job, &f->err));
		for (size_t t = 0; t < COUNT(tasks); t++)
			for (size_t m = 0; m < COUNT(metrics) && stored->count < SCORES_MAX; m++)
				if (next_random(&seed, 4) == 0)
					stored->rows[stored->count++] =
					    score(tasks[t], next_random(&seed, 3) == 0, metrics[m],
						  scores[next_random(&seed, 2)], i);
		qsort(stored->rows, stored->count, sizeof stored->rows[0], by_key);
		assert_ok(f, results_replace(f->db, stored->job.seq, stored->rows, stored->count, 1, &f->err));
	}
	assert_ok(f, db_commit(f->db, &f->err));
	return all;
}

static bool lets_through(const struct result_filter *filter, const struct stored *stored, const struct score *row)
{
	return (filter->task == NULL || strcmp(filter->task, row->task) == 0) &&
	       (filter->metric == NULL || strcmp(filter->metric, row->metric) == 0) &&
	       (filter->score == NULL || strcmp(filter->score, row->score) == 0) &&
	       (filter->model == NULL || strcmp(filter->model, stored->model) == 0) &&
	       (filter->user == NULL || strcmp(filter->user, stored->job.user) == 0) &&
	       (filter->cluster == NULL || strcmp(filter->cluster, stored->job.cluster) == 0) &&
	       (filter->evaluation == NULL || strcmp(filter->evaluation, stored->job.evaluation) == 0) &&
	       (filter->since_s == 0 || stored->job.created_at >= filter->since_s) &&
	       (filter->until_s == 0 || stored->job.created_at < filter->until_s) &&
	       (filter->label_key == NULL || (strcmp(filter->label_key, "team") == 0 && stored->label != NULL &&
					      strcmp(stored->label, filter->label_value) == 0));
}

/* Pages through the list and compares it with the naive one. */
static void compare(struct fixture *f, struct result_filter filter, const struct stored *all, int count)
{
	int at = count - 1; /* the place in the naive list */
	size_t row = 0;
	filter.before_seq = 0;
	do {
		CLEANUP(result_of_job_list_done) struct result_of_job_list page = {0};
		assert_ok(f, results_list(f->db, &filter, &page, &f->err));
		int jobs = 0;
		for (size_t i = 0; i < page.count; i++) {
			const struct result_of_job *got = &page.items[i];
			while (row == all[at].count || !lets_through(&filter, &all[at], &all[at].rows[row])) {
				if (row < all[at].count) {
					row++;
				} else {
					assert_true(--at >= 0);
					row = 0;
				}
			}
			assert_string_equal(got->job, all[at].job.id);
			assert_string_equal(got->evaluation, all[at].job.evaluation);
			assert_string_equal(got->model, all[at].model);
			assert_string_equal(got->user, all[at].job.user);
			assert_string_equal(got->state, chain_state_name(all[at].job.state));
			assert_string_equal(got->row.task, all[at].rows[row].task);
			assert_string_equal(got->row.metric, all[at].rows[row].metric);
			assert_true(got->row.value == at);
			row++;
			jobs += i == 0 || got->job_seq != page.items[i - 1].job_seq;
		}
		assert_true(jobs <= filter.limit);
		/* A job may have the score, the task and the metric, and no row with all of them. */
		assert_true(jobs == filter.limit || page.last_job_seq == 0 || filter.score != NULL);
		filter.before_seq = page.last_job_seq;
	} while (filter.before_seq != 0);
	for (; at >= 0; at--, row = 0)
		for (; row < all[at].count; row++)
			assert_false(lets_through(&filter, &all[at], &all[at].rows[row]));
}

static void test_results_list_filters_in_all_combinations_match_naive_ones(void **state)
{
	struct fixture *f = *state;
	const int count = 300;
	CLEANUP(mem_freep) struct stored *all = fill_store(f, count);
	static const char *const some_tasks[] = {NULL, "gsm8k", "mmlu", "never"};
	static const char *const some_metrics[] = {NULL, "acc", "never"};
	static const char *const some_models[] = {NULL, "meta/llama", "never"};
	static const char *const some_labels[] = {NULL, "x", "never"};
	for (size_t t = 0; t < COUNT(some_tasks); t++)
		for (size_t m = 0; m < COUNT(some_metrics); m++)
			for (size_t o = 0; o < COUNT(some_models); o++)
				for (size_t l = 0; l < COUNT(some_labels); l++)
					compare(f,
						(struct result_filter){
						    .task = some_tasks[t],
						    .metric = some_metrics[m],
						    .model = some_models[o],
						    .label_key = some_labels[l] == NULL ? NULL : "team",
						    .label_value = some_labels[l],
						    .limit = 3 + (int)(t * 7 + m * 5 + o * 3 + l) % 40,
						},
						all, count);
}

/* A filter that looks random; many of its members are not set. */
static struct result_filter random_filter(unsigned *seed, const struct stored *all, int count)
{
	struct result_filter filter = {.limit = 1 + (int)next_random(seed, 40)};
	if (next_random(seed, 3) == 0)
		filter.task = tasks[next_random(seed, COUNT(tasks))];
	if (next_random(seed, 3) == 0)
		filter.metric = metrics[next_random(seed, COUNT(metrics))];
	if (next_random(seed, 3) == 0)
		filter.score = scores[next_random(seed, COUNT(scores))];
	if (next_random(seed, 3) == 0)
		filter.model = models[next_random(seed, COUNT(models))];
	if (next_random(seed, 3) == 0)
		filter.user = users[next_random(seed, COUNT(users))];
	if (next_random(seed, 3) == 0)
		filter.cluster = clusters[next_random(seed, COUNT(clusters))];
	if (next_random(seed, 8) == 0)
		filter.evaluation = all[next_random(seed, (unsigned)count)].job.evaluation;
	if (next_random(seed, 3) == 0)
		filter.since_s = 990 + next_random(seed, 200);
	if (next_random(seed, 3) == 0)
		filter.until_s = 990 + next_random(seed, 200);
	if (next_random(seed, 4) == 0) {
		filter.label_key = "team";
		filter.label_value = label_values[next_random(seed, COUNT(label_values))];
	}
	return filter;
}

static void test_results_list_every_filter_matches_a_naive_one(void **state)
{
	struct fixture *f = *state;
	const int count = 300;
	unsigned seed = 11;
	CLEANUP(mem_freep) struct stored *all = fill_store(f, count);
	for (int i = 0; i < 400; i++)
		compare(f, random_filter(&seed, all, count), all, count);
}

static bool same_key(const struct stored *a, const struct score *x, const struct stored *b, const struct score *y)
{
	return strcmp(a->model, b->model) == 0 && strcmp(x->task, y->task) == 0 && x->group == y->group &&
	       strcmp(x->metric, y->metric) == 0;
}

/* Is there a newer job that has succeeded with a score of the same model, task and metric? */
static bool is_superseded(const struct result_filter *filter, const struct stored *all, int count, int at,
			  const struct score *row)
{
	for (int i = at + 1; i < count; i++)
		for (size_t k = 0; all[i].job.state == CHAIN_SUCCEEDED && k < all[i].count; k++)
			if (same_key(&all[at], row, &all[i], &all[i].rows[k]) &&
			    lets_through(filter, &all[i], &all[i].rows[k]))
				return true;
	return false;
}

static void test_results_newest_matches_a_naive_one(void **state)
{
	struct fixture *f = *state;
	const int count = 300;
	unsigned seed = 12;
	CLEANUP(mem_freep) struct stored *all = fill_store(f, count);
	for (int i = 0; i < 200; i++) {
		struct result_filter filter = random_filter(&seed, all, count);
		CLEANUP(result_of_job_list_done) struct result_of_job_list list = {0};
		/* A job stands for its score as a whole, so that a filter for one can leave a key without rows. */
		filter.score = NULL;
		assert_ok(f, results_newest(f->db, &filter, &list, &f->err));
		assert_false(list.truncated);
		size_t expected = 0;
		for (int at = 0; at < count; at++) {
			for (size_t r = 0; all[at].job.state == CHAIN_SUCCEEDED && r < all[at].count; r++) {
				const struct score *row = &all[at].rows[r];
				if (!lets_through(&filter, &all[at], row) ||
				    is_superseded(&filter, all, count, at, row))
					continue;
				expected++;
				bool found = false;
				for (size_t k = 0; k < list.count; k++)
					found = found || (list.items[k].job_seq == all[at].job.seq &&
							  list.items[k].row.value == at &&
							  strcmp(list.items[k].row.task, row->task) == 0 &&
							  strcmp(list.items[k].row.metric, row->metric) == 0);
				assert_true(found);
			}
		}
		assert_int_equal(list.count, expected);
	}
}

/* What is stored of a job whose likeness is known goes by it, and keeps it when it is read again. */
static void test_results_replace_goes_by_the_jobs_likeness(void **state)
{
	struct fixture *f = *state;
	const struct likeness_row of[] = {{"aa", "{\"checkpoint\":\"/a\"}"}, {"bb", "{\"checkpoint\":\"/b\"}"}};
	const struct likeness_row how = {"cc", "{\"harness\":\"h\"}"};
	const struct score row = {
	    .task = (char *)"mmlu", .metric = (char *)"acc", .score = (char *)"micro", .value = 0.5, .count = -1};
	for (int i = 0; i < 3; i++) {
		struct evaluation_row evaluation = sample_evaluation(i + 1);
		assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
		struct job_row job = sample_job(&evaluation, 0);
		job.state = CHAIN_SUCCEEDED;
		assert_ok(f, jobs_insert(f->db, &job, &f->err));
		if (i > 0) /* of the second and third, two checkpoints; of the first nothing is known */
			assert_ok(f, likenesses_set(f->db, job.seq, &of[i - 1], &how, &f->err));
		for (int again = 0; again < 2; again++)
			assert_ok(f, results_replace(f->db, job.seq, &row, 1, 5, &f->err));
	}
	CLEANUP(result_of_job_list_done) struct result_of_job_list list = {0};
	assert_ok(f, results_newest(f->db, &(struct result_filter){0}, &list, &f->err));
	assert_int_equal(list.count, 3);
	assert_null(list.items[0].basis->checkpoint);
	assert_string_equal(list.items[1].basis->checkpoint, "/a");
	assert_string_equal(list.items[2].basis->checkpoint, "/b");
	assert_string_equal(list.items[2].basis->harness, "h");
	/* One job goes, and what only it had of likenesses. */
	assert_int_equal(sqlite3_exec(f->db->sqlite,
				      "DELETE FROM evaluations WHERE seq = (SELECT max(seq) FROM evaluations)", NULL,
				      NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM likenesses"), 2);
	assert_integrity(f->db->sqlite);
}

static void test_results_newest_of_a_score_is_of_that_score(void **state)
{
	struct fixture *f = *state;
	CLEANUP(mem_freep) struct stored *all = fill_store(f, 100);
	const struct result_filter filter = {.score = "t"};
	CLEANUP(result_of_job_list_done) struct result_of_job_list list = {0};
	assert_ok(f, results_newest(f->db, &filter, &list, &f->err));
	assert_true(list.count > 0);
	for (size_t i = 0; i < list.count; i++)
		assert_string_equal(list.items[i].row.score, "t");
}

/* Jobs without end change nothing: what counts is how many models, tasks and metrics there are. */
static void test_results_newest_costs_the_same_in_a_large_store(void **state)
{
	struct fixture *f = *state;
	static const struct result_filter filters[] = {{0},
						       {.task = "mmlu"},
						       {.model = "meta/llama"},
						       {.label_key = "team", .label_value = "x"},
						       {.user = "ben"},
						       {.state = "succeeded"}};
	int64_t costs[2][COUNT(filters)];
	for (int large = 0; large < 2; large++) {
		if (large) {
			db_close(TAKE(f->db));
			unlink(f->path);
			assert_ok(f, db_migrate(f->path, NULL, NULL, &f->err));
			assert_ok(f, db_open(f->path, &f->db, &f->err));
		}
		free(fill_store(f, large ? 12000 : 1000));
		for (size_t i = 0; i < COUNT(filters); i++) {
			CLEANUP(result_of_job_list_done) struct result_of_job_list list = {0};
			take_cost(f->db);
			assert_ok(f, results_newest(f->db, &filters[i], &list, &f->err));
			costs[large][i] = take_cost(f->db);
		}
	}
	for (size_t i = 0; i < COUNT(filters); i++)
		if (costs[1][i] > 3 * costs[0][i] + 1000)
			fail_msg("filter %zu: %d steps with 12,000 jobs, %d with 1,000", i, (int)costs[1][i],
				 (int)costs[0][i]);
}

/* As test_evaluations_list_page_costs_the_same_in_a_large_store does it. */
static void test_results_list_page_costs_the_same_in_a_large_store(void **state)
{
	struct fixture *f = *state;
	static const struct result_filter filters[] = {
	    {.limit = 50},
	    {.limit = 50, .task = "mmlu"},
	    {.limit = 50, .metric = "acc"},
	    {.limit = 50, .task = "mmlu", .metric = "acc"},
	    {.limit = 50, .model = "meta/llama"},
	    {.limit = 50, .label_key = "team", .label_value = "x"},
	    {.limit = 50, .label_key = "team", .label_value = "never"},
	    {.limit = 50, .score = "t"},
	    {.limit = 50, .state = "succeeded"},
	    {.limit = 50, .user = "ben", .cluster = "beta"},
	    {.limit = 50, .evaluation = "0000000000000007"},
	    {.limit = 50, .since_s = 1100},
	    {.limit = 50, .until_s = 1100},
	    {.limit = 50, .until_s = 900},
	};
	int64_t costs[2][COUNT(filters)];
	int64_t rows[2][COUNT(filters)];
	for (int large = 0; large < 2; large++) {
		if (large) {
			db_close(TAKE(f->db));
			unlink(f->path);
			assert_ok(f, db_migrate(f->path, NULL, NULL, &f->err));
			assert_ok(f, db_open(f->path, &f->db, &f->err));
		}
		free(fill_store(f, large ? 12000 : 1000));
		for (size_t i = 0; i < COUNT(filters); i++) {
			CLEANUP(result_of_job_list_done) struct result_of_job_list page = {0};
			take_cost(f->db);
			assert_ok(f, results_list(f->db, &filters[i], &page, &f->err));
			costs[large][i] = take_cost(f->db);
			rows[large][i] = (int64_t)page.count + 1;
		}
	}
	for (size_t i = 0; i < COUNT(filters); i++) {
		int64_t as_small = costs[0][i] * rows[1][i] / rows[0][i];
		if (costs[1][i] > as_small + as_small / 4 + 200)
			fail_msg("filter %zu: %d steps with 12,000 jobs, %d with 1,000", i, (int)costs[1][i],
				 (int)costs[0][i]);
	}
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_results_replace_and_read_back),
	    READY(test_results_replace_not_finite_is_refused_and_keeps_the_old_ones),
	    READY(test_results_list_filters_in_all_combinations_match_naive_ones),
	    READY(test_results_list_page_costs_the_same_in_a_large_store),
	    READY(test_results_list_every_filter_matches_a_naive_one),
	    READY(test_results_newest_matches_a_naive_one),
	    READY(test_results_replace_goes_by_the_jobs_likeness),
	    READY(test_results_newest_of_a_score_is_of_that_score),
	    READY(test_results_newest_costs_the_same_in_a_large_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
