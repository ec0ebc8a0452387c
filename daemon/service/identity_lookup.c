#include "service/identity_lookup.h"

#include <stdio.h>

int identity_get(struct db *db, const char *user, const char *cluster, struct identity_row *ret_row,
		 struct nel_err *err)
{
	if (identities_get(db, user, cluster, ret_row, err) == 0)
		return 0;
	return err->kind == NEL_NOTFOUND
		   ? err_set(err, NEL_NOTFOUND, "%s has no key for %s yet: PUT /v1/identities/%s makes one", user,
			     cluster, cluster)
		   : -1;
}

int service_identity_name(struct db *db, const struct actor *actor, const struct settings_cluster *cluster,
			  char ret_name[IDENTITY_NAME_SIZE], struct nel_err *err)
{
	CLEANUP(identity_row_done) struct identity_row row = {0};
	if (!cluster->identity_per_user) {
		snprintf(ret_name, IDENTITY_NAME_SIZE, "%s", cluster->username);
		return 0;
	}
	if (identity_get(db, actor->name, cluster->name, &row, err) != 0)
		return -1;
	identity_name(row.user, row.username, ret_name);
	return 0;
}
