/* Owns the table identities. */
#include "db/identities.h"

#include "base/mem.h"
#include "base/str.h"
#include "db/statement.h"

#include <string.h>

static const char *const state_names[] = {
    [IDENTITY_UNCHECKED] = "unchecked",
    [IDENTITY_OK] = "ok",
    [IDENTITY_REFUSED] = "refused",
    [IDENTITY_UNREACHABLE] = "unreachable",
};

const char *identity_state_name(enum identity_state state)
{
	return state_names[state];
}

static int state_from_name(const char *name, enum identity_state *ret_state)
{
	for (int i = 0; i <= IDENTITY_UNREACHABLE; i++) {
		if (strcmp(name, state_names[i]) == 0) {
			*ret_state = (enum identity_state)i;
			return 0;
		}
	}
	return -1;
}

void identity_row_done(struct identity_row *row)
{
	free(row->user);
	free(row->cluster);
	free(row->username);
	free(row->public_key);
	free(row->sealed_key);
	free(row->certificate);
	free(row->error);
	*row = (struct identity_row){0};
}

void identity_list_done(struct identity_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		identity_row_done(&list->items[i]);
	free(list->items);
	*list = (struct identity_list){0};
}

char *identity_label(const char *user, const char *cluster)
{
	return mem_printf("identity:%s:%s", user, cluster);
}

bool identity_username_ok(const char *username)
{
	static const char sane[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t len = strlen(username);
	return len > 0 && len <= IDENTITY_USERNAME_MAX && strspn(username, sane) == len && username[0] != '-' &&
	       username[0] != '.';
}

void identity_name(const char *user, const char *username, char ret_name[IDENTITY_NAME_SIZE])
{
	snprintf(ret_name, IDENTITY_NAME_SIZE, "%s/%s", user, username);
}

bool identity_name_split(const char *name, char ret_user[USER_NAME_MAX + 1],
			 char ret_username[IDENTITY_USERNAME_MAX + 1])
{
	const char *slash = strchr(name, '/');
	if (slash == NULL || slash == name || slash - name > USER_NAME_MAX || !identity_username_ok(slash + 1))
		return false;
	snprintf(ret_user, USER_NAME_MAX + 1, "%.*s", (int)(slash - name), name);
	snprintf(ret_username, IDENTITY_USERNAME_MAX + 1, "%s", slash + 1);
	return true;
}

static struct statement insert_identity = {
    .sql = "INSERT INTO identities (user, cluster, username, public_key, sealed_key, state, created_at)"
	   " VALUES (?, ?, ?, ?, ?, ?, ?)"};

int identities_insert(struct db *db, const struct identity_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_identity);
	query_bind_text(&q, row->user);
	query_bind_text(&q, row->cluster);
	query_bind_text(&q, row->username);
	query_bind_text(&q, row->public_key);
	query_bind_blob(&q, row->sealed_key, row->sealed_key_size);
	query_bind_text(&q, identity_state_name(row->state));
	query_bind_int(&q, row->created_at);
	if (query_run(&q, err) == 0)
		return 0;
	return err != NULL && err->kind == NEL_CONFLICT
		   ? err_set(err, NEL_CONFLICT, "%s has an identity on %s already", row->user, row->cluster)
		   : -1;
}

#define COLUMNS \
	"user, cluster, username, public_key, certificate, certificate_expires_at, state, error, created_at, " \
	"checked_at"

static int read_row(struct query *q, struct identity_row *ret_row, struct nel_err *err)
{
	char state[16];
	CLEANUP(identity_row_done) struct identity_row row = {0};
	row.user = query_text(q);
	row.cluster = query_text(q);
	row.username = query_text(q);
	row.public_key = query_text(q);
	row.certificate = query_text(q);
	row.certificate_expires_at = query_int(q);
	query_text_into(q, state, sizeof state);
	row.error = query_text(q);
	row.created_at = query_int(q);
	row.checked_at = query_int(q);
	if (state_from_name(state, &row.state) != 0)
		return err_set(err, NEL_DB, "the identity of %s on %s has the unknown state %s", row.user, row.cluster,
			       state);
	*ret_row = row;
	row = (struct identity_row){0};
	return 0;
}

static struct statement find_identity = {.sql = "SELECT " COLUMNS
						", sealed_key FROM identities WHERE user = ? AND cluster = ?"};

int identities_get(struct db *db, const char *user, const char *cluster, struct identity_row *ret_row,
		   struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &find_identity);
	bool found = false;
	query_bind_text(&q, user);
	query_bind_text(&q, cluster);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "%s has no identity on %s", user, cluster);
	if (read_row(&q, ret_row, err) != 0)
		return -1;
	ret_row->sealed_key = query_blob(&q, &ret_row->sealed_key_size);
	return 0;
}

static struct statement list_identities = {
    .sql = "SELECT " COLUMNS " FROM identities WHERE user >= ?1 AND user <= ?2 ORDER BY user, cluster LIMIT ?3"};

