/* db/audit.c: rows with what they are about, what is done again and again, lists, and the row that a commit stores. */
#include "db_fixture.h"

#include "base/clock.h"
#include "db/audit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROWS "SELECT count(*) FROM audit"

static struct audit_entry entry_of(const char *actor, const char *action, const char *target)
{
	return (struct audit_entry){.actor = actor, .source = "daemon", .action = action, .target = target};
}

static void test_audit_insert_every_column_and_cut_texts(void **state)
{
	struct fixture *f = *state;
	char *longer = mem_calloc(1, 1000);
	memset(longer, 'x', 999);
	const struct audit_entry entry = {.actor = "anna",
					  .role = "user",
					  .source = "uid 7",
					  .request = "r1",
					  .action = "cancelJob",
					  .target = longer,
					  .cluster = "alpha",
					  .outcome = AUDIT_REFUSED,
					  .status = 403,
					  .detail = longer};
	const struct audit_filter all = {.limit = 10};
	CLEANUP(audit_list_done) struct audit_list list = {0};
	assert_ok(f, audit_insert(f->db, &entry, 77, &f->err));
	assert_ok(f, audit_list(f->db, &all, &list, &f->err));
	assert_int_equal(list.count, 1);
	const struct audit_row *row = &list.items[0];
	assert_int_equal(row->at, 77);
	assert_int_equal(row->last_at, 77);
	assert_int_equal(row->count, 1);
	assert_string_equal(row->actor, "anna");
	assert_string_equal(row->role, "user");
	assert_string_equal(row->source, "uid 7");
	assert_string_equal(row->request, "r1");
	assert_string_equal(row->action, "cancelJob");
	assert_string_equal(row->cluster, "alpha");
	assert_string_equal(row->outcome, "refused");
	assert_int_equal(row->status, 403);
	assert_int_equal(strlen(row->target), AUDIT_TARGET_MAX);
	assert_int_equal(strlen(row->detail), AUDIT_DETAIL_MAX);
	free(longer);
}

static void test_audit_insert_hourly_counts_until_something_differs(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *actor, *action, *target, *cluster;
		enum audit_outcome outcome;
		int64_t now;
		bool counted;
		int rows, count; /* afterwards: all, and of the newest */
	} cases[] = {
	    {"daemon", "remote.observe", "alpha", "alpha", AUDIT_OK, 1000, true, 1, 1},
	    {"daemon", "remote.observe", "alpha", "alpha", AUDIT_OK, 1030, true, 1, 2},
	    {"daemon", "remote.observe", "alpha", "alpha", AUDIT_OK, 4599, true, 1, 3},
	    {"daemon", "remote.observe", "alpha", "alpha", AUDIT_OK, 4600, true, 2, 1},
	    {"daemon", "remote.observe", "alpha", "alpha", AUDIT_FAILED, 4630, true, 3, 1},
	    {"daemon", "remote.observe", "alpha", "alpha", AUDIT_FAILED, 4660, true, 3, 2},
	    {"daemon", "remote.observe", "alpha", "alpha", AUDIT_OK, 4690, true, 4, 1},
	    {"daemon", "remote.observe", "beta", "beta", AUDIT_OK, 4690, true, 5, 1},
	    {"anna", "remote.cancel", "alpha", "alpha", AUDIT_OK, 4690, true, 6, 1},
	    {"bert", "remote.cancel", "alpha", "alpha", AUDIT_OK, 4690, true, 7, 1},
	    {"bert", "remote.cancel", "alpha", NULL, AUDIT_OK, 4690, true, 8, 1},
	    {"bert", "listJobLogs", "j", NULL, AUDIT_OK, 4690, false, 9, 1},
	    {"bert", "listJobLogs", "j", NULL, AUDIT_OK, 4700, false, 9, 1},
	    {"bert", "listJobLogs", "j", NULL, AUDIT_OK, 1000, false, 10, 1}, /* the clock was set back */
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct audit_entry entry = entry_of(cases[i].actor, cases[i].action, cases[i].target);
		entry.cluster = cases[i].cluster;
		entry.outcome = cases[i].outcome;
		assert_ok(f, audit_insert_hourly(f->db, &entry, cases[i].counted, cases[i].now, &f->err));
		assert_int_equal(query_number(f->db->sqlite, ROWS), cases[i].rows);
		assert_int_equal(query_number(f->db->sqlite, "SELECT count FROM audit ORDER BY seq DESC LIMIT 1"),
				 cases[i].count);
	}
}

