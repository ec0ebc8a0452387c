/* db/secrets.c and db/key_rotation.c: stored secrets, and the change of the key that seals. */
#include "db_fixture.h"

#include "db/key_rotation.h"
#include "db/secrets.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct secret_key *make_key(struct fixture *f, const char *name)
{
	char path[128];
	struct secret_key *key = NULL;
	snprintf(path, sizeof path, "%s/%s", f->directory, name);
	assert_ok(f, secret_keygen(path, &f->err));
	assert_ok(f, secret_key_load(path, &key, &f->err));
	return key;
}

static void put(struct fixture *f, const struct secret_key *key, const char *owner, const char *name, const char *value,
		int64_t now_s)
{
	struct secret_row row;
	CLEANUP(mem_freep) char *label = secrets_label(owner, name);
	CLEANUP(mem_freep) unsigned char *sealed = NULL;
	size_t size = 0;
	assert_ok(f, secret_seal(key, label, value, strlen(value), &sealed, &size, &f->err));
	assert_ok(f, secrets_put(f->db, owner, name, sealed, size, NULL, NULL, now_s, &row, &f->err));
	assert_int_equal(row.updated_at, now_s);
}

static void assert_opens(struct fixture *f, const struct secret_key *key, const char *owner, const char *name,
			 const char *value)
{
	CLEANUP(mem_freep) char *label = secrets_label(owner, name);
	CLEANUP(mem_freep) unsigned char *sealed = NULL;
	size_t sealed_size = 0;
	char *text = NULL;
	size_t size = 0;
	assert_ok(f, secrets_get(f->db, owner, name, &sealed, &sealed_size, &f->err));
	assert_ok(f, secret_open(key, label, sealed, sealed_size, &text, &size, &f->err));
	assert_string_equal(text, value);
	secret_free(text, size);
}

static void test_secrets_put_get_list_delete(void **state)
{
	struct fixture *f = *state;
	struct secret_key *key = make_key(f, "k");
	CLEANUP(mem_freep) struct secret_row *rows = NULL;
	CLEANUP(mem_freep) unsigned char *sealed = NULL;
	size_t count = 0;
	put(f, key, "anna", "B", "1", 10);
	put(f, key, "anna", "A", "2", 11);
	put(f, key, SECRETS_TEAM, "A", "team's", 12);
	put(f, key, "anna", "B", "3", 20);
	assert_opens(f, key, "anna", "B", "3");
	assert_opens(f, key, SECRETS_TEAM, "A", "team's");
	assert_refused(f, NEL_NOTFOUND, secrets_get(f->db, "bert", "A", &sealed, &count, &f->err));
	assert_ok(f, secrets_list(f->db, "anna", &rows, &count, &f->err));
	assert_int_equal(count, 2);
	assert_string_equal(rows[0].name, "A");
	assert_string_equal(rows[1].name, "B");
	assert_int_equal(rows[1].created_at, 10);
	assert_int_equal(rows[1].updated_at, 20);
	assert_ok(f, secrets_delete(f->db, "anna", "A", &f->err));
	assert_refused(f, NEL_NOTFOUND, secrets_delete(f->db, "anna", "A", &f->err));
	assert_ok(f, secrets_delete_all(f->db, "anna", &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM secrets"), 1);
	secret_key_free(key);
}

static void test_secrets_put_at_most_so_many(void **state)
{
	struct fixture *f = *state;
	struct secret_row row;
	char name[16];
	for (int i = 0; i < SECRETS_PER_OWNER_MAX; i++) {
		snprintf(name, sizeof name, "N%d", i);
		assert_ok(
		    f, secrets_put(f->db, "anna", name, (const unsigned char *)"x", 1, NULL, NULL, 1, &row, &f->err));
	}
	assert_ok(f, secrets_put(f->db, "anna", name, (const unsigned char *)"y", 1, NULL, NULL, 2, &row, &f->err));
	assert_refused(f, NEL_CONFLICT,
		       secrets_put(f->db, "anna", "MORE", (const unsigned char *)"x", 1, NULL, NULL, 1, &row, &f->err));
	assert_ok(f, secrets_put(f->db, "bert", "MORE", (const unsigned char *)"x", 1, NULL, NULL, 1, &row, &f->err));
}

static void test_key_rotation_check_key_first_one_counts(void **state)
{
	struct fixture *f = *state;
	struct secret_key *key = make_key(f, "k");
	struct secret_key *other = make_key(f, "other");
	assert_ok(f, key_rotation_check_key(f->db, key, &f->err));
	assert_ok(f, key_rotation_check_key(f->db, key, &f->err));
	assert_refused(f, NEL_DENIED, key_rotation_check_key(f->db, other, &f->err));
	secret_key_free(key);
	secret_key_free(other);
}

static void store_sealed_env(struct fixture *f, const struct secret_key *key, int number)
{
	struct evaluation_row row = sample_evaluation(number);
	CLEANUP(mem_freep) char *label = mem_printf("env:%s", row.id);
	assert_ok(f, secret_seal(key, label, "{\"A\":\"b\"}", 9, &row.sealed_env, &row.sealed_env_size, &f->err));
	assert_ok(f, evaluations_insert(f->db, &row, &f->err));
	free(row.sealed_env);
}

static void test_key_rotation_change_key_everything_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct secret_key *key = make_key(f, "k");
	struct secret_key *next = make_key(f, "next");
	struct secret_key *wrong = make_key(f, "wrong");
	struct evaluation_row without = sample_evaluation(2);
	int64_t count = 0;
	store_sealed_env(f, key, 1);
	assert_ok(f, evaluations_insert(f->db, &without, &f->err));
	store_sealed_env(f, key, 3);
	put(f, key, "anna", "A", "one", 1);
	put(f, key, SECRETS_TEAM, "A", "two", 1);
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, key_rotation_change_key(f->db, key, next, &count, &f->err));
	assert_int_equal(count, 5); /* and the one that tells the key */
	assert_ok(f, db_commit(f->db, &f->err));
	assert_opens(f, next, "anna", "A", "one");
	assert_opens(f, next, SECRETS_TEAM, "A", "two");
	assert_ok(f, key_rotation_check_key(f->db, next, &f->err));
	assert_refused(f, NEL_DENIED, key_rotation_check_key(f->db, key, &f->err));
	for (int number = 1; number <= 3; number += 2) {
		CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
		struct evaluation_row sample = sample_evaluation(number);
		CLEANUP(mem_freep) char *label = mem_printf("env:%s", sample.id);
		char *text = NULL;
		size_t size = 0;
		assert_ok(f, evaluations_get(f->db, sample.id, true, &row, &f->err));
		assert_ok(f, secret_open(next, label, row.sealed_env, row.sealed_env_size, &text, &size, &f->err));
		assert_string_equal(text, "{\"A\":\"b\"}");
		secret_free(text, size);
	}
	/* One value that does not open: nothing changes. */
	put(f, wrong, "anna", "B", "three", 1);
	assert_ok(f, db_begin(f->db, &f->err));
	assert_refused(f, NEL_DENIED, key_rotation_change_key(f->db, next, key, &count, &f->err));
	db_rollback(f->db);
	assert_opens(f, next, "anna", "A", "one");
	secret_key_free(key);
	secret_key_free(next);
	secret_key_free(wrong);
}

