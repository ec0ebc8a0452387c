/* db/jobs.c: jobs, their states and history, the scheduler's lists, the filters against a naive one. */
#include "db_fixture.h"

#include "db/attempts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One evaluation with `count` jobs; their numbers into seqs. */
static struct evaluation_row add_jobs(struct fixture *f, int number, int count, int64_t *seqs)
{
	struct evaluation_row evaluation = sample_evaluation(number);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	for (int i = 0; i < count; i++) {
		struct job_row job = sample_job(&evaluation, i);
		assert_ok(f, jobs_insert(f->db, &job, &f->err));
		seqs[i] = job.seq;
	}
	return evaluation;
}

static void assert_same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		assert_ptr_equal(a, b);
	else
		assert_string_equal(a, b);
}

static void assert_same_job(const struct job_row *a, const struct job_row *b)
{
	assert_string_equal(a->id, b->id);
	assert_string_equal(a->evaluation, b->evaluation);
	const char *const texts[][2] = {
	    {a->user, b->user},
	    {a->cluster, b->cluster},
	    {a->identity, b->identity},
	    {a->task, b->task},
	    {a->model, b->model},
	    {a->job_dir, b->job_dir},
	    {a->reason, b->reason},
	    {a->waiting_on, b->waiting_on},
	    {a->chain.resume_mode, b->chain.resume_mode},
	    {a->chain.resume_on, b->chain.resume_on},
	    {a->chain.slurm_job_id, b->chain.slurm_job_id},
	    {a->partition, b->partition},
	    {a->account, b->account},
	    {a->export_, b->export_},
	    {a->cancel_requested_by, b->cancel_requested_by},
	};
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_same_text(texts[i][0], texts[i][1]);
	const int64_t numbers[][2] = {
	    {a->seq, b->seq},
	    {a->evaluation_seq, b->evaluation_seq},
	    {a->index, b->index},
	    {a->state, b->state},
	    {a->chain.walltime_s, b->chain.walltime_s},
	    {a->chain.budget_limit_s, b->chain.budget_limit_s},
	    {a->chain.budget_used_s, b->chain.budget_used_s},
	    {a->chain.max_attempts, b->chain.max_attempts},
	    {a->chain.attempt, b->chain.attempt},
	    {a->chain.failures, b->chain.failures},
	    {a->gpus, b->gpus},
	    {a->chain.not_before, b->chain.not_before},
	    {a->cancel_requested_at, b->cancel_requested_at},
	    {a->progress, b->progress},
	    {a->progress_total, b->progress_total},
	    {a->window.from_at, b->window.from_at},
	    {a->window.from_requests, b->window.from_requests},
	    {a->window.next_at, b->window.next_at},
	    {a->window.next_requests, b->window.next_requests},
	    {a->observed_at, b->observed_at},
	    {a->created_at, b->created_at},
	    {a->updated_at, b->updated_at},
	    {a->started_at, b->started_at},
	    {a->ended_at, b->ended_at},
	    {a->collected, b->collected},
	    {a->version, b->version},
	};
	for (size_t i = 0; i < COUNT(numbers); i++)
		assert_int_equal(numbers[i][0], numbers[i][1]);
}

