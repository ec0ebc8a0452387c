/* The key files with which the daemon logs in to clusters. */
#ifndef NEL_CLUSTER_KEYS_H
#define NEL_CLUSTER_KEYS_H

#include "config/settings/settings.h"

/* The private keys of the settings' clusters: DENIED when one can never log in (a passphrase, readable by others).
 * One that is not there yet may come. */
int cluster_keys_check(const struct settings *settings, struct nel_err *err);

#endif
