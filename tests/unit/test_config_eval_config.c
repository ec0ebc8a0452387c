/* The pipeline from text to plan: the documentation's configs, missing values, places, what the plan holds. */
#include "eval_fixture.h"

static char *read_example(const char *name)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/examples/%s", NEL_SOURCE_DIR, name);
	CLEANUP(file_closep) FILE *file = fopen(path, "r");
	assert_non_null(file);
	char *text = mem_calloc(1, 65536);
	assert_true(fread(text, 1, 65535, file) > 0);
	return text;
}

static void run_example(const char *name, const char *override, struct eval_result *ret)
{
	CLEANUP(mem_freep) char *text = read_example(name);
	struct eval_input in = eval_input_of(text, str_ends_with(name, ".json"));
	in.overrides = &override;
	in.override_count = override != NULL;
	eval_run_input(&in, ret);
}

static void test_eval_config_plan_example_checkpoint_without_hostname_is_missing(void **state)
{
	(void)state;
	struct eval_result r;
	run_example("vllm-checkpoint.yaml", NULL, &r);
	assert_int_equal(r.status, -1);
	assert_int_equal(r.err.kind, NEL_INVALID);
	assert_int_equal(r.errors.count, 1);
	assert_string_equal(r.errors.items[0].message, "Missing mandatory value: execution.hostname");
	assert_string_equal(r.errors.items[0].pointer, "/execution/hostname");
	assert_int_equal(r.errors.items[0].line, 11);
	assert_int_equal(r.errors.items[0].column, 3);
	eval_done(&r);
}

static void test_eval_config_plan_example_checkpoint_gives_the_documented_job(void **state)
{
	(void)state;
	struct eval_result r;
	run_example("vllm-checkpoint.yaml", "execution.hostname=login", &r);
	if (r.status != 0)
		eval_fail("example", &r);
	const struct eval_plan *p = r.plan;
	assert_string_equal(p->hostname, "login");
	assert_null(p->cluster);
	assert_string_equal(p->username, "svc");
	assert_string_equal(p->account, "my-account");
	assert_string_equal(p->output_dir, "/shared/evaluations");
	assert_string_equal(p->partition, "gpu");
	assert_string_equal(p->gres, "gpu:8");
	assert_string_equal(p->gpus_per_node, "8");
	assert_string_equal(p->subproject, "nemo-evaluator-launcher");
	assert_null(p->comment);
	assert_string_equal(p->mpi, "pmix");
	assert_int_equal(p->walltime_s, 4 * 3600);
	assert_int_equal(p->max_walltime_s, 24 * 3600);
	assert_int_equal(p->readiness_timeout_s, 4 * 3600);
	assert_int_equal(p->ntasks_per_node, 1);
	assert_int_equal(p->total_nodes, 1);
	assert_int_equal(p->sbatch_flag_count, 1);
	assert_string_equal(p->sbatch_flags[0].name, "exclusive");
	assert_null(p->sbatch_flags[0].value);
	assert_int_equal(p->resume_mode, RESUME_DAEMON);
	assert_string_equal(p->resume_on[3], "BOOT_FAIL");
	assert_null(p->resume_on[4]);
	assert_int_equal(p->max_attempts, 0);
	assert_string_equal(p->model, "meta-llama/Llama-3.1-8B-Instruct");
	assert_null(p->export_);
	const struct server *s = p->deployment;
	assert_string_equal(s->type, "vllm");
	assert_string_equal(s->image, "vllm/vllm-openai:latest");
	assert_non_null(strstr(s->command, "vllm serve /checkpoint "));
	assert_non_null(strstr(s->command, "--tensor-parallel-size=1"));
	assert_non_null(strstr(s->command, "meta-llama/Llama-3.1-8B-Instruct"));
	assert_int_equal(s->port, 8000);
	assert_int_equal(s->num_nodes, 1);
	assert_int_equal(s->num_instances, 1);
	assert_int_equal(s->n_tasks, 1);
	assert_string_equal(s->health_path, "/health");
	assert_int_equal(s->mounts.count, 1);
	assert_string_equal(s->mounts.items[0].source, "/shared/models/llama-3.1-8b-instruct");
	assert_string_equal(s->mounts.items[0].target, "/checkpoint");
	assert_string_equal(s->mounts.items[0].flags, "ro");
	assert_true(s->mount_home);
	assert_int_equal(p->job_count, 3);
	assert_string_equal(p->jobs[1].task, "arc_challenge");
	assert_string_equal(p->jobs[1].file_name, "arc_challenge");
	assert_int_equal(p->jobs[1].index, 1);
	assert_string_equal(p->jobs[1].container, "nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03");
	assert_string_equal(p->jobs[1].endpoint_type, "completions");
	assert_null(p->jobs[1].gpu_visible);
	const json_t *e = p->jobs[1].evaluator_config;
	assert_string_equal(eval_text(e, "/target/api_endpoint/url"), "http://127.0.0.1:8000/v1/completions");
	assert_string_equal(eval_text(e, "/target/api_endpoint/model_id"), "meta-llama/Llama-3.1-8B-Instruct");
	assert_string_equal(eval_text(e, "/target/api_endpoint/type"), "completions");
	assert_string_equal(eval_text(e, "/target/api_endpoint/api_key_name"), "(none)");
	assert_string_equal(eval_text(e, "/config/type"), "arc_challenge");
	assert_string_equal(eval_text(e, "/config/output_dir"), "/results");
	assert_string_equal(eval_text(e, "/metadata/launcher_resolved_config/execution/account"), "my-account");
	assert_string_equal(eval_text(e, "/metadata/versioning/nel_slurmd"), NEL_VERSION);
	assert_string_equal(eval_text(e, "/metadata/pre_cmd"), "(none)");
	eval_done(&r);
}

