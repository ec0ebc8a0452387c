/* Owns the tables looks and orphans. */
#include "db/orphans.h"

#include "base/mem.h"
#include "db/columns.h"

#include <string.h>

static const char *const outcome_names[ORPHAN_OUTCOMES] = {"adopted", "gone", "no_origin", "other_service", "unusable"};

const char *orphan_outcome_name(enum orphan_outcome outcome)
{
	return outcome_names[outcome];
}

/* clang-format off */
#define ORPHAN(C) \
	C(TEXT, cluster, cluster) \
	C(NAME, evaluation, evaluation) \
	C(TEXT, identity, identity) \
	C(TEXT, rundir, rundir) \
	C(TEXT, slurm_job_ids, slurm_job_ids) \
	C(INT, live, live) \
	C(TEXT, user, user) \
	C(INT, since, since) \
	C(INT, found_at, found_at) \
	C(TEXT, why, why)
/* clang-format on */

void orphan_row_done(struct orphan_row *row)
{
	ORPHAN(COLUMN_FREE)
	*row = (struct orphan_row){0};
}

void orphan_list_done(struct orphan_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		orphan_row_done(&list->items[i]);
	free(list->items);
	*list = (struct orphan_list){0};
}

static struct statement put = {
    .sql = "INSERT OR REPLACE INTO orphans (" ORPHAN(COLUMN_NAME) "outcome) VALUES (" ORPHAN(COLUMN_MARK) "?)",
};

int orphans_put(struct db *db, const struct orphan_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query insert = query_start(db, &put);
	struct query *q = &insert;
	ORPHAN(COLUMN_BIND)
	query_bind_text(q, orphan_outcome_name(row->outcome));
	return query_run(q, err);
}

static struct statement clear = {
    .sql = "DELETE FROM orphans WHERE cluster = ? AND identity = ? AND (outcome <> 'adopted' OR found_at < ?)",
};

int orphans_clear(struct db *db, const char *cluster, const char *identity, int64_t adopted_before_s,
		  struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &clear);
	query_bind_text(&q, cluster);
	query_bind_text(&q, identity);
	query_bind_int(&q, adopted_before_s);
	return query_run(&q, err);
}

static int read_row(struct query *q, struct orphan_row *row, struct nel_err *err)
{
	char name[32];
	ORPHAN(COLUMN_READ)
	query_text_into(q, name, sizeof name);
	for (size_t i = 0; i < ORPHAN_OUTCOMES; i++) {
		if (strcmp(name, outcome_names[i]) != 0)
			continue;
		row->outcome = (enum orphan_outcome)i;
		return 0;
	}
	return err_set(err, NEL_DB, "orphan %s has the unknown outcome %s", row->evaluation, name);
}

static struct statement list_orphans = {
    .sql = "SELECT " ORPHAN(COLUMN_NAME) "outcome FROM orphans WHERE cluster = ?1 AND (?2 IS NULL OR user = ?2)"
					 " ORDER BY evaluation LIMIT ?4 OFFSET ?3",
};

int orphans_list(struct db *db, const char *cluster, const char *user, int64_t offset, int limit,
		 struct orphan_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_orphans);
	CLEANUP(orphan_list_done) struct orphan_list list = {0};
	query_bind_text(&q, cluster);
	query_bind_text(&q, user);
	query_bind_int(&q, offset);
	query_bind_int(&q, limit < DB_LIST_MAX ? limit : DB_LIST_MAX);
	for (;;) {
		bool found = false;
		if (query_step(&q, &found, err) != 0)
			return -1;
		if (!found)
			break;
		list.items = mem_realloc(list.items, list.count + 1, sizeof *list.items);
		struct orphan_row *row = &list.items[list.count++];
		*row = (struct orphan_row){0};
		if (read_row(&q, row, err) != 0)
			return -1;
	}
	*ret_list = list;
	list = (struct orphan_list){0};
	return 0;
}

static struct statement count_outcomes = {
    .sql = "SELECT outcome, count(*) FROM orphans INDEXED BY orphans_outcome WHERE cluster = ? GROUP BY outcome",
};

int orphans_counts(struct db *db, const char *cluster, int64_t ret_counts[ORPHAN_OUTCOMES], struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count_outcomes);
	memset(ret_counts, 0, ORPHAN_OUTCOMES * sizeof ret_counts[0]);
	query_bind_text(&q, cluster);
	for (;;) {
		bool found = false;
		char name[32];
		if (query_step(&q, &found, err) != 0)
			return -1;
		if (!found)
			return 0;
		query_text_into(&q, name, sizeof name);
		int64_t count = query_int(&q);
		for (size_t i = 0; i < ORPHAN_OUTCOMES; i++)
			if (strcmp(name, outcome_names[i]) == 0)
				ret_counts[i] = count;
	}
}

static struct statement newest_write = {
    /* 1, not 0, of an empty store: 0 is "not known yet" to who looks (cluster_watch.h). */
    .sql = "SELECT max(1, coalesce((SELECT at FROM events WHERE seq = (SELECT max(seq) FROM events)), 0),"
	   " coalesce((SELECT last_at FROM audit WHERE seq = (SELECT max(seq) FROM audit)), 0),"
	   " coalesce((SELECT updated_at FROM evaluations WHERE seq = (SELECT max(seq) FROM evaluations)), 0),"
	   " coalesce((SELECT max(observed_at) FROM jobs INDEXED BY jobs_live WHERE ended_at IS NULL OR collected = "
	   "0), 0)),"
	   " coalesce((SELECT max(seq) FROM jobs), 0)",
};

int looks_newest_write(struct db *db, int64_t *ret_at, int64_t *ret_job_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &newest_write);
	bool found = false;
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_at = found ? query_int(&q) : 0;
	*ret_job_seq = found ? query_int(&q) : 0;
	return 0;
}

static struct statement begin_look = {
    .sql = "INSERT INTO looks (cluster, identity, since) VALUES (?1, ?2, ?3)"
	   " ON CONFLICT (cluster, identity) DO UPDATE SET since = coalesce(since, ?3) RETURNING since",
};

int looks_begin(struct db *db, const char *cluster, const char *identity, int64_t since_s, int64_t *ret_since,
		struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &begin_look);
	bool found = false;
	query_bind_text(&q, cluster);
	query_bind_text(&q, identity);
	query_bind_int(&q, since_s);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_since = found ? query_int(&q) : since_s;
	return 0;
}

static struct statement finish_look = {
    .sql = "UPDATE looks SET since = NULL, looked_at = ?3 WHERE cluster = ?1 AND identity = ?2",
};

int looks_finish(struct db *db, const char *cluster, const char *identity, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &finish_look);
	query_bind_text(&q, cluster);
	query_bind_text(&q, identity);
	query_bind_int(&q, now_s);
	return query_run(&q, err);
}

static struct statement last_look = {
    .sql = "SELECT CASE WHEN count(*) FILTER (WHERE since IS NOT NULL) > 0 THEN 0 ELSE min(looked_at) END"
	   " FROM looks WHERE cluster = ?",
};

int looks_last(struct db *db, const char *cluster, int64_t *ret_at, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &last_look);
	bool found = false;
	query_bind_text(&q, cluster);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_at = found ? query_int(&q) : 0;
	return 0;
}

struct statement *const orphans_statements[] = {
    &put, &clear, &list_orphans, &count_outcomes, &newest_write, &begin_look, &finish_look, &last_look, NULL};
