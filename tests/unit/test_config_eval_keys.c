/* What each key of an evaluation config does, and what is wrong with it when it is: tables of changes to a base config.
 */
#include "eval_fixture.h"

#define MISSING "?\?\?"

struct refused {
	const char *base;
	const char *patch;
	const char *pointer;
	const char *message;
};

static const struct refused refused[] = {
    /* execution */
    {EVAL_BASE, "{'execution': {'type': 'local'}}", "/execution/type", "Slurm only"},
    {EVAL_BASE, "{'execution': {'walltime': '1h30m'}}", "/execution/walltime", "HH:MM:SS"},
    {EVAL_BASE, "{'execution': {'walltime': ''}}", "/execution/walltime", "HH:MM:SS"},
    {EVAL_BASE, "{'execution': {'walltime': 3600}}", "/execution/walltime", "ambiguous"},
    {EVAL_BASE, "{'execution': {'walltime': 'automatic'}}", "/execution/walltime", "or auto"},
    {EVAL_BASE, "{'execution': {'max_walltime': 'auto'}}", "/execution/max_walltime", "HH:MM:SS"},
    {EVAL_BASE, "{'execution': {'walltime': 'auto', 'auto_resume': {'mode': 'in_job'}}}", "/execution/walltime",
     "queued long before they can start"},
    {EVAL_BASE, "{'execution': {'walltime': 'auto', 'auto_resume': {'mode': 'off'}}}", "/execution/walltime",
     "lets none follow"},
    {EVAL_BASE, "{'execution': {'walltime': 'auto', 'auto_resume': {'on': ['NODE_FAIL']}}}", "/execution/walltime",
     "lets none follow"},
    {EVAL_BASE, "{'execution': {'max_walltime': 120}}", "/execution/max_walltime", "ambiguous"},
    {EVAL_BASE, "{'execution': {'max_walltime': '00:00:59'}}", "/execution/max_walltime",
     "is 59 s, and no attempt of less than 60 s"},
    {EVAL_BASE, "{'execution': {'output_dir': 'out'}}", "/execution/output_dir", "absolute"},
    {EVAL_BASE, "{'execution': {'output_dir': '/out\\nx'}}", "/execution/output_dir", "control"},
    {EVAL_BASE, "{'execution': {'output_dir': '/a/../etc'}}", "/execution/output_dir", "'..'"},
    {EVAL_BASE, "{'execution': {'output_dir': '/a:b'}}", "/execution/output_dir", "must not hold"},
    {EVAL_BASE, "{'execution': {'output_dir': '/a%u'}}", "/execution/output_dir", "must not hold"},
    {EVAL_BASE, "{'execution': {'output_dir': '/$(id)'}}", "/execution/output_dir", "must not hold"},
    {EVAL_BASE, "{'execution': {'account': 'a\\n#SBATCH --uid=0'}}", "/execution/account", "control"},
    {EVAL_BASE, "{'execution': {'account': 'a --uid=0'}}", "/execution/account", "one word"},
    {EVAL_BASE, "{'execution': {'account': '--uid=0'}}", "/execution/account", "one word"},
    {EVAL_BASE, "{'execution': {'partition': 'a\\tb'}}", "/execution/partition", "control"},
    {EVAL_BASE, "{'execution': {'partition': true}}", "/execution/partition", "text"},
    {EVAL_BASE, "{'execution': {'partition': ['a']}}", "/execution/partition", "text"},
    {EVAL_BASE, "{'execution': {'sbatch_comment': 'a\\n#SBATCH --x'}}", "/execution/sbatch_comment", "control"},
    {EVAL_BASE, "{'execution': {'subproject': 'a b'}}", "/execution/subproject", "one word"},
    {EVAL_BASE, "{'execution': {'gres': 'gpu:8\\n'}}", "/execution/gres", "control"},
    {EVAL_BASE, "{'execution': {'gpus_per_node': '8 --x'}}", "/execution/gpus_per_node", "one word"},
    {EVAL_BASE, "{'execution': {'hostname': '-oProxyCommand=x'}}", "/execution/hostname", "one word"},
    {EVAL_BASE, "{'execution': {'ntasks_per_node': 0}}", "/execution/ntasks_per_node", "from 1"},
    {EVAL_BASE, "{'execution': {'num_nodes': 0}}", "/execution/num_nodes", "from 1"},
    {EVAL_BASE, "{'execution': {'num_nodes': 'two'}}", "/execution/num_nodes", "integer"},
    {EVAL_BASE, "{'deployment': {'tensor_parallel_size': 'two'}}", "/deployment/tensor_parallel_size",
     "integer from 1"},
    {EVAL_BASE, "{'deployment': {'tensor_parallel_size': 0}}", "/deployment/tensor_parallel_size", "from 1"},
    {EVAL_BASE, "{'deployment': {'pipeline_parallel_size': -4}}", "/deployment/pipeline_parallel_size", "from 1"},
    {EVAL_BASE, "{'deployment': {'data_parallel_size': 1.5}}", "/deployment/data_parallel_size", "integer"},
    {EVAL_JUDGE, "{'auxiliary_deployments': {'judge': {'tensor_parallel_size': 'two'}}}",
     "/auxiliary_deployments/judge/tensor_parallel_size", "integer from 1"},
    {EVAL_BASE, "{'execution': {'num_nodes': 5, 'num_instances': 2}}", "/execution/num_nodes", "divisible"},
    {EVAL_BASE, "{'execution': {'num_nodes': 4, 'num_instances': 4, 'deployment': {'n_tasks': 1}}}",
     "/execution/deployment/n_tasks", "at least num_instances"},
    {EVAL_BASE, "{'execution': {'sbatch_extra_flags': {'a b': 1}}}", "/execution/sbatch_extra_flags/a b", "name"},
    {EVAL_BASE, "{'execution': {'sbatch_extra_flags': {'constraint': 'a\\nb'}}}",
     "/execution/sbatch_extra_flags/constraint", "control"},
    {EVAL_BASE, "{'execution': {'sbatch_extra_flags': {'time': '1'}}}", "/execution/sbatch_extra_flags/time",
     "execution.walltime"},
    {EVAL_BASE, "{'execution': {'sbatch_extra_flags': {'array': '1-9'}}}", "/execution/sbatch_extra_flags/array",
     "array"},
    {EVAL_BASE, "{'execution': {'sbatch_extra_flags': {'arr': '0-3'}}}", "/execution/sbatch_extra_flags/arr",
     "short for --array"},
    {EVAL_BASE, "{'execution': {'sbatch_extra_flags': {'tes': true}}}", "/execution/sbatch_extra_flags/tes",
     "short for --test-only"},
    {EVAL_BASE, "{'execution': {'sbatch_extra_flags': {'cluster': 'b'}}}", "/execution/sbatch_extra_flags/cluster",
     "short for --clusters"},
    {EVAL_BASE, "{'execution': {'sbatch_extra_flags': {'version': true}}}", "/execution/sbatch_extra_flags/version",
     "submits nothing"},
    {EVAL_BASE, "{'execution': {'sbatch_extra_flags': {'hint': 'help'}}}", "/execution/sbatch_extra_flags/hint",
     "submits nothing"},
    {EVAL_BASE, "{'execution': {'env_vars': {'deployment': {'A': 'lit:1'}}}}", "/execution/env_vars",
     "env_vars (everywhere), evaluation.env_vars, or deployment.env_vars"},
    {EVAL_BASE, "{'execution': {'endpoint_readiness_timeout': 'soon'}}", "/execution/endpoint_readiness_timeout",
     "integer"},
    {EVAL_BASE, "{'execution': {'proxy': {'type': 'nginx'}}}", "/execution/proxy/type", "haproxy"},
    {EVAL_BASE, "{'execution': {'auto_resume': {'mode': 'never'}}}", "/execution/auto_resume/mode", "in_job"},
    {EVAL_BASE, "{'execution': {'share_deployment': 0}}", "/execution/share_deployment", "from 1 to 1000"},
    {EVAL_BASE, "{'execution': {'share_deployment': -1}}", "/execution/share_deployment", "from 1 to 1000"},
    {EVAL_BASE, "{'execution': {'share_deployment': 1001}}", "/execution/share_deployment", "from 1 to 1000"},
    {EVAL_BASE, "{'execution': {'share_deployment': 'yes'}}", "/execution/share_deployment", "false, true"},
    {EVAL_BASE, "{'execution': {'share_deployment': 1.5}}", "/execution/share_deployment", "false, true"},
    {EVAL_BASE, "{'execution': {'share_order': 'longest'}}", "/execution/share_order", "shortest_first"},
    {EVAL_BASE, "{'execution': {'idle_limit': 600}}", "/execution/idle_limit", "write execution.idle_limit as text"},
    {EVAL_BASE, "{'execution': {'idle_limit': 'soon'}}", "/execution/idle_limit", "no time limit"},
    {EVAL_BASE, "{'execution': {'idle_limit': '00:00:19'}}", "/execution/idle_limit", "before 20 s"},
    {EVAL_BASE, "{'execution': {'auto_resume': {'on': ['COMPLETED']}}}", "/execution/auto_resume/on", "COMPLETED"},
    {EVAL_BASE, "{'execution': {'auto_resume': {'max_attempts': 0}}}", "/execution/auto_resume/max_attempts", "from 1"},
    {EVAL_BASE, "{'execution': {'auto_export': {'destinations': ['a;b']}}}", "/execution/auto_export/destinations",
     "destination"},
    /* mounts */
    {EVAL_BASE, "{'execution': {'mounts': {'deploymnt': {}}}}", "/execution/mounts/deploymnt",
     "did you mean 'deployment'"},
    {EVAL_BASE, "{'execution': {'mounts': {'x': {}}}}", "/execution/mounts/x", "known here: deployment, evaluation"},
    {EVAL_BASE, "{'execution': {'mounts': {'evaluation': {'data': '/data'}}}}", "/execution/mounts/evaluation/data",
     "absolute"},
    {EVAL_BASE, "{'execution': {'mounts': {'evaluation': {'/data': 'data'}}}}", "/execution/mounts/evaluation/~1data",
     "absolute"},
    {EVAL_BASE, "{'execution': {'mounts': {'evaluation': {'/a,/etc:/etc': '/b'}}}}",
     "/execution/mounts/evaluation/~1a,~1etc:~1etc", "must not hold"},
    {EVAL_BASE, "{'execution': {'mounts': {'evaluation': {'/a': '/b,/etc'}}}}", "/execution/mounts/evaluation/~1a",
     "must not hold"},
    {EVAL_BASE, "{'execution': {'mounts': {'evaluation': {'/a': '/b:ro,/etc:/etc'}}}}",
     "/execution/mounts/evaluation/~1a", "flags"},
    {EVAL_BASE, "{'execution': {'mounts': {'deployment': {'/a\\n': '/b'}}}}", "/execution/mounts/deployment/~1a ",
     "control"},
    {EVAL_BASE, "{'execution': {'mounts': {'deployment': {'/$HOME/a': '/b'}}}}",
     "/execution/mounts/deployment/~1$HOME~1a", "shell script"},
    {EVAL_BASE, "{'execution': {'mounts': {'deployment': {'/my models': '/b'}}}}",
     "/execution/mounts/deployment/~1my models", "must not hold a space"},
    {EVAL_BASE, "{'execution': {'mounts': {'deployment': {'/a': '/my models'}}}}", "/execution/mounts/deployment/~1a",
     "must not hold a space"},
    {EVAL_BASE, "{'execution': {'output_dir': '/shared/my runs'}}", "/execution/output_dir", "must not hold a space"},
    {EVAL_BASE, "{'deployment': {'checkpoint_path': '/shared/my model'}}", "/deployment/checkpoint_path",
     "must not hold a space"},
    {EVAL_BASE, "{'execution': {'mounts': {'mount_home': 'no'}}}", "/execution/mounts/mount_home", "true or false"},
    {EVAL_BASE, "{'execution': {'mounts': {'auxiliary': {'juge': {}}}}}", "/execution/mounts/auxiliary/juge",
     "auxiliary_deployments.juge"},
    /* deployment */
    {EVAL_BASE, "{'deployment': {'checkpoint_path': 'org/model'}}", "/deployment/checkpoint_path", "absolute"},
    {EVAL_BASE, "{'deployment': {'hf_model_handle': 'org/model'}}", "/deployment/hf_model_handle",
     "Do NOT set hf_model_handle when using checkpoint_path"},
    {EVAL_BASE, "{'deployment': {'hf_model_handle': '/checkpoints'}}", "/deployment/hf_model_handle",
     "Do NOT set hf_model_handle when using checkpoint_path"},
    {EVAL_BASE, "{'deployment': {'image': 'a b'}}", "/deployment/image", "one word"},
    {EVAL_BASE, "{'deployment': {'image': 'a\\nb'}}", "/deployment/image", "control"},
    {EVAL_BASE, "{'deployment': {'served_model_name': '" MISSING "'}}", "/deployment/served_model_name",
     "Missing mandatory value: deployment.served_model_name"},
    {EVAL_BASE, "{'deployment': {'port': 70000}}", "/deployment/port", "65535"},
    {EVAL_BASE, "{'deployment': {'endpoints': {'chat': 'v1'}}}", "/deployment/endpoints/chat", "begins with '/'"},
    {EVAL_BASE, "{'deployment': {'endpoints': {'completions': null}}}", "/evaluation/tasks/0", "has no 'completions'"},
    {EVAL_BASE, "{'deployment': {'multiple_instances': true}}", "/deployment/multiple_instances",
     "execution.num_instances"},
    {EVAL_BASE, "{'deployment': {'env_vars': {'A': 'plain text'}}}", "/deployment/env_vars/A", "lit:"},
    {EVAL_BASE, "{'deployment': {'env_vars': {'A-B': 'lit:1'}}}", "/deployment/env_vars/A-B", "variable name"},
    {EVAL_BASE, "{'env_vars': {'T': '$HF_TOKEN'}}", "/env_vars/T", "host:HF_TOKEN"},
    {EVAL_BASE, "{'env_vars': {'T': 'HF_TOKEN'}}", "/env_vars/T", "host:HF_TOKEN"},
    {EVAL_BASE, "{'target': {'api_endpoint': {'url': 'http://x'}}}", "/target/api_endpoint", "'none' only"},
    {EVAL_BASE, "{'target': {'api_endpoint': {'model_id': 'x'}}}", "/target/api_endpoint", "'none' only"},
    {EVAL_BASE, "{'target': {'api_endpoint': {'api_key_name': 'nvapi-1'}}}", "/target/api_endpoint/api_key_name",
     "never the key itself"},
    {EVAL_NONE, "{'target': {'api_endpoint': {'url': null}}}", "/target/api_endpoint/url",
     "Missing mandatory value: target.api_endpoint.url"},
    {EVAL_NONE, "{'target': {'api_endpoint': {'model_id': '" MISSING "'}}}", "/target/api_endpoint/model_id",
     "Missing mandatory value: target.api_endpoint.model_id"},
    {EVAL_NONE, "{'target': {'api_endpoint': {'url': 'ftp://x'}}}", "/target/api_endpoint/url", "http"},
    /* evaluation */
    {EVAL_BASE, "{'evaluation': {'tasks': []}}", "/evaluation/tasks", "at least one"},
    {EVAL_BASE, "{'evaluation': {'tasks': null}}", "/evaluation/tasks", "at least one"},
    {EVAL_BASE, "{'evaluation': {'tasks': {'name': 'x'}}}", "/evaluation/tasks", "list"},
    {EVAL_BASE, "{'evaluation': {'tasks': ['hellaswag']}}", "/evaluation/tasks/0", "mapping"},
    {EVAL_BASE, "{'evaluation': {'task': []}}", "/evaluation/task", "did you mean 'tasks'"},
    {EVAL_BASE, "{'evaluation': {'overrides': {'config.params.x': 1}}}", "/evaluation/overrides",
     "nemo_evaluator_config"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'hellaswag', 'overrides': {'a': 1}}]}}",
     "/evaluation/tasks/0/overrides", "nemo_evaluator_config"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'hellaswag', 'containr': 'x'}]}}", "/evaluation/tasks/0/containr",
     "did you mean 'container'"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'container': 'x:1'}]}}", "/evaluation/tasks/0/name",
     "Missing mandatory value: evaluation.tasks[0].name"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'mmlu'}]}}", "/evaluation/tasks/0/name",
     "lm-evaluation-harness.mmlu, simple_evals.mmlu"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'helaswag'}]}}", "/evaluation/tasks/0/name",
     "did you mean 'hellaswag'"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'MMLU'}]}}", "/evaluation/tasks/0/name",
     "did you mean one of 'lm-evaluation-harness.mmlu', 'simple_evals.mmlu'?"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'lm-eval-harness.helaswag'}]}}", "/evaluation/tasks/0/name",
     "did you mean 'lm-evaluation-harness.hellaswag'?"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'nothing_like_it_at_all'}]}}", "/evaluation/tasks/0/name",
     "GET /v1/tasks"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'a\\nb', 'container': 'x:1'}]}}", "/evaluation/tasks/0/name",
     "control"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'hellaswag', 'container': 'x y'}]}}",
     "/evaluation/tasks/0/container", "one word"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'hellaswag', 'endpoint_type': 'a/b'}]}}",
     "/evaluation/tasks/0/endpoint_type", "word"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'hellaswag', 'dataset_dir': 'data'}]}}",
     "/evaluation/tasks/0/dataset_dir", "absolute"},
    {EVAL_BASE, "{'evaluation': {'tasks': [{'name': 'hellaswag', 'env_vars': {'A': 1}}]}}",
     "/evaluation/tasks/0/env_vars/A", "lit:"},
    {EVAL_BASE, "{'evaluation': {'nemo_evaluator_config': []}}", "/evaluation/nemo_evaluator_config", "mapping"},
    {EVAL_BASE, "{'evaluation': {'nemo_evaluator_config': {'config': 3}}}", "/evaluation/tasks/0/nemo_evaluator_config",
     "mapping"},
    {EVAL_BASE, "{'evaluation': {'nemo_evaluator_config': {'u': '" MISSING "'}}}",
     "/evaluation/nemo_evaluator_config/u", "Missing mandatory value: evaluation.nemo_evaluator_config.u"},
    /* auxiliary deployments */
    {EVAL_BASE, "{'auxiliary_deployments': {'judge': {'type': 'vllm'}}}", "/auxiliary_deployments/judge/image",
     "Missing mandatory value: auxiliary_deployments.judge.image"},
    {EVAL_BASE, "{'auxiliary_deployments': {'judge': {'type': 'vllm'}}}", "/auxiliary_deployments/judge/endpoints",
     "Missing"},
    {EVAL_BASE, "{'auxiliary_deployments': {'judge': {'type': 'vllm'}}}", "/auxiliary_deployments/judge/port",
     "Missing"},
    {EVAL_BASE, "{'deployment': {'command': ''}}", "/deployment/command", "an image's entrypoint is not run"},
    {EVAL_BASE, "{'auxiliary_deployments': {'judge': 5}}", "/auxiliary_deployments/judge", "mapping"},
    {EVAL_BASE, "{'auxiliary_deployments': {'a b': {'type': 'vllm'}}}", "/auxiliary_deployments/a b", "letters"},
    {EVAL_JUDGE, "{'auxiliary_deployments': {'judge': {'env_prefix': 'SLURM'}}}",
     "/auxiliary_deployments/judge/env_prefix", "reserved"},
    {EVAL_JUDGE, "{'auxiliary_deployments': {'judge': {'env_prefix': 'A-B'}}}",
     "/auxiliary_deployments/judge/env_prefix", "variable name"},
    {EVAL_JUDGE, "{'auxiliary_deployments': {'judge': {'num_nodes': 3, 'num_instances': 2}}}",
     "/auxiliary_deployments/judge/num_nodes", "divisible"},
    {EVAL_JUDGE, "{'evaluation': {'nemo_evaluator_config': {'u': 'auxiliary_deployments.juge.chat_url'}}}",
     "/evaluation/nemo_evaluator_config", "no auxiliary deployment 'juge'"},
    {EVAL_JUDGE, "{'evaluation': {'nemo_evaluator_config': {'u': 'auxiliary_deployments.judge.chta_url'}}}",
     "/evaluation/nemo_evaluator_config", "has no 'chta_url'"},
    {EVAL_JUDGE,
     "{'evaluation': {'tasks': [{'name': 'hellaswag', 'nemo_evaluator_config': {'u': "
     "'auxiliary_deployments.judge.health_url'}}]}}",
     "/evaluation/tasks/0/nemo_evaluator_config", "has no 'health_url'"},
    {EVAL_JUDGE, "{'deployment': {'command': 'x ${auxiliary_deployments.judge.chat_url}'}}", "/deployment/command",
     "nemo_evaluator_config only"},
    {EVAL_JUDGE, "{'evaluation': {'nemo_evaluator_config': {'u': '${auxiliary_deployments.juge.chat_url}'}}}",
     "/evaluation/nemo_evaluator_config", "no auxiliary deployment 'juge'"},
    {EVAL_JUDGE, "{'auxiliary_deployments': {'judge': {'command': null, 'command_template': 'run {no_such}'}}}",
     "/auxiliary_deployments/judge/command_template", "{no_such}"},
    {EVAL_JUDGE, "{'auxiliary_deployments': {'judge': {'command': null, 'command_template': 'run {port'}}}",
     "/auxiliary_deployments/judge/command_template", "single '{'"},
};

