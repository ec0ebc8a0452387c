/* Owns the table replies. */
#include "db/replies.h"

#include "db/statement.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS "r.evaluation, r.id, r.version, r.updated_at, r.jobs, r.observed_at, r.text"

static struct statement by_id = {
    .sql = "SELECT " COLUMNS " FROM evaluations e CROSS JOIN replies r ON r.evaluation = e.seq"
	   " WHERE e.id = ?1 AND r.format = ?2",
};
static struct statement by_seq = {.sql = "SELECT " COLUMNS " FROM replies r WHERE r.evaluation = ?1 AND r.format = ?2"};

/* The numbers that were found lately, by ids, so that the index of ids need not be asked: its pages are all over the
 * file, and each commit of another connection takes them out of SQLite's cache. A guess, for an evaluation may have
 * been pruned and its number given anew: the id in the row tells. Each word has the half of an id that does not say
 * where it is, and a number; 0: nothing. */
#define GUESSES 262144
static _Atomic uint64_t guesses[GUESSES];

static uint64_t parse_id(const char *id)
{
	return strtoull(id, NULL, 16);
}

static int64_t guess_seq(const char *id)
{
	uint64_t number = parse_id(id);
	uint64_t word = atomic_load_explicit(&guesses[number % GUESSES], memory_order_relaxed);
	return word >> 32 == number >> 32 ? (int64_t)(word & UINT32_MAX) : 0;
}

static void note_seq(const char *id, int64_t seq)
{
	uint64_t number = parse_id(id);
	if (seq > 0 && seq <= UINT32_MAX)
		atomic_store_explicit(&guesses[number % GUESSES], number >> 32 << 32 | (uint64_t)seq,
				      memory_order_relaxed);
}

/* Steps the query, whose first parameter is bound. id: of no other evaluation; NULL: of any. */
static int get(struct query *q, const char *id, int64_t format, struct revision *ret_revision, struct str *text,
	       bool *ret_found, struct nel_err *err)
{
	bool found = false;
	query_bind_int(q, format);
	if (query_step(q, &found, err) != 0)
		return -1;
	*ret_found = false;
	if (!found)
		return 0;
	struct revision revision = {0};
	revision.seq = query_int(q);
	query_text_into(q, revision.id, sizeof revision.id);
	revision.version = query_int(q);
	revision.updated_at = query_int(q);
	revision.jobs = query_int(q);
	revision.observed_at = query_int(q);
	if ((id != NULL && strcmp(revision.id, id) != 0) || !query_append(q, text))
		return 0;
	*ret_revision = revision;
	*ret_found = true;
	return 0;
}

static int get_at(struct db *db, int64_t seq, const char *id, int64_t format, struct revision *ret_revision,
		  struct str *text, bool *ret_found, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &by_seq);
	query_bind_int(&q, seq);
	return get(&q, id, format, ret_revision, text, ret_found, err);
}

int replies_get(struct db *db, const char *id, int64_t format, struct revision *ret_revision, struct str *text,
		bool *ret_found, struct nel_err *err)
{
	int64_t guess = guess_seq(id);
	if (guess != 0) {
		if (get_at(db, guess, id, format, ret_revision, text, ret_found, err) != 0)
			return -1;
		if (*ret_found)
			return 0;
	}
	CLEANUP(query_done) struct query q = query_start(db, &by_id);
	query_bind_text(&q, id);
	if (get(&q, NULL, format, ret_revision, text, ret_found, err) != 0)
		return -1;
	if (*ret_found)
		note_seq(id, ret_revision->seq);
	return 0;
}

int replies_get_at(struct db *db, int64_t seq, int64_t format, struct revision *ret_revision, struct str *text,
		   bool *ret_found, struct nel_err *err)
{
	return get_at(db, seq, NULL, format, ret_revision, text, ret_found, err);
}

static struct statement older = {
    .sql = "SELECT evaluation FROM replies INDEXED BY replies_format WHERE format < ?1 LIMIT ?2",
};
static struct statement other = {
    .sql = "SELECT evaluation FROM replies INDEXED BY replies_format WHERE format > ?1 LIMIT ?2",
};

static int add_missing(struct db *db, const struct statement *statement, int64_t format, size_t limit,
		       int64_t *ret_seqs, size_t *count, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, statement);
	query_bind_int(&q, format);
	query_bind_int(&q, (int64_t)(limit - *count));
	while (query_next(&q, err))
		ret_seqs[(*count)++] = query_int(&q);
	return query_failed(&q) ? -1 : 0;
}

int replies_missing(struct db *db, int64_t format, int limit, int64_t *ret_seqs, size_t *ret_count, struct nel_err *err)
{
	size_t count = 0;
	if (add_missing(db, &older, format, (size_t)limit, ret_seqs, &count, err) != 0 ||
	    add_missing(db, &other, format, (size_t)limit, ret_seqs, &count, err) != 0)
		return -1;
	*ret_count = count;
	return 0;
}

static struct statement put = {
    .sql = "UPDATE replies SET format = ?1, version = ?2, updated_at = ?3, jobs = ?4, observed_at = ?5, text = ?6,"
	   " id = ?8 WHERE evaluation = ?7",
};

int replies_put(struct db *db, const struct revision *revision, int64_t format, const char *text, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &put);
	query_bind_int(&q, format);
	query_bind_int(&q, revision->version);
	query_bind_int(&q, revision->updated_at);
	query_bind_int(&q, revision->jobs);
	query_bind_int(&q, revision->observed_at);
	query_bind_text(&q, text);
	query_bind_int(&q, revision->seq);
	query_bind_text(&q, revision->id);
	return query_run(&q, err);
}

struct statement *const replies_statements[] = {&by_id, &by_seq, &older, &other, &put, NULL};
