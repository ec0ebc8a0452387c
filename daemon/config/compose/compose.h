/* Composition by Hydra's rules: the defaults list, config groups, package headers, overrides. The result still has its
 * interpolations and its `???` marks (config/interpolate resolves the former, config/eval_config complains of the
 * latter). */
#ifndef NEL_CONFIG_COMPOSE_COMPOSE_H
#define NEL_CONFIG_COMPOSE_COMPOSE_H

#include "base/err.h"
#include "config/text/problem.h"
#include "config/text/source_map.h"

#include <stdbool.h>

/* Everything composition needs; all borrowed. */
struct compose_input {
	const json_t *submitted;      /* the parsed config, an object */
	const struct source_map *map; /* its places, or NULL */
	const char *const *overrides; /* "a.b=c", in order */
	size_t override_count;
	const char *groups_dir; /* the site's groups, shadowing the built-in ones; NULL: none */
	bool mark_ports;        /* references stand in place of the groups' ports: config/compose/free_ports.h */
};

/* 0: *ret_config is a new object without `defaults`; overrides that cannot be read or applied are in `problems`, and
 * *ret_config is what the others make. -1: nothing can be composed; *err is INVALID with a summary and `problems` has
 * every problem found, with places in the submitted text (the pointer of what an override names, and a message with its
 * text, when one is wrong). */
int compose(const struct compose_input *in, json_t **ret_config, struct problems *problems, struct nel_err *err);

#endif
