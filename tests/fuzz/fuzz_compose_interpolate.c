/* The whole way of a submission, but for the cluster: config/eval_config (parse, compose, interpolate, fill in, check),
 * the plan made again from what the store keeps, and what slurm/ writes of it: in run.sub nothing of a config stands
 * unquoted. The first part of an input is the config (or the digit of one of those below), the others are overrides. */
#include "config/plan/eval_config.h"
#include "config/text/yaml_json.h"
#include "fuzz.h"
#include "fuzz_header.h"
#include "slurm/rundir.h"

#define EVALUATION "0123456789abcdef"
#define RENDERED_JOBS_MAX 3

#define SITE \
	"execution: {hostname: login, account: acct, output_dir: /out, partition: gpu, num_nodes: 4}\n" \
	"evaluation: {tasks: [{name: hellaswag}, {name: simple_evals.mmlu_pro}]}\n"
#define DEFAULTS(deployment) "defaults: [execution: slurm/default, deployment: " deployment ", _self_]\n"

static const char *const bases[] = {
    DEFAULTS("vllm") SITE "deployment: {checkpoint_path: /models/m, served_model_name: m}\n",
    DEFAULTS("none") SITE "target: {api_endpoint: {url: 'https://x.example/v1', model_id: m, api_key_name: KEY}}\n",
    "defaults: [execution: slurm/default, deployment: vllm, deployment/vllm@auxiliary_deployments.judge, "
    "_self_]\n" SITE "deployment: {checkpoint_path: /models/m, served_model_name: m}\n"
    "auxiliary_deployments: {judge: {checkpoint_path: null, hf_model_handle: j, served_model_name: j, port: 8001}}\n",
    DEFAULTS("sglang") SITE "deployment: {checkpoint_path: /models/m, served_model_name: m}\n"
			    "env_vars: {HF_TOKEN: 'host:HF_TOKEN'}\n"
			    "export: {wandb: {project: p}, env_vars: {WANDB_API_KEY: 'host:W'}}\n",
};

static struct catalogue *catalogue;

static const char *username_for(const char *hostname, const char *cluster, void *arg)
{
	(void)arg;
	return cluster != NULL ? "by-cluster" : hostname != NULL && strcmp(hostname, "login") == 0 ? "svc" : NULL;
}

static const char *secret(const char *name, void *arg)
{
	(void)name, (void)arg;
	return "it's $(touch X)\n`x`";
}

