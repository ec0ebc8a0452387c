#include "config/plan/checkpoints.h"

#include "base/str.h"
#include "config/plan/evaluator_config.h"

static bool add_of(const json_t *config, json_t *paths)
{
	const char *path = json_string_value(json_object_get(config, "checkpoint_path"));
	if (path == NULL || path[0] != '/' || str_has_control(path))
		return false;
	json_array_append_new(paths, json_string(path));
	return true;
}

/* Does it ask a server that is not the deployment? */
static bool asks_elsewhere(const struct plan_job *job)
{
	const json_t *endpoint = json_object_get(json_object_get(job->evaluator_config, "target"), "api_endpoint");
	const char *url = json_string_value(json_object_get(endpoint, "url"));
	return url == NULL || !str_starts_with(url, EVALUATOR_CONFIG_HERE);
}

static json_t *unknown(json_t *paths, const char *pointer, const char *why, const char **ret_pointer,
		       const char **ret_why)
{
	json_decref(paths);
	*ret_pointer = pointer;
	*ret_why = why;
	return NULL;
}

json_t *plan_checkpoints(const struct eval_plan *plan, const char **ret_pointer, const char **ret_why)
{
	json_t *paths = json_array();
	const json_t *judges = json_object_get(plan->resolved, "auxiliary_deployments");
	if (plan->deployment == NULL)
		return unknown(paths, "/deployment", "what is behind a URL cannot be known", ret_pointer, ret_why);
	if (!add_of(json_object_get(plan->resolved, "deployment"), paths))
		return unknown(paths, "/deployment/checkpoint_path",
			       "the model is not known by files of the cluster: the deployment has no checkpoint_path",
			       ret_pointer, ret_why);
	for (size_t i = 0; i < plan->auxiliary_count; i++)
		if (!add_of(json_object_get(judges, plan->auxiliaries[i].name), paths))
			return unknown(paths, "/auxiliary_deployments",
				       "the model of an auxiliary deployment is not known by files of the cluster: it "
				       "has no checkpoint_path",
				       ret_pointer, ret_why);
	for (size_t i = 0; i < plan->job_count; i++)
		if (asks_elsewhere(&plan->jobs[i]))
			return unknown(
			    paths, "/evaluation/tasks",
			    "a task asks another server than the deployment, and what is behind a URL cannot "
			    "be known",
			    ret_pointer, ret_why);
	return paths;
}
