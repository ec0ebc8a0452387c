/* execution.auto_export: the job that exports the scores once an evaluation has succeeded. */
#include "base/mem.h"
#include "base/str.h"
#include "base/str_list.h"
#include "config/plan/plan_env.h"
#include "config/plan/plan_mounts.h"
#include "config/plan/plan_parts.h"

#include <string.h>

#define BASE "/execution/auto_export"
#define INSTALL_DEFAULT "pip install nemo-evaluator-launcher[all]"
#define IMAGE_DEFAULT "python:3.12.7-slim"

static const char *const destinations[] = {"mlflow", "wandb", "gsheets", "local", "huggingface"};
static const size_t destination_count = sizeof destinations / sizeof destinations[0];

static void check_destination(const struct reader *r, const char *name)
{
	if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] != '\0') {
		reader_error(r, BASE "/destinations", "'%s' cannot be an export destination", name);
		return;
	}
	for (size_t i = 0; i < destination_count; i++)
		if (strcmp(name, destinations[i]) == 0)
			return;
	const char *near = str_nearest(name, destinations, destination_count);
	reader_warn(r, BASE "/destinations", "Unknown export destination '%s'%s%s", name,
		    near == NULL ? "" : "; did you mean ", near == NULL ? "" : near);
}

/* cpu_partition, the export's own, or that of the evaluation. */
static char *read_partition(const struct plan_ctx *ctx, const json_t *settings)
{
	const struct reader *r = &ctx->reader;
	char *partition = NULL;
	if (!reader_is_falsy(reader_get(ctx->execution, "cpu_partition")))
		partition = reader_text(r, ctx->execution, "/execution", "cpu_partition", READER_TOKEN);
	else if (!reader_is_falsy(reader_get(settings, "partition")))
		partition = reader_text(r, settings, BASE, "partition", READER_TOKEN);
	return partition != NULL ? partition : mem_strdup(ctx->plan->partition);
}

void plan_export(struct plan_ctx *ctx)
{
	const struct reader *r = &ctx->reader;
	const json_t *given = reader_get(ctx->execution, "auto_export");
	const json_t *settings = NULL;
	char **names;
	if (json_is_array(given)) { /* the launcher takes a bare list of destinations, too */
		names = reader_list(r, ctx->execution, "/execution", "auto_export", READER_TOKEN, NULL);
	} else {
		settings = reader_object(r, ctx->execution, "/execution", "auto_export");
		names = reader_list(r, settings, BASE, "destinations", READER_TOKEN, NULL);
	}
	if (*names == NULL) {
		str_list_free(names);
		return;
	}
	struct plan_export *e = ctx->plan->export_ = mem_calloc(1, sizeof *e);
	e->destinations = names;
	for (; names[e->destination_count] != NULL; e->destination_count++)
		check_destination(r, names[e->destination_count]);
	e->install_cmd = reader_text_or(r, settings, BASE, "launcher_install_cmd", READER_ANY, INSTALL_DEFAULT);
	str_unix_lines(e->install_cmd);
	e->image = reader_text_or(r, settings, BASE, "export_image", READER_TOKEN, IMAGE_DEFAULT);
	e->partition = read_partition(ctx, settings);
	plan_env_add(r, ctx->root, "", "env_vars", &e->env);
	plan_env_add(r, reader_object(r, ctx->root, "", "export"), "/export", "env_vars", &e->env);
	plan_env_settle(&e->env);
	plan_mounts_add_all(r, settings, BASE, "export_mounts", &e->mounts);
}
