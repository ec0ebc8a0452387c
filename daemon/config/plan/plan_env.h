/* Environment variables of a config: values that say where they come from (host:, lit:, runtime:), merged in layers. */
#ifndef NEL_CONFIG_PLAN_PLAN_ENV_H
#define NEL_CONFIG_PLAN_PLAN_ENV_H

#include "base/str.h"
#include "config/plan/eval_plan.h"
#include "config/text/reader.h"

#define PLAN_ENV_MAX 200 /* variables in one group */

/* Is name a POSIX variable name: [A-Za-z_][A-Za-z0-9_]*? */
bool plan_env_is_name(const char *name);

/* Splits "host:V", "lit:V", "runtime:V" (a '$' before is fine; V of host and runtime is a variable name). True:
 * *ret_value points into text. False: *ret_advice (any contents are dropped) says what to write; it repeats the text
 * only where that cannot be a secret. */
bool plan_env_parse(const char *text, enum env_source *ret_source, const char **ret_value, struct str *ret_advice);

/* Puts the variables of object[key] into group, over what is there. */
void plan_env_add(const struct reader *r, const json_t *object, const char *base, const char *key,
		  struct env_group *group);

/* Adds one variable unless the group has it; copies both texts. */
void plan_env_default(struct env_group *group, const char *name, enum env_source source, const char *value);

/* When all layers are there: `runtime:X`, where X is another variable of the group, has X's value. Otherwise X is read
 * on the node. */
void plan_env_settle(struct env_group *group);

#endif
