/* A base config for the tests of config/eval_config, with merge patches, and assertions on what comes of it. Included
 * by the test programs that need it; owns nothing else. */
#ifndef TEST_EVAL_FIXTURE_H
#define TEST_EVAL_FIXTURE_H

#include "config/plan/eval_config.h"

#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* JSON with ' for ". */
#define EVAL_BASE \
	"{'defaults': [{'execution': 'slurm/default'}, {'deployment': 'vllm'}, '_self_']," \
	" 'execution': {'hostname': 'login', 'account': 'acct', 'output_dir': '/out', 'partition': 'gpu'}," \
	" 'deployment': {'checkpoint_path': '/models/m', 'served_model_name': 'org/model'}," \
	" 'evaluation': {'tasks': [{'name': 'hellaswag'}]}}"

#define EVAL_NONE \
	"{'defaults': [{'execution': 'slurm/default'}, {'deployment': 'none'}, '_self_']," \
	" 'execution': {'hostname': 'login', 'account': 'acct', 'output_dir': '/out', 'gres': null}," \
	" 'target': {'api_endpoint': {'url': 'https://x.example/v1/chat/completions', 'model_id': 'm/x'}}," \
	" 'evaluation': {'tasks': [{'name': 'hellaswag'}]}}"

/* A judge beside the model, from the vLLM group. */
#define EVAL_JUDGE \
	"{'defaults': [{'execution': 'slurm/default'}, {'deployment': 'vllm'}," \
	" 'deployment/vllm@auxiliary_deployments.judge', '_self_']," \
	" 'execution': {'hostname': 'login', 'account': 'acct', 'output_dir': '/out', 'num_nodes': 2}," \
	" 'deployment': {'checkpoint_path': '/models/m', 'served_model_name': 'org/model'}," \
	" 'auxiliary_deployments': {'judge': {'checkpoint_path': null, 'hf_model_handle': 'org/judge'," \
	"   'served_model_name': 'org/judge', 'port': 8001}}," \
	" 'evaluation': {'tasks': [{'name': 'hellaswag'}]}}"

struct eval_result {
	struct eval_plan *plan;
	struct problems errors;
	struct problems warnings;
	struct nel_err err;
	int status;
};

static struct catalogue *eval_catalogue;

static inline int eval_setup(void **state)
{
	(void)state;
	struct nel_err err = {0};
	return catalogue_load(NULL, &eval_catalogue, &err);
}

static inline int eval_teardown(void **state)
{
	(void)state;
	catalogue_free(eval_catalogue);
	return 0;
}

static inline json_t *eval_json(const char *text)
{
	CLEANUP(mem_freep) char *copy = mem_strdup(text);
	for (char *p = copy; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	json_error_t error;
	json_t *value = json_loads(copy, JSON_DECODE_ANY, &error);
	if (value == NULL)
		fail_msg("test data: %s in %s", error.text, copy);
	return value;
}

/* Mappings merge; everything else, null too, replaces. */
static inline void eval_patch(json_t *object, json_t *patch)
{
	const char *key;
	json_t *value;
	json_object_foreach(patch, key, value) {
		json_t *old = json_object_get(object, key);
		if (json_is_object(old) && json_is_object(value) && json_object_size(value) != 0)
			eval_patch(old, value);
		else
			json_object_set(object, key, value);
	}
}

static inline const char *eval_username(const char *hostname, const char *cluster, void *arg)
{
	(void)arg;
	if (cluster != NULL)
		return "by-cluster";
	return hostname != NULL && strcmp(hostname, "login") == 0 ? "svc" : NULL;
}

static inline struct eval_input eval_input_of(const char *text, bool json)
{
	return (struct eval_input){.text = text,
				   .size = strlen(text),
				   .json = json,
				   .catalogue = eval_catalogue,
				   .username_for = eval_username,
				   .now_s = 1800000000,
				   .allow_commands = true,
				   .allow_unlisted_tasks = true,
				   .need_hostname = true};
}

static inline void eval_run_input(const struct eval_input *in, struct eval_result *ret)
{
	*ret = (struct eval_result){0};
	ret->status = eval_config_plan(in, &ret->plan, NULL, &ret->errors, &ret->warnings, &ret->err);
}

/* Plans base with patch (or NULL) merged in; `in` (or NULL) lends the switches. */
static inline void eval_run(const char *base, const char *patch, const struct eval_input *in, struct eval_result *ret)
{
	CLEANUP(json_freep) json_t *config = eval_json(base);
	if (patch != NULL) {
		CLEANUP(json_freep) json_t *changes = eval_json(patch);
		eval_patch(config, changes);
	}
	CLEANUP(mem_freep) char *text = json_dumps(config, JSON_INDENT(1));
	struct eval_input all = in == NULL ? eval_input_of(text, true) : *in;
	all.text = text;
	all.size = strlen(text);
	all.json = true;
	eval_run_input(&all, ret);
}

static inline void eval_done(struct eval_result *r)
{
	eval_plan_free(r->plan);
	problems_done(&r->errors);
	problems_done(&r->warnings);
}

static inline const struct problem *eval_find(const struct problems *list, const char *pointer, const char *message)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].pointer, pointer) == 0 && strstr(list->items[i].message, message) != NULL)
			return &list->items[i];
	return NULL;
}

static inline void eval_fail(const char *what, const struct eval_result *r)
{
	struct str s = {0};
	for (size_t i = 0; i < r->errors.count; i++)
		str_appendf(&s, "\n  error %s: %s", r->errors.items[i].pointer, r->errors.items[i].message);
	for (size_t i = 0; i < r->warnings.count; i++)
		str_appendf(&s, "\n  warning %s: %s", r->warnings.items[i].pointer, r->warnings.items[i].message);
	fail_msg("%s: %s%s", what, r->err.msg, str_text(&s));
}

static inline void eval_ok(const char *base, const char *patch, struct eval_result *ret)
{
	eval_run(base, patch, NULL, ret);
	if (ret->status != 0)
		eval_fail(patch == NULL ? "base" : patch, ret);
}

/* The text at a JSON pointer, "(none)" when there is none there. */
static inline const char *eval_text(const json_t *value, const char *pointer)
{
	while (value != NULL && *pointer == '/') {
		size_t size = strcspn(pointer + 1, "/");
		CLEANUP(mem_freep) char *key = mem_strndup(pointer + 1, size);
		value =
		    json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10)) : json_object_get(value, key);
		pointer += 1 + size;
	}
	return json_is_string(value) ? json_string_value(value) : "(none)";
}

#endif
