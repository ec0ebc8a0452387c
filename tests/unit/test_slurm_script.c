/* run.sub: its names, options and data, and that real bash reads the data back unchanged. */
#include "slurm/script.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "cmocka_all.h"
#include "slurm_plan.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#define GOLDEN_DIR NEL_SOURCE_DIR "/tests/golden"
#define JOB_DIR PLAN_RUNDIR "/mmlu.0"

extern char **environ;

static char *render(const struct eval_plan *plan, const struct attempt_order *order)
{
	struct nel_err err = {0};
	struct str header = {0};
	CLEANUP(mem_freep) char *dir = script_chain_dir(plan, PLAN_RUNDIR, order, &err);
	if (dir == NULL || script_render_header(plan, order, PLAN_EVALUATION, dir, &header, &err) != 0)
		fail_msg("%s", err.msg);
	return str_take(&header);
}

static void assert_refused(const struct eval_plan *plan, const struct attempt_order *order, const char *job_dir,
			   const char *message)
{
	struct nel_err err = {0};
	struct str header = {0};
	assert_int_equal(script_render_header(plan, order, PLAN_EVALUATION, job_dir, &header, &err), -1);
	assert_int_equal(err.kind, NEL_INVALID);
	if (strstr(err.msg, message) == NULL)
		fail_msg("'%s' does not say '%s'", err.msg, message);
	assert_int_equal(header.len, 0);
	str_done(&header);
}

static void assert_line(const char *header, const char *line)
{
	CLEANUP(mem_freep) char *whole = mem_printf("\n%s\n", line);
	if (strstr(header, whole) == NULL)
		fail_msg("no line '%s' in:\n%s", line, header);
}

static char *read_file(const char *path)
{
	CLEANUP(file_closep) FILE *file = fopen(path, "re");
	if (file == NULL)
		return NULL;
	struct str text = {0};
	char chunk[4096];
	size_t size;
	while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
		str_append_n(&text, chunk, size);
	return str_take(&text);
}

