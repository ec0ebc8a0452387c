/* The files of a run directory: which, with which modes; that secrets survive real bash; the tar stream. */
#include "slurm/rundir.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "cmocka_all.h"
#include "slurm_plan.h"

#include <archive.h>
#include <archive_entry.h>

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

/* NULL-terminated name, value, name, value... */
static const char *from_list(const char *name, void *arg)
{
	const char *const *list = arg;
	for (size_t i = 0; list[i] != NULL; i += 2)
		if (strcmp(list[i], name) == 0)
			return list[i + 1];
	return NULL;
}

static const char *const secrets[] = {"API_KEY",  "sk-1",          "HF_TOKEN", "hf-model", "JUDGE_HF_TOKEN",
				      "hf-judge", "WANDB_API_KEY", "wandb-1",  NULL};

static struct server server, judge;
static struct plan_export export_;
static struct plan_job jobs[2];

/* Everything: a deployment, a judge, an export, two jobs of one task. */
static struct eval_plan full_plan(void)
{
	struct eval_plan plan = plan_none();
	server = plan_server();
	judge = plan_judge();
	judge.first_node = 1;
	export_ = (struct plan_export){.destinations = plan_destinations,
				       .destination_count = COUNT(plan_destinations),
				       .image = "python:3.12.7-slim",
				       .partition = "cpu",
				       .env = ENV(plan_export_env)};
	jobs[0] = plan_jobs[0];
	jobs[0].env = ENV(plan_job_env);
	jobs[1] = jobs[0];
	jobs[1].index = 1;
	plan.deployment = &server;
	plan.auxiliaries = &judge;
	plan.auxiliary_count = 1;
	plan.total_nodes = 2;
	plan.export_ = &export_;
	plan.jobs = jobs;
	plan.job_count = COUNT(jobs);
	return plan;
}

static int build(const struct eval_plan *plan, const struct attempt_order *orders, size_t count,
		 const char *const *list, struct rundir_files *ret_files, struct nel_err *err)
{
	return rundir_build(&(struct rundir_input){.plan = plan,
						   .evaluation = PLAN_EVALUATION,
						   .rundir = PLAN_RUNDIR,
						   .orders = orders,
						   .order_count = count,
						   .secret = from_list,
						   .secret_arg = (void *)list},
			    ret_files, err);
}

static const struct rundir_file *find(const struct rundir_files *files, const char *path)
{
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->items[i].path, path) == 0)
			return &files->items[i];
	fail_msg("no file %s", path);
	return NULL;
}

static int run(const char *const *argv)
{
	pid_t pid;
	int status;
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_build_of_two_orders_makes_their_files_only(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		mode_t mode;
		bool secret;
	} want[] = {
	    {"mmlu.0/", 0700, false},
	    {"mmlu.0/logs/", 0700, false},
	    {"mmlu.0/artifacts/", 0700, false},
	    {"mmlu.0/run.sub", 0700, false},
	    {"mmlu.0/config_ef.yaml", 0600, false},
	    {"mmlu.0/artifacts/export_config.yml", 0600, false},
	    {"mmlu.0/artifacts/config.yml", 0600, false},
	    {"mmlu.0/.secrets.env", 0600, true},
	};
	CLEANUP(json_freep) json_t *config = json_pack("{s:{s:s}}", "config", "type", "mmlu");
	CLEANUP(json_freep) json_t *resolved = json_pack("{s:{s:{s:s}}}", "export", "wandb", "entity", "us");
	struct eval_plan plan = full_plan();
	plan.resolved = resolved;
	jobs[0].evaluator_config = jobs[1].evaluator_config = config;
	struct attempt_order orders[] = {plan_order(), plan_order()};
	CLEANUP(rundir_files_done) struct rundir_files one = {0}, two = {0};
	struct nel_err err;
	assert_int_equal(build(&plan, orders, 1, secrets, &one, &err), 0);
	assert_int_equal(one.count, COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++) {
		const struct rundir_file *file = find(&one, want[i].path);
		assert_int_equal(file->mode, want[i].mode);
		assert_int_equal(file->secret, want[i].secret);
		assert_int_equal(file->size, strlen(file->data));
	}
	assert_string_equal(find(&one, "mmlu.0/config_ef.yaml")->data, "config:\n  type: mmlu\n");
	assert_string_equal(find(&one, "mmlu.0/artifacts/export_config.yml")->data,
			    "export:\n  wandb:\n    entity: us\n");
	orders[1].job_index = 1;
	assert_int_equal(build(&plan, orders, 2, secrets, &two, &err), 0);
	assert_int_equal(two.count, 2 * COUNT(want));
	find(&two, "mmlu.1/run.sub");
}