static void test_eval_config_plan_example_hf_handle_has_env_and_mounts(void **state)
{
	(void)state;
	struct eval_result r;
	run_example("vllm-hf-handle.yaml", NULL, &r);
	if (r.status != 0)
		eval_fail("example", &r);
	const struct server *s = r.plan->deployment;
	assert_non_null(strstr(s->command, "vllm serve meta-llama/Llama-3.1-8B-Instruct "));
	assert_non_null(strstr(s->command, "--data-parallel-size=8"));
	assert_int_equal(s->env.count, 3);
	assert_string_equal(s->env.vars[0].name, "CACHE_DIR");
	assert_int_equal(s->env.vars[0].source, ENV_LITERAL);
	assert_string_equal(s->env.vars[0].value, "/cache/huggingface");
	assert_string_equal(s->env.vars[1].name, "HF_TOKEN");
	assert_int_equal(s->env.vars[1].source, ENV_HOST);
	assert_string_equal(s->env.vars[2].value, "1");
	assert_int_equal(s->mounts.count, 1);
	assert_string_equal(s->mounts.items[0].target, "/cache/huggingface");
	assert_null(s->mounts.items[0].flags);
	assert_false(s->mount_home);
	assert_int_equal(r.plan->jobs[0].env.count, 2);
	assert_string_equal(r.plan->jobs[0].mounts.items[0].flags, "ro");
	char **names = eval_plan_secret_names(r.plan);
	assert_string_equal(names[0], "HF_TOKEN");
	assert_null(names[1]);
	free(names[0]);
	free(names);
	eval_done(&r);
}

static void test_eval_config_plan_example_external_has_no_server(void **state)
{
	(void)state;
	struct eval_result r;
	run_example("external-endpoint.json", NULL, &r);
	if (r.status != 0)
		eval_fail("example", &r);
	assert_int_equal(r.warnings.count, 0);
	assert_null(r.plan->deployment);
	assert_null(r.plan->gres);
	assert_int_equal(r.plan->sbatch_flag_count, 0);
	assert_int_equal(r.plan->total_nodes, 1);
	assert_string_equal(r.plan->model, "meta/llama-3.1-8b-instruct");
	const struct plan_job *job = &r.plan->jobs[1];
	assert_string_equal(job->task, "simple_evals.mmlu_pro");
	assert_string_equal(job->file_name, "simple_evals.mmlu_pro");
	assert_int_equal(job->env.count, 1);
	assert_string_equal(job->env.vars[0].name, "MODELS_API_KEY");
	assert_int_equal(job->env.vars[0].source, ENV_HOST);
	const json_t *e = job->evaluator_config;
	assert_string_equal(eval_text(e, "/target/api_endpoint/url"), "https://models.example.com/v1/chat/completions");
	assert_string_equal(eval_text(e, "/target/api_endpoint/model_id"), "meta/llama-3.1-8b-instruct");
	assert_string_equal(eval_text(e, "/target/api_endpoint/api_key_name"), "MODELS_API_KEY");
	assert_string_equal(eval_text(e, "/target/api_endpoint/type"), "chat");
	assert_string_equal(eval_text(e, "/config/type"), "mmlu_pro");
	eval_done(&r);
}

