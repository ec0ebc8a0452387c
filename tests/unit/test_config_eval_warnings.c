/* What an evaluation config is warned of: tables of changes to a base config. */
#include "eval_fixture.h"

static const struct {
	const char *base;
	const char *patch;
	const char *pointer;
	const char *message;
} warned[] = {
    {EVAL_NONE, "{'execution': {'idle_limit': '10'}}", "/execution/idle_limit", "no effect"},
    {EVAL_NONE, "{'execution': {'share_deployment': true}}", "/execution/share_deployment", "no deployment to share"},
    {EVAL_BASE, "{'execution': {'share_order': 'shortest_first'}}", "/execution/share_order", "share_deployment"},
    {EVAL_NONE, "{'execution': {'gres': 'gpu:8'}}", "/execution/gres", "holds GPUs"},
    {EVAL_NONE, "{'execution': {'gpus_per_node': 1}}", "/execution/gres", "holds GPUs"},
    {EVAL_BASE, "{'deployment': {'tensor_parallel_size': 4}}", "/deployment/tensor_parallel_size", "4 GPUs"},
    {EVAL_BASE, "{'deployment': {'tensor_parallel_size': 1}}", "/deployment/tensor_parallel_size", "uses 1 GPU, but"},
    {EVAL_BASE, "{'execution': {'gres': 'gpu:8,nvme:1'}, 'deployment': {'tensor_parallel_size': 4}}",
     "/deployment/tensor_parallel_size", "holds 8"},
    {EVAL_BASE, "{'execution': {'gres': 'gpu:a100:2,gpu:h100:3'}}", "/deployment/tensor_parallel_size", "holds 5"},
    {EVAL_BASE, "{'execution': {'num_nodes': 2}}", "/deployment/tensor_parallel_size", "holds 16"},
    {EVAL_BASE, "{'execution': {'walltime': '48:00:00', 'max_walltime': '24:00:00'}}", "/execution/walltime",
     "above max_walltime"},
    {EVAL_BASE, "{}", "/deployment/image", "name a version"},
    {EVAL_BASE, "{'deployment': {'image': 'reg:5000/vllm'}}", "/deployment/image", "name a version"},
    {EVAL_BASE, "{}", "/execution/mounts/mount_home", "home directory"},
    {EVAL_BASE, "{'deployment': {'tensor_paralel_size': 4}}", "/deployment/tensor_paralel_size",
     "did you mean 'tensor_parallel_size'"},
    {EVAL_BASE, "{'execution': {'wall_time': '1'}}", "/execution/wall_time", "did you mean 'walltime'"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'simple_evals.mmlu_prro'}]}}", "/evaluation/tasks/0/name",
     "not in the catalogue; the image of simple_evals is taken for it; did you mean 'simple_evals.mmlu_pro'?"},
    {EVAL_BASE, "{'exection': {}}", "/exection", "did you mean 'execution'"},
    {EVAL_BASE, "{'deployment': {'type': 'vlm'}}", "/deployment/type", "did you mean vllm"},
    {EVAL_BASE, "{'deployment': {'checkpoint_path': null}}", "/deployment/checkpoint_path", "nothing is mounted"},
    {EVAL_BASE, "{'execution': {'mounts': {'deployment': {'/a': '/checkpoint'}}}}", "/execution/mounts/deployment/~1a",
     "mounted at /checkpoint already"},
    {EVAL_BASE, "{'execution': {'num_nodes': 4, 'num_instances': 2, 'deployment': {'n_tasks': 3}}}",
     "/execution/deployment/n_tasks", "each instance gets 1"},
    {EVAL_BASE, "{'execution': {'num_nodes': 2, 'num_instances': 2}}", "/execution/proxy/image", "haproxy:latest"},
    {EVAL_BASE, "{'execution': {'auto_export': {'destinations': ['mlfow']}}}", "/execution/auto_export/destinations",
     "did you mean mlflow"},
    {EVAL_BASE,
     "{'judge_deployment': {'type': 'vllm', 'image': 'i:1', 'port': 1, 'served_model_name': 'j', 'endpoints': "
     "{'chat': '/c'}}}",
     "/judge_deployment", "auxiliary_deployments.judge"},
};

