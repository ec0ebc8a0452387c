/* Owns the tables attempts and script_bodies. */
#include "db/attempts.h"

#include "base/mem.h"
#include "base/str.h"
#include "db/columns.h"
#include "db/scope.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define HASH_SIZE (crypto_hash_sha256_BYTES * 2 + 1)

/* What the intent says. */
/* clang-format off */
#define ATTEMPT_FIXED(C) \
	C(INT, chain, chain_seq) \
	C(INT, number, number) \
	C(TEXT, job_name, job_name) \
	C(TEXT, after_job, after_job) \
	C(TEXT, exclude_node, exclude_node) \
	C(INT, intended_at, intended_at) \
	C(INT, gpus, gpus) \
	C(INT, progress_before, progress_before)

/* What becomes known of it, beside absent_since, which stands last. */
#define ATTEMPT_COURSE(C) \
	C(TEXT, jobs, jobs) \
	C(INT, time_limit_s, time_limit_s) \
	C(TEXT, slurm_job_id, slurm_job_id) \
	C(TEXT, slurm_state, slurm_state) \
	C(NULL_0, submitted_at, submitted_at) \
	C(NULL_0, started_at, started_at) \
	C(NULL_0, ended_at, ended_at) \
	C(NULL_MINUS_1, elapsed_s, elapsed_s) \
	C(NULL_MINUS_1, exit_code, exit_code) \
	C(NULL_0, signal, signal) \
	C(INT, gpu_samples, use.samples) \
	C(INT, gpu_percents, use.percents) \
	C(INT, gpu_low_samples, use.low_samples) \
	C(INT, gpu_still_s, use.still_s) \
	C(INT, idle, idle) \
	C(INT, idle_before, idle_before) \
	C(TEXT, nodes, nodes) \
	C(TEXT, pending_reason, pending_reason) \
	C(NULL_0, start_estimate, start_estimate) \
	C(NULL_0, withdrawn_at, withdrawn_at)
/* clang-format on */

#define ROW_COLUMNS ATTEMPT_FIXED(COLUMN_NAME) ATTEMPT_COURSE(COLUMN_NAME) "absent_since"

void attempt_row_done(struct attempt_row *row)
{
	if (row == NULL)
		return;
	ATTEMPT_FIXED(COLUMN_FREE)
	ATTEMPT_COURSE(COLUMN_FREE)
	*row = (struct attempt_row){0};
}

void attempt_list_done(struct attempt_list *list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < list->count; i++)
		attempt_row_done(&list->items[i]);
	free(list->items);
	*list = (struct attempt_list){0};
}

/* SHA-256 in hex. */
static void hash_text(const char *text, char ret_hash[HASH_SIZE])
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	crypto_hash_sha256(digest, (const unsigned char *)text, strlen(text));
	sodium_bin2hex(ret_hash, HASH_SIZE, digest, sizeof digest);
}

static struct statement insert_body = {
    .sql = "INSERT INTO script_bodies (hash, text) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING",
};

static int keep_body(struct db *db, const char *hash, const char *text, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_body);
	query_bind_text(&q, hash);
	query_bind_text(&q, text);
	return query_run(&q, err);
}

static struct statement insert_attempt = {
    .sql = "INSERT INTO attempts (" ROW_COLUMNS ", script_header, script_body)"
	   " VALUES (" ATTEMPT_FIXED(COLUMN_MARK) ATTEMPT_COURSE(COLUMN_MARK) "?, ?, ?)",
};

static int insert_row(struct db *db, const struct attempt_row *row, const char *header, const char *body_hash,
		      struct nel_err *err)
{
	CLEANUP(query_done) struct query insert = query_start(db, &insert_attempt);
	struct query *q = &insert;
	ATTEMPT_FIXED(COLUMN_BIND)
	ATTEMPT_COURSE(COLUMN_BIND)
	query_bind_int_or_null(q, row->absent_since, 0);
	query_bind_text(q, header);
	query_bind_text(q, body_hash);
	return query_run(q, err);
}

int attempts_insert(struct db *db, const struct attempt_row *row, const char *script_header, const char *script_body,
		    struct nel_err *err)
{
	char hash[HASH_SIZE];
	hash_text(script_body, hash);
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 || keep_body(db, hash, script_body, err) != 0 ||
	    insert_row(db, row, script_header, hash, err) != 0 || scope_commit(&scope, err) != 0)
		return err_prefix(err, "attempt %d of chain number %" PRId64, row->number, row->chain_seq);
	return 0;
}

