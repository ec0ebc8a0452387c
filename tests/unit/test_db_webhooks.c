/* Webhooks and their deliveries in the store. */
#include "cmocka_all.h"
#include "db_fixture.h"

#include "db/key_rotation.h"
#include "db/users.h"
#include "db/webhooks.h"

static void add(struct fixture *f, const char *id, const char *user)
{
	struct webhook_row row = {.user = (char *)user,
				  .url = (char *)"https://example.org/",
				  .kinds = (char *)",job.state,",
				  .sealed_secret = (unsigned char *)"box",
				  .sealed_secret_size = 3,
				  .position = 7,
				  .created_at = 5};
	snprintf(row.id, sizeof row.id, "%s", id);
	assert_ok(f, webhooks_insert(f->db, &row, &f->err));
}

static size_t count_of(struct fixture *f, const char *user)
{
	CLEANUP(webhook_list_done) struct webhook_list list = {0};
	assert_ok(f, webhooks_list(f->db, user, &list, &f->err));
	return list.count;
}

static void test_webhooks_get_gives_back_what_was_stored(void **state)
{
	struct fixture *f = *state;
	CLEANUP(webhook_row_done) struct webhook_row row = {0};
	add(f, "00000000000000aa", "anna");
	assert_ok(f, webhooks_get(f->db, "00000000000000aa", &row, &f->err));
	assert_string_equal(row.user, "anna");
	assert_string_equal(row.kinds, ",job.state,");
	assert_int_equal(row.sealed_secret_size, 3);
	assert_memory_equal(row.sealed_secret, "box", 3);
	assert_int_equal(row.position, 7);
	assert_false(row.all);
	assert_int_equal(row.failing_since, 0);
	assert_refused(f, NEL_NOTFOUND, webhooks_get(f->db, "nothing", &row, &f->err));
	assert_refused(f, NEL_NOTFOUND, webhooks_delete(f->db, "nothing", &f->err));
}

static void test_webhooks_of_removed_user_are_removed(void **state)
{
	struct fixture *f = *state;
	struct delivery_row delivery = {.webhook = "00000000000000aa", .event = 3, .kind = (char *)"job.state"};
	assert_ok(f, users_insert(f->db, "anna", ROLE_USER, 1, &f->err));
	add(f, "00000000000000aa", "anna");
	add(f, "00000000000000bb", "bert");
	assert_ok(f, deliveries_insert(f->db, &delivery, 9, &f->err));
	assert_int_equal(count_of(f, NULL), 2);
	assert_ok(f, users_remove(f->db, "anna", 9, &f->err));
	assert_int_equal(count_of(f, NULL), 1);
	assert_int_equal(count_of(f, "anna"), 0);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM webhook_deliveries"), 0);
}

