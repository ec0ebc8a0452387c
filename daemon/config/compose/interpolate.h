/* OmegaConf interpolation: ${a.b}, relative keys, nested ones, resolvers. */
#ifndef NEL_CONFIG_COMPOSE_INTERPOLATE_H
#define NEL_CONFIG_COMPOSE_INTERPOLATE_H

#include "base/err.h"
#include "config/text/problem.h"
#include "config/text/source_map.h"

#include <stdint.h>

struct interpolate_env {
	const char *username; /* what ${oc.env:USER} gives: the cluster account */
	const char *const
	    *allowed_env; /* other variables that ${oc.env:...} may read from the daemon; NULL-terminated or NULL */
	int64_t now_s;    /* for ${now:...}, UTC */
	/* References that stay in place although their key does not exist, because they are resolved at run time or by
	 * a later step: true keeps "${key}" as it is written. NULL: none. */
	bool (*keep)(const char *key, void *arg);
	void *keep_arg;
};

/* Resolves every string of config (a new object in *ret_config). `$(cmd)`, `$X`, and "\${" (as "${") pass through.
 * -1: INVALID, with every unknown key, cycle and bad resolver call in `problems`. A reference to a `???` value gives
 * "???", so that the missing key itself is what gets reported. */
int interpolate(const json_t *config, const struct interpolate_env *env, const struct source_map *map,
		json_t **ret_config, struct problems *problems, struct nel_err *err);

#endif