/* Everything of a plan that is no JSON, as text, to compare two plans with. */
static char *show(const struct eval_plan *p)
{
	struct str s = {0};
	str_appendf(&s, "%s %s %s %s %s %d %lld %lld %s", p->account, p->output_dir, p->partition,
		    p->gres == NULL ? "-" : p->gres, p->model, p->total_nodes, (long long)p->walltime_s,
		    (long long)p->max_walltime_s, p->deployment == NULL ? "-" : p->deployment->command);
	for (size_t i = 0; i < p->auxiliary_count; i++)
		str_appendf(&s, " %s %s %d %d", p->auxiliaries[i].name, p->auxiliaries[i].command,
			    p->auxiliaries[i].first_node, p->auxiliaries[i].proxy_port);
	for (size_t i = 0; i < p->job_count; i++) {
		CLEANUP(mem_freep) char *config = json_dumps(p->jobs[i].evaluator_config, JSON_SORT_KEYS);
		str_appendf(&s, " %s %s %s %zu %zu %s", p->jobs[i].file_name, p->jobs[i].container,
			    p->jobs[i].endpoint_type, p->jobs[i].env.count, p->jobs[i].mounts.count, config);
	}
	return str_take(&s);
}

static void test_eval_config_replan_stored_config_gives_the_same_plan(void **state)
{
	(void)state;
	static const char *const bases[] = {EVAL_BASE, EVAL_NONE, EVAL_JUDGE};
	for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
		struct eval_result r;
		eval_ok(bases[i],
			"{'evaluation': {'tasks': [{'name': 'simple_evals.mmlu'}, {'name': 'quiz', 'container': "
			"'image:1'}]}}",
			&r);
		CLEANUP(mem_freep) char *stored = json_dumps(r.plan->resolved, 0);
		CLEANUP(json_freep) json_t *resolved = json_loads(stored, 0, NULL);
		struct eval_plan *again = NULL;
		struct nel_err err = {0};
		if (eval_config_replan(resolved, &again, &err) < 0)
			fail_msg("%s", err.msg);
		CLEANUP(mem_freep) char *first = show(r.plan);
		CLEANUP(mem_freep) char *second = show(again);
		assert_string_equal(first, second);
		eval_plan_free(again);
		eval_done(&r);
	}
}

static void test_eval_config_replan_short_flags_of_before_are_let_be_and_the_daemons_own_are_not(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int result;
	} cases[] = {{"cluster", 0}, {"arr", 0}, {"hint", 0}, {"array", -1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		struct eval_plan *again = NULL;
		eval_ok(EVAL_BASE, "{'execution': {'sbatch_extra_flags': {'hold': true}}}", &r);
		json_t *execution = json_object_get(r.plan->resolved, "execution");
		json_t *flags = json_object_get(execution, "sbatch_extra_flags");
		json_object_set_new(flags, cases[i].name, json_string("help"));
		assert_int_equal(eval_config_replan(r.plan->resolved, &again, &r.err), cases[i].result);
		eval_plan_free(again);
		eval_done(&r);
	}
}

static void test_eval_config_replan_parallel_size_of_before_is_let_be(void **state)
{
	(void)state;
	struct eval_result r;
	struct eval_plan *again = NULL;
	eval_ok(EVAL_BASE, "{}", &r);
	json_t *deployment = json_object_get(r.plan->resolved, "deployment");
	json_object_set_new(deployment, "tensor_parallel_size", json_string("two"));
	assert_int_equal(eval_config_replan(r.plan->resolved, &again, &r.err), 0);
	eval_plan_free(again);
	eval_done(&r);
}

