/* Which values of a resolved config nobody wrote: they are a config group's, or the program's own. */
#ifndef NEL_CONFIG_COMPOSE_DEFAULTED_H
#define NEL_CONFIG_COMPOSE_DEFAULTED_H

#include "base/cleanup.h"

#include <stddef.h>

/* Pointers (RFC 6901) into `resolved` of what neither the submitted config nor one of the overrides names, in its
 * order; where that is a whole object or array, of that alone. submitted may be NULL. A new array. */
json_t *defaulted_find(const json_t *resolved, const json_t *submitted, const char *const *overrides, size_t count);

#endif
