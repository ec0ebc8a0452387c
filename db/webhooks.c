/* Owns the tables webhooks and webhook_deliveries. */
#include "db/webhooks.h"

#include "base/mem.h"
#include "db/scope.h"
#include "db/statement.h"

#include <string.h>

void webhook_row_done(struct webhook_row *row)
{
	free(row->user);
	free(row->url);
	free(row->kinds);
	free(row->sealed_secret);
	free(row->disabled_reason);
	*row = (struct webhook_row){0};
}

void webhook_list_done(struct webhook_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		webhook_row_done(&list->items[i]);
	free(list->items);
	*list = (struct webhook_list){0};
}

static struct statement insert_webhook = {
    .sql = "INSERT INTO webhooks (id, user, url, kinds, scope, sealed_secret, position, created_at)"
	   " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
};

int webhooks_insert(struct db *db, const struct webhook_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_webhook);
	query_bind_text(&q, row->id);
	query_bind_text(&q, row->user);
	query_bind_text(&q, row->url);
	query_bind_text(&q, row->kinds);
	query_bind_text(&q, row->all ? "all" : "own");
	query_bind_blob(&q, row->sealed_secret, row->sealed_secret_size);
	query_bind_int(&q, row->position);
	query_bind_int(&q, row->created_at);
	return query_run(&q, err);
}

#define WEBHOOK_COLUMNS \
	"id, user, url, kinds, scope = 'all', sealed_secret, position, created_at, failing_since, disabled_at," \
	" disabled_reason"

static void read_webhook(struct query *q, struct webhook_row *row)
{
	query_text_into(q, row->id, sizeof row->id);
	row->user = query_text(q);
	row->url = query_text(q);
	row->kinds = query_text(q);
	row->all = query_int(q) != 0;
	row->sealed_secret = query_blob(q, &row->sealed_secret_size);
	row->position = query_int(q);
	row->created_at = query_int(q);
	row->failing_since = query_int(q);
	row->disabled_at = query_int(q);
	row->disabled_reason = query_text(q);
}

static struct statement webhook_by_id = {.sql = "SELECT " WEBHOOK_COLUMNS " FROM webhooks WHERE id = ?"};

static int no_webhook(const char *id, struct nel_err *err)
{
	return err_set(err, NEL_NOTFOUND, "no webhook \"%.64s\"", id);
}

int webhooks_get(struct db *db, const char *id, struct webhook_row *ret_row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &webhook_by_id);
	bool found = false;
	query_bind_text(&q, id);
	if (query_step(&q, &found, err) != 0)
		return -1;
	if (!found)
		return no_webhook(id, err);
	read_webhook(&q, ret_row);
	return 0;
}

static int read_webhooks(struct query *q, struct webhook_list *ret_list, struct nel_err *err)
{
	CLEANUP(webhook_list_done) struct webhook_list list = {0};
	while (list.count < WEBHOOKS_LIST_MAX && query_next(q, err))
		read_webhook(q, ROW_ADD(list.items, list.count));
	if (query_failed(q))
		return -1;
	*ret_list = list;
	list = (struct webhook_list){0};
	return 0;
}

static struct statement webhooks_of_user = {
    .sql = "SELECT " WEBHOOK_COLUMNS " FROM webhooks WHERE user = ? ORDER BY id",
};
static struct statement webhooks_of_all = {.sql = "SELECT " WEBHOOK_COLUMNS " FROM webhooks WHERE id > '' ORDER BY id"};

int webhooks_list(struct db *db, const char *user, struct webhook_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, user != NULL ? &webhooks_of_user : &webhooks_of_all);
	if (user != NULL)
		query_bind_text(&q, user);
	return read_webhooks(&q, ret_list, err);
}

static struct statement webhooks_active = {
    .sql = "SELECT " WEBHOOK_COLUMNS " FROM webhooks INDEXED BY webhooks_active WHERE disabled_at IS NULL AND id > ?1"
	   " ORDER BY id",
};

int webhooks_list_active(struct db *db, const char *after_id, struct webhook_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &webhooks_active);
	query_bind_text(&q, after_id);
	return read_webhooks(&q, ret_list, err);
}

static struct statement count_webhooks = {.sql = "SELECT count(*) FROM webhooks WHERE user = ?"};