/* What is sealed is a BLOB, and nothing else is but the bytes of logs and packed samples: a new column has its row in
 * sealed.c, or no change of the key reaches it. */
static void test_key_rotation_columns_are_all_blobs_of_the_schema(void **state)
{
	struct fixture *f = *state;
	sqlite3_stmt *stmt = NULL;
	int found = 0;
	assert_int_equal(
	    sqlite3_prepare_v2(f->db->sqlite,
			       "SELECT m.name || '.' || c.name FROM pragma_table_list m, pragma_table_info(m.name) c"
			       " WHERE m.type = 'table' AND m.schema = 'main' AND upper(c.type) = 'BLOB' AND m.name "
			       "NOT IN ('job_logs', 'samples')",
			       -1, &stmt, NULL),
	    SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *column = (const char *)sqlite3_column_text(stmt, 0);
		if (!key_rotation_has_column(column))
			fail_msg("%s is not in db/key_rotation.c", column);
		found++;
	}
	sqlite3_finalize(stmt);
	assert_true(found >= 3);
}

static void test_db_scrub_leaves_nothing_of_what_was_deleted(void **state)
{
	struct fixture *f = *state;
	struct secret_row row;
	static const char mark[] = "a-mark-to-find-0123456789";
	char path[128];
	for (int i = 0; i < 2; i++) {
		assert_ok(f, secrets_put(f->db, "anna", "A", (const unsigned char *)mark, sizeof mark, NULL, NULL, 1,
					 &row, &f->err));
		assert_ok(f, secrets_delete(f->db, "anna", "A", &f->err));
	}
	assert_ok(f, db_scrub(f->db, &f->err));
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s%s", f->path, i == 0 ? "" : "-wal");
		FILE *file = fopen(path, "r");
		CLEANUP(mem_freep) char *data = mem_calloc(1, 4 << 20);
		size_t size = file == NULL ? 0 : fread(data, 1, 4 << 20, file);
		if (file != NULL)
			fclose(file);
		assert_null(memmem(data, size, mark, sizeof mark - 1));
	}
	assert_integrity(f->db->sqlite);
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_secrets_put_get_list_delete),
	    READY(test_secrets_put_at_most_so_many),
	    READY(test_key_rotation_check_key_first_one_counts),
	    READY(test_key_rotation_change_key_everything_or_nothing),
	    READY(test_key_rotation_columns_are_all_blobs_of_the_schema),
	    READY(test_db_scrub_leaves_nothing_of_what_was_deleted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
