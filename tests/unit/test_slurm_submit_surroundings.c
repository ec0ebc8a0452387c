/* Submission: what remote_submit.sh finds on a login node: paths, disks, shells, other people's directories. */
#include "submit_local.h"

#include <sys/mount.h>
#include <sys/stat.h>

/* What sbatch finds reaches the job and its containers: the account's umask, and nothing of the script's own. */
static void test_submit_environment_is_scrubbed(void **state)
{
	(void)state;
	static const char *const environment[] = {"SLURM_CONF=/from/settings", NULL};
	local_environment = environment;
	setenv("SBATCH_PARTITION", "evil", 1);
	setenv("SLURM_JOB_NAME", "evil", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	mode_t mask = umask(027);
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	umask(mask);
	unsetenv("LC_ALL");
	unsetenv("SBATCH_PARTITION");
	unsetenv("SLURM_JOB_NAME");
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_output("sort $FAKE/environment", "0027\nLC_ALL=C.UTF-8\nSLURM_CONF=/from/settings");
}

/* The scripts and what they ask have a limit of processor time; jobs, to which sbatch passes its limits on, have none
 * of ours. */
static void test_submit_passes_no_limit_on_to_jobs(void **state)
{
	(void)state;
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	CLEANUP(mem_freep) char *usual = output_of("ulimit -S -t");
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_output("cat $FAKE/limit.squeue", "120");
	assert_output("cat $FAKE/limit.sbatch", usual);
}

static void test_submit_missing_sources_are_named(void **state)
{
	(void)state;
	static const char *const sources[] = {"/usr", "/no/such model's dir", "/nor/this", NULL};
	CLEANUP(sent_done) struct sent sent = send_with(3, sources, "out/run", 1, false);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	assert_outcome(&sent, 1, SUBMIT_REFUSED, "/no/such model's dir, /nor/this");
	assert_outcome(&sent, 2, SUBMIT_ACCEPTED, "101");
}

/* What the text of a path does not show. */
static void test_submit_sources_that_lead_elsewhere_are_refused(void **state)
{
	(void)state;
	static const char *const links[] = {"out/..",       "out/run/t0.0/..", "/",    "other", "home/.ssh/id", "home",
					    "home/.bashrc", "home/.config/x",  "/proc"};
	assert_int_equal(system("cd $FAKE && mkdir -p home/.ssh home/.config/x home/.cache/hf out "
				"other/20260131_120000-0a57bcf1e977cb35 models && touch "
				"home/.ssh/id home/.bashrc other/20260131_120000-0a57bcf1e977cb35/.claim models/x"),
			 0);
	CLEANUP(mem_freep) char *home = mem_printf("%s/home", local_dir);
	CLEANUP(mem_freep) char *link = mem_printf("%s/models/link", local_dir);
	const char *const sources[] = {link, NULL};
	const char *old_home = getenv("HOME");
	shared = true;
	setenv("HOME", home, 1);
	for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
		CLEANUP(mem_freep)
		char *target = links[i][0] == '/' ? mem_strdup(links[i]) : mem_printf("%s/%s", local_dir, links[i]);
		unlink(link);
		assert_int_equal(symlink(target, link), 0);
		/* The first makes the run directory that the second link leads to. */
		CLEANUP(sent_done)
		struct sent sent = send_with(2, sources, "out/20260131_120000-0123456789abcdef", 1, false);
		if (i == 1) {
			unlink(link);
			CLEANUP(mem_freep)
			char *run = mem_printf("%s/out/20260131_120000-0123456789abcdef/t0.0", local_dir);
			assert_int_equal(symlink(run, link), 0);
			CLEANUP(sent_done)
			struct sent again = send_with(2, sources, "out/20260131_120000-0123456789abcdef", 1, false);
			assert_outcome(&again, 1, SUBMIT_REFUSED, "within a run directory");
		} else {
			assert_outcome(&sent, 1, SUBMIT_REFUSED, "is not mounted for people who share the account");
		}
		assert_int_equal(sent.reply.items[0].outcome, SUBMIT_ACCEPTED);
	}
	unlink(link);
	assert_int_equal(symlink("x", link), 0);
	CLEANUP(sent_done) struct sent fine = send_with(2, sources, "out/20260131_120000-0123456789abcdef", 1, false);
	assert_int_equal(fine.reply.items[1].outcome, SUBMIT_ACCEPTED);
	unlink(link);
	assert_int_equal(symlink("../home/.cache/hf", link), 0);
	CLEANUP(sent_done) struct sent cache = send_with(2, sources, "out/20260131_120000-0123456789abcdef", 1, false);
	assert_int_equal(cache.reply.items[1].outcome, SUBMIT_ACCEPTED);
	shared = false;
	if (old_home != NULL)
		setenv("HOME", old_home, 1);
}

