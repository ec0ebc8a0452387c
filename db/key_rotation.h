/* Everything in the store that is sealed with the master key (base/secret.h), in one table of columns, and the change
 * to another key. A new sealed column gets its row in key_rotation.c; a test holds all BLOB columns to that. */
#ifndef NEL_DB_KEY_ROTATION_H
#define NEL_DB_KEY_ROTATION_H

#include "base/secret.h"
#include "db/db.h"

/* Is "table.column" in the table? */
bool key_rotation_has_column(const char *column);

/* DENIED when the store is sealed with another key. A store without anything to compare with takes this one as its
 * key. */
int key_rotation_check_key(struct db *db, const struct secret_key *key, struct nel_err *err);

#define KEY_ROTATION_READ_CHECK "SELECT sealed FROM key_check WHERE id = 1"

/* The same of what KEY_ROTATION_READ_CHECK gives, without a store. */
int key_rotation_try_key(const struct secret_key *key, const unsigned char *sealed, size_t size, struct nel_err *err);

/* Within a transaction: everything is opened with `from` and sealed with `to`. *ret_count: how many values. DENIED when
 * one does not open. */
int key_rotation_change_key(struct db *db, const struct secret_key *from, const struct secret_key *to,
			    int64_t *ret_count, struct nel_err *err);

#endif
