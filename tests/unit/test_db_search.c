/* db/search.c: what words find, and the index that is written behind submissions. */
#include "db_fixture.h"

#include "base/clock.h"
#include "db/search.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int matches(struct fixture *f, const char *words)
{
	CLEANUP(mem_freep) char *match = NULL;
	struct seq_list page = {0};
	assert_ok(f, search_parse(words, &match, &f->err));
	const struct evaluation_filter filter = {.search = match, .limit = 10};
	assert_ok(f, evaluations_list(f->db, &filter, &page, &f->err));
	return (int)page.count;
}

static int job_matches(struct fixture *f, const char *words)
{
	CLEANUP(mem_freep) char *match = NULL;
	struct seq_list page = {0};
	assert_ok(f, search_parse(words, &match, &f->err));
	const struct job_filter filter = {.search = match, .limit = 10};
	assert_ok(f, jobs_list(f->db, &filter, &page, &f->err));
	return (int)page.count;
}

/* *ret_more of one call; what it has put in is what is found afterwards. */
static bool catch_up(struct fixture *f)
{
	bool more = false;
	assert_ok(f, search_catch_up(f->db, 1000, &more, &f->err));
	return more;
}

static void test_search_finds_parts_of_words_in_any_case(void **state)
{
	struct fixture *f = *state;
	struct label labels[] = {{"team", "Röd \"x\""}};
	struct evaluation_row row = sample_evaluation(1);
	row.model = "meta/Llama-3.1-8B";
	row.labels = labels;
	row.label_count = 1;
	assert_ok(f, evaluations_insert(f->db, &row, &f->err));
	struct job_row job = sample_job(&row, 0);
	job.task = "gsm8k";
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	assert_false(catch_up(f));
	assert_int_equal(job_matches(f, "LLAMA gsm8k röd"), 1);
	assert_int_equal(job_matches(f, "llama mmlu"), 0);
	static const struct {
		const char *words;
		int found;
	} cases[] = {{"llama", 1},    {"lama-3.1", 1},  {"LLAMA meta", 1}, {"llama qwen", 0},
		     {"team:rÖd", 1}, {"  \"x\"  ", 1}, {"\"y\"", 0},      {"text:llama", 0},
		     {"lla*", 0},     {"anna", 1},      {"(llama", 0}};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(matches(f, cases[i].words), cases[i].found);
	assert_ok(f, evaluations_set_state(f->db, row.seq, "succeeded", 5, true, &f->err));
	assert_int_equal(
	    sqlite3_exec(f->db->sqlite, "UPDATE jobs SET ended_at = 5, collected = 1, attention = 0", NULL, NULL, NULL),
	    SQLITE_OK);
	int count = 0;
	assert_ok(f, evaluations_prune(f->db, 6, 10, &count, &f->err));
	assert_int_equal(count, 1);
	assert_int_equal(matches(f, "llama"), 0);
	assert_int_equal(job_matches(f, "llama"), 0);
	static const char *const wrong[] = {"", "  ", "ab", "llama ab", "éé"};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char *match = NULL;
		assert_refused(f, NEL_INVALID, search_parse(wrong[i], &match, &f->err));
	}
}

static struct evaluation_row add_ended(struct fixture *f, int number, char *model)
{
	struct evaluation_row row = sample_evaluation(number);
	row.model = model;
	assert_ok(f, evaluations_insert(f->db, &row, &f->err));
	struct job_row job = sample_job(&row, 0);
	job.model = model;
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	assert_ok(f, evaluations_set_state(f->db, row.seq, "succeeded", 5, true, &f->err));
	assert_int_equal(
	    sqlite3_exec(f->db->sqlite, "UPDATE jobs SET ended_at = 5, collected = 1, attention = 0", NULL, NULL, NULL),
	    SQLITE_OK);
	return row;
}

static int64_t indexed(struct fixture *f, const char *table)
{
	CLEANUP(mem_freep)
	char *sql = mem_printf("SELECT count(*) FROM %s WHERE %s MATCH 'llama'", table, table);
	return query_number(f->db->sqlite, sql);
}

/* Each of them once, however far behind the index is, and whatever was pruned before and after it got there. */
static void test_search_catches_up_with_all_that_is_missing(void **state)
{
	enum { COUNT_OF_BATCH = SEARCH_BATCH / 2, ALL = COUNT_OF_BATCH + 2 }; /* two rows each */
	struct fixture *f = *state;
	int count = 0;
	assert_false(catch_up(f));
	for (int i = 0; i < ALL; i++)
		add_ended(f, i + 1, (char *)"llama");
	assert_true(catch_up(f));
	assert_int_equal(indexed(f, "evaluation_search"), COUNT_OF_BATCH);
	assert_int_equal(indexed(f, "job_search"), COUNT_OF_BATCH);
	assert_false(catch_up(f));
	assert_int_equal(indexed(f, "evaluation_search"), ALL);
	assert_int_equal(indexed(f, "job_search"), ALL);
	int64_t revision = db_revision();
	assert_false(catch_up(f));
	assert_int_equal(db_revision(), revision); /* nothing was written */
	/* All are pruned, one of them without having been in the index; their numbers are given anew. */
	add_ended(f, ALL + 1, (char *)"llama");
	assert_ok(f, evaluations_prune(f->db, 6, 2 * ALL, &count, &f->err));
	assert_int_equal(count, ALL + 1);
	assert_false(catch_up(f));
	struct evaluation_row anew = add_ended(f, 1, (char *)"qwen");
	assert_int_equal(anew.seq, 1);
	assert_false(catch_up(f));
	assert_int_equal(matches(f, "qwen"), 1);
	assert_int_equal(job_matches(f, "qwen"), 1);
	assert_int_equal(matches(f, "llama"), 0);
}

/* An evaluation of more rows than a transaction is to have comes alone. */
static void test_search_catches_up_with_a_large_one_alone(void **state)
{
	struct fixture *f = *state;
	add_ended(f, 1, (char *)"llama");
	struct evaluation_row large = add_ended(f, 2, (char *)"llama");
	for (int i = 1; i < SEARCH_BATCH + 5; i++) {
		struct job_row job = sample_job(&large, i);
		job.model = (char *)"llama";
		assert_ok(f, jobs_insert(f->db, &job, &f->err));
	}
	add_ended(f, 3, (char *)"llama");
	for (int done = 1; done <= 3; done++) {
		assert_int_equal(catch_up(f), done < 3);
		assert_int_equal(indexed(f, "evaluation_search"), done);
	}
	assert_int_equal(indexed(f, "job_search"), SEARCH_BATCH + 7);
}

/* Who searches does not wait for a writer for long. */
static void test_search_is_busy_soon(void **state)
{
	struct fixture *f = *state;
	struct db *other = NULL;
	bool more = false;
	add_ended(f, 1, (char *)"llama");
	assert_ok(f, db_open(f->path, &other, &f->err));
	assert_ok(f, db_begin(other, &f->err));
	int64_t begin_ms = clock_mono_ms();
	assert_refused(f, NEL_BUSY, search_catch_up(f->db, 50, &more, &f->err));
	assert_true(clock_mono_ms() - begin_ms < 5000);
	db_rollback(other);
	db_close(other);
	assert_false(catch_up(f));
	assert_int_equal(matches(f, "llama"), 1);
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_search_finds_parts_of_words_in_any_case),
	    READY(test_search_catches_up_with_all_that_is_missing),
	    READY(test_search_catches_up_with_a_large_one_alone),
	    READY(test_search_is_busy_soon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
