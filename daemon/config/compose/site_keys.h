/* ${site:NAME} in the keys of execution.mounts, which are directories of the cluster. Interpolation itself leaves keys
 * alone, as OmegaConf does. */
#ifndef NEL_CONFIG_COMPOSE_SITE_KEYS_H
#define NEL_CONFIG_COMPOSE_SITE_KEYS_H

#include "config/compose/interpolate_env.h"
#include "config/text/problem.h"
#include "config/text/source_map.h"

#include <jansson.h>

/* Changes composed. A key that cannot be resolved is left out, and a problem. */
void site_keys_resolve(json_t *composed, const struct interpolate_env *env, const struct source_map *map,
		       struct problems *problems);

#endif