static void test_audit_list_filters_and_pages(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *actor, *action, *target;
		int64_t at;
	} rows[] = {{"anna", "a", "t1", 100},
		    {"bert", "a", "t2", 100},
		    {"anna", "b", "t1", 300},
		    {"anna", "a", "t2", 200},
		    {"bert", "b", "t1", 400}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct audit_entry entry = entry_of(rows[i].actor, rows[i].action, rows[i].target);
		assert_ok(f, audit_insert(f->db, &entry, rows[i].at, &f->err));
	}
	static const struct {
		struct audit_filter filter;
		int64_t seqs[8];
	} cases[] = {
	    {{.limit = 10}, {5, 3, 4, 2, 1}},
	    {{.limit = 2}, {5, 3}},
	    {{.limit = 2, .after_seq = 3}, {4, 2}},
	    {{.limit = 2, .after_seq = 2}, {1}},
	    {{.limit = 2, .after_seq = 1}, {0}},
	    {{.limit = 2, .after_seq = 99}, {0}},
	    {{.limit = 10, .actor = "anna"}, {3, 4, 1}},
	    {{.limit = 10, .action = "a"}, {4, 2, 1}},
	    {{.limit = 10, .target = "t1"}, {5, 3, 1}},
	    {{.limit = 10, .actor = "anna", .action = "a", .target = "t1"}, {1}},
	    {{.limit = 10, .since_s = 200}, {5, 3, 4}},
	    {{.limit = 10, .until_s = 200}, {2, 1}},
	    {{.limit = 10, .since_s = 200, .until_s = 400, .after_seq = 3}, {4}},
	    {{.limit = 10, .until_s = 200, .after_seq = 3}, {2, 1}},
	    {{.limit = 10, .actor = "carl"}, {0}},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(audit_list_done) struct audit_list list = {0};
		assert_ok(f, audit_list(f->db, &cases[i].filter, &list, &f->err));
		for (size_t k = 0; k < list.count; k++)
			assert_int_equal(list.items[k].seq, cases[i].seqs[k]);
		assert_int_equal(cases[i].seqs[list.count], 0);
	}
}

static void test_audit_insert_prunes_what_is_older_than_wanted(void **state)
{
	struct fixture *f = *state;
	struct audit_entry entry = entry_of("anna", "a", "t");
	for (int64_t at = 0; at < 100; at++)
		assert_ok(f, audit_insert(f->db, &entry, at, &f->err));
	assert_int_equal(query_number(f->db->sqlite, ROWS), 100); /* for ever */
	entry.keep_s = 10;
	for (int64_t at = 100; at < 120; at++)
		assert_ok(f, audit_insert(f->db, &entry, at, &f->err));
	assert_int_equal(query_number(f->db->sqlite, ROWS), 11);
	assert_int_equal(query_number(f->db->sqlite, "SELECT min(at) FROM audit"), 109);
}

static void test_audit_attached_row_is_stored_with_the_first_write_only(void **state)
{
	struct fixture *f = *state;
	const struct audit_entry entry = entry_of("anna", "createUser", NULL);
	clock_fake_set_ms(50000);
	audit_attach(f->db, &entry);
	assert_ok(f, db_begin_read(f->db, &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
	assert_int_equal(query_number(f->db->sqlite, ROWS), 0);
	audit_say(f->db, "lost", NULL);
	assert_ok(f, db_begin(f->db, &f->err));
	db_rollback(f->db);
	assert_int_equal(query_number(f->db->sqlite, ROWS), 0);
	audit_say(f->db, "carl", "user");
	for (int i = 0; i < 2; i++) {
		assert_ok(f, db_begin(f->db, &f->err));
		assert_ok(f, db_commit(f->db, &f->err));
	}
	assert_int_equal(query_number(f->db->sqlite, ROWS), 1);
	assert_int_equal(query_number(f->db->sqlite, "SELECT at FROM audit WHERE target = 'carl' AND detail = 'user'"),
			 50);
	assert_true(audit_detach(f->db));
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
	audit_attach(f->db, &entry);
	assert_false(audit_detach(f->db));
	audit_say(f->db, "nobody", "listens");
	assert_int_equal(query_number(f->db->sqlite, ROWS), 1);
	clock_fake_set_ms(-1);
}

static void test_audit_attached_row_that_cannot_be_stored_fails_the_commit(void **state)
{
	struct fixture *f = *state;
	const struct audit_entry entry = entry_of("anna", "createUser", NULL);
	assert_int_equal(
	    sqlite3_exec(f->db->sqlite,
			 "CREATE TEMP TRIGGER no BEFORE INSERT ON main.audit BEGIN SELECT raise(ABORT, 'no'); END",
			 NULL, NULL, NULL),
	    SQLITE_OK);
	audit_attach(f->db, &entry);
	assert_ok(f, db_begin(f->db, &f->err));
	assert_int_equal(sqlite3_exec(f->db->sqlite,
				      "INSERT INTO users (name, role, created_at) VALUES ('carl', 'user', 1)", NULL,
				      NULL, NULL),
			 SQLITE_OK);
	assert_refused(f, NEL_DB, db_commit(f->db, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM users"), 0);
	assert_false(audit_detach(f->db));
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_audit_insert_every_column_and_cut_texts),
	    READY(test_audit_insert_hourly_counts_until_something_differs),
	    READY(test_audit_list_filters_and_pages),
	    READY(test_audit_insert_prunes_what_is_older_than_wanted),
	    READY(test_audit_attached_row_is_stored_with_the_first_write_only),
	    READY(test_audit_attached_row_that_cannot_be_stored_fails_the_commit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