static void test_eval_config_plan_each_mistake_is_an_error_at_its_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		struct eval_result r;
		eval_run(refused[i].base, refused[i].patch, NULL, &r);
		if (r.status == 0 || r.err.kind != NEL_INVALID ||
		    eval_find(&r.errors, refused[i].pointer, refused[i].message) == NULL)
			eval_fail(refused[i].patch, &r);
		eval_done(&r);
	}
}

static void test_eval_config_plan_idle_limit_is_a_walltime(void **state)
{
	(void)state;
	static const struct {
		const char *base, *patch;
		int64_t limit_s;
	} cases[] = {
	    {EVAL_BASE, "{}", 0},
	    {EVAL_BASE, "{'execution': {'idle_limit': null}}", 0},
	    {EVAL_BASE, "{'execution': {'idle_limit': false}}", 0},
	    {EVAL_BASE, "{'execution': {'idle_limit': '30'}}", 1800},
	    {EVAL_BASE, "{'execution': {'idle_limit': '00:00:20'}}", 20},
	    {EVAL_NONE, "{'execution': {'idle_limit': '30'}}", 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		eval_ok(cases[i].base, cases[i].patch, &r);
		assert_int_equal(r.plan->idle_limit_s, cases[i].limit_s);
		eval_done(&r);
	}
}

static void test_eval_config_plan_share_deployment_is_read_from_booleans_and_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *base, *patch;
		int at_once;
		enum share_order_by order;
	} cases[] = {
	    {EVAL_BASE, "{}", 0, SHARE_AS_WRITTEN},
	    {EVAL_BASE, "{'execution': {'share_deployment': null}}", 0, SHARE_AS_WRITTEN},
	    {EVAL_BASE, "{'execution': {'share_deployment': false}}", 0, SHARE_AS_WRITTEN},
	    {EVAL_BASE, "{'execution': {'share_deployment': true}}", 1, SHARE_AS_WRITTEN},
	    {EVAL_BASE, "{'execution': {'share_deployment': 3, 'share_order': 'shortest_first'}}", 3,
	     SHARE_SHORTEST_FIRST},
	    {EVAL_BASE, "{'execution': {'share_deployment': 1000, 'share_order': 'as_written'}}", 1000,
	     SHARE_AS_WRITTEN},
	    {EVAL_NONE, "{'execution': {'share_deployment': 2}}", 0, SHARE_AS_WRITTEN},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		eval_ok(cases[i].base, cases[i].patch, &r);
		assert_int_equal(r.plan->share_at_once, cases[i].at_once);
		assert_int_equal(r.plan->share_order, cases[i].order);
		eval_done(&r);
	}
}