static int read_list(struct query *q, struct identity_list *ret_list, struct nel_err *err)
{
	CLEANUP(identity_list_done) struct identity_list list = {0};
	while (query_next(q, err))
		if (read_row(q, ROW_ADD(list.items, list.count), err) != 0)
			return -1;
	if (query_failed(q))
		return -1;
	*ret_list = list;
	list = (struct identity_list){0};
	return 0;
}

int identities_list(struct db *db, const char *user, struct identity_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_identities);
	query_bind_text(&q, user != NULL ? user : "");
	query_bind_text(&q, user != NULL ? user : "\x7f"); /* after every name */
	query_bind_int(&q, DB_LIST_MAX);
	return read_list(&q, ret_list, err);
}

static struct statement to_tell = {.sql = "SELECT " COLUMNS " FROM identities WHERE certificate_tell_at IS NOT NULL"
					  " AND certificate_tell_at <= ?1 ORDER BY certificate_tell_at LIMIT ?2"};

int identities_list_to_tell(struct db *db, int64_t now_s, struct identity_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &to_tell);
	query_bind_int(&q, now_s);
	query_bind_int(&q, DB_LIST_MAX);
	return read_list(&q, ret_list, err);
}

/* A change of one row that has to be there. */
static int run_change(struct query *q, const char *user, const char *cluster, struct nel_err *err)
{
	if (query_run(q, err) != 0)
		return -1;
	return query_changes(q) == 1 ? 0 : err_set(err, NEL_NOTFOUND, "%s has no identity on %s", user, cluster);
}

static struct statement note_told = {
    .sql = "UPDATE identities SET certificate_tell_at = NULL WHERE user = ?1 AND cluster = ?2"};

int identities_note_told(struct db *db, const char *user, const char *cluster, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &note_told);
	query_bind_text(&q, user);
	query_bind_text(&q, cluster);
	return run_change(&q, user, cluster, err);
}

static struct statement set_key = {
    .sql = "UPDATE identities SET public_key = ?3, sealed_key = ?4, certificate = NULL, certificate_expires_at = NULL,"
	   " certificate_tell_at = NULL, state = 'unchecked', error = NULL, checked_at = NULL"
	   " WHERE user = ?1 AND cluster = ?2"};

int identities_set_key(struct db *db, const struct identity_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_key);
	query_bind_text(&q, row->user);
	query_bind_text(&q, row->cluster);
	query_bind_text(&q, row->public_key);
	query_bind_blob(&q, row->sealed_key, row->sealed_key_size);
	return run_change(&q, row->user, row->cluster, err);
}

static struct statement set_certificate = {
    .sql = "UPDATE identities SET certificate = ?3, certificate_expires_at = nullif(?4, 0),"
	   " certificate_tell_at = CASE WHEN certificate IS ?3 THEN certificate_tell_at ELSE nullif(?5, 0) END, state "
	   "= 'unchecked', error = NULL, checked_at = NULL"
	   " WHERE user = ?1 AND cluster = ?2"};

int identities_set_certificate(struct db *db, const char *user, const char *cluster, const char *certificate,
			       int64_t expires_at, int64_t tell_at, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_certificate);
	query_bind_text(&q, user);
	query_bind_text(&q, cluster);
	query_bind_text(&q, certificate);
	query_bind_int(&q, expires_at);
	query_bind_int(&q, tell_at);
	return run_change(&q, user, cluster, err);
}

static struct statement set_username = {
    .sql = "UPDATE identities SET username = ?3, state = 'unchecked', error = NULL, checked_at = NULL"
	   " WHERE user = ?1 AND cluster = ?2"};

int identities_set_username(struct db *db, const char *user, const char *cluster, const char *username,
			    struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_username);
	query_bind_text(&q, user);
	query_bind_text(&q, cluster);
	query_bind_text(&q, username);
	return run_change(&q, user, cluster, err);
}

static struct statement set_state = {.sql = "UPDATE identities SET state = ?4, error = ?5, checked_at = ?6"
					    " WHERE user = ?1 AND cluster = ?2 AND username = ?3"};

int identities_set_state(struct db *db, const char *user, const char *cluster, const char *username,
			 enum identity_state state, const char *error, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_state);
	query_bind_text(&q, user);
	query_bind_text(&q, cluster);
	query_bind_text(&q, username);
	query_bind_text(&q, identity_state_name(state));
	query_bind_text(&q, error);
	query_bind_int(&q, now_s);
	return query_run(&q, err);
}

static struct statement delete_identity = {.sql = "DELETE FROM identities WHERE user = ? AND cluster = ?"};

int identities_delete(struct db *db, const char *user, const char *cluster, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_identity);
	query_bind_text(&q, user);
	query_bind_text(&q, cluster);
	return run_change(&q, user, cluster, err);
}

struct statement *const identities_statements[] = {
    &insert_identity, &find_identity, &list_identities, &to_tell,         &note_told, &set_key,
    &set_certificate, &set_username,  &set_state,       &delete_identity, NULL};