/* What `bash -c script` prints. */
static char *run_bash(const char *script)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	pid_t pid;
	char *const argv[] = {"bash", "/dev/stdin", NULL};
	int input[2];
	assert_int_equal(pipe2(input, O_CLOEXEC), 0);
	posix_spawn_file_actions_adddup2(&actions, input[0], 0);
	assert_int_equal(posix_spawn(&pid, "/bin/bash", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	close(input[0]);
	CLEANUP(file_closep) FILE *to = fdopen(input[1], "w");
	assert_int_equal(fwrite(script, 1, strlen(script), to), strlen(script));
	file_closep(&to);
	struct str output = {0};
	char chunk[4096];
	ssize_t size;
	while ((size = read(ends[0], chunk, sizeof chunk)) > 0)
		str_append_n(&output, chunk, (size_t)size);
	close(ends[0]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return str_take(&output);
}

/* ---- names ---- */

static void test_job_name_of_a_task_has_account_subproject_and_attempt(void **state)
{
	(void)state;
	static const struct {
		const char *account, *subproject, *file_name;
		int index, attempt;
		const char *want;
	} cases[] = {
	    {"team", "nel", "mmlu", 5, 1, "team-nel.mmlu.5-" PLAN_EVALUATION ".1"},
	    {"team", "nel", "simple_evals.mmlu", 0, 12, "team-nel.simple_evals.mmlu.0-" PLAN_EVALUATION ".12"},
	    {"team", "50%x", "mmlu", 0, 1, "team-50%x.mmlu.0-" PLAN_EVALUATION ".1"},
	    {"a,b", "x y\n'", "t", 0, 1, "a_b-x_y__.t.0-" PLAN_EVALUATION ".1"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct eval_plan plan = plan_none();
		plan.account = (char *)cases[i].account;
		plan.subproject = (char *)cases[i].subproject;
		struct plan_job job = {.index = cases[i].index, .file_name = (char *)cases[i].file_name};
		CLEANUP(mem_freep) char *name = script_job_name(&plan, &job, PLAN_EVALUATION, cases[i].attempt);
		assert_string_equal(name, cases[i].want);
	}
}

static void test_rundir_of_an_instant_is_stamped_in_utc(void **state)
{
	(void)state;
	struct eval_plan plan = plan_none();
	CLEANUP(mem_freep) char *rundir = script_rundir(&plan, PLAN_EVALUATION, 1769860800);
	assert_string_equal(rundir, PLAN_RUNDIR);
	plan.output_dir = "/shared/out//";
	CLEANUP(mem_freep) char *slashes = script_rundir(&plan, PLAN_EVALUATION, 1769860800);
	assert_string_equal(slashes, PLAN_RUNDIR);
	CLEANUP(mem_freep) char *job_dir = script_job_dir(rundir, &plan.jobs[0]);
	assert_string_equal(job_dir, JOB_DIR);
}

/* ---- options ---- */

static void test_render_header_of_options_quotes_them_as_sbatch_reads_them(void **state)
{
	(void)state;
	struct sbatch_flag flags[] = {
	    {.name = "constraint", .value = "h100 ampere"},
	    {.name = "comment", .value = ""},
	    {.name = "exclusive"},
	    {.name = "switches", .value = "1"},
	    {.name = "wckey", .value = "a\"b\\c#d"},
	};
	struct eval_plan plan = plan_none();
	plan.sbatch_flags = flags;
	plan.sbatch_flag_count = COUNT(flags);
	plan.comment = "for $USER's run";
	plan.gpus_per_node = "8";
	struct attempt_order order = plan_order();
	order.after_job = "123";
	order.exclude_node = "node-1";
	CLEANUP(mem_freep) char *header = render(&plan, &order);
	static const char *const lines[] = {
	    "#SBATCH --time=01:00:00",
	    "#SBATCH --account=team",
	    "#SBATCH --partition=batch",
	    "#SBATCH --nodes=1",
	    "#SBATCH --ntasks-per-node=1",
	    "#SBATCH --gpus-per-node=8",
	    "#SBATCH --gres=gpu:8",
	    "#SBATCH --comment=\"for $USER's run\"",
	    "#SBATCH --constraint=\"h100 ampere\"",
	    "#SBATCH --comment=",
	    "#SBATCH --exclusive",
	    "#SBATCH --switches=1",
	    "#SBATCH --wckey=\"a\\\"b\\\\c#d\"",
	    "#SBATCH --job-name=team-nemo-evaluator-launcher.mmlu.0-" PLAN_EVALUATION ".1",
	    "#SBATCH --no-requeue",
	    "#SBATCH --output=" JOB_DIR "/logs/slurm-%A.log",
	    "#SBATCH --open-mode=append",
	    "#SBATCH --dependency=afterany:123",
	    "#SBATCH --exclude=node-1",
	};
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_line(header, lines[i]);
	assert_null(strstr(header, "--export"));
}

static void test_render_header_without_optional_options_omits_them(void **state)
{
	(void)state;
	struct eval_plan plan = plan_none();
	plan.gres = NULL;
	plan.sbatch_flag_count = 0;
	struct attempt_order order = plan_order();
	CLEANUP(mem_freep) char *header = render(&plan, &order);
	static const char *const absent[] = {"--gres",      "--gpus-per-node", "--comment",
					     "--exclusive", "--dependency",    "--exclude"};
	for (size_t i = 0; i < COUNT(absent); i++)
		assert_null(strstr(header, absent[i]));
}

static void test_render_header_of_a_time_limit_never_exceeds_the_budget(void **state)
{
	(void)state;
	static const struct {
		int64_t limit_s, walltime_s, max_s;
		const char *want;
	} cases[] = {
	    {3600, 3600, 432000, "#SBATCH --time=01:00:00"},
	    {432000, 432000, -1, "#SBATCH --time=120:00:00"},
	    {489, 489, -1, "#SBATCH --time=00:08:09"}, /* Slurm rounds up to what was asked for and no less */
	    {489, 489, 432000, "#SBATCH --time=00:08:09"},
	    {489, 489, 489, "#SBATCH --time=00:08:00"},    /* that would be more than there is */
	    {3599, 3600, 7200, "#SBATCH --time=00:59:00"}, /* clipped by the budget */
	    {61, 3600, 7200, "#SBATCH --time=00:01:00"},
	    {30, 30, -1, "#SBATCH --time=00:00:30"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct eval_plan plan = plan_none();
		plan.walltime_s = cases[i].walltime_s;
		plan.max_walltime_s = cases[i].max_s;
		struct attempt_order order = plan_order();
		order.time_limit_s = cases[i].limit_s;
		CLEANUP(mem_freep) char *header = render(&plan, &order);
		assert_line(header, cases[i].want);
	}
	struct eval_plan plan = plan_none();
	struct attempt_order order = plan_order();
	order.time_limit_s = 0;
	assert_refused(&plan, &order, JOB_DIR, "time limit");
}

static void test_render_header_of_unsafe_options_is_refused(void **state)
{
	(void)state;
	struct eval_plan plan = plan_none();
	struct attempt_order order = plan_order();
	plan.comment = "x\n#SBATCH --uid=0";
	assert_refused(&plan, &order, JOB_DIR, "comment");
	plan = plan_none();
	plan.account = "a\rb";
	assert_refused(&plan, &order, JOB_DIR, "account");
	plan = plan_none();
	struct sbatch_flag flag = {.name = "exclusive --uid=0"};
	plan.sbatch_flags = &flag;
	plan.sbatch_flag_count = 1;
	assert_refused(&plan, &order, JOB_DIR, "no name of an sbatch option");
	flag = (struct sbatch_flag){.name = "comment", .value = "a\x7f"};
	assert_refused(&plan, &order, JOB_DIR, "comment");
	plan = plan_none();
	order.after_job = "1,singleton";
	assert_refused(&plan, &order, JOB_DIR, "Slurm job id");
	order = plan_order();
	order.exclude_node = "a b";
	assert_refused(&plan, &order, JOB_DIR, "node");
	order = plan_order();
	order.job_index = 7;
	assert_refused(&plan, &order, JOB_DIR, "job 7");
}

static void test_render_header_of_a_job_dir_without_safe_form_is_refused(void **state)
{
	(void)state;
	static const char *const dirs[] = {"relative/dir", "/a:b",  "/a,b", "/a\\b", "/a\nb",
					   "/a b",         "/a\"b", "/a$b", "/a`b"};
	struct eval_plan plan = plan_none();
	struct attempt_order order = plan_order();
	for (size_t i = 0; i < COUNT(dirs); i++)
		assert_refused(&plan, &order, dirs[i], "run directory");
	struct str header = {0};
	struct nel_err err;
	assert_int_equal(script_render_header(&plan, &order, PLAN_EVALUATION, "/a;%j/b", &header, &err), 0);
	assert_line(header.data, "#SBATCH --output=\"/a;%%j/b/logs/slurm-%A.log\"");
	str_done(&header);
}

/* ---- data ---- */

static void test_render_header_of_wrong_servers_is_refused(void **state)
{
	(void)state;
	struct server server;
	struct eval_plan plan = plan_none();
	plan.deployment = &server;
	struct attempt_order order = plan_order();
	server = plan_server();
	server.command = "";
	assert_refused(&plan, &order, JOB_DIR, "no command");
	server = plan_server();
	server.image = "";
	assert_refused(&plan, &order, JOB_DIR, "no image");
	server = plan_server();
	server.num_instances = 2;
	assert_refused(&plan, &order, JOB_DIR, "2 instances");
	server = plan_server();
	server.num_nodes = server.num_instances = 4;
	plan.total_nodes = 4;
	assert_refused(&plan, &order, JOB_DIR, "1 tasks of deployment are too few for 4 instances");
	plan.total_nodes = 1;
	server = plan_server();
	server.health_path = "/health\n    server evil 1.2.3.4:80";
	assert_refused(&plan, &order, JOB_DIR, "health path");
	server = plan_server();
	server.name = "../judge";
	assert_refused(&plan, &order, JOB_DIR, "no name for a server");
	server = plan_server();
	server.env_prefix = "$(id)";
	assert_refused(&plan, &order, JOB_DIR, "env_prefix");
	server = plan_server();
	struct mount mount = {.source = "/a,/etc:/b", .target = "/c"};
	server.mounts = (struct mount_list){.items = &mount, .count = 1};
	assert_refused(&plan, &order, JOB_DIR, "mount");
	mount = (struct mount){.source = "a", .target = "/c"};
	assert_refused(&plan, &order, JOB_DIR, "absolute");
}

static void test_render_header_of_wrong_variables_is_refused(void **state)
{
	(void)state;
	static const struct {
		struct env_var var;
		const char *message;
	} cases[] = {
	    {{.name = "A B", .source = ENV_LITERAL, .value = ""}, "no variable"},
	    {{.name = "A;touch x", .source = ENV_HOST, .value = "X"}, "no variable"},
	    {{.name = "A", .source = ENV_RUNTIME, .value = "x[$(id)]"}, "no variable"},
	    {{.name = "UID", .source = ENV_LITERAL, .value = "0"}, "cannot be set"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct eval_plan plan = plan_none();
		struct plan_job job = plan_jobs[0];
		struct env_var var = cases[i].var;
		job.env = (struct env_group){.vars = &var, .count = 1};
		plan.jobs = &job;
		struct attempt_order order = plan_order();
		assert_refused(&plan, &order, JOB_DIR, cases[i].message);
	}
	struct eval_plan plan = plan_none();
	struct plan_job job = plan_jobs[0];
	plan.jobs = &job;
	CLEANUP(mem_freep) char *huge = mem_calloc(200 * 1024 + 1, 1);
	memset(huge, 'x', (size_t)200 * 1024);
	job.pre_cmd = huge;
	struct attempt_order order = plan_order();
	assert_refused(&plan, &order, JOB_DIR, "NEL_PRE_CMD is longer");
}

/* sbatch looks for #PBS and #BSUB at the beginnings of lines in the whole script. */
static void test_render_header_of_multi_line_data_begins_no_line_with_a_hash(void **state)
{
	(void)state;
	struct eval_plan plan = plan_none();
	struct plan_job job = plan_jobs[0];
	job.pre_cmd = "#!/bin/bash\n#BSUB -J evil\n\n##PBS -N evil\necho hi\n";
	plan.jobs = &job;
	struct attempt_order order = plan_order();
	CLEANUP(mem_freep) char *header = render(&plan, &order);
	assert_null(strstr(header, "\n#BSUB"));
	assert_null(strstr(header, "\n##PBS"));
	CLEANUP(mem_freep) char *script = mem_printf("%s\nprintf %%s \"$NEL_PRE_CMD\"\n", header);
	CLEANUP(mem_freep) char *output = run_bash(script);
	assert_string_equal(output, job.pre_cmd);
}

/* Every hostile string comes back from bash as it was, and none is run. */
static void test_render_header_of_hostile_data_is_read_back_unchanged(void **state)
{
	(void)state;
	static const char *const texts[] = {
	    "$(touch /tmp/nel-evil)",
	    "`touch /tmp/nel-evil`",
	    "'; touch /tmp/nel-evil; '",
	    "\"; touch /tmp/nel-evil; \"",
	    "a\nb",
	    "\\",
	    "\\'",
	    "''",
	    "!x",
	    "~",
	    "*",
	    "\x01\x7f\xff\xc3\x28",
	    " lead and trail ",
	    ")\ntouch /tmp/nel-evil\n(",
	};
	unlink("/tmp/nel-evil");
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct env_var vars[] = {{.name = "X", .source = ENV_LITERAL, .value = (char *)texts[i]}};
		struct server server = plan_server();
		server.command = server.pre_cmd = (char *)texts[i];
		server.image = (char *)texts[i];
		server.served_model_name = (char *)texts[i];
		struct plan_job job = plan_jobs[0];
		job.env = ENV(vars);
		job.post_cmd = job.container = job.task = (char *)texts[i];
		struct eval_plan plan = plan_none();
		plan.deployment = &server;
		plan.jobs = &job;
		struct attempt_order order = plan_order();
		CLEANUP(mem_freep) char *header = render(&plan, &order);
		CLEANUP(mem_freep)
		char *script = mem_printf(
		    "%s\nprintf '%%s|' \"${NEL_SERVER_COMMAND[0]}\" \"${NEL_SERVER_PRE_CMD[0]}\" "
		    "\"${NEL_SERVER_IMAGE[0]}\" \"${NEL_SERVER_MODEL_ID[0]}\" \"$NEL_POST_CMD\" \"$NEL_TASK\" "
		    "\"$NEL_EVALUATION_IMAGE\" \"${NEL_ENVIRONMENT[@]: -1}\"\n",
		    header);
		CLEANUP(mem_freep) char *output = run_bash(script);
		struct str want = {0};
		for (int n = 0; n < 8; n++)
			str_appendf(&want, "%s|", texts[i]);
		assert_string_equal(output, want.data);
		str_done(&want);
	}
	assert_int_equal(access("/tmp/nel-evil", F_OK), -1);
}

static void test_render_header_of_random_bytes_is_read_back_unchanged(void **state)
{
	(void)state;
	uint32_t seed = 20260131;
	for (int round = 0; round < 40; round++) {
		char text[400];
		size_t size = 0;
		while (size < sizeof text - 1) {
			seed = seed * 1664525 + 1013904223;
			/* Half of them from the bytes that a shell cares for. */
			static const char special[] = "'\"\\$`\n#!()*?[]{};&|<> \t~=\x01\x7f";
			text[size++] =
			    seed >> 31 ? special[(seed >> 16) % (sizeof special - 1)] : (char)(1 + (seed >> 16) % 255);
		}
		text[size] = '\0';
		struct plan_job job = plan_jobs[0];
		job.post_cmd = text;
		struct eval_plan plan = plan_none();
		plan.jobs = &job;
		struct attempt_order order = plan_order();
		CLEANUP(mem_freep) char *header = render(&plan, &order);
		CLEANUP(mem_freep) char *script = mem_printf("%s\nprintf %%s \"$NEL_POST_CMD\"\n", header);
		CLEANUP(mem_freep) char *output = run_bash(script);
		assert_string_equal(output, text);
	}
}

/* ---- golden files ---- */

/* Compares with tests/golden/run_sub_<name>.txt; NEL_GOLDEN=write makes it anew. */
static void compare_golden(const char *name, const struct eval_plan *plan, const struct attempt_order *order)
{
	CLEANUP(mem_freep) char *header = render(plan, order);
	CLEANUP(mem_freep) char *path = mem_printf("%s/run_sub_%s.txt", GOLDEN_DIR, name);
	const char *mode = getenv("NEL_GOLDEN");
	if (mode != NULL && strcmp(mode, "write") == 0) {
		CLEANUP(file_closep) FILE *file = fopen(path, "we");
		assert_non_null(file);
		fputs(header, file);
	}
	CLEANUP(mem_freep) char *want = read_file(path);
	assert_non_null(want);
	assert_string_equal(header, want);
}

static struct mount plan_job_mounts[] = {{.source = "/data/mmlu", .target = "/datasets"}};

static void test_render_header_of_plans_is_as_in_the_golden_files(void **state)
{
	(void)state;
	struct attempt_order order = plan_order();
	struct plan_job job = plan_jobs[0];
	struct eval_plan plan = plan_none();
	job.env = ENV(plan_job_env);
	job.mounts = MOUNTS(plan_job_mounts);
	plan.jobs = &job;
	compare_golden("none", &plan, &order);

	struct server server = plan_server();
	plan.deployment = &server;
	compare_golden("vllm", &plan, &order);

	struct plan_job commands = job;
	commands.pre_cmd = "# Comes first.\nexport FROM_PRE_CMD='it'\\''s set'\n";
	commands.post_cmd = "echo \"post $FROM_PRE_CMD\"";
	commands.gpu_visible = "all";
	server.pre_cmd = "export FROM_SERVER_PRE_CMD=1";
	server.mount_home = false;
	CLEANUP(json_freep)
	json_t *resolved = json_pack("{s:{s:{s:b}}}", "execution", "mounts", "mount_home", 0);
	struct plan_export export_ = {.destinations = plan_destinations,
				      .destination_count = COUNT(plan_destinations),
				      .install_cmd = "pip install nemo-evaluator-launcher",
				      .image = "python:3.12.7-slim",
				      .partition = "cpu",
				      .env = ENV(plan_export_env)};
	plan.jobs = &commands;
	plan.resolved = resolved;
	plan.export_ = &export_;
	plan.mpi = NULL;
	plan.comment = "nightly run";
	order.number = 2;
	order.after_job = "4711";
	order.exclude_node = "node7";
	compare_golden("commands", &plan, &order);

	plan = plan_none();
	order = plan_order();
	plan.jobs = &job;
	plan.resume_mode = RESUME_IN_JOB;
	plan.resume_on = (char *[]){"TIMEOUT", "PREEMPTED", "NODE_FAIL", NULL};
	plan.max_walltime_s = 9000;
	plan.max_attempts = 5;
	compare_golden("in_job", &plan, &order);

	plan = plan_none();
	order = plan_order();
	plan.jobs = &job;
	server = plan_server();
	server.num_nodes = server.n_tasks = 4;
	server.num_instances = 2;
	struct server judge = plan_judge();
	judge.first_node = 4;
	judge.num_nodes = judge.n_tasks = 2;
	plan.deployment = &server;
	plan.auxiliaries = &judge;
	plan.auxiliary_count = 1;
	plan.total_nodes = 6;
	compare_golden("instances", &plan, &order);

	plan.containers = CONTAINERS_APPTAINER;
	export_ = (struct plan_export){.destinations = plan_destinations,
				       .destination_count = COUNT(plan_destinations),
				       .image = "python:3.12.7-slim",
				       .partition = "cpu",
				       .env = ENV(plan_export_env)};
	plan.export_ = &export_;
	compare_golden("apptainer", &plan, &order);
}

static void test_render_header_of_several_jobs_on_one_deployment_is_as_in_the_golden_files(void **state)
{
	(void)state;
	static const int indices[] = {2, 0, 3};
	struct share_order share = {.number = 1, .jobs = indices, .job_count = COUNT(indices), .at_once = 1};
	struct attempt_order order = plan_order();
	order.job_name = "team-nemo-evaluator-launcher.shared.1-" PLAN_EVALUATION ".1";
	order.share = &share;
	struct plan_job jobs[4];
	struct env_var other_env[] = {{.name = "OTHER_KEY", .source = ENV_HOST, .value = "OTHER_KEY"}};
	for (int i = 0; i < 4; i++) {
		jobs[i] = plan_jobs[0];
		jobs[i].index = i;
	}
	jobs[0].env = ENV(plan_job_env);
	jobs[0].mounts = MOUNTS(plan_job_mounts);
	jobs[2].task = jobs[2].file_name = "gsm8k";
	jobs[2].env = ENV(other_env);
	jobs[2].pre_cmd = "export FROM_PRE_CMD=gsm8k";
	jobs[2].post_cmd = "echo \"post $FROM_PRE_CMD\"";
	jobs[3].task = jobs[3].file_name = "ifeval";
	struct eval_plan plan = plan_none();
	struct server server = plan_server();
	struct server judge = plan_judge();
	judge.first_node = 1;
	plan.jobs = jobs;
	plan.job_count = COUNT(jobs);
	plan.deployment = &server;
	compare_golden("shared", &plan, &order);

	plan.auxiliaries = &judge;
	plan.auxiliary_count = 1;
	plan.total_nodes = 2;
	struct plan_export export_ = {.destinations = plan_destinations,
				      .destination_count = COUNT(plan_destinations),
				      .image = "python:3.12.7-slim",
				      .partition = "cpu",
				      .env = ENV(plan_export_env)};
	plan.export_ = &export_;
	plan.resume_mode = RESUME_IN_JOB;
	plan.resume_on = (char *[]){"TIMEOUT", NULL};
	plan.max_walltime_s = 9000;
	share.at_once = 2;
	compare_golden("shared_export", &plan, &order);
}

static void test_render_header_of_a_job_that_is_not_in_the_plan_is_refused(void **state)
{
	(void)state;
	static const int indices[] = {0, 7};
	struct share_order share = {.number = 1, .jobs = indices, .job_count = COUNT(indices), .at_once = 1};
	struct attempt_order order = plan_order();
	struct eval_plan plan = plan_none();
	order.share = &share;
	assert_refused(&plan, &order, PLAN_RUNDIR "/shared.1", "there is no job 7");
	share.job_count = 0;
	assert_refused(&plan, &order, PLAN_RUNDIR "/shared.1", "without jobs");
}

static void test_render_header_of_an_image_that_apptainer_cannot_take_is_refused(void **state)
{
	(void)state;
	struct attempt_order order = plan_order();
	struct plan_job job = plan_jobs[0];
	struct eval_plan plan = plan_none();
	plan.jobs = &job;
	plan.containers = CONTAINERS_APPTAINER;
	job.container = "me@nvcr.io#nvidia/x:1";
	assert_refused(&plan, &order, JOB_DIR, "apptainer registry login");
	job.container = "nvcr.io#nvidia/x:1";
	plan.proxy_image = "podman://x"; /* nobody uses it */
	CLEANUP(mem_freep) char *header = render(&plan, &order);
	assert_line(header, "readonly NEL_EVALUATION_IMAGE='docker://nvcr.io/nvidia/x:1'");
	assert_line(header, "readonly NEL_CONTAINERS='apptainer'");
}

static void test_render_header_in_job_takes_the_attempt_from_the_arguments(void **state)
{
	(void)state;
	struct eval_plan plan = plan_none();
	struct attempt_order order = plan_order();
	order.number = 7;
	order.job_name = "a-b.mmlu.0-e.7";
	plan.resume_mode = RESUME_IN_JOB;
	plan.resume_on = (char *[]){"TIMEOUT", NULL};
	CLEANUP(mem_freep) char *header = render(&plan, &order);
	assert_line(header, "readonly NEL_NAME_STEM='a-b.mmlu.0-e'");
	CLEANUP(mem_freep)
	char *script = mem_printf("set -- 8 60\n%s\nprintf %%s \"$NEL_ATTEMPT\"\n", header);
	CLEANUP(mem_freep) char *told = run_bash(script);
	assert_string_equal(told, "8");
	CLEANUP(mem_freep) char *alone = mem_printf("%s\nprintf %%s \"$NEL_ATTEMPT\"\n", header);
	CLEANUP(mem_freep) char *own = run_bash(alone);
	assert_string_equal(own, "7");
	plan.resume_mode = RESUME_OFF;
	CLEANUP(mem_freep) char *off = render(&plan, &order);
	assert_line(off, "readonly NEL_RESUME_MODE=off");
	assert_line(off, "readonly NEL_BUDGET_LEFT_S=9000");
	assert_null(strstr(off, "NEL_RESUME_ON"));
}

static void test_body_is_the_parts_of_the_repository_one_after_the_other(void **state)
{
	(void)state;
	CLEANUP(mem_freep)
	char *want =
	    run_bash("awk 'FNR == 1 && NR > 1 { print \"\" } 1' " NEL_SOURCE_DIR "/daemon/slurm/script/run_body/*.sh");
	assert_string_equal(script_body(), want);
	CLEANUP(mem_freep)
	char *shared =
	    run_bash("cd " NEL_SOURCE_DIR "/daemon/slurm/script && awk 'FNR == 1 && NR > 1 { print \"\" } 1' "
		     "$(ls run_body/*.sh | grep -v 13_main) run_shared/*.sh");
	assert_string_equal(script_shared_body(), shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_job_name_of_a_task_has_account_subproject_and_attempt),
	    cmocka_unit_test(test_rundir_of_an_instant_is_stamped_in_utc),
	    cmocka_unit_test(test_render_header_of_options_quotes_them_as_sbatch_reads_them),
	    cmocka_unit_test(test_render_header_without_optional_options_omits_them),
	    cmocka_unit_test(test_render_header_of_a_time_limit_never_exceeds_the_budget),
	    cmocka_unit_test(test_render_header_of_unsafe_options_is_refused),
	    cmocka_unit_test(test_render_header_of_a_job_dir_without_safe_form_is_refused),
	    cmocka_unit_test(test_render_header_of_wrong_servers_is_refused),
	    cmocka_unit_test(test_render_header_of_wrong_variables_is_refused),
	    cmocka_unit_test(test_render_header_of_multi_line_data_begins_no_line_with_a_hash),
	    cmocka_unit_test(test_render_header_of_hostile_data_is_read_back_unchanged),
	    cmocka_unit_test(test_render_header_of_random_bytes_is_read_back_unchanged),
	    cmocka_unit_test(test_render_header_of_plans_is_as_in_the_golden_files),
	    cmocka_unit_test(test_render_header_of_several_jobs_on_one_deployment_is_as_in_the_golden_files),
	    cmocka_unit_test(test_render_header_of_a_job_that_is_not_in_the_plan_is_refused),
	    cmocka_unit_test(test_render_header_of_an_image_that_apptainer_cannot_take_is_refused),
	    cmocka_unit_test(test_render_header_in_job_takes_the_attempt_from_the_arguments),
	    cmocka_unit_test(test_body_is_the_parts_of_the_repository_one_after_the_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
