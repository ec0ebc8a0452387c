/* Composition: the defaults list in all its forms, site groups, group overrides, the shipped groups. The expected
 * results are those of Hydra 1.3, but where config/compose/compose.h says otherwise. */
#include "config/compose/compose.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/compose/defaults_entry.h"
#include "config/compose/interpolate.h"
#include "config/text/yaml_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SLURM "defaults: [execution: slurm/default, "
#define OVERRIDES_MAX_HERE 4

static char groups_dir[] = "/tmp/nel-test-groups-XXXXXX";

static const struct {
	const char *path;
	const char *text;
} site_files[] = {
    {"deployment/site.yaml", "type: generic\nport: 9000\nself: ${deployment.port}\n"},
    {"deployment/nim.yaml", "type: nim\nshadow: true\n"},
    {"deployment/based.yaml", "defaults:\n  - vllm\n  - _self_\nport: 9999\nown: ${deployment.port}\n"},
    {"deployment/early.yaml", "defaults:\n  - _self_\n  - vllm\nport: 9999\n"},
    {"deployment/late.yaml", "defaults: [vllm]\nport: 9999\n"},
    {"deployment/broken.yaml", "a: [1\n"},
    {"deployment/list.yaml", "- a\n"},
    {"deployment/circle.yaml", "defaults: [circle]\n"},
    {"deployment/headed.yaml", "# about it\n\n# @package deployment.extra\nx: 1\n"},
    {"execution/alpha.yaml", "type: slurm\nhostname: alpha\n"},
    {"execution/other.yaml", "type: lepton\n"},
    {"preset/judge.yaml", "# @package _global_\ndefaults:\n  - override /deployment: sglang\n  - "
			  "/deployment/nim@auxiliary_deployments.judge\n"
			  "extra: 5\n"},
    {"preset/plain.yaml", "x: 1\n"},
    {"preset/nested.yaml", "defaults: [/deployment: none]\nx: 1\n"},
    {"top.yaml", "from_top: 1\ndeployment: {port: 1}\n"},
};

static int make_groups(void **state)
{
	(void)state;
	if (mkdtemp(groups_dir) == NULL)
		return -1;
	static const char *const folders[] = {"deployment", "execution", "preset"};
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		CLEANUP(mem_freep) char *path = mem_printf("%s/%s", groups_dir, folders[i]);
		if (mkdir(path, 0700) != 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof site_files / sizeof site_files[0]; i++) {
		CLEANUP(mem_freep) char *path = mem_printf("%s/%s", groups_dir, site_files[i].path);
		CLEANUP(file_closep) FILE *file = fopen(path, "w");
		if (file == NULL || fputs(site_files[i].text, file) == EOF)
			return -1;
	}
	return 0;
}

static int remove_groups(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof site_files / sizeof site_files[0]; i++) {
		CLEANUP(mem_freep) char *path = mem_printf("%s/%s", groups_dir, site_files[i].path);
		unlink(path);
	}
	static const char *const folders[] = {"/deployment", "/execution", "/preset", ""};
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		CLEANUP(mem_freep) char *path = mem_printf("%s%s", groups_dir, folders[i]);
		rmdir(path);
	}
	return 0;
}

static int run(const char *text, const char *const *overrides, const char *dir, json_t **ret_config,
	       struct problems *problems, struct nel_err *err)
{
	CLEANUP(json_freep) json_t *submitted = NULL;
	CLEANUP(source_map_freep) struct source_map *map = NULL;
	if (yaml_json_parse(text, strlen(text), false, &submitted, &map, problems, err) != 0)
		fail_msg("%s: %s", text, err->msg);
	struct compose_input in = {submitted, map, overrides, 0, dir, false};
	while (overrides != NULL && overrides[in.override_count] != NULL)
		in.override_count++;
	int rc = compose(&in, ret_config, problems, err);
	if (rc != 0 || problems->count == 0)
		return rc;
	json_decref(TAKE(*ret_config)); /* of the overrides that could be applied */
	return err_set(err, NEL_INVALID, "%s", problems->items[0].message);
}

