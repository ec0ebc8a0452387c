/* Checks before a submission: the question, the answer's parser, and remote_check.sh run here under stand-ins for
 * Slurm. */
#include "check_fixture.h"
#include "slurm_plan.h"

#define BEGIN "\nnel|begin|1\n"

/* A plan whose paths lie in the test's directory; all of it is replaced by each test as it likes. */
struct fixture {
	struct eval_plan plan;
	struct plan_job jobs[CHECK_SCRIPTS_MAX + 5];
	struct mount mounts[3];
	struct server server;
	struct server judge;
	struct plan_export export_;
	struct attempt_order orders[CHECK_SCRIPTS_MAX + 5];
	char texts[8][128];
	bool has_accounts;
};

static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){.plan = plan_none(), .server = plan_server(), .has_accounts = true};
	snprintf(f->texts[0], sizeof f->texts[0], "%s/out", local_dir);
	snprintf(f->texts[1], sizeof f->texts[1], "%s/data", local_dir);
	snprintf(f->texts[2], sizeof f->texts[2], "%s/image.sqsh", local_dir);
	f->plan.output_dir = f->texts[0];
	f->jobs[0] = plan_jobs[0];
	f->mounts[0] = (struct mount){.source = f->texts[1], .target = "/datasets"};
	f->jobs[0].env = ENV(plan_job_env);
	f->jobs[0].mounts = (struct mount_list){.items = f->mounts, .count = 1};
	f->server.image = f->texts[2];
	f->server.mounts = (struct mount_list){0};
	f->plan.deployment = &f->server;
	f->judge = plan_judge();
	f->plan.auxiliaries = &f->judge;
	f->plan.auxiliary_count = 1;
	f->plan.jobs = f->jobs;
	f->plan.job_count = 1;
}

static struct check_question *question_of(struct fixture *f)
{
	struct check_question *question = NULL;
	struct nel_err err = {0};
	for (size_t i = 0; i < f->plan.job_count; i++) {
		f->orders[i] = plan_order();
		f->orders[i].job_index = (int)i;
	}
	const struct check_input input = {.plan = &f->plan,
					  .evaluation = PLAN_EVALUATION,
					  .rundir = PLAN_RUNDIR,
					  .orders = f->orders,
					  .order_count = f->plan.job_count,
					  .has_accounts = f->has_accounts};
	if (check_question_new(&input, &question, &err) != 0)
		fail_msg("%s", err.msg);
	return question;
}

static void ask(struct fixture *f, struct check_reply *reply)
{
	struct nel_err err = {0};
	CLEANUP(check_question_freep) struct check_question *question = question_of(f);
	if (slurm_check(NULL, question, 60000, reply, &err) != 0)
		fail_msg("%s", err.msg);
}

/* ---- the parser ---- */

static void test_check_parse_verdicts_are_read(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	CLEANUP(check_question_freep) struct check_question *question = question_of(&f);
	const char *text = "motd\n" BEGIN "check|0|ok|0|in\ncheck|1|unknown|0|not checked | so\ncheck|2|bad|0|down\n"
			   "check|3|ok|7|fine\ncheck|4|ok|0|a\ncheck|5|bad|0|b\ncheck|6|ok|1769860800|on a1\nend\n";
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	struct nel_err err = {0};
	assert_int_equal(check_parse(question, text, strlen(text), &reply, &err), 0);
	assert_int_equal(reply.count, 7);
	assert_result(&reply, CHECK_LOGIN, 0, CHECK_GOOD, "in");
	assert_result(&reply, CHECK_ACCOUNT, 0, CHECK_UNKNOWN, "team: not checked | so");
	assert_result(&reply, CHECK_PARTITION, 0, CHECK_BAD, "batch: down");
	assert_result(&reply, CHECK_SBATCH, 0, CHECK_GOOD, "mmlu.0: would start at 2026-01-31T12:00:00Z on a1");
	assert_int_equal(reply.start_estimate, 1769860800);
}

