/* db/campaigns.c: what was stored comes back, which value is next, and that none gets a second evaluation. */
#include "cmocka_all.h"
#include "db_fixture.h"

#include "db/campaign_watches.h"
#include "db/campaigns.h"
#include "db/evaluations.h"
#include "db/jobs.h"

static int64_t add(struct fixture *f, int number, const char *user)
{
	struct campaign_row row = {.user = (char *)user,
				   .name = (char *)"curve",
				   .parameter = (char *)"deployment.checkpoint_path",
				   .order = CAMPAIGN_LISTED,
				   .live = 2,
				   .config = (char *)"{}",
				   .sealed_env = (unsigned char *)"sealed",
				   .sealed_env_size = 6,
				   .json = true,
				   .overrides = (char *)"[\"a=1\"]",
				   .labels = (char *)"{\"k\":\"v\"}",
				   .created_at = 5,
				   .updated_at = 6};
	snprintf(row.id, sizeof row.id, "%016x", (unsigned)number);
	assert_ok(f, campaigns_insert(f->db, &row, &f->err));
	return row.seq;
}

static void add_value(struct fixture *f, int64_t campaign, int64_t position, const char *text, int64_t step)
{
	const struct campaign_value value = {.position = position, .value = (char *)text, .step = step};
	assert_ok(f, campaign_values_insert(f->db, campaign, &value, &f->err));
}

static void assert_next(struct fixture *f, int64_t campaign, enum campaign_order order, const char *text)
{
	CLEANUP(campaign_value_done) struct campaign_value value = {0};
	bool found = false;
	assert_ok(f, campaign_values_next(f->db, campaign, order, &value, &found, &f->err));
	assert_int_equal(found, text != NULL);
	if (text != NULL)
		assert_string_equal(value.value, text);
}

static void assert_counts(struct fixture *f, int64_t campaign, int64_t waiting, int64_t live)
{
	int64_t got_waiting = -1;
	int64_t got_live = -1;
	assert_ok(f, campaign_values_count(f->db, campaign, &got_waiting, &got_live, &f->err));
	assert_int_equal(got_waiting, waiting);
	assert_int_equal(got_live, live);
}

static void test_campaigns_get_gives_back_what_was_stored(void **state)
{
	struct fixture *f = *state;
	CLEANUP(campaign_row_done) struct campaign_row row = {0};
	int64_t seq = add(f, 1, "anna");
	assert_ok(f, campaigns_get(f->db, "0000000000000001", &row, &f->err));
	assert_int_equal(row.seq, seq);
	assert_string_equal(row.user, "anna");
	assert_string_equal(row.name, "curve");
	assert_string_equal(row.parameter, "deployment.checkpoint_path");
	assert_null(row.config);
	assert_string_equal(row.overrides, "[\"a=1\"]");
	assert_string_equal(row.labels, "{\"k\":\"v\"}");
	assert_int_equal(row.state, CAMPAIGN_ACTIVE);
	assert_int_equal(row.order, CAMPAIGN_LISTED);
	assert_int_equal(row.live, 2);
	assert_true(row.json);
	assert_false(row.account);
	assert_null(row.reason);
	assert_int_equal(row.created_at, 5);
	assert_int_equal(row.updated_at, 6);
	assert_refused(f, NEL_NOTFOUND, campaigns_get(f->db, "nothing", &row, &f->err));
	assert_ok(f, campaigns_get_texts(f->db, &row, &f->err));
	assert_string_equal(row.config, "{}");
	assert_int_equal(row.sealed_env_size, 6);
	assert_memory_equal(row.sealed_env, "sealed", 6);
}

