/* Whether anybody has committed since: this connection, another one, another process. */
#include "db/commit_mark.h"

#include "db/users.h"
#include "db_fixture.h"

#include <sys/wait.h>

static bool changed(struct fixture *f, struct commit_mark *mark)
{
	struct commit_mark now = commit_mark_read(f->db->sqlite, &f->db->wal_index);
	bool equal = commit_mark_equal(mark, &now);
	*mark = now;
	return !equal;
}

static void commit_elsewhere(const char *path)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execlp("sqlite3", "sqlite3", path, "UPDATE users SET created_at = created_at + 1", NULL);
		_exit(127);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_commit_mark_changes_with_each_commit(void **state)
{
	struct fixture *f = *state;
	struct user_row user;
	struct commit_mark mark = {0};
	CLEANUP(db_freep) struct db *other = NULL;
	assert_ok(f, db_open(f->path, &other, &f->err));
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	assert_true(changed(f, &mark)); /* from nothing */
	assert_false(changed(f, &mark));
	assert_ok(f, users_get(f->db, "anna", &user, &f->err));
	assert_ok(f, users_get(other, "anna", &user, &f->err));
	assert_false(changed(f, &mark)); /* reads */
	assert_ok(f, users_insert(f->db, "bert", ROLE_USER, 1, &f->err));
	assert_true(changed(f, &mark));
	assert_ok(f, users_insert(other, "carl", ROLE_USER, 1, &f->err));
	assert_true(changed(f, &mark));
	commit_elsewhere(f->path);
	assert_true(changed(f, &mark));
	assert_false(changed(f, &mark));
	assert_ok(f, db_begin(other, &f->err));
	assert_ok(f, users_insert(other, "dora", ROLE_USER, 1, &f->err));
	assert_false(changed(f, &mark)); /* not before it is committed */
	db_rollback(other);
	assert_false(changed(f, &mark));
	/* A checkpoint changes nothing that can be read; the log that begins again after it is another one. */
	assert_int_equal(sqlite3_wal_checkpoint_v2(f->db->sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
			 SQLITE_OK);
	(void)changed(f, &mark);
	assert_ok(f, users_insert(other, "dora", ROLE_USER, 1, &f->err));
	assert_true(changed(f, &mark));
}

static void test_commit_mark_without_a_log_is_not_known(void **state)
{
	(void)state;
	sqlite3 *sqlite = NULL;
	assert_int_equal(sqlite3_open(":memory:", &sqlite), SQLITE_OK);
	const volatile uint32_t *index = NULL;
	struct commit_mark mark = commit_mark_read(sqlite, &index);
	assert_false(commit_mark_equal(&mark, &mark));
	sqlite3_close(sqlite);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_commit_mark_changes_with_each_commit, fixture_setup, fixture_teardown),
	    cmocka_unit_test(test_commit_mark_without_a_log_is_not_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
