/* The keeper: what it puts into the store is what is rendered, and follows what changes. */
#include "api/v1/keeper.h"

#include "api/v1/kept_replies.h"
#include "api/v1/render.h"
#include "db/events.h"
#include "db/replies.h"
#include "db/search.h"
#include "db_fixture.h"

#include <time.h>

#define WAIT_MS 20000

static struct evaluation_row add_ended(struct fixture *f, int number)
{
	struct evaluation_row evaluation = sample_evaluation(number);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row job = sample_job(&evaluation, 0);
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	assert_ok(f, jobs_set_state(f->db, job.seq, CHAIN_QUEUED, CHAIN_CANCELLED, "r", NULL, 5, 5, &f->err));
	assert_ok(f, evaluations_set_state(f->db, evaluation.seq, "cancelled", 2000, true, &f->err));
	return evaluation;
}

static char *kept(struct fixture *f, const struct evaluation_row *evaluation)
{
	struct revision revision = {0};
	struct str text = {0};
	bool found = false;
	assert_ok(f, replies_get(f->db, evaluation->id, reply_format(), &revision, &text, &found, &f->err));
	assert_int_equal(found, text.len > 0);
	return str_take(&text);
}

static char *rendered(struct fixture *f, const struct evaluation_row *evaluation)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(job_list_done) struct job_list jobs = {0};
	struct json_out out = {0};
	assert_ok(f, evaluations_get(f->db, evaluation->id, false, &row, &f->err));
	assert_ok(f, jobs_of_evaluation(f->db, row.id, &jobs, &f->err));
	render_evaluation(&out, &row, &jobs);
	return str_take(&out.text);
}

/* Until the text is what would be rendered. */
static void await_kept(struct fixture *f, const struct evaluation_row *evaluation)
{
	CLEANUP(mem_freep) char *want = rendered(f, evaluation);
	for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += 10) {
		CLEANUP(mem_freep) char *text = kept(f, evaluation);
		if (strcmp(text, want) == 0)
			return;
		assert_string_equal(text, ""); /* never a wrong one */
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
	}
	fail_msg("the reply about %s is not kept", evaluation->id);
}

static void test_keeper_keeps_what_is_rendered(void **state)
{
	enum { COUNT = 120 }; /* more than fit into one transaction */
	struct fixture *f = *state;
	struct keeper *keeper = NULL;
	struct evaluation_row evaluations[COUNT];
	for (int i = 0; i < COUNT; i++)
		evaluations[i] = add_ended(f, i + 1);
	assert_ok(f, keeper_start(f->path, &keeper, &f->err));
	for (int i = 0; i < COUNT; i++)
		await_kept(f, &evaluations[i]);

	/* What changes is rendered anew at the next event. */
	assert_ok(f, evaluations_set_hash(f->db, evaluations[7].seq, "beef", &f->err));
	CLEANUP(mem_freep) char *none = kept(f, &evaluations[7]);
	assert_true(none[0] == '\0' || strstr(none, "beef") != NULL);
	notifier_notify(events_notifier());
	await_kept(f, &evaluations[7]);
	keeper_stop(keeper);
}

/* A job that shares an observation's time with others moves without being written. */
static void test_keeper_leaves_alone_what_moves_by_itself(void **state)
{
	struct fixture *f = *state;
	struct keeper *keeper = NULL;
	struct evaluation_row moves = add_ended(f, 1);
	sqlite3_exec(f->db->sqlite, "UPDATE jobs SET observation = 1", NULL, NULL, NULL);
	struct evaluation_row waits = add_ended(f, 2);
	sqlite3_exec(f->db->sqlite, "UPDATE jobs SET state = 'queued' WHERE seq = 2", NULL, NULL, NULL);
	struct evaluation_row last = add_ended(f, 3);
	assert_ok(f, keeper_start(f->path, &keeper, &f->err));
	await_kept(f, &last);
	const struct evaluation_row *const others[] = {&moves, &waits};
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(mem_freep) char *text = kept(f, others[i]);
		assert_string_equal(text, "");
	}
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM replies WHERE format = 0"), 0);
	keeper_stop(keeper);
}

static int64_t indexed(struct fixture *f)
{
	return query_number(f->db->sqlite,
			    "SELECT count(*) FROM evaluation_search WHERE evaluation_search MATCH 'anna'");
}

static void await_indexed(struct fixture *f, int64_t count)
{
	for (int waited_ms = 0; waited_ms < WAIT_MS && indexed(f) != count; waited_ms += 10)
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
	assert_int_equal(indexed(f), count);
}

/* What a daemon that died had not put in is put in at the next one's start; what comes then, when it has come. */
static void test_keeper_puts_new_ones_into_the_index(void **state)
{
	struct fixture *f = *state;
	struct keeper *keeper = NULL;
	for (int i = 0; i < SEARCH_BATCH + 1; i++)
		add_ended(f, i + 1);
	assert_int_equal(indexed(f), 0);
	assert_ok(f, keeper_start(f->path, &keeper, &f->err));
	await_indexed(f, SEARCH_BATCH + 1);
	add_ended(f, SEARCH_BATCH + 2);
	notifier_notify(events_notifier());
	await_indexed(f, SEARCH_BATCH + 2);
	keeper_stop(keeper);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_keeper_keeps_what_is_rendered, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_keeper_leaves_alone_what_moves_by_itself, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_keeper_puts_new_ones_into_the_index, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