/* The value at a dotted key, or NULL. */
static const json_t *at(const json_t *value, const char *key)
{
	while (*key != '\0' && value != NULL) {
		CLEANUP(mem_freep) char *part = mem_strndup(key, strcspn(key, "."));
		value = json_object_get(value, part);
		key += strlen(part);
		key += *key == '.';
	}
	return value;
}

struct composed {
	const char *yaml;
	const char *overrides[OVERRIDES_MAX_HERE];
	const char *key;
	const char *json; /* NULL: the key is not there */
};

static void check_composed(const struct composed *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CLEANUP(problems_done) struct problems problems = {0};
		CLEANUP(json_freep) json_t *config = NULL;
		struct nel_err err = {0};
		if (run(cases[i].yaml, cases[i].overrides, groups_dir, &config, &problems, &err) != 0)
			fail_msg("%s: %s", cases[i].yaml, err.msg);
		CLEANUP(json_freep)
		json_t *want = cases[i].json == NULL ? NULL : json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
		const json_t *got = at(config, cases[i].key);
		assert_null(json_object_get(config, "defaults"));
		if (want == NULL ? got != NULL : !json_equal(got, want))
			fail_msg("%s: %s", cases[i].yaml, cases[i].key);
	}
}

static void test_compose_forms_of_defaults_are_understood(void **state)
{
	(void)state;
	static const struct composed cases[] = {
	    {SLURM "_self_]", {NULL}, "deployment", NULL},
	    {SLURM "_self_]", {NULL}, "execution.partition", "\"batch\""},
	    {SLURM "deployment: vllm, _self_]", {NULL}, "deployment.type", "\"vllm\""},
	    {SLURM "deployment/vllm, _self_]", {NULL}, "deployment.type", "\"vllm\""},
	    {SLURM "/deployment: vllm]", {NULL}, "deployment.type", "\"vllm\""},
	    {SLURM "/deployment/vllm]", {NULL}, "deployment.type", "\"vllm\""},
	    {SLURM "deployment: vllm.yaml]", {NULL}, "deployment.type", "\"vllm\""},
	    {SLURM "deployment: [vllm]]", {NULL}, "deployment.type", "\"vllm\""},
	    {SLURM "deployment: [vllm, sglang]]", {NULL}, "deployment.type", "\"sglang\""},
	    {SLURM "deployment: [vllm, sglang]]", {NULL}, "deployment.gpu_memory_utilization", "0.95"},
	    {SLURM "deployment: [vllm, vllm_ray]]",
	     {NULL},
	     "deployment.env_vars.VLLM_USE_RAY_COMPILED_DAG_CHANNEL_TYPE",
	     "\"lit:shm\""},
	    {SLURM "deployment: null]", {NULL}, "deployment", NULL},
	    {SLURM "optional deployment: nothing]", {NULL}, "deployment", NULL},
	    {SLURM "optional deployment: vllm]", {NULL}, "deployment.type", "\"vllm\""},
	    {SLURM "deployment: vllm, override deployment: sglang]", {NULL}, "deployment.type", "\"sglang\""},
	    {SLURM "deployment: vllm, override /deployment: sglang]", {NULL}, "deployment.type", "\"sglang\""},
	    {SLURM "deployment: vllm, override hydra/job_logging: none]", {NULL}, "deployment.type", "\"vllm\""},
	    {SLURM "_self_]\nhydra: {run: {dir: x}}", {NULL}, "hydra", NULL},
	    {SLURM "deployment/nim@auxiliary_deployments.judge]",
	     {NULL},
	     "auxiliary_deployments.judge.type",
	     "\"nim\""},
	    {SLURM "deployment@auxiliary_deployments.judge: nim]",
	     {NULL},
	     "auxiliary_deployments.judge.type",
	     "\"nim\""},
	    {SLURM "deployment/nim@auxiliary_deployments.judge]", {NULL}, "deployment", NULL},
	    {SLURM "deployment@_global_: nim]", {NULL}, "type", "\"nim\""},
	    {SLURM "deployment@_global_.a.b: nim]", {NULL}, "a.b.type", "\"nim\""},
	    {SLURM "top]", {NULL}, "from_top", "1"},
	    {SLURM "deployment: headed]", {NULL}, "deployment.extra.x", "1"},
	    {SLURM "preset: plain]", {NULL}, "preset.x", "1"},
	    {SLURM "preset: nested]", {NULL}, "preset.deployment.type", "\"none\""},
	    /* A complete config, as the launcher writes them to run them again: nothing is added to it. */
	    {"execution: {type: slurm, partition: p}",
	     {NULL},
	     "execution",
	     "{\"type\": \"slurm\", \"partition\": \"p\"}"},
	    {"execution: {type: slurm, partition: p}", {NULL}, "deployment", NULL},
	    {"execution: {type: slurm, gres: x}", {"execution.gres=null", NULL}, "execution.gres", "null"},
	    {"execution: {type: slurm, gres: x}", {"~execution.gres", NULL}, "execution", "{\"type\": \"slurm\"}"},
	    {SLURM "_self_]", {"~execution.gres", NULL}, "execution.gres", NULL},
	    {SLURM "_self_]", {"~execution.sbatch_extra_flags", NULL}, "execution.sbatch_extra_flags", NULL},
	};
	check_composed(cases, sizeof cases / sizeof cases[0]);
}