static void test_jobs_insert_and_get_every_column(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row evaluation = sample_evaluation(1);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	struct job_row rows[] = {sample_job(&evaluation, 0), sample_job(&evaluation, 12)};
	rows[1].reason = (char *)"node n7 failed";
	rows[1].waiting_on = (char *)"credentials for alpha";
	rows[1].chain.slurm_job_id = (char *)"4711";
	rows[1].cancel_requested_by = (char *)"bert";
	rows[1].state = CHAIN_FAILED;
	rows[1].chain.budget_limit_s = 7200;
	rows[1].chain.budget_used_s = 60;
	rows[1].chain.max_attempts = 9;
	rows[1].chain.attempt = 3;
	rows[1].chain.failures = 2;
	rows[1].partition = (char *)"gpu";
	rows[1].account = (char *)"team";
	rows[1].gpus = 8;
	rows[0].gpus = -1;
	rows[1].chain.not_before = 11;
	rows[1].cancel_requested_at = 12;
	rows[1].progress = 0;
	rows[1].progress_total = 20;
	rows[1].window = (struct progress_window){1, 2, 3, 4};
	rows[1].observed_at = 13;
	rows[1].started_at = 14;
	rows[1].ended_at = 15;
	rows[1].collected = true;
	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(job_row_done) struct job_row by_id = {0};
		CLEANUP(job_row_done) struct job_row by_seq = {0};
		assert_ok(f, jobs_insert(f->db, &rows[i], &f->err));
		assert_ok(f, jobs_get(f->db, rows[i].id, &by_id, &f->err));
		assert_ok(f, jobs_get_seq(f->db, rows[i].seq, &by_seq, &f->err));
		assert_same_job(&by_id, &rows[i]);
		assert_same_job(&by_seq, &rows[i]);
	}
	struct job_row none = {0};
	assert_refused(f, NEL_NOTFOUND, jobs_get(f->db, "0000000000000001.1", &none, &f->err));
	assert_refused(f, NEL_NOTFOUND, jobs_get_seq(f->db, 99, &none, &f->err));
	assert_refused(f, NEL_CONFLICT, jobs_insert(f->db, &rows[1], &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM history"), 2);
}

static void assert_waits_in_slurm(struct fixture *f, int64_t seq, const char *reason, int64_t expected_start)
{
	CLEANUP(job_row_done) struct job_row job = {0};
	assert_ok(f, jobs_get_seq(f->db, seq, &job, &f->err));
	assert_same_text(reason, job.queue.slurm_reason);
	assert_int_equal(expected_start, job.queue.expected_start);
}

static int64_t chain_of(struct fixture *f, int64_t seq)
{
	CLEANUP(job_row_done) struct job_row row = {0};
	assert_ok(f, jobs_get_seq(f->db, seq, &row, &f->err));
	return row.chain.seq;
}

static void test_jobs_get_shows_why_slurm_lets_it_wait_while_it_does(void **state)
{
	struct fixture *f = *state;
	int64_t seqs[1];
	add_jobs(f, 1, 1, seqs);
	static const char *const reasons[] = {"Priority", "Resources"};
	for (int number = 1; number <= 2; number++) {
		CLEANUP(mem_freep) char *name = mem_printf("nel-x-%d", number);
		struct attempt_row row = {.chain_seq = chain_of(f, seqs[0]),
					  .jobs = (char *)"[]",
					  .number = number,
					  .job_name = name,
					  .elapsed_s = -1,
					  .exit_code = -1,
					  .pending_reason = (char *)reasons[number - 1],
					  .start_estimate = 1000 * number};
		assert_ok(f, attempts_insert(f->db, &row, "h", "b", &f->err));
		assert_ok(f, attempts_update(f->db, &row, &f->err));
	}
	assert_waits_in_slurm(f, seqs[0], NULL, 0);
	const char *sql = "UPDATE chains SET attempt = 2; UPDATE jobs SET state = 'pending'";
	assert_int_equal(sqlite3_exec(f->db->sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_waits_in_slurm(f, seqs[0], "Resources", 2000);
	assert_int_equal(sqlite3_exec(f->db->sqlite, "UPDATE jobs SET state = 'running'", NULL, NULL, NULL), SQLITE_OK);
	assert_waits_in_slurm(f, seqs[0], NULL, 0);
}

static void test_jobs_insert_out_of_order_is_refused(void **state)
{
	struct fixture *f = *state;
	struct evaluation_row first = sample_evaluation(1);
	struct evaluation_row second = sample_evaluation(2);
	assert_ok(f, evaluations_insert(f->db, &first, &f->err));
	assert_ok(f, evaluations_insert(f->db, &second, &f->err));
	struct job_row row = sample_job(&second, 1);
	assert_ok(f, jobs_insert(f->db, &row, &f->err));
	row = sample_job(&second, 0);
	assert_refused(f, NEL_INTERNAL, jobs_insert(f->db, &row, &f->err));
	row = sample_job(&first, 5);
	assert_refused(f, NEL_INTERNAL, jobs_insert(f->db, &row, &f->err));
	row = sample_job(&second, 2);
	assert_ok(f, jobs_insert(f->db, &row, &f->err));
}

static void test_jobs_get_unknown_state_is_an_error(void **state)
{
	struct fixture *f = *state;
	int64_t seq = 0;
	struct job_row row = {0};
	struct job_list list = {0};
	int counts[CHAIN_STATE_COUNT];
	struct evaluation_row evaluation = add_jobs(f, 1, 1, &seq);
	assert_int_equal(sqlite3_exec(f->db->sqlite,
				      "DROP TRIGGER jobs_state_update; UPDATE jobs SET state = 'dreaming'", NULL, NULL,
				      NULL),
			 SQLITE_OK);
	assert_refused(f, NEL_DB, jobs_get_seq(f->db, seq, &row, &f->err));
	assert_refused(f, NEL_DB, jobs_list_active(f->db, &list, &f->err));
	assert_refused(f, NEL_DB, jobs_counts(f->db, evaluation.seq, counts, &f->err));
}

static void test_jobs_set_state_only_from_the_stored_one(void **state)
{
	struct fixture *f = *state;
	CLEANUP(db_freep) struct db *other = NULL;
	int64_t seq = 0;
	struct evaluation_row evaluation = add_jobs(f, 1, 1, &seq);
	assert_ok(f, db_open(f->path, &other, &f->err));

	assert_ok(f, jobs_set_state(f->db, seq, CHAIN_QUEUED, CHAIN_SUBMITTING, "sent", "a lane", 0, 2000, &f->err));
	assert_refused(f, NEL_CONFLICT,
		       jobs_set_state(other, seq, CHAIN_QUEUED, CHAIN_CANCELLED, NULL, NULL, 9, 9, &f->err));
	assert_string_equal(f->err.msg, "job 0000000000000001.0 is submitting, not queued");
	assert_refused(f, NEL_NOTFOUND,
		       jobs_set_state(other, 99, CHAIN_QUEUED, CHAIN_CANCELLED, NULL, NULL, 9, 9, &f->err));
	assert_ok(f, jobs_set_state(other, seq, CHAIN_SUBMITTING, CHAIN_FAILED, NULL, NULL, 3000, 3001, &f->err));

	CLEANUP(job_row_done) struct job_row row = {0};
	assert_ok(f, jobs_get_seq(f->db, seq, &row, &f->err));
	struct job_row expected = sample_job(&evaluation, 0);
	expected.seq = seq;
	expected.state = CHAIN_FAILED;
	expected.ended_at = 3000;
	expected.updated_at = 3001;
	expected.version = 3;
	assert_same_job(&row, &expected);

	CLEANUP(history_list_done) struct history_list history = {0};
	assert_ok(f, history_of_job(f->db, seq, &history, &f->err));
	static const struct {
		int64_t at;
		const char *from, *to, *reason;
	} rows[] = {
	    {1001, NULL, "queued", NULL}, {2000, "queued", "submitting", "sent"}, {3001, "submitting", "failed", NULL}};
	assert_int_equal(history.count, COUNT(rows));
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(history.items[i].at, rows[i].at);
		assert_same_text(history.items[i].from, rows[i].from);
		assert_same_text(history.items[i].to, rows[i].to);
		assert_same_text(history.items[i].reason, rows[i].reason);
	}
}

/* A refused change leaves the caller's transaction usable. */
static void test_jobs_set_state_conflict_within_transaction_keeps_it(void **state)
{
	struct fixture *f = *state;
	int64_t seqs[2];
	add_jobs(f, 1, 2, seqs);
	assert_ok(f, db_begin(f->db, &f->err));
	assert_ok(f, jobs_set_state(f->db, seqs[0], CHAIN_QUEUED, CHAIN_SUBMITTING, NULL, NULL, 0, 2, &f->err));
	assert_refused(f, NEL_CONFLICT,
		       jobs_set_state(f->db, seqs[1], CHAIN_RUNNING, CHAIN_FAILED, NULL, NULL, 3, 3, &f->err));
	assert_ok(f, db_commit(f->db, &f->err));
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM jobs WHERE state = 'submitting'"), 1);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM history"), 3);
}