static void test_check_parse_bad_answers_are_errors(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum nel_err_kind kind;
	} cases[] = {
	    {"", NEL_REMOTE},
	    {BEGIN "end\n", NEL_REMOTE},
	    {BEGIN "check|0|ok|0|x\nend\n", NEL_REMOTE},
	    {BEGIN "check|0|ok|0|a\ncheck|1|ok|0|b\ncheck|2|ok|0|c\ncheck|3|ok|0|d\ncheck|4|ok|0|e\ncheck|5|ok|0|f\n"
		   "check|6|ok|0|g\n",
	     NEL_REMOTE},
	    {BEGIN "check|0|ok|0|a\ncheck|1|ok|0|b\ncheck|2|ok|0|c\ncheck|3|ok|0|d\ncheck|4|ok|0|e\ncheck|5|ok|0|f\n"
		   "check|5|ok|0|g\nend\n",
	     NEL_REMOTE},
	    {BEGIN "check|0|ok|0|a\ncheck|1|ok|0|b\ncheck|2|ok|0|c\ncheck|3|ok|0|d\ncheck|4|ok|0|e\ncheck|5|ok|0|f\n"
		   "check|6|perhaps|0|g\nend\n",
	     NEL_REMOTE},
	    {BEGIN "check|-1|ok|0|a\ncheck|99|ok|0|b\ncheck|x|ok|0|c\ncheck|0|ok\nend\n", NEL_REMOTE},
	    {BEGIN "error|denied|no\nend\n", NEL_DENIED},
	};
	struct fixture f;
	fixture_init(&f);
	CLEANUP(check_question_freep) struct check_question *question = question_of(&f);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct check_reply reply = {0};
		struct nel_err err = {0};
		assert_int_equal(check_parse(question, cases[i].text, strlen(cases[i].text), &reply, &err), -1);
		assert_int_equal(err.kind, cases[i].kind);
	}
}

static void test_check_question_control_characters_are_refused(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	f.mounts[0].source = "/data/two\nlines";
	f.orders[0] = plan_order();
	const struct check_input input = {.plan = &f.plan,
					  .evaluation = PLAN_EVALUATION,
					  .rundir = PLAN_RUNDIR,
					  .orders = f.orders,
					  .order_count = 1};
	struct check_question *question = NULL;
	struct nel_err err = {0};
	assert_int_equal(check_question_new(&input, &question, &err), -1);
	assert_int_equal(err.kind, NEL_INVALID);
}

/* ---- the script ---- */

static void test_check_all_well_everything_is_ok(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	ask(&f, &reply);
	for (size_t i = 0; i < reply.count; i++)
		if (reply.items[i].verdict != CHECK_GOOD)
			fail_msg("%s", reply.items[i].message);
	assert_int_equal(reply.count, 7);
	assert_result(&reply, CHECK_OUTPUT_DIR, 0, CHECK_GOOD, "is there");
	assert_result(&reply, CHECK_PATH, 0, CHECK_GOOD, "image.sqsh");
	assert_result(&reply, CHECK_PATH, 1, CHECK_GOOD, "data (of mmlu)");
	assert_result(&reply, CHECK_SBATCH, 0, CHECK_GOOD,
		      "mmlu.0: would start at 2026-01-31T12:00:00Z using 16 processors on nodes a1");
	assert_int_equal(reply.start_estimate, 1769860800);
}

static void test_check_sbatch_gets_run_sub_as_it_would_be_sent(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	ask(&f, &reply);
	assert_output("cat $FAKE/calls | grep sbatch", "sbatch --test-only");
	struct str expected = {0};
	struct nel_err err = {0};
	assert_int_equal(
	    script_render_header(&f.plan, &f.orders[0], PLAN_EVALUATION, PLAN_RUNDIR "/mmlu.0", &expected, &err), 0);
	str_append(&expected, script_body());
	write_file("expected", str_text(&expected));
	run("cmp \"$FAKE/expected\" \"$FAKE/script.1\"");
	str_done(&expected);
}

static void test_check_leaves_nothing_behind(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	snprintf(f.texts[0], sizeof f.texts[0], "%s/out/deep/er", local_dir);
	run("cd \"$FAKE\" && find out data bin > before");
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	ask(&f, &reply);
	assert_result(&reply, CHECK_OUTPUT_DIR, 0, CHECK_GOOD, "can be made, in ");
	run("cd \"$FAKE\" && find out data bin | cmp - before");
}

static void test_check_output_dir_without_a_slash_is_bad(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	snprintf(f.texts[0], sizeof f.texts[0], "nowhere");
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	ask(&f, &reply);
	assert_result(&reply, CHECK_OUTPUT_DIR, 0, CHECK_BAD, "nowhere: is not an absolute path");
}

