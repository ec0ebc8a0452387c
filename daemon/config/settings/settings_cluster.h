/* Inside daemon/config: the clusters of the settings file. */
#ifndef NEL_CONFIG_SETTINGS_SETTINGS_CLUSTER_H
#define NEL_CONFIG_SETTINGS_SETTINGS_CLUSTER_H

#include "config/settings/settings.h"
#include "config/text/reader.h"

#define SETTINGS_CLUSTERS_MAX 256

/* Fills s->clusters from root's `clusters`; problems go to the reader. */
void settings_read_clusters(const struct reader *r, const json_t *root, struct settings *s);

/* The absolute path object[key], or NULL when it is absent (an error when needed) or wrong; free(). */
char *settings_path(const struct reader *r, const json_t *object, const char *base, const char *key, bool needed);

#endif