static void test_jobs_set_state_resuming_an_ended_job_forgets_its_end(void **state)
{
	struct fixture *f = *state;
	int64_t seq = 0;
	int marked = 0;
	add_jobs(f, 1, 1, &seq);
	assert_ok(f, jobs_request_cancel(f->db, "0000000000000001.0", "bert", 5, &marked, &f->err));
	assert_ok(f, jobs_set_state(f->db, seq, CHAIN_QUEUED, CHAIN_CANCELLING, NULL, NULL, 0, 6, &f->err));
	CLEANUP(job_row_done) struct job_row row = {0};
	assert_ok(f, jobs_get_seq(f->db, seq, &row, &f->err));
	assert_int_equal(row.cancel_requested_at, 5); /* a change among live states keeps the request */
	assert_ok(f, jobs_set_state(f->db, seq, CHAIN_CANCELLING, CHAIN_CANCELLED, NULL, NULL, 7, 7, &f->err));
	assert_ok(f, jobs_set_collected(f->db, seq, &f->err));
	job_row_done(&row);
	assert_ok(f, jobs_get_seq(f->db, seq, &row, &f->err));
	assert_int_equal(row.cancel_requested_at, 5);
	assert_true(row.collected);
	assert_ok(f, jobs_set_state(f->db, seq, CHAIN_CANCELLED, CHAIN_QUEUED, NULL, NULL, 0, 8, &f->err));
	job_row_done(&row);
	assert_ok(f, jobs_get_seq(f->db, seq, &row, &f->err));
	assert_int_equal(row.cancel_requested_at, 0);
	assert_null(row.cancel_requested_by);
	assert_false(row.collected);
	assert_int_equal(row.ended_at, 0);
}

