/* Tasks, auxiliary deployments, environments and exports: what of a config reaches which container. */
#include "eval_fixture.h"

#include <stdlib.h>
#include <unistd.h>

static const struct {
	const char *task; /* the whole task */
	const char *container;
	const char *endpoint_type;
	const char *evaluator_type;
	const char *file_name;
} tasks[] = {
    {"{'name': 'hellaswag'}", "nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03", "completions", "hellaswag",
     "hellaswag"},
    {"{'name': 'simple_evals.mmlu'}", "nvcr.io/nvidia/eval-factory/simple-evals:26.03", "chat", "mmlu",
     "simple_evals.mmlu"},
    {"{'name': 'mmlu', 'container': 'nvcr.io/nvidia/eval-factory/simple-evals:26.03'}",
     "nvcr.io/nvidia/eval-factory/simple-evals:26.03", "chat", "mmlu", "mmlu"},
    {"{'name': 'mmlu', 'container': 'nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03'}",
     "nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03", "completions", "mmlu", "mmlu"},
    /* Of other images, and other versions are other images, the catalogue says nothing. */
    {"{'name': 'mmlu', 'container': 'nvcr.io/nvidia/eval-factory/lm-evaluation-harness:25.01'}",
     "nvcr.io/nvidia/eval-factory/lm-evaluation-harness:25.01", "chat", "mmlu", "mmlu"},
    {"{'name': 'simple_evals.mmlu', 'container': 'own:1'}", "own:1", "chat", "simple_evals.mmlu", "simple_evals.mmlu"},
    {"{'name': 'hellaswag', 'container': 'own:1'}", "own:1", "chat", "hellaswag", "hellaswag"},
    {"{'name': 'hellaswag', 'container': 'own:1', 'endpoint_type': 'chat'}", "own:1", "chat", "hellaswag", "hellaswag"},
    {"{'name': 'lm-evaluation-harness.brand_new'}", "nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03", "chat",
     "lm-evaluation-harness.brand_new", "lm-evaluation-harness.brand_new"},
    {"{'name': 'quiz', 'container': '/images/quiz.sqsh'}", "/images/quiz.sqsh", "chat", "quiz", "quiz"},
    {"{'name': 'a/b,5', 'container': 'own:1'}", "own:1", "chat", "a/b,5", "a_b_5"},
    {"{'name': '..', 'container': 'own:1'}", "own:1", "chat", "..", "_."},
    {"{'name': 'simple_evals.mmlu', 'nemo_evaluator_config': {'config': {'type': 'mine'}}}",
     "nvcr.io/nvidia/eval-factory/simple-evals:26.03", "chat", "mine", "simple_evals.mmlu"},
};

static void test_eval_config_plan_task_gets_container_and_types(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
		struct eval_result r;
		CLEANUP(mem_freep) char *patch = mem_printf("{'evaluation': {'tasks': [%s]}}", tasks[i].task);
		eval_ok(EVAL_BASE, patch, &r);
		const struct plan_job *job = &r.plan->jobs[0];
		assert_string_equal(job->container, tasks[i].container);
		assert_string_equal(job->endpoint_type, tasks[i].endpoint_type);
		assert_string_equal(eval_text(job->evaluator_config, "/config/type"), tasks[i].evaluator_type);
		assert_string_equal(job->file_name, tasks[i].file_name);
		eval_done(&r);
	}
}

/* First what the task says, then the first of the catalogue's, then chat. The evaluator's own type names no endpoint.
 */
