/* db/tokens.c: bearer tokens, what they give, and when they were used; db/sign_in_codes.c: codes that sign in once. */
#include "db_fixture.h"

#include "db/sign_in_codes.h"
#include "db/tokens.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int64_t insert(struct fixture *f, const char *user, const char *hash, int64_t expires_at)
{
	const struct token_order order = {.user = user, .hash = hash, .label = "", .expires_at = expires_at};
	int64_t id = 0;
	assert_ok(f, tokens_insert(f->db, &order, 1, &id, &f->err));
	return id;
}

static void test_tokens_authenticate_valid_expired_revoked_unknown(void **state)
{
	struct fixture *f = *state;
	struct token_row row;
	bool stale = false;
	int64_t id = 0;
	const struct token_order nobodys = {.user = "bert", .hash = "h0", .label = ""};
	const struct token_order taken = {.user = "anna", .hash = "for-ever", .label = ""};
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	assert_refused(f, NEL_NOTFOUND, tokens_insert(f->db, &nobodys, 1, &id, &f->err));
	insert(f, "anna", "for-ever", 0);
	insert(f, "anna", "until-100", 100);
	id = insert(f, "anna", "revoked", 0);
	assert_refused(f, NEL_CONFLICT, tokens_insert(f->db, &taken, 1, &id, &f->err));
	assert_ok(f, tokens_revoke(f->db, id, 5, &f->err));
	assert_ok(f, tokens_revoke(f->db, id, 6, &f->err));
	assert_ok(f, tokens_get(f->db, id, &row, &f->err));
	assert_int_equal(row.revoked_at, 5);
	assert_refused(f, NEL_NOTFOUND, tokens_revoke(f->db, 999, 5, &f->err));
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
				       tokens_authenticate(f->db, cases[i].hash, cases[i].now, &row, &stale, &f->err));
			continue;
		}
		assert_ok(f, tokens_authenticate(f->db, cases[i].hash, cases[i].now, &row, &stale, &f->err));
		assert_string_equal(row.user, "anna");
		assert_int_equal(row.role, ROLE_USER);
	}
}

static void test_tokens_role_is_the_narrower_of_both(void **state)
{
	struct fixture *f = *state;
	static const struct {
		enum role user;
		bool narrow;
		enum role token, gives;
	} cases[] = {
	    {ROLE_ADMIN, false, ROLE_VIEWER, ROLE_ADMIN}, {ROLE_ADMIN, true, ROLE_VIEWER, ROLE_VIEWER},
	    {ROLE_ADMIN, true, ROLE_USER, ROLE_USER},     {ROLE_USER, true, ROLE_ADMIN, ROLE_USER},
	    {ROLE_VIEWER, true, ROLE_ADMIN, ROLE_VIEWER},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char name[8];
		int64_t id = 0;
		struct token_row row;
		snprintf(name, sizeof name, "u%zu", i);
		const struct token_order order = {
		    .user = name, .hash = name, .narrow = cases[i].narrow, .role = cases[i].token, .label = "ci"};
		assert_ok(f, users_insert(f->db, name, cases[i].user, 1, &f->err));
		assert_ok(f, tokens_insert(f->db, &order, 1, &id, &f->err));
		assert_ok(f, tokens_get(f->db, id, &row, &f->err));
		assert_int_equal(row.role, cases[i].gives);
		assert_string_equal(row.label, "ci");
		/* The role of the user counts as it is now. */
		assert_ok(f, users_set_role(f->db, name, ROLE_VIEWER, 5, &f->err));
		assert_ok(f, tokens_get(f->db, id, &row, &f->err));
		assert_int_equal(row.role, ROLE_VIEWER);
	}
}

static void test_tokens_list_newest_first_by_user_and_page(void **state)
{
	struct fixture *f = *state;
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	assert_ok(f, users_insert(f->db, "bert", ROLE_USER, 1, &f->err));
	int64_t first = insert(f, "anna", "a", 0);
	int64_t second = insert(f, "bert", "b", 0);
	int64_t third = insert(f, "anna", "c", 0);
	const struct {
		const char *user;
		int64_t before;
		int limit;
		int64_t ids[4];
	} cases[] = {{NULL, 0, 10, {third, second, first}}, {NULL, third, 10, {second, first}}, {NULL, 0, 1, {third}},
		     {"anna", 0, 10, {third, first}},       {"anna", third, 10, {first}},       {"carl", 0, 10, {0}}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(mem_freep) struct token_row *rows = NULL;
		size_t count = 0;
		assert_ok(f,
			  tokens_list(f->db, cases[i].user, cases[i].before, cases[i].limit, &rows, &count, &f->err));
		for (size_t k = 0; k < count; k++)
			assert_int_equal(rows[k].id, cases[i].ids[k]);
		assert_int_equal(cases[i].ids[count], 0);
	}
}