static void test_jobs_update_writes_what_it_counts_only(void **state)
{
	struct fixture *f = *state;
	int64_t seq = 0;
	struct evaluation_row evaluation = add_jobs(f, 1, 1, &seq);
	struct job_row change = {.seq = seq,
				 .waiting_on = (char *)"a slot",
				 .progress = 5,
				 .progress_total = 6,
				 .window = {7, 8, 9, 10},
				 .export_ = (char *)"{}",
				 .observed_at = 40,
				 .started_at = 50,
				 .updated_at = 60,
				 .state = CHAIN_FAILED,
				 .task = (char *)"not this"};
	struct job_row expected = sample_job(&evaluation, 0);
	expected.seq = seq;
	expected.waiting_on = change.waiting_on;
	expected.progress = 5;
	expected.progress_total = 6;
	expected.window = change.window;
	expected.export_ = change.export_;
	expected.observed_at = 40;
	expected.started_at = 50;
	expected.updated_at = 60;
	expected.version = 2;
	CLEANUP(job_row_done) struct job_row row = {0};
	assert_ok(f, jobs_update(f->db, &change, &f->err));
	assert_ok(f, jobs_get_seq(f->db, seq, &row, &f->err));
	assert_same_job(&row, &expected);
	change.seq = 99;
	assert_refused(f, NEL_NOTFOUND, jobs_update(f->db, &change, &f->err));
	assert_refused(f, NEL_NOTFOUND, jobs_set_collected(f->db, 99, &f->err));
}

static void test_jobs_request_cancel_marks_live_jobs(void **state)
{
	struct fixture *f = *state;
	int64_t seqs[2];
	int marked = -1;
	CLEANUP(job_list_done) struct job_list list = {0};
	add_jobs(f, 1, 2, seqs);
	assert_ok(f, jobs_take_attention(f->db, seqs[1], &list, &f->err));
	assert_ok(f, jobs_set_state(f->db, seqs[1], CHAIN_QUEUED, CHAIN_FAILED, NULL, NULL, 3, 3, &f->err));
	static const struct {
		const char *id, *by;
		int marked;
	} cases[] = {{"0000000000000001.0", "anna", 1},
		     {"0000000000000001.0", "bert", 1},
		     {"0000000000000001.1", "anna", 0},
		     {"0000000000000001.2", "anna", 0}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_ok(f, jobs_request_cancel(f->db, cases[i].id, cases[i].by, 10 + (int64_t)i, &marked, &f->err));
		assert_int_equal(marked, cases[i].marked);
	}
	job_list_done(&list);
	assert_ok(f, jobs_take_attention(f->db, seqs[1], &list, &f->err));
	assert_int_equal(list.count, 1);
	assert_int_equal(list.items[0].seq, seqs[0]);
	assert_int_equal(list.items[0].cancel_requested_at, 10);
	assert_string_equal(list.items[0].cancel_requested_by, "anna");
	assert_int_equal(list.items[0].updated_at, 11);
}

