/* Owns the questions to the table day_counts, which triggers keep up. */
#include "db/summary.h"

#include "base/mem.h"
#include "db/statement.h"

void summary_list_done(struct summary_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].cluster);
		free(list->items[i].user);
		free(list->items[i].state);
	}
	free(list->items);
	*list = (struct summary_list){0};
}

void failure_count_list_done(struct failure_count_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].cause);
	free(list->items);
	*list = (struct failure_count_list){0};
}

static struct statement count = {
    .sql = "SELECT CASE WHEN ?1 THEN day END, CASE WHEN ?2 THEN cluster END, CASE WHEN ?3 THEN user END,"
	   " CASE WHEN ?4 THEN state END, sum(evaluations), sum(jobs) FROM day_counts"
	   " WHERE time = ?5 AND day BETWEEN ?6 AND ?7 AND (?8 IS NULL OR cluster = ?8) AND (?9 IS NULL OR user = ?9)"
	   " AND (evaluations > 0 OR jobs > 0) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 LIMIT ?10",
};

int summary_count(struct db *db, const struct summary_filter *filter, struct summary_list *ret_list,
		  struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count);
	CLEANUP(summary_list_done) struct summary_list list = {0};
	query_bind_int(&q, filter->by_day);
	query_bind_int(&q, filter->by_cluster);
	query_bind_int(&q, filter->by_user);
	query_bind_int(&q, filter->by_state);
	query_bind_text(&q, filter->ended ? "ended" : "created");
	query_bind_int(&q, filter->first_day);
	query_bind_int(&q, filter->last_day);
	query_bind_text(&q, filter->cluster);
	query_bind_text(&q, filter->user);
	query_bind_int(&q, SUMMARY_ROWS_MAX + 1);
	while (query_next(&q, err)) {
		struct summary_row *row = ROW_ADD(list.items, list.count);
		row->day = query_int_or(&q, -1);
		row->cluster = query_text(&q);
		row->user = query_text(&q);
		row->state = query_text(&q);
		row->evaluations = query_int(&q);
		row->jobs = query_int(&q);
	}
	if (query_failed(&q))
		return -1;
	*ret_list = list;
	list = (struct summary_list){0};
	return 0;
}

static struct statement failures = {
    .sql = "SELECT CASE WHEN f.state = 'budget_exhausted' THEN f.state ELSE coalesce(lower(a.slurm_state), "
	   "'not_submitted')"
	   " END, sum(f.wanted), count(*) FROM (SELECT chain, state,"
	   " (?3 IS NULL OR cluster = ?3) AND (?4 IS NULL OR user = ?4) AS wanted FROM jobs INDEXED BY jobs_failed"
	   " WHERE state IN ('failed', 'budget_exhausted') AND ended_at >= ?1 AND ended_at < ?2"
	   " ORDER BY ended_at DESC, seq DESC LIMIT ?5) f"
	   " LEFT JOIN chains c ON c.seq = f.chain LEFT JOIN attempts a ON a.chain = c.seq AND a.number = c.attempt "
	   "GROUP BY 1 ORDER BY 2 DESC, 1",
};

int summary_failures(struct db *db, const struct summary_filter *filter, struct failure_count_list *ret_list,
		     struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &failures);
	CLEANUP(failure_count_list_done) struct failure_count_list list = {0};
	int64_t seen = 0;
	query_bind_int(&q, filter->first_day * SUMMARY_DAY_S);
	query_bind_int(&q, (filter->last_day + 1) * SUMMARY_DAY_S);
	query_bind_text(&q, filter->cluster);
	query_bind_text(&q, filter->user);
	query_bind_int(&q, SUMMARY_FAILURES_MAX);
	while (query_next(&q, err)) {
		CLEANUP(mem_freep) char *cause = query_text(&q);
		int64_t jobs = query_int(&q);
		seen += query_int(&q);
		if (jobs == 0)
			continue;
		struct failure_count *row = ROW_ADD(list.items, list.count);
		row->cause = TAKE(cause);
		row->jobs = jobs;
	}
	if (query_failed(&q))
		return -1;
	list.capped = seen >= SUMMARY_FAILURES_MAX;
	*ret_list = list;
	list = (struct failure_count_list){0};
	return 0;
}

struct statement *const summary_statements[] = {&count, &failures, NULL};
