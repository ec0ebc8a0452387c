/* The parts of the settings file that are about watching the daemon and about what it keeps: webhooks, metrics,
 * pruning. */
#ifndef NEL_CONFIG_SETTINGS_SETTINGS_WATCH_H
#define NEL_CONFIG_SETTINGS_SETTINGS_WATCH_H

#include "config/settings/settings.h"
#include "config/text/reader.h"

void settings_read_watch(const struct reader *r, const json_t *root, struct settings *s);

#endif
