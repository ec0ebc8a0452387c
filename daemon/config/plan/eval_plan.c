/* Owns the end of a plan, and what is looked up in one. */
#include "config/plan/eval_plan.h"

#include "base/mem.h"
#include "base/str_list.h"
#include "config/plan/gres.h"

#include <string.h>

void env_group_done(struct env_group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		free(group->vars[i].name);
		free(group->vars[i].value);
	}
	free(group->vars);
	*group = (struct env_group){0};
}

void mount_list_done(struct mount_list *mounts)
{
	for (size_t i = 0; i < mounts->count; i++) {
		free(mounts->items[i].source);
		free(mounts->items[i].target);
		free(mounts->items[i].flags);
	}
	free(mounts->items);
	*mounts = (struct mount_list){0};
}

static void server_done(struct server *s)
{
	free(s->name);
	free(s->type);
	free(s->image);
	free(s->command);
	free(s->pre_cmd);
	free(s->served_model_name);
	free(s->port_reference);
	str_list_free(s->ray_port_references);
	free(s->proxy_port_reference);
	free(s->health_path);
	free(s->proxy_health_path);
	free(s->env_prefix);
	for (size_t i = 0; i < s->endpoint_count; i++) {
		free(s->endpoints[i].name);
		free(s->endpoints[i].path);
	}
	free(s->endpoints);
	env_group_done(&s->env);
	mount_list_done(&s->mounts);
	*s = (struct server){0};
}

static void job_done(struct plan_job *job)
{
	free(job->task);
	free(job->file_name);
	free(job->container);
	free(job->endpoint_type);
	free(job->pre_cmd);
	free(job->post_cmd);
	free(job->gpu_visible);
	env_group_done(&job->env);
	mount_list_done(&job->mounts);
	json_decref(job->evaluator_config);
	*job = (struct plan_job){0};
}

static void export_free(struct plan_export *e)
{
	if (e == NULL)
		return;
	str_list_free(e->destinations);
	free(e->install_cmd);
	free(e->image);
	free(e->partition);
	env_group_done(&e->env);
	mount_list_done(&e->mounts);
	free(e);
}

void eval_plan_free(struct eval_plan *plan)
{
	if (plan == NULL)
		return;
	char *const texts[] = {plan->hostname,   plan->cluster,   plan->username, plan->account,
			       plan->output_dir, plan->partition, plan->gres,     plan->gpus_per_node,
			       plan->subproject, plan->comment,   plan->mpi,      plan->proxy_image,
			       plan->model,      plan->conversion};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		free(texts[i]);
	str_list_free(plan->open_clusters);
	str_list_free(plan->resume_on);
	for (size_t i = 0; i < plan->sbatch_flag_count; i++) {
		free(plan->sbatch_flags[i].name);
		free(plan->sbatch_flags[i].value);
	}
	free(plan->sbatch_flags);
	if (plan->deployment != NULL)
		server_done(plan->deployment);
	free(plan->deployment);
	for (size_t i = 0; i < plan->auxiliary_count; i++)
		server_done(&plan->auxiliaries[i]);
	free(plan->auxiliaries);
	for (size_t i = 0; i < plan->job_count; i++)
		job_done(&plan->jobs[i]);
	free(plan->jobs);
	export_free(plan->export_);
	json_decref(plan->resolved);
	free(plan);
}

const struct plan_job *eval_plan_job(const struct eval_plan *plan, int index)
{
	for (size_t i = 0; i < plan->job_count; i++)
		if (plan->jobs[i].index == index)
			return &plan->jobs[i];
	return NULL;
}

static int compare_names(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;
	return strcmp(*left, *right);
}

static void add_secrets(const struct env_group *group, char ***names, size_t *count)
{
	for (size_t i = 0; i < group->count; i++) {
		if (group->vars[i].source != ENV_HOST)
			continue;
		*names = mem_realloc(*names, *count + 2, sizeof **names);
		(*names)[(*count)++] = mem_strdup(group->vars[i].value);
	}
}

char **eval_plan_secret_names(const struct eval_plan *plan)
{
	char **names = mem_calloc(1, sizeof *names);
	size_t count = 0, kept = 0;
	if (plan->deployment != NULL)
		add_secrets(&plan->deployment->env, &names, &count);
	for (size_t i = 0; i < plan->auxiliary_count; i++)
		add_secrets(&plan->auxiliaries[i].env, &names, &count);
	for (size_t i = 0; i < plan->job_count; i++)
		add_secrets(&plan->jobs[i].env, &names, &count);
	if (plan->export_ != NULL)
		add_secrets(&plan->export_->env, &names, &count);
	qsort(names, count, sizeof *names, compare_names);
	for (size_t i = 0; i < count; i++) {
		if (kept > 0 && strcmp(names[kept - 1], names[i]) == 0)
			free(names[i]);
		else
			names[kept++] = names[i];
	}
	names[kept] = NULL;
	return names;
}

int64_t eval_plan_gpus_per_node(const struct eval_plan *plan)
{
	if (plan->gpus_per_node != NULL)
		return gres_gpus_per_node(plan->gpus_per_node);
	return plan->gres != NULL ? gres_gpus(plan->gres) : 0;
}

bool eval_plan_is_shared(const struct eval_plan *plan)
{
	return plan->share_at_once > 0 && plan->job_count > 1;
}

int64_t eval_plan_gpus(const struct eval_plan *plan)
{
	int64_t per_node = eval_plan_gpus_per_node(plan);
	return per_node > 0 ? per_node * plan->total_nodes : 0;
}