/* One script and one server's secrets for all; each job has its config and its own secrets, and no script. */
static void test_build_of_a_shared_chain_keeps_secrets_apart(void **state)
{
	(void)state;
	static const char *const want[] = {
	    "shared.1/",
	    "shared.1/logs/",
	    "shared.1/artifacts/",
	    "shared.1/run.sub",
	    "shared.1/.secrets.env",
	    "mmlu.1/",
	    "mmlu.1/logs/",
	    "mmlu.1/artifacts/",
	    "mmlu.1/config_ef.yaml",
	    "mmlu.1/artifacts/export_config.yml",
	    "mmlu.1/artifacts/config.yml",
	    "mmlu.1/.secrets.env",
	};
	static const int indices[] = {1, 0};
	struct share_order share = {.number = 1, .jobs = indices, .job_count = COUNT(indices), .at_once = 1};
	struct attempt_order order = plan_order();
	struct eval_plan plan = full_plan();
	CLEANUP(json_freep) json_t *config = json_object();
	plan.resolved = jobs[0].evaluator_config = jobs[1].evaluator_config = config;
	order.share = &share;
	CLEANUP(rundir_files_done) struct rundir_files files = {0};
	struct nel_err err;
	assert_int_equal(build(&plan, &order, 1, secrets, &files, &err), 0);
	assert_int_equal(files.count, COUNT(want) + 7);
	for (size_t i = 0; i < COUNT(want); i++)
		assert_string_equal(files.items[i].path, want[i]);
	assert_true(str_ends_with(find(&files, "shared.1/run.sub")->data, script_shared_body()));
	const char *servers = find(&files, "shared.1/.secrets.env")->data;
	assert_non_null(strstr(servers, "deployment)"));
	assert_null(strstr(servers, "evaluation)"));
	const char *job = find(&files, "mmlu.0/.secrets.env")->data;
	assert_non_null(strstr(job, "evaluation)"));
	assert_null(strstr(job, "deployment)"));
	assert_null(strstr(job, "auxiliary"));
	static const int absent[] = {0, 9};
	struct rundir_files none = {0};
	share.jobs = absent;
	assert_int_equal(build(&plan, &order, 1, secrets, &none, &err), -1);
	assert_string_equal(err.msg, "there is no job 9");
}

static void test_build_of_a_script_ends_with_the_body_and_has_no_secret(void **state)
{
	(void)state;
	struct eval_plan plan = full_plan();
	struct attempt_order order = plan_order();
	CLEANUP(rundir_files_done) struct rundir_files files = {0};
	struct nel_err err;
	CLEANUP(json_freep) json_t *config = json_object();
	plan.resolved = jobs[0].evaluator_config = config;
	assert_int_equal(build(&plan, &order, 1, secrets, &files, &err), 0);
	const char *script = find(&files, "mmlu.0/run.sub")->data;
	assert_true(str_ends_with(script, script_body()));
	for (size_t i = 0; i < files.count; i++)
		for (size_t s = 1; !files.items[i].secret && secrets[s - 1] != NULL; s += 2)
			assert_null(strstr(files.items[i].data, secrets[s]));
}

static void test_build_without_secrets_names_all_that_are_missing(void **state)
{
	(void)state;
	struct eval_plan plan = full_plan();
	struct attempt_order orders[] = {plan_order(), plan_order()};
	orders[1].job_index = 1;
	static const char *const some[] = {"API_KEY", "", NULL};
	struct rundir_files files = {0};
	struct nel_err err = {0};
	assert_int_equal(build(&plan, orders, 2, some, &files, &err), -1);
	assert_int_equal(err.kind, NEL_INVALID);
	assert_string_equal(err.msg, "no value for the secrets HF_TOKEN, JUDGE_HF_TOKEN, WANDB_API_KEY");
	assert_null(files.items);
	orders[0].job_index = 9;
	assert_int_equal(build(&plan, orders, 1, secrets, &files, &err), -1);
	assert_string_equal(err.msg, "there is no job 9");
}