static void test_eval_config_plan_endpoint_type_is_the_tasks_then_the_first_of_the_catalogue(void **state)
{
	(void)state;
	static const struct {
		const char *task, *endpoint_type, *path, *evaluator_endpoint_type;
	} cases[] = {
	    {"{'name': 'both'}", "completions", "/v1/completions", "completions"},
	    {"{'name': 'ours.both', 'endpoint_type': null}", "completions", "/v1/completions", "completions"},
	    {"{'name': 'both', 'endpoint_type': 'chat'}", "chat", "/v1/chat/completions", "chat"},
	    {"{'name': 'both', 'endpoint_type': 'embedding'}", "embedding", "/v1/embeddings", "embedding"},
	    {"{'name': 'both', 'container': 'image:2'}", "chat", "/v1/chat/completions", "chat"},
	    {"{'name': 'ours.unlisted'}", "chat", "/v1/chat/completions", "chat"},
	    {"{'name': 'both', 'nemo_evaluator_config': {'target': {'api_endpoint': {'type': 'chat'}}}}", "completions",
	     "/v1/completions", "chat"},
	};
	char path[] = "/tmp/nel-tasks-XXXXXX";
	static const char rows[] = "ours\tboth\timage:1\tcompletions,chat\n";
	struct nel_err err = {0};
	CLEANUP(catalogue_freep) struct catalogue *catalogue = NULL;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, rows, strlen(rows)), (ssize_t)strlen(rows));
	close(fd);
	assert_int_equal(catalogue_load(path, &catalogue, &err), 0);
	unlink(path);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		struct eval_input in = eval_input_of("", true);
		in.catalogue = catalogue;
		CLEANUP(mem_freep) char *patch = mem_printf("{'evaluation': {'tasks': [%s]}}", cases[i].task);
		CLEANUP(mem_freep) char *url = mem_printf("http://127.0.0.1:8000%s", cases[i].path);
		eval_run(EVAL_BASE, patch, &in, &r);
		if (r.status != 0)
			eval_fail(cases[i].task, &r);
		const struct plan_job *job = &r.plan->jobs[0];
		assert_string_equal(job->endpoint_type, cases[i].endpoint_type);
		assert_string_equal(eval_text(job->evaluator_config, "/target/api_endpoint/url"), url);
		assert_string_equal(eval_text(job->evaluator_config, "/target/api_endpoint/type"),
				    cases[i].evaluator_endpoint_type);
		eval_done(&r);
	}
}

/* Of the composed config, as OmegaConf merges: a group's first, where they stand there, whoever sets their paths. */
static void test_eval_config_plan_endpoints_keep_their_order(void **state)
{
	(void)state;
	static const struct endpoint wanted[] = {
	    {.name = "chat", .path = "/c3"},
	    {.name = "completions", .path = "/c2"},
	    {.name = "embedding", .path = "/v1/embeddings"},
	    {.name = "ranking", .path = "/v1/ranking"},
	    {.name = "health", .path = "/health"},
	    {.name = "zeta", .path = "/z"},
	    {.name = "alpha", .path = "/a"},
	    {.name = "beta", .path = "/b"},
	};
	static const char *const overrides[] = {"+auxiliary_deployments.judge.endpoints.beta=/b",
						"auxiliary_deployments.judge.endpoints.chat=/c3"};
	struct eval_result r;
	struct eval_input in = eval_input_of("", true);
	in.overrides = overrides;
	in.override_count = 2;
	eval_run(
	    EVAL_JUDGE,
	    "{'auxiliary_deployments': {'judge': {'endpoints': {'zeta': '/z', 'completions': '/c2', 'alpha': '/a'}}}}",
	    &in, &r);
	if (r.status != 0)
		eval_fail("judge", &r);
	const struct server *judge = &r.plan->auxiliaries[0];
	assert_int_equal(judge->endpoint_count, sizeof wanted / sizeof wanted[0]);
	for (size_t i = 0; i < judge->endpoint_count; i++) {
		assert_string_equal(judge->endpoints[i].name, wanted[i].name);
		assert_string_equal(judge->endpoints[i].path, wanted[i].path);
	}
	eval_done(&r);
}

static void test_eval_config_plan_own_images_warn_where_the_catalogue_differs(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	    {"{'name': 'hellaswag', 'container': 'own:1'}", "set endpoint_type if it is completions"},
	    {"{'name': 'simple_evals.mmlu', 'container': 'nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03'}",
	     "which has the tasks of lm-evaluation-harness"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		bool said = false;
		CLEANUP(mem_freep) char *patch = mem_printf("{'evaluation': {'tasks': [%s]}}", cases[i][0]);
		eval_ok(EVAL_BASE, patch, &r);
		for (size_t k = 0; k < r.warnings.count; k++)
			said = said || strstr(r.warnings.items[k].message, cases[i][1]) != NULL;
		assert_true(said);
		eval_done(&r);
	}
}