static void test_campaigns_set_state_forgets_the_secrets_of_one_that_is_over(void **state)
{
	struct fixture *f = *state;
	CLEANUP(campaign_row_done) struct campaign_row row = {0};
	row.seq = add(f, 1, "anna");
	assert_ok(f, campaigns_set_state(f->db, row.seq, CAMPAIGN_ACTIVE, CAMPAIGN_PAUSED, NULL, 9, &f->err));
	assert_ok(f, campaigns_get_texts(f->db, &row, &f->err));
	assert_non_null(row.sealed_env);
	assert_ok(f, campaigns_set_state(f->db, row.seq, CAMPAIGN_PAUSED, CAMPAIGN_CANCELLED, NULL, 9, &f->err));
	assert_ok(f, campaigns_get_texts(f->db, &row, &f->err));
	assert_null(row.sealed_env);
}

static int prune(struct fixture *f, int64_t before_s)
{
	int count = -1;
	assert_ok(f, campaigns_prune(f->db, before_s, 10, &count, &f->err));
	return count;
}

static void test_campaigns_prune_takes_those_that_are_over_and_have_no_evaluation_left(void **state)
{
	struct fixture *f = *state;
	CLEANUP(campaign_value_list_done) struct campaign_value_list list = {0};
	struct evaluation_row evaluation = sample_evaluation(7);
	int count = 0;
	int64_t active = add(f, 1, "anna");
	int64_t held = add(f, 2, "anna");
	int64_t over = add(f, 3, "anna");
	add_value(f, active, 0, "a", 1);
	add_value(f, held, 0, "a", 1);
	add_value(f, over, 0, "a", 1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	assert_ok(f, campaign_values_submitted(f->db, held, 0, evaluation.id, 9, &f->err));
	assert_ok(f, evaluations_set_state(f->db, evaluation.seq, "succeeded", 20, 20, &f->err));
	assert_ok(f, campaigns_set_state(f->db, held, CAMPAIGN_ACTIVE, CAMPAIGN_ENDED, NULL, 20, &f->err));
	assert_ok(f, campaigns_set_state(f->db, over, CAMPAIGN_ACTIVE, CAMPAIGN_CANCELLED, NULL, 30, &f->err));
	assert_int_equal(prune(f, 30), 0);
	assert_int_equal(prune(f, 31), 1);
	assert_ok(f, campaign_values_list(f->db, over, &list, &f->err));
	assert_int_equal(list.count, 0);
	assert_ok(f, evaluations_prune(f->db, 1000, 10, &count, &f->err));
	assert_int_equal(count, 1);
	assert_int_equal(prune(f, 31), 1);
	assert_int_equal(prune(f, 1000), 0);
}

static void test_campaigns_list_newest_first_by_user_and_page(void **state)
{
	struct fixture *f = *state;
	CLEANUP(campaign_list_done) struct campaign_list list = {0};
	int64_t first = add(f, 1, "anna");
	int64_t second = add(f, 2, "bert");
	int64_t third = add(f, 3, "anna");
	assert_ok(f, campaigns_list(f->db, NULL, 0, 2, &list, &f->err));
	assert_int_equal(list.count, 2);
	assert_int_equal(list.items[0].seq, third);
	assert_int_equal(list.items[1].seq, second);
	campaign_list_done(&list);
	assert_ok(f, campaigns_list(f->db, NULL, second, 2, &list, &f->err));
	assert_int_equal(list.count, 1);
	assert_int_equal(list.items[0].seq, first);
	campaign_list_done(&list);
	assert_ok(f, campaigns_list(f->db, "anna", 0, 10, &list, &f->err));
	assert_int_equal(list.count, 2);
}

static void test_campaigns_set_state_only_from_the_state_that_is_named(void **state)
{
	struct fixture *f = *state;
	CLEANUP(campaign_row_done) struct campaign_row row = {0};
	bool found = false;
	int64_t seq = add(f, 1, "anna");
	assert_ok(f, campaigns_set_state(f->db, seq, CAMPAIGN_ACTIVE, CAMPAIGN_PAUSED, "why", 9, &f->err));
	assert_refused(f, NEL_CONFLICT,
		       campaigns_set_state(f->db, seq, CAMPAIGN_ACTIVE, CAMPAIGN_ENDED, NULL, 10, &f->err));
	assert_ok(f, campaigns_next_open(f->db, 0, &row, &found, &f->err));
	assert_true(found);
	campaign_row_done(&row);
	assert_ok(f, campaigns_get(f->db, "0000000000000001", &row, &f->err));
	assert_int_equal(row.state, CAMPAIGN_PAUSED);
	assert_string_equal(row.reason, "why");
	assert_int_equal(row.updated_at, 9);
	campaign_row_done(&row);
	assert_ok(f, campaigns_set_state(f->db, seq, CAMPAIGN_PAUSED, CAMPAIGN_ACTIVE, NULL, 11, &f->err));
	assert_ok(f, campaigns_next_open(f->db, 0, &row, &found, &f->err));
	assert_true(found);
	campaign_row_done(&row);
	assert_ok(f, campaigns_next_open(f->db, seq, &row, &found, &f->err));
	assert_false(found);
	assert_ok(f, campaigns_set_state(f->db, seq, CAMPAIGN_ACTIVE, CAMPAIGN_ENDED, NULL, 12, &f->err));
	assert_ok(f, campaigns_next_open(f->db, 0, &row, &found, &f->err));
	assert_false(found);
}

static void test_campaign_values_next_by_order(void **state)
{
	struct fixture *f = *state;
	int64_t seq = add(f, 1, "anna");
	assert_next(f, seq, CAMPAIGN_LISTED, NULL);
	add_value(f, seq, 0, "final", CAMPAIGN_NO_STEP);
	add_value(f, seq, 1, "step_9", 9);
	add_value(f, seq, 2, "step_10", 10);
	add_value(f, seq, 3, "other_10", 10);
	static const struct {
		int64_t position;
		const char *newest_first;
		const char *listed;
	} steps[] = {{3, "other_10", "final"}, {2, "step_10", "final"}, {1, "step_9", "final"}, {0, "final", "final"}};
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		assert_next(f, seq, CAMPAIGN_NEWEST_FIRST, steps[i].newest_first);
		assert_next(f, seq, CAMPAIGN_LISTED, steps[i].listed);
		assert_ok(f, campaign_values_refused(f->db, seq, steps[i].position, "no", &f->err));
	}
	assert_next(f, seq, CAMPAIGN_NEWEST_FIRST, NULL);
	assert_next(f, seq, CAMPAIGN_LISTED, NULL);
}

