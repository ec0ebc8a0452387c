/* Limits and weights of single people in the settings file. */
#ifndef NEL_CONFIG_SETTINGS_SETTINGS_PEOPLE_H
#define NEL_CONFIG_SETTINGS_SETTINGS_PEOPLE_H

#include "config/settings/settings.h"
#include "config/text/reader.h"

#define SETTINGS_PEOPLE_MAX 1000 /* named in the file */

/* Could a user have the name? If not, that is an error at pointer. */
bool settings_check_user(const struct reader *r, const char *name, const char *pointer);

/* Reads limits.users and fair_share into s, after s->limits. */
void settings_read_people(const struct reader *r, const json_t *root, struct settings *s);

#endif