static void test_eval_config_plan_unlisted_tasks_need_permission_but_files_do_not(void **state)
{
	(void)state;
	static const struct {
		const char *task;
		int status;
	} cases[] = {
	    {"{'name': 'quiz', 'container': 'own:1'}", -1},       {"{'name': 'lm-evaluation-harness.brand_new'}", -1},
	    {"{'name': 'quiz', 'container': '/images/quiz'}", 0}, {"{'name': 'quiz', 'container': 'quiz.sqsh'}", 0},
	    {"{'name': 'hellaswag', 'container': 'own:1'}", 0},
	};
	struct eval_input in = eval_input_of("", true);
	in.allow_unlisted_tasks = false;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		CLEANUP(mem_freep) char *patch = mem_printf("{'evaluation': {'tasks': [%s]}}", cases[i].task);
		eval_run(EVAL_BASE, patch, &in, &r);
		if (r.status != cases[i].status)
			eval_fail(cases[i].task, &r);
		if (r.status != 0)
			assert_non_null(eval_find(&r.errors, "/evaluation/tasks/0/name", "allow.unlisted_tasks"));
		eval_done(&r);
	}
}

static void test_eval_config_plan_commands_need_permission(void **state)
{
	(void)state;
	static const char patch[] =
	    "{'deployment': {'pre_cmd': 'a'}, 'evaluation': {'pre_cmd': 'b', 'post_cmd': 'c', 'tasks': "
	    "[{'name': 'hellaswag', 'pre_cmd': 'd\\r\\ne'}, {'name': 'winogrande'}]}}";
	struct eval_result r;
	eval_ok(EVAL_BASE, patch, &r);
	assert_string_equal(r.plan->deployment->pre_cmd, "a");
	assert_string_equal(r.plan->jobs[0].pre_cmd, "d\ne");
	assert_string_equal(r.plan->jobs[0].post_cmd, "c");
	assert_string_equal(r.plan->jobs[1].pre_cmd, "b");
	assert_string_equal(eval_text(r.plan->jobs[0].evaluator_config, "/metadata/pre_cmd"), "d\ne");
	assert_string_equal(eval_text(r.plan->jobs[0].evaluator_config, "/metadata/post_cmd"), "c");
	eval_done(&r);
	struct eval_input in = eval_input_of("", true);
	in.allow_commands = false;
	eval_run(EVAL_BASE, patch, &in, &r);
	assert_int_equal(r.status, -1);
	assert_int_equal(r.errors.count, 4);
	assert_non_null(eval_find(&r.errors, "/evaluation/tasks/0/pre_cmd", "allow.commands"));
	assert_non_null(eval_find(&r.errors, "/evaluation/post_cmd", "allow.commands"));
	eval_done(&r);
}

static void test_eval_config_plan_dataset_is_mounted_and_exported(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE,
		"{'execution': {'mounts': {'evaluation': {'/cache': '/cache:ro'}}}, 'evaluation': {'tasks': ["
		"{'name': 'hellaswag', 'dataset_dir': '/data/h'},"
		"{'name': 'winogrande', 'dataset_dir': '/data/w', 'dataset_mount_path': '/w', 'env_vars': "
		"{'NEMO_EVALUATOR_DATASET_DIR': 'lit:/w/sub'}}]}}",
		&r);
	const struct plan_job *first = &r.plan->jobs[0], *second = &r.plan->jobs[1];
	assert_int_equal(first->mounts.count, 2);
	assert_string_equal(first->mounts.items[0].source, "/cache");
	assert_string_equal(first->mounts.items[0].flags, "ro");
	assert_string_equal(first->mounts.items[1].source, "/data/h");
	assert_string_equal(first->mounts.items[1].target, "/datasets");
	assert_string_equal(first->env.vars[0].name, "NEMO_EVALUATOR_DATASET_DIR");
	assert_int_equal(first->env.vars[0].source, ENV_LITERAL);
	assert_string_equal(first->env.vars[0].value, "/datasets");
	assert_string_equal(second->mounts.items[1].target, "/w");
	assert_string_equal(second->env.vars[0].value, "/w/sub");
	eval_done(&r);
}