static void test_submit_where_nothing_can_be_made_is_invalid(void **state)
{
	(void)state;
	run(": >$FAKE/out");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_int_equal(sent.status, -1);
	assert_int_equal(sent.err.kind, NEL_INVALID);
	assert_non_null(strstr(sent.err.msg, "/out"));
	CLEANUP(mem_freep) char *user = output_of("id -un");
	assert_non_null(strstr(sent.err.msg, user));
}

static void test_submit_on_full_disk_is_busy_and_claims_nothing(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *out = mem_printf("%s/out", local_dir);
	assert_int_equal(mkdir(out, 0700), 0);
	if (mount("tmpfs", out, "tmpfs", 0, "size=64k") != 0) {
		assert_int_not_equal(geteuid(), 0);
		skip();
	}
	run("head -c 60000 /dev/zero >%s/filler", out);
	{
		CLEANUP(sent_done) struct sent sent = send_tasks(3);
		assert_int_equal(sent.status, -1);
		assert_int_equal(sent.err.kind, NEL_BUSY);
		assert_non_null(strstr(sent.err.msg, "No space left"));
	}
	assert_output("grep -c ^sbatch $FAKE/calls", "0");
	assert_output("cd $FAKE/out/run && find . | sort", ".\n./.claim\n./.lock");
	run("rm %s/filler", out);
	CLEANUP(sent_done) struct sent sent = send_tasks(3);
	umount2(out, MNT_DETACH);
	assert_outcome(&sent, 2, SUBMIT_ACCEPTED, "102");
}

static const char *no_secret(const char *name, void *arg)
{
	(void)name;
	(void)arg;
	return "value";
}

