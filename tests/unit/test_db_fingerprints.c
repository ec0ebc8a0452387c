/* Which jobs may be reused. */
#include "db/fingerprints.h"
#include "db/likenesses.h"
#include "db/placements.h"
#include "db/results.h"
#include "db_fixture.h"

static const char one[] = "1111111111111111111111111111111111111111111111111111111111111111";
static const char two[] = "2222222222222222222222222222222222222222222222222222222222222222";

struct run {
	const char *protocol;
	const char *began; /* with this fingerprint, and ended with that */
	const char *ended;
	enum chain_state state;
	bool no_scores;
	const char *identity;
	int64_t seq; /* once it is stored */
};

static void add_run(struct fixture *f, struct run *run)
{
	static int number;
	struct evaluation_row evaluation = sample_evaluation(++number);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row row = sample_job(&evaluation, 0);
	const struct likeness_row subject = {"aa", "{}"};
	const struct likeness_row how = {run->protocol != NULL ? run->protocol : "cc", "{}"};
	struct score score = {.task = (char *)"gsm8k", .metric = (char *)"acc", .score = (char *)"acc", .value = 0.5};
	row.state = run->state != CHAIN_QUEUED ? run->state : CHAIN_SUCCEEDED;
	if (run->identity != NULL)
		row.identity = (char *)run->identity;
	assert_ok(f, jobs_insert(f->db, &row, &f->err));
	assert_ok(f, likenesses_set(f->db, row.seq, &subject, &how, &f->err));
	if (!run->no_scores)
		assert_ok(f, results_replace(f->db, row.seq, &score, 1, 1000, &f->err));
	assert_ok(f, fingerprints_put(f->db, row.seq, "[\"/c\"]", run->began != NULL ? run->began : one, &f->err));
	if (run->ended == NULL || run->ended[0] != '-')
		assert_ok(f, fingerprints_settle(f->db, row.seq, run->ended != NULL ? run->ended : one, &f->err));
	run->seq = row.seq;
}

static struct fingerprint_candidates ask(struct fixture *f, int64_t but)
{
	struct fingerprint_candidates found;
	const struct fingerprint_question question = {.but = but,
						      .task = "gsm8k",
						      .model = "meta/llama",
						      .cluster = "alpha",
						      .identity = "svc-nel",
						      .subject_hash = "aa",
						      .protocol_hash = "cc"};
	assert_ok(f, fingerprints_candidates(f->db, &question, &found, &f->err));
	return found;
}

static void test_fingerprints_candidates_are_the_newest_of_each_fingerprint(void **state)
{
	struct fixture *f = *state;
	struct run runs[] = {
	    {.began = two, .ended = two},
	    {.ended = one},
	    {.ended = one},
	    {.ended = two},
	    {.ended = ""},
	    {.ended = "-"},
	    {.protocol = "dd"},
	    {.state = CHAIN_FAILED},
	    {.no_scores = true},
	    {.began = ""},
	    {.identity = "other"},
	};
	assert_int_equal(ask(f, 0).count, 0);
	for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
		add_run(f, &runs[i]);
	struct fingerprint_candidates found = ask(f, 0);
	assert_int_equal(found.count, 2);
	assert_int_equal(found.items[0].job_seq, runs[2].seq);
	assert_string_equal(found.items[0].fingerprint, one);
	assert_int_equal(found.items[1].job_seq, runs[0].seq);
	assert_int_equal(ask(f, runs[2].seq).items[0].job_seq, runs[1].seq);
}