static const struct env_var *variable(const struct env_group *group, const char *name)
{
	for (size_t i = 0; i < group->count; i++)
		if (strcmp(group->vars[i].name, name) == 0)
			return &group->vars[i];
	return NULL;
}

static void test_eval_config_plan_env_layers_stay_apart(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE,
		"{'env_vars': {'A': 'lit:top', 'B': 'lit:top', 'C': 'lit:top'}, 'deployment': {'env_vars': {'B': "
		"'lit:server'}},"
		" 'evaluation': {'env_vars': {'B': 'lit:evaluation', 'C': 'lit:evaluation'}, 'tasks': ["
		"  {'name': 'hellaswag', 'env_vars': {'C': 'runtime:TMPDIR', 'KEY': 'host:OTHER'}}, {'name': "
		"'winogrande'}]},"
		" 'target': {'api_endpoint': {'api_key_name': 'KEY'}},"
		" 'export': {'env_vars': {'B': 'host:EXPORT_SECRET'}},"
		" 'execution': {'cpu_partition': 'cpu', 'auto_export': {'destinations': ['mlflow', 'local'], "
		"'export_mounts': "
		"  {'/m': '/m'}}}}",
		&r);
	assert_string_equal(variable(&r.plan->deployment->env, "A")->value, "top");
	assert_string_equal(variable(&r.plan->deployment->env, "B")->value, "server");
	assert_string_equal(variable(&r.plan->deployment->env, "C")->value, "top");
	assert_null(variable(&r.plan->deployment->env, "KEY"));
	assert_string_equal(variable(&r.plan->jobs[0].env, "B")->value, "evaluation");
	assert_int_equal(variable(&r.plan->jobs[0].env, "C")->source, ENV_RUNTIME);
	assert_string_equal(variable(&r.plan->jobs[0].env, "KEY")->value, "OTHER");
	assert_string_equal(variable(&r.plan->jobs[1].env, "C")->value, "evaluation");
	assert_string_equal(variable(&r.plan->jobs[1].env, "KEY")->value, "KEY");
	const struct plan_export *e = r.plan->export_;
	assert_non_null(e);
	assert_int_equal(e->destination_count, 2);
	assert_string_equal(e->destinations[1], "local");
	assert_string_equal(e->partition, "cpu");
	assert_string_equal(e->image, "python:3.12.7-slim");
	assert_int_equal(e->mounts.count, 1);
	assert_int_equal(variable(&e->env, "B")->source, ENV_HOST);
	static const char *const secrets[] = {"EXPORT_SECRET", "KEY", "OTHER"};
	char **names = eval_plan_secret_names(r.plan);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(names[i], secrets[i]);
		free(names[i]);
	}
	assert_null(names[3]);
	free(names);
	eval_done(&r);
}

static void test_eval_config_plan_evaluator_config_task_merges_over_global(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE,
		"{'evaluation': {'nemo_evaluator_config': {'config': {'params': {'a': 'global', 'b': 'global', 'l': "
		"['1', '2']}}},"
		" 'tasks': [{'name': 'hellaswag', 'nemo_evaluator_config': {'config': {'output_dir': '/elsewhere', "
		"'params': {'b': "
		"'task', 'l': ['3']}}, 'target': {'api_endpoint': {'url': 'http://own', 'model_id': 'own'}}}}]}}",
		&r);
	const json_t *e = r.plan->jobs[0].evaluator_config;
	assert_string_equal(eval_text(e, "/config/params/a"), "global");
	assert_string_equal(eval_text(e, "/config/params/b"), "task");
	assert_string_equal(eval_text(e, "/config/params/l/0"), "3");
	assert_string_equal(eval_text(e, "/config/params/l/1"), "(none)");
	assert_string_equal(eval_text(e, "/config/output_dir"), "/elsewhere");
	assert_string_equal(eval_text(e, "/target/api_endpoint/url"), "http://own");
	assert_string_equal(eval_text(e, "/target/api_endpoint/model_id"), "own");
	assert_string_equal(eval_text(e, "/target/api_endpoint/type"), "completions");
	eval_done(&r);
}

