/* config/plan/plan_convert.c: what of a config its conversion keeps, what it asks for itself, and what is no
 * conversion. */
#include "config/plan/plan_convert.h"
#include "eval_fixture.h"

#define CHECKPOINT "/ckpt/step_7"

/* convert: JSON with ' for ". */
static void run(const char *base, const char *patch, const char *convert, struct eval_result *ret)
{
	CLEANUP(json_freep) json_t *fields = eval_json(convert);
	const struct reader reader = {.errors = &ret->errors};
	*ret = (struct eval_result){0};
	plan_convert_check(&reader, fields);
	if (ret->errors.count > 0) {
		ret->status = -1;
		return;
	}
	struct eval_input in = eval_input_of("", true);
	in.convert = fields;
	in.checkpoint = CHECKPOINT;
	eval_run(base, patch, &in, ret);
}

static const char *variable(const struct eval_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->jobs[0].env.count; i++)
		if (strcmp(plan->jobs[0].env.vars[i].name, name) == 0)
			return plan->jobs[0].env.vars[i].value;
	return NULL;
}

static void assert_conversion(const struct eval_plan *plan)
{
	assert_int_equal(plan->job_count, 1);
	assert_null(plan->deployment);
	assert_null(plan->export_);
	assert_int_equal(plan->auxiliary_count, 0);
	assert_int_equal(plan->total_nodes, 1);
	assert_string_equal(plan->conversion, "hf");
	assert_string_equal(plan->model, "org/model");
	assert_string_equal(plan->account, "acct");
	assert_string_equal(plan->partition, "gpu");
	assert_string_equal(plan->output_dir, "/out");
	const struct plan_job *job = &plan->jobs[0];
	assert_string_equal(job->task, "convert");
	assert_string_equal(job->container, "img:1");
	assert_string_equal(job->pre_cmd, "a ${b}\nc");
	assert_string_equal(variable(plan, "NEL_CHECKPOINT"), "/checkpoint");
	assert_string_equal(variable(plan, "NEL_CONVERTED"), "/results/converted.new");
	assert_string_equal(variable(plan, "OF_ALL"), "x");
	assert_string_equal(variable(plan, "OWN"), "y");
	assert_int_equal(job->mounts.count, 2);
	assert_string_equal(job->mounts.items[0].source, "/tools");
	assert_string_equal(job->mounts.items[1].source, CHECKPOINT);
	assert_string_equal(job->mounts.items[1].flags, "ro");
}

static void test_plan_of_a_conversion_keeps_the_place_and_none_of_the_servers(void **state)
{
	struct eval_result r;
	(void)state;
	run(EVAL_BASE,
	    "{'env_vars': {'OF_ALL': 'lit:x'}, 'execution': {'num_nodes': 4, 'share_deployment': true,"
	    " 'mounts': {'evaluation': {'/data': '/data'}}, 'walltime': '02:00:00'}, 'deployment': {'env_vars': {'S': "
	    "'lit:s'}}}",
	    "{'image': 'img:1', 'command': 'a ${b}\\r\\nc', 'output': 'hf', 'mounts': {'/tools': '/tools'},"
	    " 'env_vars': {'OWN': 'lit:y'}, 'cpus': 3, 'sbatch_extra_flags': {'exclusive': false}}",
	    &r);
	assert_int_equal(r.status, 0);
	assert_conversion(r.plan);
	assert_null(r.plan->gres);
	assert_null(r.plan->gpus_per_node);
	assert_null(r.plan->jobs[0].gpu_visible);
	assert_int_equal(r.plan->walltime_s, 7200);
	assert_int_equal(r.plan->sbatch_flag_count, 1);
	assert_string_equal(r.plan->sbatch_flags[0].name, "cpus-per-task");
	assert_string_equal(r.plan->sbatch_flags[0].value, "3");
	/* From what the store has of it. */
	CLEANUP(eval_plan_freep) struct eval_plan *again = NULL;
	assert_int_equal(eval_config_replan(r.plan->resolved, &again, &r.err), 0);
	assert_conversion(again);
	eval_done(&r);
}