static void test_eval_config_replan_foreign_config_is_refused(void **state)
{
	(void)state;
	CLEANUP(json_freep) json_t *empty = json_object();
	struct eval_plan *plan = NULL;
	struct nel_err err = {0};
	assert_int_equal(eval_config_replan(empty, &plan, &err), -1);
	assert_int_equal(err.kind, NEL_INVALID);
	assert_null(plan);
}

static void test_eval_config_plan_every_missing_value_is_named_at_once(void **state)
{
	(void)state;
	static const char text[] = "defaults: [execution: slurm/default, deployment: vllm, _self_]\n"
				   "evaluation: {tasks: [{name: hellaswag}, {name: \"???\"}]}\n";
	struct eval_result r;
	struct eval_input in = eval_input_of(text, false);
	eval_run_input(&in, &r);
	assert_int_equal(r.status, -1);
	static const char *const missing[][2] = {
	    {"/execution/hostname", "Missing mandatory value: execution.hostname"},
	    {"/execution/account", "Missing mandatory value: execution.account"},
	    {"/execution/output_dir", "Missing mandatory value: execution.output_dir"},
	    {"/deployment/checkpoint_path", "Missing mandatory value: deployment.checkpoint_path"},
	    {"/deployment/served_model_name", "Missing mandatory value: deployment.served_model_name"},
	    {"/evaluation/tasks/1/name", "Missing mandatory value: evaluation.tasks[1].name"},
	};
	for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
		if (eval_find(&r.errors, missing[i][0], missing[i][1]) == NULL)
			eval_fail(missing[i][0], &r);
	if (r.errors.count != sizeof missing / sizeof missing[0])
		eval_fail("more than the missing values", &r);
	eval_done(&r);
}

static void test_eval_config_plan_cluster_stands_for_hostname(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE, "{'execution': {'cluster': 'alpha', 'hostname': '?\?\?'}}", &r);
	assert_string_equal(r.plan->cluster, "alpha");
	assert_null(r.plan->hostname);
	assert_string_equal(r.plan->username, "by-cluster");
	eval_done(&r);
}

static void test_eval_config_plan_offline_render_needs_no_hostname(void **state)
{
	(void)state;
	struct eval_result r;
	struct eval_input in = eval_input_of("", true);
	in.need_hostname = false;
	in.username_for = NULL;
	eval_run(EVAL_BASE, "{'execution': {'hostname': '?\?\?'}}", &in, &r);
	if (r.status != 0)
		eval_fail("render", &r);
	assert_null(r.plan->hostname);
	eval_done(&r);
}

static void test_eval_config_plan_handle_makes_missing_checkpoint_null(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE, "{'deployment': {'checkpoint_path': '?\?\?', 'hf_model_handle': 'org/m'}}", &r);
	assert_int_equal(r.plan->deployment->mounts.count, 0);
	assert_true(json_is_null(json_object_get(json_object_get(r.plan->resolved, "deployment"), "checkpoint_path")));
	eval_done(&r);
}

/* The launcher's groups have no such keys, so that there the default counts; null is only what the resolved config
 * says. */
static void test_eval_config_plan_own_optional_keys_leave_oc_select_its_default(void **state)
{
	(void)state;
	static const char *const types[] = {"vllm", "vllm_ray", "sglang"};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		CLEANUP(mem_freep)
		char *patch =
		    mem_printf("{'defaults': [{'execution': 'slurm/default'}, {'deployment': '%s'},"
			       "  'deployment/vllm@auxiliary_deployments.judge', '_self_'],"
			       " 'auxiliary_deployments': {'judge': {'checkpoint_path': null, 'served_model_name': 'j',"
			       "  'command': 'serve ${oc.select:auxiliary_deployments.judge.hf_model_handle,org/j}'}},"
			       " 'deployment': {'command': 'serve ${oc.select:deployment.hf_model_handle,/checkpoint}"
			       " --tp ${oc.select:execution.gpus_per_node,8} --gpus"
			       " ${oc.select:execution.evaluation_gpu_visible,none}'}}",
			       types[i]);
		struct eval_result r;
		eval_ok(EVAL_BASE, patch, &r);
		assert_string_equal(r.plan->deployment->command, "serve /checkpoint --tp 8 --gpus none");
		assert_string_equal(r.plan->auxiliaries[0].command, "serve org/j");
		const json_t *deployment = json_object_get(r.plan->resolved, "deployment");
		const json_t *execution = json_object_get(r.plan->resolved, "execution");
		assert_true(json_is_null(json_object_get(deployment, "hf_model_handle")));
		assert_true(json_is_null(json_object_get(execution, "gpus_per_node")));
		assert_true(json_is_null(json_object_get(execution, "evaluation_gpu_visible")));
		eval_done(&r);
	}
	struct eval_result r;
	eval_ok(
	    EVAL_BASE,
	    "{'execution': {'gpus_per_node': 4}, 'deployment': {'checkpoint_path': null, 'hf_model_handle': 'org/m',"
	    " 'command': 'serve ${oc.select:deployment.hf_model_handle,/checkpoint}"
	    " --tp ${oc.select:execution.gpus_per_node,8}'}}",
	    &r);
	assert_string_equal(r.plan->deployment->command, "serve org/m --tp 4");
	eval_done(&r);
}

