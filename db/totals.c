/* Owns the tables totals and job_counts. */
#include "db/totals.h"

#include "base/mem.h"
#include "db/statement.h"

void total_list_done(struct total_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].name);
		free(list->items[i].cluster);
		free(list->items[i].label);
	}
	free(list->items);
	*list = (struct total_list){0};
}

static struct statement add_total = {
    .sql = "INSERT INTO totals (name, cluster, label, value) VALUES (?1, ?2, ?3, ?4)"
	   " ON CONFLICT (name, cluster, label) DO UPDATE SET value = value + ?4",
};

int totals_add(struct db *db, const char *name, const char *cluster, const char *label, int64_t value,
	       struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &add_total);
	query_bind_text(&q, name);
	query_bind_text(&q, cluster);
	query_bind_text(&q, label);
	query_bind_int(&q, value);
	return query_run(&q, err);
}

static int read_list(struct query *q, struct total_list *ret_list, struct nel_err *err)
{
	CLEANUP(total_list_done) struct total_list list = {0};
	while (query_next(q, err)) {
		struct total_row *row = ROW_ADD(list.items, list.count);
		row->name = query_text(q);
		row->cluster = query_text(q);
		row->label = query_text(q);
		row->value = query_int(q);
	}
	if (query_failed(q))
		return -1;
	*ret_list = list;
	list = (struct total_list){0};
	return 0;
}

static struct statement list_totals = {
    .sql = "SELECT name, cluster, label, value FROM totals WHERE name > '' ORDER BY name, cluster, label",
};

int totals_list(struct db *db, struct total_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_totals);
	return read_list(&q, ret_list, err);
}

static struct statement list_jobs = {
    .sql = "SELECT 'jobs', cluster, state, count FROM job_counts WHERE cluster > '' ORDER BY cluster, state",
};

int totals_jobs(struct db *db, struct total_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_jobs);
	return read_list(&q, ret_list, err);
}

struct statement *const totals_statements[] = {&add_total, &list_totals, &list_jobs, NULL};
