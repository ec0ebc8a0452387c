/* db/idempotency.c: which request made what. */
#include "db_fixture.h"

#include "db/idempotency.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_idempotency_find_and_insert_table(void **state)
{
	struct fixture *f = *state;
	const int64_t day = 24 * 3600;
	char id[IDEMPOTENCY_MADE_SIZE] = "";
	assert_refused(f, NEL_NOTFOUND, idempotency_find(f->db, "anna", "k", "h", 1000, id, &f->err));
	assert_ok(f, idempotency_insert(f->db, "anna", "k", "h", "00000000000000aa", 1000, &f->err));
	static const struct {
		const char *user, *key, *hash;
		int64_t after;
		enum nel_err_kind kind;
	} cases[] = {
	    {"anna", "k", "h", 0, NEL_OK},
	    {"anna", "k", "h", 24 * 3600 - 1, NEL_OK},
	    {"anna", "k", "other", 1, NEL_CONFLICT},
	    {"anna", "K", "h", 1, NEL_NOTFOUND},
	    {"bert", "k", "h", 1, NEL_NOTFOUND},
	    {"anna", "k", "h", 24 * 3600, NEL_NOTFOUND},
	    {"anna", "k", "other", 24 * 3600, NEL_NOTFOUND},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t now = 1000 + cases[i].after;
		f->err = (struct nel_err){0};
		int result = idempotency_find(f->db, cases[i].user, cases[i].key, cases[i].hash, now, id, &f->err);
		assert_int_equal(result, cases[i].kind == NEL_OK ? 0 : -1);
		assert_int_equal(f->err.kind, cases[i].kind);
		if (result == 0)
			assert_string_equal(id, "00000000000000aa");
	}
	assert_refused(f, NEL_CONFLICT,
		       idempotency_insert(f->db, "anna", "k", "h", "00000000000000bb", 1000 + day - 1, &f->err));
	assert_ok(f, idempotency_insert(f->db, "anna", "k", "new", "00000000000000bb", 1000 + day, &f->err));
	assert_ok(f, idempotency_find(f->db, "anna", "k", "new", 1000 + day, id, &f->err));
	assert_string_equal(id, "00000000000000bb");
}

static void test_idempotency_insert_drops_outlived_keys(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 300; i++) {
		char key[16];
		snprintf(key, sizeof key, "k%d", i);
		assert_ok(f, idempotency_insert(f->db, "anna", key, "h", "00000000000000aa", i * 3600, &f->err));
	}
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM idempotency"), 24);
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_idempotency_find_and_insert_table),
	    READY(test_idempotency_insert_drops_outlived_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
