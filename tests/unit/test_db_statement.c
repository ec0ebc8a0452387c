/* db/statement.c: the rows of a query, and what ends them early. */
#include "db_fixture.h"

/* A query of its own for each text; the statement goes with the test. */
static struct query prepare(struct fixture *f, const char *sql)
{
	struct query q = {.db = f->db};
	assert_int_equal(sqlite3_prepare_v2(f->db->sqlite, sql, -1, &q.stmt, NULL), SQLITE_OK);
	return q;
}

#define NUMBERS "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT ?"

static void test_query_next_any_number_of_rows_all_are_kept(void **state)
{
	static const int64_t counts[] = {0, 1, 7, 8, 9, 16, 17, 1000};
	struct fixture *f = *state;
	struct query q = prepare(f, NUMBERS);
	for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
		CLEANUP(mem_freep) int64_t *rows = NULL;
		size_t count = 0;
		query_bind_int(&q, counts[c]);
		while (query_next(&q, &f->err))
			*ROW_ADD(rows, count) = query_int(&q);
		assert_false(query_failed(&q));
		assert_int_equal(count, counts[c]);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(rows[i], i);
		query_again(&q);
	}
	sqlite3_finalize(q.stmt);
}

static void test_row_add_new_element_is_zeroed(void **state)
{
	(void)state;
	CLEANUP(mem_freep) struct user_row_like {
		char name[40];
		int64_t at;
	} *rows = NULL;
	static const char zeros[sizeof *rows];
	size_t count = 0;
	while (count < 40) {
		void *row = ROW_ADD(rows, count);
		assert_memory_equal(row, zeros, sizeof zeros);
		memset(row, 0xff, sizeof zeros);
	}
}

static void test_query_next_failing_row_ends_the_rows_and_is_told(void **state)
{
	struct fixture *f = *state;
	/* abs() of the least integer is an overflow (https://www.sqlite.org/lang_corefunc.html#abs) */
	struct query q = prepare(f, "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT abs(-9223372036854775808) UNION ALL "
				    "SELECT 4");
	int rows = 0;
	while (query_next(&q, &f->err))
		rows++;
	assert_int_equal(rows, 2);
	assert_true(query_failed(&q));
	assert_int_equal(f->err.kind, NEL_DB);
	assert_non_null(strstr(f->err.msg, "overflow"));
	query_again(&q);
	assert_false(query_failed(&q));
	sqlite3_finalize(q.stmt);
}

static void test_query_next_value_that_cannot_be_bound_fails(void **state)
{
	struct fixture *f = *state;
	struct query q = prepare(f, "SELECT 1");
	query_bind_int(&q, 1); /* it has no parameter */
	assert_false(query_next(&q, &f->err));
	assert_true(query_failed(&q));
	sqlite3_finalize(q.stmt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_query_next_any_number_of_rows_all_are_kept, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test(test_row_add_new_element_is_zeroed),
	    cmocka_unit_test_setup_teardown(test_query_next_failing_row_ends_the_rows_and_is_told, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_query_next_value_that_cannot_be_bound_fails, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