static void test_compose_later_configs_win(void **state)
{
	(void)state;
	static const struct composed cases[] = {
	    {SLURM "deployment: vllm, _self_]\ndeployment: {port: 1}", {NULL}, "deployment.port", "1"},
	    {SLURM "deployment: vllm]\ndeployment: {port: 1}", {NULL}, "deployment.port", "1"},
	    {SLURM "_self_, deployment: vllm]\ndeployment: {port: 1, mine: 2}", {NULL}, "deployment.port", "8000"},
	    {SLURM "_self_, deployment: vllm]\ndeployment: {port: 1, mine: 2}", {NULL}, "deployment.mine", "2"},
	    {SLURM "deployment: based]", {NULL}, "deployment.port", "9999"},
	    {SLURM "deployment: late]", {NULL}, "deployment.port", "9999"},
	    {SLURM "deployment: early]", {NULL}, "deployment.port", "8000"},
	    {SLURM "deployment: based]", {NULL}, "deployment.type", "\"vllm\""},
	    {SLURM "deployment: vllm]\ndeployment: {endpoints: {chat: /x}}",
	     {NULL},
	     "deployment.endpoints.health",
	     "\"/health\""},
	    {SLURM "deployment: vllm]\ndeployment: {endpoints: null}", {NULL}, "deployment.endpoints", "null"},
	    {SLURM "_self_]\nexecution: {auto_resume: {'on': [TIMEOUT]}}",
	     {NULL},
	     "execution.auto_resume.on",
	     "[\"TIMEOUT\"]"},
	    {SLURM "_self_]\nexecution:\n  partition: ???\n  account: ???", {NULL}, "execution.partition", "\"batch\""},
	    {SLURM "_self_]\nexecution:\n  partition: ???\n  account: ???", {NULL}, "execution.account", "\"???\""},
	    {SLURM "_self_]\nexecution:\n  fresh: ???", {NULL}, "execution.fresh", "\"???\""},
	};
	check_composed(cases, sizeof cases / sizeof cases[0]);
}

static void test_compose_site_groups_shadow_and_extend(void **state)
{
	(void)state;
	static const struct composed cases[] = {
	    {SLURM "deployment: site]", {NULL}, "deployment.port", "9000"},
	    {SLURM "deployment: nim]", {NULL}, "deployment.shadow", "true"},
	    {SLURM "deployment: nim]", {NULL}, "deployment.image", NULL},
	    {"defaults: [execution: alpha]", {NULL}, "execution.hostname", "\"alpha\""},
	    {SLURM "deployment: vllm, preset: judge]", {NULL}, "deployment.type", "\"sglang\""},
	    {SLURM "deployment: vllm, preset: judge]", {NULL}, "auxiliary_deployments.judge.shadow", "true"},
	    {SLURM "deployment: vllm, preset: judge]", {NULL}, "extra", "5"},
	};
	check_composed(cases, sizeof cases / sizeof cases[0]);
}

