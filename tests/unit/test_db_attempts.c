/* db/attempts.c: intents, their course, the scripts. */
#include "db_fixture.h"

#include "db/attempts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Returns its chain. */
static int64_t add_job(struct fixture *f)
{
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct chain_row before_it = {.number = 99, .resume_mode = (char *)"off", .resume_on = (char *)""};
	assert_ok(f, chains_insert(f->db, evaluation.seq, &before_it, &f->err));
	struct job_row job = sample_job(&evaluation, 0);
	assert_ok(f, jobs_insert(f->db, &job, &f->err));
	return job.chain.seq;
}

/* Strings are literals: not to be given to attempt_row_done(). */
static struct attempt_row sample_attempt(int64_t chain_seq, int number)
{
	static char names[10][16];
	snprintf(names[number], sizeof names[number], "nel-x-%d", number);
	return (struct attempt_row){
	    .chain_seq = chain_seq,
	    .number = number,
	    .jobs = (char *)"[\"0000000000000001.0\"]",
	    .job_name = names[number],
	    .time_limit_s = 3600,
	    .intended_at = 100 * number,
	    .elapsed_s = -1,
	    .exit_code = -1,
	};
}

static void assert_same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		assert_ptr_equal(a, b);
	else
		assert_string_equal(a, b);
}

static void assert_same_attempt(const struct attempt_row *a, const struct attempt_row *b)
{
	const char *const texts[][2] = {
	    {a->jobs, b->jobs},
	    {a->job_name, b->job_name},
	    {a->after_job, b->after_job},
	    {a->exclude_node, b->exclude_node},
	    {a->slurm_job_id, b->slurm_job_id},
	    {a->slurm_state, b->slurm_state},
	    {a->nodes, b->nodes},
	    {a->pending_reason, b->pending_reason},
	};
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_same_text(texts[i][0], texts[i][1]);
	const int64_t numbers[][2] = {
	    {a->chain_seq, b->chain_seq},       {a->number, b->number},
	    {a->time_limit_s, b->time_limit_s}, {a->intended_at, b->intended_at},
	    {a->submitted_at, b->submitted_at}, {a->started_at, b->started_at},
	    {a->ended_at, b->ended_at},         {a->elapsed_s, b->elapsed_s},
	    {a->exit_code, b->exit_code},       {a->signal, b->signal},
	    {a->absent_since, b->absent_since},
	};
	for (size_t i = 0; i < COUNT(numbers); i++)
		assert_int_equal(numbers[i][0], numbers[i][1]);
}

static void test_attempts_insert_update_get_every_column(void **state)
{
	struct fixture *f = *state;
	int64_t chain = add_job(f);
	struct attempt_row row = sample_attempt(chain, 2);
	row.after_job = (char *)"41";
	row.exclude_node = (char *)"n7";
	for (int step = 0; step < 3; step++) {
		CLEANUP(attempt_row_done) struct attempt_row got = {0};
		if (step == 0)
			assert_ok(f, attempts_insert(f->db, &row, "#!/bin/bash\n", "true\n", &f->err));
		if (step == 1) {
			row.slurm_job_id = (char *)"42";
			row.slurm_state = (char *)"NODE_FAIL";
			row.submitted_at = 1;
			row.started_at = 2;
			row.ended_at = 3;
			row.elapsed_s = 0;
			row.exit_code = 0;
			row.signal = 9;
			row.nodes = (char *)"n[1-2]";
			row.pending_reason = (char *)"Priority";
			row.absent_since = 4;
			assert_ok(f, attempts_update(f->db, &row, &f->err));
		}
		if (step == 2) { /* what is unknown again */
			row.slurm_state = NULL;
			row.ended_at = 0;
			row.elapsed_s = -1;
			row.exit_code = -1;
			row.signal = 0;
			row.absent_since = 0;
			assert_ok(f, attempts_update(f->db, &row, &f->err));
		}
		assert_ok(f, attempts_get(f->db, chain, 2, &got, &f->err));
		assert_same_attempt(&got, &row);
	}
	struct attempt_row none = sample_attempt(chain, 3);
	assert_refused(f, NEL_NOTFOUND, attempts_get(f->db, chain, 3, &none, &f->err));
	assert_refused(f, NEL_NOTFOUND, attempts_update(f->db, &none, &f->err));
}

