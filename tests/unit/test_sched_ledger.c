/* The ledger against sacct: 1,000 attempts of every kind of end, from the text of sacct's answer to the sums. */
#include "cmocka_all.h"
#include "db_fixture.h"

#include "base/str.h"
#include "db/migrate.h"
#include "db/usage.h"
#include "sched/ledger.h"
#include "sched/reconcile.h"

#define ATTEMPTS 1000
#define NOW 2000000000
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const ends[] = {"COMPLETED",      "TIMEOUT",   "PREEMPTED",     "NODE_FAIL", "FAILED",
				   "OUT_OF_MEMORY",  "CANCELLED", "BOOT_FAIL",     "DEADLINE",  "CANCELLED by 0",
				   "REVOKED_BEFORE", "NEVER_RAN", "SAME_REQUEUED", "IDLE",      "WITHDRAWN"};

static const char *end_of(int i)
{
	return ends[(size_t)i % COUNT(ends)];
}

/* Three jobs of one evaluation share a deployment. */
static bool is_shared(int i)
{
	return i % 7 == 6;
}

#define STILL_S 10 /* of an attempt that was ended since it was idle */

/* What sacct answers about attempt i, and the run time and GPU seconds that it comes to; 8 GPUs are asked for. */
static void add_sacct(struct str *text, int i, int64_t *run_s, int64_t *gpu_s)
{
	const char *end = end_of(i);
	int64_t elapsed = 1 + (i * 7919) % 86399;
	int64_t earlier = 1 + (i * 104729) % 3599;
	int gpus = i % 5 == 0 ? 4 : 8; /* as given, which need not be what was asked for */
	const char *untold = "billing=4,cpu=4,node=1";
	if (strcmp(end, "NEVER_RAN") == 0 || strcmp(end, "WITHDRAWN") == 0) {
		str_appendf(text, "a|%d|CANCELLED by 7|0:0|1999000000|Unknown|1999000100|0|n.%d|None assigned|\n",
			    100 + i, i);
		return;
	}
	bool requeued = strcmp(end, "SAME_REQUEUED") == 0;
	if (requeued) {
		str_appendf(text,
			    "a|%d|REQUEUED|0:0|1999000000|1999000010|1999003600|%d|n.%d|n1|cpu=4,gres/gpu=2,node=1\n",
			    100 + i, (int)earlier, i);
		*run_s += earlier;
		*gpu_s += 2 * earlier;
	}
	bool tells = i % 3 != 0;
	str_appendf(text, "a|%d|%s|%d:0|1999000000|1999000010|1999900000|%d|n.%d|n1|", 100 + i,
		    requeued || strcmp(end, "REVOKED_BEFORE") == 0 ? "COMPLETED"
		    : strcmp(end, "IDLE") == 0                     ? "FAILED"
								   : end,
		    i % 2, (int)elapsed, i);
	if (tells)
		str_appendf(text, "billing=4,cpu=4,gres/gpu:a100=%d,gres/gpu=%d,node=1\n", gpus, gpus);
	else
		str_appendf(text, "%s\n", untold);
	*run_s += elapsed;
	*gpu_s += elapsed * (tells ? gpus : 8);
}

static struct observe_reply parse(const struct observe_order *orders, const char *answer)
{
	struct observe_reply reply = {0};
	struct nel_err err = {0};
	struct observe_parser *parser = observe_parser_new(orders, ATTEMPTS);
	CLEANUP(mem_freep) char *text = mem_strdup(answer);
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		struct record record = {.count = 1};
		snprintf(record.line, sizeof record.line, "%s", line);
		record.fields[0] = record.line;
		observe_parser_take(parser, &record);
	}
	if (observe_parser_end(parser, &reply, &err) != 0)
		fail_msg("%s", err.msg);
	observe_parser_free(parser);
	return reply;
}