static void test_eval_config_plan_own_url_needs_no_endpoint(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE,
		"{'evaluation': {'tasks': [{'name': 'hellaswag', 'endpoint_type': 'vlm', 'nemo_evaluator_config': "
		"{'target': "
		"{'api_endpoint': {'url': 'http://own'}}}}]}}",
		&r);
	assert_string_equal(eval_text(r.plan->jobs[0].evaluator_config, "/target/api_endpoint/url"), "http://own");
	eval_done(&r);
}

static void test_eval_config_plan_judge_has_nodes_after_the_model(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_JUDGE,
		"{'execution': {'mounts': {'auxiliary': {'judge': {'/j': '/j'}}}},"
		" 'auxiliary_deployments': {'judge': {'env_vars': {'T': 'host:J'}}, 'off': {'type': 'none'}},"
		" 'evaluation': {'nemo_evaluator_config': {'config': {'params': {'extra': {'judge': {"
		"  'url': 'auxiliary_deployments.judge.chat_url', 'model_id': 'auxiliary_deployments.judge.model_id',"
		"  'both': '[${auxiliary_deployments.judge.completions_url}]', 'text': 'see "
		"xauxiliary_deployments.a.b'}}}}}}}",
		&r);
	assert_int_equal(r.plan->auxiliary_count, 1);
	assert_int_equal(r.plan->total_nodes, 3);
	const struct server *s = &r.plan->auxiliaries[0];
	assert_string_equal(s->name, "judge");
	assert_string_equal(s->env_prefix, "JUDGE");
	assert_int_equal(s->first_node, 2);
	assert_int_equal(s->num_nodes, 1);
	assert_int_equal(s->proxy_port, 0);
	assert_int_equal(s->port, 8001);
	assert_non_null(strstr(s->command, "vllm serve org/judge "));
	assert_non_null(strstr(s->command, "--port 8001"));
	assert_non_null(strstr(r.plan->deployment->command, "vllm serve /checkpoint "));
	assert_int_equal(s->mounts.count, 1);
	assert_string_equal(s->env.vars[0].value, "J");
	const json_t *judge = json_object_get(r.plan->jobs[0].evaluator_config, "config");
	assert_string_equal(eval_text(judge, "/params/extra/judge/url"), "${JUDGE_CHAT_URL}");
	assert_string_equal(eval_text(judge, "/params/extra/judge/model_id"), "org/judge");
	assert_string_equal(eval_text(judge, "/params/extra/judge/both"), "[${JUDGE_COMPLETIONS_URL}]");
	assert_string_equal(eval_text(judge, "/params/extra/judge/text"), "see xauxiliary_deployments.a.b");
	eval_done(&r);
}

/* What every auxiliary deployment must have. */
#define GENERIC \
	"'type': 'generic', 'image': 'i:1', 'port': 9000, 'served_model_name': 'm', 'endpoints': {'chat': '/c', " \
	"'health': " \
	"'/ready'}"

static void test_eval_config_plan_auxiliaries_get_proxies_of_their_own(void **state)
{
	(void)state;
	static const char patch[] =
	    "{'execution': {'num_nodes': 2, 'num_instances': 2, 'proxy': {'config': {'haproxy_port': 5010}}},"
	    " 'auxiliary_deployments': {"
	    "  'a': {" GENERIC ", 'num_nodes': 4, 'num_instances': 2, 'command': 'run'},"
	    "  'b': {" GENERIC ", 'command_template': 'serve {served_model_name} {{x}} --port {port}'},"
	    "  'c-d': {" GENERIC
	    ", 'num_nodes': 2, 'num_instances': 2, 'hf_model_handle': 'o/m', 'gpu_memory_utilization': '0.5'}}}";
	struct eval_result r;
	eval_ok(EVAL_BASE, patch, &r);
	const struct server *s = r.plan->auxiliaries;
	assert_int_equal(r.plan->auxiliary_count, 3);
	assert_int_equal(r.plan->total_nodes, 9);
	assert_int_equal(r.plan->deployment->proxy_port, 5010);
	assert_int_equal(s[0].proxy_port, 5011);
	assert_int_equal(s[1].proxy_port, 0);
	assert_int_equal(s[2].proxy_port, 5012);
	assert_int_equal(s[0].first_node, 2);
	assert_int_equal(s[1].first_node, 6);
	assert_int_equal(s[2].first_node, 7);
	assert_string_equal(s[0].proxy_health_path, "/ready");
	assert_string_equal(s[0].command, "run");
	assert_string_equal(s[1].command, "serve m {x} --port 9000");
	assert_string_equal(s[2].command,
			    "vllm serve 'o/m' --port='9000' --served-model-name='m' --gpu-memory-utilization='0.5'");
	assert_string_equal(s[2].env_prefix, "C_D");
	eval_done(&r);
}