/* Lost, it would run on although its cancellation was accepted. */
static void test_jobs_request_cancel_withdraws_a_resumption_that_nobody_has_begun(void **state)
{
	struct fixture *f = *state;
	int64_t seq;
	int marked = -1;
	CLEANUP(job_row_done) struct job_row job = {0};
	add_jobs(f, 1, 1, &seq);
	assert_ok(f, jobs_set_state(f->db, seq, CHAIN_QUEUED, CHAIN_FAILED, NULL, NULL, 3, 3, &f->err));
	assert_ok(f, jobs_request_resume(f->db, "0000000000000001.0", "anna", false, 5, &marked, &f->err));
	assert_ok(f, jobs_request_cancel(f->db, "0000000000000001.0", "bert", 6, &marked, &f->err));
	assert_int_equal(marked, 1);
	assert_ok(f, jobs_get(f->db, "0000000000000001.0", &job, &f->err));
	assert_int_equal(job.resume_requested_at, 0);
	assert_int_equal(job.cancel_requested_at, 0);
	assert_int_equal(job.state, CHAIN_FAILED);
	assert_ok(f, jobs_request_cancel(f->db, "0000000000000001.0", "bert", 7, &marked, &f->err));
	assert_int_equal(marked, 0);
}

static void test_jobs_take_attention_gives_new_ones_and_each_mark_once(void **state)
{
	struct fixture *f = *state;
	int64_t seqs[3];
	add_jobs(f, 1, 3, seqs);
	int marked = -1;
	assert_ok(f, jobs_request_cancel(f->db, "0000000000000001.1", "anna", 5, &marked, &f->err));
	const struct {
		int64_t after;
		size_t first, count;
	} cases[] = {{0, 0, 3}, {seqs[2], 1, 1}, {seqs[2], 0, 0}, {seqs[1], 2, 1}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(job_list_done) struct job_list list = {0};
		CLEANUP(db_rollbackp) struct db *tx = f->db;
		assert_ok(f, db_begin(tx, &f->err));
		assert_ok(f, jobs_take_attention(tx, cases[i].after, &list, &f->err));
		assert_int_equal(list.count, cases[i].count);
		for (size_t k = 0; k < list.count; k++)
			assert_int_equal(list.items[k].seq, seqs[cases[i].first + k]);
		if (i > 0) /* the first time rolls back: the marks are there again */
			assert_ok(f, db_commit(tx, &f->err));
	}
}

static void test_jobs_list_live_until_ended_and_collected(void **state)
{
	struct fixture *f = *state;
	int64_t seqs[3];
	CLEANUP(job_list_done) struct job_list list = {0};
	add_jobs(f, 1, 3, seqs);
	for (int i = 0; i < 2; i++)
		assert_ok(f, jobs_set_state(f->db, seqs[i], CHAIN_QUEUED, CHAIN_FAILED, NULL, NULL, 3, 3, &f->err));
	assert_ok(f, jobs_set_collected(f->db, seqs[0], &f->err));
	assert_ok(f, jobs_list_active(f->db, &list, &f->err));
	assert_int_equal(list.count, 2);
	assert_int_equal(list.items[0].seq, seqs[1]);
	assert_int_equal(list.items[1].seq, seqs[2]);
}

static void test_jobs_of_evaluation_and_counts(void **state)
{
	struct fixture *f = *state;
	int64_t seqs[20];
	int counts[CHAIN_STATE_COUNT];
	add_jobs(f, 1, 2, seqs);
	struct evaluation_row evaluation = add_jobs(f, 2, 20, seqs);
	add_jobs(f, 3, 1, &(int64_t){0});
	for (int i = 0; i < 5; i++)
		assert_ok(f, jobs_set_state(f->db, seqs[i], CHAIN_QUEUED, CHAIN_RUNNING, NULL, NULL, 0, 3, &f->err));
	assert_ok(f, jobs_counts(f->db, evaluation.seq, counts, &f->err));
	for (int i = 0; i < CHAIN_STATE_COUNT; i++)
		assert_int_equal(counts[i], i == CHAIN_QUEUED ? 15 : i == CHAIN_RUNNING ? 5 : 0);
	CLEANUP(job_list_done) struct job_list list = {0};
	assert_ok(f, jobs_of_evaluation(f->db, evaluation.id, &list, &f->err));
	assert_int_equal(list.count, 20);
	for (int i = 0; i < 20; i++)
		assert_int_equal(list.items[i].index, i);
	CLEANUP(job_list_done) struct job_list none = {0};
	assert_ok(f, jobs_of_evaluation(f->db, "00000000000000ff", &none, &f->err));
	assert_int_equal(none.count, 0);
}

