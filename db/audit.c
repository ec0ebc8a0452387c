/* Owns the table audit. */
#include "db/audit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "db/columns.h"
#include "db/scope.h"

#include <stdio.h>
#include <string.h>

#define HOUR_S 3600

/* What a row is stored with. */
/* clang-format off */
#define AUDIT_NEW(C) \
	C(INT, at, at) \
	C(INT, last_at, last_at) \
	C(TEXT, actor, actor) \
	C(TEXT, role, role) \
	C(TEXT, source, source) \
	C(TEXT, request, request) \
	C(TEXT, action, action) \
	C(TEXT, target, target) \
	C(TEXT, cluster, cluster) \
	C(TEXT, outcome, outcome) \
	C(NULL_0, status, status) \
	C(TEXT, detail, detail) \
	C(TEXT, sign_in, sign_in)
/* clang-format on */

#define ROW_COLUMNS AUDIT_NEW(COLUMN_NAME) "seq, count"

const char *audit_outcome_name(enum audit_outcome outcome)
{
	switch (outcome) {
	case AUDIT_OK: return "ok";
	case AUDIT_REFUSED: return "refused";
	case AUDIT_FAILED: break;
	}
	return "failed";
}

/* A few of the outlived rows go with every new one. */
static struct statement delete_old = {
    .sql =
	"DELETE FROM audit WHERE seq IN (SELECT seq FROM audit INDEXED BY audit_at WHERE at < ? ORDER BY at LIMIT 16)",
};

static int prune(struct db *db, const struct audit_entry *entry, int64_t now_s, struct nel_err *err)
{
	if (entry->keep_s == 0)
		return 0;
	CLEANUP(query_done) struct query q = query_start(db, &delete_old);
	query_bind_int(&q, now_s - entry->keep_s);
	return query_run(&q, err);
}

static struct statement insert_row = {
    .sql = "INSERT INTO audit (" AUDIT_NEW(COLUMN_NAME) "count) VALUES (" AUDIT_NEW(COLUMN_MARK) "1)",
};

/* For a text that is only read. */
static char *borrow(const char *text)
{
	return (char *)(uintptr_t)text;
}

static int insert(struct db *db, const struct audit_entry *entry, int64_t now_s, struct nel_err *err)
{
	char target[AUDIT_TARGET_MAX + 1];
	char detail[AUDIT_DETAIL_MAX + 1];
	snprintf(target, sizeof target, "%s", entry->target != NULL ? entry->target : "");
	snprintf(detail, sizeof detail, "%s", entry->detail != NULL ? entry->detail : "");
	const struct audit_row given = {.at = now_s,
					.last_at = now_s,
					.actor = borrow(entry->actor),
					.role = borrow(entry->role),
					.source = borrow(entry->source),
					.sign_in = borrow(entry->sign_in),
					.request = borrow(entry->request),
					.action = borrow(entry->action),
					.target = entry->target != NULL ? target : NULL,
					.cluster = borrow(entry->cluster),
					.outcome = borrow(audit_outcome_name(entry->outcome)),
					.status = entry->status,
					.detail = detail[0] != '\0' ? detail : NULL};
	const struct audit_row *row = &given;
	CLEANUP(query_done) struct query query = query_start(db, &insert_row);
	struct query *q = &query;
	AUDIT_NEW(COLUMN_BIND)
	return query_run(q, err);
}

int audit_insert(struct db *db, const struct audit_entry *entry, int64_t now_s, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 || prune(db, entry, now_s, err) != 0 ||
	    insert(db, entry, now_s, err) != 0)
		return -1;
	return scope_commit(&scope, err);
}

static struct statement newest_alike = {
    .sql = "SELECT seq, at, actor, cluster, outcome FROM audit INDEXED BY audit_target"
	   " WHERE target = ?1 AND at > ?2 AND action = ?3 ORDER BY at DESC, seq DESC LIMIT 1",
};

/* The row that says the same already; 0: none. */
static int find_alike(struct db *db, const struct audit_entry *entry, int64_t now_s, int64_t *ret_seq,
		      struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &newest_alike);
	bool found = false;
	query_bind_text(&q, entry->target);
	query_bind_int(&q, now_s - HOUR_S);
	query_bind_text(&q, entry->action);
	*ret_seq = 0;
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return 0;
	int64_t seq = query_int(&q);
	int64_t at = query_int(&q);
	CLEANUP(mem_freep) char *actor = query_text(&q);
	CLEANUP(mem_freep) char *cluster = query_text(&q);
	CLEANUP(mem_freep) char *outcome = query_text(&q);
	bool same_cluster = cluster == NULL || entry->cluster == NULL ? cluster == entry->cluster
								      : strcmp(cluster, entry->cluster) == 0;
	if (at <= now_s && strcmp(actor, entry->actor) == 0 && same_cluster &&
	    strcmp(outcome, audit_outcome_name(entry->outcome)) == 0)
		*ret_seq = seq;
	return 0;
}

static struct statement count_again = {.sql = "UPDATE audit SET count = count + 1, last_at = ?1 WHERE seq = ?2"};

int audit_insert_hourly(struct db *db, const struct audit_entry *entry, bool counted, int64_t now_s,
			struct nel_err *err)
{
	int64_t seq = 0;
	if (find_alike(db, entry, now_s, &seq, err) != 0)
		return -1;
	if (seq == 0)
		return audit_insert(db, entry, now_s, err);
	if (!counted)
		return 0;
	CLEANUP(query_done) struct query q = query_start(db, &count_again);
	query_bind_int(&q, now_s);
	query_bind_int(&q, seq);
	return query_run(&q, err);
}