static void test_eval_config_plan_two_auxiliaries_with_one_prefix_are_refused(void **state)
{
	(void)state;
	struct eval_result r;
	eval_run(EVAL_BASE, "{'auxiliary_deployments': {'a': {" GENERIC "}, 'b': {" GENERIC ", 'env_prefix': 'A'}}}",
		 NULL, &r);
	assert_int_equal(r.status, -1);
	assert_non_null(eval_find(&r.errors, "/auxiliary_deployments/b/env_prefix", "same env_prefix A"));
	eval_done(&r);
}

static void test_eval_config_plan_old_judge_deployment_is_moved(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE,
		"{'judge_deployment': {'type': 'vllm', 'image': 'i:1', 'port': 1, 'served_model_name': 'j', "
		"'endpoints': {'chat': "
		"'/c'}, 'command': 'x'}, 'user_deployment': {'type': 'none'},"
		" 'execution': {'mounts': {'judge_deployment': {'/j': '/k'}}}}",
		&r);
	assert_int_equal(r.plan->auxiliary_count, 1);
	assert_string_equal(r.plan->auxiliaries[0].env_prefix, "JUDGE");
	assert_string_equal(r.plan->auxiliaries[0].mounts.items[0].target, "/k");
	eval_done(&r);
}

static void test_eval_config_plan_missing_values_of_unused_parts_do_not_matter(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(
	    EVAL_BASE,
	    "{'target': {'api_endpoint': {'url': '?\?\?', 'model_id': '?\?\?'}}, 'export': {'mlflow': {'tracking_uri': "
	    "'?\?\?'}}, 'auxiliary_deployments': {'judge': {'type': 'none', 'image': '?\?\?'}}}",
	    &r);
	CLEANUP(mem_freep) char *text = json_dumps(r.plan->resolved, 0);
	assert_null(strstr(text, "?\?\?"));
	eval_done(&r);
}

static void test_eval_config_plan_many_tasks_with_a_large_config_are_refused(void **state)
{
	(void)state;
	struct eval_result r;
	CLEANUP(json_freep) json_t *config = eval_json(EVAL_BASE);
	json_t *list = json_array();
	for (int i = 0; i < EVAL_JOBS_MAX; i++)
		json_array_append_new(list, json_pack("{s:s}", "name", "hellaswag"));
	CLEANUP(mem_freep) char *filler = mem_calloc(200001, 1);
	memset(filler, 'x', 200000);
	json_object_set_new(json_object_get(config, "evaluation"), "tasks", list);
	CLEANUP(mem_freep) char *fine = json_dumps(config, 0);
	struct eval_input in = eval_input_of(fine, true);
	eval_run_input(&in, &r);
	if (r.status != 0)
		eval_fail("1000 tasks", &r);
	assert_int_equal(r.plan->job_count, EVAL_JOBS_MAX);
	eval_done(&r);
	json_object_set_new(json_object_get(config, "evaluation"), "nemo_evaluator_config",
			    json_pack("{s:s}", "f", filler));
	CLEANUP(mem_freep) char *large = json_dumps(config, 0);
	in = eval_input_of(large, true);
	eval_run_input(&in, &r);
	assert_int_equal(r.status, -1);
	assert_non_null(eval_find(&r.errors, "/evaluation/tasks", "split it"));
	eval_done(&r);
	json_array_append_new(list, json_pack("{s:s}", "name", "hellaswag"));
	CLEANUP(mem_freep) char *many = json_dumps(config, 0);
	in = eval_input_of(many, true);
	eval_run_input(&in, &r);
	assert_non_null(eval_find(&r.errors, "/evaluation/tasks", "More than 1000"));
	eval_done(&r);
}

