/* Composition: the defaults list's configs merged in order, then the overrides of values. */
#include "config/compose/compose.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/compose/defaults.h"
#include "config/compose/free_ports.h"
#include "config/compose/merge.h"
#include "config/compose/task_names.h"

#include <string.h>

static void merge_all(const struct defaults_items *list, bool mark_ports, json_t *config)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct defaults_item *item = &list->items[i];
		CLEANUP(json_freep) json_t *placed = json_object();
		if (!mark_ports || *item->path == '\0') {
			merge_into(merge_package(config, item->package), item->config);
			continue;
		}
		merge_into(merge_package(placed, item->package), item->config);
		free_ports_mark(placed);
		merge_into(config, placed);
	}
}

static void apply_one(json_t *config, struct override *o, struct problems *problems)
{
	struct nel_err err = {0};
	bool named = override_names_task(o);
	if ((!named || task_names_resolve(config, o, &err) == 0) && override_apply(config, o, &err) == 0)
		return;
	CLEANUP(mem_freep) char *pointer = override_pointer(o->text);
	problems_add(problems, pointer, 0, 0, "override \"%s\": %s", o->text, err.msg);
}

/* Those with task names come after the others, which may change the tasks. */
static void apply_overrides(json_t *config, struct override_list *overrides, const char *groups_dir,
			    struct problems *problems)
{
	for (int named = 0; named <= 1; named++) {
		for (size_t i = 0; i < overrides->count; i++) {
			struct override *o = &overrides->items[i];
			if (!defaults_is_group_override(o, groups_dir) && override_names_task(o) == (named == 1))
				apply_one(config, o, problems);
		}
	}
}

/* The execution must say that it is Slurm's. */
static int check_slurm(const json_t *config, const struct compose_input *in, struct problems *problems,
		       struct nel_err *err)
{
	const json_t *type = json_object_get(json_object_get(config, "execution"), "type");
	const char *pointer = type == NULL ? "/defaults" : "/execution/type";
	int line = 0;
	int column = 0;
	if (json_is_string(type) && strcmp(json_string_value(type), "slurm") == 0)
		return 0;
	const char *name = json_is_string(type) ? json_string_value(type) : "none";
	source_map_find(in->map, pointer, &line, &column);
	problems_add(problems, pointer, line, column,
		     "this service runs Slurm only, and the execution's type is %s: use `execution: slurm/default` in "
		     "`defaults`",
		     name);
	return err_set(err, NEL_INVALID, "this service runs Slurm only: use `execution: slurm/default`");
}

int compose(const struct compose_input *in, json_t **ret_config, struct problems *problems, struct nel_err *err)
{
	CLEANUP(override_list_done) struct override_list overrides = {0};
	CLEANUP(defaults_items_done) struct defaults_items list = {0};
	CLEANUP(json_freep) json_t *config = json_object();
	if (!json_is_object(in->submitted)) {
		problems_add(problems, "", 0, 0, "a config is a mapping");
		return err_set(err, NEL_INVALID, "a config is a mapping");
	}
	if (overrides_parse(in->overrides, in->override_count, &overrides, problems, err) != 0)
		return -1;
	struct defaults_input defaults = {in->submitted, in->map, in->groups_dir, &overrides};
	if (defaults_expand(&defaults, &list, problems, err) != 0)
		return -1;
	merge_all(&list, in->mark_ports, config);
	apply_overrides(config, &overrides, in->groups_dir, problems);
	if (check_slurm(config, in, problems, err) != 0)
		return -1;
	*ret_config = TAKE(config);
	return 0;
}
