/* db/users.c: people and their tokens. */
#include "db_fixture.h"

#include "db/users.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_role_from_name_every_role_and_nothing_else(void **state)
{
	(void)state;
	enum role role = ROLE_VIEWER;
	for (int i = 0; i <= ROLE_ADMIN; i++) {
		assert_int_equal(role_from_name(role_name((enum role)i), &role), 0);
		assert_int_equal(role, i);
	}
	assert_int_equal(role_from_name("Admin", &role), -1);
	assert_int_equal(role_from_name("", &role), -1);
}

static void test_user_name_ok_table(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
	    {"anna", true},  {"_svc", true}, {"a", true},         {"a.b-c_9", true}, {"", false},
	    {"Anna", false}, {"9a", false},  {"-a", false},       {".a", false},     {"a b", false},
	    {"a\n", false},  {"a/b", false}, {"\xc3\xa4", false},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(user_name_ok(cases[i].name), cases[i].ok);
	char name[USER_NAME_MAX + 2];
	memset(name, 'a', sizeof name);
	name[USER_NAME_MAX + 1] = '\0';
	assert_false(user_name_ok(name));
	name[USER_NAME_MAX] = '\0';
	assert_true(user_name_ok(name));
}

static void test_users_insert_and_get(void **state)
{
	struct fixture *f = *state;
	struct user_row user;
	assert_refused(f, NEL_NOTFOUND, users_get(f->db, "anna", &user, &f->err));
	assert_ok(f, users_insert(f->db, "anna", ROLE_ADMIN, 77, &f->err));
	assert_ok(f, users_get(f->db, "anna", &user, &f->err));
	assert_string_equal(user.name, "anna");
	assert_int_equal(user.role, ROLE_ADMIN);
	assert_int_equal(user.created_at, 77);
	assert_refused(f, NEL_CONFLICT, users_insert(f->db, "anna", ROLE_USER, 78, &f->err));
	assert_string_equal(f->err.msg, "user anna exists already");
	assert_refused(f, NEL_INVALID, users_insert(f->db, "An na", ROLE_USER, 78, &f->err));
	assert_int_equal(users_insert(f->db, "anna", ROLE_USER, 78, NULL), -1); /* err may be NULL */
	assert_ok(f, users_get(f->db, "anna", &user, &f->err));
	assert_int_equal(user.role, ROLE_ADMIN);
}

static void test_tokens_find_user_valid_expired_revoked_unknown(void **state)
{
	struct fixture *f = *state;
	struct user_row user;
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	assert_refused(f, NEL_NOTFOUND, tokens_insert(f->db, "bert", "h0", 1, 0, &f->err));
	assert_ok(f, tokens_insert(f->db, "anna", "for-ever", 1, 0, &f->err));
	assert_ok(f, tokens_insert(f->db, "anna", "until-100", 1, 100, &f->err));
	assert_ok(f, tokens_insert(f->db, "anna", "revoked", 1, 0, &f->err));
	assert_refused(f, NEL_CONFLICT, tokens_insert(f->db, "anna", "for-ever", 1, 0, &f->err));
	assert_int_equal(
	    sqlite3_exec(f->db->sqlite, "UPDATE tokens SET revoked_at = 5 WHERE hash = 'revoked'", NULL, NULL, NULL),
	    SQLITE_OK);
	static const struct {
		const char *hash;
		int64_t now;
		bool valid;
	} cases[] = {
	    {"for-ever", 1000000, true}, {"until-100", 99, true}, {"until-100", 100, false},
	    {"revoked", 10, false},      {"unknown", 10, false},  {"", 10, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (!cases[i].valid) {
			assert_refused(f, NEL_NOTFOUND,
				       tokens_find_user(f->db, cases[i].hash, cases[i].now, &user, &f->err));
			continue;
		}
		assert_ok(f, tokens_find_user(f->db, cases[i].hash, cases[i].now, &user, &f->err));
		assert_string_equal(user.name, "anna");
		assert_int_equal(user.role, ROLE_USER);
	}
}

static void test_tokens_touch_writes_at_most_once_a_minute(void **state)
{
	struct fixture *f = *state;
	CLEANUP(db_freep) struct db *writer = NULL;
	static const char *const last_used = "SELECT last_used_at FROM tokens";
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	assert_ok(f, tokens_insert(f->db, "anna", "h", 1, 0, &f->err));
	static const struct {
		int64_t now;
		int64_t stored;
	} cases[] = {{1000, 1000}, {1001, 1000}, {1059, 1000}, {1060, 1060}, {1119, 1060}, {5000, 5000}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_ok(f, tokens_touch(f->db, "h", cases[i].now, &f->err));
		assert_int_equal(query_number(f->db->sqlite, last_used), cases[i].stored);
	}
	/* When nothing is due, it does not wait for a writer. */
	assert_ok(f, db_open(f->path, &writer, &f->err));
	assert_ok(f, db_begin(writer, &f->err));
	sqlite3_busy_timeout(f->db->sqlite, 0);
	assert_ok(f, tokens_touch(f->db, "h", 5001, &f->err));
	assert_ok(f, tokens_touch(f->db, "unknown", 5001, &f->err));
	assert_refused(f, NEL_BUSY, tokens_touch(f->db, "h", 6000, &f->err));
	db_rollback(writer);
	assert_ok(f, tokens_touch(f->db, "h", 6000, &f->err));
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_role_from_name_every_role_and_nothing_else),
	    cmocka_unit_test(test_user_name_ok_table),
	    READY(test_users_insert_and_get),
	    READY(test_tokens_find_user_valid_expired_revoked_unknown),
	    READY(test_tokens_touch_writes_at_most_once_a_minute),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
