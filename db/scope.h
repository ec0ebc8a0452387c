/* Internal to db/: a transaction around several statements, unless the caller has one open already. Ends with the scope
 * that owns it:
 *	CLEANUP(scope_end) struct scope scope = {NULL};
 * scope_commit() makes the writes durable (does nothing when the transaction is the caller's). */
#ifndef NEL_DB_SCOPE_H
#define NEL_DB_SCOPE_H

#include "db/db.h"

struct scope {
	struct db *db; /* NULL: nothing to end */
};

int scope_begin_read(struct scope *scope, struct db *db, struct nel_err *err);
int scope_begin_write(struct scope *scope, struct db *db, struct nel_err *err);
int scope_commit(struct scope *scope, struct nel_err *err);
void scope_end(struct scope *scope);

#endif
