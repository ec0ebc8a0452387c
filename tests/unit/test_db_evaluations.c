/* db/evaluations.c: storing, every filter of the list against a naive one, what a page costs, idempotency keys. */
#include "db_fixture.h"

#include "db/usage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_evaluations_insert_and_get_every_column(void **state)
{
	struct fixture *f = *state;
	struct label labels[] = {{(char *)"team", (char *)"x"}, {(char *)"run", (char *)"7"}};
	unsigned char sealed[] = {0, 1, 2, 0, 255};
	struct evaluation_row row = sample_evaluation(1);
	row.labels = labels;
	row.label_count = COUNT(labels);
	row.sealed_env = sealed;
	row.sealed_env_size = sizeof sealed;
	assert_ok(f, evaluations_insert(f->db, &row, &f->err));
	assert_true(row.seq > 0);

	CLEANUP(evaluation_row_done) struct evaluation_row got = {0};
	assert_ok(f, evaluations_get(f->db, row.id, true, &got, &f->err));
	const char *const pairs[][2] = {
	    {got.id, row.id},
	    {got.user, row.user},
	    {got.cluster, row.cluster},
	    {got.identity, row.identity},
	    {got.state, row.state},
	    {got.model, row.model},
	    {got.rundir, row.rundir},
	    {got.submitted_text, row.submitted_text},
	    {got.overrides, row.overrides},
	    {got.submitted_type, row.submitted_type},
	    {got.resolved, row.resolved},
	    {got.config_hash, row.config_hash},
	    {got.warnings, row.warnings},
	    {got.labels[0].key, "run"},
	    {got.labels[0].value, "7"},
	    {got.labels[1].key, "team"},
	};
	for (size_t i = 0; i < COUNT(pairs); i++)
		assert_string_equal(pairs[i][0], pairs[i][1]);
	assert_int_equal(got.seq, row.seq);
	assert_int_equal(got.label_count, 2);
	assert_int_equal(got.sealed_env_size, sizeof sealed);
	assert_memory_equal(got.sealed_env, sealed, sizeof sealed);
	assert_int_equal(got.created_at, row.created_at);
	assert_int_equal(got.updated_at, row.updated_at);
	assert_int_equal(got.ended_at, 0);
	assert_int_equal(got.version, 1);

	assert_ok(f, evaluations_set_env(f->db, row.seq, (const unsigned char *)"new", 3, &f->err));
	evaluation_row_done(&got);
	assert_ok(f, evaluations_get(f->db, row.id, true, &got, &f->err));
	assert_int_equal(got.sealed_env_size, 3);
	assert_memory_equal(got.sealed_env, "new", 3);
	evaluation_row_done(&got);
	assert_ok(f, evaluations_get(f->db, row.id, false, &got, &f->err));
	assert_null(got.submitted_text);
	assert_null(got.resolved);
	assert_int_equal(got.label_count, 2);
	assert_refused(f, NEL_NOTFOUND, evaluations_get(f->db, "00000000000000ff", false, &got, &f->err));
}

static void test_evaluations_insert_taken_id_is_a_conflict_and_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct label twice[] = {{(char *)"k", (char *)"1"}, {(char *)"k", (char *)"2"}};
	struct evaluation_row row = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &row, &f->err));
	assert_refused(f, NEL_CONFLICT, evaluations_insert(f->db, &row, &f->err));
	struct evaluation_row other = sample_evaluation(2);
	other.labels = twice;
	other.label_count = COUNT(twice);
	assert_refused(f, NEL_CONFLICT, evaluations_insert(f->db, &other, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM evaluations"), 1);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM evaluation_texts"), 1);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM labels"), 0);
	other.label_count = 1;
	assert_ok(f, evaluations_insert(f->db, &other, &f->err));
}