static void test_attempts_insert_taken_number_or_name_is_a_conflict(void **state)
{
	struct fixture *f = *state;
	int64_t chain = add_job(f);
	struct attempt_row row = sample_attempt(chain, 1);
	assert_ok(f, attempts_insert(f->db, &row, "h", "b", &f->err));
	assert_refused(f, NEL_CONFLICT, attempts_insert(f->db, &row, "h", "other", &f->err));
	struct attempt_row same_number = sample_attempt(chain, 2);
	same_number.number = 1;
	assert_refused(f, NEL_CONFLICT, attempts_insert(f->db, &same_number, "h", "other", &f->err));
	struct attempt_row same_name = sample_attempt(chain, 3);
	same_name.job_name = row.job_name;
	assert_refused(f, NEL_CONFLICT, attempts_insert(f->db, &same_name, "h", "other", &f->err));
	struct attempt_row no_chain = sample_attempt(chain + 7, 4);
	assert_refused(f, NEL_DB, attempts_insert(f->db, &no_chain, "h", "other", &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM attempts"), 1);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM script_bodies"), 1);
}

static void test_attempts_of_chain_by_number_and_elapsed(void **state)
{
	struct fixture *f = *state;
	int64_t chain = add_job(f);
	int64_t elapsed_s = -1;
	assert_ok(f, attempts_elapsed(f->db, chain, 1, &elapsed_s, &f->err));
	assert_int_equal(elapsed_s, 0);
	static const int numbers[] = {3, 1, 2};
	static const int64_t elapsed[] = {-1, 40, 2};
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct attempt_row row = sample_attempt(chain, numbers[i]);
		row.elapsed_s = elapsed[i];
		assert_ok(f, attempts_insert(f->db, &row, "h", "b", &f->err));
	}
	CLEANUP(attempt_list_done) struct attempt_list list = {0};
	assert_ok(f, attempts_of_chain(f->db, chain, &list, &f->err));
	assert_int_equal(list.count, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(list.items[i].number, i + 1);
	assert_ok(f, attempts_elapsed(f->db, chain, 1, &elapsed_s, &f->err));
	assert_int_equal(elapsed_s, 42);
}

static void test_attempts_script_is_what_was_stored_and_bodies_are_shared(void **state)
{
	struct fixture *f = *state;
	int64_t chain = add_job(f);
	static const struct {
		const char *header, *body;
	} scripts[] = {{"#!/bin/bash\n#SBATCH --time=1\n", "echo 'a%s'\n"},
		       {"#!/bin/bash\n#SBATCH --time=2\n", "echo 'a%s'\n"},
		       {"", "other\n"},
		       {"h", ""}};
	for (size_t i = 0; i < COUNT(scripts); i++) {
		struct attempt_row row = sample_attempt(chain, (int)i + 1);
		assert_ok(f, attempts_insert(f->db, &row, scripts[i].header, scripts[i].body, &f->err));
	}
	for (size_t i = 0; i < COUNT(scripts); i++) {
		CLEANUP(mem_freep) char *text = NULL;
		CLEANUP(mem_freep) char *expected = mem_printf("%s%s", scripts[i].header, scripts[i].body);
		assert_ok(f, attempts_script(f->db, chain, (int)i + 1, &text, &f->err));
		assert_string_equal(text, expected);
	}
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM script_bodies"), 3);
	/* SHA-256 of nothing: FIPS 180-4 */
	assert_int_equal(query_number(f->db->sqlite,
				      "SELECT count(*) FROM script_bodies WHERE text = '' AND hash ="
				      " 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'"),
			 1);
	char *none = NULL;
	assert_refused(f, NEL_NOTFOUND, attempts_script(f->db, chain, 9, &none, &f->err));
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_attempts_insert_update_get_every_column),
	    READY(test_attempts_insert_taken_number_or_name_is_a_conflict),
	    READY(test_attempts_of_chain_by_number_and_elapsed),
	    READY(test_attempts_script_is_what_was_stored_and_bodies_are_shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
