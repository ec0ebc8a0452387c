/* db/users.c: people. */
#include "db_fixture.h"

#include "db/tokens.h"

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

static void test_users_list_pages_by_name(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"carl", "anna", "bert"};
	for (size_t i = 0; i < COUNT(names); i++)
		assert_ok(f, users_insert(f->db, names[i], ROLE_USER, 1, &f->err));
	CLEANUP(mem_freep) struct user_row *rows = NULL;
	CLEANUP(mem_freep) struct user_row *rest = NULL;
	size_t count = 0;
	assert_ok(f, users_list(f->db, 0, 2, &rows, &count, &f->err));
	assert_int_equal(count, 2);
	assert_string_equal(rows[0].name, "anna");
	assert_string_equal(rows[1].name, "bert");
	assert_ok(f, users_list(f->db, 2, 2, &rest, &count, &f->err));
	assert_int_equal(count, 1);
	assert_string_equal(rest[0].name, "carl");
}

static void test_users_set_role(void **state)
{
	struct fixture *f = *state;
	struct user_row user;
	assert_refused(f, NEL_NOTFOUND, users_set_role(f->db, "anna", ROLE_ADMIN, 5, &f->err));
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	assert_ok(f, users_set_role(f->db, "anna", ROLE_VIEWER, 5, &f->err));
	assert_ok(f, users_get(f->db, "anna", &user, &f->err));
	assert_int_equal(user.role, ROLE_VIEWER);
}

static void test_users_remove_refused_while_jobs_live(void **state)
{
	struct fixture *f = *state;
	struct user_row user;
	int64_t id = 0;
	struct evaluation_row evaluation = sample_evaluation(1);
	const struct token_order order = {.user = "anna", .hash = "h", .label = ""};
	assert_refused(f, NEL_NOTFOUND, users_remove(f->db, "anna", 9, &f->err));
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	assert_ok(f, users_insert(f->db, "bert", ROLE_USER, 1, &f->err));
	assert_ok(f, tokens_insert(f->db, &order, 1, &id, &f->err));
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row job = sample_job(&evaluation, 0);
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	assert_refused(f, NEL_CONFLICT, users_remove(f->db, "anna", 9, &f->err));
	assert_string_equal(f->err.msg, "user anna has 1 job that has not ended: cancel them, or wait");
	assert_ok(f, users_remove(f->db, "bert", 9, &f->err));
	assert_int_equal(sqlite3_exec(f->db->sqlite, "UPDATE jobs SET ended_at = 5", NULL, NULL, NULL), SQLITE_OK);
	assert_ok(f, users_remove(f->db, "anna", 9, &f->err));
	assert_refused(f, NEL_NOTFOUND, users_get(f->db, "anna", &user, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM tokens"), 0);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM evaluations"), 1);
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_role_from_name_every_role_and_nothing_else),
	    cmocka_unit_test(test_user_name_ok_table),
	    READY(test_users_insert_and_get),
	    READY(test_users_list_pages_by_name),
	    READY(test_users_set_role),
	    READY(test_users_remove_refused_while_jobs_live),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
