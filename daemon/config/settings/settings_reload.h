/* From the settings that are in force to those of a file that was read again. Pure. */
#ifndef NEL_CONFIG_SETTINGS_SETTINGS_RELOAD_H
#define NEL_CONFIG_SETTINGS_SETTINGS_RELOAD_H

#include "config/settings/settings.h"

/* Clusters (and accounts on them) that `before` has and `next` has not are added to it as draining, so that their
 * chains go on with the old definition. One that was draining for that reason already stays only while is_live() says
 * so. What is added borrows its texts from `before`, which must outlive `next`. */
void settings_carry_over(struct settings *next, const struct settings *before,
			 bool (*is_live)(const struct settings_cluster *cluster, void *arg), void *arg);

#define SETTINGS_RESTART_MAX 12

/* The keys whose change wants a restart, and that are others than those with which the daemon was started; how many. */
size_t settings_want_restart(const struct settings *started, const struct settings *next,
			     const char *ret_keys[SETTINGS_RESTART_MAX]);

#endif