static void test_evaluations_set_state_and_touch(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row row = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &row, &f->err));
	static const struct {
		const char *state;
		bool ended;
		int64_t now;
		int64_t ended_at;
	} cases[] = {{"running", false, 2000, 0}, {"failed", true, 3000, 3000}, {"running", false, 4000, 0}};
	int64_t version = 1;
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(evaluation_row_done) struct evaluation_row got = {0};
		assert_ok(f,
			  evaluations_set_state(f->db, row.seq, cases[i].state, cases[i].now, cases[i].ended, &f->err));
		assert_ok(f, evaluations_get(f->db, row.id, false, &got, &f->err));
		assert_string_equal(got.state, cases[i].state);
		assert_int_equal(got.updated_at, cases[i].now);
		assert_int_equal(got.ended_at, cases[i].ended_at);
		assert_int_equal(got.version, ++version);
	}
	CLEANUP(evaluation_row_done) struct evaluation_row got = {0};
	assert_ok(f, evaluations_touch(f->db, row.seq, 5000, &f->err));
	assert_ok(f, evaluations_get(f->db, row.id, false, &got, &f->err));
	assert_int_equal(got.updated_at, 5000);
	assert_int_equal(got.version, version + 1);
	assert_string_equal(got.state, "running");
	assert_refused(f, NEL_NOTFOUND, evaluations_touch(f->db, 99, 5000, &f->err));
	assert_refused(f, NEL_NOTFOUND, evaluations_set_state(f->db, 99, "failed", 1, true, &f->err));
	assert_refused(f, NEL_NOTFOUND, evaluations_set_env(f->db, 99, (const unsigned char *)"", 0, &f->err));
}

static void test_evaluations_clear_envs_of_what_needs_them_no_more(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *state;
		int64_t ended_at;
		const char *job; /* what its job has besides */
		bool kept;
	} cases[] = {
	    {"succeeded", 900, "ended_at = 1, collected = 1", false},
	    {"failed", 499, "ended_at = 1, collected = 1", false},
	    {"cancelled", 499, "ended_at = 1, collected = 1", false},
	    {"failed", 501, "ended_at = 1, collected = 1", true},
	    {"running", 0, "collected = 0, ended_at = NULL", true},
	    {"succeeded", 900, "ended_at = 1, collected = 0", true}, /* its export is followed */
	    {"failed", 100, "ended_at = 1, collected = 1, resume_requested_at = 1", true},
	};
	int count = 0;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct evaluation_row row = sample_evaluation((int)i + 1);
		row.sealed_env = (unsigned char *)"x";
		row.sealed_env_size = 1;
		assert_ok(f, evaluations_insert(f->db, &row, &f->err));
		struct job_row job = sample_job(&row, 0);
		assert_ok(f, jobs_insert(f->db, &job, &f->err));
		assert_ok(f, evaluations_set_state(f->db, row.seq, cases[i].state, cases[i].ended_at,
						   cases[i].ended_at != 0, &f->err));
		CLEANUP(mem_freep)
		char *sql = mem_printf("UPDATE jobs SET attention = 0, %s WHERE evaluation_seq = %d", cases[i].job,
				       (int)row.seq);
		assert_int_equal(sqlite3_exec(f->db->sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
	}
	assert_ok(f, evaluations_clear_envs(f->db, 500, 2, &count, &f->err));
	assert_int_equal(count, 2);
	assert_ok(f, evaluations_clear_envs(f->db, 500, 100, &count, &f->err));
	assert_int_equal(count, 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(evaluation_row_done) struct evaluation_row got = {0};
		char id[IDS_EVALUATION_SIZE];
		snprintf(id, sizeof id, "%016x", (unsigned)i + 1);
		assert_ok(f, evaluations_get(f->db, id, true, &got, &f->err));
		if ((got.sealed_env != NULL) != cases[i].kept)
			fail_msg("case %zu", i);
	}
}

/* The store for the list tests: what was put in, so that a naive filter can go over it. */
#define TASKS_PER_EVALUATION 2