/* From a plan: its mounts and images are looked for, its files arrive. */
static void test_submit_of_a_plan_checks_its_sources(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *rundir = mem_printf("%s/out/plan", local_dir);
	struct mount mounts[] = {{.source = "/models/llama", .target = "/checkpoint"},
				 {.source = "/usr", .target = "/usr"}};
	struct plan_job job = {.index = 7,
			       .task = "mmlu",
			       .file_name = "mmlu",
			       .container = "registry#path:tag",
			       .endpoint_type = "chat",
			       .pre_cmd = "",
			       .post_cmd = "",
			       .evaluator_config = json_object()};
	struct server server = {.name = "deployment",
				.type = "vllm",
				.image = "/no/image.sqsh",
				.command = "vllm serve",
				.pre_cmd = "",
				.served_model_name = "llama",
				.port = 8000,
				.num_nodes = 1,
				.num_instances = 1,
				.n_tasks = 1,
				.health_path = "/health",
				.mounts = {.items = mounts, .count = 2}};
	struct eval_plan plan = {.account = "team",
				 .output_dir = local_dir,
				 .partition = "batch",
				 .subproject = "n",
				 .ntasks_per_node = 1,
				 .total_nodes = 1,
				 .walltime_s = 3600,
				 .proxy_image = "haproxy:latest",
				 .deployment = &server,
				 .jobs = &job,
				 .job_count = 1};
	struct attempt_order order = {
	    .job_index = 7, .number = 1, .job_name = "team-n.mmlu.7-e.1", .time_limit_s = 3600};
	struct rundir_input in = {.plan = &plan,
				  .evaluation = "0123456789abcdef",
				  .rundir = rundir,
				  .orders = &order,
				  .order_count = 1,
				  .secret = no_secret};
	CLEANUP(submit_reply_done) struct submit_reply refused = {0};
	struct nel_err err = {0};
	bool reached = false;
	if (slurm_submit(NULL, &in, 60000, &refused, &reached, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(refused.items[0].outcome, SUBMIT_REFUSED);
	assert_int_equal(refused.items[0].job_index, 7);
	assert_non_null(strstr(refused.items[0].message, "/no/image.sqsh, /models/llama"));
	plan.deployment = NULL;
	CLEANUP(submit_reply_done) struct submit_reply sent = {0};
	if (slurm_submit(NULL, &in, 60000, &sent, &reached, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(sent.items[0].outcome, SUBMIT_ACCEPTED);
	assert_output("stat -c '%a %n' $FAKE/out/plan/mmlu.7/run.sub | cut -d / -f 1", "700 ");
	assert_output("grep -c 'plan/mmlu.7' $FAKE/out/plan/mmlu.7/run.sub | sed 's/[1-9][0-9]*/some/'", "some");
	json_decref(job.evaluator_config);
}

static void test_submit_under_any_login_shell(void **state)
{
	(void)state;
	static const char *const shells[] = {"/bin/sh", "/bin/bash", "/bin/tcsh", "/bin/zsh", "/usr/bin/fish"};
	for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
		if (access(shells[i], X_OK) != 0)
			continue;
		local_shell = shells[i];
		CLEANUP(sent_done) struct sent sent = send_tasks(1);
		assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
	}
}

/* A login shell whose start-up file reads standard input: a line, some bytes, all of it. */
static void test_submit_after_a_startup_file_that_reads_runs_nothing(void **state)
{
	(void)state;
	static const char *const files[] = {"read -t 2 answer", "head -c 7 >/dev/null", "head -c 30000 >/dev/null",
					    "cat >/dev/null"};
	CLEANUP(mem_freep) char *shell = mem_printf("%s/shell", local_dir);
	setenv("HOME", local_dir, 1);
	local_shell = shell;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		run("cd $FAKE; echo '%s' >.bashrc; printf '#!/bin/bash\\n. $FAKE/.bashrc\\nexec /bin/sh \"$@\"\\n' "
		    ">shell; "
		    "chmod +x shell",
		    files[i]);
		CLEANUP(sent_done) struct sent sent = send_tasks(1);
		assert_int_equal(sent.status, -1);
		assert_int_equal(sent.err.kind, NEL_REMOTE);
		if (strstr(sent.err.msg, "none of it was run: a start-up file") == NULL)
			fail_msg("%s: %s", files[i], sent.err.msg);
		if (strncmp(files[i], "head", 4) != 0 && strstr(sent.err.msg, "look at: .bashrc ") == NULL)
			fail_msg("%s: %s", files[i], sent.err.msg);
	}
	assert_output("cat $FAKE/calls; ls -d $FAKE/out 2>&1 | cut -d : -f 3", " No such file or directory");
	run("echo '[ ! -t 0 ] || read -t 2 answer' >$FAKE/.bashrc");
	CLEANUP(sent_done) struct sent sent = send_tasks(1);
	assert_outcome(&sent, 0, SUBMIT_ACCEPTED, "100");
}

/* What others make of the name that was announced is not used: nothing is written there, and nothing runs. */
static void test_submit_to_a_directory_of_somebody_elses_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *make;
		const char *says;
	} cases[] = {
	    {"mkdir run; echo x >run/run.sub; chmod 700 run", "not the one that was made"},
	    {"mkdir -m 700 run; echo other >run/.claim", "not the one that was made"},
	    {"mkdir -m 700 run; echo run >claim; ln -s ../claim run/.claim", "not the one that was made"},
	    {"mkdir -m 770 run; echo run >run/.claim", "others may write to it"},
	    {"mkdir -m 702 run; echo run >run/.claim", "others may write to it"},
	    {"mkdir -m 700 else; echo run >else/.claim; ln -s else run", "symbolic link"},
	    {"mkdir -m 700 run; echo run >run/.claim; chown 65534 run", "its owner is not"},
	    {"touch run", "cannot make a directory"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (strstr(cases[i].make, "chown") != NULL && geteuid() != 0)
			continue;
		run("rm -rf $FAKE/out; mkdir $FAKE/out; cd $FAKE/out; : >$FAKE/calls; %s; find . | sort >$FAKE/before",
		    cases[i].make);
		CLEANUP(sent_done) struct sent sent = send_with(1, no_sources, "out/run", 1, false);
		assert_int_equal(sent.status, -1);
		assert_int_equal(sent.err.kind, NEL_INVALID);
		if (strstr(sent.err.msg, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].make, sent.err.msg);
		assert_output("cat $FAKE/calls; cd $FAKE/out; find . | sort | diff - $FAKE/before", "");
	}
}

/* A try that was killed between mkdir and its claim, or in the middle of that. */
static void test_submit_to_an_empty_directory_of_its_own_goes_on(void **state)
{
	(void)state;
	static const char *const makes[] = {"mkdir -m 700 run", "mkdir -m 700 run; touch run/.claim.abcdef",
					    "mkdir -m 700 run; echo run >run/.claim; touch run/.lock"};
	for (size_t i = 0; i < sizeof makes / sizeof makes[0]; i++) {
		run("rm -rf $FAKE/out; mkdir $FAKE/out; cd $FAKE/out; %s", makes[i]);
		CLEANUP(sent_done) struct sent sent = send_with(1, no_sources, "out/run", 1, false);
		assert_int_equal(sent.status, 0);
		assert_int_equal(sent.reply.items[0].outcome, SUBMIT_ACCEPTED);
		assert_output("cat $FAKE/out/run/.claim; stat -c %a $FAKE/out/run", "run\n700");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SCRIPT_TEST(test_submit_environment_is_scrubbed),
	    SCRIPT_TEST(test_submit_passes_no_limit_on_to_jobs),
	    SCRIPT_TEST(test_submit_missing_sources_are_named),
	    SCRIPT_TEST(test_submit_sources_that_lead_elsewhere_are_refused),
	    SCRIPT_TEST(test_submit_where_nothing_can_be_made_is_invalid),
	    SCRIPT_TEST(test_submit_on_full_disk_is_busy_and_claims_nothing),
	    SCRIPT_TEST(test_submit_of_a_plan_checks_its_sources),
	    SCRIPT_TEST(test_submit_under_any_login_shell),
	    SCRIPT_TEST(test_submit_after_a_startup_file_that_reads_runs_nothing),
	    SCRIPT_TEST(test_submit_to_a_directory_of_somebody_elses_is_refused),
	    SCRIPT_TEST(test_submit_to_an_empty_directory_of_its_own_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