static const enum chain_state states[] = {CHAIN_QUEUED, CHAIN_RUNNING, CHAIN_SUCCEEDED, CHAIN_BUDGET_EXHAUSTED};
static const char *const users[] = {"anna", "bert", "cleo"};
static const char *const clusters[] = {"alpha", "beta"};
static const char *const tasks[] = {"gsm8k", "mmlu", "ifeval"};

#define JOBS_PER_EVALUATION 3

/* `count` jobs that look random. */
static struct job_row *fill_store(struct fixture *f, int count)
{
	struct job_row *all = mem_calloc((size_t)count, sizeof *all);
	struct evaluation_row evaluation = {0};
	unsigned seed = 99;
	assert_ok(f, db_begin(f->db, &f->err));
	for (int i = 0; i < count; i++) {
		if (i % JOBS_PER_EVALUATION == 0) {
			evaluation = sample_evaluation(i / JOBS_PER_EVALUATION + 1);
			evaluation.user = (char *)users[next_random(&seed, COUNT(users))];
			evaluation.cluster = (char *)clusters[next_random(&seed, COUNT(clusters))];
			assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
		}
		all[i] = sample_job(&evaluation, i % JOBS_PER_EVALUATION);
		all[i].state = states[i % 83 == 7 ? 3 : next_random(&seed, 3)];
		all[i].task = (char *)tasks[next_random(&seed, COUNT(tasks))];
		assert_ok(f, jobs_insert(f->db, &all[i], &f->err));
	}
	assert_ok(f, db_commit(f->db, &f->err));
	return all;
}

static bool lets_through(const struct job_filter *filter, const struct job_row *row)
{
	return (filter->state == NULL || strcmp(chain_state_name(row->state), filter->state) == 0) &&
	       (filter->evaluation == NULL || strcmp(row->evaluation, filter->evaluation) == 0) &&
	       (filter->user == NULL || strcmp(row->user, filter->user) == 0) &&
	       (filter->cluster == NULL || strcmp(row->cluster, filter->cluster) == 0) &&
	       (filter->task == NULL || strcmp(row->task, filter->task) == 0);
}

static void assert_same_job_at(struct fixture *f, int64_t seq, const struct job_row *expected)
{
	CLEANUP(job_row_done) struct job_row row = {0};
	assert_ok(f, jobs_get_seq(f->db, seq, &row, &f->err));
	assert_same_job(&row, expected);
}

static int compare(struct fixture *f, struct job_filter filter, const struct job_row *all, int count)
{
	int found = 0;
	int at = count;
	filter.position = 0;
	for (;;) {
		struct seq_list page = {0};
		assert_ok(f, jobs_list(f->db, &filter, &page, &f->err));
		for (size_t i = 0; i < page.count; i++) {
			do
				at--;
			while (at >= 0 && !lets_through(&filter, &all[at]));
			assert_true(at >= 0);
			assert_same_job_at(f, page.seqs[i], &all[at]);
			found++;
			filter.position = page.positions[i];
		}
		if (page.count < (size_t)filter.limit)
			break;
	}
	while (--at >= 0)
		assert_false(lets_through(&filter, &all[at]));
	return found;
}

static const struct job_filter filters[] = {
    {0},
    {.state = "running"},
    {.state = "budget_exhausted"},
    {.state = "failed"},
    {.evaluation = "0000000000000010"},
    {.evaluation = "ffffffffffffffff"},
    {.user = "anna"},
    {.cluster = "beta"},
    {.task = "mmlu"},
    {.task = "never"},
};