static void test_ledger_of_every_end_equals_sacct(void **state)
{
	struct fixture *f = *state;
	static struct observe_order orders[ATTEMPTS];
	static char ids[ATTEMPTS][16];
	static char names[ATTEMPTS][16];
	struct str answer = {0};
	int64_t run_s = 0;
	int64_t gpu_s = 0;
	int64_t lost_gpu_s = 0;
	int64_t idle_gpu_s = 0;
	CLEANUP(str_done) struct str shared = {0};
	struct evaluation_row evaluation = sample_evaluation(99);
	assert_ok(f, evaluations_insert(f->db, &evaluation, &f->err));
	for (int i = 0; i < 3; i++) {
		struct job_row row = sample_job(&evaluation, i);
		assert_ok(f, jobs_insert(f->db, &row, &f->err));
		str_appendf(&shared, "%s\"%s\"", i > 0 ? "," : "[", row.id);
	}
	str_append_c(&shared, ']');
	for (int i = 0; i < ATTEMPTS; i++) {
		snprintf(ids[i], sizeof ids[i], "%d", 100 + i);
		snprintf(names[i], sizeof names[i], "n.%d", i);
		orders[i] =
		    (struct observe_order){.slurm_job_id = ids[i], .job_name = names[i], .job_dir = "/d", .attempt = 1};
		str_appendf(&answer, "w|%s\n", ids[i]);
		int64_t before_s = gpu_s;
		add_sacct(&answer, i, &run_s, &gpu_s);
		const char *end = end_of(i);
		bool succeeded = strcmp(end, "COMPLETED") == 0 || strcmp(end, "REVOKED_BEFORE") == 0 ||
				 strcmp(end, "SAME_REQUEUED") == 0;
		bool lost = !succeeded && (i % 4 != 0 || is_shared(i)); /* every fourth has made progress */
		lost_gpu_s += lost ? gpu_s - before_s : 0;
		if (strcmp(end, "IDLE") == 0 && !is_shared(i) && !lost)
			idle_gpu_s += STILL_S * (i % 3 != 0 && i % 5 == 0 ? 4 : 8);
	}
	str_appendf(&answer, "end\n");
	struct observe_reply reply = parse(orders, str_text(&answer));
	struct reconcile_rules rules = {.accounting = true, .absence_deadline_s = 300, .now_s = NOW};
	for (int i = 0; i < ATTEMPTS; i++) {
		struct chain_common common = {0};
		struct active_chain chain = {.common = &common};
		bool lost = false;
		chain.job = (struct job_row){.state = CHAIN_RUNNING,
					     .user = (char *)(i % 2 ? "anna" : "bert"),
					     .cluster = (char *)"alpha",
					     .model = (char *)"m",
					     .task = (char *)"t",
					     .progress = i % 4 == 0 ? 5 : -1};
		common.row = (struct chain_row){.walltime_s = 86400,
						.resume_mode = (char *)"daemon",
						.resume_on = (char *)"TIMEOUT,PREEMPTED,NODE_FAIL,BOOT_FAIL",
						.budget_limit_s = -1,
						.budget_from_attempt = 1};
		snprintf(chain.job.id, sizeof chain.job.id, "%016x.0", (unsigned)i);
		snprintf(chain.job.evaluation, sizeof chain.job.evaluation, "%016x", (unsigned)i);
		common.attempt = (struct attempt_row){.number = 1,
						      .job_name = names[i],
						      .slurm_job_id = ids[i],
						      .submitted_at = 1999000000,
						      .time_limit_s = 86400,
						      .gpus = 8,
						      .elapsed_s = -1,
						      .exit_code = -1};
		if (is_shared(i)) {
			common.row.at_once = 3;
			common.attempt.jobs = mem_strdup(str_text(&shared));
		}
		if (strcmp(end_of(i), "WITHDRAWN") == 0)
			common.attempt.withdrawn_at = 1999000050;
		struct judgement j;
		reconcile(&common.row, &chain.job, &common.attempt, 0, &reply.items[i], &rules, &j);
		assert_true(common.attempt.ended_at != 0);
		if (strcmp(end_of(i), "IDLE") == 0 && !is_shared(i))
			common.attempt.use = (struct gpu_use){.samples = 9, .still_s = STILL_S};
		assert_ok(f, ledger_attempt_ended(f->db, &chain, &reply.items[i], &lost, &f->err));
		free(chain.job.waiting_on);
		free(common.attempt.jobs);
		free(common.attempt.slurm_state);
		free(common.attempt.nodes);
	}
	CLEANUP(usage_sums_done) struct usage_sums all = {0};
	CLEANUP(usage_sums_done) struct usage_sums people = {0};
	const struct usage_filter one = {.limit = 10};
	const struct usage_filter by_user = {.by_user = true, .limit = 10};
	assert_ok(f, usage_sum_up(f->db, &one, &all, &f->err));
	assert_ok(f, usage_sum_up(f->db, &by_user, &people, &f->err));
	assert_int_equal(all.count, 1);
	assert_int_equal(all.items[0].attempts, ATTEMPTS);
	assert_int_equal(all.items[0].run_s, run_s);
	assert_int_equal(all.items[0].gpu_s, gpu_s);
	assert_int_equal(all.items[0].lost_gpu_s, lost_gpu_s);
	assert_true(idle_gpu_s > 0);
	assert_int_equal(all.items[0].idle_gpu_s, idle_gpu_s);
	assert_int_equal(people.count, 2);
	assert_string_equal(people.items[0].user, "anna");
	assert_int_equal(people.items[0].gpu_s + people.items[1].gpu_s, gpu_s);
	observe_reply_done(&reply);
	str_done(&answer);
}