static const char *const states[] = {"queued", "running", "succeeded", "failed", "cancelled"};
static const char *const users[] = {"anna", "bert", "cleo", "rare"};
static const char *const clusters[] = {"alpha", "beta", "gamma"};
static const char *const models[] = {"meta/llama", "nvidia/nemotron"};
static const char *const tasks[] = {"gsm8k", "mmlu", "ifeval", "aime", "never"};
static const char *const label_values[] = {"x", "y", "z"};

struct stored {
	struct evaluation_row row;
	const char *tasks[TASKS_PER_EVALUATION];
	const char *label; /* of the key "team"; NULL: no such label */
};

static void insert_stored(struct fixture *f, struct stored *stored)
{
	struct label label = {(char *)"team", (char *)stored->label};
	stored->row.labels = stored->label == NULL ? NULL : &label;
	stored->row.label_count = stored->label == NULL ? 0 : 1;
	assert_ok(f, evaluations_insert(f->db, &stored->row, &f->err));
	stored->row.labels = NULL;
	for (int i = 0; i < TASKS_PER_EVALUATION; i++) {
		struct job_row job = sample_job(&stored->row, i);
		job.task = (char *)stored->tasks[i];
		assert_ok(f, jobs_insert(f->db, &job, &f->err));
	}
}

/* `count` evaluations that look random, often several within one second. The clock is set back now and then; a wild one
 * also runs ahead for a moment, so that most rows after it are late. */
static struct stored *fill_store(struct fixture *f, int count, bool wild_clock)
{
	struct stored *all = mem_calloc((size_t)count, sizeof *all);
	unsigned seed = 4711;
	int64_t now = 100000;
	assert_ok(f, db_begin(f->db, &f->err));
	for (int i = 0; i < count; i++) {
		struct stored *stored = &all[i];
		stored->row = sample_evaluation(i + 1);
		stored->row.state = (char *)states[next_random(&seed, COUNT(states))];
		stored->row.user = (char *)users[i % 97 == 5 ? 3 : next_random(&seed, 3)];
		stored->row.cluster = (char *)clusters[next_random(&seed, COUNT(clusters))];
		stored->row.model = (char *)models[next_random(&seed, COUNT(models))];
		stored->tasks[0] = tasks[next_random(&seed, 4)];
		stored->tasks[1] = tasks[next_random(&seed, 4)]; /* may be the same */
		stored->label = next_random(&seed, 3) == 0 ? NULL : label_values[next_random(&seed, 3)];
		now += next_random(&seed, 3) * 10;
		if (next_random(&seed, wild_clock ? 50 : 2000) == 0)
			now -= 300;
		stored->row.created_at = wild_clock && i % 200 == 100 ? now + 1500 : now;
		insert_stored(f, stored);
	}
	assert_ok(f, db_commit(f->db, &f->err));
	return all;
}

static bool lets_through(const struct evaluation_filter *filter, const struct stored *stored)
{
	const struct evaluation_row *row = &stored->row;
	bool has_task = false;
	for (int i = 0; i < TASKS_PER_EVALUATION && filter->task != NULL; i++)
		has_task = has_task || strcmp(stored->tasks[i], filter->task) == 0;
	return (filter->state == NULL || strcmp(row->state, filter->state) == 0) &&
	       (filter->user == NULL || strcmp(row->user, filter->user) == 0) &&
	       (filter->cluster == NULL || strcmp(row->cluster, filter->cluster) == 0) &&
	       (filter->task == NULL || has_task) &&
	       (filter->model == NULL || strcmp(row->model, filter->model) == 0) &&
	       (filter->label_key == NULL || (stored->label != NULL && strcmp(filter->label_key, "team") == 0 &&
					      strcmp(stored->label, filter->label_value) == 0)) &&
	       (filter->since_s == 0 || row->created_at >= filter->since_s) &&
	       (filter->until_s == 0 || row->created_at < filter->until_s);
}

