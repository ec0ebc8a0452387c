/* OmegaConf interpolation: ${a.b}, relative keys, nested ones, resolvers. */
#ifndef NEL_CONFIG_COMPOSE_INTERPOLATE_H
#define NEL_CONFIG_COMPOSE_INTERPOLATE_H

#include "base/err.h"
#include "config/compose/interpolate_env.h"
#include "config/text/problem.h"
#include "config/text/source_map.h"

/* Resolves every string of config (a new object in *ret_config). `$(cmd)`, `$X`, and "\${" (as "${") pass through.
 * -1: INVALID, with every unknown key, cycle and bad resolver call in `problems`. A reference to a `???` value gives
 * "???", so that the missing key itself is what gets reported. */
int interpolate(const json_t *config, const struct interpolate_env *env, const struct source_map *map,
		json_t **ret_config, struct problems *problems, struct nel_err *err);

#endif