/* Three jobs on one server: the attempt is charged once, and nothing is lost in the division. */
static void test_usage_of_a_shared_attempt_adds_up(void **state)
{
	struct fixture *f = *state;
	struct job_row rows[3];
	const struct job_row *jobs[3];
	static const char *const tasks[] = {"a", "b", "c"};
	for (int i = 0; i < 3; i++) {
		rows[i] = (struct job_row){
		    .user = (char *)"anna", .cluster = (char *)"alpha", .model = (char *)"m", .task = (char *)tasks[i]};
		snprintf(rows[i].id, sizeof rows[i].id, "0123456789abcdef.%d", i);
		snprintf(rows[i].evaluation, sizeof rows[i].evaluation, "0123456789abcdef");
		jobs[i] = &rows[i];
	}
	const struct usage_row row = {
	    .attempt = "n.1", .ended_at = 1764547200, .run_s = 100, .gpu_s = 800, .start_up_s = 1};
	assert_ok(f, usage_put(f->db, &row, jobs, 3, &f->err));
	assert_ok(f, usage_put(f->db, &row, jobs, 3, &f->err)); /* told twice */
	CLEANUP(usage_sums_done) struct usage_sums all = {0};
	CLEANUP(usage_sums_done) struct usage_sums parts = {0};
	const struct usage_filter by_month = {.by_month = true, .limit = 10};
	const struct usage_filter by_task = {.by_task = true, .limit = 10};
	assert_ok(f, usage_sum_up(f->db, &by_month, &all, &f->err));
	assert_int_equal(all.count, 1);
	assert_string_equal(all.items[0].month, "2025-12");
	assert_int_equal(all.items[0].gpu_s, 800);
	assert_int_equal(all.items[0].start_up_gpu_s, 8);
	assert_int_equal(all.items[0].attempts, 1);
	assert_int_equal(all.items[0].jobs, 3);
	assert_ok(f, usage_sum_up(f->db, &by_task, &parts, &f->err));
	assert_int_equal(parts.count, 3);
	assert_int_equal(parts.items[0].gpu_s, 267);
	assert_int_equal(parts.items[2].gpu_s, 266);
	/* And what sacct says later is divided likewise. */
	CLEANUP(usage_sums_done) struct usage_sums settled = {0};
	assert_ok(f, usage_settle(f->db, "n.1", 101, 1600, &f->err));
	assert_ok(f, usage_sum_up(f->db, &by_month, &settled, &f->err));
	assert_int_equal(settled.items[0].run_s, 101);
	assert_int_equal(settled.items[0].gpu_s, 1600);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM usage WHERE source = 'sacct'"), 3);
}

/* What was asked for told of no GPUs, as where a flag of sbatch's asks for them, or the end came before any run time
 * was seen: sacct knows, and what was wasted is told of what it says. */