static void test_fingerprints_put_of_another_one_makes_it_none_to_reuse(void **state)
{
	struct fixture *f = *state;
	struct run run = {.ended = "-"};
	CLEANUP(mem_freep) char *checkpoints = NULL;
	add_run(f, &run);
	assert_ok(f, fingerprints_put(f->db, run.seq, "[\"/c\"]", one, &f->err));
	assert_ok(f, fingerprints_unsettled(f->db, run.seq, &checkpoints, &f->err));
	assert_string_equal(checkpoints, "[\"/c\"]");
	free(TAKE(checkpoints));
	assert_ok(f, fingerprints_put(f->db, run.seq, "[\"/c\"]", two, &f->err));
	assert_ok(f, fingerprints_put(f->db, run.seq, "[\"/c\"]", one, &f->err));
	assert_ok(f, fingerprints_unsettled(f->db, run.seq, &checkpoints, &f->err));
	assert_null(checkpoints);
	assert_ok(f, fingerprints_settle(f->db, run.seq, one, &f->err));
	assert_int_equal(ask(f, 0).count, 0);
}

/* A look at the scores long after the end tells nothing of the run. */
static void test_fingerprints_settle_counts_once(void **state)
{
	struct fixture *f = *state;
	struct run run = {.ended = one};
	add_run(f, &run);
	assert_ok(f, fingerprints_settle(f->db, run.seq, two, &f->err));
	assert_int_equal(ask(f, 0).count, 1);
}

static void test_fingerprints_copy_stands_for_the_other_when_that_is_gone(void **state)
{
	struct fixture *f = *state;
	struct run run = {.ended = one};
	struct run reused = {.ended = "-", .began = two};
	struct job_row row = {0};
	add_run(f, &run);
	add_run(f, &reused);
	char *message = NULL;
	assert_ok(f, jobs_get_seq(f->db, run.seq, &row, &f->err));
	assert_ok(f, fingerprints_copy(f->db, run.seq, reused.seq, &f->err));
	assert_ok(f, jobs_set_reused(f->db, reused.seq, row.id, row.job_dir, &f->err));
	assert_int_equal(ask(f, 0).count, 1);
	assert_int_equal(ask(f, 0).items[0].job_seq, run.seq);
	CLEANUP(mem_freep) char *prune = mem_printf("DELETE FROM evaluations WHERE id = '%s'", row.evaluation);
	assert_int_equal(sqlite3_exec(f->db->sqlite, prune, NULL, NULL, &message), 0);
	assert_int_equal(ask(f, 0).items[0].job_seq, reused.seq);
	job_row_done(&row);
}

/* What its checkpoints are where it was says nothing of those where it goes. */
static void test_fingerprints_are_forgotten_of_a_job_that_moves(void **state)
{
	struct fixture *f = *state;
	struct run run = {.ended = "-"};
	struct run other = {.ended = "-"};
	struct job_row row = {0};
	CLEANUP(mem_freep) char *checkpoints = NULL;
	add_run(f, &run);
	add_run(f, &other);
	assert_ok(f, jobs_get_seq(f->db, run.seq, &row, &f->err));
	free(row.cluster);
	row.cluster = mem_strdup("beta");
	assert_ok(f, placements_move_job(f->db, &row, "moved", 1000, &f->err));
	assert_ok(f, fingerprints_unsettled(f->db, run.seq, &checkpoints, &f->err));
	assert_null(checkpoints);
	assert_ok(f, fingerprints_put(f->db, run.seq, "[\"/d\"]", two, &f->err));
	assert_ok(f, fingerprints_unsettled(f->db, run.seq, &checkpoints, &f->err));
	assert_string_equal(checkpoints, "[\"/d\"]");
	free(TAKE(checkpoints));
	assert_ok(f, fingerprints_unsettled(f->db, other.seq, &checkpoints, &f->err));
	assert_non_null(checkpoints);
	job_row_done(&row);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_fingerprints_candidates_are_the_newest_of_each_fingerprint),
	    TEST(test_fingerprints_put_of_another_one_makes_it_none_to_reuse),
	    TEST(test_fingerprints_settle_counts_once),
	    TEST(test_fingerprints_are_forgotten_of_a_job_that_moves),
	    TEST(test_fingerprints_copy_stands_for_the_other_when_that_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
