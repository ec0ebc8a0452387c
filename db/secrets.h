/* Table secrets: named values of a person or of the team, sealed. */
#ifndef NEL_DB_SECRETS_H
#define NEL_DB_SECRETS_H

#include "db/users.h"

#define SECRET_NAME_MAX 128
#define SECRETS_PER_OWNER_MAX 200
#define SECRETS_TEAM "" /* the owner of the team's */

#define SECRET_LIST_SIZE 2048

/* Of a team's secret: ",a,b,"; "": everybody, every host. */
struct secret_use {
	char users[SECRET_LIST_SIZE];
	char hosts[SECRET_LIST_SIZE];
};

struct secret_row {
	char owner[USER_NAME_MAX + 1];
	char name[SECRET_NAME_MAX + 1];
	int64_t created_at;
	int64_t updated_at;
	struct secret_use use;
};

/* Under which a value is sealed (secret_seal()); free()d by the caller. */
char *secrets_label(const char *owner, const char *name);

/* Stores it, in place of the one that may be there. users and hosts: as in struct secret_use, NULL: as they were.
 * CONFLICT when the owner has SECRETS_PER_OWNER_MAX others. */
int secrets_put(struct db *db, const char *owner, const char *name, const unsigned char *sealed, size_t sealed_size,
		const char *users, const char *hosts, int64_t now_s, struct secret_row *ret_row, struct nel_err *err);

/* The sealed value, free()d by the caller. NOTFOUND. */
int secrets_get(struct db *db, const char *owner, const char *name, unsigned char **ret_sealed, size_t *ret_size,
		struct nel_err *err);

/* All of one owner, by name; *ret_rows is free()d by the caller. */
int secrets_list(struct db *db, const char *owner, struct secret_row **ret_rows, size_t *ret_count,
		 struct nel_err *err);

int secrets_delete(struct db *db, const char *owner, const char *name, struct nel_err *err); /* NOTFOUND */
int secrets_delete_all(struct db *db, const char *owner, struct nel_err *err);

#endif