static void test_check_output_dir_that_cannot_be_made_is_bad(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		const char *text;
	} cases[] = {{"image.sqsh", "is not a directory"},
		     {"image.sqsh/x", "is not a directory"},
		     {"dangling", "is not a directory"},
		     {"dangling/x/y", "is not a directory"}};
	run("ln -s nowhere \"$FAKE/dangling\"");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture f;
		fixture_init(&f);
		snprintf(f.texts[0], sizeof f.texts[0], "%s/%s", local_dir, cases[i].path);
		CLEANUP(check_reply_done) struct check_reply reply = {0};
		ask(&f, &reply);
		assert_result(&reply, CHECK_OUTPUT_DIR, 0, CHECK_BAD, cases[i].text);
	}
}

static void test_check_missing_paths_each_named(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	char hostile[128];
	snprintf(hostile, sizeof hostile, "%s/it's $(touch pwned) `touch pwned`|x", local_dir);
	f.mounts[1] = (struct mount){.source = hostile, .target = "/a"};
	f.mounts[2] = (struct mount){.source = "/no-such-path", .target = "/b"};
	f.jobs[0].mounts.count = 3;
	f.server.mounts = (struct mount_list){.items = &f.mounts[2], .count = 1};
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	ask(&f, &reply);
	assert_result(&reply, CHECK_PATH, 1, CHECK_BAD, "/no-such-path: not on ");
	assert_result(&reply, CHECK_PATH, 1, CHECK_BAD, "No such file or directory");
	assert_result(&reply, CHECK_PATH, 2, CHECK_GOOD, "data (of mmlu)");
	assert_result(&reply, CHECK_PATH, 3, CHECK_BAD, hostile);
	assert_int_equal(reply.count, 9); /* the path that two need stands once */
	run("[[ -z $(find \"$FAKE\" -name 'pwned*') ]]");
}