static void test_secrets_redacted_of_a_job_shows_names_only(void **state)
{
	(void)state;
	struct eval_plan plan = full_plan();
	CLEANUP(mem_freep) char *text = rundir_secrets_redacted(&plan, &plan.jobs[0]);
	assert_string_equal(text, "# The secrets of this job's containers, for run.sub: source .secrets.env CONSUMER\n"
				  "case $1 in\n"
				  "deployment)\n    export HF_TOKEN='<redacted>'\n    ;;\n"
				  "auxiliary.judge)\n    export HF_TOKEN='<redacted>'\n    ;;\n"
				  "evaluation)\n    export API_KEY='<redacted>'\n    ;;\n"
				  "export)\n    export WANDB_API_KEY='<redacted>'\n    ;;\n"
				  "esac\n");
}

/* Bash, in a fresh process, sources the file for each consumer and checks the values against files with the bytes. */
static void assert_secret_arrives(const char *dir, const char *value)
{
	const char *const list[] = {"API_KEY",  value,           "HF_TOKEN", "hf-model", "JUDGE_HF_TOKEN",
				    "hf-judge", "WANDB_API_KEY", "",         NULL};
	struct eval_plan plan = full_plan();
	struct attempt_order order = plan_order();
	CLEANUP(json_freep) json_t *config = json_object();
	plan.resolved = jobs[0].evaluator_config = config;
	CLEANUP(rundir_files_done) struct rundir_files files = {0};
	struct nel_err err;
	assert_int_equal(build(&plan, &order, 1, list, &files, &err), 0);
	CLEANUP(mem_freep) char *env_path = mem_printf("%s/secrets.env", dir);
	CLEANUP(mem_freep) char *value_path = mem_printf("%s/value", dir);
	CLEANUP(mem_freep) char *got_path = mem_printf("%s/got", dir);
	const struct rundir_file *file = find(&files, "mmlu.0/.secrets.env");
	CLEANUP(file_closep) FILE *env = fopen(env_path, "we");
	assert_int_equal(fwrite(file->data, 1, file->size, env), file->size);
	file_closep(&env);
	CLEANUP(file_closep) FILE *want = fopen(value_path, "we");
	fwrite(value, 1, strlen(value), want);
	file_closep(&want);
	CLEANUP(mem_freep)
	char *script =
	    mem_printf("set -e; cd '%s'; unset HF_TOKEN WANDB_API_KEY\n"
		       "source secrets.env evaluation\n"
		       "[[ ! -v HF_TOKEN && ! -v WANDB_API_KEY ]]\n"
		       "printenv -0 API_KEY | head -c -1 >'%s'\n"
		       "cmp -s value got\n"
		       "(unset API_KEY; source secrets.env deployment; [[ $HF_TOKEN = hf-model && ! -v API_KEY ]])\n"
		       "(source secrets.env auxiliary.judge; [[ $HF_TOKEN = hf-judge ]])\n"
		       "(source secrets.env export; [[ -v WANDB_API_KEY && -z $WANDB_API_KEY ]])\n"
		       "[[ ! -e evil ]]\n",
		       dir, got_path);
	const char *const argv[] = {"/bin/bash", "-c", script, NULL};
	if (run(argv) != 0)
		fail_msg("changed on its way through bash: %s", value);
}

static void test_build_of_hostile_secrets_gives_them_to_bash_unchanged(void **state)
{
	const char *dir = *state;
	static const char *const values[] = {"",
					     "plain",
					     "$(touch evil)",
					     "`touch evil`",
					     "'; touch evil; '",
					     "\";touch evil;\"",
					     "a=b\nc='d'\n",
					     "\nesac\ntouch evil\ncase x in",
					     "\\",
					     "tab\tbell\a\x01\x7f",
					     "\xff\xfe\xc3\x28 \xe2\x82",
					     "  spaces  ",
					     "!history ~ * ? [a]"};
	for (size_t i = 0; i < COUNT(values); i++)
		assert_secret_arrives(dir, values[i]);
}