static void assert_value(struct fixture *f, int64_t campaign, const char *state, bool over, bool converted)
{
	CLEANUP(campaign_value_list_done) struct campaign_value_list list = {0};
	CLEANUP(campaign_value_done) struct campaign_value next = {0};
	bool found = false;
	assert_ok(f, campaign_values_list(f->db, campaign, &list, &f->err));
	assert_int_equal(list.count, 1);
	assert_string_equal(campaign_value_state(&list.items[0]), state);
	assert_int_equal(campaign_value_is_over(&list.items[0]), over);
	assert_ok(f, campaign_values_converted(f->db, campaign, &next, &found, &f->err));
	assert_int_equal(found, converted);
	if (found)
		assert_string_equal(next.conversion_rundir, list.items[0].conversion_rundir);
}

static void test_campaign_values_with_a_conversion_are_evaluated_once_it_has_succeeded(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row conversion = sample_evaluation(7);
	struct evaluation_row evaluation = sample_evaluation(8);
	int64_t seq = add(f, 1, "anna");
	add_value(f, seq, 0, "a", 1);
	assert_value(f, seq, "waiting", false, false);
	assert_ok(f, evaluations_insert(f->db, &conversion, &f->err));
	struct job_row job = sample_job(&conversion, 0);
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	assert_ok(f, campaign_values_converting(f->db, seq, 0, conversion.id, &f->err));
	assert_refused(f, NEL_CONFLICT, campaign_values_converting(f->db, seq, 0, evaluation.id, &f->err));
	assert_value(f, seq, "converting", false, false);
	assert_counts(f, seq, 0, 1);
	assert_next(f, seq, CAMPAIGN_LISTED, NULL);
	static const struct {
		enum chain_state state;
		const char *shown;
	} ends[] = {
	    {CHAIN_FAILED, "failed"}, {CHAIN_CANCELLED, "cancelled"}, {CHAIN_BUDGET_EXHAUSTED, "budget_exhausted"}};
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		CLEANUP(mem_freep)
		char *sql = mem_printf("UPDATE jobs SET state = '%s'", chain_state_name(ends[i].state));
		assert_int_equal(sqlite3_exec(f->db->sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
		assert_ok(f, evaluations_set_state(f->db, conversion.seq, "failed", 20, 20, &f->err));
		assert_value(f, seq, ends[i].shown, true, false);
		assert_counts(f, seq, 0, 0);
	}
	assert_int_equal(sqlite3_exec(f->db->sqlite, "UPDATE jobs SET state = 'succeeded'", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_ok(f, evaluations_set_state(f->db, conversion.seq, "succeeded", 21, 21, &f->err));
	assert_value(f, seq, "converted", false, true);
	assert_counts(f, seq, 0, 1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	assert_ok(f, campaign_values_submitted(f->db, seq, 0, evaluation.id, 22, &f->err));
	assert_value(f, seq, evaluation.state, false, false);
	assert_counts(f, seq, 0, 1);
}

static void test_campaign_values_take_each_value_and_position_once(void **state)
{
	struct fixture *f = *state;
	int64_t seq = add(f, 1, "anna");
	add_value(f, seq, 0, "a", 1);
	const struct campaign_value same_value = {.position = 1, .value = (char *)"a", .step = 1};
	const struct campaign_value same_position = {.position = 0, .value = (char *)"b", .step = 1};
	assert_refused(f, NEL_CONFLICT, campaign_values_insert(f->db, seq, &same_value, &f->err));
	assert_refused(f, NEL_CONFLICT, campaign_values_insert(f->db, seq, &same_position, &f->err));
	add_value(f, add(f, 2, "anna"), 0, "a", 1);
}

static void test_campaign_values_submitted_once_and_only_while_active(void **state)
{
	struct fixture *f = *state;
	CLEANUP(campaign_value_list_done) struct campaign_value_list list = {0};
	struct evaluation_row evaluation = sample_evaluation(7);
	int64_t seq = add(f, 1, "anna");
	add_value(f, seq, 0, "a", 1);
	add_value(f, seq, 1, "b", 2);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	assert_counts(f, seq, 2, 0);
	assert_ok(f, campaigns_set_state(f->db, seq, CAMPAIGN_ACTIVE, CAMPAIGN_PAUSED, NULL, 9, &f->err));
	assert_refused(f, NEL_CONFLICT, campaign_values_submitted(f->db, seq, 0, evaluation.id, 9, &f->err));
	assert_ok(f, campaigns_set_state(f->db, seq, CAMPAIGN_PAUSED, CAMPAIGN_ACTIVE, NULL, 9, &f->err));
	assert_ok(f, campaign_values_submitted(f->db, seq, 0, evaluation.id, 9, &f->err));
	assert_refused(f, NEL_CONFLICT, campaign_values_submitted(f->db, seq, 0, "00000000000000ff", 9, &f->err));
	assert_refused(f, NEL_CONFLICT, campaign_values_refused(f->db, seq, 0, "no", &f->err));
	assert_refused(f, NEL_CONFLICT, campaign_values_submitted(f->db, seq, 1, evaluation.id, 9, &f->err));
	assert_counts(f, seq, 1, 1);
	assert_ok(f, campaign_values_list(f->db, seq, &list, &f->err));
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].evaluation, evaluation.id);
	assert_string_equal(list.items[0].state, "queued");
	assert_int_equal(list.items[0].submitted_at, 9);
	assert_string_equal(list.items[1].evaluation, "");
	assert_null(list.items[1].state);
	assert_ok(f, evaluations_set_state(f->db, evaluation.seq, "succeeded", 20, 20, &f->err));
	assert_counts(f, seq, 1, 0);
}

static void test_campaign_values_of_a_rolled_back_submission_wait_again(void **state)
{
	struct fixture *f = *state;
	int64_t seq = add(f, 1, "anna");
	add_value(f, seq, 0, "a", 1);
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, campaign_values_submitted(f->db, seq, 0, "0000000000000007", 9, &f->err));
	db_rollback(f->db);
	assert_next(f, seq, CAMPAIGN_LISTED, "a");
	assert_counts(f, seq, 1, 0);
}

static void test_campaign_watches_keep_what_was_seen(void **state)
{
	struct fixture *f = *state;
	CLEANUP(campaign_watch_done) struct campaign_watch watch = {0};
	const struct campaign_watch made = {
	    .cluster = (char *)"alpha", .directory = (char *)"/ckpt", .pattern = (char *)"step_*", .quiet_s = 60};
	int64_t seq = add(f, 1, "anna");
	assert_ok(f, campaign_watches_get(f->db, seq, &watch, &f->err));
	assert_null(watch.cluster);
	assert_ok(f, campaign_watches_insert(f->db, seq, &made, &f->err));
	assert_ok(f, campaign_watches_note(f->db, seq, 7, NULL, &f->err));
	assert_ok(f, campaign_watches_note(f->db, seq, 0, "it is gone", &f->err));
	assert_ok(f, campaign_watches_get(f->db, seq, &watch, &f->err));
	assert_string_equal(watch.cluster, "alpha");
	assert_string_equal(watch.directory, "/ckpt");
	assert_string_equal(watch.pattern, "step_*");
	assert_null(watch.ready_file);
	assert_int_equal(watch.quiet_s, 60);
	assert_int_equal(watch.looked_at, 7); /* the failure left it */
	assert_string_equal(watch.reason, "it is gone");
}

static void test_campaign_entries_replace_leaves_these_and_no_others(void **state)
{
	struct fixture *f = *state;
	struct campaign_entry items[] = {
	    {.name = (char *)"b", .state = CAMPAIGN_ENTRY_SETTLING, .why = (char *)"y", .signature = "s", .since = 9},
	    {.name = (char *)"a", .state = CAMPAIGN_ENTRY_LEFT_ALONE, .why = (char *)"x"},
	    {.name = (char *)"a", .state = CAMPAIGN_ENTRY_INCOMPLETE, .why = (char *)"z"},
	};
	int64_t seq = add(f, 1, "anna");
	for (int round = 0; round < 2; round++) {
		size_t count = round == 0 ? sizeof items / sizeof items[0] : 1;
		CLEANUP(campaign_entry_list_done) struct campaign_entry_list list = {0};
		const struct campaign_entry_list wanted = {items, count};
		assert_ok(f, campaign_entries_replace(f->db, seq, &wanted, &f->err));
		assert_ok(f, campaign_entries_list(f->db, seq, &list, &f->err));
		assert_int_equal(list.count, round == 0 ? 2 : 1);
		const struct campaign_entry *last = &list.items[list.count - 1];
		assert_string_equal(last->name, "b");
		assert_int_equal(last->state, CAMPAIGN_ENTRY_SETTLING);
		assert_string_equal(last->why, "y");
		assert_string_equal(last->signature, "s");
		assert_int_equal(last->since, 9);
		if (round == 0)
			assert_int_equal(list.items[0].state, CAMPAIGN_ENTRY_INCOMPLETE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_campaigns_get_gives_back_what_was_stored, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaigns_set_state_forgets_the_secrets_of_one_that_is_over,
					    fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaigns_prune_takes_those_that_are_over_and_have_no_evaluation_left,
					    fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaigns_list_newest_first_by_user_and_page, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaigns_set_state_only_from_the_state_that_is_named, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaign_watches_keep_what_was_seen, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaign_entries_replace_leaves_these_and_no_others, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaign_values_next_by_order, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaign_values_with_a_conversion_are_evaluated_once_it_has_succeeded,
					    fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaign_values_take_each_value_and_position_once, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaign_values_submitted_once_and_only_while_active, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_campaign_values_of_a_rolled_back_submission_wait_again, fixture_setup,
					    fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
