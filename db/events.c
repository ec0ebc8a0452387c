/* Owns the table events. */
#include "db/events.h"

#include "base/mem.h"
#include "db/scope.h"
#include "db/statement.h"

#include <inttypes.h>
#include <string.h>

const char *const event_kinds[] = {"evaluation.submitted", "evaluation.state",     "evaluation.ended",
				   "evaluation.placed",    "evaluation.adopted",   "job.state",
				   "job.cancel_requested", "job.resume_requested", "job.export",
				   "job.warning",          "attempt.submitted",    "attempt.started",
				   "attempt.ended",        "results.recorded",     "cluster.reachable",
				   "cluster.unreachable",  "identity.expiring",    "campaign.value_found",
				   "campaign.regression",  "campaign.ended",       NULL};

void event_row_done(struct event_row *row)
{
	free(row->kind);
	free(row->user);
	free(row->evaluation);
	free(row->job);
	free(row->data);
	*row = (struct event_row){0};
}

void event_list_done(struct event_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		event_row_done(&list->items[i]);
	free(list->items);
	*list = (struct event_list){0};
}

static struct notifier committed = NOTIFIER_INITIALIZER;

struct notifier *events_notifier(void)
{
	return &committed;
}

static struct statement insert_event = {
    .sql = "INSERT INTO events (at, kind, user, evaluation, job, data) VALUES (?, ?, ?, ?, ?, ?)",
};

int events_insert(struct db *db, int64_t now_s, const char *kind, const char *user, const char *evaluation,
		  const char *job, const char *data, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_event);
	query_bind_int(&q, now_s);
	query_bind_text(&q, kind);
	query_bind_text(&q, user);
	query_bind_text(&q, evaluation);
	query_bind_text(&q, job);
	query_bind_text(&q, data);
	if (query_run(&q, err) != 0)
		return -1;
	if (db->in_transaction)
		db->has_events = true;
	else
		notifier_notify(&committed);
	return 0;
}

#define COLUMNS "seq, at, kind, user, evaluation, job, data"
#define MATCHES \
	" AND (?4 IS NULL OR job = ?4) AND (?5 IS NULL OR user = ?5 OR (?9 AND user IS NULL))" \
	" AND (?6 IS NULL OR json_extract(data, '$.cluster') = ?6)" \
	" AND (?7 IS NULL OR json_extract(data, '$.to') = ?7)" \
	" AND (?8 IS NULL OR instr(?8, ',' || kind || ',') > 0)" \
	" ORDER BY seq LIMIT ?10"

static struct statement read_range = {
    .sql = "SELECT " COLUMNS " FROM events WHERE seq > ?1 AND seq <= ?2 AND (?3 IS NULL OR evaluation = ?3)" MATCHES,
};
static struct statement read_evaluation = {
    .sql = "SELECT " COLUMNS " FROM events INDEXED BY events_evaluation"
	   " WHERE evaluation = ?3 AND seq > ?1 AND seq <= ?2" MATCHES,
};

static void read_row(struct query *q, struct event_row *row)
{
	row->seq = query_int(q);
	row->at = query_int(q);
	row->kind = query_text(q);
	row->user = query_text(q);
	row->evaluation = query_text(q);
	row->job = query_text(q);
	row->data = query_text(q);
}

/* Ends early, with *ret_full, when the events have a page's bytes. */
static int read_list(struct query *q, struct event_list *list, bool *ret_full, struct nel_err *err)
{
	size_t bytes = 0;
	*ret_full = false;
	while (!*ret_full && query_next(q, err)) {
		struct event_row *row = ROW_ADD(list->items, list->count);
		read_row(q, row);
		bytes += strlen(row->data);
		*ret_full = bytes >= EVENTS_PAGE_BYTES;
	}
	return query_failed(q) ? -1 : 0;
}