#define NIM_JUDGE(command) \
	"{'auxiliary_deployments': {'judge': {'type': 'nim', 'image': 'i:1', 'port': 8001, 'served_model_name': 'j', " \
	"'endpoints': {'chat': '/v1/chat'}, 'command': " command "}}}"

static void test_eval_config_plan_one_mistake_gives_one_message(void **state)
{
	(void)state;
	static const struct {
		const char *patch, *pointer, *says;
	} cases[] = {
	    {"{'deployment': null}", "/deployment", "No deployment is chosen"},
	    {"{'deployment': {'type': null, 'endpoints': null}}", "/deployment", "No deployment is chosen"},
	    {"{'deployment': {'checkpoint_path': null, 'hf_model_handle': null}}", "/deployment/checkpoint_path", ""},
	    {"{'deployment': {'command': ''}}", "/deployment/command", "There is no command"},
	    {"{'deployment': {'command': null}}", "/deployment/command", "There is no command"},
	    {NIM_JUDGE("null"), "/auxiliary_deployments/judge/command", "There is no command"},
	    {NIM_JUDGE("false"), "/auxiliary_deployments/judge/command", ""},
	    {NIM_JUDGE("'?\?\?'"), "/auxiliary_deployments/judge/command", "Missing mandatory"},
	    {"{'execution': {'mounts': {'evaluation': {'/a': 'b'}}}}", "/execution/mounts/evaluation/~1a",
	     "The mount's place in the container, 'b', must be an absolute path"},
	    {"{'execution': {'mounts': {'evaluation': {'a': '/b'}}}}", "/execution/mounts/evaluation/a",
	     "The mount's source 'a' must be an absolute path"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		eval_run(EVAL_BASE, cases[i].patch, NULL, &r);
		if (eval_find(&r.errors, cases[i].pointer, cases[i].says) == NULL &&
		    eval_find(&r.warnings, cases[i].pointer, cases[i].says) == NULL)
			eval_fail(cases[i].patch, &r);
		assert_true(r.errors.count <= 1);
		eval_done(&r);
	}
}

static void test_eval_config_plan_long_names_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *patch, *pointer, *says;
		int size;
	} cases[] = {
	    {"{'deployment': {'served_model_name': '%s'}}", "/deployment/served_model_name", "at most 512 bytes", 513},
	    {"{'deployment': {'served_model_name': '%s'}}", "/deployment/served_model_name", "longer than 2048", 9000},
	    {"{'execution': {'account': '%s'}}", "/execution/account", "longer than 2048 bytes", 2049},
	    {"{'deployment': {'image': '%s'}}", "/deployment/image", "longer than 2048 bytes", 2049},
	    {"{'deployment': {'command': '%s'}}", "/deployment/command", "longer than 262144 bytes", 262145},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		CLEANUP(mem_freep) char *name = mem_calloc(1, (size_t)cases[i].size + 1);
		memset(name, 'x', (size_t)cases[i].size);
		struct str patch = {0};
		const char *at = strstr(cases[i].patch, "%s");
		str_append_n(&patch, cases[i].patch, (size_t)(at - cases[i].patch));
		str_append(&patch, name);
		str_append(&patch, at + 2);
		eval_run(EVAL_BASE, str_text(&patch), NULL, &r);
		if (eval_find(&r.errors, cases[i].pointer, cases[i].says) == NULL)
			eval_fail(cases[i].patch, &r);
		eval_done(&r);
		str_done(&patch);
	}
}

