/* From when on a store may lack something. */
#include "db_fixture.h"

#include "db/orphans.h"

static void test_newest_write_of_an_empty_store_is_known(void **state)
{
	struct fixture *f = *state;
	int64_t newest = 0;
	int64_t newest_job = 0;
	int64_t since = 0;
	assert_ok(f, looks_newest_write(f->db, &newest, &newest_job, &f->err));
	assert_int_equal(newest, 1);
	assert_ok(f, looks_begin(f->db, "alpha", "shared", newest, &since, &f->err));
	assert_true(since > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_newest_write_of_an_empty_store_is_known, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
