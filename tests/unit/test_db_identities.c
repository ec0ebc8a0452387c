/* db/identities.c: who a person is on a cluster. */
#include "db_fixture.h"

#include "db/identities.h"
#include "db/key_rotation.h"
#include "db/users.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct identity_row sample(const char *user, const char *cluster)
{
	return (struct identity_row){.user = (char *)(uintptr_t)user,
				     .cluster = (char *)(uintptr_t)cluster,
				     .username = (char *)"alice",
				     .public_key = (char *)"ssh-ed25519 AAAA",
				     .sealed_key = (unsigned char *)"sealed\0bytes",
				     .sealed_key_size = 12,
				     .created_at = 77};
}

static void add(struct fixture *f, const char *user, const char *cluster)
{
	const struct identity_row row = sample(user, cluster);
	assert_ok(f, identities_insert(f->db, &row, &f->err));
}

static void test_identity_username_ok_table(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {{"alice", true}, {"A.b-c_9", true}, {"9", true},    {"", false},
		     {"-oX", false},  {".a", false},     {"a b", false}, {"a/b", false},
		     {"a@b", false},  {"a\nb", false},   {"$x", false},  {"\xc3\xa4", false}};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(identity_username_ok(cases[i].name), cases[i].ok);
	char name[IDENTITY_USERNAME_MAX + 2];
	memset(name, 'a', sizeof name);
	name[IDENTITY_USERNAME_MAX + 1] = '\0';
	assert_false(identity_username_ok(name));
	name[IDENTITY_USERNAME_MAX] = '\0';
	assert_true(identity_username_ok(name));
}

static void test_identity_name_split_takes_what_identity_name_makes(void **state)
{
	(void)state;
	char name[IDENTITY_NAME_SIZE];
	char user[USER_NAME_MAX + 1];
	char account[IDENTITY_USERNAME_MAX + 1];
	identity_name("ann", "alice", name);
	assert_true(identity_name_split(name, user, account));
	assert_string_equal(user, "ann");
	assert_string_equal(account, "alice");
	static const char *const others[] = {"", "svc", "/alice", "ann/", "ann/a/b", "ann/-x"};
	for (size_t i = 0; i < COUNT(others); i++)
		assert_false(identity_name_split(others[i], user, account));
}

static void test_identities_insert_get_and_conflict(void **state)
{
	struct fixture *f = *state;
	CLEANUP(identity_row_done) struct identity_row row = {0};
	assert_refused(f, NEL_NOTFOUND, identities_get(f->db, "ann", "alpha", &row, &f->err));
	add(f, "ann", "alpha");
	assert_ok(f, identities_get(f->db, "ann", "alpha", &row, &f->err));
	assert_string_equal(row.username, "alice");
	assert_string_equal(row.public_key, "ssh-ed25519 AAAA");
	assert_int_equal(row.sealed_key_size, 12);
	assert_memory_equal(row.sealed_key, "sealed\0bytes", 12);
	assert_int_equal(row.state, IDENTITY_UNCHECKED);
	assert_int_equal(row.created_at, 77);
	assert_int_equal(row.checked_at, 0);
	const struct identity_row again = sample("ann", "alpha");
	assert_refused(f, NEL_CONFLICT, identities_insert(f->db, &again, &f->err));
}

static void test_identities_list_own_and_all_without_private_halves(void **state)
{
	struct fixture *f = *state;
	add(f, "bob", "alpha");
	add(f, "ann", "beta");
	add(f, "ann", "alpha");
	CLEANUP(identity_list_done) struct identity_list own = {0};
	assert_ok(f, identities_list(f->db, "ann", &own, &f->err));
	assert_int_equal(own.count, 2);
	assert_string_equal(own.items[0].cluster, "alpha");
	assert_string_equal(own.items[1].cluster, "beta");
	assert_null(own.items[0].sealed_key);
	CLEANUP(identity_list_done) struct identity_list all = {0};
	assert_ok(f, identities_list(f->db, NULL, &all, &f->err));
	assert_int_equal(all.count, 3);
	assert_string_equal(all.items[2].user, "bob");
}

static void test_identities_set_state_holds_for_the_account_that_was_tried(void **state)
{
	struct fixture *f = *state;
	CLEANUP(identity_row_done) struct identity_row row = {0};
	add(f, "ann", "alpha");
	assert_ok(f, identities_set_state(f->db, "ann", "alpha", "alice", IDENTITY_REFUSED, "no", 100, &f->err));
	assert_ok(f, identities_set_state(f->db, "ann", "alpha", "other", IDENTITY_OK, NULL, 200, &f->err));
	assert_ok(f, identities_get(f->db, "ann", "alpha", &row, &f->err));
	assert_int_equal(row.state, IDENTITY_REFUSED);
	assert_string_equal(row.error, "no");
	assert_int_equal(row.checked_at, 100);
	identity_row_done(&row);
	assert_ok(f, identities_set_username(f->db, "ann", "alpha", "other", &f->err));
	assert_ok(f, identities_get(f->db, "ann", "alpha", &row, &f->err));
	assert_string_equal(row.username, "other");
	assert_int_equal(row.state, IDENTITY_UNCHECKED);
	assert_null(row.error);
	assert_refused(f, NEL_NOTFOUND, identities_set_username(f->db, "bob", "alpha", "x", &f->err));
}

