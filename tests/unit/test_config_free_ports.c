/* Which ports become references, and which are taken back: whole configs through the planner. */
#include "config/compose/free_ports.h"
#include "eval_fixture.h"

#define EXECUTION "execution: {hostname: h, account: a, output_dir: /out, "
#define TASKS "\nevaluation: {tasks: [{name: t, container: /t.sqsh}]}\n"
#define SHARED EXECUTION "sbatch_extra_flags: {exclusive: false}}" TASKS
#define REFERENCE "nel-port(deployment:8000)"

static struct eval_plan *plan_of(const char *deployment, const char *text, const char *const *overrides, size_t count)
{
	CLEANUP(mem_freep)
	char *whole =
	    mem_printf("defaults: [{execution: slurm/default}, {deployment: %s}, _self_]\n%s", deployment, text);
	struct eval_input in = eval_input_of(whole, false);
	in.overrides = overrides;
	in.override_count = count;
	in.allow_commands = true;
	in.allow_unlisted_tasks = true;
	struct eval_result r;
	eval_run_input(&in, &r);
	if (r.status != 0)
		fail_msg("%s", r.err.msg);
	struct eval_plan *plan = r.plan;
	r.plan = NULL;
	eval_done(&r);
	return plan;
}

static const char *url_of(const struct eval_plan *plan)
{
	const json_t *target = json_object_get(plan->jobs[0].evaluator_config, "target");
	return json_string_value(json_object_get(json_object_get(target, "api_endpoint"), "url"));
}

#define VLLM "deployment: {checkpoint_path: /m, served_model_name: m"

static void test_plan_on_shared_nodes_refers_to_a_port_wherever_it_stands(void **state)
{
	(void)state;
	CLEANUP(eval_plan_freep)
	struct eval_plan *plan = plan_of("vllm", VLLM "}\nenv_vars: {P: 'lit:${deployment.port}'}\n" SHARED, NULL, 0);
	assert_string_equal(plan->deployment->port_reference, REFERENCE);
	assert_non_null(strstr(plan->deployment->command, " --port " REFERENCE " "));
	assert_string_equal(plan->deployment->env.vars[0].value, REFERENCE);
	assert_string_equal(url_of(plan), "http://127.0.0.1:" REFERENCE "/v1/chat/completions");
	CLEANUP(eval_plan_freep) struct eval_plan *again = NULL;
	assert_int_equal(eval_config_replan(plan->resolved, &again, NULL), 0);
	assert_string_equal(again->deployment->port_reference, REFERENCE);
}

/* How often the text has the part. */
static int count_of(const char *text, const char *part)
{
	int count = 0;
	for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
		count++;
	return count;
}