static void test_plan_of_a_conversion_takes_what_it_asks_for(void **state)
{
	static const struct {
		const char *fields;
		const char *gpus;
		const char *gres;
	} cases[] = {{"'gpus': 2", "2", NULL}, {"'gres': 'gpu:a100:1'", NULL, "gpu:a100:1"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		CLEANUP(mem_freep)
		char *convert =
		    mem_printf("{'image': 'i', 'command': 'c', 'walltime': '00:05:00', 'max_walltime': '00:10:00',"
			       " 'partition': 'p', 'account': 'a', 'auto_resume': {'mode': 'off'}, %s}",
			       cases[i].fields);
		run(EVAL_NONE, NULL, convert, &r);
		assert_int_equal(r.status, 0);
		assert_string_equal(r.plan->model, "m/x");
		assert_string_equal(r.plan->conversion, "");
		assert_string_equal(r.plan->partition, "p");
		assert_string_equal(r.plan->account, "a");
		assert_int_equal(r.plan->walltime_s, 300);
		assert_int_equal(r.plan->max_walltime_s, 600);
		assert_int_equal(r.plan->resume_mode, RESUME_OFF);
		assert_string_equal(r.plan->jobs[0].gpu_visible, "all");
		assert_true((r.plan->gpus_per_node == NULL) == (cases[i].gpus == NULL));
		if (cases[i].gpus != NULL)
			assert_string_equal(r.plan->gpus_per_node, cases[i].gpus);
		else
			assert_string_equal(r.plan->gres, cases[i].gres);
		eval_done(&r);
	}
}

static void test_what_is_no_conversion_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *fields;
		const char *pointer;
	} cases[] = {
	    {"{'command': 'c'}", "/convert/image"},
	    {"{'image': 'i'}", "/convert/command"},
	    {"{'image': 'i', 'command': 'c', 'gpu': 1}", "/convert/gpu"},
	    {"{'image': 'i', 'command': 'c', 'gpus': '1'}", "/convert/gpus"},
	    {"{'image': 'i', 'command': 'c', 'gpus': -1}", "/convert/gpus"},
	    {"{'image': 'i', 'command': 'c', 'gpus': 1, 'gres': 'gpu:1'}", "/convert/gres"},
	    {"{'image': 'i', 'command': 'c', 'cpus': 0}", "/convert/cpus"},
	    {"{'image': 'i', 'command': 'c', 'output': ''}", "/convert/output"},
	    {"{'image': 'i', 'command': 'c', 'output': '/x'}", "/convert/output"},
	    {"{'image': 'i', 'command': 'c', 'output': 'x/../y'}", "/convert/output"},
	    {"{'image': 'i', 'command': 'c', 'output': 'x/'}", "/convert/output"},
	    {"{'image': 'i', 'command': 'c', 'output': 'x//y'}", "/convert/output"},
	    {"{'image': 'i', 'command': 'c', 'output': '.'}", "/convert/output"},
	    {"{'image': 'i', 'command': 'c', 'output': 'a b'}", "/convert/output"},
	    {"{'image': 'i', 'command': 'c', 'output': 3}", "/convert/output"},
	    {"{'image': 'i', 'command': 'c', 'env_vars': []}", "/convert/env_vars"},
	    {"{'image': 'i', 'command': 'c', 'env_vars': {'NEL_CONVERTED': 'lit:x'}}", "/convert/env_vars"},
	    {"{'image': 'i', 'command': 'c', 'env_vars': {'X': 'y'}}", "/convert/env_vars/X"},
	    {"{'image': 'i', 'command': 'c', 'walltime': 'soon'}", "/execution/walltime"},
	    {"{'image': 'i', 'command': 'c', 'mounts': {'relative': '/x'}}", "/execution/mounts/evaluation/relative"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct eval_result r;
		run(EVAL_BASE, NULL, cases[i].fields, &r);
		if (r.status == 0 || r.errors.count != 1 || strcmp(r.errors.items[0].pointer, cases[i].pointer) != 0)
			fail_msg("%s: %zu: %s", cases[i].fields, r.errors.count,
				 r.errors.count > 0 ? r.errors.items[0].pointer : "");
		eval_done(&r);
	}
}

static void test_convert_in_a_config_is_an_error(void **state)
{
	struct eval_result r;
	(void)state;
	eval_run(EVAL_BASE, "{'convert': {'image': 'i', 'command': 'c'}}", NULL, &r);
	assert_int_equal(r.status, -1);
	assert_string_equal(r.errors.items[0].pointer, "/convert");
	assert_non_null(strstr(r.errors.items[0].message, "POST /v1/campaigns"));
	eval_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plan_of_a_conversion_keeps_the_place_and_none_of_the_servers),
	    cmocka_unit_test(test_plan_of_a_conversion_takes_what_it_asks_for),
	    cmocka_unit_test(test_what_is_no_conversion_is_refused_with_its_place),
	    cmocka_unit_test(test_convert_in_a_config_is_an_error),
	};
	return cmocka_run_group_tests(tests, eval_setup, eval_teardown);
}