static void test_check_account_says_what_slurm_says(void **state)
{
	(void)state;
	static const struct {
		const char *config;
		const char *associations;
		const char *fail;
		enum check_verdict verdict;
		const char *text;
	} cases[] = {
	    {NULL, "team|\n", NULL, CHECK_GOOD, "team: "},
	    {NULL, "TEAM|\n", NULL, CHECK_GOOD, "team: "},
	    {NULL, "team|gpu\nteam|batch\n", NULL, CHECK_GOOD, "team: "},
	    {NULL, "team|gpu\n", NULL, CHECK_BAD, "allowed: team in partition gpu"},
	    {NULL, "teams|\nother|\nother|\n", NULL, CHECK_BAD, "allowed: teams, other"},
	    {NULL, "", NULL, CHECK_BAD, "no account is allowed"},
	    {NULL, "", "Unable to contact slurmdbd", CHECK_UNKNOWN, "not checked: Unable to contact slurmdbd"},
	    {"AccountingStorageType = accounting_storage/none\n", "", NULL, CHECK_UNKNOWN, "not checked"},
	    {"AccountingStorageType = (null)\nAccountingStorageEnforce = none\n", "", NULL, CHECK_UNKNOWN,
	     "not checked"},
	    {"AccountingStorageType = x/slurmdbd\nAccountingStorageEnforce = none\n", "", NULL, CHECK_GOOD,
	     "any account"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture f;
		fixture_init(&f);
		if (cases[i].config != NULL)
			write_file("config", cases[i].config);
		write_file("associations", cases[i].associations);
		if (cases[i].fail != NULL)
			write_file("fail_sacctmgr", cases[i].fail);
		CLEANUP(check_reply_done) struct check_reply reply = {0};
		ask(&f, &reply);
		assert_result(&reply, CHECK_ACCOUNT, 0, cases[i].verdict, cases[i].text);
		assert_result(&reply, CHECK_PARTITION, 0, CHECK_GOOD, "batch");
		run("rm -f \"$FAKE/fail_sacctmgr\"");
	}
}

static void test_check_account_without_accounting_by_settings_is_not_asked(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	f.has_accounts = false;
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	ask(&f, &reply);
	assert_result(&reply, CHECK_ACCOUNT, 0, CHECK_UNKNOWN, "not checked");
	assert_output("grep -c sacctmgr $FAKE/calls", "0");
}

static void test_check_partition_that_takes_no_such_job_is_bad(void **state)
{
	(void)state;
	static const struct {
		const char *wanted;
		const char *partitions;
		enum check_verdict verdict;
		const char *text;
	} cases[] = {
	    {"batch", "PartitionName=batch State=UP\n", CHECK_GOOD, "batch: takes jobs"},
	    {"batch", "PartitionName=batch State=DRAIN\n", CHECK_BAD, "its state is DRAIN"},
	    {"batch", "PartitionName=gpu State=UP\nPartitionName=cpu State=UP\n", CHECK_BAD, "there are: gpu, cpu"},
	    {"batch", "PartitionName=batch AllowAccounts=x,team,y State=UP\n", CHECK_GOOD, "takes jobs"},
	    {"batch", "PartitionName=batch AllowAccounts=x,teams State=UP\n", CHECK_BAD, "the accounts x,teams only"},
	    {"batch", "PartitionName=batch DenyAccounts=x,team State=UP\n", CHECK_BAD, "not for the account team"},
	    {"batch", "PartitionName=batch DenyAccounts=x State=UP\n", CHECK_GOOD, "takes jobs"},
	    {"batch", "PartitionName=batch AllowGroups=no-such-group State=UP\n", CHECK_BAD,
	     "the groups no-such-group"},
	    {"a,b", "PartitionName=a State=UP\nPartitionName=b State=UP\n", CHECK_GOOD, "a,b: takes jobs"},
	    {"a,b", "PartitionName=a State=UP\nPartitionName=b State=DOWN\n", CHECK_BAD, "its state is DOWN"},
	    {"a,b", "PartitionName=a State=UP\n", CHECK_BAD, "no partition 'b'"},
	    {"-x $(id)", "PartitionName=a State=UP\n", CHECK_BAD, "no partition '-x $(id)'"},
	    {"a", "", CHECK_BAD, "no partition 'a'"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture f;
		fixture_init(&f);
		CLEANUP(mem_freep) char *wanted = mem_strdup(cases[i].wanted);
		f.plan.partition = wanted;
		write_file("partitions", cases[i].partitions);
		CLEANUP(check_reply_done) struct check_reply reply = {0};
		ask(&f, &reply);
		assert_result(&reply, CHECK_PARTITION, 0, cases[i].verdict, cases[i].text);
	}
}

static void test_check_partition_of_the_export_is_looked_at_too(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	f.export_ = (struct plan_export){.destinations = plan_destinations,
					 .destination_count = COUNT(plan_destinations),
					 .install_cmd = "",
					 .image = "python:3.12.7-slim",
					 .partition = "cpu",
					 .env = ENV(plan_export_env)};
	f.plan.export_ = &f.export_;
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	ask(&f, &reply);
	assert_result(&reply, CHECK_PARTITION, 0, CHECK_GOOD, "batch: ");
	assert_result(&reply, CHECK_PARTITION, 1, CHECK_BAD, "cpu (of the export): there is no partition 'cpu'");
}

static void test_check_sbatch_refusals_keep_their_words(void **state)
{
	(void)state;
	static const struct {
		const char *file;
		const char *says;
		enum check_verdict verdict;
		const char *text;
		int64_t start;
	} cases[] = {
	    {"fail_sbatch", "sbatch: error: invalid partition specified: x\nallocation failure: Invalid partition\n",
	     CHECK_BAD, "mmlu.0: invalid partition specified: x; allocation failure: Invalid partition", 0},
	    {"fail_sbatch", "", CHECK_BAD, "exit status 1", 0},
	    {"sbatch_says", "", CHECK_GOOD, "would take it", 0},
	    {"sbatch_says", "sbatch: Job 1 to start at 2026-01-31T12:00:00 using 1 processors\n", CHECK_GOOD,
	     "would start at 2026-01-31T12:00:00Z using 1 processors", 1769860800},
	};
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture f;
		fixture_init(&f);
		run("rm -f \"$FAKE/fail_sbatch\" \"$FAKE/sbatch_says\"");
		write_file(cases[i].file, cases[i].says);
		CLEANUP(check_reply_done) struct check_reply reply = {0};
		ask(&f, &reply);
		assert_result(&reply, CHECK_SBATCH, 0, cases[i].verdict, cases[i].text);
		assert_int_equal(reply.start_estimate, cases[i].start);
	}
}

static void add_jobs(struct fixture *f, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		f->jobs[i] = plan_jobs[0];
		f->jobs[i].index = (int)i;
	}
	f->plan.job_count = count;
}

/* Did Slurm say nothing about the first job? */
static bool is_silent(const struct check_reply *reply)
{
	for (size_t i = 0; i < reply->count; i++)
		if (reply->items[i].kind == CHECK_SBATCH)
			return reply->items[i].silent;
	fail_msg("sbatch was not asked");
	return false;
}

