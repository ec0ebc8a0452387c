/* db/output_dirs.c: where run directories lie. */
#include "db_fixture.h"

#include "base/str_list.h"
#include "db/output_dirs.h"

static void add(struct fixture *f, int number, const char *rundir)
{
	struct evaluation_row row = sample_evaluation(number);
	row.rundir = (char *)(uintptr_t)rundir;
	assert_ok(f, evaluations_insert(f->db, &row, &f->err));
}

static bool below(struct fixture *f, const char *cluster, const char *path)
{
	bool found = false;
	assert_ok(f, output_dirs_have_below(f->db, cluster, path, &found, &f->err));
	return found;
}

static void test_output_dirs_of_evaluations_outlive_them(void **state)
{
	struct fixture *f = *state;
	add(f, 1, "/shared/teams/bob/out/20260131_120000-0000000000000001");
	add(f, 2, "/20260131_120000-0000000000000002");
	add(f, 3, "/shared/teams/bob/out/20260131_120000-0000000000000003");
	assert_int_equal(sqlite3_exec(f->db->sqlite, "DELETE FROM evaluations", NULL, NULL, NULL), SQLITE_OK);
	CLEANUP(str_list_freep) char **paths = NULL;
	assert_ok(f, output_dirs_list(f->db, "alpha", &paths, &f->err));
	assert_string_equal(paths[0], "/shared/teams/bob/out"); /* the last used comes first */
	assert_string_equal(paths[1], "");                      /* the root */
	assert_null(paths[2]);
}

static void test_output_dirs_have_below_of_paths_as_they_are_written(void **state)
{
	struct fixture *f = *state;
	add(f, 1, "/shared/teams/bob/out/20260131_120000-0000000000000001");
	static const char *const above[] = {"/", "/shared", "/shared/teams", "/shared/teams/bob",
					    "/shared/teams/bob/out"};
	static const char *const others[] = {
	    "/shared/teams/bo", "/shared/teams/bob/out/models", "/shared/teams/bob0", "/shared/teams/bob/ou", "/sharee",
	    "/Shared"};
	for (size_t i = 0; i < sizeof above / sizeof above[0]; i++) {
		assert_true(below(f, "alpha", above[i]));
		assert_false(below(f, "beta", above[i]));
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(below(f, "alpha", others[i]));
}

static void test_output_dirs_list_is_bounded(void **state)
{
	struct fixture *f = *state;
	assert_ok(f, db_begin(f->db, &f->err));
	for (int i = 0; i < OUTPUT_DIRS_MAX + 5; i++) {
		char rundir[64];
		snprintf(rundir, sizeof rundir, "/out%d/20260131_120000-0000000000000001", i);
		add(f, i + 1, rundir);
	}
	assert_ok(f, db_commit(f->db, &f->err));
	CLEANUP(str_list_freep) char **paths = NULL;
	assert_ok(f, output_dirs_list(f->db, "alpha", &paths, &f->err));
	size_t count = 0;
	while (paths[count] != NULL)
		count++;
	assert_int_equal(count, OUTPUT_DIRS_MAX);
	assert_string_equal(paths[OUTPUT_DIRS_MAX - 1], "/out5");
	assert_true(below(f, "alpha", "/out0"));
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_output_dirs_of_evaluations_outlive_them),
	    READY(test_output_dirs_have_below_of_paths_as_they_are_written),
	    READY(test_output_dirs_list_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