static void test_eval_config_plan_strict_makes_unknown_keys_errors(void **state)
{
	(void)state;
	struct eval_result r;
	struct eval_input in = eval_input_of("", true);
	in.strict = true;
	eval_run(EVAL_BASE, "{'execution': {'wall_time': '1'}}", &in, &r);
	assert_int_equal(r.status, -1);
	assert_non_null(eval_find(&r.errors, "/execution/wall_time", "did you mean 'walltime'"));
	eval_done(&r);
}

static const struct {
	const char *patch;
	int64_t walltime_s, max_walltime_s, readiness_s;
} times[] = {
    {"{}", 3600, 432000, 3600},
    {"{'execution': {'walltime': '2-12:30:45'}}", 217845, 432000, 217845},
    {"{'execution': {'walltime': '08:09'}}", 489, 432000, 489},
    {"{'execution': {'walltime': '30'}}", 1800, 432000, 1800},
    {"{'execution': {'max_walltime': null}}", 3600, -1, 3600},
    {"{'execution': {'walltime': 'auto', 'max_walltime': '10:00:00'}}", 36000, 36000, 36000},
    {"{'execution': {'walltime': 'auto', 'max_walltime': '300:00:00'}}", 432000, 1080000, 432000},
    {"{'execution': {'walltime': 'auto', 'max_walltime': null}}", 432000, -1, 432000},
    {"{'execution': {'max_walltime': '1-0'}}", 3600, 86400, 3600},
    {"{'execution': {'endpoint_readiness_timeout': 600}}", 3600, 432000, 600},
    {"{'execution': {'endpoint_readiness_timeout': '600'}}", 3600, 432000, 600},
};