/* Pages through the list and compares it with the naive one; returns the number of rows. */
static int compare(struct fixture *f, struct evaluation_filter filter, const struct stored *all, int count)
{
	int found = 0;
	int at = count;
	filter.position = 0;
	for (;;) {
		struct seq_list page = {0};
		assert_ok(f, evaluations_list(f->db, &filter, &page, &f->err));
		for (size_t i = 0; i < page.count; i++) {
			do
				at--;
			while (at >= 0 && !lets_through(&filter, &all[at]));
			assert_true(at >= 0);
			CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
			assert_ok(f, evaluations_get_at(f->db, page.seqs[i], &row, &f->err));
			assert_true(row.seq == page.seqs[i]);
			assert_string_equal(row.id, all[at].row.id);
			assert_string_equal(row.state, all[at].row.state);
			assert_int_equal(row.created_at, all[at].row.created_at);
			assert_int_equal(row.label_count, all[at].label != NULL);
			assert_null(row.resolved);
			found++;
			filter.position = page.seqs[i];
		}
		if (page.count < (size_t)filter.limit)
			break;
	}
	while (--at >= 0)
		assert_false(lets_through(&filter, &all[at]));
	return found;
}

/* One filter each, of every kind: common, rare and without any row. */
static const struct evaluation_filter filters[] = {
    {0},
    {.state = "failed"},
    {.state = "nonsense"},
    {.user = "anna"},
    {.user = "rare"},
    {.cluster = "beta"},
    {.task = "mmlu"},
    {.task = "never"},
    {.model = "meta/llama"},
    {.label_key = "team", .label_value = "y"},
    {.label_key = "other", .label_value = "y"},
    {.since_s = 1},
    {.since_s = 102000},
    {.since_s = 103500},
    {.since_s = 900000},
    {.until_s = 1},
    {.until_s = 101000},
    {.until_s = 103000},
    {.until_s = 900000},
};

static struct evaluation_filter both(const struct evaluation_filter *a, const struct evaluation_filter *b)
{
	struct evaluation_filter filter = *a;
	filter.state = b->state != NULL ? b->state : a->state;
	filter.user = b->user != NULL ? b->user : a->user;
	filter.cluster = b->cluster != NULL ? b->cluster : a->cluster;
	filter.task = b->task != NULL ? b->task : a->task;
	filter.model = b->model != NULL ? b->model : a->model;
	filter.label_key = b->label_key != NULL ? b->label_key : a->label_key;
	filter.label_value = b->label_key != NULL ? b->label_value : a->label_value;
	filter.since_s = b->since_s != 0 ? b->since_s : a->since_s;
	filter.until_s = b->until_s != 0 ? b->until_s : a->until_s;
	return filter;
}

static void test_evaluations_list_filters_alone_and_in_pairs_match_naive_ones(void **state)
{
	struct fixture *f = *state;
	const int count = 600;
	CLEANUP(mem_freep) struct stored *all = fill_store(f, count, true);
	int64_t late = query_number(f->db->sqlite, "SELECT count(*) FROM evaluations WHERE created_at < created_high");
	assert_true(late > 20); /* the clock was set back: that case is there */
	int empty = 0;
	for (size_t a = 0; a < COUNT(filters); a++) {
		for (size_t b = a; b < COUNT(filters); b++) {
			struct evaluation_filter filter = both(&filters[a], &filters[b]);
			filter.limit = 7 + (int)(a + b) % 40;
			empty += compare(f, filter, all, count) == 0;
		}
	}
	assert_true(empty < 120); /* of 190: most have something to compare */
	struct evaluation_filter everything = {.state = "failed",
					       .user = "anna",
					       .cluster = "beta",
					       .task = "mmlu",
					       .model = "meta/llama",
					       .label_key = "team",
					       .label_value = "y",
					       .since_s = 100100,
					       .until_s = 900000,
					       .limit = 1};
	compare(f, everything, all, count);
}