static void test_eval_config_plan_each_oddity_is_a_warning_at_its_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof warned / sizeof warned[0]; i++) {
		struct eval_result r;
		eval_ok(warned[i].base, warned[i].patch, &r);
		if (eval_find(&r.warnings, warned[i].pointer, warned[i].message) == NULL)
			eval_fail(warned[i].patch, &r);
		eval_done(&r);
	}
}

static void test_eval_config_plan_sound_config_has_no_warnings(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_BASE,
		"{'execution': {'mounts': {'mount_home': false}, 'evaluation_gpu_visible': false}, 'deployment': "
		"{'image': 'vllm/vllm-openai:v0.9'}}",
		&r);
	if (r.warnings.count != 0)
		eval_fail("warnings", &r);
	eval_done(&r);
}

static void test_eval_config_plan_parallel_sizes_that_no_command_reads_are_let_be(void **state)
{
	(void)state;
	static const char *const patches[] = {
	    "{'deployment': {'tensor_parallel_size': '8'}}",
	    "{'deployment': {'tensor_parallel_size': '$SLURM_GPUS_ON_NODE', 'data_parallel_size': '$(nproc)'}}",
	    "{'deployment': {'tensor_parallel_size': null, 'pipeline_parallel_size': null}}",
	    "{'deployment': {'type': 'generic', 'tensor_parallel_size': 'auto'}}",
	    "{'deployment': {'type': 'nim', 'tensor_parallel_size': 'auto'}}",
	};
	for (size_t i = 0; i < sizeof patches / sizeof patches[0]; i++) {
		struct eval_result r;
		eval_ok(EVAL_BASE, patches[i], &r);
		if (eval_find(&r.warnings, "/deployment/tensor_parallel_size", "GPU") != NULL)
			eval_fail(patches[i], &r);
		eval_done(&r);
	}
}

