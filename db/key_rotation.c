/* Owns the table key_check, and the list of all sealed columns. */
#include "db/key_rotation.h"

#include "base/mem.h"
#include "db/scope.h"
#include "db/statement.h"

#include <string.h>

#define CHECK_LABEL "key-check"
#define CHECK_TEXT "nel-slurmd"

/* next: the first row whose key is above the parameter: key, label, sealed value. set: value, key. */
struct key_rotation_column {
	const char *column;
	struct statement next;
	struct statement set;
};

static struct key_rotation_column columns[] = {
    {"evaluation_texts.sealed_env",
     {.sql = "SELECT t.evaluation, 'env:' || e.id, t.sealed_env FROM evaluation_texts t"
	     " CROSS JOIN evaluations e ON e.seq = t.evaluation"
	     " WHERE t.evaluation > ? AND t.sealed_env IS NOT NULL ORDER BY t.evaluation LIMIT 1"},
     {.sql = "UPDATE evaluation_texts SET sealed_env = ?1 WHERE evaluation = ?2"}},
    {"campaign_texts.sealed_env",
     {.sql = "SELECT t.campaign, 'campaign:' || c.id, t.sealed_env FROM campaign_texts t"
	     " CROSS JOIN campaigns c ON c.seq = t.campaign"
	     " WHERE t.campaign > ? AND t.sealed_env IS NOT NULL ORDER BY t.campaign LIMIT 1"},
     {.sql = "UPDATE campaign_texts SET sealed_env = ?1 WHERE campaign = ?2"}},
    {"secrets.sealed",
     {.sql = "SELECT id, 'secret:' || owner || ':' || name, sealed FROM secrets WHERE id > ? ORDER BY id LIMIT 1"},
     {.sql = "UPDATE secrets SET sealed = ?1 WHERE id = ?2"}},
    {"identities.sealed_key",
     {.sql = "SELECT id, 'identity:' || user || ':' || cluster, sealed_key FROM identities WHERE id > ?"
	     " ORDER BY id LIMIT 1"},
     {.sql = "UPDATE identities SET sealed_key = ?1 WHERE id = ?2"}},
    {"webhooks.sealed_secret",
     {.sql = "SELECT seq, 'webhook:' || id, sealed_secret FROM webhooks WHERE seq > ? ORDER BY seq LIMIT 1"},
     {.sql = "UPDATE webhooks SET sealed_secret = ?1 WHERE seq = ?2"}},
    {"key_check.sealed",
     {.sql = "SELECT id, '" CHECK_LABEL "', sealed FROM key_check WHERE id > ? ORDER BY id LIMIT 1"},
     {.sql = "UPDATE key_check SET sealed = ?1 WHERE id = ?2"}},
};

#define COLUMN_COUNT (sizeof columns / sizeof columns[0])
_Static_assert(COLUMN_COUNT == 6, "the list of statements at the end has two of each");

bool key_rotation_has_column(const char *column)
{
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		if (strcmp(columns[i].column, column) == 0)
			return true;
	return false;
}

static struct statement read_check = {.sql = KEY_ROTATION_READ_CHECK};

/* *ret_sealed stays NULL when there is none. */
static int get_check(struct db *db, unsigned char **ret_sealed, size_t *ret_size, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &read_check);
	bool found = false;
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (found)
		*ret_sealed = query_blob(&q, ret_size);
	return 0;
}

static struct statement insert_check = {.sql = "INSERT INTO key_check (id, sealed) VALUES (1, ?)"};

static int put_check(struct db *db, const struct secret_key *key, struct nel_err *err)
{
	CLEANUP(mem_freep) unsigned char *sealed = NULL;
	size_t size = 0;
	if (secret_seal(key, CHECK_LABEL, CHECK_TEXT, sizeof CHECK_TEXT - 1, &sealed, &size, err) != 0)
		return -1;
	CLEANUP(query_done) struct query q = query_start(db, &insert_check);
	query_bind_blob(&q, sealed, size);
	return query_run(&q, err);
}

int key_rotation_try_key(const struct secret_key *key, const unsigned char *sealed, size_t size, struct nel_err *err)
{
	char *text = NULL;
	size_t text_size = 0;
	if (secret_open(key, CHECK_LABEL, sealed, size, &text, &text_size, err) != 0)
		return err_set(err, NEL_DENIED, "the store is sealed with another master key");
	secret_free(text, text_size);
	return 0;
}

int key_rotation_check_key(struct db *db, const struct secret_key *key, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(mem_freep) unsigned char *sealed = NULL;
	size_t sealed_size = 0;
	if (scope_begin_write(&scope, db, err) != 0 || get_check(db, &sealed, &sealed_size, err) != 0)
		return -1;
	if (sealed == NULL)
		return put_check(db, key, err) != 0 ? -1 : scope_commit(&scope, err);
	return key_rotation_try_key(key, sealed, sealed_size, err);
}

/* One row: 1 when there was one, 0 at the end. *key is the row's. */
static int change_next(struct db *db, struct key_rotation_column *column, const struct secret_key *from,
		       const struct secret_key *to, int64_t *key, struct nel_err *err)
{
	CLEANUP(query_done) struct query next = query_start(db, &column->next);
	CLEANUP(mem_freep) char *label = NULL;
	CLEANUP(mem_freep) unsigned char *sealed = NULL;
	CLEANUP(mem_freep) unsigned char *changed = NULL;
	size_t sealed_size = 0;
	size_t size = 0;
	char *text = NULL;
	bool found = false;
	query_bind_int(&next, *key);
	if (query_step(&next, &found, err) != 0)
		return -1;
	if (!found)
		return 0;
	*key = query_int(&next);
	label = query_text(&next);
	sealed = query_blob(&next, &sealed_size);
	if (secret_open(from, label, sealed, sealed_size, &text, &size, err) != 0)
		return -1;
	int rc = secret_seal(to, label, text, size, &changed, &sealed_size, err);
	secret_free(text, size);
	if (rc != 0)
		return -1;
	CLEANUP(query_done) struct query set = query_start(db, &column->set);
	query_bind_blob(&set, changed, sealed_size);
	query_bind_int(&set, *key);
	return query_run(&set, err) != 0 ? -1 : 1;
}

int key_rotation_change_key(struct db *db, const struct secret_key *from, const struct secret_key *to,
			    int64_t *ret_count, struct nel_err *err)
{
	int64_t count = 0;
	if (key_rotation_check_key(db, from, err) != 0)
		return -1;
	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		int64_t key = 0;
		int rc = 0;
		while ((rc = change_next(db, &columns[i], from, to, &key, err)) > 0)
			count++;
		if (rc < 0)
			return err_prefix(err, "%s", columns[i].column);
	}
	*ret_count = count;
	return 0;
}

struct statement *const key_rotation_statements[] = {
    &columns[0].next, &columns[0].set,  &columns[1].next, &columns[1].set,  &columns[2].next,
    &columns[2].set,  &columns[3].next, &columns[3].set,  &columns[4].next, &columns[4].set,
    &columns[5].next, &columns[5].set,  &read_check,      &insert_check,    NULL};
/* Two for each column, the two below them, and NULL. */
_Static_assert(sizeof key_rotation_statements / sizeof key_rotation_statements[0] == 2 * COLUMN_COUNT + 3,
	       "a column is not listed");