static void test_compose_group_overrides_swap_choices(void **state)
{
	(void)state;
	static const struct composed cases[] = {
	    {SLURM "deployment: vllm]", {"deployment=sglang", NULL}, "deployment.type", "\"sglang\""},
	    {SLURM "deployment: vllm]", {"deployment=[vllm,sglang]", NULL}, "deployment.type", "\"sglang\""},
	    {SLURM "deployment: vllm]", {"deployment=null", NULL}, "deployment", NULL},
	    /* Of several the last counts. */
	    {SLURM "deployment: vllm]", {"deployment=sglang", "deployment=nim", NULL}, "deployment.type", "\"nim\""},
	    {SLURM "deployment: vllm]",
	     {"deployment=none", "deployment=sglang", NULL},
	     "deployment.type",
	     "\"sglang\""},
	    {SLURM "deployment: vllm]", {"deployment=sglang", "deployment=null", NULL}, "deployment", NULL},
	    /* The group's own package is none. */
	    {SLURM "deployment@deployment: vllm]", {"deployment=sglang", NULL}, "deployment.type", "\"sglang\""},
	    {SLURM "deployment: vllm]", {"deployment@deployment=sglang", NULL}, "deployment.type", "\"sglang\""},
	    {SLURM "deployment@deployment: vllm, override deployment: sglang]",
	     {NULL},
	     "deployment.type",
	     "\"sglang\""},
	    {SLURM "deployment: vllm]", {"~deployment", NULL}, "deployment", NULL},
	    {SLURM "deployment: vllm]", {"~deployment=vllm", NULL}, "deployment", NULL},
	    {SLURM "_self_]", {"+deployment=nim", NULL}, "deployment.type", "\"nim\""},
	    {SLURM "_self_]", {"+deployment@a.b=nim", NULL}, "a.b.type", "\"nim\""},
	    {SLURM "deployment@a.b: vllm]", {"deployment@a.b=nim", NULL}, "a.b.type", "\"nim\""},
	    {SLURM "deployment: vllm]", {"deployment={port: 7}", NULL}, "deployment.port", "7"},
	    {SLURM "deployment: vllm]", {"deployment=sglang", "deployment.port=7", NULL}, "deployment.port", "7"},
	    {SLURM "deployment: vllm, override deployment: trtllm]",
	     {"deployment=sglang", NULL},
	     "deployment.type",
	     "\"sglang\""},
	    {SLURM "deployment: '?"
		   "?"
		   "?']",
	     {"deployment=sglang", NULL},
	     "deployment.type",
	     "\"sglang\""},
	    {"a: 1", {"+execution=slurm/default", "+deployment=none", NULL}, "deployment.type", "\"none\""},
	    {SLURM "_self_]\nevaluation: {tasks: [{name: a}]}",
	     {"evaluation.tasks.b.name=c", "evaluation.tasks.0.name=b", NULL},
	     "evaluation.tasks",
	     "[{\"name\": \"c\"}]"},
	};
	check_composed(cases, sizeof cases / sizeof cases[0]);
}

