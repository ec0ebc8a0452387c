/* Internal to db/: a connection's insides, and running one prepared statement: bind its parameters in order, step, read
 * its columns in order. SQL stands next to the function that runs it. */
#ifndef NEL_DB_STATEMENT_H
#define NEL_DB_STATEMENT_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "db/commit_mark.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUSY_TIMEOUT_MS 10000 /* a connection waits so long for another one's write */

/* One SQL statement. Every connection has its own prepared form, found by the slot, which db.c gives out once. */
struct statement {
	const char *sql;
	size_t slot;
};

/* Each file's statements, ending with NULL; db_open() prepares all of them. */
extern struct statement *const db_statements[];
extern struct statement *const transaction_statements[];
extern struct statement *const users_statements[];
extern struct statement *const tokens_statements[];
extern struct statement *const sign_in_codes_statements[];
extern struct statement *const secrets_statements[];
extern struct statement *const key_rotation_statements[];
extern struct statement *const audit_statements[];
extern struct statement *const idempotency_statements[];
extern struct statement *const evaluations_statements[];
extern struct statement *const jobs_statements[];
extern struct statement *const jobs_active_statements[];
extern struct statement *const job_postings_statements[];
extern struct statement *const created_statements[];
extern struct statement *const chains_statements[];
extern struct statement *const attempts_statements[];
extern struct statement *const events_statements[];
extern struct statement *const results_statements[];
extern struct statement *const likenesses_statements[];
extern struct statement *const webhooks_statements[];
extern struct statement *const campaigns_statements[];
extern struct statement *const campaign_watches_statements[];
extern struct statement *const campaign_scores_statements[];
extern struct statement *const totals_statements[];
extern struct statement *const usage_statements[];
extern struct statement *const output_dirs_statements[];
extern struct statement *const placements_statements[];
extern struct statement *const observations_statements[];
extern struct statement *const replies_statements[];
extern struct statement *const failures_statements[];
extern struct statement *const job_logs_statements[];
extern struct statement *const samples_statements[];
extern struct statement *const fingerprints_statements[];
extern struct statement *const revisions_statements[];
extern struct statement *const identities_statements[];
extern struct statement *const orphans_statements[];
extern struct statement *const summary_statements[];
extern struct statement *const search_statements[];
extern struct statement *const *const statement_lists[]; /* all of the above, ending with NULL */

struct db {
	sqlite3 *sqlite;
	sqlite3_stmt **prepared; /* by slot */
	size_t prepared_count;
	bool in_transaction;  /* db_begin() or db_begin_read() was called, and neither committed nor rolled back */
	bool in_write;        /* db_begin() was called */
	bool has_events;      /* the open transaction has inserted some */
	int64_t data_version; /* of the open read transaction, once somebody has asked; else 0 */
	const volatile uint32_t *wal_index; /* for commit_mark_read() */
	struct commit_mark mark;   /* of the newest commit, when data_version_then was asked for; nothing: not known */
	int64_t data_version_then; /* outside of a transaction */
	struct token_memo *tokens; /* those that were asked for last (tokens.c); free()d with it */
	struct audit_attached *audit; /* what the next commit of a write says (audit.c); free()d with it */
};

/* Fills *err from the connection's last failure (rc) and returns -1: BUSY when another connection holds the store,
 * CONFLICT for a key that exists, DB with SQLite's own message otherwise. */
int db_error(sqlite3 *sqlite, int rc, struct nel_err *err);

/* One run of a statement. */
struct query {
	struct db *db;
	sqlite3_stmt *stmt;
	int rc;      /* the first failure of a bind, reported by the next step */
	int bound;   /* parameters bound so far */
	int column;  /* the next one to read */
	bool failed; /* query_next() has */
};

struct query query_start(struct db *db, const struct statement *statement);
void query_done(struct query *q); /* for CLEANUP: the statement can be used again, also after a failure */

/* The next parameter. Texts and blobs are borrowed until the query is done. */
void query_bind_text(struct query *q, const char *text); /* NULL: null */
void query_bind_int(struct query *q, int64_t value);
void query_bind_int_or_null(struct query *q, int64_t value, int64_t null_value); /* null_value: null */
void query_bind_blob(struct query *q, const void *data, size_t size);            /* NULL: null */
void query_bind_double(struct query *q, double value);                           /* NAN: null */

/* Steps once: *ret_row says whether there is a row. */
int query_step(struct query *q, bool *ret_row, struct nel_err *err);
/* The rows of a query, one after another:
 *	while (query_next(&q, err))
 *		read_row(&q, ROW_ADD(list.items, list.count));
 *	if (query_failed(&q))
 *		return -1;
 */
bool query_next(struct query *q, struct nel_err *err);
bool query_failed(const struct query *q); /* the loop did not end behind the last row */

/* A new, zeroed element at the end of an array that has come to be by this alone. */
#define ROW_ADD(items, count) ((items) = rows_make_room((items), (count), sizeof *(items)), &(items)[(count)++])
void *rows_make_room(void *items, size_t count, size_t size);

/* Steps a statement that answers no rows. */
int query_run(struct query *q, struct nel_err *err);
/* Makes the query ready for another round of binds from the first parameter on. */
void query_again(struct query *q);
int query_changes(const struct query *q); /* rows changed by the query_run() just made */

/* The next column of the row. */
char *query_text(struct query *q); /* owned; NULL for null */
void query_text_into(struct query *q, char *buf, size_t size);
/* Appends the text; false when it is empty or null. */
bool query_append(struct query *q, struct str *text);
unsigned char *query_blob(struct query *q, size_t *ret_size); /* owned; NULL for null */
int64_t query_int(struct query *q);                           /* 0 for null */
int64_t query_int_or(struct query *q, int64_t null_value);
double query_double(struct query *q); /* NAN for null */

#endif