int webhooks_count(struct db *db, const char *user, int64_t *ret_count, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count_webhooks);
	bool found = false;
	query_bind_text(&q, user);
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_count = query_int(&q);
	return 0;
}

static struct statement delete_webhook = {.sql = "DELETE FROM webhooks WHERE id = ?"};

int webhooks_delete(struct db *db, const char *id, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &delete_webhook);
	query_bind_text(&q, id);
	if (query_run(&q, err) != 0)
		return -1;
	return query_changes(&q) == 1 ? 0 : no_webhook(id, err);
}

static struct statement set_position = {.sql = "UPDATE webhooks SET position = ? WHERE id = ?"};

int webhooks_set_position(struct db *db, const char *id, int64_t position, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_position);
	query_bind_int(&q, position);
	query_bind_text(&q, id);
	return query_run(&q, err);
}

static struct statement set_failing = {
    .sql = "UPDATE webhooks SET failing_since = CASE WHEN ?1 = 0 THEN NULL ELSE coalesce(failing_since, ?1) END"
	   " WHERE id = ?2",
};

int webhooks_set_failing(struct db *db, const char *id, int64_t at_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &set_failing);
	query_bind_int(&q, at_s);
	query_bind_text(&q, id);
	return query_run(&q, err);
}

static struct statement disable_webhook = {
    .sql = "UPDATE webhooks SET disabled_at = ?, disabled_reason = ? WHERE id = ? AND disabled_at IS NULL",
};

int webhooks_disable(struct db *db, const char *id, int64_t now_s, const char *reason, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &disable_webhook);
	query_bind_int(&q, now_s);
	query_bind_text(&q, reason);
	query_bind_text(&q, id);
	return query_run(&q, err);
}

/* --- deliveries --- */

static const char *const state_names[] = {
    [DELIVERY_PENDING] = "pending",
    [DELIVERY_DELIVERED] = "delivered",
    [DELIVERY_FAILED] = "failed",
};

const char *delivery_state_name(enum delivery_state state)
{
	return state_names[state];
}

void delivery_row_done(struct delivery_row *row)
{
	free(row->kind);
	free(row->error);
	*row = (struct delivery_row){0};
}

void delivery_list_done(struct delivery_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		delivery_row_done(&list->items[i]);
	free(list->items);
	*list = (struct delivery_list){0};
}

static struct statement forget_deliveries = {
    .sql = "DELETE FROM webhook_deliveries WHERE webhook = ?1 AND state <> 'pending' AND seq <= (SELECT seq"
	   " FROM webhook_deliveries INDEXED BY webhook_deliveries_webhook WHERE webhook = ?1 ORDER BY seq DESC"
	   " LIMIT 1 OFFSET ?2)",
};

static int forget_old(struct db *db, const char *webhook, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &forget_deliveries);
	query_bind_text(&q, webhook);
	query_bind_int(&q, WEBHOOK_DELIVERIES_KEPT - 1);
	return query_run(&q, err);
}

static struct statement insert_delivery = {
    .sql = "INSERT INTO webhook_deliveries (webhook, event, kind, state, happened_at, next_at)"
	   " VALUES (?, ?, ?, 'pending', ?, ?)",
};

static int insert_row(struct db *db, struct delivery_row *row, int64_t now_s, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &insert_delivery);
	query_bind_text(&q, row->webhook);
	query_bind_int_or_null(&q, row->event, 0);
	query_bind_text(&q, row->kind);
	query_bind_int(&q, row->happened_at);
	query_bind_int(&q, now_s);
	if (query_run(&q, err) != 0)
		return -1;
	row->seq = sqlite3_last_insert_rowid(db->sqlite);
	row->next_at = now_s;
	return 0;
}

int deliveries_insert(struct db *db, struct delivery_row *row, int64_t now_s, struct nel_err *err)
{
	CLEANUP(scope_end) struct scope scope = {NULL};
	if (scope_begin_write(&scope, db, err) != 0 || forget_old(db, row->webhook, err) != 0 ||
	    insert_row(db, row, now_s, err) != 0)
		return -1;
	row->took_ms = -1;
	return scope_commit(&scope, err);
}