static void test_compose_wrong_input_is_reported_with_place(void **state)
{
	(void)state;
	static const struct {
		const char *yaml;
		const char *overrides[OVERRIDES_MAX_HERE];
		const char *pointer;
		int line;
		int column;
		const char *says;
	} cases[] = {
	    {"a: 1", {NULL}, "/defaults", 1, 1, "Slurm only"},
	    {"a: 1", {NULL}, "/defaults", 1, 1, "`execution: slurm/default`"},
	    {"defaults:\n  - execution: local\n  - deployment: none", {NULL}, "/defaults/0", 2, 5, "Slurm only"},
	    {"defaults:\n  - execution: lepton/default", {NULL}, "/defaults/0", 2, 5, "`execution: slurm/default`"},
	    {"defaults: [execution/local]", {NULL}, "/defaults/0", 1, 12, "Slurm only"},
	    {"defaults: [execution: other]", {NULL}, "/execution/type", 1, 1, "type is lepton"},
	    {"defaults: [deployment: vllm]", {NULL}, "/defaults", 1, 1, "Slurm only"},
	    {"execution: {type: local}", {NULL}, "/execution/type", 1, 13, "type is local"},
	    {SLURM "_self_]\nexecution:\n  type: local", {NULL}, "/execution/type", 3, 3, "type is local"},
	    {SLURM "_self_]",
	     {"execution=local", NULL},
	     "/execution",
	     0,
	     0,
	     "override \"execution=local\": this service runs Slurm"},
	    {SLURM "execution: slurm/defualt]", {NULL}, "/defaults/1", 1, 38, "did you mean slurm/default?"},
	    {"defaults:\n- execution: slurm/default\n- deployment: vlm",
	     {NULL},
	     "/defaults/1",
	     3,
	     3,
	     "did you mean vllm? There are: "},
	    {SLURM "nothing]", {NULL}, "/defaults/1", 1, 38, "no config \"nothing\""},
	    {SLURM "deployment: ../../etc/passwd]", {NULL}, "/defaults/1", 1, 38, "not a name"},
	    {SLURM "deployment: '.hidden']", {NULL}, "/defaults/1", 1, 38, "not a name"},
	    {SLURM "deployment: '${x}']", {NULL}, "/defaults/1", 1, 38, "interpolation"},
	    {SLURM "deployment: 5]", {NULL}, "/defaults/1", 1, 38, "name of a group file"},
	    {SLURM "{deployment: vllm, x: y}]", {NULL}, "/defaults/1", 1, 38, "only"},
	    {SLURM "5]", {NULL}, "/defaults/1", 1, 38, "_self_"},
	    {SLURM "_self_, _self_]", {NULL}, "/defaults/2", 1, 46, "twice"},
	    {SLURM "'deployment': '?"
		   "?"
		   "?']",
	     {NULL},
	     "/defaults/1",
	     1,
	     38,
	     "must be chosen"},
	    {SLURM "override deployment: vllm]", {NULL}, "/defaults/1", 1, 38, "no deployment in `defaults`"},
	    {SLURM "deployment: vllm, deployment: vllm]", {NULL}, "/defaults/1", 1, 38, "more than once"},
	    {SLURM "deployment: vllm, deployment: nim]", {NULL}, "/defaults/1", 1, 38, "`override deployment: ...`"},
	    {SLURM "deployment: broken]", {NULL}, "/defaults/1", 1, 38, "deployment/broken.yaml: line 2"},
	    {SLURM "deployment: list]", {NULL}, "/defaults/1", 1, 38, "must hold a mapping"},
	    {SLURM "deployment: circle]", {NULL}, "", 0, 0, "too many configs"},
	    {"defaults: 5", {NULL}, "/defaults", 1, 1, "must be a list"},
	    {"[1]", {NULL}, "", 0, 0, "a mapping"},
	    {SLURM "_self_]", {"deployment=vllm", NULL}, "/deployment", 0, 0, "write +deployment=vllm"},
	    {SLURM "deployment: vllm]", {"+deployment=nim", NULL}, "/deployment", 0, 0, "write deployment=nim"},
	    {SLURM "deployment: vllm]",
	     {"deployment=vlm", NULL},
	     "/deployment",
	     0,
	     0,
	     "override \"deployment=vlm\": there is no"},
	    {SLURM "deployment: vllm]", {"deployment@x=nim", NULL}, "/deployment", 0, 0, "no deployment@x"},
	    {SLURM "deployment: vllm]",
	     {"deployment=nim", "~deployment", NULL},
	     "/deployment",
	     0,
	     0,
	     "chosen and deleted"},
	    {SLURM "deployment: vllm]",
	     {"~deployment=vllm", "deployment=nim", NULL},
	     "/deployment",
	     0,
	     0,
	     "chosen and deleted"},
	    {SLURM "deployment: vllm]", {"~deployment=nim", NULL}, "/deployment", 0, 0, "no such choice"},
	    {SLURM "deployment: vllm]", {"zzz@x=nim", NULL}, "/zzz", 0, 0, "no config group \"zzz\""},
	    {SLURM "deployment: vllm]",
	     {"deployment.prt=1", NULL},
	     "/deployment/prt",
	     0,
	     0,
	     "did you mean deployment.port?"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(problems_done) struct problems problems = {0};
		json_t *config = NULL;
		struct nel_err err = {0};
		if (run(cases[i].yaml, cases[i].overrides, groups_dir, &config, &problems, &err) != -1)
			fail_msg("accepted: %s", cases[i].yaml);
		assert_int_equal(err.kind, NEL_INVALID);
		assert_true(err.msg[0] != '\0');
		assert_null(config);
		assert_true(problems.count >= 1);
		const struct problem *p = &problems.items[0];
		if (strstr(p->message, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].yaml, p->message);
		if (strcmp(p->pointer, cases[i].pointer) != 0 || p->line != cases[i].line ||
		    p->column != cases[i].column)
			fail_msg("%s: %s at %d:%d", cases[i].yaml, p->pointer, p->line, p->column);
	}
}

static void test_compose_all_problems_are_reported(void **state)
{
	(void)state;
	static const char *const overrides[] = {"a.b=1", "c.d=2", NULL};
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(problems_done) struct problems lists = {0};
	json_t *config = NULL;
	struct nel_err err = {0};
	assert_int_equal(run(SLURM "_self_]", overrides, NULL, &config, &problems, &err), -1);
	assert_int_equal(problems.count, 2);
	assert_int_equal(run("defaults: [execution: local, deployment: vlm]", NULL, NULL, &config, &lists, &err), -1);
	assert_int_equal(lists.count, 2);
}

static void test_compose_submitted_config_is_left_as_it_was(void **state)
{
	(void)state;
	CLEANUP(json_freep)
	json_t *submitted =
	    json_pack("{s:[{s:s}], s:{s:s}}", "defaults", "execution", "slurm/default", "execution", "account", "a");
	CLEANUP(json_freep) json_t *before = json_deep_copy(submitted);
	CLEANUP(json_freep) json_t *config = NULL;
	CLEANUP(problems_done) struct problems problems = {0};
	struct nel_err err = {0};
	const char *override = "execution.account=b";
	struct compose_input in = {submitted, NULL, &override, 1, NULL, false};
	assert_int_equal(compose(&in, &config, &problems, &err), 0);
	assert_true(json_equal(submitted, before));
	assert_string_equal(json_string_value(at(config, "execution.account")), "b");
}

/* Composes and interpolates; the caller frees. */
static json_t *resolve(const char *text, const char *const *overrides)
{
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(json_freep) json_t *config = NULL;
	json_t *resolved = NULL;
	struct nel_err err = {0};
	struct interpolate_env env = {.username = "svc"};
	if (run(text, overrides, groups_dir, &config, &problems, &err) != 0 ||
	    interpolate(config, &env, NULL, &resolved, &problems, &err) != 0)
		fail_msg("%s: %s", text, err.msg);
	return resolved;
}

static void test_compose_documented_vllm_config_gives_its_command(void **state)
{
	(void)state;
	static const char text[] = "# specify default configs for execution and deployment\n"
				   "defaults:\n"
				   "  - execution: slurm/default\n"
				   "  - deployment: vllm\n"
				   "  - _self_\n"
				   "execution:\n"
				   "  hostname: ??? # the login host\n"
				   "  username: ${oc.env:USER}\n"
				   "  account: ???\n"
				   "  output_dir: /shared/results\n"
				   "  walltime: 02:00:00\n"
				   "  num_nodes: 2\n"
				   "deployment:\n"
				   "  checkpoint_path: null\n"
				   "  hf_model_handle: org/model\n"
				   "  served_model_name: model\n"
				   "  tensor_parallel_size: 1\n"
				   "  extra_args: \"--max-model-len 32768\"\n"
				   "evaluation:\n"
				   "  tasks:\n"
				   "    - name: ifeval\n";
	CLEANUP(json_freep) json_t *config = resolve(text, NULL);
	static const struct {
		const char *key;
		const char *json;
	} cases[] = {
	    {"execution.hostname", "\"???\""},
	    {"execution.username", "\"svc\""},
	    {"execution.walltime", "\"02:00:00\""},
	    {"execution.max_walltime", "\"120:00:00\""},
	    {"execution.deployment.n_tasks", "2"},
	    {"execution.sbatch_extra_flags", "{\"exclusive\": true}"},
	    {"execution.proxy.config.haproxy_port", "5009"},
	    {"deployment.image", "\"vllm/vllm-openai:latest\""},
	    {"deployment.command", "\"vllm serve org/model --tensor-parallel-size=1 --pipeline-parallel-size=1 "
				   "--data-parallel-size=1 --port 8000 --trust-remote-code --served-model-name model "
				   "--gpu-memory-utilization 0.95 --max-model-len 32768\""},
	    {"evaluation.tasks", "[{\"name\": \"ifeval\"}]"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(json_freep) json_t *want = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
		if (!json_equal(at(config, cases[i].key), want))
			fail_msg("%s", cases[i].key);
	}
}

static void test_compose_relocated_group_keeps_its_references(void **state)
{
	(void)state;
	static const char *const places[] = {"deployment/vllm@auxiliary_deployments.judge",
					     "deployment/vllm_ray@auxiliary_deployments.judge",
					     "deployment@auxiliary_deployments.judge: vllm"};
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		CLEANUP(mem_freep)
		char *text =
		    mem_printf("defaults: [execution: slurm/default, deployment: vllm, %s, _self_]\n"
			       "deployment: {served_model_name: primary, hf_model_handle: org/primary}\n"
			       "auxiliary_deployments:\n"
			       "  judge: {served_model_name: grader, port: 8001, seen: '${deployment.port}'}\n",
			       places[i]);
		CLEANUP(json_freep) json_t *config = resolve(text, NULL);
		const char *judge = json_string_value(at(config, "auxiliary_deployments.judge.command"));
		const char *primary = json_string_value(at(config, "deployment.command"));
		assert_non_null(strstr(judge, "vllm serve /checkpoint "));
		assert_non_null(strstr(judge, "--port 8001 "));
		assert_non_null(strstr(judge, "--served-model-name grader "));
		assert_null(strstr(judge, "primary"));
		assert_non_null(strstr(primary, "vllm serve org/primary "));
		assert_non_null(strstr(primary, "--port 8000 "));
		/* what the submitted config itself refers to stays as written */
		assert_int_equal(json_integer_value(at(config, "auxiliary_deployments.judge.seen")), 8000);
	}
}

static void test_compose_vllm_ray_starts_ray_then_the_base_command(void **state)
{
	(void)state;
	CLEANUP(json_freep)
	json_t *config =
	    resolve(SLURM "deployment: vllm_ray]\ndeployment: {served_model_name: m, pipeline_parallel_size: 2}", NULL);
	const char *command = json_string_value(at(config, "deployment.command"));
	assert_non_null(strstr(command, "ray start --head --port=\"$ray_port\" $ray_ports --dashboard-port=8265 "
					"--ray-client-server-port=10001\n"));
	assert_non_null(strstr(command, "\nray_port=6379\n"));
	assert_non_null(strstr(command, "$(ray status"));
	assert_non_null(strstr(command, "--pipeline-parallel-size=2"));
	assert_non_null(strstr(command, " --distributed-executor-backend ray\n"));
	assert_null(strstr(command, "${"));
	assert_string_equal(json_string_value(at(config, "deployment.env_vars.VLLM_ENGINE_READY_TIMEOUT_S")),
			    "lit:3600");
	assert_string_equal(json_string_value(at(config, "deployment.env_vars.VLLM_USE_RAY_COMPILED_DAG_CHANNEL_TYPE")),
			    "lit:shm");
}

/* Every shipped group composes, and its command resolves. */
static void test_compose_shipped_groups_have_their_values(void **state)
{
	(void)state;
	static const struct {
		const char *type;
		const char *image;
		const char *command_starts;
		const char *health;
	} cases[] = {
	    {"none", NULL, NULL, NULL},
	    {"vllm", "vllm/vllm-openai:latest", "vllm serve /checkpoint ", "/health"},
	    {"vllm_ray", "vllm/vllm-openai:latest", "set -euo pipefail\n", "/health"},
	    {"sglang", "lmsysorg/sglang:latest",
	     "python3 -m sglang.launch_server --model-path /checkpoint --host 0.0.0.0 --port 8000 "
	     "--served-model-name ??? --tp-size 8 --dp-size 1 --pp-size 1",
	     "/health"},
	    {"trtllm", "nvcr.io/nvidia/tensorrt-llm/release:1.0.0",
	     "mpirun --allow-run-as-root --oversubscribe trtllm-serve serve /checkpoint --tp_size=8 --pp_size=1 "
	     "--host 0.0.0.0 --port 8000 --backend pytorch --trust_remote_code",
	     "/health"},
	    {"generic", "???", "???", "/health"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *text = mem_printf(SLURM "deployment: %s]", cases[i].type);
		CLEANUP(json_freep) json_t *config = resolve(text, NULL);
		if (cases[i].image == NULL) {
			assert_int_equal(json_object_size(at(config, "deployment")), 1);
			continue;
		}
		const char *command = json_string_value(at(config, "deployment.command"));
		assert_string_equal(json_string_value(at(config, "deployment.image")), cases[i].image);
		if (!str_starts_with(command, cases[i].command_starts))
			fail_msg("%s: %s", cases[i].type, command);
		assert_string_equal(json_string_value(at(config, "deployment.endpoints.health")), cases[i].health);
		assert_int_equal(json_integer_value(at(config, "deployment.port")), 8000);
	}
}

static void test_compose_shipped_nim_uses_its_entrypoint(void **state)
{
	(void)state;
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(json_freep) json_t *config = NULL;
	struct nel_err err = {0};
	assert_int_equal(run(SLURM "deployment: nim]", NULL, NULL, &config, &problems, &err), 0);
	assert_string_equal(json_string_value(at(config, "deployment.image")), "???");
	assert_string_equal(json_string_value(at(config, "deployment.command")),
			    "/opt/nvidia/nvidia_entrypoint.sh /opt/nim/start_server.sh");
	assert_string_equal(json_string_value(at(config, "deployment.endpoints.health")), "/v1/health/ready");
}

static void check_too_many(const char *open, const char *item, const char *close, const char *message)
{
	CLEANUP(str_done) struct str text = {0};
	CLEANUP(problems_done) struct problems problems = {0};
	CLEANUP(json_freep) json_t *config = NULL;
	struct nel_err err = {0};
	str_append(&text, open);
	for (int i = 0; i <= DEFAULTS_ENTRIES_MAX; i++)
		str_append(&text, item);
	str_append(&text, close);
	assert_int_equal(run(str_text(&text), NULL, groups_dir, &config, &problems, &err), -1);
	assert_non_null(strstr(err.msg, message));
}

static void test_compose_too_many_defaults_refused(void **state)
{
	(void)state;
	check_too_many("defaults: [", "{optional x: y}, ", "]\n", "`defaults` has more than 256 entries");
	check_too_many("defaults: [{optional x: [", "y, ", "]}]\n", "more than 256 options in one entry of `defaults`");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_compose_too_many_defaults_refused),
	    cmocka_unit_test(test_compose_forms_of_defaults_are_understood),
	    cmocka_unit_test(test_compose_later_configs_win),
	    cmocka_unit_test(test_compose_site_groups_shadow_and_extend),
	    cmocka_unit_test(test_compose_group_overrides_swap_choices),
	    cmocka_unit_test(test_compose_wrong_input_is_reported_with_place),
	    cmocka_unit_test(test_compose_all_problems_are_reported),
	    cmocka_unit_test(test_compose_submitted_config_is_left_as_it_was),
	    cmocka_unit_test(test_compose_documented_vllm_config_gives_its_command),
	    cmocka_unit_test(test_compose_relocated_group_keeps_its_references),
	    cmocka_unit_test(test_compose_vllm_ray_starts_ray_then_the_base_command),
	    cmocka_unit_test(test_compose_shipped_groups_have_their_values),
	    cmocka_unit_test(test_compose_shipped_nim_uses_its_entrypoint),
	};
	return cmocka_run_group_tests(tests, make_groups, remove_groups);
}