static void test_eval_config_plan_warns_of_a_task_that_is_there_twice(void **state)
{
	static const struct {
		const char *tasks;
		const char *pointers[3]; /* of the warnings */
	} cases[] = {
	    {"{'name': 'lm-evaluation-harness.ifeval'}, {'name': 'lm-evaluation-harness.ifeval'}",
	     {"/evaluation/tasks/1"}},
	    {"{'name': 'lm-evaluation-harness.ifeval', 'pre_cmd': null}, {'name': 'lm-evaluation-harness.mmlu'}, "
	     "{'pre_cmd': null, 'name': 'lm-evaluation-harness.ifeval'}, {'name': 'lm-evaluation-harness.mmlu'}",
	     {"/evaluation/tasks/2", "/evaluation/tasks/3"}},
	    {"{'name': 'lm-evaluation-harness.ifeval'}, {'name': 'lm-evaluation-harness.ifeval', 'env_vars': "
	     "{'X': 'lit:1'}}, {'name': 'lm-evaluation-harness.mmlu'}",
	     {NULL}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *patch = mem_printf("{'evaluation': {'tasks': [%s]}}", cases[i].tasks);
		struct eval_result r;
		size_t told = 0;
		eval_ok(EVAL_BASE, patch, &r);
		for (size_t w = 0; w < r.warnings.count; w++)
			told += strstr(r.warnings.items[w].message, "The same task with the same settings as") != NULL;
		size_t wanted = 0;
		for (; cases[i].pointers[wanted] != NULL; wanted++)
			if (eval_find(&r.warnings, cases[i].pointers[wanted], "The same task with the same settings") ==
			    NULL)
				eval_fail(patch, &r);
		if (told != wanted)
			eval_fail(patch, &r);
		eval_done(&r);
	}
}

static void test_eval_config_plan_other_resources_are_not_called_gpus(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(EVAL_NONE, "{'execution': {'gres': 'nvme:1'}}", &r);
	assert_null(eval_find(&r.warnings, "/execution/gres", "GPU"));
	eval_done(&r);
	eval_ok(EVAL_BASE, "{'execution': {'gres': 'nvme:1'}}", &r);
	assert_null(eval_find(&r.warnings, "/execution/evaluation_gpu_visible", "GPU"));
	assert_null(eval_find(&r.warnings, "/deployment/tensor_parallel_size", "GPU"));
	eval_done(&r);
}

static void test_eval_config_plan_warns_where_the_launcher_would_do_something_else(void **state)
{
	(void)state;
	static const struct {
		const char *patch, *pointer, *says;
	} cases[] = {
	    {"{'env_vars': {'A': 'lit:$HOME/x'}}", "/env_vars/A", "not expanded here"},
	    {"{'evaluation': {'env_vars': {'A': '$lit:`id`'}}}", "/evaluation/env_vars/A", "not expanded here"},
	    {"{'deployment': {'env_vars': {'TOKEN': 'host:TOKEN'}}}", "/deployment/env_vars/TOKEN",
	     "Only the server gets"},
	    {"{}", "/execution/evaluation_gpu_visible", "see no GPU"},
	    {"{'execution': {'walltime': '2:00'}}", "/execution/walltime", "minutes and seconds to Slurm, 120 s"},
	    {"{'execution': {'max_walltime': '99:99:99'}}", "/execution/max_walltime", "it counts as 362439 s"},
	    {"{'execution': {'max_walltime': '7200'}}", "/execution/max_walltime",
	     "minutes to Slurm and here, 432000 s"},
	    {"{'execution': {'walltime': '90'}}", "/execution/walltime", "minutes to Slurm and here, 5400 s"},
	    {"{'evaluation': {'tasks': [{'name': 'hellaswag'}, {'name': 'gsm8k'}, {'name': 'hellaswag'}]}}",
	     "/evaluation/tasks/2", "as evaluation.tasks[0]"},
	    {"{'execution': {'cluster': 'alpha', 'mpi': null}}", "/execution", "execution.cluster, execution.mpi"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		eval_ok(EVAL_BASE, cases[i].patch, &r);
		if (eval_find(&r.warnings, cases[i].pointer, cases[i].says) == NULL)
			eval_fail(cases[i].patch, &r);
		eval_done(&r);
	}
}

/* Each tried with the launcher 0.2.6, which ends with a Python error on it. */
static void test_eval_config_plan_warns_of_what_ends_the_launcher(void **state)
{
	(void)state;
#define INLINE_JUDGE \
	"'type': 'vllm', 'image': 'i:1', 'port': 8001, 'served_model_name': 'j', 'endpoints': {'chat': '/v1/chat'}"
#define VLLM_SIZES \
	"'tensor_parallel_size': 8, 'pipeline_parallel_size': 1, 'data_parallel_size': 1, " \
	"'gpu_memory_utilization': 0.9, 'extra_args': ''"
	static const struct {
		const char *patch, *pointer, *says;
	} cases[] = {
	    {"{'execution': {'sbatch_extra_flags': null}}", "/execution/sbatch_extra_flags", "{exclusive: false}"},
	    {"{'execution': {'num_nodes': null}}", "/execution/num_nodes", "num_nodes is null: leave it out"},
	    {"{'execution': {'num_instances': null}}", "/execution/num_instances", "leave it out"},
	    {"{'execution': {'deployment': null}}", "/execution/deployment", "leave it out"},
	    {"{'execution': {'mounts': null}}", "/execution/mounts", "leave it out"},
	    {"{'execution': {'mounts': {'deployment': null}}}", "/execution/mounts/deployment", "leave it out"},
	    {"{'execution': {'mounts': {'evaluation': null}}}", "/execution/mounts/evaluation", "leave it out"},
	    {"{'execution': {'mounts': {'auxiliary': null}}}", "/execution/mounts/auxiliary", "leave it out"},
	    {"{'execution': {'mounts': {'mount_home': null}}}", "/execution/mounts/mount_home", "leave it out"},
	    {"{'auxiliary_deployments': null}", "/auxiliary_deployments", "leave it out"},
	    {"{'auxiliary_deployments': {'judge': null}}", "/auxiliary_deployments/judge", "leave it out"},
	    {"{'target': null}", "/target", "leave it out"},
	    {"{'target': {'api_endpoint': null}}", "/target/api_endpoint", "leave it out"},
	    {"{'export': null}", "/export", "leave it out"},
	    {"{'evaluation': {'env_vars': null}}", "/evaluation/env_vars", "leave it out"},
	    {"{'evaluation': {'nemo_evaluator_config': null}}", "/evaluation/nemo_evaluator_config", "leave it out"},
	    {"{'evaluation': {'pre_cmd': null}}", "/evaluation/pre_cmd", "leave it out"},
	    {"{'evaluation': {'post_cmd': null}}", "/evaluation/post_cmd", "leave it out"},
	    {"{'evaluation': {'tasks': [{'name': 'hellaswag', 'env_vars': null}]}}", "/evaluation/tasks/0/env_vars",
	     "leave it out"},
	    {"{'evaluation': {'tasks': [{'name': 'hellaswag', 'nemo_evaluator_config': null}]}}",
	     "/evaluation/tasks/0/nemo_evaluator_config", "leave it out"},
	    {"{'evaluation': {'tasks': [{'name': 'hellaswag', 'pre_cmd': null}]}}", "/evaluation/tasks/0/pre_cmd",
	     "leave it out"},
	    {"{'evaluation': {'tasks': [{'name': 'hellaswag', 'post_cmd': null}]}}", "/evaluation/tasks/0/post_cmd",
	     "leave it out"},
	    {"{'evaluation': {'tasks': [{'name': 'hellaswag', 'dataset_mount_path': null}]}}",
	     "/evaluation/tasks/0/dataset_mount_path", "leave it out"},
	    {"{'auxiliary_deployments': {'judge': {" INLINE_JUDGE ", 'checkpoint_path': '/models/j'," VLLM_SIZES "}}}",
	     "/auxiliary_deployments/judge", "no command for it without hf_model_handle: set them, or command"},
	    {"{'auxiliary_deployments': {'judge': {" INLINE_JUDGE ", 'hf_model_handle': 'o/m'}}}",
	     "/auxiliary_deployments/judge",
	     "without tensor_parallel_size, pipeline_parallel_size, data_parallel_size, gpu_memory_utilization, "
	     "extra_args:"},
	    {"{'auxiliary_deployments': {'judge': {" INLINE_JUDGE ", 'hf_model_handle': 'o/m', 'num_nodes': null}}}",
	     "/auxiliary_deployments/judge/num_nodes", "leave it out"},
	    {"{'auxiliary_deployments': {'judge': {" INLINE_JUDGE
	     ", 'hf_model_handle': 'o/m', 'num_instances': null}}}",
	     "/auxiliary_deployments/judge/num_instances", "leave it out"},
	};
	static const char *const silent[] = {
	    "{'execution': {'gres': null, 'proxy': null, 'auto_export': null}, 'env_vars': null}",
	    "{'auxiliary_deployments': {'judge': {'type': 'none', 'num_nodes': null}}}",
	    "{'auxiliary_deployments': {'judge': {" INLINE_JUDGE ", 'hf_model_handle': 'o/m'," VLLM_SIZES "}}}",
	    "{'auxiliary_deployments': {'judge': {" INLINE_JUDGE
	    ", 'checkpoint_path': '/m', 'hf_model_handle': '/checkpoint/hf'," VLLM_SIZES "}}}",
	    "{'auxiliary_deployments': {'judge': {" INLINE_JUDGE ", 'command': 'serve'}}}",
	    "{'auxiliary_deployments': {'judge': {" INLINE_JUDGE ", 'command_template': 'serve {port}'}}}",
	};
	struct eval_result r;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		eval_ok(EVAL_BASE, cases[i].patch, &r);
		if (eval_find(&r.warnings, cases[i].pointer, cases[i].says) == NULL)
			eval_fail(cases[i].patch, &r);
		eval_done(&r);
	}
	for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
		eval_ok(EVAL_BASE, silent[i], &r);
		for (size_t k = 0; k < r.warnings.count; k++)
			if (strstr(r.warnings.items[k].message, "NVIDIA's launcher") != NULL)
				eval_fail(silent[i], &r);
		eval_done(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_eval_config_plan_each_oddity_is_a_warning_at_its_key),
	    cmocka_unit_test(test_eval_config_plan_sound_config_has_no_warnings),
	    cmocka_unit_test(test_eval_config_plan_parallel_sizes_that_no_command_reads_are_let_be),
	    cmocka_unit_test(test_eval_config_plan_warns_of_a_task_that_is_there_twice),
	    cmocka_unit_test(test_eval_config_plan_other_resources_are_not_called_gpus),
	    cmocka_unit_test(test_eval_config_plan_warns_where_the_launcher_would_do_something_else),
	    cmocka_unit_test(test_eval_config_plan_warns_of_what_ends_the_launcher),
	};
	return cmocka_run_group_tests(tests, eval_setup, eval_teardown);
}