static void test_identities_delete_alone_and_with_the_user(void **state)
{
	struct fixture *f = *state;
	CLEANUP(identity_row_done) struct identity_row row = {0};
	assert_ok(f, users_insert(f->db, "ann", ROLE_USER, 1, &f->err));
	add(f, "ann", "alpha");
	add(f, "ann", "beta");
	assert_ok(f, identities_delete(f->db, "ann", "alpha", &f->err));
	assert_refused(f, NEL_NOTFOUND, identities_delete(f->db, "ann", "alpha", &f->err));
	assert_int_equal(sqlite3_exec(f->db->sqlite, "DELETE FROM users WHERE name = 'ann'", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_refused(f, NEL_NOTFOUND, identities_get(f->db, "ann", "beta", &row, &f->err));
}

static struct secret_key *make_key(struct fixture *f, const char *name)
{
	struct secret_key *key = NULL;
	CLEANUP(mem_freep) char *path = mem_printf("%s/%s", f->directory, name);
	assert_ok(f, secret_keygen(path, &f->err));
	assert_ok(f, secret_key_load(path, &key, &f->err));
	return key;
}

static void test_key_rotation_change_key_private_halves_go_along(void **state)
{
	struct fixture *f = *state;
	struct secret_key *key = make_key(f, "k");
	struct secret_key *next = make_key(f, "next");
	struct identity_row row = sample("ann", "alpha");
	CLEANUP(mem_freep) char *label = identity_label("ann", "alpha");
	int64_t count = 0;
	char *text = NULL;
	size_t size = 0;
	assert_ok(f, secret_seal(key, label, "private", 7, &row.sealed_key, &row.sealed_key_size, &f->err));
	assert_ok(f, identities_insert(f->db, &row, &f->err));
	free(row.sealed_key);
	assert_ok(f, key_rotation_change_key(f->db, key, next, &count, &f->err));
	CLEANUP(identity_row_done) struct identity_row changed = {0};
	assert_ok(f, identities_get(f->db, "ann", "alpha", &changed, &f->err));
	assert_ok(f, secret_open(next, label, changed.sealed_key, changed.sealed_key_size, &text, &size, &f->err));
	assert_string_equal(text, "private");
	secret_free(text, size);
	secret_key_free(key);
	secret_key_free(next);
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

static void check_to_tell(struct fixture *f, int64_t now_s, const char *user)
{
	CLEANUP(identity_list_done) struct identity_list list = {0};
	assert_ok(f, identities_list_to_tell(f->db, now_s, &list, &f->err));
	assert_int_equal(list.count, user != NULL);
	if (user != NULL)
		assert_string_equal(list.items[0].user, user);
}

static void test_certificate_is_kept_with_its_key_and_told_of_once(void **state)
{
	struct fixture *f = *state;
	CLEANUP(identity_row_done) struct identity_row row = {0}, other = {0};
	add(f, "ann", "alpha");
	add(f, "bob", "alpha");
	assert_int_equal(identities_set_certificate(f->db, "eve", "alpha", "x", 1, 1, &f->err), -1);
	assert_int_equal(f->err.kind, NEL_NOTFOUND);
	assert_ok(f, identities_set_certificate(f->db, "ann", "alpha", "cert AAAA", 1000, 900, &f->err));
	assert_ok(f, identities_set_certificate(f->db, "bob", "alpha", "cert BBBB", 0, 0, &f->err)); /* for ever */
	assert_ok(f, identities_get(f->db, "ann", "alpha", &row, &f->err));
	assert_string_equal(row.certificate, "cert AAAA");
	assert_int_equal(row.certificate_expires_at, 1000);
	assert_int_equal(row.state, IDENTITY_UNCHECKED);
	check_to_tell(f, 899, NULL);
	check_to_tell(f, 900, "ann");
	assert_ok(f, identities_note_told(f->db, "ann", "alpha", &f->err));
	check_to_tell(f, 2000, NULL);
	assert_ok(f, identities_set_certificate(f->db, "ann", "alpha", "cert AAAA", 1000, 900, &f->err));
	check_to_tell(f, 2000, NULL); /* the same one */
	assert_ok(f, identities_set_certificate(f->db, "ann", "alpha", "cert CCCC", 3000, 1900, &f->err));
	check_to_tell(f, 2000, "ann");
	struct identity_row key = sample("ann", "alpha");
	key.public_key = (char *)"ecdsa-sha2-nistp256 BBBB";
	assert_ok(f, identities_set_key(f->db, &key, &f->err));
	check_to_tell(f, 2000, NULL);
	assert_ok(f, identities_get(f->db, "ann", "alpha", &other, &f->err));
	assert_string_equal(other.public_key, key.public_key);
	assert_null(other.certificate);
	assert_int_equal(other.certificate_expires_at, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_identity_username_ok_table),
	    cmocka_unit_test(test_identity_name_split_takes_what_identity_name_makes),
	    READY(test_identities_insert_get_and_conflict),
	    READY(test_identities_list_own_and_all_without_private_halves),
	    READY(test_identities_set_state_holds_for_the_account_that_was_tried),
	    READY(test_identities_delete_alone_and_with_the_user),
	    READY(test_certificate_is_kept_with_its_key_and_told_of_once),
	    READY(test_key_rotation_change_key_private_halves_go_along),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
