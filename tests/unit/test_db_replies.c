/* db/replies.c and its triggers: a text that is there is right, whoever changes what it is made of. */
#include "db_fixture.h"

#include "db/replies.h"

#define FORMAT 5

static void run(struct fixture *f, const char *sql)
{
	char *message = NULL;
	if (sqlite3_exec(f->db->sqlite, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
}

static bool is_kept(struct fixture *f, const struct evaluation_row *evaluation, int64_t format)
{
	struct revision revision = {0};
	bool by_id = false;
	bool by_seq = false;
	CLEANUP(str_done) struct str text = {0};
	CLEANUP(str_done) struct str again = {0};
	assert_ok(f, replies_get(f->db, evaluation->id, format, &revision, &text, &by_id, &f->err));
	assert_ok(f, replies_get_at(f->db, evaluation->seq, format, &revision, &again, &by_seq, &f->err));
	assert_int_equal(by_id, by_seq);
	if (by_id) {
		assert_string_equal(str_text(&text), "{}");
		assert_string_equal(str_text(&again), "{}");
		assert_int_equal(revision.seq, evaluation->seq);
		assert_int_equal(revision.version, 3);
		assert_string_equal(revision.id, evaluation->id);
	}
	return by_id;
}

static void keep(struct fixture *f, const struct evaluation_row *evaluation)
{
	struct revision revision = {.seq = evaluation->seq, .version = 3};
	memcpy(revision.id, evaluation->id, sizeof revision.id);
	assert_ok(f, replies_put(f->db, &revision, FORMAT, "{}", &f->err));
}

static size_t missing(struct fixture *f, int64_t format)
{
	int64_t seqs[4];
	size_t count = 0;
	assert_ok(f, replies_missing(f->db, format, 4, seqs, &count, &f->err));
	return count;
}

/* One that has ended, with a job and a label. */
static struct evaluation_row add_ended(struct fixture *f, int number)
{
	struct label label = {(char *)"team", (char *)"a"};
	struct evaluation_row evaluation = sample_evaluation(number);
	evaluation.labels = &label;
	evaluation.label_count = 1;
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row job = sample_job(&evaluation, 0);
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	assert_ok(f, evaluations_set_state(f->db, evaluation.seq, "failed", 2000, true, &f->err));
	evaluation.labels = NULL;
	evaluation.label_count = 0;
	return evaluation;
}

static void test_replies_are_wanted_of_what_has_ended(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row lives = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &lives, &f->err));
	assert_int_equal(missing(f, FORMAT), 0);
	keep(f, &lives);
	assert_false(is_kept(f, &lives, FORMAT)); /* of what lives none is kept */
	struct evaluation_row ended = add_ended(f, 2);
	assert_int_equal(missing(f, FORMAT), 1);
	assert_false(is_kept(f, &ended, FORMAT));
	keep(f, &ended);
	assert_int_equal(missing(f, FORMAT), 0);
	assert_true(is_kept(f, &ended, FORMAT));
	/* Another program renders otherwise, a newer one or an older one. */
	for (int64_t format = FORMAT - 1; format <= FORMAT + 1; format += 2) {
		assert_false(is_kept(f, &ended, format));
		assert_int_equal(missing(f, format), 1);
	}
	const struct revision revision = {.seq = ended.seq, .version = 3};
	assert_ok(f, replies_put(f->db, &revision, FORMAT, "", &f->err));
	assert_false(is_kept(f, &ended, FORMAT)); /* too long, say; and it is not asked for again */
	assert_int_equal(missing(f, FORMAT), 0);
}

