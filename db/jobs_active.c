/* Owns the questions to the table jobs about who has active chains on a cluster, and which job is the newest. */
#include "db/jobs.h"
#include "db/statement.h"

static struct statement count_active = {
    .sql = "SELECT count(*) FROM jobs INDEXED BY jobs_live WHERE (ended_at IS NULL OR collected = 0) AND cluster = ?1"
	   " AND (?2 IS NULL OR user = ?2)",
};

int jobs_count_active(struct db *db, const char *cluster, const char *user, int64_t *ret_count, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count_active);
	bool found = false;
	query_bind_text(&q, cluster);
	query_bind_text(&q, user);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_count = found ? query_int(&q) : 0;
	return 0;
}

static struct statement newest = {.sql = "SELECT coalesce((SELECT max(seq) FROM jobs), 0)"};

int jobs_newest(struct db *db, int64_t *ret_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &newest);
	bool found = false;
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_seq = found ? query_int(&q) : 0;
	return 0;
}

struct statement *const jobs_active_statements[] = {&count_active, &newest, NULL};
