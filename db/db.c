/* Owns a connection: its prepared statements, the backup through it. Its transactions are in transaction.c. */
#include "db/db.h"

#include "base/mem.h"
#include "db/migrate.h"
#include "db/new_file.h"
#include "db/statement.h"

#include <pthread.h>

/* One a line. */
/* clang-format off */
struct statement *const *const statement_lists[] = {
	db_statements,
	transaction_statements,
	users_statements,
	tokens_statements,
	sign_in_codes_statements,
	secrets_statements,
	key_rotation_statements,
	audit_statements,
	idempotency_statements,
	evaluations_statements,
	jobs_statements,
	jobs_active_statements,
	job_postings_statements,
	created_statements,
	chains_statements,
	attempts_statements,
	events_statements,
	results_statements,
	likenesses_statements,
	failures_statements,
	job_logs_statements,
	samples_statements,
	fingerprints_statements,
	revisions_statements,
	identities_statements,
	webhooks_statements,
	campaigns_statements,
	campaign_watches_statements,
	campaign_scores_statements,
	totals_statements,
	usage_statements,
	output_dirs_statements,
	placements_statements,
	observations_statements,
	replies_statements,
	orphans_statements,
	summary_statements,
	search_statements,
	NULL,
};
/* clang-format on */

static size_t slot_count = 1; /* slot 0 is that of a statement which no list has */

static void number_statements(void)
{
	for (size_t i = 0; statement_lists[i] != NULL; i++)
		for (size_t k = 0; statement_lists[i][k] != NULL; k++)
			statement_lists[i][k]->slot = slot_count++;
}

static int prepare_all(struct db *db, struct nel_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, number_statements);
	db->prepared = mem_calloc(slot_count, sizeof(sqlite3_stmt *));
	db->prepared_count = slot_count;
	for (size_t i = 0; statement_lists[i] != NULL; i++) {
		for (size_t k = 0; statement_lists[i][k] != NULL; k++) {
			const struct statement *statement = statement_lists[i][k];
			int rc = sqlite3_prepare_v3(db->sqlite, statement->sql, -1, SQLITE_PREPARE_PERSISTENT,
						    &db->prepared[statement->slot], NULL);
			if (rc != SQLITE_OK)
				return db_error(db->sqlite, rc, err);
		}
	}
	return 0;
}

int db_migrate(const char *path, int *ret_from, int *ret_to, struct nel_err *err)
{
	CLEANUP(mem_freep) struct migration *list = NULL;
	size_t count = 0;
	if (migrate_embedded(&list, &count, err) != 0)
		return -1;
	return migrate_file(path, list, count, ret_from, ret_to, err);
}

static int check_version(sqlite3 *sqlite, struct nel_err *err)
{
	CLEANUP(mem_freep) struct migration *list = NULL;
	size_t count = 0;
	int version = 0;
	if (migrate_embedded(&list, &count, err) != 0 || migrate_version(sqlite, &version, err) != 0)
		return -1;
	if (version == (int)count)
		return 0;
	return err_set(err, NEL_CONFLICT, "it has version %d, and this program needs version %zu: %s", version, count,
		       version < (int)count ? "nel-slurmd migrate brings it there" : "run the newer program");
}

int db_open(const char *path, struct db **ret_db, struct nel_err *err)
{
	CLEANUP(db_freep) struct db *db = mem_calloc(1, sizeof *db);
	if (migrate_connect(path, &db->sqlite, err) != 0)
		return -1;
	int rc = sqlite3_exec(db->sqlite, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return db_error(db->sqlite, rc, err);
	if (check_version(db->sqlite, err) != 0 || prepare_all(db, err) != 0)
		return err_prefix(err, "database %s", path);
	*ret_db = TAKE(db);
	return 0;
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < db->prepared_count; i++)
		sqlite3_finalize(db->prepared[i]);
	free(db->prepared);
	free(db->tokens);
	free(db->audit);
	sqlite3_close(db->sqlite); /* rolls back what is open */
	free(db);
}

static struct statement data_version = {.sql = "PRAGMA data_version"};

static int ask_data_version(struct db *db, int64_t *ret_version, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &data_version);
	bool row = false;
	if (query_step(&q, &row, err) != 0)
		return -1;
	*ret_version = query_int(&q);
	return 0;
}

int db_data_version(struct db *db, int64_t *ret_version, struct nel_err *err)
{
	if (db->data_version != 0) {
		*ret_version = db->data_version;
		return 0;
	}
	if (db->in_transaction) {
		if (ask_data_version(db, ret_version, err) != 0)
			return -1;
		if (!db->in_write)
			db->data_version = *ret_version; /* it stays so until the transaction ends */
		return 0;
	}
	struct commit_mark mark = commit_mark_read(db->sqlite, &db->wal_index);
	if (commit_mark_equal(&mark, &db->mark)) {
		*ret_version = db->data_version_then;
		return 0;
	}
	if (ask_data_version(db, ret_version, err) != 0)
		return -1;
	db->mark = mark; /* from before the question, so that what is committed meanwhile is asked about again */
	db->data_version_then = *ret_version;
	return 0;
}

static int copy(sqlite3 *from, sqlite3 *to, struct nel_err *err)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	if (backup == NULL)
		return db_error(to, sqlite3_extended_errcode(to), err);
	/* All pages in one step: one snapshot, which in WAL mode stops no writer, and no restart when somebody writes.
	 */
	int step = sqlite3_backup_step(backup, -1);
	int rc = sqlite3_backup_finish(backup);
	return step == SQLITE_DONE && rc == SQLITE_OK ? 0 : db_error(to, rc == SQLITE_OK ? step : rc, err);
}

int db_backup(struct db *db, const char *to_path, struct nel_err *err)
{
	if (access(to_path, F_OK) == 0)
		return err_set(err, NEL_CONFLICT, "%s exists already", to_path);
	CLEANUP(new_file_discard) char *temporary = NULL;
	if (new_file_make(to_path, &temporary, err) != 0)
		return -1;
	sqlite3 *to = NULL;
	if (migrate_connect(temporary, &to, err) != 0)
		return -1;
	int result = copy(db->sqlite, to, err);
	/* So that a log which is left beside the place that it is put back to is known not to be its own. */
	int rc = result == 0 ? sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) : SQLITE_OK;
	if (rc != SQLITE_OK)
		result = db_error(to, rc, err);
	rc = sqlite3_close(to);
	if (result == 0 && rc != SQLITE_OK)
		result = db_error(NULL, rc, err);
	if (result != 0)
		return err_prefix(err, "cannot back up to %s", to_path);
	return new_file_publish(temporary, to_path, err);
}

int db_scrub(struct db *db, struct nel_err *err)
{
	int rc = sqlite3_exec(db->sqlite, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE);", NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : db_error(db->sqlite, rc, err);
}

struct statement *const db_statements[] = {&data_version, NULL};