int events_read(struct db *db, const struct event_filter *filter, int64_t after, int limit, struct event_list *ret_list,
		int64_t *ret_settled, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(event_list_done) struct event_list list = {0};
	int64_t first = 0;
	int64_t last = 0;
	if (scope_begin_read(&scope, db, err) != 0 || events_bounds(db, &first, &last, err) != 0)
		return -1;
	int64_t from = after < first - 1 ? first - 1 : after;
	bool bounded = filter->evaluation == NULL && last - from > EVENTS_SCAN_MAX;
	int64_t to = bounded ? from + EVENTS_SCAN_MAX : last;
	CLEANUP(query_done)
	struct query q = query_start(db, filter->evaluation != NULL ? &read_evaluation : &read_range);
	query_bind_int(&q, from);
	query_bind_int(&q, to);
	query_bind_text(&q, filter->evaluation);
	query_bind_text(&q, filter->job);
	query_bind_text(&q, filter->user);
	query_bind_text(&q, filter->cluster);
	query_bind_text(&q, filter->state);
	query_bind_text(&q, filter->kinds);
	query_bind_int(&q, filter->own);
	query_bind_int(&q, limit);
	bool full = false;
	if (read_list(&q, &list, &full, err) != 0)
		return -1;
	full = full || (list.count > 0 && list.count >= (size_t)limit);
	*ret_settled = full ? list.items[list.count - 1].seq : to > after ? to : after;
	*ret_list = list;
	list = (struct event_list){0};
	return 0;
}

static struct statement bounds = {
    .sql = "SELECT (SELECT min(seq) FROM events),"
	   " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)",
};

int events_bounds(struct db *db, int64_t *ret_first, int64_t *ret_last, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &bounds);
	bool found = false;
	if (query_step(&q, &found, err) != 0)
		return -1;
	int64_t first = query_int(&q);
	*ret_last = query_int(&q);
	*ret_first = first != 0 ? first : *ret_last + 1;
	return 0;
}

static struct statement by_seq = {.sql = "SELECT " COLUMNS " FROM events WHERE seq = ?"};

int events_get(struct db *db, int64_t seq, struct event_row *ret_row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &by_seq);
	bool found = false;
	query_bind_int(&q, seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, NEL_NOTFOUND, "event %" PRId64 " is not kept any more", seq);
	read_row(&q, ret_row);
	return 0;
}

static struct statement last_of_cluster = {
    .sql = "SELECT kind = 'cluster.reachable' FROM events INDEXED BY events_cluster WHERE evaluation IS NULL"
	   " AND kind IN ('cluster.reachable', 'cluster.unreachable') AND json_extract(data, '$.cluster') = ?"
	   " ORDER BY seq DESC LIMIT 1",
};

int events_cluster_reachable(struct db *db, const char *cluster, bool *ret_reachable, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &last_of_cluster);
	bool found = false;
	query_bind_text(&q, cluster);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_reachable = !found || query_int(&q) != 0;
	return 0;
}

static struct statement is_told = {
    .sql = "SELECT 1 FROM events INDEXED BY events_cluster WHERE evaluation IS NULL AND kind = 'identity.expiring'"
	   " AND json_extract(data, '$.cluster') = ?1 AND json_extract(data, '$.certificate') = ?2 LIMIT 1",
};

int events_expiry_told(struct db *db, const char *cluster, const char *certificate, bool *ret_told, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &is_told);
	query_bind_text(&q, cluster);
	query_bind_text(&q, certificate);
	return query_step(&q, ret_told, err);
}

static struct statement oldest = {.sql = "SELECT seq, at FROM events WHERE seq >= 0 ORDER BY seq LIMIT ?"};

/* The number of the last of the first `limit` events that are all from before that time; 0: none. Up to the first one
 * that is young enough, whatever the clock said of those behind it: no hole may come to be. */
static int find_old(struct db *db, int64_t before_s, int limit, int64_t *ret_seq, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &oldest);
	query_bind_int(&q, limit);
	*ret_seq = 0;
	while (query_next(&q, err)) {
		int64_t seq = query_int(&q);
		if (query_int(&q) >= before_s)
			return 0;
		*ret_seq = seq;
	}
	return query_failed(&q) ? -1 : 0;
}

static struct statement prune = {.sql = "DELETE FROM events WHERE seq <= ?"};

int events_prune(struct db *db, int64_t before_s, int limit, int *ret_count, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	int64_t seq = 0;
	*ret_count = 0;
	if (scope_begin_write(&scope, db, err) != 0 || find_old(db, before_s, limit, &seq, err) != 0)
		return -1;
	if (seq == 0)
		return 0;
	CLEANUP(query_done) struct query q = query_start(db, &prune);
	query_bind_int(&q, seq);
	if (query_run(&q, err) != 0)
		return -1;
	*ret_count = query_changes(&q);
	return scope_commit(&scope, err);
}

struct statement *const events_statements[] = {&insert_event,    &read_range, &read_evaluation, &bounds, &by_seq,
					       &last_of_cluster, &is_told,    &oldest,          &prune,  NULL};
