/* Quotas of GPU hours in the settings file. */
#ifndef NEL_CONFIG_SETTINGS_SETTINGS_QUOTAS_H
#define NEL_CONFIG_SETTINGS_SETTINGS_QUOTAS_H

#include "config/settings/settings.h"
#include "config/text/reader.h"

#define SETTINGS_QUOTA_USERS_MAX 1000

/* Reads `quotas` into s. */
void settings_read_quotas(const struct reader *r, const json_t *root, struct settings *s);

#endif