static void test_evaluations_list_limits(void **state)
{
	struct fixture *f = *state;
	const int count = DB_LIST_MAX + 50;
	free(fill_store(f, count, true));
	static const struct {
		int limit;
		size_t expected;
	} cases[] = {{-1, 0}, {0, 0}, {1, 1}, {500, 500}, {DB_LIST_MAX, DB_LIST_MAX}, {1 << 30, DB_LIST_MAX}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct seq_list page = {0};
		assert_ok(
		    f, evaluations_list(f->db, &(struct evaluation_filter){.limit = cases[i].limit}, &page, &f->err));
		assert_int_equal(page.count, cases[i].expected);
	}
}

static void test_evaluations_list_paging_equal_times_while_others_are_stored(void **state)
{
	struct fixture *f = *state;
	for (int i = 1; i <= 100; i++) {
		struct evaluation_row row = sample_evaluation(i);
		row.created_at = 5000;
		assert_ok(f, evaluations_insert(f->db, &row, &f->err));
	}
	struct evaluation_filter filter = {.user = "anna", .since_s = 5000, .until_s = 5001, .limit = 9};
	int expected = 100;
	for (int next = 101;; next++) {
		struct seq_list page = {0};
		assert_ok(f, evaluations_list(f->db, &filter, &page, &f->err));
		for (size_t i = 0; i < page.count; i++, expected--) {
			struct evaluation_row row = sample_evaluation(expected);
			CLEANUP(evaluation_row_done) struct evaluation_row got = {0};
			assert_ok(f, evaluations_get_at(f->db, page.seqs[i], &got, &f->err));
			assert_string_equal(got.id, row.id);
			filter.position = page.seqs[i];
		}
		if (page.count < 9)
			break;
		struct evaluation_row another = sample_evaluation(next); /* meanwhile */
		another.created_at = 5000;
		assert_ok(f, evaluations_insert(f->db, &another, &f->err));
	}
	assert_int_equal(expected, 0);
}

/* The list and the rows come from one instant, also when a writer changes the rows meanwhile: the caller's transaction
 * shows it. */
static void test_evaluations_list_within_read_transaction_is_one_instant(void **state)
{
	struct fixture *f = *state;
	CLEANUP(db_freep) struct db *writer = NULL;
	struct evaluation_row row = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &row, &f->err));
	assert_ok(f, db_open(f->path, &writer, &f->err));
	const struct evaluation_filter queued = {.state = "queued", .limit = 10};
	assert_ok(f, db_begin_read(f->db, &f->err));
	for (int i = 0; i < 2; i++) {
		struct seq_list page = {0};
		assert_ok(f, evaluations_list(f->db, &queued, &page, &f->err));
		assert_int_equal(page.count, 1);
		CLEANUP(evaluation_row_done) struct evaluation_row got = {0};
		assert_ok(f, evaluations_get_at(f->db, page.seqs[0], &got, &f->err));
		assert_string_equal(got.state, "queued");
		assert_ok(f, evaluations_set_state(writer, row.seq, "running", 1, false, &f->err));
	}
	db_rollback(f->db);
	struct seq_list page = {0};
	assert_ok(f, evaluations_list(f->db, &queued, &page, &f->err));
	assert_int_equal(page.count, 0);
}

