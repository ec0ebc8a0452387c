/* Owns the table idempotency. */
#include "db/idempotency.h"

#include "db/scope.h"
#include "db/statement.h"

#include <string.h>

#define IDEMPOTENCY_LIFE_S (24 * 3600)

static struct statement find_key = {
    .sql = "SELECT request_hash, made FROM idempotency WHERE user = ?1 AND key = ?2 AND created_at > ?3",
};

int idempotency_find(struct db *db, const char *user, const char *key, const char *request_hash, int64_t now_s,
		     char ret_made[IDEMPOTENCY_MADE_SIZE], struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_key);
	bool found = false;
	query_bind_text(&q, user);
	query_bind_text(&q, key);
	query_bind_int(&q, now_s - IDEMPOTENCY_LIFE_S);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "the Idempotency-Key is new");
	CLEANUP(mem_freep) char *stored_hash = query_text(&q);
	if (strcmp(stored_hash, request_hash) != 0)
		return err_set(err, NEL_CONFLICT, "the Idempotency-Key was used for another request");
	query_text_into(&q, ret_made, IDEMPOTENCY_MADE_SIZE);
	return 0;
}

/* A few of the outlived keys go with every new one, so the table does not grow without end. */
static struct statement delete_old_keys = {
    .sql = "DELETE FROM idempotency WHERE (user, key) IN"
	   " (SELECT user, key FROM idempotency INDEXED BY idempotency_created WHERE created_at <= ?"
	   " ORDER BY created_at LIMIT 16)",
};

static int delete_old(struct db *db, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_old_keys);
	query_bind_int(&q, now_s - IDEMPOTENCY_LIFE_S);
	return query_run(&q, err);
}

static struct statement insert_key = {
    .sql = "INSERT INTO idempotency (user, key, request_hash, made, created_at) VALUES (?1, ?2, ?3, ?4, ?5)"
	   " ON CONFLICT (user, key) DO UPDATE SET request_hash = excluded.request_hash,"
	   " made = excluded.made, created_at = excluded.created_at WHERE created_at <= ?6",
};

int idempotency_insert(struct db *db, const char *user, const char *key, const char *request_hash, const char *made,
		       int64_t now_s, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 || delete_old(db, now_s, err) != 0)
		return -1;
	CLEANUP(query_done) struct query q = query_start(db, &insert_key);
	query_bind_text(&q, user);
	query_bind_text(&q, key);
	query_bind_text(&q, request_hash);
	query_bind_text(&q, made);
	query_bind_int(&q, now_s);
	query_bind_int(&q, now_s - IDEMPOTENCY_LIFE_S);
	if (query_run(&q, err) != 0)
		return -1;
	if (query_changes(&q) == 0)
		return err_set(err, NEL_CONFLICT, "the Idempotency-Key was used a moment ago");
	return scope_commit(&scope, err);
}

struct statement *const idempotency_statements[] = {&find_key, &delete_old_keys, &insert_key, NULL};