static void test_tokens_insert_at_most_so_many_valid_ones(void **state)
{
	struct fixture *f = *state;
	int64_t id = 0;
	const struct token_order more = {.user = "anna", .hash = "more", .label = ""};
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	for (int i = 0; i < TOKENS_PER_USER_MAX; i++) {
		char hash[16];
		snprintf(hash, sizeof hash, "h%d", i);
		id = insert(f, "anna", hash, i == 0 ? 100 : 0);
	}
	assert_refused(f, NEL_CONFLICT, tokens_insert(f->db, &more, 99, &id, &f->err));
	assert_ok(f, tokens_insert(f->db, &more, 100, &id, &f->err)); /* one has expired */
}

static int64_t begin_session(struct fixture *f, int number, int64_t parent, int64_t now)
{
	char hash[16];
	int64_t id = 0;
	snprintf(hash, sizeof hash, "s%d", number);
	const struct token_order order = {
	    .user = "anna", .hash = hash, .label = "", .expires_at = 1000, .parent = parent, .session = true};
	assert_ok(f, tokens_insert(f->db, &order, now, &id, &f->err));
	return id;
}

static void test_tokens_sessions_and_others_leave_each_other_their_places(void **state)
{
	struct fixture *f = *state;
	int64_t id = 0;
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	for (int i = 0; i < SESSIONS_PER_USER_MAX; i++)
		begin_session(f, i, 0, 1);
	for (int i = 0; i < TOKENS_PER_USER_MAX; i++) {
		char hash[16];
		snprintf(hash, sizeof hash, "h%d", i);
		id = insert(f, "anna", hash, 0);
	}
	id = begin_session(f, 100, id, 2);
	assert_ok(f, tokens_check(f->db, id, 2, &f->err));
}

static void test_tokens_oldest_session_ends_for_a_new_one_with_what_it_made(void **state)
{
	struct fixture *f = *state;
	struct token_row row;
	int64_t made = 0;
	int64_t ids[SESSIONS_PER_USER_MAX + 1];
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	for (int i = 0; i < SESSIONS_PER_USER_MAX; i++)
		ids[i] = begin_session(f, i, 0, 1);
	const struct token_order order = {
	    .user = "anna", .hash = "made", .label = "", .expires_at = 1000, .parent = ids[0]};
	assert_ok(f, tokens_insert(f->db, &order, 1, &made, &f->err));
	assert_ok(f, tokens_revoke(f->db, ids[3], 5, &f->err)); /* one has gone by itself: there is room */
	begin_session(f, 100, 0, 6);
	assert_ok(f, tokens_check(f->db, ids[0], 6, &f->err));
	begin_session(f, 101, 0, 7);
	assert_refused(f, NEL_NOTFOUND, tokens_check(f->db, ids[0], 7, &f->err));
	assert_refused(f, NEL_NOTFOUND, tokens_check(f->db, made, 7, &f->err));
	assert_ok(f, tokens_check(f->db, ids[1], 7, &f->err));
	assert_ok(f, tokens_get(f->db, ids[3], &row, &f->err));
	assert_int_equal(row.revoked_at, 5);
	assert_true(row.session);
	begin_session(f, 102, 0, 1000 + 24 * 3600); /* those have ended a day ago */
	assert_refused(f, NEL_NOTFOUND, tokens_get(f->db, ids[1], &row, &f->err));
}

