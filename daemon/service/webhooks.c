#include "service/webhooks.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/events.h"
#include "service/webhook_sender.h"

#include <string.h>

#define TESTS_WAITING_MAX 10

void new_webhook_done(struct new_webhook *made)
{
	webhook_row_done(&made->row);
	secret_wipe(made->secret);
}

/* The row of a new webhook, but for what the store adds. */
static int fill_row(struct service *service, struct db *db, const struct actor *actor,
		    const struct webhook_request *wanted, struct new_webhook *made, struct nel_err *err)
{
	char label[40];
	int64_t first = 0;
	struct webhook_row *row = &made->row;
	ids_new_evaluation(row->id);
	row->user = mem_strdup(actor->name);
	row->url = mem_strdup(wanted->url);
	row->kinds = mem_strdup(wanted->kinds);
	row->all = wanted->all;
	row->created_at = clock_now_s();
	webhook_new_secret(made->secret);
	snprintf(label, sizeof label, "webhook:%s", row->id);
	if (events_bounds(db, &first, &row->position, err) != 0)
		return -1;
	return secret_seal(service->master_key, label, made->secret, strlen(made->secret), &row->sealed_secret,
			   &row->sealed_secret_size, err);
}

int service_make_webhook(struct service *service, struct db *db, const struct actor *actor,
			 const struct webhook_request *wanted, struct new_webhook *ret_webhook, struct nel_err *err)
{
	const struct settings_webhooks *rules = &service->settings->webhooks;
	CLEANUP(new_webhook_done) struct new_webhook made = {0};
	char known[IDEMPOTENCY_MADE_SIZE];
	int64_t now_s = clock_now_s();
	int64_t count = 0;
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (webhook_check_url(rules, wanted->url, err) != 0 || db_begin(db, err) != 0)
		return -1;
	int found =
	    service_find_idempotent(db, actor->name, &wanted->idempotency, now_s, known, &ret_webhook->clash, err);
	if (found != 0)
		return found < 0 ? -1 : webhooks_get(db, known, &ret_webhook->row, err);
	if (webhooks_count(db, actor->name, &count, err) != 0)
		return -1;
	if (count >= rules->per_user)
		return err_set(
		    err, NEL_CONFLICT,
		    "%s has %d webhooks, as many as webhooks.per_user of the settings permits: remove one first",
		    actor->name, (int)count);
	if (fill_row(service, db, actor, wanted, &made, err) != 0 || webhooks_insert(db, &made.row, err) != 0 ||
	    service_note_idempotent(db, actor->name, &wanted->idempotency, made.row.id, now_s, err) != 0 ||
	    db_commit(db, err) != 0)
		return -1;
	log_info("webhook made", LOG_S("webhook", made.row.id), LOG_S("user", actor->name));
	*ret_webhook = made;
	made = (struct new_webhook){0};
	webhook_sender_wake(service->webhooks);
	return 0;
}

int service_list_webhooks(struct db *db, const struct actor *actor, struct webhook_list *ret_list, struct nel_err *err)
{
	return webhooks_list(db, actor->role == ROLE_ADMIN ? NULL : actor->name, ret_list, err);
}

int service_get_webhook(struct db *db, const struct actor *actor, const char *id, struct webhook_row *ret_row,
			struct nel_err *err)
{
	CLEANUP(webhook_row_done) struct webhook_row row = {0};
	if (webhooks_get(db, id, &row, err) != 0)
		return -1;
	if (actor->role != ROLE_ADMIN && strcmp(actor->name, row.user) != 0)
		return err_set(err, NEL_NOTFOUND, "no webhook \"%.64s\"", id);
	*ret_row = row;
	row = (struct webhook_row){0};
	return 0;
}

int service_remove_webhook(struct service *service, struct db *db, const struct actor *actor, const char *id,
			   struct nel_err *err)
{
	CLEANUP(webhook_row_done) struct webhook_row row = {0};
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || service_get_webhook(db, actor, id, &row, err) != 0 ||
	    webhooks_delete(db, id, err) != 0 || db_commit(db, err) != 0)
		return -1;
	log_info("webhook removed", LOG_S("webhook", id), LOG_S("user", actor->name));
	webhook_sender_wake(service->webhooks);
	return 0;
}

/* Tests are few: they are no way to have the daemon send without end. */
static int check_testable(struct db *db, const struct webhook_row *row, struct nel_err *err)
{
	CLEANUP(delivery_list_done) struct delivery_list pending = {0};
	int tests = 0;
	if (row->disabled_at != 0)
		return err_set(err, NEL_CONFLICT, "the webhook is disabled (%s): make a new one", row->disabled_reason);
	if (deliveries_pending(db, row->id, &pending, err) != 0)
		return -1;
	for (size_t i = 0; i < pending.count; i++)
		tests += pending.items[i].event == 0;
	return tests < TESTS_WAITING_MAX ? 0 : err_set(err, NEL_CONFLICT, "%d tests wait already", tests);
}

int service_test_webhook(struct service *service, struct db *db, const struct actor *actor, const char *id,
			 struct delivery_row *ret_delivery, struct nel_err *err)
{
	int64_t now_s = clock_now_s();
	CLEANUP(webhook_row_done) struct webhook_row row = {0};
	CLEANUP(delivery_row_done)
	struct delivery_row delivery = {.kind = mem_strdup("webhook.test"), .happened_at = now_s};
	CLEANUP(db_rollbackp) struct db *tx = db;
	if (db_begin(db, err) != 0 || service_get_webhook(db, actor, id, &row, err) != 0 ||
	    check_testable(db, &row, err) != 0)
		return -1;
	memcpy(delivery.webhook, row.id, sizeof delivery.webhook);
	if (deliveries_insert(db, &delivery, now_s, err) != 0 || db_commit(db, err) != 0)
		return -1;
	*ret_delivery = delivery;
	delivery = (struct delivery_row){0};
	webhook_sender_wake(service->webhooks);
	return 0;
}