static struct statement update_delivery = {
    .sql = "UPDATE webhook_deliveries SET state = ?, tries = ?, next_at = ?, last_at = ?, status = ?, error = ?,"
	   " took_ms = ? WHERE seq = ?",
};

int deliveries_update(struct db *db, const struct delivery_row *row, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &update_delivery);
	query_bind_text(&q, delivery_state_name(row->state));
	query_bind_int(&q, row->tries);
	query_bind_int_or_null(&q, row->next_at, 0);
	query_bind_int_or_null(&q, row->last_at, 0);
	query_bind_int_or_null(&q, row->status, 0);
	query_bind_text(&q, row->error);
	query_bind_int_or_null(&q, row->took_ms, -1);
	query_bind_int(&q, row->seq);
	return query_run(&q, err);
}

#define DELIVERY_COLUMNS \
	"seq, webhook, event, kind, state, happened_at, tries, next_at, last_at, status, error, took_ms"

static int read_delivery(struct query *q, struct delivery_row *row, struct nel_err *err)
{
	char state[16];
	row->seq = query_int(q);
	query_text_into(q, row->webhook, sizeof row->webhook);
	row->event = query_int(q);
	row->kind = query_text(q);
	query_text_into(q, state, sizeof state);
	row->happened_at = query_int(q);
	row->tries = (int)query_int(q);
	row->next_at = query_int(q);
	row->last_at = query_int(q);
	row->status = (int)query_int(q);
	row->error = query_text(q);
	row->took_ms = query_int_or(q, -1);
	for (int i = 0; i <= DELIVERY_FAILED; i++) {
		if (strcmp(state, state_names[i]) == 0) {
			row->state = (enum delivery_state)i;
			return 0;
		}
	}
	return err_set(err, NEL_DB, "a delivery has the unknown state %s", state);
}

static int read_deliveries(struct query *q, struct delivery_list *ret_list, struct nel_err *err)
{
	CLEANUP(delivery_list_done) struct delivery_list list = {0};
	while (query_next(q, err))
		if (read_delivery(q, ROW_ADD(list.items, list.count), err) != 0)
			return -1;
	if (query_failed(q))
		return -1;
	*ret_list = list;
	list = (struct delivery_list){0};
	return 0;
}

static struct statement pending_deliveries = {
    .sql = "SELECT " DELIVERY_COLUMNS " FROM webhook_deliveries INDEXED BY webhook_deliveries_pending"
	   " WHERE state = 'pending' AND webhook = ? ORDER BY seq LIMIT 100",
};

int deliveries_pending(struct db *db, const char *webhook, struct delivery_list *ret_list, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &pending_deliveries);
	query_bind_text(&q, webhook);
	return read_deliveries(&q, ret_list, err);
}

static struct statement count_pending = {
    .sql = "SELECT count(*) FROM webhook_deliveries INDEXED BY webhook_deliveries_pending WHERE state = 'pending'"
	   " AND webhook > ''",
};

int deliveries_pending_count(struct db *db, int64_t *ret_count, struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &count_pending);
	bool found = false;
	if (query_step(&q, &found, err) != 0)
		return -1;
	*ret_count = query_int(&q);
	return 0;
}

static struct statement list_deliveries = {
    .sql = "SELECT " DELIVERY_COLUMNS " FROM webhook_deliveries INDEXED BY webhook_deliveries_webhook"
	   " WHERE webhook = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
};

int deliveries_list(struct db *db, const char *webhook, int64_t before_seq, int limit, struct delivery_list *ret_list,
		    struct nel_err *err)
{
	CLEANUP(query_done) struct query q = query_start(db, &list_deliveries);
	query_bind_text(&q, webhook);
	query_bind_int(&q, before_seq == 0 ? INT64_MAX : before_seq);
	query_bind_int(&q, limit);
	return read_deliveries(&q, ret_list, err);
}

struct statement *const webhooks_statements[] = {&insert_webhook,
						 &webhook_by_id,
						 &webhooks_of_user,
						 &webhooks_of_all,
						 &webhooks_active,
						 &count_webhooks,
						 &delete_webhook,
						 &set_position,
						 &set_failing,
						 &disable_webhook,
						 &forget_deliveries,
						 &insert_delivery,
						 &update_delivery,
						 &pending_deliveries,
						 &count_pending,
						 &list_deliveries,
						 NULL};