static void test_replies_go_with_every_change(void **state)
{
	static const char *const changes[] = {
	    "UPDATE evaluations SET model = 'other'",
	    "UPDATE evaluations SET updated_at = updated_at + 1",
	    "UPDATE jobs SET reason = 'other'",
	    "UPDATE jobs SET warnings = '[]'",
	    "UPDATE jobs SET observed_at = 77",
	    "UPDATE chains SET budget_used_s = 8",
	    "UPDATE labels SET value = 'b'",
	    "UPDATE labels SET key = 'c'",
	    "INSERT INTO labels (evaluation, key, value) SELECT seq, 'd', 'e' FROM evaluations",
	    "DELETE FROM labels WHERE key = 'd'",
	    "DELETE FROM jobs",
	};
	struct fixture *f = *state;
	struct evaluation_row evaluation = add_ended(f, 1);
	struct evaluation_row other = sample_evaluation(9);
	assert_ok(f, evaluations_insert(f->db, &other, &f->err));
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		keep(f, &evaluation);
		assert_true(is_kept(f, &evaluation, FORMAT));
		run(f, changes[i]);
		if (is_kept(f, &evaluation, FORMAT) || missing(f, FORMAT) != 1)
			fail_msg("the text outlives: %s", changes[i]);
	}
}

static void test_replies_go_with_a_resume_and_with_the_evaluation(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row evaluation = add_ended(f, 1);
	keep(f, &evaluation);
	assert_ok(f, evaluations_set_state(f->db, evaluation.seq, "running", 3000, false, &f->err));
	assert_false(is_kept(f, &evaluation, FORMAT));
	assert_int_equal(missing(f, FORMAT), 0);
	assert_ok(f, evaluations_set_state(f->db, evaluation.seq, "failed", 4000, true, &f->err));
	assert_int_equal(missing(f, FORMAT), 1);
	keep(f, &evaluation);
	/* Another evaluation may get the number. A program that knows no foreign keys deletes as well. */
	for (int keys = 0; keys < 2; keys++) {
		run(f, keys ? "PRAGMA foreign_keys = ON" : "PRAGMA foreign_keys = OFF");
		run(f, "DELETE FROM jobs; DELETE FROM chains; DELETE FROM labels; DELETE FROM evaluation_texts; DELETE "
		       "FROM evaluations");
		assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM replies"), 0);
		struct evaluation_row next = add_ended(f, 2 + keys);
		assert_int_equal(next.seq, evaluation.seq);
		assert_false(is_kept(f, &next, FORMAT));
		keep(f, &next);
		assert_true(is_kept(f, &next, FORMAT));
		/* Nor is what has the number now taken for what had it. */
		struct revision revision = {0};
		bool found = true;
		CLEANUP(str_done) struct str text = {0};
		assert_ok(f, replies_get(f->db, evaluation.id, FORMAT, &revision, &text, &found, &f->err));
		assert_false(found);
		assert_int_equal(text.len, 0);
		memcpy(evaluation.id, next.id, sizeof evaluation.id);
	}
}

/* More than are remembered, and many whose ids are alike in one half or the other. */
static void test_replies_are_found_by_their_own_ids(void **state)
{
	static const char *const ids[] = {"00000000000000aa", "00000001000000aa", "ffffffff000000aa",
					  "00000001000400aa", "00000001000800aa", "ffffffffffffffff"};
	enum { COUNT = sizeof ids / sizeof ids[0] };
	struct fixture *f = *state;
	struct evaluation_row evaluations[COUNT];
	for (int i = 0; i < COUNT; i++) {
		evaluations[i] = add_ended(f, 100 + i);
		char sql[128];
		snprintf(sql, sizeof sql, "UPDATE evaluations SET id = '%s' WHERE seq = %d", ids[i],
			 (int)evaluations[i].seq);
		run(f, sql);
		snprintf(evaluations[i].id, sizeof evaluations[i].id, "%s", ids[i]);
		keep(f, &evaluations[i]);
	}
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < COUNT; i++)
			assert_true(is_kept(f, &evaluations[i], FORMAT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_replies_are_wanted_of_what_has_ended, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_replies_go_with_every_change, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_replies_go_with_a_resume_and_with_the_evaluation, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_replies_are_found_by_their_own_ids, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