static void test_build_of_random_secrets_gives_them_to_bash_unchanged(void **state)
{
	const char *dir = *state;
	uint32_t seed = 42;
	for (int round = 0; round < 25; round++) {
		char value[300];
		for (size_t i = 0; i < sizeof value - 1; i++) {
			seed = seed * 1664525 + 1013904223;
			value[i] = (char)(1 + (seed >> 16) % 255);
		}
		value[sizeof value - 1] = '\0';
		assert_secret_arrives(dir, value);
	}
}

static void test_build_of_a_secret_too_long_for_a_variable_is_refused(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *value = mem_calloc(200 * 1024 + 1, 1);
	memset(value, 'x', (size_t)200 * 1024);
	const char *const list[] = {"API_KEY", value, "HF_TOKEN", "", "JUDGE_HF_TOKEN", "", "WANDB_API_KEY", "", NULL};
	struct eval_plan plan = full_plan();
	struct attempt_order order = plan_order();
	struct rundir_files files = {0};
	struct nel_err err;
	assert_int_equal(build(&plan, &order, 1, list, &files, &err), -1);
	assert_non_null(strstr(err.msg, "the secret API_KEY is longer"));
}

static void test_tar_of_files_is_read_back_with_modes_and_data(void **state)
{
	(void)state;
	struct eval_plan plan = full_plan();
	struct attempt_order order = plan_order();
	CLEANUP(json_freep) json_t *config = json_object();
	plan.resolved = jobs[0].evaluator_config = config;
	/* A name that needs a pax header. */
	char name[220];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	jobs[0].file_name = name;
	CLEANUP(rundir_files_done) struct rundir_files files = {0};
	struct nel_err err;
	char *data;
	size_t size;
	assert_int_equal(build(&plan, &order, 1, secrets, &files, &err), 0);
	assert_int_equal(rundir_tar(&files, &data, &size, &err), 0);
	struct archive *tar = archive_read_new();
	archive_read_support_format_tar(tar);
	assert_int_equal(archive_read_open_memory(tar, data, size), ARCHIVE_OK);
	for (size_t i = 0; i < files.count; i++) {
		struct archive_entry *entry;
		assert_int_equal(archive_read_next_header(tar, &entry), ARCHIVE_OK);
		assert_string_equal(archive_entry_pathname(entry), files.items[i].path);
		assert_int_equal(archive_entry_perm(entry), files.items[i].mode);
		bool directory = str_ends_with(files.items[i].path, "/");
		assert_int_equal(archive_entry_filetype(entry), directory ? AE_IFDIR : AE_IFREG);
		assert_true(archive_entry_mtime(entry) > 1000000000);
		assert_int_equal(archive_entry_size(entry), files.items[i].size);
		CLEANUP(mem_freep) char *text = mem_calloc(files.items[i].size + 1, 1);
		assert_int_equal(archive_read_data(tar, text, files.items[i].size), files.items[i].size);
		assert_memory_equal(text, files.items[i].data, files.items[i].size);
	}
	struct archive_entry *entry;
	assert_int_equal(archive_read_next_header(tar, &entry), ARCHIVE_EOF);
	archive_read_free(tar);
	secret_free(data, size);
}

static int make_dir(void **state)
{
	char *dir = mem_strdup("/tmp/test_slurm_rundir.XXXXXX");
	*state = dir;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
	const char *const argv[] = {"/bin/rm", "-rf", "--", *state, NULL};
	int rc = run(argv);
	free(*state);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_build_of_two_orders_makes_their_files_only),
	    cmocka_unit_test(test_build_of_a_shared_chain_keeps_secrets_apart),
	    cmocka_unit_test(test_build_of_a_script_ends_with_the_body_and_has_no_secret),
	    cmocka_unit_test(test_build_without_secrets_names_all_that_are_missing),
	    cmocka_unit_test(test_secrets_redacted_of_a_job_shows_names_only),
	    cmocka_unit_test(test_build_of_hostile_secrets_gives_them_to_bash_unchanged),
	    cmocka_unit_test(test_build_of_random_secrets_gives_them_to_bash_unchanged),
	    cmocka_unit_test(test_build_of_a_secret_too_long_for_a_variable_is_refused),
	    cmocka_unit_test(test_tar_of_files_is_read_back_with_modes_and_data),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