/* Pages of 3 in another order have the rows that the filter lets through, each once. */
static void test_evaluations_list_sorted_is_whole_and_in_order(void **state)
{
	struct fixture *f = *state;
	enum { ROWS = 40 };
	for (int i = 1; i <= ROWS; i++) {
		struct evaluation_row row = sample_evaluation(i);
		row.updated_at = 1000 + i * 7 % 5; /* many at a time */
		row.user = i % 2 == 0 ? "bert" : "anna";
		assert_ok(f, evaluations_insert(f->db, &row, &f->err));
	}
	for (enum list_sort sort = LIST_NEWEST; sort <= LIST_CHANGED; sort++) {
		struct evaluation_filter filter = {.user = "bert", .sort = sort, .limit = 3};
		struct seq_list page = {.count = 3};
		bool seen[ROWS + 1] = {false};
		int64_t last_seq = 0;
		int64_t last_at = INT64_MAX;
		int count = 0;
		while (page.count == 3) {
			assert_ok(f, evaluations_list(f->db, &filter, &page, &f->err));
			for (size_t i = 0; i < page.count; i++, count++) {
				CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
				assert_ok(f, evaluations_get_at(f->db, page.seqs[i], &row, &f->err));
				assert_string_equal(row.user, "bert");
				assert_false(seen[row.seq]);
				seen[row.seq] = true;
				if (sort == LIST_OLDEST)
					assert_true(row.seq > last_seq);
				if (sort == LIST_NEWEST)
					assert_true(last_seq == 0 || row.seq < last_seq);
				if (sort == LIST_CHANGED)
					assert_true(row.updated_at < last_at ||
						    (row.updated_at == last_at && row.seq < last_seq));
				last_seq = row.seq;
				last_at = row.updated_at;
				filter.position = page.positions[i];
			}
			assert_int_equal(page.next, 0);
		}
		assert_int_equal(count, ROWS / 2);
	}
}

/* A page looks at so many rows only, and says where it goes on. */
static void test_evaluations_list_sorted_goes_on_where_it_stopped_looking(void **state)
{
	struct fixture *f = *state;
	assert_ok(f, db_begin(f->db, &f->err));
	for (int i = 1; i <= 5003; i++) {
		struct evaluation_row row = sample_evaluation(i);
		row.user = i > 5000 ? "bert" : "anna";
		assert_ok(f, evaluations_insert(f->db, &row, &f->err));
	}
	assert_ok(f, db_commit(f->db, &f->err));
	struct evaluation_filter filter = {.user = "bert", .sort = LIST_OLDEST, .limit = 10};
	struct seq_list page = {0};
	assert_ok(f, evaluations_list(f->db, &filter, &page, &f->err));
	assert_int_equal(page.count, 0);
	assert_int_not_equal(page.next, 0);
	filter.position = page.next;
	assert_ok(f, evaluations_list(f->db, &filter, &page, &f->err));
	assert_int_equal(page.count, 3);
	assert_int_equal(page.next, 0);
}

struct cost {
	int64_t steps; /* of SQLite's machine, for one page */
	int64_t rows;
};

/* Each filter's first page, and a page from the middle. */
static void measure(struct fixture *f, int count, struct cost costs[COUNT(filters)][2])
{
	for (size_t i = 0; i < COUNT(filters); i++) {
		for (int from_middle = 0; from_middle < 2; from_middle++) {
			struct seq_list page = {0};
			struct evaluation_filter filter = filters[i];
			filter.limit = 50;
			filter.position = from_middle ? count / 2 : 0;
			take_cost(f->db);
			assert_ok(f, evaluations_list(f->db, &filter, &page, &f->err));
			costs[i][from_middle] = (struct cost){take_cost(f->db), (int64_t)page.count};
		}
	}
}

static void test_evaluations_list_page_costs_the_same_in_a_large_store(void **state)
{
	struct fixture *f = *state;
	const int64_t slack = 1000; /* some 20 us: the late rows that `until` looks at */
	struct cost small[COUNT(filters)][2];
	struct cost large[COUNT(filters)][2];
	free(fill_store(f, 1000, false));
	measure(f, 1000, small);
	db_close(TAKE(f->db));
	unlink(f->path);
	assert_ok(f, db_migrate(f->path, NULL, NULL, &f->err));
	assert_ok(f, db_open(f->path, &f->db, &f->err));
	free(fill_store(f, 12000, false));
	measure(f, 12000, large);
	for (size_t i = 0; i < COUNT(filters); i++) {
		for (int k = 0; k < 2; k++) {
			int64_t as_small = small[i][k].steps * (large[i][k].rows + 1) / (small[i][k].rows + 1);
			if (large[i][k].steps > as_small + as_small / 4 + slack)
				fail_msg("filter %zu: %d steps for %d rows of 12,000, %d for %d of 1,000", i,
					 (int)large[i][k].steps, (int)large[i][k].rows, (int)small[i][k].steps,
					 (int)small[i][k].rows);
		}
	}
}

