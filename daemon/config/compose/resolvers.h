/* The resolvers of interpolations: ${oc.env:USER}, ${oc.select:a.b,1}, ${now:%Y}, ... */
#ifndef NEL_CONFIG_COMPOSE_RESOLVERS_H
#define NEL_CONFIG_COMPOSE_RESOLVERS_H

#include "base/cleanup.h"
#include "base/err.h"
#include "config/compose/interpolate_env.h"

#include <stdbool.h>

#define RESOLVER_ARGS_MAX 16
#define RESOLVER_CREATE_MAX (256 * 1024) /* bytes of YAML that all calls of oc.create may parse together */

struct resolver_arg {
	json_t *value;
	bool quoted; /* it stood in quotes */
};

/* What came of looking a key up. */
enum resolver_lookup {
	LOOKUP_FOUND,  /* *ret_value is a new reference, resolved */
	LOOKUP_ABSENT, /* no such key */
	LOOKUP_FAILED  /* *err says why */
};

/* One call, with what it may use; all borrowed. */
struct resolver_call {
	const char *name;
	struct resolver_arg args[RESOLVER_ARGS_MAX];
	size_t count;
	const struct interpolate_env *env;
	size_t *created; /* bytes that oc.create has parsed so far */
	enum resolver_lookup (*lookup)(const char *key, void *arg, json_t **ret_value, struct nel_err *err);
	void *arg;
};

/* A new reference, or NULL with *err filled (an unknown resolver, wrong arguments, a refused variable). */
json_t *resolver_run(const struct resolver_call *call, struct nel_err *err);

#endif