static void test_jobs_list_filters_alone_and_in_pairs_match_naive_ones(void **state)
{
	struct fixture *f = *state;
	const int count = 600;
	CLEANUP(mem_freep) struct job_row *all = fill_store(f, count);
	int found = 0;
	for (size_t a = 0; a < COUNT(filters); a++) {
		for (size_t b = a; b < COUNT(filters); b++) {
			struct job_filter filter = filters[a];
			filter.state = filters[b].state != NULL ? filters[b].state : filter.state;
			filter.evaluation = filters[b].evaluation != NULL ? filters[b].evaluation : filter.evaluation;
			filter.user = filters[b].user != NULL ? filters[b].user : filter.user;
			filter.cluster = filters[b].cluster != NULL ? filters[b].cluster : filter.cluster;
			filter.task = filters[b].task != NULL ? filters[b].task : filter.task;
			filter.limit = 5 + (int)(a * 3 + b) % 50;
			found += compare(f, filter, all, count);
		}
	}
	assert_true(found > 2000);
	compare(f,
		(struct job_filter){.state = "running", .user = "anna", .cluster = "beta", .task = "mmlu", .limit = 2},
		all, count);
}

static void measure(struct fixture *f, int64_t costs[COUNT(filters)][2])
{
	for (size_t i = 0; i < COUNT(filters); i++) {
		struct seq_list page = {0};
		struct job_filter filter = filters[i];
		filter.limit = 50;
		take_cost(f->db);
		assert_ok(f, jobs_list(f->db, &filter, &page, &f->err));
		costs[i][0] = take_cost(f->db);
		costs[i][1] = (int64_t)page.count;
	}
}

static void test_jobs_list_page_costs_the_same_in_a_large_store(void **state)
{
	struct fixture *f = *state;
	int64_t small[COUNT(filters)][2];
	int64_t large[COUNT(filters)][2];
	free(fill_store(f, 999));
	measure(f, small);
	db_close(TAKE(f->db));
	unlink(f->path);
	assert_ok(f, db_migrate(f->path, NULL, NULL, &f->err));
	assert_ok(f, db_open(f->path, &f->db, &f->err));
	free(fill_store(f, 12000));
	measure(f, large);
	for (size_t i = 0; i < COUNT(filters); i++) {
		int64_t as_small = small[i][0] * (large[i][1] + 1) / (small[i][1] + 1);
		if (large[i][0] > as_small + as_small / 4 + 100)
			fail_msg("filter %zu: %d steps in a store of 12,000, %d of 1,000", i, (int)large[i][0],
				 (int)small[i][0]);
	}
}

#define READY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

/* Whoever writes a state that there is not, by whatever means, is refused by the store itself. */
static void test_states_are_those_that_there_are(void **state)
{
	struct fixture *f = *state;
	int64_t seqs[1];
	add_jobs(f, 1, 1, seqs);
	for (enum chain_state known = 0; known < CHAIN_STATE_COUNT; known++) {
		CLEANUP(mem_freep) char *sql = mem_printf("UPDATE jobs SET state = '%s'", chain_state_name(known));
		assert_int_equal(sqlite3_exec(f->db->sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
	}
	static const char *const refused[] = {
	    "UPDATE jobs SET state = 'nonsense'",
	    "UPDATE evaluations SET state = 'pending'",
	};
	for (size_t i = 0; i < COUNT(refused); i++)
		assert_int_equal(sqlite3_exec(f->db->sqlite, refused[i], NULL, NULL, NULL), SQLITE_CONSTRAINT_TRIGGER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    READY(test_jobs_insert_and_get_every_column),
	    READY(test_jobs_get_shows_why_slurm_lets_it_wait_while_it_does),
	    READY(test_jobs_insert_out_of_order_is_refused),
	    READY(test_jobs_get_unknown_state_is_an_error),
	    READY(test_jobs_set_state_only_from_the_stored_one),
	    READY(test_jobs_set_state_conflict_within_transaction_keeps_it),
	    READY(test_jobs_set_state_resuming_an_ended_job_forgets_its_end),
	    READY(test_jobs_update_writes_what_it_counts_only),
	    READY(test_jobs_request_cancel_marks_live_jobs),
	    READY(test_jobs_request_cancel_withdraws_a_resumption_that_nobody_has_begun),
	    READY(test_jobs_take_attention_gives_new_ones_and_each_mark_once),
	    READY(test_jobs_list_live_until_ended_and_collected),
	    READY(test_jobs_of_evaluation_and_counts),
	    READY(test_jobs_list_filters_alone_and_in_pairs_match_naive_ones),
	    READY(test_jobs_list_page_costs_the_same_in_a_large_store),
	    READY(test_states_are_those_that_there_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
