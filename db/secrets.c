/* Owns the table secrets. */
#include "db/secrets.h"

#include "base/mem.h"
#include "db/scope.h"
#include "db/statement.h"

char *secrets_label(const char *owner, const char *name)
{
	return mem_printf("secret:%s:%s", owner, name);
}

static struct statement count_others = {.sql = "SELECT count(*) FROM secrets WHERE owner = ?1 AND name <> ?2"};

static int check_count(struct db *db, const char *owner, const char *name, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count_others);
	bool found = false;
	query_bind_text(&q, owner);
	query_bind_text(&q, name);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (query_int(&q) < SECRETS_PER_OWNER_MAX)
		return 0;
	return err_set(err, NEL_CONFLICT, "there are %d secrets already, which is the most: delete one first",
		       SECRETS_PER_OWNER_MAX);
}

static struct statement put_secret = {
    .sql = "INSERT INTO secrets (owner, name, sealed, created_at, updated_at, users, hosts)"
	   " VALUES (?1, ?2, ?3, ?4, ?4, coalesce(?5, ''), coalesce(?6, ''))"
	   " ON CONFLICT (owner, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at,"
	   " users = coalesce(?5, users), hosts = coalesce(?6, hosts)"
	   " RETURNING created_at, updated_at, users, hosts",
};

int secrets_put(struct db *db, const char *owner, const char *name, const unsigned char *sealed, size_t sealed_size,
		const char *users, const char *hosts, int64_t now_s, struct secret_row *ret_row, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 || check_count(db, owner, name, err) != 0)
		return -1;
	CLEANUP(query_done) struct query q = query_start(db, &put_secret);
	bool row = false;
	struct secret_row made = {0};
	query_bind_text(&q, owner);
	query_bind_text(&q, name);
	query_bind_blob(&q, sealed, sealed_size);
	query_bind_int(&q, now_s);
	query_bind_text(&q, users);
	query_bind_text(&q, hosts);
	if (query_step(&q, &row, err) != 0)
		return -1;
	snprintf(made.owner, sizeof made.owner, "%s", owner);
	snprintf(made.name, sizeof made.name, "%s", name);
	made.created_at = query_int(&q);
	made.updated_at = query_int(&q);
	query_text_into(&q, made.use.users, sizeof made.use.users);
	query_text_into(&q, made.use.hosts, sizeof made.use.hosts);
	query_done(&q);
	if (scope_commit(&scope, err) != 0)
		return -1;
	*ret_row = made;
	return 0;
}

static struct statement find_secret = {.sql = "SELECT sealed FROM secrets WHERE owner = ?1 AND name = ?2"};

int secrets_get(struct db *db, const char *owner, const char *name, unsigned char **ret_sealed, size_t *ret_size,
		struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_secret);
	bool found = false;
	query_bind_text(&q, owner);
	query_bind_text(&q, name);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "there is no secret %s", name);
	*ret_sealed = query_blob(&q, ret_size);
	return 0;
}

static struct statement list_secrets = {
    .sql = "SELECT owner, name, created_at, updated_at, users, hosts FROM secrets WHERE owner = ? ORDER BY name",
};

int secrets_list(struct db *db, const char *owner, struct secret_row **ret_rows, size_t *ret_count, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_secrets);
	CLEANUP(mem_freep) struct secret_row *rows = NULL;
	size_t count = 0;
	query_bind_text(&q, owner);
	while (query_next(&q, err)) {
		struct secret_row *row = ROW_ADD(rows, count);
		query_text_into(&q, row->owner, sizeof row->owner);
		query_text_into(&q, row->name, sizeof row->name);
		row->created_at = query_int(&q);
		row->updated_at = query_int(&q);
		query_text_into(&q, row->use.users, sizeof row->use.users);
		query_text_into(&q, row->use.hosts, sizeof row->use.hosts);
	}
	if (query_failed(&q))
		return -1;
	*ret_rows = TAKE(rows);
	*ret_count = count;
	return 0;
}

static struct statement delete_secret = {.sql = "DELETE FROM secrets WHERE owner = ?1 AND name = ?2"};

int secrets_delete(struct db *db, const char *owner, const char *name, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_secret);
	query_bind_text(&q, owner);
	query_bind_text(&q, name);
	if (query_run(&q, err) != 0)
		return -1;
	return query_changes(&q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "there is no secret %s", name);
}

static struct statement delete_all = {.sql = "DELETE FROM secrets WHERE owner = ?"};

int secrets_delete_all(struct db *db, const char *owner, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_all);
	query_bind_text(&q, owner);
	return query_run(&q, err);
}

struct statement *const secrets_statements[] = {&count_others,  &put_secret, &find_secret, &list_secrets,
						&delete_secret, &delete_all, NULL};
