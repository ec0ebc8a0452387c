/* Owns the tables evaluation_search and job_search. */
#include "db/search.h"

#include "db/postings.h"

#include <string.h>

#define BLANKS " \t\r\n"

/* Numbers of evaluations grow with each, so that what is not in the index yet is what is above all that is. */
static struct statement missing = {
    .sql = "SELECT e.seq, (SELECT count(*) FROM jobs j WHERE j.evaluation_seq = e.seq) FROM evaluations e WHERE e.seq >"
	   " coalesce((SELECT rowid FROM evaluation_search ORDER BY rowid DESC LIMIT 1), 0) ORDER BY e.seq LIMIT ?",
};

static struct statement insert_evaluations = {
    .sql = "INSERT OR REPLACE INTO evaluation_search (rowid, text) SELECT e.seq,"
	   " e.id || char(10) || e.model || char(10) || e.user || char(10) || e.cluster"
	   " || coalesce((SELECT char(10) || group_concat(j.task) FROM jobs j WHERE j.evaluation_seq = e.seq), '')"
	   " || coalesce((SELECT char(10) || group_concat(l.key || ':' || l.value, char(10)) FROM labels l"
	   " WHERE l.evaluation = e.seq), '') FROM evaluations e WHERE e.seq BETWEEN ? AND ?",
};

static struct statement insert_jobs = {
    .sql = "INSERT OR REPLACE INTO job_search (rowid, text) SELECT j.seq,"
	   " j.id || char(10) || j.model || char(10) || j.user || char(10) || j.cluster || char(10) || j.task"
	   " || coalesce((SELECT char(10) || group_concat(l.key || ':' || l.value, char(10)) FROM labels l"
	   " WHERE l.evaluation = j.evaluation_seq), '') FROM jobs j WHERE j.evaluation_seq BETWEEN ? AND ?",
};

/* What is put in next: evaluations from first to last; last 0: none. */
struct batch {
	int64_t first;
	int64_t last;
	bool more; /* others come after it */
};

static int find_missing(struct db *db, struct batch *ret_batch, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &missing);
	struct batch batch = {0};
	int64_t rows = 0;
	query_bind_int(&q, SEARCH_BATCH + 1);
	while (!batch.more && query_next(&q, err)) {
		int64_t seq = query_int(&q);
		rows += 1 + query_int(&q);
		batch.more = batch.last != 0 && rows > SEARCH_BATCH;
		if (batch.last == 0)
			batch.first = seq;
		if (!batch.more)
			batch.last = seq;
	}
	*ret_batch = batch;
	return !batch.more && query_failed(&q) ? -1 : 0;
}

static int insert(struct db *db, const struct statement *statement, const struct batch *batch, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, statement);
	query_bind_int(&q, batch->first);
	query_bind_int(&q, batch->last);
	return query_run(&q, err);
}

int search_catch_up(struct db *db, int wait_ms, bool *ret_more, struct nel_err *err)
{
	struct batch batch = {0};
	*ret_more = false;
	if (find_missing(db, &batch, err) != 0)
		return -1;
	if (batch.last == 0)
		return 0;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin_within(db, wait_ms, err) != 0 || find_missing(db, &batch, err) != 0)
		return -1;
	if (batch.last == 0)
		return 0; /* another connection was faster */
	if (insert(db, &insert_evaluations, &batch, err) != 0 || insert(db, &insert_jobs, &batch, err) != 0 ||
	    db_commit(db, err) != 0)
		return -1;
	*ret_more = batch.more;
	return 0;
}

static size_t characters(const char *word, size_t size)
{
	size_t count = 0;
	for (size_t i = 0; i < size; i++)
		count += ((unsigned char)word[i] & 0xc0) != 0x80;
	return count;
}

/* A phrase in FTS5's quotes, in which nothing but the quote has a meaning. */
static void append_phrase(struct str *match, const char *word, size_t size)
{
	str_append(match, match->len == 0 ? "\"" : " \"");
	for (size_t i = 0; i < size; i++) {
		if (word[i] == '"')
			str_append_c(match, '"');
		str_append_c(match, word[i]);
	}
	str_append_c(match, '"');
}

int search_parse(const char *text, char **ret_match, struct nel_err *err)
{
	CLEANUP(str_done) struct str match = {0};
	if (strlen(text) > SEARCH_SIZE_MAX)
		return err_set(err, NEL_INVALID, "the words to search for are longer than %d bytes", SEARCH_SIZE_MAX);
	for (const char *word = text + strspn(text, BLANKS); *word != '\0';) {
		size_t size = strcspn(word, BLANKS);
		if (characters(word, size) < SEARCH_WORD_MIN)
			return err_set(err, NEL_INVALID,
				       "each word to search for must have %d characters at least; \"%.*s\" has fewer",
				       SEARCH_WORD_MIN, (int)size, word);
		append_phrase(&match, word, size);
		word += size;
		word += strspn(word, BLANKS);
	}
	if (match.len == 0)
		return err_set(err, NEL_INVALID, "there is no word to search for");
	*ret_match = str_take(&match);
	return 0;
}

static struct statement list_evaluations = {
    .sql = "SELECT rowid FROM evaluation_search WHERE evaluation_search MATCH ?1 AND rowid <= ?2 ORDER BY rowid DESC",
};

void search_add_evaluations(struct postings *postings, struct db *db, const char *match)
{
	postings_add_text(postings, db, &list_evaluations, match);
}

static struct statement list_jobs = {
    .sql = "SELECT rowid FROM job_search WHERE job_search MATCH ?1 AND rowid <= ?2 ORDER BY rowid DESC",
};

void search_add_jobs(struct postings *postings, struct db *db, const char *match)
{
	postings_add_text(postings, db, &list_jobs, match);
}

struct statement *const search_statements[] = {&missing,          &insert_evaluations, &insert_jobs,
					       &list_evaluations, &list_jobs,          NULL};
