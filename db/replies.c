/* Owns the table replies. */
#include "db/replies.h"

#include "db/statement.h"

#define COLUMNS "r.evaluation, r.id, r.version, r.updated_at, r.jobs, r.observed_at, r.text"

static struct statement by_id = {
    .sql = "SELECT " COLUMNS " FROM evaluations e CROSS JOIN replies r ON r.evaluation = e.seq"
	   " WHERE e.id = ?1 AND r.format = ?2",
};
static struct statement by_seq = {.sql = "SELECT " COLUMNS " FROM replies r WHERE r.evaluation = ?1 AND r.format = ?2"};

/* Steps the query, whose first parameter is bound. */
static int get(struct query *q, int64_t format, struct revision *ret_revision, struct str *text, bool *ret_found,
	       struct nel_err *err)
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
	if (!query_append(q, text))
		return 0;
	*ret_revision = revision;
	*ret_found = true;
	return 0;
}

int replies_get(struct db *db, const char *id, int64_t format, struct revision *ret_revision, struct str *text,
		bool *ret_found, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &by_id);
	query_bind_text(&q, id);
	return get(&q, format, ret_revision, text, ret_found, err);
}

int replies_get_at(struct db *db, int64_t seq, int64_t format, struct revision *ret_revision, struct str *text,
		   bool *ret_found, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &by_seq);
	query_bind_int(&q, seq);
	return get(&q, format, ret_revision, text, ret_found, err);
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
