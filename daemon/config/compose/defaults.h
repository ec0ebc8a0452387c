/* The defaults list: which configs make up the composed one, in which order, and where each is placed. */
#ifndef NEL_CONFIG_COMPOSE_DEFAULTS_H
#define NEL_CONFIG_COMPOSE_DEFAULTS_H

#include "base/err.h"
#include "config/compose/overrides.h"
#include "config/text/problem.h"
#include "config/text/source_map.h"

#define DEFAULTS_CONFIGS_MAX 256
#define DEFAULTS_DEPTH_MAX 16

/* All borrowed. */
struct defaults_input {
	const json_t *submitted; /* an object */
	const struct source_map *map;
	const char *groups_dir;
	const struct override_list *overrides; /* those that choose groups are used, the others left alone */
};

/* A config to merge, in the order of merging: without its `defaults`, its references already moved. */
struct defaults_item {
	json_t *config;
	char *path;    /* "deployment/vllm"; "" is the submitted config */
	char *package; /* where it goes: "deployment", "auxiliary_deployments.judge", "" */
};

struct defaults_items {
	struct defaults_item *items;
	size_t count;
};

void defaults_items_done(struct defaults_items *list);

/* Does the override choose a group's option ("deployment=sglang"), or change a value? */
bool defaults_is_group_override(const struct override *o, const char *groups_dir);

/* -1: everything that is wrong with the list, the groups and their overrides is in `problems`. */
int defaults_expand(const struct defaults_input *in, struct defaults_items *ret_list, struct problems *problems,
		    struct nel_err *err);

#endif