static void test_usage_settled_tells_waste_of_what_was_not_known(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct usage_row row;
		size_t jobs;
		int64_t start_up_gpu_s;
		int64_t idle_gpu_s;
		int64_t lost_gpu_s;
	} cases[] = {
	    {{.run_s = 100, .gpu_s = 0, .start_up_s = 25}, 1, 200, 0, 0},
	    {{.run_s = 100, .gpu_s = 0, .start_up_s = 25}, 3, 200, 0, 0},
	    {{.run_s = 100, .gpu_s = 0, .start_up_s = 25, .idle_s = 50}, 1, 200, 400, 0},
	    {{.run_s = 100, .gpu_s = 0, .start_up_s = 25, .idle_s = 90}, 1, 200, 600, 0}, /* no second in both */
	    {{.run_s = 0, .gpu_s = 0, .lost = true}, 1, 0, 0, 800},
	    {{.run_s = 0, .gpu_s = 0, .lost = true}, 3, 0, 0, 800},
	    {{.run_s = 1, .gpu_s = 2, .lost = true}, 3, 0, 0, 800}, /* one of three parts had none */
	    {{.run_s = 50, .gpu_s = 100, .lost = true, .start_up_s = 25}, 2, 0, 0, 800},
	    {{.run_s = 50, .gpu_s = 100, .start_up_s = 500}, 1, 800, 0, 0}, /* longer than the run */
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct job_row rows[3];
		const struct job_row *jobs[3];
		for (int k = 0; k < 3; k++) {
			rows[k] = (struct job_row){.user = (char *)"anna",
						   .cluster = (char *)"alpha",
						   .model = (char *)"m",
						   .task = (char *)"t"};
			snprintf(rows[k].id, sizeof rows[k].id, "0123456789abcdef.%d", k);
			jobs[k] = &rows[k];
		}
		struct usage_row row = cases[i].row;
		row.attempt = "n.1";
		row.ended_at = 1764547200;
		assert_ok(f, usage_put(f->db, &row, jobs, cases[i].jobs, &f->err));
		assert_ok(f, usage_settle(f->db, "n.1", 100, 800, &f->err));
		CLEANUP(usage_sums_done) struct usage_sums sums = {0};
		const struct usage_filter one = {.limit = 10};
		assert_ok(f, usage_sum_up(f->db, &one, &sums, &f->err));
		const struct usage_sum *sum = &sums.items[0];
		if (sum->gpu_s != 800 || sum->start_up_gpu_s != cases[i].start_up_gpu_s ||
		    sum->idle_gpu_s != cases[i].idle_gpu_s || sum->lost_gpu_s != cases[i].lost_gpu_s)
			fail_msg("case %zu: %d of %d, idle %d, lost %d", i, (int)sum->start_up_gpu_s, (int)sum->gpu_s,
				 (int)sum->idle_gpu_s, (int)sum->lost_gpu_s);
		query_number(f->db->sqlite, "DELETE FROM usage RETURNING 1");
	}
}

/* Each second of an attempt in one kind of waste at most, whatever its node and Slurm say. */
static void test_ledger_idle_time_is_waste_of_its_own(void **state)
{
	struct fixture *f = *state;
	static const struct {
		int64_t start_up_s, still_s, progress, start_up, idle, lost;
	} cases[] = {
	    {20, 30, 5, 160, 240, 0}, {20, 0, 5, 160, 0, 0},     {-1, 30, 5, 0, 240, 0},
	    {80, 90, 5, 640, 160, 0}, {20, 500, 5, 160, 640, 0}, {20, 30, 0, 0, 0, 800},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char name[16];
		snprintf(name, sizeof name, "idle.%zu", i);
		struct chain_common common = {0};
		struct active_chain chain = {.common = &common};
		bool lost = false;
		chain.job = (struct job_row){.user = (char *)name,
					     .cluster = (char *)"alpha",
					     .model = (char *)"m",
					     .task = (char *)"t",
					     .progress = cases[i].progress};
		snprintf(chain.job.id, sizeof chain.job.id, "%016zx.0", i);
		snprintf(chain.job.evaluation, sizeof chain.job.evaluation, "%016zx", i);
		common.attempt = (struct attempt_row){.job_name = name,
						      .slurm_state = (char *)"FAILED",
						      .ended_at = NOW,
						      .elapsed_s = 100,
						      .gpus = 8,
						      .use = {.samples = 9, .still_s = cases[i].still_s}};
		const struct observation o = {.start_up_s = cases[i].start_up_s};
		assert_ok(f, ledger_attempt_ended(f->db, &chain, &o, &lost, &f->err));
	}
	CLEANUP(usage_sums_done) struct usage_sums sums = {0};
	const struct usage_filter by_user = {.by_user = true, .limit = 10};
	assert_ok(f, usage_sum_up(f->db, &by_user, &sums, &f->err));
	assert_int_equal(sums.count, sizeof cases / sizeof cases[0]);
	for (size_t i = 0; i < sums.count; i++) {
		assert_int_equal(sums.items[i].start_up_gpu_s, cases[i].start_up);
		assert_int_equal(sums.items[i].idle_gpu_s, cases[i].idle);
		assert_int_equal(sums.items[i].lost_gpu_s, cases[i].lost);
	}
}