/* n tasks that share a list of `values` (or one text of that many bytes). */
static void run_shared(size_t tasks_count, size_t values, bool text, struct eval_result *r)
{
	CLEANUP(json_freep) json_t *config = eval_json(EVAL_BASE);
	json_t *evaluation = json_object_get(config, "evaluation");
	json_t *list = json_array();
	json_t *shared = json_array();
	CLEANUP(mem_freep) char *filler = mem_calloc(values + 1, 1);
	memset(filler, 'x', values);
	for (size_t i = 0; i < tasks_count; i++)
		json_array_append_new(list, json_pack("{s:s}", "name", "hellaswag"));
	for (size_t i = 0; !text && i < values; i++)
		json_array_append_new(shared, json_integer(1));
	if (text)
		json_array_append_new(shared, json_string(filler));
	json_object_set_new(evaluation, "tasks", list);
	json_object_set_new(evaluation, "nemo_evaluator_config", json_pack("{s:o}", "x", shared));
	CLEANUP(mem_freep) char *dumped = json_dumps(config, 0);
	struct eval_input in = eval_input_of(dumped, true);
	eval_run_input(&in, r);
}

static void test_eval_config_plan_work_of_shared_values_is_bounded(void **state)
{
	(void)state;
	static const struct {
		size_t tasks, values;
		bool text;
		bool fits;
	} cases[] = {
	    {1, 90000, false, true},   {10, 9000, false, true},   {10, 11000, false, false},
	    {1000, 80, false, true},   {1000, 100, false, false}, {100, 80000, true, true},
	    {100, 90000, true, false}, {1000, 7000, true, true},  {1000, 9000, true, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		run_shared(cases[i].tasks, cases[i].values, cases[i].text, &r);
		if (cases[i].fits != (r.status == 0))
			eval_fail("shared values", &r);
		if (!cases[i].fits)
			assert_non_null(eval_find(&r.errors, "/evaluation/tasks", "split it"));
		eval_done(&r);
	}
}

/* What was accepted once is planned again, whatever the limits are now. */
static void test_eval_config_replan_asks_for_no_size(void **state)
{
	(void)state;
	struct eval_result r;
	run_shared(1, 200, false, &r);
	assert_int_equal(r.status, 0);
	json_t *tasks_list = json_object_get(json_object_get(r.plan->resolved, "evaluation"), "tasks");
	for (int i = 1; i < EVAL_JOBS_MAX; i++)
		json_array_append(tasks_list, json_array_get(tasks_list, 0));
	struct eval_plan *again = NULL;
	assert_int_equal(eval_config_replan(r.plan->resolved, &again, NULL), 0);
	assert_int_equal(again->job_count, EVAL_JOBS_MAX);
	eval_plan_free(again);
	eval_done(&r);
}

static void test_eval_config_plan_reals_count_more(void **state)
{
	(void)state;
	for (int count = 14000; count <= 16000; count += 2000) {
		struct eval_result r;
		CLEANUP(json_freep) json_t *config = eval_json(EVAL_BASE);
		json_t *list = json_array();
		for (int i = 0; i < count; i++)
			json_array_append_new(list, json_real(0.1));
		json_object_set_new(json_object_get(config, "evaluation"), "nemo_evaluator_config",
				    json_pack("{s:o}", "x", list));
		CLEANUP(mem_freep) char *text = json_dumps(config, 0);
		struct eval_input in = eval_input_of(text, true);
		eval_run_input(&in, &r);
		assert_int_equal(r.status, count == 14000 ? 0 : -1);
		eval_done(&r);
	}
}

/* The parts of the global config are in memory once, whatever the number of tasks; what a task writes is its own. */
static void test_eval_config_plan_tasks_share_the_global_config(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE,
		"{'evaluation': {'nemo_evaluator_config': {'config': {'params': {'extra': {'a': {'b': 1}, 'c': 2}}}, "
		"'target': {'api_endpoint': {'adapter_config': {'x': 1}}}},"
		" 'tasks': [{'name': 'hellaswag'}, {'name': 'hellaswag'}, {'name': 'hellaswag', "
		"'nemo_evaluator_config': {'config': {'params': {'extra': {'c': 3}}}}}]}}",
		&r);
	const json_t *given = json_object_get(json_object_get(r.plan->resolved, "evaluation"), "nemo_evaluator_config");
	const json_t *params = json_object_get(json_object_get(given, "config"), "params");
	const json_t *extra = json_object_get(params, "extra");
	assert_null(json_object_get(json_object_get(given, "config"), "type"));
	assert_null(json_object_get(given, "metadata"));
	for (size_t i = 0; i < 3; i++) {
		const json_t *config = json_object_get(r.plan->jobs[i].evaluator_config, "config");
		const json_t *own = json_object_get(config, "params");
		assert_string_equal(json_string_value(json_object_get(config, "type")), "hellaswag");
		if (i < 2)
			assert_ptr_equal(own, params);
		own = json_object_get(own, "extra");
		assert_ptr_equal(json_object_get(own, "a"), json_object_get(extra, "a"));
		assert_int_equal(json_integer_value(json_object_get(own, "c")), i < 2 ? 2 : 3);
	}
	eval_done(&r);
}