/* A model that comes with the image. */
static void test_eval_config_plan_server_without_checkpoint_and_handle_is_taken(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE, "{'deployment': {'checkpoint_path': null, 'command': 'serve /opt/model'}}", &r);
	assert_string_equal(r.plan->deployment->command, "serve /opt/model");
	eval_done(&r);
	eval_ok(EVAL_BASE,
		"{'defaults': [{'execution': 'slurm/default'}, {'deployment': 'vllm'}, 'deployment/vllm@template', "
		"'_self_'],"
		" 'template': {'checkpoint_path': '/m', 'served_model_name': 't'}}",
		&r);
	assert_true(json_is_null(json_object_get(json_object_get(r.plan->resolved, "template"), "hf_model_handle")));
	eval_done(&r);
	eval_run(EVAL_BASE, "{'deployment': {'checkpoint_path': '?\?\?'}}", NULL, &r);
	assert_int_equal(r.errors.count, 1);
	assert_string_equal(r.errors.items[0].pointer, "/deployment/checkpoint_path");
	eval_done(&r);
}

/* Who writes ??? wants the value from who submits. */
static void test_eval_config_plan_own_optional_keys_that_the_text_asks_for_are_missing(void **state)
{
	(void)state;
	static const struct {
		const char *patch, *pointer;
	} cases[] = {
	    {"{'execution': {'gpus_per_node': '?\?\?'}}", "/execution/gpus_per_node"},
	    {"{'execution': {'evaluation_gpu_visible': '?\?\?'}}", "/execution/evaluation_gpu_visible"},
	    {"{'deployment': {'checkpoint_path': null, 'hf_model_handle': '?\?\?'}}", "/deployment/hf_model_handle"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		eval_run(EVAL_BASE, cases[i].patch, NULL, &r);
		if (r.errors.count != 1 || strcmp(r.errors.items[0].pointer, cases[i].pointer) != 0)
			eval_fail(cases[i].patch, &r);
		eval_done(&r);
	}
}

static void test_eval_config_plan_errors_have_places_in_the_text(void **state)
{
	(void)state;
	static const char text[] = "defaults: [execution: slurm/default, deployment: vllm, _self_]\n"
				   "execution:\n"
				   "  hostname: login\n"
				   "  account: a\n"
				   "  output_dir: relative\n"
				   "  walltime: 1h30m\n"
				   "deployment:\n"
				   "  checkpoint_path: /m\n"
				   "  served_model_name: m\n"
				   "evaluation:\n"
				   "  tasks:\n"
				   "    - nmae: hellaswag\n"
				   "      name: hellaswag\n";
	struct eval_result r;
	struct eval_input in = eval_input_of(text, false);
	eval_run_input(&in, &r);
	static const struct {
		const char *pointer;
		int line, column;
	} places[] = {
	    {"/execution/output_dir", 5, 3}, {"/execution/walltime", 6, 3}, {"/evaluation/tasks/0/nmae", 12, 7}};
	if (r.errors.count != 3)
		eval_fail("three errors", &r);
	for (size_t i = 0; i < 3; i++) {
		const struct problem *p = eval_find(&r.errors, places[i].pointer, "");
		assert_non_null(p);
		assert_int_equal(p->line, places[i].line);
		assert_int_equal(p->column, places[i].column);
	}
	assert_non_null(strstr(r.err.msg, "(and 2 more)"));
	eval_done(&r);
}

static void test_eval_config_plan_text_that_is_no_mapping_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "[]", "hello", "42", "a: [", "a: 1\na: 2\n"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct eval_result r;
		struct eval_input in = eval_input_of(texts[i], false);
		eval_run_input(&in, &r);
		assert_int_equal(r.status, -1);
		assert_int_equal(r.err.kind, NEL_INVALID);
		assert_true(r.errors.count > 0);
		eval_done(&r);
	}
}

