#include "slurm/sources.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>

void sources_done(struct sources *sources)
{
	free(sources->items);
	*sources = (struct sources){0};
}

void sources_init(struct sources *sources)
{
	*sources = (struct sources){.items = mem_calloc(1, sizeof *sources->items)};
}

/* An image is a file only when it is named by an absolute path. */
static void add(struct sources *sources, const char *path)
{
	if (path == NULL || path[0] != '/' || str_in(path, sources->items))
		return;
	sources->items = mem_realloc(sources->items, sources->count + 2, sizeof *sources->items);
	sources->items[sources->count++] = path;
	sources->items[sources->count] = NULL;
}

static void add_mounts(struct sources *sources, const struct mount_list *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		add(sources, mounts->items[i].source);
}

static void add_server(struct sources *sources, const struct eval_plan *plan, const struct server *server)
{
	add(sources, server->image);
	add_mounts(sources, &server->mounts);
	if (server->num_instances > 1)
		add(sources, plan->proxy_image);
}

void sources_add_plan(struct sources *sources, const struct eval_plan *plan)
{
	if (plan->deployment != NULL)
		add_server(sources, plan, plan->deployment);
	for (size_t i = 0; i < plan->auxiliary_count; i++)
		add_server(sources, plan, &plan->auxiliaries[i]);
	if (plan->export_ != NULL) {
		add(sources, plan->export_->image);
		add_mounts(sources, &plan->export_->mounts);
	}
}

void sources_add_job(struct sources *sources, const struct plan_job *job)
{
	add(sources, job->container);
	add_mounts(sources, &job->mounts);
}