static bool same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static char *render(const struct eval_plan *plan, size_t index)
{
	CLEANUP(mem_freep) char *rundir = script_rundir(plan, EVALUATION, 1800000000);
	CLEANUP(mem_freep) char *job_dir = script_job_dir(rundir, &plan->jobs[index]);
	CLEANUP(mem_freep) char *name = script_job_name(plan, &plan->jobs[index], EVALUATION, 1);
	const struct attempt_order order = {
	    .job_index = (int)index, .number = 1, .job_name = name, .time_limit_s = plan->walltime_s};
	struct nel_err err = {0};
	struct str header = {0};
	FUZZ_CHECK(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == strlen(name));
	if (script_render_header(plan, &order, EVALUATION, job_dir, &header, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		return NULL;
	}
	return str_take(&header);
}

/* What the plan holds arrives in run.sub as it is. */
static void check_header(const struct eval_plan *plan, const struct plan_job *job, const char *header)
{
	fuzz_check_header(header);
	FUZZ_CHECK(fuzz_header_has(header, "NEL_TASK", job->task));
	FUZZ_CHECK(fuzz_header_has(header, "NEL_EVALUATION_IMAGE", job->container));
	FUZZ_CHECK(fuzz_header_has(header, "NEL_PRE_CMD", job->pre_cmd));
	FUZZ_CHECK(fuzz_header_has(header, "NEL_POST_CMD", job->post_cmd));
	if (plan->deployment != NULL) {
		FUZZ_CHECK(fuzz_header_has(header, "NEL_SERVER_IMAGE[0]", plan->deployment->image));
		FUZZ_CHECK(fuzz_header_has(header, "NEL_SERVER_COMMAND[0]", plan->deployment->command));
	}
	FUZZ_CHECK(fuzz_header_has_option(header, "account", plan->account));
	FUZZ_CHECK(fuzz_header_has_option(header, "partition", plan->partition));
	if (plan->comment != NULL)
		FUZZ_CHECK(fuzz_header_has_option(header, "comment", plan->comment));
	for (size_t i = 0; i < plan->sbatch_flag_count; i++)
		FUZZ_CHECK(fuzz_header_has_option(header, plan->sbatch_flags[i].name, plan->sbatch_flags[i].value));
}

static void check_same(const struct eval_plan *a, const struct eval_plan *b)
{
	FUZZ_CHECK(same(a->hostname, b->hostname) && same(a->cluster, b->cluster) && same(a->username, b->username));
	FUZZ_CHECK(same(a->model, b->model) && a->walltime_s == b->walltime_s);
	FUZZ_CHECK(a->max_walltime_s == b->max_walltime_s && a->resume_mode == b->resume_mode);
	FUZZ_CHECK(a->max_attempts == b->max_attempts && a->job_count == b->job_count);
	for (size_t i = 0; a->resume_on[i] != NULL || b->resume_on[i] != NULL; i++)
		FUZZ_CHECK(same(a->resume_on[i], b->resume_on[i]));
	for (size_t i = 0; i < a->job_count; i++) {
		FUZZ_CHECK(same(a->jobs[i].task, b->jobs[i].task));
		FUZZ_CHECK(same(a->jobs[i].file_name, b->jobs[i].file_name));
		FUZZ_CHECK(json_equal(a->jobs[i].evaluator_config, b->jobs[i].evaluator_config));
	}
}

static void check_file(const struct eval_plan *plan, const struct rundir_file *file)
{
	FUZZ_CHECK(file->path[0] != '/' && strstr(file->path, "..") != file->path);
	FUZZ_CHECK(strstr(file->path, "/../") == NULL && !str_has_control(file->path));
	if (!str_ends_with(file->path, "/config_ef.yaml"))
		return;
	struct nel_err err = {0};
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(json_freep) json_t *config = NULL;
	FUZZ_CHECK(yaml_json_parse(file->data, file->size, false, &config, NULL, &problems, &err) == 0);
	bool found = false;
	for (size_t i = 0; i < plan->job_count && !found; i++)
		found = json_equal(plan->jobs[i].evaluator_config, config);
	FUZZ_CHECK(found);
}

static void check_rundir(const struct eval_plan *plan)
{
	struct nel_err err = {0};
	CLEANUP(rundir_files_done) struct rundir_files files = {0};
	CLEANUP(mem_freep) char *rundir = script_rundir(plan, EVALUATION, 1800000000);
	struct attempt_order order = {.number = 1, .job_name = "check", .time_limit_s = plan->walltime_s};
	const struct rundir_input in = {.plan = plan,
					.evaluation = EVALUATION,
					.rundir = rundir,
					.orders = &order,
					.order_count = 1,
					.secret = secret};
	FUZZ_CHECK(rundir_build(&in, &files, &err) == 0);
	for (size_t i = 0; i < files.count; i++)
		check_file(plan, &files.items[i]);
	char *tar = NULL;
	size_t size = 0;
	FUZZ_CHECK(rundir_tar(&files, &tar, &size, &err) == 0 && size > 0);
	free(tar);
}

static void check_secret_names(const struct eval_plan *plan)
{
	char **names = eval_plan_secret_names(plan);
	for (char **name = names; *name != NULL; name++)
		FUZZ_CHECK(name[1] == NULL || strcmp(*name, name[1]) < 0);
	for (char **name = names; *name != NULL; name++)
		free(*name);
	free(names);
}

static void check_plan(const struct eval_plan *plan)
{
	struct nel_err err = {0};
	CLEANUP(eval_plan_freep) struct eval_plan *again = NULL;
	/* As the store does it: through text. */
	CLEANUP(mem_freep) char *stored = json_dumps(plan->resolved, JSON_COMPACT);
	FUZZ_CHECK(stored != NULL);
	CLEANUP(json_freep) json_t *resolved = json_loads(stored, 0, NULL);
	FUZZ_CHECK(json_equal(plan->resolved, resolved));
	if (eval_config_replan(resolved, &again, &err) != 0)
		fprintf(stderr, "%s\n", err.msg);
	FUZZ_CHECK(again != NULL);
	check_same(plan, again);
	bool written = true;
	for (size_t i = 0; i < plan->job_count && i < RENDERED_JOBS_MAX; i++) {
		CLEANUP(mem_freep) char *header = render(plan, i);
		CLEANUP(mem_freep) char *header_again = render(again, i);
		FUZZ_CHECK(same(header, header_again));
		written = written && header != NULL;
		if (header != NULL)
			check_header(plan, &plan->jobs[i], header);
	}
	if (written)
		check_rundir(plan);
	check_secret_names(plan);
}

static void check_secret_places(const struct eval_plan *plan)
{
	char **names = eval_plan_secret_names(plan);
	for (char **name = names; *name != NULL; name++) {
		CLEANUP(mem_freep) char *place = eval_plan_secret_place(plan, *name);
		FUZZ_CHECK(*place == '\0' || *place == '/');
		free(*name);
	}
	free(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(fuzz_parts_done) struct fuzz_parts parts = fuzz_split(data, size);
	CLEANUP(problems_done) struct problems errors = {0};
	CLEANUP(problems_done) struct problems warnings = {0};
	CLEANUP(source_map_freep) struct source_map *map = NULL;
	CLEANUP(eval_plan_freep) struct eval_plan *plan = NULL;
	if (catalogue == NULL)
		FUZZ_CHECK(catalogue_load(NULL, &catalogue, &err) == 0);
	const char *text = parts.texts[0];
	size_t text_size = parts.sizes[0];
	if (text_size == 1 && *text >= '0' && *text < '0' + (int)(sizeof bases / sizeof bases[0])) {
		text = bases[*text - '0'];
		text_size = strlen(text);
	}
	const struct eval_input in = {.text = text,
				      .size = text_size,
				      .json = *text == '{',
				      .overrides = (const char *const *)parts.texts + 1,
				      .override_count = parts.count - 1,
				      .catalogue = catalogue,
				      .username_for = username_for,
				      .now_s = 1800000000,
				      .allow_commands = true,
				      .allow_unlisted_tasks = true,
				      .need_hostname = true};
	if (eval_config_plan(&in, &plan, &map, &errors, &warnings, &err) != 0) {
		fuzz_check_error(&err, NEL_INVALID);
		FUZZ_CHECK(errors.count > 0);
		fuzz_check_problems(&errors);
		if (plan != NULL)
			check_secret_places(plan);
		return 0;
	}
	FUZZ_CHECK(errors.count == 0);
	fuzz_check_problems(&warnings);
	check_plan(plan);
	return 0;
}
