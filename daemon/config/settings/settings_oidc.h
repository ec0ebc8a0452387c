/* The part of the settings file that is about an issuer of bearer tokens (OpenID Connect). */
#ifndef NEL_CONFIG_SETTINGS_SETTINGS_OIDC_H
#define NEL_CONFIG_SETTINGS_SETTINGS_OIDC_H

#include "config/settings/settings.h"
#include "config/text/reader.h"

/* Reads the key oidc of the root into s->oidc. */
void settings_read_oidc(const struct reader *r, const json_t *root, struct settings *s);

/* May this URL of an issuer be used? https, or http to a loopback host; no user, no fragment. */
bool settings_oidc_url_ok(const char *url);

#endif
