/* db/chains.c, and the migration that made them of what jobs had. */
#include "db_fixture.h"

#include "db/attempts.h"
#include "db/chains.h"
#include "db/migrate.h"
#include "db/usage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define VERSION_BEFORE 37

static void run(sqlite3 *sqlite, const char *sql)
{
	char *message = NULL;
	if (sqlite3_exec(sqlite, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
}

static void assert_row(sqlite3 *sqlite, const char *sql, const char *wanted)
{
	sqlite3_stmt *rows = NULL;
	assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &rows, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(rows, 0), wanted);
	sqlite3_finalize(rows);
}

/* Two jobs share a chain, which the first one brings along: both show it, and what one update of it says. */
static void test_chain_carries_several_jobs(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row first = sample_job(&evaluation, 0);
	first.chain.number = 1;
	assert_ok(f, jobs_insert(f->db, &first, &f->err));
	struct job_row second = sample_job(&evaluation, 1);
	second.chain = first.chain;
	assert_ok(f, jobs_insert(f->db, &second, &f->err));
	assert_int_equal(second.chain.seq, first.chain.seq);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM chains"), 1);
	struct chain_row change = first.chain;
	change.budget_limit_s = 20;
	change.budget_used_s = 10;
	change.budget_from_attempt = 3;
	change.attempt = 4;
	change.slurm_job_id = (char *)"77";
	change.failures = 5;
	change.not_before = 30;
	change.walltime_s = 1; /* not of what changes */
	assert_ok(f, chains_update(f->db, &change, &f->err));
	CLEANUP(job_list_done) struct job_list list = {0};
	assert_ok(f, jobs_of_evaluation(f->db, evaluation.id, &list, &f->err));
	assert_int_equal(list.count, 2);
	for (size_t i = 0; i < list.count; i++) {
		const struct chain_row *chain = &list.items[i].chain;
		const int64_t numbers[][2] = {
		    {chain->seq, first.chain.seq}, {chain->number, 1},         {chain->walltime_s, 3600},
		    {chain->budget_limit_s, 20},   {chain->budget_used_s, 10}, {chain->budget_from_attempt, 3},
		    {chain->attempt, 4},           {chain->failures, 5},       {chain->not_before, 30},
		};
		for (size_t n = 0; n < COUNT(numbers); n++)
			assert_int_equal(numbers[n][0], numbers[n][1]);
		assert_string_equal(chain->slurm_job_id, "77");
		assert_string_equal(chain->resume_on, "TIMEOUT,PREEMPTED");
	}
}

/* The ledger has a row for each job; sacct is asked about the attempt once. */
static void test_attempt_of_several_jobs_is_asked_about_once(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row jobs[] = {sample_job(&evaluation, 0), sample_job(&evaluation, 1)};
	assert_ok(f, jobs_insert(f->db, &jobs[0], &f->err));
	jobs[1].chain = jobs[0].chain;
	assert_ok(f, jobs_insert(f->db, &jobs[1], &f->err));
	struct attempt_row attempt = {.chain_seq = jobs[0].chain.seq,
				      .number = 1,
				      .jobs = (char *)"[\"0000000000000001.0\", \"0000000000000001.1\"]",
				      .job_name = (char *)"n",
				      .slurm_job_id = (char *)"77"};
	assert_ok(f, attempts_insert(f->db, &attempt, "h", "b", &f->err));
	const struct usage_row row = {.attempt = "n", .slurm_job_id = "77", .ended_at = 1000, .run_s = 9, .gpu_s = 9};
	const struct job_row *const both[] = {&jobs[0], &jobs[1]};
	assert_ok(f, usage_put(f->db, &row, both, 2, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM usage"), 2);
	CLEANUP(unsettled_list_done) struct unsettled_list list = {0};
	assert_ok(f, usage_unsettled(f->db, jobs[0].cluster, jobs[0].identity, 1010, 20, &list, &f->err));
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].slurm_job_id, "77");
}

static void test_chain_of_a_taken_number_is_refused_with_its_job(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row first = sample_job(&evaluation, 0);
	assert_ok(f, jobs_insert(f->db, &first, &f->err));
	struct job_row second = sample_job(&evaluation, 1);
	second.chain.number = 0;
	assert_refused(f, NEL_CONFLICT, jobs_insert(f->db, &second, &f->err));
	assert_int_equal(second.chain.seq, 0);
	second.chain.number = 1;
	assert_ok(f, jobs_insert(f->db, &second, &f->err));
	struct chain_row none = {.seq = 99};
	assert_refused(f, NEL_NOTFOUND, chains_update(f->db, &none, &f->err));
}

static void test_chains_go_with_their_evaluation(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row job = sample_job(&evaluation, 0);
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	struct attempt_row attempt = {
	    .chain_seq = job.chain.seq, .number = 1, .jobs = (char *)"[]", .job_name = (char *)"n"};
	assert_ok(f, attempts_insert(f->db, &attempt, "h", "b", &f->err));
	run(f->db->sqlite, "DELETE FROM evaluations");
	assert_int_equal(query_number(f->db->sqlite,
				      "SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM chains)"
				      " + (SELECT count(*) FROM attempts)"),
			 0);
}

/* A store of the version before: an evaluation of two jobs, of which one has two attempts and a spent budget. */
static const char *const rows_before =
    "INSERT INTO evaluations (seq, id, user, cluster, identity, state, model, rundir, submitted_type, config_hash,"
    " created_at, created_high, updated_at, ended_at, overrides, warnings) VALUES"
    " (3, '0000000000000001', 'anna', 'alpha', 'svc', 'failed', 'm', '/r', 'x', 'h', 5, 5, 5, 5, '[]', '[]');"
    "INSERT INTO jobs (seq, id, evaluation_seq, evaluation, idx, user, cluster, identity, task, model, job_dir, state,"
    " walltime_s, budget_limit_s, budget_used_s, max_attempts, resume_mode, resume_on, attempt, slurm_job_id, failures,"
    " not_before, budget_from_attempt, created_at, updated_at, ended_at, version) VALUES"
    " (7, '0000000000000001.0', 3, '0000000000000001', 0, 'anna', 'alpha', 'svc', 'a', 'm', '/r/a.0', 'failed', 60, "
    "NULL,"
    " 0, 0, 'off', '', 0, NULL, 0, 0, 1, 5, 5, 5, 9),"
    " (8, '0000000000000001.1', 3, '0000000000000001', 1, 'anna', 'alpha', 'svc', 'b', 'm', '/r/b.1', 'failed', 61, "
    "600,"
    " 599, 4, 'in_job', 'TIMEOUT', 2, '78', 6, 7, 2, 5, 5, 5, 9);"
    "INSERT INTO history (job, at, to_state) VALUES (7, 5, 'queued'), (8, 5, 'queued');"
    "INSERT INTO script_bodies (hash, text) VALUES ('hash', 'true');"
    "INSERT INTO attempts (job, number, job_name, script_header, script_body, time_limit_s, after_job, exclude_node,"
    " intended_at, slurm_job_id, slurm_state, submitted_at, started_at, ended_at, elapsed_s, exit_code, signal, nodes,"
    " pending_reason, absent_since, start_estimate, gpus, progress_before) VALUES"
    " (8, 1, 'n1', 'header', 'hash', 11, NULL, NULL, 12, '77', 'TIMEOUT', 13, 14, 15, 16, 0, 17, 'n[1-2]', 'why', 18, "
    "19,"
    " 20, 21), (8, 2, 'n2', 'header', 'hash', 11, '77', 'n3', 12, '78', 'FAILED', 13, 14, 15, 16, 1, NULL, 'n1', NULL,"
    " NULL, NULL, 20, 22);";

static void test_migration_brings_jobs_and_attempts_along(void **state)
{
	struct fixture *f = *state;
	CLEANUP(mem_freep) struct migration *list = NULL;
	size_t count = 0;
	assert_ok(f, migrate_embedded(&list, &count, &f->err));
	assert_string_equal(list[VERSION_BEFORE].name, "0038_chains.sql");
	assert_ok(f, migrate_file(f->path, list, VERSION_BEFORE, NULL, NULL, &f->err));
	sqlite3 *sqlite = NULL;
	assert_ok(f, migrate_connect(f->path, &sqlite, &f->err));
	run(sqlite, rows_before);
	run(sqlite, "UPDATE replies SET format = 5, text = 'as it was'");
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
	assert_ok(f, db_migrate(f->path, NULL, NULL, &f->err));
	assert_ok(f, db_open(f->path, &f->db, &f->err));
	assert_integrity(f->db->sqlite);
	static const char *const counts[][2] = {
	    {"SELECT count(*) FROM chains", "2"},
	    {"SELECT count(*) FROM history", "2"},
	    {"SELECT count(*) FROM replies WHERE format = 0 AND text = ''", "1"},
	    {"SELECT count FROM job_counts WHERE state = 'failed'", "2"},
	    {"SELECT group_concat(quote(number) || ' ' || jobs || ' ' || job_name || ' ' || time_limit_s || ' ' ||"
	     " quote(after_job) || quote(exclude_node) || intended_at || quote(slurm_job_id) || slurm_state ||"
	     " submitted_at || ' ' || started_at || ' ' || ended_at || ' ' || elapsed_s || ' ' || exit_code ||"
	     " quote(signal) || nodes || quote(pending_reason) || quote(absent_since) || ' ' || quote(start_estimate) "
	     "||"
	     " ' ' || gpus || ' ' || progress_before, ';') FROM attempts",
	     "1 [\"0000000000000001.1\"] n1 11 NULLNULL12'77'TIMEOUT13 14 15 16 017n[1-2]'why'18 19 20 21;"
	     "2 [\"0000000000000001.1\"] n2 11 '77''n3'12'78'FAILED13 14 15 16 1NULLn1NULLNULL NULL 20 22"},
	};
	for (size_t i = 0; i < COUNT(counts); i++)
		assert_row(f->db->sqlite, counts[i][0], counts[i][1]);
	CLEANUP(job_list_done) struct job_list jobs = {0};
	assert_ok(f, jobs_of_evaluation(f->db, "0000000000000001", &jobs, &f->err));
	assert_int_equal(jobs.count, 2);
	const struct chain_row *fresh = &jobs.items[0].chain;
	const struct chain_row *spent = &jobs.items[1].chain;
	const int64_t numbers[][2] = {
	    {fresh->number, 0},          {fresh->walltime_s, 60}, {fresh->budget_limit_s, -1},
	    {fresh->budget_used_s, 0},   {fresh->attempt, 0},     {fresh->budget_from_attempt, 1},
	    {spent->number, 1},          {spent->walltime_s, 61}, {spent->budget_limit_s, 600},
	    {spent->budget_used_s, 599}, {spent->attempt, 2},     {spent->budget_from_attempt, 2},
	    {spent->max_attempts, 4},    {spent->failures, 6},    {spent->not_before, 7},
	    {jobs.items[1].version, 9},
	};
	for (size_t i = 0; i < COUNT(numbers); i++)
		assert_int_equal(numbers[i][0], numbers[i][1]);
	assert_null(fresh->slurm_job_id);
	assert_string_equal(spent->slurm_job_id, "78");
	assert_string_equal(spent->resume_mode, "in_job");
	assert_string_equal(spent->resume_on, "TIMEOUT");
	CLEANUP(attempt_list_done) struct attempt_list attempts = {0};
	assert_ok(f, attempts_of_chain(f->db, spent->seq, &attempts, &f->err));
	assert_int_equal(attempts.count, 2);
	CLEANUP(mem_freep) char *script = NULL;
	assert_ok(f, attempts_script(f->db, spent->seq, 2, &script, &f->err));
	assert_string_equal(script, "headertrue");
}

#define EMPTY(test) cmocka_unit_test_setup_teardown(test, fixture_setup_empty, fixture_teardown)
#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_chain_carries_several_jobs),
	    READY(test_attempt_of_several_jobs_is_asked_about_once),
	    READY(test_chain_of_a_taken_number_is_refused_with_its_job),
	    READY(test_chains_go_with_their_evaluation),
	    EMPTY(test_migration_brings_jobs_and_attempts_along),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