static void test_eval_config_plan_shipped_groups_have_no_unknown_keys(void **state)
{
	(void)state;
	static const char *const types[] = {"vllm", "vllm_ray", "sglang", "nim", "trtllm", "generic"};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct eval_result r;
		CLEANUP(mem_freep)
		char *patch =
		    mem_printf("{'defaults': [{'execution': 'slurm/default'}, {'deployment': '%s'}, '_self_'],"
			       " 'deployment': {'image': 'i:1', 'command': 'serve'}}",
			       types[i]);
		struct eval_input in = eval_input_of("", true);
		in.strict = true;
		in.allow_commands = false;
		eval_run(EVAL_BASE, patch, &in, &r);
		if (r.status != 0)
			eval_fail(types[i], &r);
		assert_non_null(r.plan->deployment->command);
		eval_done(&r);
	}
}

static void test_eval_config_plan_nim_health_is_its_own_behind_the_proxy(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE,
		"{'defaults': [{'execution': 'slurm/default'}, {'deployment': 'nim'}, '_self_'],"
		" 'execution': {'num_nodes': 2, 'num_instances': 2}, 'deployment': {'image': 'nim:1'}}",
		&r);
	assert_string_equal(r.plan->deployment->health_path, "/v1/health/ready");
	assert_string_equal(r.plan->deployment->proxy_health_path, "/v1/health/ready");
	assert_int_equal(r.plan->deployment->proxy_port, 5009);
	assert_string_equal(eval_text(r.plan->jobs[0].evaluator_config, "/target/api_endpoint/url"),
			    "http://127.0.0.1:5009/v1/completions");
	eval_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_eval_config_plan_example_checkpoint_without_hostname_is_missing),
	    cmocka_unit_test(test_eval_config_plan_example_checkpoint_gives_the_documented_job),
	    cmocka_unit_test(test_eval_config_plan_example_hf_handle_has_env_and_mounts),
	    cmocka_unit_test(test_eval_config_plan_example_external_has_no_server),
	    cmocka_unit_test(test_eval_config_replan_stored_config_gives_the_same_plan),
	    cmocka_unit_test(test_eval_config_replan_short_flags_of_before_are_let_be_and_the_daemons_own_are_not),
	    cmocka_unit_test(test_eval_config_replan_parallel_size_of_before_is_let_be),
	    cmocka_unit_test(test_eval_config_replan_foreign_config_is_refused),
	    cmocka_unit_test(test_eval_config_plan_every_missing_value_is_named_at_once),
	    cmocka_unit_test(test_eval_config_plan_cluster_stands_for_hostname),
	    cmocka_unit_test(test_eval_config_plan_offline_render_needs_no_hostname),
	    cmocka_unit_test(test_eval_config_plan_handle_makes_missing_checkpoint_null),
	    cmocka_unit_test(test_eval_config_plan_own_optional_keys_leave_oc_select_its_default),
	    cmocka_unit_test(test_eval_config_plan_server_without_checkpoint_and_handle_is_taken),
	    cmocka_unit_test(test_eval_config_plan_own_optional_keys_that_the_text_asks_for_are_missing),
	    cmocka_unit_test(test_eval_config_plan_errors_have_places_in_the_text),
	    cmocka_unit_test(test_eval_config_plan_text_that_is_no_mapping_is_refused),
	    cmocka_unit_test(test_eval_config_plan_shipped_groups_have_no_unknown_keys),
	    cmocka_unit_test(test_eval_config_plan_nim_health_is_its_own_behind_the_proxy),
	};
	return cmocka_run_group_tests(tests, eval_setup, eval_teardown);
}