static void read_row(struct query *q, struct attempt_row *row)
{
	*row = (struct attempt_row){0};
	ATTEMPT_FIXED(COLUMN_READ)
	ATTEMPT_COURSE(COLUMN_READ)
	row->absent_since = query_int(q);
}

static struct statement of_chain = {.sql = "SELECT " ROW_COLUMNS " FROM attempts WHERE chain = ? ORDER BY number"};

int attempts_of_chain(struct db *db, int64_t chain_seq, struct attempt_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &of_chain);
	CLEANUP(attempt_list_done) struct attempt_list list = {0};
	query_bind_int(&q, chain_seq);
	while (query_next(&q, err))
		read_row(&q, ROW_ADD(list.items, list.count));
	if (query_failed(&q))
		return -1;
	*ret_list = list;
	list = (struct attempt_list){0};
	return 0;
}

static int no_such_attempt(int64_t chain_seq, int number, struct nel_err *err)
{
	return err_set(err, NEL_NOTFOUND, "chain number %" PRId64 " has no attempt %d", chain_seq, number);
}

static struct statement one = {.sql = "SELECT " ROW_COLUMNS " FROM attempts WHERE chain = ? AND number = ?"};

int attempts_get(struct db *db, int64_t chain_seq, int number, struct attempt_row *ret_row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &one);
	bool found = false;
	query_bind_int(&q, chain_seq);
	query_bind_int(&q, number);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return no_such_attempt(chain_seq, number, err);
	read_row(&q, ret_row);
	return 0;
}

static struct statement update_attempt = {
    .sql = "UPDATE attempts SET " ATTEMPT_COURSE(COLUMN_SET) "absent_since = ? WHERE chain = ? AND number = ?",
};

int attempts_update(struct db *db, const struct attempt_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query update = query_start(db, &update_attempt);
	struct query *q = &update;
	ATTEMPT_COURSE(COLUMN_BIND)
	query_bind_int_or_null(q, row->absent_since, 0);
	query_bind_int(q, row->chain_seq);
	query_bind_int(q, row->number);
	if (query_run(q, err) != 0)
		return -1;
	return query_changes(q) == 1 ? 0 : no_such_attempt(row->chain_seq, row->number, err);
}

static struct statement delete_attempt = {.sql = "DELETE FROM attempts WHERE chain = ? AND number = ?"};

int attempts_delete(struct db *db, int64_t chain_seq, int number, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_attempt);
	query_bind_int(&q, chain_seq);
	query_bind_int(&q, number);
	if (query_run(&q, err) != 0)
		return -1;
	return query_changes(&q) == 1 ? 0 : no_such_attempt(chain_seq, number, err);
}

static struct statement script_of = {
    .sql = "SELECT a.script_header, b.text FROM attempts a CROSS JOIN script_bodies b ON b.hash = a.script_body"
	   " WHERE a.chain = ? AND a.number = ?",
};

int attempts_script(struct db *db, int64_t chain_seq, int number, char **ret_text, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &script_of);
	bool found = false;
	query_bind_int(&q, chain_seq);
	query_bind_int(&q, number);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return no_such_attempt(chain_seq, number, err);
	CLEANUP(mem_freep) char *header = query_text(&q);
	CLEANUP(mem_freep) char *body = query_text(&q);
	*ret_text = mem_printf("%s%s", header, body);
	return 0;
}

static struct statement elapsed = {
    .sql = "SELECT coalesce(sum(elapsed_s), 0) FROM attempts WHERE chain = ? AND number >= ?"};

int attempts_elapsed(struct db *db, int64_t chain_seq, int from, int64_t *ret_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &elapsed);
	bool found = false;
	query_bind_int(&q, chain_seq);
	query_bind_int(&q, from);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_s = query_int(&q);
	return 0;
}

static struct statement worked = {
    .sql = "SELECT coalesce(sum(elapsed_s), 0) FROM attempts WHERE chain = ?1"
	   " AND (withdrawn_at IS NULL OR elapsed_s > ?2)",
};

int attempts_worked(struct db *db, int64_t chain_seq, int64_t *ret_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &worked);
	bool found = false;
	query_bind_int(&q, chain_seq);
	query_bind_int(&q, ATTEMPTS_WITHDRAWN_RUN_MAX_S);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_s = query_int(&q);
	return 0;
}

struct statement *const attempts_statements[] = {
    &insert_body, &insert_attempt, &of_chain,       &one, &update_attempt, &script_of,
    &elapsed,     &worked,         &delete_attempt, NULL};