static void test_eval_config_plan_times_are_in_seconds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		struct eval_result r;
		eval_ok(EVAL_BASE, times[i].patch, &r);
		assert_int_equal(r.plan->walltime_s, times[i].walltime_s);
		assert_int_equal(r.plan->max_walltime_s, times[i].max_walltime_s);
		assert_int_equal(r.plan->readiness_timeout_s, times[i].readiness_s);
		eval_done(&r);
	}
}

static const struct {
	int nodes, instances, url_port;
} topologies[] = {{4, 2, 5009}, {6, 3, 5009}, {8, 1, 8000}, {4, 4, 5009}};

static void test_eval_config_plan_topologies_that_divide_are_fine(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof topologies / sizeof topologies[0]; i++) {
		struct eval_result r;
		CLEANUP(mem_freep)
		char *patch = mem_printf("{'execution': {'num_nodes': %d, 'num_instances': %d}}", topologies[i].nodes,
					 topologies[i].instances);
		CLEANUP(mem_freep) char *url = mem_printf("http://127.0.0.1:%d/v1/completions", topologies[i].url_port);
		eval_ok(EVAL_BASE, patch, &r);
		assert_int_equal(r.plan->deployment->num_nodes, topologies[i].nodes);
		assert_int_equal(r.plan->deployment->num_instances, topologies[i].instances);
		assert_int_equal(r.plan->deployment->n_tasks, topologies[i].nodes);
		assert_string_equal(eval_text(r.plan->jobs[0].evaluator_config, "/target/api_endpoint/url"), url);
		eval_done(&r);
	}
}

