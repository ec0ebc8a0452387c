/* Overviews: what is counted when it is asked for has a bound. */
#include "cmocka_all.h"
#include "db_fixture.h"

#include "db/summary.h"

static void fill(struct fixture *f, const char *user, int from, int to)
{
	CLEANUP(mem_freep)
	char *sql =
	    mem_printf("WITH RECURSIVE n(i) AS (VALUES (%d) UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		       " INSERT INTO jobs (id, evaluation_seq, evaluation, idx, user, cluster, identity, task, model,"
		       " job_dir, state, created_at, updated_at, ended_at)"
		       " SELECT 'e.' || i, 1, 'e', i, '%s', 'alpha', 'svc', 't', 'm', '/d', 'failed', 1,"
		       " 1, 86400 + i FROM n",
		       from, to, user);
	char *message = NULL;
	if (sqlite3_exec(f->db->sqlite, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
}

static int64_t count(struct fixture *f, const char *user, bool *ret_capped)
{
	CLEANUP(failure_count_list_done) struct failure_count_list list = {0};
	const struct summary_filter filter = {.last_day = 100, .user = user};
	assert_ok(f, summary_failures(f->db, &filter, &list, &f->err));
	*ret_capped = list.capped;
	assert_true(list.count <= 1);
	return list.count > 0 ? list.items[0].jobs : 0;
}

static void test_summary_failures_looks_at_so_many_whosever_they_are(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row evaluation = sample_evaluation(1);
	bool capped = true;
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
	assert_int_equal(evaluation.seq, 1);
	fill(f, "rare", 1, 3);
	fill(f, "many", 4, SUMMARY_FAILURES_MAX - 1);
	assert_int_equal(count(f, "rare", &capped), 3);
	assert_false(capped);
	assert_int_equal(count(f, "nobody", &capped), 0);
	fill(f, "many", SUMMARY_FAILURES_MAX, 2 * SUMMARY_FAILURES_MAX);
	assert_int_equal(count(f, NULL, &capped), SUMMARY_FAILURES_MAX);
	assert_true(capped);
	take_cost(f->db);
	assert_int_equal(count(f, NULL, &capped), SUMMARY_FAILURES_MAX);
	int64_t everybody = take_cost(f->db);
	assert_int_equal(count(f, "rare", &capped), 0);
	assert_true(capped);
	assert_true(take_cost(f->db) < everybody * 3 / 2); /* not a walk through those from before */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_summary_failures_looks_at_so_many_whosever_they_are, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