static void test_sign_in_codes_work_once_while_what_made_them_does(void **state)
{
	struct fixture *f = *state;
	struct sign_in_code code = {.user = "anna", .role = ROLE_ADMIN, .expires_at = 100};
	struct sign_in_code found;
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	code.parent = insert(f, "anna", "maker", 0);
	assert_ok(f, sign_in_codes_insert(f->db, "first", &code, 1, &f->err));
	assert_ok(f, sign_in_codes_get(f->db, "first", 99, &found, &f->err));
	assert_string_equal(found.user, "anna");
	assert_int_equal(found.role, ROLE_USER); /* not more than the user has now */
	assert_int_equal(found.parent, code.parent);
	assert_refused(f, NEL_NOTFOUND, sign_in_codes_get(f->db, "first", 100, &found, &f->err));
	assert_refused(f, NEL_NOTFOUND, sign_in_codes_get(f->db, "other", 1, &found, &f->err));
	assert_ok(f, sign_in_codes_delete(f->db, "first", &f->err));
	assert_refused(f, NEL_NOTFOUND, sign_in_codes_delete(f->db, "first", &f->err));
	assert_refused(f, NEL_NOTFOUND, sign_in_codes_get(f->db, "first", 1, &found, &f->err));
	code.ends_at = 50;
	assert_ok(f, sign_in_codes_insert(f->db, "second", &code, 1, &f->err));
	assert_refused(f, NEL_NOTFOUND, sign_in_codes_get(f->db, "second", 50, &found, &f->err));
	assert_ok(f, tokens_revoke(f->db, code.parent, 5, &f->err));
	assert_refused(f, NEL_NOTFOUND, sign_in_codes_get(f->db, "second", 6, &found, &f->err));
}

static void test_sign_in_codes_are_at_most_so_many_and_the_newest(void **state)
{
	struct fixture *f = *state;
	struct sign_in_code code = {.user = "anna", .role = ROLE_USER};
	struct sign_in_code found;
	char hash[16];
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	for (int i = 0; i <= SIGN_IN_CODES_PER_USER_MAX; i++) {
		snprintf(hash, sizeof hash, "c%d", i);
		code.expires_at = 100 + i;
		assert_ok(f, sign_in_codes_insert(f->db, hash, &code, 1, &f->err));
	}
	assert_refused(f, NEL_NOTFOUND, sign_in_codes_get(f->db, "c0", 1, &found, &f->err));
	assert_ok(f, sign_in_codes_get(f->db, "c1", 1, &found, &f->err));
	assert_ok(f, sign_in_codes_get(f->db, hash, 1, &found, &f->err));
}

static void test_tokens_ids_are_not_used_again(void **state)
{
	struct fixture *f = *state;
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	assert_ok(f, users_insert(f->db, "bert", ROLE_USER, 1, &f->err));
	int64_t id = insert(f, "anna", "a", 0);
	assert_ok(f, users_remove(f->db, "anna", 9, &f->err));
	assert_true(insert(f, "bert", "b", 0) > id);
}

static void test_tokens_touch_writes_at_most_once_a_minute(void **state)
{
	struct fixture *f = *state;
	CLEANUP(db_freep) struct db *writer = NULL;
	static const char *const last_used = "SELECT last_used_at FROM tokens";
	struct token_row row;
	bool stale = false;
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	int64_t id = insert(f, "anna", "h", 0);
	static const struct {
		int64_t now;
		int64_t stored;
	} cases[] = {{1000, 1000}, {1001, 1000}, {1059, 1000}, {1060, 1060}, {1119, 1060}, {5000, 5000}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_ok(f, tokens_authenticate(f->db, "h", cases[i].now, &row, &stale, &f->err));
		assert_int_equal(stale, cases[i].now == cases[i].stored);
		assert_ok(f, tokens_touch(f->db, id, cases[i].now, &f->err));
		assert_int_equal(query_number(f->db->sqlite, last_used), cases[i].stored);
	}
	/* When nothing is due, it does not wait for a writer. */
	assert_ok(f, db_open(f->path, &writer, &f->err));
	assert_ok(f, db_begin(writer, &f->err));
	sqlite3_busy_timeout(f->db->sqlite, 0);
	assert_ok(f, tokens_touch(f->db, id, 5001, &f->err));
	assert_ok(f, tokens_touch(f->db, 999, 5001, &f->err));
	assert_refused(f, NEL_BUSY, tokens_touch(f->db, id, 6000, &f->err));
	db_rollback(writer);
	assert_ok(f, tokens_touch(f->db, id, 6000, &f->err));
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_tokens_authenticate_valid_expired_revoked_unknown),
	    READY(test_tokens_role_is_the_narrower_of_both),
	    READY(test_tokens_list_newest_first_by_user_and_page),
	    READY(test_tokens_insert_at_most_so_many_valid_ones),
	    READY(test_tokens_sessions_and_others_leave_each_other_their_places),
	    READY(test_tokens_oldest_session_ends_for_a_new_one_with_what_it_made),
	    READY(test_sign_in_codes_work_once_while_what_made_them_does),
	    READY(test_sign_in_codes_are_at_most_so_many_and_the_newest),
	    READY(test_tokens_ids_are_not_used_again),
	    READY(test_tokens_touch_writes_at_most_once_a_minute),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