static const struct {
	const char *value;
	const char *gres; /* NULL: none */
} gres[] = {{"'gpu:8'", "gpu:8"}, {"'gpu:h100:4'", "gpu:h100:4"}, {"null", NULL}, {"''", NULL}, {"false", NULL},
	    {"0", NULL}};

static void test_eval_config_plan_falsy_gres_is_left_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof gres / sizeof gres[0]; i++) {
		struct eval_result r;
		CLEANUP(mem_freep) char *patch = mem_printf("{'execution': {'gres': %s}}", gres[i].value);
		eval_ok(EVAL_BASE, patch, &r);
		if (gres[i].gres == NULL)
			assert_null(r.plan->gres);
		else
			assert_string_equal(r.plan->gres, gres[i].gres);
		eval_done(&r);
	}
}

/* Defaults are the shipped group's, not the code's. */
static void test_eval_config_plan_what_is_taken_out_of_the_group_stays_out(void **state)
{
	(void)state;
	static const char *const overrides[] = {"~execution.gres", "~execution.sbatch_extra_flags"};
	struct eval_result r;
	struct eval_input in = eval_input_of("", true);
	eval_run(EVAL_BASE, NULL, &in, &r);
	assert_string_equal(r.plan->gres, "gpu:8");
	assert_int_equal(r.plan->sbatch_flag_count, 1);
	eval_done(&r);
	in.overrides = overrides;
	in.override_count = 2;
	eval_run(EVAL_BASE, NULL, &in, &r);
	if (r.status != 0)
		eval_fail("overrides", &r);
	assert_null(r.plan->gres);
	assert_int_equal(r.plan->sbatch_flag_count, 0);
	eval_done(&r);
}