/* A store of version 26, with attempts of every kind, gets their ledger. */
static void test_ledger_takes_over_attempts_from_before(void **state)
{
	struct fixture *f = *state;
	CLEANUP(mem_freep) struct migration *list = NULL;
	size_t count = 0;
	assert_ok(f, migrate_embedded(&list, &count, &f->err));
	assert_ok(f, migrate_file(f->path, list, 26, NULL, NULL, &f->err));
	CLEANUP(migrate_closep) sqlite3 *sqlite = NULL;
	assert_ok(f, migrate_connect(f->path, &sqlite, &f->err));
	static const char rows[] =
	    "INSERT INTO evaluations (seq, id, user, cluster, identity, state, model, rundir, submitted_type, "
	    "config_hash,"
	    " created_at, created_high, updated_at, overrides, warnings)"
	    " VALUES (1, 'e', 'anna', 'alpha', 'svc', 'running', 'm', '/r', 't', 'h', 1, 1, 1, '[]', '[]');"
	    "INSERT INTO labels (evaluation, key, value) VALUES (1, 'team', 'red');"
	    "INSERT INTO jobs (seq, id, evaluation_seq, evaluation, idx, user, cluster, identity, task, model, job_dir,"
	    " state, walltime_s, resume_mode, resume_on, created_at, updated_at, progress)"
	    " VALUES (1, 'e.0', 1, 'e', 0, 'anna', 'alpha', 'svc', 'gsm8k', 'm', '/r/0', 'running', 600, 'daemon',"
	    " 'TIMEOUT', 1, 1, 7);"
	    "INSERT INTO script_bodies (hash, text) VALUES ('b', 'true');"
	    "INSERT INTO attempts (job, number, job_name, script_header, script_body, time_limit_s, intended_at,"
	    " slurm_job_id, slurm_state, submitted_at, started_at, ended_at, elapsed_s, gpus, progress_before) VALUES"
	    " (1, 1, 'n1', '', 'b', 600, 1, '11', 'TIMEOUT', 100, 130, 230, 100, 8, 0),"     /* 5 steps further */
	    " (1, 2, 'n2', '', 'b', 600, 1, '12', 'NODE_FAIL', 300, 310, 320, 10, 8, 5),"    /* none */
	    " (1, 3, 'n3', '', 'b', 600, 1, '13', 'CANCELLED', 400, NULL, 410, NULL, 8, 5)," /* never ran */
	    " (1, 4, 'n4', '', 'b', 600, 1, NULL, NULL, NULL, NULL, 450, NULL, 8, 5),"       /* never reached Slurm */
	    " (1, 5, 'n5', '', 'b', 600, 1, '15', 'COMPLETED', 500, 510, 560, 50, 4, 5),"    /* 2 steps further */
	    " (1, 6, 'n6', '', 'b', 600, 1, '16', 'RUNNING', 600, 610, NULL, 20, 8, 7);";    /* lives */
	char *message = NULL;
	if (sqlite3_exec(sqlite, rows, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
	assert_ok(f, db_migrate(f->path, NULL, NULL, &f->err));
	assert_ok(f, db_open(f->path, &f->db, &f->err));
	CLEANUP(usage_sums_done) struct usage_sums sums = {0};
	const struct usage_filter by_label = {.by_user = true, .label = "team", .limit = 10};
	assert_ok(f, usage_sum_up(f->db, &by_label, &sums, &f->err));
	assert_int_equal(sums.count, 1);
	assert_string_equal(sums.items[0].label, "red");
	assert_int_equal(sums.items[0].attempts, 4);
	assert_int_equal(sums.items[0].jobs, 1);
	assert_int_equal(sums.items[0].run_s, 160);
	assert_int_equal(sums.items[0].queue_s, 30 + 10 + 10);
	assert_int_equal(sums.items[0].gpu_s, 800 + 80 + 200);
	assert_int_equal(sums.items[0].lost_gpu_s, 80);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM usage WHERE source = 'service'"), 4);
	assert_int_equal(query_number(f->db->sqlite, "SELECT count(*) FROM usage WHERE lost = 1 AND lost_gpu_s = 80"),
			 1);
	/* And the sums of months. */
	static const struct {
		enum usage_of of;
		const char *name;
		int64_t gpu_s;
	} months[] = {{USAGE_OF_ALL, "", 1080},
		      {USAGE_OF_USER, "anna", 1080},
		      {USAGE_OF_LABEL, "team:red", 1080},
		      {USAGE_OF_USER, "bert", 0},
		      {USAGE_OF_LABEL, "team:blue", 0}};
	for (size_t i = 0; i < COUNT(months); i++) {
		int64_t gpu_s = -1;
		assert_ok(f, usage_month(f->db, 0, months[i].of, months[i].name, &gpu_s, &f->err));
		assert_int_equal(gpu_s, months[i].gpu_s);
		assert_ok(f, usage_month(f->db, 40 * 86400, months[i].of, months[i].name, &gpu_s, &f->err));
		assert_int_equal(gpu_s, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_ledger_of_every_end_equals_sacct, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_ledger_takes_over_attempts_from_before, fixture_setup_empty,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_usage_settled_tells_waste_of_what_was_not_known, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_ledger_idle_time_is_waste_of_its_own, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_usage_of_a_shared_attempt_adds_up, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
