/* Container mounts of a config: {host path: container path[:flags]}. */
#ifndef NEL_CONFIG_PLAN_PLAN_MOUNTS_H
#define NEL_CONFIG_PLAN_PLAN_MOUNTS_H

#include "config/plan/eval_plan.h"
#include "config/text/reader.h"

#define PLAN_MOUNTS_MAX 200 /* in one container */

/* Can a path be part of a mount? Reports the bytes that Pyxis cannot take in one. `name` begins the message. */
bool plan_mounts_path_ok(const struct reader *r, const char *path, const char *name, const char *pointer);

/* Adds one mount, after checking it; `target` may end in flags (":ro"). Problems go to pointer. */
void plan_mounts_add(const struct reader *r, const char *pointer, const char *source, const char *target,
		     struct mount_list *mounts);

/* Adds those of object[key], a mapping of host paths to container paths. */
void plan_mounts_add_all(const struct reader *r, const json_t *object, const char *base, const char *key,
			 struct mount_list *mounts);

/* Adds the text object[key], a host path, at target; nothing when it is absent. */
void plan_mounts_add_key(const struct reader *r, const json_t *object, const char *base, const char *key,
			 const char *target, struct mount_list *mounts);

#endif