/* References to auxiliary deployments are put into a copy of what they stand in, and of nothing else. */
static void test_eval_config_plan_references_copy_their_path_only(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_JUDGE,
		"{'evaluation': {'nemo_evaluator_config': {'config': {'params': {'judge': ['auxiliary_deployments.judge"
		".model_id', 1], 'rest': {'a': 1}}}}, 'tasks': [{'name': 'hellaswag'}, {'name': 'hellaswag'}]}}",
		&r);
	const json_t *given = json_object_get(json_object_get(r.plan->resolved, "evaluation"), "nemo_evaluator_config");
	const json_t *params = json_object_get(json_object_get(given, "config"), "params");
	assert_string_equal(json_string_value(json_array_get(json_object_get(params, "judge"), 0)),
			    "auxiliary_deployments.judge.model_id");
	for (size_t i = 0; i < 2; i++) {
		const json_t *config = json_object_get(r.plan->jobs[i].evaluator_config, "config");
		const json_t *own = json_object_get(config, "params");
		assert_string_equal(json_string_value(json_array_get(json_object_get(own, "judge"), 0)), "org/judge");
		assert_ptr_equal(json_object_get(own, "rest"), json_object_get(params, "rest"));
	}
	eval_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_eval_config_plan_work_of_shared_values_is_bounded),
	    cmocka_unit_test(test_eval_config_replan_asks_for_no_size),
	    cmocka_unit_test(test_eval_config_plan_reals_count_more),
	    cmocka_unit_test(test_eval_config_plan_tasks_share_the_global_config),
	    cmocka_unit_test(test_eval_config_plan_references_copy_their_path_only),
	    cmocka_unit_test(test_eval_config_plan_task_gets_container_and_types),
	    cmocka_unit_test(test_eval_config_plan_endpoint_type_is_the_tasks_then_the_first_of_the_catalogue),
	    cmocka_unit_test(test_eval_config_plan_endpoints_keep_their_order),
	    cmocka_unit_test(test_eval_config_plan_own_images_warn_where_the_catalogue_differs),
	    cmocka_unit_test(test_eval_config_plan_unlisted_tasks_need_permission_but_files_do_not),
	    cmocka_unit_test(test_eval_config_plan_commands_need_permission),
	    cmocka_unit_test(test_eval_config_plan_dataset_is_mounted_and_exported),
	    cmocka_unit_test(test_eval_config_plan_env_layers_stay_apart),
	    cmocka_unit_test(test_eval_config_plan_evaluator_config_task_merges_over_global),
	    cmocka_unit_test(test_eval_config_plan_own_url_needs_no_endpoint),
	    cmocka_unit_test(test_eval_config_plan_judge_has_nodes_after_the_model),
	    cmocka_unit_test(test_eval_config_plan_auxiliaries_get_proxies_of_their_own),
	    cmocka_unit_test(test_eval_config_plan_two_auxiliaries_with_one_prefix_are_refused),
	    cmocka_unit_test(test_eval_config_plan_old_judge_deployment_is_moved),
	    cmocka_unit_test(test_eval_config_plan_missing_values_of_unused_parts_do_not_matter),
	    cmocka_unit_test(test_eval_config_plan_many_tasks_with_a_large_config_are_refused),
	};
	return cmocka_run_group_tests(tests, eval_setup, eval_teardown);
}
