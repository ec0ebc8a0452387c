/* The launcher's short form of overrides: "evaluation.tasks.<name>.key=value", with a task's name for its index. */
#ifndef NEL_CONFIG_COMPOSE_TASK_NAMES_H
#define NEL_CONFIG_COMPOSE_TASK_NAMES_H

#include "base/err.h"
#include "config/compose/overrides.h"
#include "config/text/source_map.h"

/* Of one that names a task (override_names_task()): rewrites o->key to the task's index ("evaluation.tasks.2.key"), by
 * the tasks of the composed config. A name of two segments ("harness.task") is tried first, then one, then one as the
 * unique end of a longer name (".task"). -1: INVALID, when there is no such task, or not one only. */
int task_names_resolve(const json_t *config, struct override *o, struct nel_err *err);

/* Leaves in the composed config only the tasks that are named: "mmlu" (each of that name) or "mmlu.2" (that one, by its
 * index). They keep their order; map (or NULL) follows. INVALID, when one is not there. */
int task_names_select(json_t *config, const char *const *names, size_t count, struct source_map *map,
		      struct nel_err *err);

#endif