static void test_plan_of_vllm_ray_refers_to_every_port_of_ray_that_is_the_groups(void **state)
{
	(void)state;
	static const char *const exclusive[] = {"execution.sbatch_extra_flags.exclusive=true"};
	static const struct {
		const char *text;
		const char *const *overrides;
		int references; /* of Ray's */
		const char *part;
	} cases[] = {
	    {VLLM "}\n" SHARED, NULL, 9, "ray_port=nel-port(deployment-ray-gcs:6379)\n"},
	    {VLLM "}\n" SHARED, NULL, 9, " --dashboard-port=nel-port(deployment-ray-dashboard:8265) "},
	    {VLLM "}\n" SHARED, exclusive, 0, "ray_port=6379\n"},
	    {VLLM ", ray_ports: {gcs: 7000}}\n" SHARED, NULL, 8, "ray_port=7000\n"},
	    {VLLM ", command: 'ray start --port 6379'}\n" SHARED, NULL, 0, "--port 6379"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(eval_plan_freep)
		struct eval_plan *plan =
		    plan_of("vllm_ray", cases[i].text, cases[i].overrides, cases[i].overrides != NULL);
		int references = 0;
		while (plan->deployment->ray_port_references[references] != NULL)
			references++;
		assert_int_equal(references, cases[i].references);
		assert_int_equal(count_of(plan->deployment->command, "nel-port(deployment-ray-"), references);
		assert_non_null(strstr(plan->deployment->command, cases[i].part));
	}
}

static void test_numbers_of_a_text_stand_in_place_of_references(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {{"", ""},
		     {"--port nel-port(deployment:8000) x", "--port 8000 x"},
		     {"nel-port(a:1)nel-port(b-ray-gcs:6379)", "16379"},
		     {"nel-port(", "nel-port("},
		     {"nel-port(a:0)", "nel-port(a:0)"},
		     {"nel-port(a:nel-port(b:2))", "nel-port(a:2)"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *got = free_ports_numbers(cases[i].text);
		assert_string_equal(got, cases[i].want);
	}
}

static void test_plan_with_a_port_of_its_own_or_exclusive_nodes_keeps_the_number(void **state)
{
	(void)state;
	static const char *const own[] = {"deployment.port=8000"};
	static const char *const exclusive[] = {"execution.sbatch_extra_flags.exclusive=true"};
	static const struct {
		const char *text;
		const char *const *overrides;
	} cases[] = {
	    {VLLM "}\n" SHARED, own},
	    {VLLM "}\n" SHARED, exclusive},
	    {VLLM ", port: 8000}\n" SHARED, NULL},
	    {VLLM "}\n" EXECUTION "}" TASKS, NULL},
	    {VLLM "}\nwhole: true\n" EXECUTION "sbatch_extra_flags: {exclusive: '${whole}'}}" TASKS, NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP(eval_plan_freep)
		struct eval_plan *plan = plan_of("vllm", cases[i].text, cases[i].overrides, cases[i].overrides != NULL);
		assert_null(plan->deployment->port_reference);
		assert_int_equal(plan->deployment->port, 8000);
		assert_non_null(strstr(plan->deployment->command, " --port 8000 "));
		CLEANUP(mem_freep) char *resolved = json_dumps(plan->resolved, 0);
		assert_null(strstr(resolved, "nel-port("));
	}
}

static void test_plan_of_a_command_that_does_not_read_the_port_keeps_the_number(void **state)
{
	(void)state;
	CLEANUP(eval_plan_freep)
	struct eval_plan *plan =
	    plan_of("generic", "deployment: {image: i, served_model_name: m, command: serve 8000}\n" SHARED, NULL, 0);
	assert_null(plan->deployment->port_reference);
	assert_string_equal(url_of(plan), "http://127.0.0.1:8000/v1/chat/completions");
}

static void test_plan_of_a_nim_tells_it_the_port(void **state)
{
	(void)state;
	CLEANUP(eval_plan_freep)
	struct eval_plan *plan = plan_of("nim", "deployment: {image: i, served_model_name: m}\n" SHARED, NULL, 0);
	assert_string_equal(plan->deployment->port_reference, REFERENCE);
	assert_string_equal(plan->deployment->env.vars[0].name, "NIM_SERVER_PORT");
	assert_string_equal(plan->deployment->env.vars[0].value, REFERENCE);
}

static void test_plan_of_auxiliaries_refers_to_ports_of_groups_and_proxies(void **state)
{
	(void)state;
	static const char text[] =
	    "auxiliary_deployments:\n"
	    "  judge: {type: vllm, image: i, checkpoint_path: /m, served_model_name: m, num_nodes: 2, "
	    "num_instances: 2, port: 8001, endpoints: {chat: /c}}\n"
	    "target: {api_endpoint: {url: 'http://x/', model_id: m}}\n" SHARED;
	CLEANUP(eval_plan_freep) struct eval_plan *plan = plan_of("none", text, NULL, 0);
	assert_null(plan->auxiliaries[0].port_reference);
	assert_string_equal(plan->auxiliaries[0].proxy_port_reference, "nel-port(judge-proxy:5010)");
}

static void test_parse_takes_references_only(void **state)
{
	(void)state;
	static const char *const wrong[] = {"8000",           "nel-port()",        "nel-port(a)",
					    "nel-port(a:0)",  "nel-port(a:70000)", "nel-port(a b:1)",
					    "nel-port(a:1) ", "nel-port(a:1",      NULL};
	int number = 0;
	assert_true(free_ports_parse("nel-port(my_judge-2:8001)", &number));
	assert_int_equal(number, 8001);
	assert_false(free_ports_parse(NULL, &number));
	for (const char *const *text = wrong; *text != NULL; text++)
		assert_false(free_ports_parse(*text, &number));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plan_on_shared_nodes_refers_to_a_port_wherever_it_stands),
	    cmocka_unit_test(test_plan_of_vllm_ray_refers_to_every_port_of_ray_that_is_the_groups),
	    cmocka_unit_test(test_numbers_of_a_text_stand_in_place_of_references),
	    cmocka_unit_test(test_plan_with_a_port_of_its_own_or_exclusive_nodes_keeps_the_number),
	    cmocka_unit_test(test_plan_of_a_command_that_does_not_read_the_port_keeps_the_number),
	    cmocka_unit_test(test_plan_of_a_nim_tells_it_the_port),
	    cmocka_unit_test(test_plan_of_auxiliaries_refers_to_ports_of_groups_and_proxies),
	    cmocka_unit_test(test_parse_takes_references_only),
	};
	return cmocka_run_group_tests(tests, eval_setup, eval_teardown);
}
