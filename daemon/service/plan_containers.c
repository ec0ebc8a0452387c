#include "service/plan_containers.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"

struct look {
	const struct eval_plan *plan;
	void (*refused)(const char *pointer, const char *message, void *arg);
	void *arg;
};

/* "<base>/<name><rest>" as a JSON pointer; free() it. */
static char *pointer_to(const char *base, const char *name, const char *rest)
{
	struct str pointer = {0};
	str_append(&pointer, base);
	str_append_pointer(&pointer, name);
	str_append(&pointer, rest);
	return str_take(&pointer);
}

static void look_at_image(const char *image, const char *pointer, void *arg)
{
	const struct look *look = arg;
	struct nel_err err = {0};
	CLEANUP(mem_freep) char *text = containers_apptainer_image(image, &err);
	if (text == NULL)
		look->refused(pointer, err.msg, look->arg);
}

static void look_at_mounts(const struct look *look, const struct mount_list *mounts, const char *base)
{
	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount *mount = &mounts->items[i];
		if (containers_apptainer_flags_ok(mount->flags))
			continue;
		CLEANUP(mem_freep) char *pointer = pointer_to(base, mount->source, "");
		CLEANUP(mem_freep)
		char *message = mem_printf("the cluster's Apptainer takes ro and rw as the flags of a mount, not '%s'",
					   mount->flags);
		look->refused(pointer, message, look->arg);
	}
}

static bool has_proxy(const struct eval_plan *plan)
{
	bool found = plan->deployment != NULL && plan->deployment->num_instances > 1;
	for (size_t i = 0; i < plan->auxiliary_count; i++)
		found = found || plan->auxiliaries[i].num_instances > 1;
	return found;
}

void plan_containers_images(const struct eval_plan *plan,
			    void (*found)(const char *image, const char *pointer, void *arg), void *arg)
{
	if (plan->deployment != NULL && plan->deployment->image != NULL)
		found(plan->deployment->image, "/deployment/image", arg);
	for (size_t i = 0; i < plan->auxiliary_count; i++) {
		const struct server *server = &plan->auxiliaries[i];
		CLEANUP(mem_freep) char *pointer = pointer_to("/auxiliary_deployments", server->name, "/image");
		if (server->image != NULL)
			found(server->image, pointer, arg);
	}
	if (has_proxy(plan) && plan->proxy_image != NULL)
		found(plan->proxy_image, "/execution/proxy/image", arg);
	for (size_t i = 0; i < plan->job_count; i++) {
		CLEANUP(mem_freep)
		char *pointer = mem_printf("/evaluation/tasks/%d/container", plan->jobs[i].index);
		if (plan->jobs[i].container != NULL)
			found(plan->jobs[i].container, pointer, arg);
	}
	if (plan->export_ != NULL && plan->export_->image != NULL)
		found(plan->export_->image, "/execution/auto_export/export_image", arg);
}

static void look_at_all_mounts(const struct look *look)
{
	const struct eval_plan *plan = look->plan;
	if (plan->deployment != NULL)
		look_at_mounts(look, &plan->deployment->mounts, "/execution/mounts/deployment");
	for (size_t i = 0; i < plan->auxiliary_count; i++) {
		const struct server *server = &plan->auxiliaries[i];
		CLEANUP(mem_freep) char *base = pointer_to("/execution/mounts/auxiliary", server->name, "");
		look_at_mounts(look, &server->mounts, base);
	}
	if (plan->job_count > 0) /* execution.mounts.evaluation is for all */
		look_at_mounts(look, &plan->jobs[0].mounts, "/execution/mounts/evaluation");
	if (plan->export_ != NULL)
		look_at_mounts(look, &plan->export_->mounts, "/execution/auto_export/export_mounts");
}

void plan_containers_check(const struct eval_plan *plan,
			   void (*refused)(const char *pointer, const char *message, void *arg), void *arg)
{
	const struct look look = {.plan = plan, .refused = refused, .arg = arg};
	if (plan->containers != CONTAINERS_APPTAINER)
		return;
	plan_containers_images(plan, look_at_image, (void *)(uintptr_t)&look);
	look_at_all_mounts(&look);
	for (size_t i = 0; i < plan->sbatch_flag_count; i++) {
		const char *name = plan->sbatch_flags[i].name;
		if (!containers_is_pyxis_option(name))
			continue;
		CLEANUP(mem_freep) char *pointer = pointer_to("/execution/sbatch_extra_flags", name, "");
		CLEANUP(mem_freep)
		char *message = mem_printf("--%s is an option of Pyxis's, which this cluster does without: leave it "
					   "out; images and mounts have keys of their own",
					   name);
		refused(pointer, message, arg);
	}
}
