/* What interpolation may use beside the config itself. */
#ifndef NEL_CONFIG_COMPOSE_INTERPOLATE_ENV_H
#define NEL_CONFIG_COMPOSE_INTERPOLATE_ENV_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct interpolate_env {
	const char *username; /* what ${oc.env:USER} gives: the cluster account */
	const char *const
	    *allowed_env; /* other variables that ${oc.env:...} may read from the daemon; NULL-terminated or NULL */
	int64_t now_s;    /* for ${now:...}, UTC */
	/* The directory that ${site:NAME} stands for, borrowed; NULL with *err when there is none. NULL: there are no
	 * such names. */
	const char *(*site_path)(const char *name, void *arg, struct nel_err *err);
	void *site_arg;
	/* References that stay in place although their key does not exist, because they are resolved at run time or by
	 * a later step: true keeps "${key}" as it is written. NULL: none. */
	bool (*keep)(const char *key, void *arg);
	void *keep_arg;
};

#endif
