/* As whom somebody is known on a cluster. What is missing is told with the way to it. HTTP threads. */
#ifndef NEL_SERVICE_IDENTITY_LOOKUP_H
#define NEL_SERVICE_IDENTITY_LOOKUP_H

#include "config/settings/settings.h"
#include "db/identities.h"
#include "service/service.h"

/* The user's own identity there; NOTFOUND when none was made. */
int identity_get(struct db *db, const char *user, const char *cluster, struct identity_row *ret_row,
		 struct nel_err *err);

/* Who the actor's jobs are on the cluster; NOTFOUND as above. */
int service_identity_name(struct db *db, const struct actor *actor, const struct settings_cluster *cluster,
			  char ret_name[IDENTITY_NAME_SIZE], struct nel_err *err);

#endif
