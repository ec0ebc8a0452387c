/* The settings file: reading, defaults, checks. */
#ifndef NEL_CONFIG_SETTINGS_SETTINGS_LOAD_H
#define NEL_CONFIG_SETTINGS_SETTINGS_LOAD_H

#include "config/settings/settings.h"
#include "config/text/problem.h"

/* Loads and checks the file. -1: INVALID (or NOTFOUND); err->msg names file, line, key and a suggestion for the first
 * problem and `problems` (may be NULL) has them all. */
int settings_load(const char *path, struct settings **ret_settings, struct problems *problems, struct nel_err *err);

#endif
