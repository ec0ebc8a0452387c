/* For the tests of db/: a migrated store in a directory of its own, rows to put into it, and looks behind the store's
 * functions. */
#ifndef NEL_TESTS_DB_FIXTURE_H
#define NEL_TESTS_DB_FIXTURE_H

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "db/evaluations.h"
#include "db/jobs.h"
#include "db/statement.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

struct fixture {
	char directory[64];
	char path[96]; /* of the database */
	struct db *db;
	struct nel_err err;
};

/* Fails the test with the message of f->err. */
#define assert_ok(f, call) \
	do { \
		if ((call) != 0) \
			fail_msg("%s: %s", #call, (f)->err.msg); \
	} while (0)

#define assert_refused(f, expected_kind, call) \
	do { \
		(f)->err = (struct nel_err){0}; \
		assert_int_equal((call), -1); \
		if ((f)->err.kind != (expected_kind)) \
			fail_msg("%s: %s: %s", #call, err_kind_name((f)->err.kind), (f)->err.msg); \
	} while (0)

/* A directory without a database. */
static inline int fixture_setup_empty(void **state)
{
	struct fixture *f = mem_calloc(1, sizeof *f);
	snprintf(f->directory, sizeof f->directory, "/tmp/nel-db-XXXXXX");
	if (secret_init(&f->err) != 0 || mkdtemp(f->directory) == NULL)
		return -1;
	snprintf(f->path, sizeof f->path, "%s/nel.db", f->directory);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	db_close(f->db);
	DIR *directory = opendir(f->directory);
	for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
		char path[sizeof f->directory + 256];
		snprintf(path, sizeof path, "%s/%s", f->directory, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (directory != NULL)
		closedir(directory);
	int result = rmdir(f->directory);
	free(f);
	return result;
}

static inline int fixture_setup(void **state)
{
	if (fixture_setup_empty(state) != 0)
		return -1;
	struct fixture *f = *state;
	if (db_migrate(f->path, NULL, NULL, &f->err) == 0 && db_open(f->path, &f->db, &f->err) == 0)
		return 0;
	print_error("%s\n", f->err.msg);
	fixture_teardown(state); /* cmocka does not call it then */
	return -1;
}

/* The first column of the first row, as a number. */
static inline int64_t query_number(sqlite3 *sqlite, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int64_t number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return number;
}

static inline void assert_integrity(sqlite3 *sqlite)
{
	sqlite3_stmt *stmt = NULL;
	assert_int_equal(sqlite3_prepare_v2(sqlite, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
	sqlite3_finalize(stmt);
	assert_int_equal(query_number(sqlite, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/* What the store's statements have cost since the last call: SQLite's count of its virtual machine's steps. */
static inline int64_t take_cost(struct db *db)
{
	int64_t steps = 0;
	for (size_t i = 1; i < db->prepared_count; i++)
		steps += sqlite3_stmt_status(db->prepared[i], SQLITE_STMTSTATUS_VM_STEP, 1);
	return steps;
}

/* An evaluation whose strings are literals: not to be given to evaluation_row_done(). */
static inline struct evaluation_row sample_evaluation(int number)
{
	struct evaluation_row row = {
	    .user = (char *)"anna",
	    .cluster = (char *)"alpha",
	    .identity = (char *)"svc-nel",
	    .state = (char *)"queued",
	    .model = (char *)"meta/llama",
	    .rundir = (char *)"/shared/runs/x",
	    .submitted_text = (char *)"deployment: vllm\n",
	    .submitted_type = (char *)"application/yaml",
	    .overrides = (char *)"[]",
	    .resolved = (char *)"{}",
	    .config_hash = (char *)"cafe",
	    .warnings = (char *)"[]",
	    .images = (char *)"[]",
	    .created_at = 1000 + number,
	    .updated_at = 1000 + number,
	};
	snprintf(row.id, sizeof row.id, "%016x", (unsigned)number);
	return row;
}

/* Job `index` of the stored evaluation; strings as above. */
static inline struct job_row sample_job(const struct evaluation_row *evaluation, int index)
{
	struct job_row row = {
	    .evaluation_seq = evaluation->seq,
	    .index = index,
	    .user = evaluation->user,
	    .cluster = evaluation->cluster,
	    .identity = evaluation->identity,
	    .task = (char *)"gsm8k",
	    .model = evaluation->model,
	    .job_dir = (char *)"/shared/runs/x/0",
	    .state = CHAIN_QUEUED,
	    .chain = {.number = index,
		      .walltime_s = 3600,
		      .resume_mode = (char *)"daemon",
		      .resume_on = (char *)"TIMEOUT,PREEMPTED",
		      .budget_limit_s = -1},
	    .progress = -1,
	    .created_at = evaluation->created_at,
	    .updated_at = evaluation->created_at,
	};
	memcpy(row.evaluation, evaluation->id, sizeof row.evaluation);
	ids_format_job(evaluation->id, index, row.id);
	return row;
}

/* A fixed sequence of numbers that look random. */
static inline unsigned next_random(unsigned *seed, unsigned below)
{
	*seed = *seed * 1664525U + 1013904223U;
	return (*seed >> 8) % below;
}

#endif