static int prune(struct fixture *f, int64_t before_s, int limit)
{
	int count = -1;
	assert_ok(f, evaluations_prune(f->db, before_s, limit, &count, &f->err));
	return count;
}

static void test_evaluations_prune_takes_ended_ones_with_all_that_is_theirs(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row rows[4];
	struct job_row jobs[4];
	for (int i = 0; i < 4; i++) {
		rows[i] = sample_evaluation(i + 1);
		assert_ok(f, evaluations_insert(f->db, &rows[i], &f->err));
		jobs[i] = sample_job(&rows[i], 0);
		assert_ok(f, jobs_insert(f->db, &jobs[i], &f->err));
	}
	/* 0 ended long ago, 1 is not collected, 2 is young, 3 lives. */
	for (int i = 0; i < 3; i++) {
		assert_ok(f,
			  jobs_set_state(f->db, jobs[i].seq, jobs[i].state, CHAIN_FAILED, NULL, NULL, 50, 50, &f->err));
		assert_ok(f, evaluations_set_state(f->db, rows[i].seq, "failed", i == 2 ? 500 : 50, true, &f->err));
		if (i != 1)
			assert_ok(f, jobs_set_collected(f->db, jobs[i].seq, &f->err));
	}
	const struct job_row *used[] = {&jobs[0]};
	const struct usage_row usage = {.attempt = "n.1", .ended_at = 50, .run_s = 40, .gpu_s = 320};
	assert_int_equal(sqlite3_exec(f->db->sqlite, "INSERT INTO labels VALUES (1, 'team', 'red')", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_ok(f, usage_put(f->db, &usage, used, 1, &f->err));
	assert_int_equal(sqlite3_exec(f->db->sqlite, "UPDATE jobs SET attention = 1", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(prune(f, 100, 10), 0); /* the scheduler has not looked at it */
	assert_int_equal(sqlite3_exec(f->db->sqlite, "UPDATE jobs SET attention = 0", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(prune(f, 50, 10), 0);
	assert_int_equal(prune(f, 100, 0), 0);
	assert_int_equal(prune(f, 100, 10), 1);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM evaluations"), 3);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM evaluation_texts"), 3);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM jobs"), 3);
	assert_int_equal(
	    query_number(f->db->sqlite, "SELECT count(*) FROM history WHERE job NOT IN (SELECT seq FROM jobs)"), 0);
	/* The ledger stays. */
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM labels"), 0);
	assert_int_equal(query_number(f->db->sqlite, "SELECT sum(gpu_s) FROM usage JOIN usage_labels USING (evaluation)"
						     " WHERE value = 'red'"),
			 320);
	assert_integrity(f->db->sqlite);
	int marked = 0;
	assert_ok(f, jobs_request_resume(f->db, jobs[2].id, "anna", false, 600, &marked, &f->err));
	assert_int_equal(marked, 1);
	assert_int_equal(prune(f, 1000, 10), 0);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM evaluations"), 3);
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_evaluations_clear_envs_of_what_needs_them_no_more, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_evaluations_prune_takes_ended_ones_with_all_that_is_theirs,
					    fixture_setup, fixture_teardown),
	    READY(test_evaluations_insert_and_get_every_column),
	    READY(test_evaluations_insert_taken_id_is_a_conflict_and_leaves_nothing),
	    READY(test_evaluations_set_state_and_touch),
	    READY(test_evaluations_list_filters_alone_and_in_pairs_match_naive_ones),
	    READY(test_evaluations_list_limits),
	    READY(test_evaluations_list_paging_equal_times_while_others_are_stored),
	    READY(test_evaluations_list_within_read_transaction_is_one_instant),
	    READY(test_evaluations_list_sorted_is_whole_and_in_order),
	    READY(test_evaluations_list_sorted_goes_on_where_it_stopped_looking),
	    READY(test_evaluations_list_page_costs_the_same_in_a_large_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
