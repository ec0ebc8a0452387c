/* Whom a lane logs in as, and with which key: the pool of SSH sessions for an identity on a cluster. */
#ifndef NEL_REMOTE_LANE_LOGIN_H
#define NEL_REMOTE_LANE_LOGIN_H

#include "base/secret.h"
#include "config/settings/settings.h"
#include "remote/credentials.h"
#include "ssh/pool.h"

/* All borrowed, for the life of the pools. */
struct lane_source {
	const char *database;
	const struct secret_key *master_key;
	struct ssh_host_limits *limits;
	struct credentials_book *credentials;
};

/* Makes the pool. Where each person has a key of his own it is read from the store, on a connection of this call alone.
 * There is a pool after -1 too: one that refuses everything, since the key could not be had; the reason is in *err. */
int lane_login_pool(const struct lane_source *source, const struct settings_cluster *cluster, const char *identity,
		    const volatile bool *stop, struct ssh_pool **ret_pool, struct nel_err *err);

#endif