static void test_eval_config_plan_extra_flags_keep_order_and_falsy_values(void **state)
{
	(void)state;
	static const char *const expected[][2] = {
	    {"switches", "1"}, {"constraint", "h100 ampere"}, {"comment", ""}, {"exclusive", NULL}, {"nice", "0"}};
	struct eval_result r;
	eval_ok(EVAL_BASE, "{'execution': {'sbatch_extra_flags': null}}", &r);
	assert_int_equal(r.plan->sbatch_flag_count, 0);
	eval_done(&r);
	eval_ok(EVAL_NONE,
		"{'execution': {'sbatch_extra_flags': {'switches': 1, 'constraint': 'h100 ampere', 'comment': '', "
		"'exclusive': true, 'x': false, 'y': null, 'nice': 0}}}",
		&r);
	assert_int_equal(r.plan->sbatch_flag_count, 5);
	for (size_t i = 0; i < 5; i++) {
		const struct sbatch_flag *found = NULL;
		for (size_t j = 0; j < 5; j++)
			if (strcmp(r.plan->sbatch_flags[j].name, expected[i][0]) == 0)
				found = &r.plan->sbatch_flags[j];
		assert_non_null(found);
		if (expected[i][1] == NULL)
			assert_null(found->value);
		else
			assert_string_equal(found->value, expected[i][1]);
	}
	eval_done(&r);
}

static void test_eval_config_plan_execution_keys_reach_the_plan(void **state)
{
	(void)state;
	struct eval_result r;
	eval_ok(
	    EVAL_BASE,
	    "{'execution': {'gpus_per_node': 'h100:4', 'subproject': 'sub', 'sbatch_comment': 'it is: mine', 'mpi': "
	    "null,"
	    " 'ntasks_per_node': 2, 'username': 'me', 'evaluation_gpu_visible': true, 'proxy': {'image': 'haproxy:3'},"
	    " 'auto_resume': {'mode': 'in_job', 'on': ['TIMEOUT'], 'max_attempts': 3}}}",
	    &r);
	assert_string_equal(r.plan->gpus_per_node, "h100:4");
	assert_string_equal(r.plan->subproject, "sub");
	assert_string_equal(r.plan->comment, "it is: mine");
	assert_null(r.plan->mpi);
	assert_int_equal(r.plan->ntasks_per_node, 2);
	assert_string_equal(r.plan->username, "me");
	assert_string_equal(r.plan->jobs[0].gpu_visible, "all");
	assert_string_equal(r.plan->proxy_image, "haproxy:3");
	assert_int_equal(r.plan->resume_mode, RESUME_IN_JOB);
	assert_string_equal(r.plan->resume_on[0], "TIMEOUT");
	assert_null(r.plan->resume_on[1]);
	assert_int_equal(r.plan->max_attempts, 3);
	eval_done(&r);
	eval_ok(EVAL_BASE, "{'execution': {'auto_resume': {'mode': false}, 'evaluation_gpu_visible': '0,1'}}", &r);
	assert_int_equal(r.plan->resume_mode, RESUME_OFF);
	assert_string_equal(r.plan->jobs[0].gpu_visible, "0,1");
	eval_done(&r);
	eval_ok(EVAL_BASE, "{'execution': {'evaluation_gpu_visible': 0}}", &r);
	assert_null(r.plan->jobs[0].gpu_visible);
	assert_non_null(eval_find(&r.warnings, "/execution/evaluation_gpu_visible", "write \"0\""));
	eval_done(&r);
}

