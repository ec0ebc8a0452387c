/* Each index is written at each commit that touches its table: it has to be of use for that. */
#include "db/statement.h"
#include "db_fixture.h"

/* Used by the trigger job_likenesses_gone, which no plan of a statement shows. */
static const char *const others[] = {"job_likenesses_subject", "job_likenesses_protocol"};

#define NAMES_MAX 500
#define NAME_SIZE 64

struct names {
	char text[NAMES_MAX][NAME_SIZE];
	size_t count;
};

static bool has(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->text[i], name) == 0)
			return true;
	return false;
}

/* The names that the plans of all statements have behind "INDEX". */
static void find_used(sqlite3 *sqlite, struct names *used)
{
	for (struct statement *const *const *list = statement_lists; *list != NULL; list++) {
		for (struct statement *const *statement = *list; *statement != NULL; statement++) {
			sqlite3_stmt *plan = NULL;
			CLEANUP(mem_freep) char *sql = mem_printf("EXPLAIN QUERY PLAN %s", (*statement)->sql);
			assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &plan, NULL), SQLITE_OK);
			while (sqlite3_step(plan) == SQLITE_ROW) {
				const char *line = (const char *)sqlite3_column_text(plan, 3);
				const char *at = strstr(line, " INDEX ");
				char name[NAME_SIZE] = "";
				if (at == NULL || sscanf(at, " INDEX %63s", name) != 1 || has(used, name))
					continue;
				assert_true(used->count < NAMES_MAX);
				memcpy(used->text[used->count++], name, sizeof name);
			}
			sqlite3_finalize(plan);
		}
	}
}

static void test_indexes_each_is_used(void **state)
{
	struct fixture *f = *state;
	struct names used = {0};
	sqlite3_stmt *all = NULL;
	int unused = 0;
	find_used(f->db->sqlite, &used);
	assert_int_equal(
	    sqlite3_prepare_v2(f->db->sqlite,
			       "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL", -1,
			       &all, NULL),
	    SQLITE_OK);
	while (sqlite3_step(all) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(all, 0);
		bool known = has(&used, name);
		for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
			known = known || strcmp(others[i], name) == 0;
		if (!known) {
			print_error("no statement uses %s of %s\n", name, sqlite3_column_text(all, 1));
			unused++;
		}
	}
	sqlite3_finalize(all);
	assert_int_equal(unused, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_indexes_each_is_used, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
