/* How composed configs come together: OmegaConf's merge, placing a config at a package, and moving the references of a
 * config that was placed elsewhere than where it was written for. */
#ifndef NEL_CONFIG_COMPOSE_MERGE_H
#define NEL_CONFIG_COMPOSE_MERGE_H

#include "base/cleanup.h"

/* Merges src over dst (both objects): mappings merge, everything else is replaced, and a `???` leaves a value that is
 * there. dst gets copies. */
void merge_into(json_t *dst, const json_t *src);

/* The mapping at a dotted package of config, made when it is not there ("" is config itself). Borrowed. */
json_t *merge_package(json_t *config, const char *package);

/* Rewrites the absolute references to `from` in all strings of value: with from "deployment" and to
 * "auxiliary_deployments.judge", "${deployment.port}" becomes "${auxiliary_deployments.judge.port}". */
void merge_move_references(json_t *value, const char *from, const char *to);

#endif
