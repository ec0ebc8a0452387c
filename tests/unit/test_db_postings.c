/* db/postings.c: what a total costs at most. */
#include "db_fixture.h"

#include "db/postings.h"

/* Seqs up to a million, newest first, every second one. */
static sqlite3_stmt *every_second(struct fixture *f, int first)
{
	static const char sql[] = "WITH RECURSIVE n(i) AS (SELECT min(?2, 1000000) - (min(?2, 1000000) - ?1) % 2"
				  " UNION ALL SELECT i - 2 FROM n WHERE i > 2) SELECT i FROM n";
	sqlite3_stmt *stmt = NULL;
	assert_int_equal(sqlite3_prepare_v2(f->db->sqlite, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_bind_int(stmt, 1, first), SQLITE_OK);
	return stmt;
}

static void check_total(struct fixture *f, int other, int64_t wanted)
{
	sqlite3_stmt *stmts[] = {every_second(f, 0), every_second(f, other)};
	struct postings postings = {0};
	int64_t total = -1;
	bool capped = false;
	for (int i = 0; i < 2; i++)
		postings_add(&postings, (struct query){.db = f->db, .stmt = stmts[i], .bound = 1});
	assert_ok(f, postings_total(&postings, &total, &capped, &f->err));
	assert_int_equal(total, wanted);
	assert_true(capped);
	postings_done(&postings);
	for (int i = 0; i < 2; i++)
		sqlite3_finalize(stmts[i]);
}

static void test_total_gives_up_on_lists_that_never_agree(void **state)
{
	check_total(*state, 1, 0);
	check_total(*state, 0, DB_TOTAL_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_total_gives_up_on_lists_that_never_agree, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