/* What the connection's next commit of a write says. */
struct audit_attached {
	const struct audit_entry *entry; /* NULL: nothing */
	char target[AUDIT_TARGET_MAX + 1];
	char detail[AUDIT_DETAIL_MAX + 1];
	bool stored;
};

static bool has_attached(const struct db *db)
{
	return db->audit != NULL && db->audit->entry != NULL;
}

void audit_attach(struct db *db, const struct audit_entry *entry)
{
	if (db->audit == NULL)
		db->audit = mem_calloc(1, sizeof *db->audit);
	*db->audit = (struct audit_attached){.entry = entry};
}

bool audit_detach(struct db *db)
{
	bool stored = has_attached(db) && db->audit->stored;
	if (db->audit != NULL)
		db->audit->entry = NULL;
	return stored;
}

void audit_say(struct db *db, const char *target, const char *detail)
{
	if (!has_attached(db))
		return;
	if (target != NULL)
		snprintf(db->audit->target, sizeof db->audit->target, "%s", target);
	if (detail != NULL)
		snprintf(db->audit->detail, sizeof db->audit->detail, "%s", detail);
}

int audit_store_attached(struct db *db, struct nel_err *err)
{
	if (!has_attached(db) || db->audit->stored)
		return 0;
	struct audit_entry entry = *db->audit->entry;
	entry.outcome = AUDIT_OK;
	if (db->audit->target[0] != '\0')
		entry.target = db->audit->target;
	if (db->audit->detail[0] != '\0')
		entry.detail = db->audit->detail;
	return audit_insert(db, &entry, clock_now_s(), err);
}

void audit_attached_is_stored(struct db *db)
{
	if (has_attached(db))
		db->audit->stored = true;
}

static void row_done(struct audit_row *row)
{
	AUDIT_NEW(COLUMN_FREE)
}

void audit_list_done(struct audit_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		row_done(&list->items[i]);
	free(list->items);
	*list = (struct audit_list){0};
}

static struct statement time_of = {.sql = "SELECT at FROM audit WHERE seq = ?"};

/* The cursor's row may have been pruned: then everything behind it has been, too. */
static int find_time(struct db *db, int64_t seq, int64_t *ret_at, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &time_of);
	bool found = false;
	query_bind_int(&q, seq);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_at = found ? query_int(&q) : 0;
	return 0;
}

#define LIST_FROM "SELECT " ROW_COLUMNS " FROM audit INDEXED BY "
#define LIST_WHERE \
	" at >= ?1 AND at <= ?2 AND (at < ?2 OR seq < ?3) AND (?4 IS NULL OR actor = ?4) AND (?5 IS NULL OR action = " \
	"?5)" \
	" AND (?6 IS NULL OR target = ?6) ORDER BY at DESC, seq DESC LIMIT ?7"

static struct statement list_all = {.sql = LIST_FROM "audit_at WHERE" LIST_WHERE};
static struct statement list_actor = {.sql = LIST_FROM "audit_actor WHERE actor = ?4 AND" LIST_WHERE};
static struct statement list_action = {.sql = LIST_FROM "audit_action WHERE action = ?5 AND" LIST_WHERE};
static struct statement list_target = {.sql = LIST_FROM "audit_target WHERE target = ?6 AND" LIST_WHERE};

static const struct statement *choose(const struct audit_filter *filter)
{
	if (filter->target != NULL)
		return &list_target;
	if (filter->actor != NULL)
		return &list_actor;
	return filter->action != NULL ? &list_action : &list_all;
}

static void read_row(struct query *q, struct audit_row *row)
{
	AUDIT_NEW(COLUMN_READ)
	row->seq = query_int(q);
	row->count = query_int(q);
}

/* Rows are in the order of (at, seq): up to until_s, or from behind the cursor's row on. */
static int list_between(struct db *db, const struct audit_filter *filter, int64_t at_most, int64_t seq_below,
			struct audit_list *list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, choose(filter));
	query_bind_int(&q, filter->since_s);
	query_bind_int(&q, at_most);
	query_bind_int(&q, seq_below);
	query_bind_text(&q, filter->actor);
	query_bind_text(&q, filter->action);
	query_bind_text(&q, filter->target);
	query_bind_int(&q, filter->limit < DB_LIST_MAX ? filter->limit : DB_LIST_MAX);
	while (query_next(&q, err))
		read_row(&q, ROW_ADD(list->items, list->count));
	return query_failed(&q) ? -1 : 0;
}

int audit_list(struct db *db, const struct audit_filter *filter, struct audit_list *ret_list, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	CLEANUP(audit_list_done) struct audit_list list = {0};
	int64_t at_most = filter->until_s != 0 ? filter->until_s - 1 : INT64_MAX;
	int64_t seq_below = INT64_MAX;
	if (scope_begin_read(&scope, db, err) != 0)
		return -1;
	if (filter->after_seq != 0) {
		int64_t cursor_at = 0;
		if (find_time(db, filter->after_seq, &cursor_at, err) != 0)
			return -1;
		if (cursor_at <= at_most) {
			at_most = cursor_at;
			seq_below = filter->after_seq;
		}
	}
	if (list_between(db, filter, at_most, seq_below, &list, err) != 0)
		return -1;
	*ret_list = list;
	list = (struct audit_list){0};
	return 0;
}

struct statement *const audit_statements[] = {&delete_old, &insert_row, &newest_alike, &count_again, &time_of,
					      &list_all,   &list_actor, &list_action,  &list_target, NULL};