static const char *const odd_values[] = {
    "null",       "true", "0",          "-1",           "1.5",
    "''",         "'x'",  "'/x'",       "[]",           "['x']",
    "[[]]",       "{}",   "{'x': 'y'}", "{'/x': null}", "'auxiliary_deployments.judge.x'",
    "'a\\u0001b'"};

/* Puts value into every place of node in turn and plans the whole config each time. */
static void try_everywhere(json_t *config, json_t *node, json_t *value, int *tried)
{
	const char *key;
	json_t *member;
	void *next;
	json_object_foreach_safe(node, next, key, member) {
		CLEANUP(json_freep) json_t *kept = json_incref(member);
		CLEANUP(mem_freep) char *name = mem_strdup(key);
		try_everywhere(config, kept, value, tried);
		json_object_set(node, name, value);
		CLEANUP(mem_freep) char *text = json_dumps(config, 0);
		struct eval_input in = eval_input_of(text, true);
		struct eval_result r;
		eval_run_input(&in, &r);
		assert_true(r.status == 0 ? r.errors.count == 0 && r.plan != NULL : r.errors.count > 0);
		if (r.status == 0) {
			struct eval_plan *again = NULL;
			if (eval_config_replan(r.plan->resolved, &again, &r.err) < 0)
				eval_fail(text, &r);
			eval_plan_free(again);
		}
		eval_done(&r);
		json_object_set(node, name, kept);
		(*tried)++;
	}
	for (size_t i = 0; i < json_array_size(node); i++)
		try_everywhere(config, json_array_get(node, i), value, tried);
}

static void test_eval_config_plan_odd_values_anywhere_are_planned_or_refused(void **state)
{
	(void)state;
	static const char more[] =
	    "{'env_vars': {'A': 'lit:1'}, 'export': {'mlflow': {'x': 1}, 'env_vars': {}}, 'execution': {'gres': "
	    "'gpu:8',"
	    " 'gpus_per_node': 8, 'walltime': '1', 'max_walltime': '1', 'sbatch_extra_flags': {'x': 1}, "
	    "'sbatch_comment': 'c',"
	    " 'deployment': {'n_tasks': 2}, 'mpi': 'pmix', 'proxy': {'type': 'haproxy', 'image': 'i', 'config': "
	    "{'haproxy_port': 1}}, 'auto_resume': {'mode': 'off', 'on': []}, 'auto_export': {'destinations': "
	    "['local'], "
	    "'export_mounts': {'/a': '/b'}}, 'mounts': {'deployment': {'/a': '/b'}, 'auxiliary': {'judge': {'/a': "
	    "'/b'}}}},"
	    " 'deployment': {'endpoints': {'completions': '/c', 'health': '/h'}, 'command': 'x'}, 'evaluation': {"
	    "'nemo_evaluator_config': {'config': {'params': {'u': 'auxiliary_deployments.judge.chat_url'}}}, 'tasks': ["
	    "{'name': 'hellaswag', 'container': 'c:1', 'endpoint_type': 'completions', 'dataset_dir': '/d', 'pre_cmd': "
	    "'p',"
	    " 'nemo_evaluator_config': {'target': {'api_endpoint': {}}}}]}}";
	int tried = 0;
	CLEANUP(json_freep) json_t *config = eval_json(EVAL_JUDGE);
	CLEANUP(json_freep) json_t *patch = eval_json(more);
	eval_patch(config, patch);
	for (size_t i = 0; i < sizeof odd_values / sizeof odd_values[0]; i++) {
		CLEANUP(json_freep) json_t *value = eval_json(odd_values[i]);
		try_everywhere(config, config, value, &tried);
	}
	assert_true(tried > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_eval_config_plan_each_mistake_is_an_error_at_its_key),
	    cmocka_unit_test(test_eval_config_plan_idle_limit_is_a_walltime),
	    cmocka_unit_test(test_eval_config_plan_share_deployment_is_read_from_booleans_and_numbers),
	    cmocka_unit_test(test_eval_config_plan_one_mistake_gives_one_message),
	    cmocka_unit_test(test_eval_config_plan_long_names_are_refused),
	    cmocka_unit_test(test_eval_config_plan_strict_makes_unknown_keys_errors),
	    cmocka_unit_test(test_eval_config_plan_times_are_in_seconds),
	    cmocka_unit_test(test_eval_config_plan_topologies_that_divide_are_fine),
	    cmocka_unit_test(test_eval_config_plan_falsy_gres_is_left_out),
	    cmocka_unit_test(test_eval_config_plan_what_is_taken_out_of_the_group_stays_out),
	    cmocka_unit_test(test_eval_config_plan_extra_flags_keep_order_and_falsy_values),
	    cmocka_unit_test(test_eval_config_plan_execution_keys_reach_the_plan),
	    cmocka_unit_test(test_eval_config_plan_odd_values_anywhere_are_planned_or_refused),
	};
	return cmocka_run_group_tests(tests, eval_setup, eval_teardown);
}