static void test_check_slurm_that_is_down_is_asked_once(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	add_jobs(&f, 3);
	write_file("fail_scontrol", "Unable to contact slurm controller (connect failure)\n");
	write_file("fail_sbatch", "sbatch: error: Batch job submission failed: Unable to contact slurm controller\n");
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	ask(&f, &reply);
	assert_result(&reply, CHECK_ACCOUNT, 0, CHECK_UNKNOWN, "not checked: Unable to contact");
	assert_result(&reply, CHECK_PARTITION, 0, CHECK_UNKNOWN, "not checked: Slurm does not answer");
	assert_result(&reply, CHECK_SBATCH, 0, CHECK_BAD, "mmlu.0: Slurm does not answer");
	assert_result(&reply, CHECK_SBATCH, 2, CHECK_UNKNOWN, "mmlu.2: not checked: Slurm does not answer");
	assert_true(is_silent(&reply));
	assert_output("grep -c sbatch $FAKE/calls", "0");
	run("rm \"$FAKE/fail_scontrol\"");
	CLEANUP(check_reply_done) struct check_reply other = {0};
	ask(&f, &other);
	assert_result(&other, CHECK_SBATCH, 0, CHECK_BAD, "mmlu.0: Batch job submission failed: Unable to contact");
	assert_result(&other, CHECK_SBATCH, 2, CHECK_UNKNOWN, "mmlu.2: not checked: Slurm does not answer");
	assert_true(is_silent(&other));
	assert_output("grep -c sbatch $FAKE/calls", "1");
	write_file("fail_sbatch", "sbatch: error: Batch job submission failed: Invalid qos specification\n");
	CLEANUP(check_reply_done) struct check_reply refused = {0};
	ask(&f, &refused);
	assert_result(&refused, CHECK_SBATCH, 0, CHECK_BAD, "mmlu.0: Batch job submission failed: Invalid qos");
	assert_false(is_silent(&refused));
}

static void test_check_slurm_that_hangs_is_waited_for_once(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	CLEANUP(check_question_freep) struct check_question *question = question_of(&f);
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	struct nel_err err = {0};
	run("printf '#!/bin/bash\\nexec sleep 60\\n' >\"$FAKE/bin/scontrol\"");
	assert_int_equal(slurm_check(NULL, question, 12000, &reply, &err), 0);
	assert_result(&reply, CHECK_ACCOUNT, 0, CHECK_UNKNOWN, "scontrol did not answer within ");
	assert_result(&reply, CHECK_PARTITION, 0, CHECK_UNKNOWN, "scontrol does not answer");
	assert_result(&reply, CHECK_PATH, 1, CHECK_GOOD, "data");
	assert_result(&reply, CHECK_SBATCH, 0, CHECK_BAD, "scontrol does not answer");
	assert_true(is_silent(&reply));
}

static void test_check_many_jobs_only_the_first_are_tried(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	add_jobs(&f, CHECK_SCRIPTS_MAX + 5);
	CLEANUP(check_reply_done) struct check_reply reply = {0};
	ask(&f, &reply);
	assert_result(&reply, CHECK_SBATCH, CHECK_SCRIPTS_MAX - 1, CHECK_GOOD, "mmlu.49: would start");
	assert_result(&reply, CHECK_SBATCH, CHECK_SCRIPTS_MAX, CHECK_UNKNOWN, "5 further jobs: not checked");
	assert_output("grep -c sbatch $FAKE/calls", "50");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_check_parse_verdicts_are_read),
	    cmocka_unit_test(test_check_parse_bad_answers_are_errors),
	    cmocka_unit_test(test_check_question_control_characters_are_refused),
	    SCRIPT_TEST(test_check_all_well_everything_is_ok),
	    SCRIPT_TEST(test_check_sbatch_gets_run_sub_as_it_would_be_sent),
	    SCRIPT_TEST(test_check_leaves_nothing_behind),
	    SCRIPT_TEST(test_check_output_dir_without_a_slash_is_bad),
	    SCRIPT_TEST(test_check_output_dir_that_cannot_be_made_is_bad),
	    SCRIPT_TEST(test_check_missing_paths_each_named),
	    SCRIPT_TEST(test_check_account_says_what_slurm_says),
	    SCRIPT_TEST(test_check_account_without_accounting_by_settings_is_not_asked),
	    SCRIPT_TEST(test_check_partition_that_takes_no_such_job_is_bad),
	    SCRIPT_TEST(test_check_partition_of_the_export_is_looked_at_too),
	    SCRIPT_TEST(test_check_sbatch_refusals_keep_their_words),
	    SCRIPT_TEST(test_check_slurm_that_is_down_is_asked_once),
	    SCRIPT_TEST(test_check_slurm_that_hangs_is_waited_for_once),
	    SCRIPT_TEST(test_check_many_jobs_only_the_first_are_tried),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