static void test_webhooks_failing_and_disabled(void **state)
{
	struct fixture *f = *state;
	CLEANUP(webhook_row_done) struct webhook_row row = {0};
	CLEANUP(webhook_list_done) struct webhook_list list = {0};
	add(f, "00000000000000aa", "anna");
	assert_ok(f, webhooks_set_failing(f->db, "00000000000000aa", 50, &f->err));
	assert_ok(f, webhooks_set_failing(f->db, "00000000000000aa", 60, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT failing_since FROM webhooks"), 50);
	assert_ok(f, webhooks_set_failing(f->db, "00000000000000aa", 0, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT failing_since IS NULL FROM webhooks"), 1);
	add(f, "00000000000000bb", "bert");
	assert_ok(f, webhooks_list_active(f->db, "", &list, &f->err));
	assert_int_equal(list.count, 2);
	webhook_list_done(&list);
	assert_ok(f, webhooks_list_active(f->db, "00000000000000aa", &list, &f->err));
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].id, "00000000000000bb");
	webhook_list_done(&list);
	assert_ok(f, webhooks_disable(f->db, "00000000000000aa", 70, "why", &f->err));
	assert_ok(f, webhooks_disable(f->db, "00000000000000aa", 80, "again", &f->err));
	assert_ok(f, webhooks_get(f->db, "00000000000000aa", &row, &f->err));
	assert_int_equal(row.disabled_at, 70);
	assert_string_equal(row.disabled_reason, "why");
	assert_ok(f, webhooks_list_active(f->db, "", &list, &f->err));
	assert_int_equal(list.count, 1);
}

static void test_webhooks_list_active_goes_on_behind_a_full_list(void **state)
{
	struct fixture *f = *state;
	char after[17] = "";
	size_t seen = 0;
	size_t count = 0;
	assert_ok(f, db_begin(f->db, &f->err));
	for (int i = 0; i < WEBHOOKS_LIST_MAX + 7; i++) {
		char id[17];
		snprintf(id, sizeof id, "%016x", (unsigned)i);
		add(f, id, "anna");
	}
	assert_ok(f, db_commit(f->db, &f->err));
	do {
		CLEANUP(webhook_list_done) struct webhook_list list = {0};
		assert_ok(f, webhooks_list_active(f->db, after, &list, &f->err));
		count = list.count;
		seen += count;
		if (count > 0)
			snprintf(after, sizeof after, "%s", list.items[count - 1].id);
	} while (count == WEBHOOKS_LIST_MAX);
	assert_int_equal(seen, WEBHOOKS_LIST_MAX + 7);
}

static void test_deliveries_kept_are_bounded_and_pending_ones_stay(void **state)
{
	struct fixture *f = *state;
	CLEANUP(delivery_list_done) struct delivery_list list = {0};
	CLEANUP(delivery_list_done) struct delivery_list page = {0};
	int64_t pending = 0;
	add(f, "00000000000000aa", "anna");
	add(f, "00000000000000bb", "anna");
	assert_ok(f, db_begin(f->db, &f->err));
	for (int i = 0; i < 2 * WEBHOOK_DELIVERIES_KEPT; i++) {
		struct delivery_row row = {.webhook = "00000000000000aa", .event = i + 1, .kind = (char *)"job.state"};
		assert_ok(f, deliveries_insert(f->db, &row, 9, &f->err));
		row.state = i == 3 ? DELIVERY_PENDING : DELIVERY_DELIVERED;
		row.tries = 1;
		row.status = 204;
		assert_ok(f, deliveries_update(f->db, &row, &f->err));
	}
	assert_ok(f, db_commit(f->db, &f->err));
	assert_ok(f, deliveries_list(f->db, "00000000000000aa", 0, 1000, &list, &f->err));
	assert_int_equal(list.count, WEBHOOK_DELIVERIES_KEPT + 1);
	assert_int_equal(list.items[0].event, 2 * WEBHOOK_DELIVERIES_KEPT);
	assert_int_equal(list.items[list.count - 1].event, 4);
	assert_int_equal(list.items[0].status, 204);
	assert_ok(f, deliveries_list(f->db, "00000000000000aa", list.items[0].seq, 2, &page, &f->err));
	assert_int_equal(page.count, 2);
	assert_int_equal(page.items[0].seq, list.items[1].seq);
	assert_ok(f, deliveries_pending_count(f->db, &pending, &f->err));
	assert_int_equal(pending, 1);
}

static void test_webhooks_secret_follows_the_master_key(void **state)
{
	struct fixture *f = *state;
	char path[2][sizeof f->directory + 16];
	struct secret_key *keys[2] = {NULL};
	CLEANUP(webhook_row_done) struct webhook_row row = {0};
	char *secret = NULL;
	size_t size = 0;
	int64_t changed = 0;
	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof path[i], "%s/key%d", f->directory, i);
		assert_ok(f, secret_keygen(path[i], &f->err));
		assert_ok(f, secret_key_load(path[i], &keys[i], &f->err));
	}
	row.user = mem_strdup("anna");
	row.url = mem_strdup("https://example.org/");
	row.kinds = mem_strdup("");
	snprintf(row.id, sizeof row.id, "00000000000000aa");
	assert_ok(f, secret_seal(keys[0], "webhook:00000000000000aa", "whsec_x", 7, &row.sealed_secret,
				 &row.sealed_secret_size, &f->err));
	assert_ok(f, webhooks_insert(f->db, &row, &f->err));
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, key_rotation_change_key(f->db, keys[0], keys[1], &changed, &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
	assert_int_equal(changed, 2); /* and the key's own check */
	webhook_row_done(&row);
	assert_ok(f, webhooks_get(f->db, "00000000000000aa", &row, &f->err));
	assert_ok(f, secret_open(keys[1], "webhook:00000000000000aa", row.sealed_secret, row.sealed_secret_size,
				 &secret, &size, &f->err));
	assert_string_equal(secret, "whsec_x");
	secret_free(secret, size);
	secret_key_free(keys[0]);
	secret_key_free(keys[1]);
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_webhooks_get_gives_back_what_was_stored),
	    READY(test_webhooks_of_removed_user_are_removed),
	    READY(test_webhooks_failing_and_disabled),
	    READY(test_webhooks_list_active_goes_on_behind_a_full_list),
	    READY(test_webhooks_secret_follows_the_master_key),
	    READY(test_deliveries_kept_are_bounded_and_pending_ones_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
