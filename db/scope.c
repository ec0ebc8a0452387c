/* Owns when a transaction around several statements begins and ends. */
#include "db/scope.h"

#include "db/statement.h"

int scope_begin_read(struct scope *scope, struct db *db, struct nel_err *err)
{
	if (db->in_transaction)
		return 0;
	if (db_begin_read(db, err) != 0)
		return -1;
	scope->db = db;
	return 0;
}

int scope_begin_write(struct scope *scope, struct db *db, struct nel_err *err)
{
	if (db->in_transaction)
		return 0;
	if (db_begin(db, err) != 0)
		return -1;
	scope->db = db;
	return 0;
}

int scope_commit(struct scope *scope, struct nel_err *err)
{
	struct db *db = TAKE(scope->db);
	return db == NULL ? 0 : db_commit(db, err);
}

void scope_end(struct scope *scope)
{
	if (scope->db != NULL)
		db_rollback(scope->db);
	scope->db = NULL;
}
